//! Tests of a long history: frequent queries do not scan ended instances, and deleting old lines of the action log
//! keeps every proof.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::event_kind::EventKind;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::Clock;
use inventiv_testkit::past::repeat_life;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// So many ended instances that a sequential scan would be a mistake of the query planner.
const LIVES: u32 = 5_000;
const DAY_MS: i64 = 86_400_000;

fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct", "data_volume_gb": 20,
        "engine": {"kind": "none"}})
}

/// Rows read by sequential scans, by large table or partition. For small ones, a scan is the best plan.
async fn walked(url: &str) -> BTreeMap<String, i64> {
    let mut c = PgConnection::connect(url).await.unwrap();
    // PostgreSQL publishes the counts of a connection when it ends.
    let others = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let began = std::time::Instant::now();
    while c.fetch_one(others).await.unwrap().get::<i64, _>(0) > 0 {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "a connection is still open");
        tokio::task::yield_now().await;
    }
    let read = "SELECT s.relname::text, s.seq_tup_read FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid \
        WHERE c.reltuples > 1000 AND c.relkind = 'r'";
    c.fetch_all(read).await.unwrap().iter().map(|r| (r.get(0), r.get(1))).collect()
}

/// All frequent queries of users, load balancers, Prometheus and the orchestrator, and one life cycle.
async fn everything_that_is_asked_often(world: &World, living: &str) {
    for path in [
        "/instances",
        "/instances?limit=500",
        "/instances?status=ready",
        "/instances?zone=fr-par-2&status=ready",
        "/instances?zone=pl-waw-2",
        "/instances?model_id=Qwen%2FQwen2.5-7B-Instruct&status=ready",
        "/instances?status=terminated",
        "/volumes",
        "/volumes?status=retained",
        "/volumes?status=attached&zone=fr-par-2",
        "/volumes?zone=pl-waw-2",
        &format!("/volumes?instance_id={living}"),
        "/action_logs",
        &format!("/action_logs?instance_id={living}"),
        &format!("/instances/{living}"),
        &format!("/instances/{living}/proof"),
        "/accounts",
        "/audit",
        "/metrics",
        "/readyz",
    ] {
        // More often than PostgreSQL plans a statement before it may switch to a generic plan.
        for _ in 0..8 {
            let (status, body) = world.call("GET", path, None).await;
            assert_eq!(status, 200, "{path}: {body}");
        }
    }
    for _ in 0..8 {
        let newest = world.store.newest_place().await.unwrap();
        assert!(world.store.changes(&newest, 100).await.unwrap().is_empty());
    }
    world.call("POST", "/audit", Some(json!({}))).await;
    world.orchestrator.audit_due().await.unwrap();
    let newest = world.store.newest_place().await.unwrap();
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    for _ in 0..8 {
        world.resync().await;
    }
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    world.store.number_changes().await.unwrap();
    assert!(world.store.changes(&newest, 100).await.unwrap().iter().any(|c| c.instance.instance.id.as_str() == id));
}

#[tokio::test(flavor = "multi_thread")]
async fn frequent_queries_do_not_scan_ended_instances() {
    if !Database::both().contains(&Database::Postgres) {
        return;
    }
    let world = World::new(Database::Postgres).await;
    let (over, living, keeper) =
        (world.create(request()).await, world.create(request()).await, world.create(request()).await);
    for id in [&over, &living, &keeper] {
        world.until_status(id, "ready").await;
    }
    let volumes = world.call("GET", &format!("/volumes?instance_id={keeper}"), None).await.1;
    let data = volumes["items"].as_array().unwrap().iter().find(|v| v["is_boot"] == false && v["size_gb"] == 20);
    let data = data.unwrap_or_else(|| panic!("{volumes:#}"))["id"].as_str().unwrap().to_owned();
    world.call("PATCH", &format!("/volumes/{data}"), Some(json!({"delete_on_terminate": false}))).await;
    for id in [&over, &keeper] {
        world.terminate(id).await;
        world.until_status(id, "terminated").await;
    }
    // Its proofs are confirmed, as for every ended instance.
    world.advance_ms(61_000);
    world.resync().await;
    let rows = repeat_life(&world.database_url, &over, LIVES).await;
    assert!(rows.iter().all(|(_, n)| *n > i64::from(LIVES)), "{rows:?}");
    let url = world.database_url.clone();
    let (emulator, clock, home) = {
        // Close its connections.
        let World { emulator, clock, home, store, orchestrator, api, .. } = world;
        drop((store, orchestrator, api));
        (emulator, clock, home)
    };
    let before = walked(&url).await;
    let world = World::resumed(url.clone(), home, emulator, clock).await;
    everything_that_is_asked_often(&world, &living).await;
    drop(world);
    assert_eq!(walked(&url).await, before);
    let whole = ["instances", "instance_servers", "instance_volumes", "action_logs", "instance_state_history"];
    assert!(whole.iter().all(|table| before.contains_key(*table)), "{before:?}");
    assert_eq!(before.len(), whole.len(), "and no other table: {before:?}");
}

fn lines(logs: &Value) -> Vec<String> {
    logs["items"].as_array().unwrap().iter().map(|l| l["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_lines_are_deleted_and_every_proof_stays_the_same() {
    for kind in Database::both() {
        let world = World::new(kind).await;
        let (over, keeper, living) =
            (world.create(request()).await, world.create(request()).await, world.create(request()).await);
        for id in [&over, &keeper, &living] {
            world.until_status(id, "ready").await;
        }
        let volumes = world.call("GET", &format!("/volumes?instance_id={keeper}"), None).await.1;
        for volume in volumes["items"].as_array().unwrap().iter().filter(|v| v["size_gb"] == 20) {
            let path = format!("/volumes/{}", volume["id"].as_str().unwrap());
            world.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await;
        }
        for id in [&over, &keeper] {
            world.terminate(id).await;
            world.until_status(id, "terminated").await;
        }
        let logs = async |id: &str| {
            lines(&world.call("GET", &format!("/action_logs?instance_id={id}&limit=500"), None).await.1)
        };
        let proof = async |id: &str| {
            let mut proof = world.call("GET", &format!("/instances/{id}/proof"), None).await.1;
            proof.as_object_mut().unwrap().remove("read_at");
            proof
        };
        let prune = async |before: Timestamp| {
            let (mut next, mut pages) = (Some(String::new()), 0);
            while let Some(after) = next {
                next = world.store.prune_action_logs(before, &after).await.unwrap();
                pages += 1;
            }
            pages
        };
        let ids = [&over, &keeper, &living];
        let mut before = Vec::new();
        for id in ids {
            before.push((logs(id).await, proof(id).await));
        }
        let ended = world.clock.now();
        assert_eq!(prune(ended.plus_ms(-DAY_MS)).await, 1, "no line is that old");
        for (id, (lines, _)) in ids.iter().zip(&before) {
            assert_eq!(logs(id).await, *lines);
        }
        // Enough lines for several pages.
        repeat_life(&world.database_url, &over, 300).await;
        world.advance_ms(10 * DAY_MS);
        assert!(prune(ended.plus_ms(DAY_MS)).await > 2);
        for (id, (_, reported)) in ids.iter().zip(&before) {
            assert_eq!(proof(id).await, *reported, "{kind:?}");
        }
        let (left, all) = (logs(&over).await, &before[0].0);
        assert!(all.contains(&"PROVIDER_ATTACH_VOLUME".to_owned()) && all.contains(&"PROVIDER_DELETE".to_owned()));
        assert!(!left.contains(&"PROVIDER_ATTACH_VOLUME".to_owned()) && left.contains(&"PROVIDER_DELETE".to_owned()));
        assert_eq!(logs(&keeper).await, before[1].0, "an instance with a kept volume keeps its lines");
        assert_eq!(logs(&living).await, before[2].0, "a live instance keeps its lines");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_deletes_lines_that_are_older_than_the_retention() {
    for kind in Database::both() {
        let world = World::new(kind).await;
        let id = world.create(request()).await;
        world.until_status(&id, "ready").await;
        world.terminate(&id).await;
        world.until_status(&id, "terminated").await;
        let ended = world.clock.now();
        let all = async || world.actions(&id).await;
        let (before, stop) = (all().await, CancellationToken::new());
        let replica = world.forgetful(30 * DAY_MS);
        // As long as the instance ended within the retention, all of its lines stay.
        world.advance_ms(ended.plus_ms(30 * DAY_MS - 60_000).ms_since(world.clock.now()));
        replica.delete_old_history(&stop).await.unwrap();
        assert_eq!(all().await, before, "{kind:?}");
        world.advance_ms(120_000);
        replica.delete_old_history(&stop).await.unwrap();
        let is_evidence = |action: &&String| EventKind::parse(action).is_some_and(EventKind::is_evidence);
        let left: Vec<String> = before.iter().filter(is_evidence).cloned().collect();
        assert!(left.len() < before.len());
        assert_eq!(all().await, left, "{kind:?}");
        let proof = world.call("GET", &format!("/instances/{id}/proof"), None).await.1;
        assert_eq!(proof["clean"], true, "{kind:?}");
    }
}
