//! Tests of misleading evidence: stale reads, records older than the cloud, credentials that lose the project.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Backup, Database, Fault, World};
use serde_json::{Value, json};

const ZONE: &str = "fr-par-2";

fn request() -> Value {
    json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50})
}

async fn proof(world: &World, id: &str) -> Value {
    world.call("GET", &format!("/instances/{id}/proof"), None).await.1
}

fn data_volume(shown: &Value) -> Value {
    shown["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").unwrap().clone()
}

/// Makes every read show the state of `ms` ago. The emulator knows no state from before the fault was set.
fn lag(world: &World, ms: i64, path: &str) {
    world.emulator.add_fault(&json!({"method": "GET", "path": path, "effect": {"lag_ms": ms}})).unwrap();
}

#[tokio::test]
async fn reads_that_are_stale_for_a_whole_life_cycle_lose_nothing() {
    for (database, ms) in Database::both().into_iter().flat_map(|d| [2_000, 15_000, 50_000].map(|ms| (d, ms))) {
        let world = World::new(database).await;
        lag(&world, ms, "*");
        let id = world.create(request()).await;
        world.until_status(&id, "ready").await;
        assert_eq!(world.left().0, 1, "{ms}");
        world.terminate(&id).await;
        world.until_status(&id, "terminated").await;
        for _ in 0..6 {
            world.advance_ms(61_000);
            world.resync().await;
            world.settle().await;
        }
        assert_eq!(world.left(), (0, 0, 0), "{ms}");
        let shown = proof(&world, &id).await;
        assert_eq!(
            (&shown["clean"], shown["certainty"].as_str()),
            (&json!(true), Some("confirmed")),
            "{ms}: {shown:#}"
        );
        let reported = world.actions(&id).await;
        assert!(!reported.iter().any(|a| a.ends_with("_DISAPPEARED")), "{ms}: {reported:?}");
        assert_eq!(reported.iter().filter(|a| *a == "PROVIDER_CREATE").count(), 1, "{ms}: {reported:?}");
    }
}

#[tokio::test]
async fn what_stale_reads_proved_gone_is_deleted_once_it_reappears() {
    for database in Database::both() {
        let world = World::new(database).await;
        // An earlier instance left the zone's security group, which proves that the credentials can see the project.
        let earlier = world.create(request()).await;
        world.until_status(&earlier, "ready").await;
        world.terminate(&earlier).await;
        world.until_status(&earlier, "terminated").await;
        // A third party's volume proves that they can see block storage.
        let other = json!({"name": "theirs", "project_id": inventiv_testkit::PROJECT, "from_empty": {"size": 10_000_000_000_i64}});
        world.third_party("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(other));
        world.advance_ms(200_000);
        lag(&world, 55_000, "/remembered");
        let id = world.create(request()).await;
        world.until_status(&id, "ready").await;
        world.terminate(&id).await;
        world.tick().await;
        // From here on, reads show the state before its creation.
        lag(&world, 55_000, "*");
        for _ in 0..20 {
            world.advance_ms(1_000);
            world.tick().await;
        }
        let shown = proof(&world, &id).await;
        assert_eq!((shown["status"].as_str(), shown["certainty"].as_str()), (Some("terminated"), Some("provisional")));
        assert!(world.left().1 > 1, "the reads were stale: {shown:#}");
        for _ in 0..6 {
            world.advance_ms(61_000);
            world.resync().await;
            world.settle().await;
        }
        assert_eq!(world.left(), (0, 1, 0));
        let shown = proof(&world, &id).await;
        assert_eq!((&shown["clean"], shown["certainty"].as_str()), (&json!(true), Some("confirmed")), "{shown:#}");
        assert!(world.actions(&id).await.contains(&"RESOURCE_REAPPEARED".to_owned()));
    }
}

async fn half_an_hour(world: &World) {
    for _ in 0..30 {
        world.advance_ms(60_000);
        world.resync().await;
        world.tick().await;
    }
}

async fn audited(world: &World) -> Value {
    world.call("POST", "/audit", Some(json!({}))).await;
    world.advance_ms(1);
    world.orchestrator.audit_due().await.unwrap();
    world.call("GET", "/audit", None).await.1
}

fn zone(found: &Value) -> &Value {
    found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == ZONE).unwrap()
}

fn names(world: &World) -> Vec<String> {
    let state = world.emulator.state();
    let names = |list: &str| {
        let rows = state[list].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|r| r["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    [names("servers"), names("volumes")].concat()
}

#[tokio::test]
async fn a_restored_backup_never_deletes_what_users_want_to_keep() {
    for (database, recover) in Database::both().into_iter().flat_map(|d| [(d, false), (d, true)]) {
        let world = World::new(database).await;
        let (living, ended) = (world.create(request()).await, world.create(request()).await);
        world.until_status(&living, "ready").await;
        world.until_status(&ended, "ready").await;
        let old = world.backup().await;
        for id in [&living, &ended] {
            let volume = data_volume(&world.show(id).await);
            let path = format!("/volumes/{}", volume["id"].as_str().unwrap());
            world.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await;
        }
        world.terminate(&ended).await;
        world.until_status(&ended, "terminated").await;
        world.settle().await;
        let kept = names(&world).into_iter().filter(|n| n.ends_with("-k1")).count();
        assert_eq!(kept, 2, "{:?}", names(&world));
        let world = world.restored(old).await;
        if recover {
            let plan = world.orchestrator.plan_recovery().await.unwrap();
            assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 2);
        } else {
            let found = audited(&world).await;
            assert_eq!((found["verdict"].as_str(), &found["conflicts"]), (Some("findings"), &json!(2)), "{found:#}");
            assert_eq!(zone(&found)["records_look_rolled_back"], true, "{found:#}");
        }
        half_an_hour(&world).await;
        let kept = names(&world).into_iter().filter(|n| n.ends_with("-k1")).count();
        assert_eq!(kept, 2, "{:?}", names(&world));
        assert_eq!(world.left().0, 1, "the live server");
        let shown = world.show(&living).await;
        assert_eq!(shown["notes"].to_string().contains("frozen"), !recover, "{shown:#}");
        let asked = json!({"delete_on_terminate": recover});
        // A person decides: keep it if the policy is frozen, else delete it.
        let volume = data_volume(&shown);
        world.call("PATCH", &format!("/volumes/{}", volume["id"].as_str().unwrap()), Some(asked)).await;
        world.terminate(&living).await;
        world.until_status(&living, "terminated").await;
        half_an_hour(&world).await;
        let kept = names(&world).into_iter().filter(|n| n.contains("-k")).count();
        assert_eq!((world.left().0, kept), (0, if recover { 1 } else { 2 }), "{:?}", names(&world));
    }
}

/// The cloud after a series of steps, and a backup from before each step.
struct History {
    world: World,
    backups: Vec<Backup>,
}

/// Draws eight steps: create an instance with or without a kept volume, change the policy, terminate.
async fn history(database: Database, seed: u64) -> History {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = World::new(database).await;
    let foreign =
        json!({"name": "theirs", "project_id": inventiv_testkit::PROJECT, "from_empty": {"size": 10_000_000_000_i64}});
    world.third_party("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(foreign));
    let (mut ids, mut living, mut backups) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..8 {
        backups.push(world.backup().await);
        let drawn = rng.u8(..4);
        if ids.is_empty() || (drawn == 0 && ids.len() < 3) {
            let mut body = request();
            body["delete_on_terminate"] = json!(rng.bool());
            let id = world.create(body).await;
            world.until_status(&id, "ready").await;
            ids.push(id.clone());
            living.push(id);
        } else if drawn == 1 && !living.is_empty() {
            let id = living.remove(rng.usize(..living.len()));
            world.terminate(&id).await;
            world.until_status(&id, "terminated").await;
        } else {
            let id = &ids[rng.usize(..ids.len())];
            let volume = data_volume(&world.show(id).await);
            let change = json!({"delete_on_terminate": volume["delete_on_terminate"] != true});
            world.call("PATCH", &format!("/volumes/{}", volume["id"].as_str().unwrap()), Some(change)).await;
        }
        world.advance_ms(70_000);
        world.resync().await;
        world.settle().await;
    }
    History { world, backups }
}

/// Draws histories from seeds and restores each of their backups, with and without `recover`, followed by an audit that
/// may delete orphans.
#[tokio::test]
async fn after_any_restore_no_live_kept_or_foreign_resource_is_deleted() {
    let (mut restored, mut reported) = (0, 0);
    for (database, seeds) in Database::both().into_iter().zip([0..10, 10..14]) {
        for seed in seeds {
            let History { world, backups } = history(database, seed).await;
            let mut kept: Vec<String> = names(&world);
            // The records may know a decision to delete a volume. Only servers, foreign volumes and volumes with a keep
            // policy in their names must survive.
            kept.retain(|n| n == "theirs" || n.contains("-server-") || n.contains("-k"));
            for (point, backup) in backups.into_iter().enumerate() {
                let recovers = seed % 2 == u64::try_from(point % 2).unwrap();
                let world = world.restored(backup).await;
                if recovers {
                    let plan = world.orchestrator.plan_recovery().await.unwrap();
                    world.orchestrator.apply_recovery(&plan).await.unwrap();
                }
                let found = audited(&world).await;
                reported += usize::from(found["verdict"] == "findings");
                half_an_hour(&world).await;
                let now = names(&world);
                let lost: Vec<&String> = kept.iter().filter(|n| !now.contains(n)).collect();
                assert!(
                    lost.is_empty(),
                    "{database:?}, seed {seed}, backup {point}, recover {recovers}: lost {lost:?} of {kept:?}, now {now:?}"
                );
                restored += 1;
            }
        }
    }
    assert!(restored >= 80 && reported >= 20, "{restored} restored, {reported} reported");
}

/// The process dies after writing the policy to the cloud and before answering; then an old backup is restored.
#[tokio::test]
async fn a_policy_that_reached_the_cloud_holds_even_if_its_answer_was_lost() {
    for database in Database::both() {
        let world = World::new(database).await;
        let id = world.create(request()).await;
        world.until_status(&id, "ready").await;
        world.settle().await;
        let backup = world.backup().await;
        let volume = data_volume(&world.show(&id).await);
        world.wire.fail("PATCH", "/block/", 1, Fault::LoseAnswer);
        let path = format!("/volumes/{}", volume["id"].as_str().unwrap());
        world.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await;
        world.tick().await;
        assert_eq!(world.wire.fired(), 1);
        assert!(names(&world).iter().any(|n| n.ends_with("-k1")), "{:?}", names(&world));
        let world = world.restored(backup).await;
        world.terminate(&id).await;
        half_an_hour(&world).await;
        assert!(names(&world).iter().any(|n| n.ends_with("-k1")), "{database:?}: {:?}", names(&world));
        assert!(world.show(&id).await["notes"].to_string().contains("frozen"));
    }
}

#[tokio::test]
async fn a_recovery_plan_and_reads_write_nothing() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    world.settle().await;
    let before = world.backup().await;
    world.orchestrator.plan_recovery().await.unwrap();
    for path in [
        "/instances",
        "/volumes",
        "/audit",
        "/offers",
        "/zones",
        "/action_logs",
        "/metrics",
        "/readyz",
        &format!("/instances/{id}/proof"),
        &format!("/instances/{id}/explain"),
        &format!("/instances/{id}"),
    ] {
        world.call("GET", path, None).await;
    }
    let after = world.backup().await;
    assert!(before.bytes() == after.bytes(), "the database is byte-identical before and after");
}
