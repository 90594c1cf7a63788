//! Tests of recovery from a lost or old database: live resources stay, and names in the cloud restore the records.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_orchestrator::Clock;
use inventiv_testkit::{Database, World, database};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ZONE: &str = "fr-par-2";

fn request(keep: bool) -> Value {
    json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50, "model_id": "Qwen/Qwen2.5-7B-Instruct",
        "engine": {"kind": "none"},
        "delete_on_terminate": !keep, "tags": ["team=a"]})
}

/// Every volume as (cloud id, boot, origin, policy, kind), sorted.
fn volumes(shown: &Value) -> Vec<String> {
    let text = |v: &Value| {
        let keys = ["provider_volume_id", "is_boot", "origin", "delete_on_terminate", "volume_type", "size_gb"];
        keys.map(|k| v[k].to_string()).join(" ")
    };
    let mut all: Vec<String> = shown["storages"].as_array().unwrap().iter().map(text).collect();
    all.sort();
    all
}

async fn audited(world: &World, body: Option<Value>) -> Value {
    let (status, answer) = world.call("POST", "/audit", body).await;
    assert_eq!(status, 202, "{answer}");
    world.advance_ms(1);
    world.orchestrator.audit_due().await.unwrap();
    world.call("GET", "/audit", None).await.1
}

/// What an instance cost until now, in millionths, by kind.
async fn micros(world: &World, id: &str) -> BTreeMap<String, i64> {
    let from = inventiv_types::Time(world.clock.now().plus_ms(-86_400_000));
    let (_, costs) = world.call("GET", &format!("/costs?group_by=kind&instance={id}&from={from}"), None).await;
    let one = |c: &Value| (c["key"].as_str().unwrap().to_owned(), c["micros"].as_i64().unwrap());
    costs["items"].as_array().unwrap().iter().map(one).collect()
}

/// Equal but for what a minute costs, and what observations take.
fn assert_about_the_same(now: &BTreeMap<String, i64>, before: &BTreeMap<String, i64>) {
    let is_close =
        |kind: &String| now.get(kind).is_some_and(|n| n.abs_diff(before[kind]) <= before[kind].unsigned_abs() / 100);
    assert!(now.len() == before.len() && before.keys().all(is_close), "{now:?} {before:?}");
}

#[tokio::test]
async fn an_empty_database_is_rebuilt_from_the_cloud_with_roles_and_policies() {
    for kind in Database::both() {
        let world = World::new(kind).await;
        let living = world.create(request(true)).await;
        let ended = world.create(request(true)).await;
        world.until_status(&living, "ready").await;
        world.until_status(&ended, "ready").await;
        // The policy changes after the creation: the name in the cloud must show it.
        let shown = world.show(&living).await;
        let data = shown["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").unwrap().clone();
        let path = format!("/volumes/{}", data["id"].as_str().unwrap());
        world.call("PATCH", &path, Some(json!({"delete_on_terminate": true}))).await;
        world.terminate(&ended).await;
        world.until_status(&ended, "terminated").await;
        world.settle().await;
        let before = world.show(&living).await;
        world.orchestrator.refresh_catalogue().await.unwrap();
        world.advance_ms(7_200_000);
        world.settle().await;
        let costs = micros(&world, &living).await;
        assert_eq!(costs.len(), 3, "{costs:?}");
        // Whether an audit found everything as orphans before or not, the ledger of what lives is the same again.
        let (url, home) = database(kind).await;
        let world = world.on_database(url, home).await;
        world.orchestrator.refresh_catalogue().await.unwrap();
        let plan = world.orchestrator.plan_recovery().await.unwrap();
        world.orchestrator.apply_recovery(&plan).await.unwrap();
        assert_about_the_same(&micros(&world, &living).await, &costs);
        let (url, home) = database(kind).await;
        let world = world.on_database(url, home).await;
        world.orchestrator.refresh_catalogue().await.unwrap();
        let found = audited(&world, None).await;
        assert_eq!((found["verdict"].as_str(), &found["orphans"]), (Some("findings"), &json!(5)), "{found:#}");

        let plan = world.orchestrator.plan_recovery().await.unwrap();
        assert_eq!(world.call("GET", "/instances", None).await.1["items"], json!([]), "a plan writes nothing");
        assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 2);
        assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 0, "again, nothing");

        assert_about_the_same(&micros(&world, &living).await, &costs);
        let after = world.show(&living).await;
        assert_eq!(volumes(&after), volumes(&before));
        for key in ["status", "provider_instance_id", "instance_type", "model_id", "ip_address", "storage_count"] {
            assert_eq!(after[key], before[key], "{key}");
        }
        let changes = world.requests("POST", "/action") + world.requests("DELETE", "");
        for _ in 0..5 {
            world.advance_ms(120_000);
            world.resync().await;
            world.settle().await;
        }
        assert_eq!(world.requests("POST", "/action") + world.requests("DELETE", ""), changes, "nothing changes");
        let found = audited(&world, None).await;
        assert_eq!((found["verdict"].as_str(), &found["retained"]), (Some("clean"), &json!(1)), "{found:#}");
        assert_eq!(world.show(&ended).await["status"], "terminated");

        world.terminate(&living).await;
        world.until_status(&living, "terminated").await;
        assert_eq!(world.left(), (0, 1, 0), "the kept volume of the other instance");
        let (_, kept) = world.call("GET", "/volumes?status=retained", None).await;
        let kept = kept["items"][0]["id"].as_str().unwrap().to_owned();
        world.call("PATCH", &format!("/volumes/{kept}"), Some(json!({"delete_on_terminate": true}))).await;
        world.settle().await;
        assert_eq!(world.left(), (0, 0, 0));
        let (_, proof) = world.call("GET", &format!("/instances/{living}/proof"), None).await;
        assert_eq!(proof["clean"], true, "{proof:#}");
        assert!(proof["recovered_at"].is_string() && proof["verdict"].as_str().unwrap().contains("rebuilt"));
    }
}

#[tokio::test]
async fn a_restored_backup_kills_nothing_that_lives_whatever_the_policy() {
    let world = World::new(Database::Sqlite).await;
    let old = world.create(request(false)).await;
    world.until_status(&old, "ready").await;
    world.settle().await;
    // The backup is taken here.
    let (url, home) = database(Database::Sqlite).await;
    let file = home.path().join("backup.db");
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&world.database_url).await.unwrap();
    let text = sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", file.display()));
    sqlx::query(text).execute(&pool).await.unwrap();
    let new = world.create(request(true)).await;
    let kept = world.create(request(true)).await;
    world.until_status(&new, "ready").await;
    world.until_status(&kept, "ready").await;
    world.terminate(&kept).await;
    world.until_status(&kept, "terminated").await;
    let held = world.left();
    assert_eq!(held, (2, 3 + 3 + 1, 2));
    let _ = url;
    let world = world.on_database(format!("sqlite:{}", file.display()), home).await;
    let delete = json!({"fix": true, "policy": "delete", "max": 1000});
    for _ in 0..30 {
        let found = audited(&world, Some(delete.clone())).await;
        let zone = found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == ZONE).unwrap();
        assert_eq!(zone["records_look_rolled_back"], true, "{zone:#}");
        assert!(zone["frozen"].as_str().unwrap().contains("inventiv recover"), "{zone:#}");
        assert_eq!((&zone["quarantined"], &zone["taken"]), (&json!([]), &json!([])));
        world.advance_ms(600_000);
        world.resync().await;
        assert_eq!(world.left(), held, "a live server or a kept volume is gone");
    }
    let plan = world.orchestrator.plan_recovery().await.unwrap();
    assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 2);
    world.resync().await;
    let found = audited(&world, None).await;
    assert_eq!((found["verdict"].as_str(), &found["retained"]), (Some("clean"), &json!(1)), "{found:#}");
    assert_eq!((world.left(), &world.show(&old).await["status"]), (held, &json!("ready")));
}

#[tokio::test]
async fn a_backup_from_before_the_creation_adopts_the_live_server_and_creates_no_second() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request(true)).await;
    // The backup is taken before the first call to the cloud.
    let (_, home) = database(Database::Sqlite).await;
    let file = home.path().join("backup.db");
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&world.database_url).await.unwrap();
    let text = sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", file.display()));
    sqlx::query(text).execute(&pool).await.unwrap();
    world.until_status(&id, "ready").await;
    let (before, held) = (world.show(&id).await, world.left());
    let world = world.on_database(format!("sqlite:{}", file.display()), home).await;
    world.until_status(&id, "ready").await;
    for _ in 0..10 {
        world.advance_ms(120_000);
        world.resync().await;
    }
    let after = world.show(&id).await;
    assert_eq!((world.left(), &after["provider_instance_id"]), (held, &before["provider_instance_id"]), "{after:#}");
    assert_eq!(volumes(&after), volumes(&before));
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    assert_eq!((world.left().0, world.left().1), (0, 1), "the volume to keep is kept");
}

#[tokio::test]
async fn nothing_is_created_in_a_zone_without_a_complete_listing() {
    let world = World::new(Database::Sqlite).await;
    for n in 0..101 {
        let body = json!({"name": format!("theirs-{n}"), "from_empty": {"size": 1_000_000_000_i64}});
        world.third_party("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(body));
    }
    world.emulator.add_fault(&json!({"path": "/block/*/volumes", "effect": {"shift": true}})).unwrap();
    let id = world.create(request(false)).await;
    for _ in 0..20 {
        world.tick().await;
        world.resync().await;
    }
    assert_eq!(world.requests("POST", "/servers"), 0, "the missed page may contain our server");
    assert!(world.show(&id).await["notes"].to_string().contains("did not shift"), "{:#}", world.show(&id).await);
    world.third_party("DELETE", "/_emulator/faults", None);
    world.until_status(&id, "ready").await;
    assert_eq!(world.left().0, 1);
}

#[tokio::test]
async fn a_project_that_shows_nothing_at_all_does_not_count_as_empty() {
    let world = World::new(Database::Sqlite).await;
    let plan = world.orchestrator.plan_recovery().await.unwrap();
    assert!(!plan.is_empty() && plan.iter().all(|z| z.found.as_ref().is_ok_and(|r| r.hidden.is_some())), "{plan:?}");
    let id = world.create(request(false)).await;
    world.until_status(&id, "ready").await;
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    let plan = world.orchestrator.plan_recovery().await.unwrap();
    let hidden = |zone: &str| plan.iter().find(|z| z.zone == zone).unwrap().found.as_ref().unwrap().hidden.is_some();
    assert!(
        !hidden(ZONE) && !hidden("fr-par-1"),
        "a zone that was used before proves that the credentials see everything: {plan:?}"
    );
}
