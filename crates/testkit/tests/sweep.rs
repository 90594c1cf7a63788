//! Tests of deleting orphans: only if requested, only after quarantine, and through their own instance.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::name::CloudName;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::Clock;
use inventiv_testkit::{Database, PROJECT, World};
use serde_json::{Value, json};
use sqlx::Row;

const ZONE: &str = "fr-par-2";

async fn audited(world: &World, body: Option<Value>) -> Value {
    let (status, answer) = world.call("POST", "/audit", body).await;
    assert_eq!(status, 202, "{answer}");
    world.advance_ms(1);
    world.orchestrator.audit_due().await.unwrap();
    let (_, audit) = world.call("GET", "/audit", None).await;
    audit["zones"].as_array().unwrap().iter().find(|z| z["zone"] == ZONE).unwrap().clone()
}

fn ids(zone: &Value, list: &str) -> Vec<String> {
    let id = |v: &Value| v["provider_id"].as_str().or_else(|| v.as_str()).unwrap().to_owned();
    zone[list].as_array().unwrap().iter().map(id).collect()
}

/// Creates a server of an unrecorded attempt of an ended instance, with a third party's volume attached.
async fn stray(world: &World) -> (String, String) {
    let id = world.create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 0})).await;
    world.until_status(&id, "ready").await;
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    world.advance_ms(60_000);
    let name = format!("iva-test-{}-server-7-d", id.trim_start_matches("ins-"));
    let images = world.third_party(
        "GET",
        "/marketplace/v2/local-images?image_label=ubuntu_noble&type=instance_sbs&per_page=100",
        None,
    );
    let image = images["local_images"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["zone"] == ZONE && i["compatible_commercial_types"].to_string().contains("\"PLAY2-PICO\""))
        .unwrap()["id"]
        .clone();
    let tags = CloudName::parse(&name).unwrap().tags();
    let body = json!({"name": name, "tags": tags, "commercial_type": "PLAY2-PICO", "image": image, "project": PROJECT});
    let made = world.third_party("POST", &format!("/instance/v1/zones/{ZONE}/servers"), Some(body));
    world.advance_ms(60_000);
    (id, made["server"]["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_orphan_is_deleted_after_quarantine_with_its_volumes_and_a_proof() {
    for database in Database::both() {
        let world = World::new(database).await;
        let (id, server) = stray(&world).await;
        let foreign = json!({"name": "theirs", "project_id": PROJECT, "from_empty": {"size": 10_000_000_000_i64}});
        let foreign = world.third_party("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(foreign));
        world.advance_ms(10_000);
        let attach = json!({"volume_id": foreign["id"], "volume_type": "sbs_volume"});
        world.third_party("POST", &format!("/instance/v1/zones/{ZONE}/servers/{server}/attach-volume"), Some(attach));
        world.advance_ms(10_000);
        let held = world.left();
        assert_eq!((held.0, held.1), (1, 2));

        let zone = audited(&world, None).await;
        assert_eq!((ids(&zone, "quarantined"), zone["findings"][0]["kind"].as_str()), (vec![], Some("orphan")));
        // It is an alert, and it costs nothing, as it is off.
        let (_, alerts) = world.call("GET", "/alerts", None).await;
        let alert = alerts["items"].as_array().unwrap().iter().find(|a| a["kind"] == "orphan.found").unwrap();
        assert_eq!((&alert["about"], &alert["severity"]), (&json!(server), &json!("critical")), "{alerts:#}");
        let (_, forecast) = world.call("GET", "/costs/forecast", None).await;
        let orphans = &forecast["orphans"];
        assert_eq!(
            (&orphans["resources"], &orphans["unpriced"], &orphans["hourly_micros"]),
            (&json!(1), &json!(0), &json!(0))
        );
        let zone = audited(&world, Some(json!({"fix": true}))).await;
        assert_eq!((ids(&zone, "quarantined").len(), world.left()), (0, held), "the default policy does not delete");
        let delete = json!({"fix": true, "policy": "delete"});
        let zone = audited(&world, Some(delete.clone())).await;
        assert_eq!(
            (ids(&zone, "quarantined"), zone["frozen"].clone()),
            (vec![server.clone()], Value::Null),
            "{zone:#}"
        );
        world.advance_ms(3_000_000);
        let zone = audited(&world, None).await;
        assert_eq!((ids(&zone, "taken").len(), ids(&zone, "quarantined").len()), (0, 1), "the quarantine is not over");
        // A user cancels the deletion, and then requests it again.
        let zone = audited(&world, Some(json!({"fix": true, "policy": "report"}))).await;
        assert_eq!(ids(&zone, "quarantined").len(), 0);
        world.advance_ms(3_000_000);
        audited(&world, Some(delete)).await;
        world.advance_ms(3_600_000);
        let zone = audited(&world, None).await;
        assert_eq!(ids(&zone, "taken"), std::slice::from_ref(&server), "{zone:#}");
        world.settle().await;
        assert_eq!((world.left().0, world.left().1), (0, 1), "only the third party's volume is left");
        assert!(world.emulator.state()["volumes"][0]["id"] == foreign["id"]);
        let (_, proof) = world.call("GET", &format!("/instances/{id}/proof"), None).await;
        assert_eq!(proof["clean"], true, "{proof:#}");
        let gone = proof["resources"].as_array().unwrap().iter().find(|r| r["provider_id"] == json!(server)).unwrap();
        assert!(gone["proof"].is_object(), "{gone:#}");
        assert!(world.actions(&id).await.contains(&"ORPHAN_TAKEN".to_owned()));
        let zone = audited(&world, None).await;
        assert_eq!((&zone["findings"], &zone["quarantined"]), (&json!([]), &json!([])));
        let (_, alerts) = world.call("GET", "/alerts", None).await;
        assert!(!alerts.to_string().contains("orphan.found"), "{alerts:#}");
        let (_, forecast) = world.call("GET", "/costs/forecast", None).await;
        assert_eq!(forecast["orphans"]["resources"], 0);
    }
}

/// The rows of the ledger of a resource: class, when it began, when it ended, in seconds since `since`.
async fn rows(world: &World, server: &str, kind: &str, since: i64) -> Vec<(String, i64, Option<i64>)> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&world.database_url).await.unwrap();
    let query = "SELECT class, starts_at, ends_at FROM charges WHERE provider_id = $1 AND kind = $2 ORDER BY starts_at";
    let rows = sqlx::query(query).bind(server).bind(kind).fetch_all(&pool).await.unwrap();
    let seconds = |at: i64| (at - since) / 1_000_000;
    let row = |r: &sqlx::any::AnyRow| {
        (r.get("class"), seconds(r.get("starts_at")), r.get::<Option<i64>, _>("ends_at").map(seconds))
    };
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn an_orphan_is_charged_until_an_instance_adopts_it_or_it_is_gone() {
    for database in Database::both() {
        let world = World::new(database).await;
        world.orchestrator.refresh_catalogue().await.unwrap();
        let (id, server) = stray(&world).await;
        let of_orphans = async || {
            let (_, forecast) = world.call("GET", "/costs/forecast", None).await;
            let o = &forecast["orphans"];
            (o["resources"].as_i64(), o["unpriced"].as_i64(), o["hourly_micros"].as_i64().unwrap())
        };
        let per_hour = async || {
            let (_, forecast) = world.call("GET", "/costs/forecast", None).await;
            forecast["currencies"][0]["hourly_micros"].as_i64().unwrap()
        };
        // What is off costs nothing.
        audited(&world, None).await;
        assert_eq!((of_orphans().await, per_hour().await), ((Some(1), Some(0), 0), 0));
        let path = format!("/instance/v1/zones/{ZONE}/servers/{server}");
        // An audit that can conclude nothing forgets nothing.
        let blind = world.emulator.add_fault(&json!({"method": "GET", "path": "*/servers", "times": 100, "effect": {"error": "internal_server_error"}})).unwrap();
        audited(&world, None).await;
        let (_, audit) = world.call("GET", "/audit", None).await;
        assert_eq!(audit["verdict"], "inconclusive", "{audit:#}");
        world.third_party("DELETE", &format!("/_emulator/faults/{blind}"), None);
        world.third_party("POST", &format!("{path}/action"), Some(json!({"action": "poweron"})));
        world.advance_ms(60_000);
        let began = world.clock.now().0;
        audited(&world, None).await;
        let (resources, unpriced, hourly) = of_orphans().await;
        assert_eq!((resources, unpriced, per_hour().await), (Some(1), Some(0), hourly));
        assert!(hourly > 5_000, "a server and its address: {hourly}");
        // The audit a minute ago showed it switched off.
        let found = rows(&world, &server, "server", began).await;
        assert!(matches!(found.as_slice(), [(class, -61..=-60, None)] if class == "orphan"), "{found:?}");
        world.advance_ms(3_600_000);
        audited(&world, None).await;
        assert_eq!(rows(&world, &server, "server", began).await, found, "it goes on");
        let from = inventiv_types::Time(Timestamp(began).plus_ms(-600_000));
        let (_, costs) = world.call("GET", &format!("/costs?group_by=class&instance={id}&from={from}"), None).await;
        let of = costs["items"].as_array().unwrap().iter().find(|c| c["key"] == "orphan").unwrap();
        let micros = of["micros"].as_i64().unwrap();
        assert!((hourly..=hourly * 21 / 20).contains(&micros), "{micros} {hourly}");
        // Its instance adopts it and deletes it: from then on, it is charged as what it is.
        audited(&world, Some(json!({"fix": true, "policy": "delete"}))).await;
        world.advance_ms(3_600_000);
        audited(&world, None).await;
        for kind in ["server", "address"] {
            let adopted = rows(&world, &server, kind, began).await;
            let classes: Vec<&str> = adopted.iter().map(|r| r.0.as_str()).collect();
            let is_exact = adopted.windows(2).all(|w| w[0].2 == Some(w[1].1));
            assert!(is_exact && (classes == ["orphan", "ending"] || classes == ["orphan"]), "{kind}: {adopted:?}");
        }
        world.settle().await;
        audited(&world, None).await;
        assert_eq!((world.left(), of_orphans().await, per_hour().await), ((0, 0, 0), (Some(0), Some(0), 0), 0));
        let ended = rows(&world, &server, "server", began).await;
        assert!(ended.iter().all(|r| r.2.is_some_and(|end| end <= 7_400)), "{ended:?}");

        // Another one is deleted by somebody else.
        let (_, server) = stray(&world).await;
        let path = format!("/instance/v1/zones/{ZONE}/servers/{server}");
        world.third_party("POST", &format!("{path}/action"), Some(json!({"action": "poweron"})));
        world.advance_ms(60_000);
        audited(&world, None).await;
        assert!(of_orphans().await.2 > 0);
        world.third_party("POST", &format!("{path}/action"), Some(json!({"action": "terminate"})));
        world.advance_ms(120_000);
        let gone = world.clock.now().0;
        audited(&world, None).await;
        assert_eq!((of_orphans().await, per_hour().await), ((Some(0), Some(0), 0), 0));
        let ended = rows(&world, &server, "server", gone).await;
        assert!(matches!(ended.as_slice(), [(_, _, Some(0))]), "{ended:?}");
    }
}

/// Adds a row of the class `orphan` that has not ended.
async fn add_orphan_row(world: &World, server: &str, account: &str, starts_at: i64) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&world.database_url).await.unwrap();
    let sql = "INSERT INTO charges (resource_id, kind, starts_at, class, sku, quantity, provider_id, account_id, zone, \
        instance_id) VALUES ($1, 'server', $2, 'orphan', 'server/L40S-1-48G', 1, $1, $3, $4, '')";
    sqlx::query(sql).bind(server).bind(starts_at).bind(account).bind(ZONE).execute(&pool).await.unwrap();
}

#[tokio::test]
async fn an_audit_and_an_adoption_at_the_same_moment_count_nothing_twice() {
    for database in Database::both() {
        let account = format!("scaleway:{PROJECT}");
        // On PostgreSQL, neither of the two writes may see the other one. The row of the orphan began before, or after.
        for earlier_s in [100, -5] {
            let world = World::new(database).await;
            let id = world.create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 0})).await;
            world.until_status(&id, "ready").await;
            let server = world.show(&id).await["provider_instance_id"].as_str().unwrap().to_owned();
            let began_s = rows(&world, &server, "server", 0).await[0].1;
            add_orphan_row(&world, &server, &account, (began_s - earlier_s) * 1_000_000).await;
            world.advance_ms(300_000);
            audited(&world, None).await;
            let all = rows(&world, &server, "server", 0).await;
            let orphan = all.iter().find(|r| r.0 == "orphan").unwrap();
            let end = if earlier_s > 0 { began_s } else { orphan.1 };
            assert_eq!(orphan.2, Some(end), "{all:?}");
            assert!(all.iter().any(|r| r.0 == "used" && r.2.is_none()), "{all:?}");
        }
    }
}

#[tokio::test]
async fn too_many_orphans_at_once_are_frozen_until_a_user_sets_the_limit() {
    let world = World::new(Database::Sqlite).await;
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(stray(&world).await.1);
    }
    audited(&world, Some(json!({"fix": true, "policy": "delete"}))).await;
    world.advance_ms(3_700_000);
    let zone = audited(&world, None).await;
    assert!(zone["frozen"].as_str().unwrap().contains("looks like a mistake"), "{zone:#}");
    assert_eq!((ids(&zone, "taken").len(), world.left().0), (0, 3));
    let zone = audited(&world, Some(json!({"fix": true, "policy": "delete", "max": 3}))).await;
    assert_eq!(ids(&zone, "taken").len(), 3, "{zone:#}");
    world.settle().await;
    assert_eq!(world.left(), (0, 0, 0));
}

#[tokio::test]
async fn an_invalid_audit_request_is_refused_and_starts_nothing() {
    let world = World::new(Database::Sqlite).await;
    for (body, word) in [
        (json!({"fix": true, "policy": "kill"}), "report or delete"),
        (json!({"policy": "delete"}), "`fix`"),
        (json!({"fix": true, "max": 0}), "1 to 1000"),
        (json!({"fixx": true}), "fixx: unknown field"),
    ] {
        let (status, problem) = world.call("POST", "/audit", Some(body.clone())).await;
        assert_eq!(status, 422, "{body} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    let (_, audit) = world.call("GET", "/audit", None).await;
    assert!(audit["zones"].as_array().unwrap().iter().all(|z| z["requested_at"].is_null()), "{audit:#}");
}

#[tokio::test]
async fn an_account_that_owns_resources_stays_listed() {
    for database in Database::both() {
        let world = World::new(database).await;
        let account = format!("scaleway:{PROJECT}");
        let remove = |id: String| {
            let world = &world;
            async move { world.call("DELETE", &format!("/accounts/{id}"), None).await }
        };
        let id = world
            .create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50, "delete_on_terminate": false}))
            .await;
        for status in ["ready", "terminated"] {
            world.until_status(&id, status).await;
            let (status, problem) = remove(account.clone()).await;
            assert_eq!(
                (status, problem["type"].as_str()),
                (409, Some("urn:inventiv:account_owns_resources")),
                "{problem}"
            );
            world.terminate(&id).await;
        }
        let (_, volumes) = world.call("GET", "/volumes?status=retained", None).await;
        let path = format!("/volumes/{}", volumes["items"][0]["id"].as_str().unwrap());
        world.call("PATCH", &path, Some(json!({"delete_on_terminate": true}))).await;
        world.settle().await;
        assert_eq!(remove(account.clone()).await.1["type"], "urn:inventiv:account_in_use");
        world.store.remember_account("scaleway:other", "scaleway", "other", Timestamp(1)).await.unwrap();
        assert_eq!(world.call("GET", "/accounts", None).await.1.as_array().unwrap().len(), 2);
        add_orphan_row(&world, "s-1", "scaleway:other", 0).await;
        assert_eq!(remove("scaleway:other".to_owned()).await.0, 204);
        let ended = rows(&world, "s-1", "server", 0).await;
        assert!(ended[0].2.is_some(), "nobody looks for it any more: {ended:?}");
        assert_eq!(remove("scaleway:other".to_owned()).await.0, 404);
        assert_eq!(world.call("GET", "/accounts", None).await.1.as_array().unwrap().len(), 1);
    }
}
