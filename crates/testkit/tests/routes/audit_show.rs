//! Tests of `GET /audit`: what audits and proofs report, and what they must not conclude.

use crate::helpers::{audit, request};
use inventiv_core::name::CloudName;
use inventiv_testkit::{Database, Fault, PROJECT, World};
use serde_json::{Value, json};

const ZONE: &str = "fr-par-2";

fn zone(audit: &Value) -> &Value {
    audit["zones"].as_array().unwrap().iter().find(|z| z["zone"] == ZONE).unwrap()
}

fn findings(audit: &Value) -> Vec<(String, String)> {
    let all = audit["zones"].as_array().unwrap().iter().flat_map(|z| z["findings"].as_array().unwrap());
    all.map(|f| (f["kind"].as_str().unwrap().to_owned(), f["provider_id"].as_str().unwrap().to_owned())).collect()
}

fn block_volume(world: &World, name: &str) -> String {
    let tags = CloudName::parse(name).map(|n| n.tags()).unwrap_or_default();
    let body = json!({"name": name, "tags": tags, "project_id": PROJECT, "from_empty": {"size": 10_000_000_000_i64}});
    let made = world.third_party("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(body));
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_instance_is_clean_during_its_whole_life_cycle_and_its_end_is_proven() {
    for database in Database::both() {
        let world = World::new(database).await;
        let (_, before) = world.call("GET", "/audit", None).await;
        assert_eq!(before["verdict"], "inconclusive", "no audit has run yet");
        block_volume(&world, "wedding-photos");
        let id = world.create(request()).await;
        for _ in 0..12 {
            let found = audit(&world).await;
            assert_eq!((found["verdict"].as_str(), findings(&found)), (Some("clean"), vec![]), "{found:#}");
            world.tick().await;
        }
        world.until_status(&id, "ready").await;
        let found = audit(&world).await;
        assert_eq!((&zone(&found)["claimed"], &zone(&found)["foreign"]), (&json!(4), &json!(1)), "{found:#}");
        let (status, living) = world.call("GET", &format!("/instances/{id}/proof"), None).await;
        assert_eq!((status, &living["clean"]), (200, &json!(false)));
        assert_eq!(living["open"].as_array().unwrap().len(), 5, "the instance, a server, three volumes: {living:#}");
        let shown = world.show(&id).await;
        let data = shown["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").unwrap()["id"].clone();
        let kept = json!({"delete_on_terminate": false});
        assert_eq!(world.call("PATCH", &format!("/volumes/{}", data.as_str().unwrap()), Some(kept)).await.0, 200);
        world.terminate(&id).await;
        while world.show(&id).await["status"] != "terminated" {
            let found = audit(&world).await;
            assert_eq!((found["verdict"].as_str(), findings(&found)), (Some("clean"), vec![]), "{found:#}");
            let (_, proof) = world.call("GET", &format!("/instances/{id}/proof"), None).await;
            if world.show(&id).await["status"] != "terminated" {
                assert_eq!(proof["clean"], false, "{proof:#}");
            }
            world.tick().await;
        }
        let (_, proof) = world.call("GET", &format!("/instances/{id}/proof"), None).await;
        assert_eq!((&proof["clean"], &proof["open"]), (&json!(true), &json!([])), "{proof:#}");
        assert_eq!(proof["kept_hourly_micros"], 50 * 130);
        let states: Vec<&Value> = proof["resources"].as_array().unwrap().iter().map(|r| &r["cleanup_state"]).collect();
        assert_eq!(states.iter().filter(|s| **s == "gone").count(), 3, "{proof:#}");
        assert_eq!(states.iter().filter(|s| **s == "kept").count(), 1);
        for gone in proof["resources"].as_array().unwrap().iter().filter(|r| r["cleanup_state"] == "gone") {
            assert!(gone["proof"]["answer"].as_str().unwrap().contains("404"), "{gone:#}");
            assert!(
                gone["proof"]["absent_from_listing_begun_at"].is_string() && gone["proof"]["request_id"].is_string()
            );
            let calls: Vec<&str> =
                gone["calls"].as_array().unwrap().iter().filter_map(|c| c["action"].as_str()).collect();
            assert!(calls.iter().any(|c| c.contains("PROVE")), "{calls:?}");
            assert!(calls.iter().any(|c| *c == "PROVIDER_CREATE" || *c == "VOLUME_FOUND"), "{calls:?}");
        }
        let found = audit(&world).await;
        assert_eq!((found["verdict"].as_str(), &found["retained"]), (Some("clean"), &json!(1)), "{found:#}");
        assert_eq!(found["retained_hourly_micros"], 50 * 130);
    }
}

#[tokio::test]
async fn an_unrecorded_resource_with_our_name_is_an_orphan_and_stays() {
    let world = World::new(Database::Sqlite).await;
    // As after restoring a backup older than the instance.
    let orphan = block_volume(&world, "iva-test-01m86rk2qmesxrdw5wyw755y9a-data-1-d");
    block_volume(&world, "iva-prod-01m86rk2qmesxrdw5wyw755y9a-data-1-d");
    let found = audit(&world).await;
    assert_eq!(
        (found["verdict"].as_str(), findings(&found)),
        (Some("findings"), vec![("orphan".into(), orphan.clone())])
    );
    assert_eq!((&zone(&found)["records_look_rolled_back"], &zone(&found)["foreign"]), (&json!(true), &json!(1)));
    for _ in 0..30 {
        world.advance_ms(300_000);
        world.resync().await;
        world.orchestrator.audit_due().await.unwrap();
    }
    assert_eq!(world.left().1, 2, "unrecorded resources are not deleted");
    assert_eq!(findings(&audit(&world).await), [("orphan".to_owned(), orphan)]);
}

#[tokio::test]
async fn a_detached_volume_created_with_our_server_is_a_suspect_and_stays() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.tick().await;
    let suspect = block_volume(&world, "Ubuntu 24.04 Noble Numbat_sbs_volume_0");
    world.until_status(&id, "ready").await;
    let found = audit(&world).await;
    assert_eq!(findings(&found), [("suspect".to_owned(), suspect.clone())], "{found:#}");
    assert_eq!(zone(&found)["findings"][0]["instance_id"], json!(id));
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    assert_eq!(findings(&audit(&world).await), [("suspect".to_owned(), suspect)], "it is still reported after the end");
    assert_eq!(world.left(), (0, 1, 0));
    // Created long after our server: not a suspect.
    world.advance_ms(3_600_000);
    block_volume(&world, "Ubuntu 24.04 Noble Numbat_sbs_volume_0");
    assert_eq!(findings(&audit(&world).await).len(), 1);
}

#[tokio::test]
async fn what_is_recorded_and_not_shown_is_missing() {
    let world = World::new(Database::Sqlite).await;
    let id = world
        .create(
            json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50, "delete_on_terminate": false}),
        )
        .await;
    world.until_status(&id, "ready").await;
    world.terminate(&id).await;
    let shown = world.until_status(&id, "terminated").await;
    let kept = shown["storages"].as_array().unwrap().iter().find(|v| v["status"] == "retained").unwrap();
    let (here, kept) = (kept["id"].as_str().unwrap(), kept["provider_volume_id"].as_str().unwrap());
    world.advance_ms(10_000);
    world.third_party("DELETE", &format!("/block/v1/zones/{ZONE}/volumes/{kept}"), None);
    // It was the only volume: credentials that lost block storage would show the same.
    let found = audit(&world).await;
    assert!(found["verdict"] == "inconclusive" && found.to_string().contains("block storage"), "{found:#}");
    block_volume(&world, "theirs");
    let found = audit(&world).await;
    assert_eq!(findings(&found), [("missing".to_owned(), kept.to_owned())], "{found:#}");
    assert!(zone(&found)["findings"][0]["remedy"].as_str().unwrap().contains("volume release"), "{found:#}");
    let release = json!({"delete_on_terminate": true});
    assert_eq!(world.call("PATCH", &format!("/volumes/{here}"), Some(release)).await.0, 200);
    world.settle().await;
    let (_, volume) = world.call("GET", &format!("/volumes/{here}"), None).await;
    assert!(volume["status"] == "deleted" && volume["proof"].is_object(), "{volume:#}");
    assert_eq!(audit(&world).await["verdict"], "clean", "following the remedy ends the finding");
}

#[tokio::test]
async fn it_says_that_it_cannot_say() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    assert_eq!(audit(&world).await["verdict"], "clean");
    let answer =
        |status: u16, body: &str| Fault::Answer { status, content_type: "application/json", body: body.to_owned() };
    let denied = r#"{"message":"insufficient permissions","type":"permissions_denied","details":[]}"#;
    for (fault, why) in [
        (answer(403, denied), "credentials"),
        (answer(200, r#"{"servers":[],"total_count":7}"#), "may be incomplete"),
        (answer(500, "{}"), "cannot be listed"),
    ] {
        world.wire.fail("GET", &format!("{ZONE}/servers"), 100, fault);
        let found = audit(&world).await;
        assert_eq!(found["verdict"], "inconclusive", "{why}: {found:#}");
        assert!(zone(&found)["inconclusive"].as_str().unwrap().contains(why), "{why}: {found:#}");
        assert_eq!(findings(&found), [], "no conclusions");
        world.wire.heal();
    }
    assert_eq!(audit(&world).await["verdict"], "clean");
    // The view of another project: complete and empty, or without ours.
    world.third_party("POST", "/_emulator/reset", None);
    let found = audit(&world).await;
    assert!(
        zone(&found)["inconclusive"].as_str().is_some_and(|w| w.contains("no security group of project")),
        "{found:#}"
    );
    assert_eq!(findings(&found), []);
    block_volume(&world, "photos");
    let found = audit(&world).await;
    assert!(zone(&found)["inconclusive"].as_str().is_some_and(|w| w.contains("see the project")), "{found:#}");
    assert_eq!(findings(&found), []);
}

#[tokio::test]
async fn a_failing_deletion_is_reported_as_stuck_with_reason_cost_and_remedy() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    let denied = r#"{"message":"insufficient permissions","type":"permissions_denied","details":[]}"#;
    let fault = Fault::Answer { status: 403, content_type: "application/json", body: denied.to_owned() };
    world.wire.fail("DELETE", "block/v1", 10_000, fault);
    world.terminate(&id).await;
    for _ in 0..60 {
        world.tick().await;
    }
    assert_eq!(world.show(&id).await["stuck"], json!([]), "not stuck yet");
    for _ in 0..60 {
        world.advance_ms(20_000);
        world.tick().await;
    }
    let shown = world.show(&id).await;
    let stuck = shown["stuck"].as_array().unwrap();
    assert_eq!(stuck.len(), 2, "boot and data volume: {shown:#}");
    assert!(stuck.iter().all(|s| s["remedy"].as_str().unwrap().contains("credentials")), "{shown:#}");
    assert!(stuck.iter().all(|s| s["reason"].as_str().unwrap().contains("insufficient permissions")));
    let cost: Vec<i64> = stuck.iter().filter_map(|s| s["hourly_micros"].as_i64()).collect();
    assert_eq!(cost.iter().sum::<i64>(), (50 + 20) * 130, "{shown:#}");
    let found = audit(&world).await;
    assert_eq!((found["verdict"].as_str(), &found["stuck"]), (Some("findings"), &json!(2)), "{found:#}");
    assert_eq!(found["stuck_instances"], json!([id]), "{found:#}");
    world.wire.heal();
    for _ in 0..30 {
        world.advance_ms(60_000);
        world.tick().await;
    }
    assert_eq!(world.show(&id).await["status"], "terminated", "it continues by itself");
    assert_eq!(audit(&world).await["verdict"], "clean");
}

#[tokio::test]
async fn a_server_whose_state_allows_no_deletion_is_stuck_too() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "booting").await;
    // It starts for ever: no removal is allowed in that state, so none is ever sent.
    world.emulator.add_fault(&json!({"method": "POST", "path": "*/action", "effect": {"then": "hang"}})).unwrap();
    world.until(5, "the start is sent", async |w| w.actions(&id).await.contains(&"PROVIDER_START".to_owned())).await;
    world.terminate(&id).await;
    for _ in 0..100 {
        world.advance_ms(10_000);
        world.tick().await;
    }
    let shown = world.show(&id).await;
    assert!(shown["stuck"].as_array().is_some_and(|s| !s.is_empty()), "{shown:#}");
    let found = audit(&world).await;
    assert_eq!(found["verdict"], "findings", "{found:#}");
    assert_eq!(found["stuck"].as_u64().map(|n| n > 0), Some(true), "{found:#}");
}

#[tokio::test]
async fn a_zone_not_audited_recently_with_these_credentials_is_not_called_clean() {
    let world = World::new(Database::Sqlite).await;
    let account = format!("scaleway:{PROJECT}");
    assert_eq!(audit(&world).await["verdict"], "clean");
    world.advance_ms(1_900_000);
    let (_, old) = world.call("GET", "/audit", None).await;
    assert_eq!(old["verdict"], "inconclusive", "{old:#}");
    assert!(old["inconclusive"][0].as_str().unwrap().contains("too long ago"));
    assert_eq!(audit(&world).await["verdict"], "clean");
    // A zone that was ever listed stays in the audit, even if the configuration drops it; an invalid zone does not.
    let zones =
        || async { world.store.audits(&account).await.unwrap().into_iter().map(|z| z.zone).collect::<Vec<_>>() };
    world.store.expect_audits(&account, &[ZONE.to_owned(), "xx-nil-9".to_owned()]).await.unwrap();
    assert_eq!(zones().await, ["fr-par-1", ZONE, "pl-waw-2", "xx-nil-9"]);
    assert_eq!(audit(&world).await["verdict"], "inconclusive");
    world.store.expect_audits(&account, &[ZONE.to_owned()]).await.unwrap();
    assert_eq!(zones().await, ["fr-par-1", ZONE, "pl-waw-2"]);
    // The control plane is started with credentials of another project, while instances of this one exist.
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    assert_eq!(audit(&world).await["verdict"], "clean");
    let now = inventiv_core::time::Timestamp(1);
    world.store.remember_account("scaleway:other", "scaleway", "other", now).await.unwrap();
    sqlx::any::install_default_drivers();
    let database = sqlx::AnyPool::connect(&world.database_url).await.unwrap();
    sqlx::query("UPDATE instances SET account_id = 'scaleway:other'").execute(&database).await.unwrap();
    let (_, found) = world.call("GET", "/audit", None).await;
    assert_eq!(
        (found["verdict"].as_str(), &found["unaudited_accounts"]),
        (Some("inconclusive"), &json!(["scaleway:other"]))
    );
}
