//! Tests of drift: a third party changes our resources; we observe it, record it, and correct what is ours to correct.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

const ZONE: &str = "fr-par-2";

/// A ready instance: its id, its server's path, and its volumes.
async fn ready(world: &World) -> (String, String, Vec<Value>) {
    let id = world.create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50})).await;
    let shown = world.until_status(&id, "ready").await;
    world.settle().await;
    let server = format!("/instance/v1/zones/{ZONE}/servers/{}", shown["provider_instance_id"].as_str().unwrap());
    // Longer than our own changes of names may take to become visible.
    world.advance_ms(120_000);
    world.resync().await;
    (id, server, shown["storages"].as_array().unwrap().clone())
}

fn block_path(volume: &Value) -> String {
    format!("/block/v1/zones/{ZONE}/volumes/{}", volume["provider_volume_id"].as_str().unwrap())
}

fn of<'a>(volumes: &'a [Value], origin: &str) -> &'a Value {
    volumes.iter().find(|v| v["origin"] == origin && v["volume_type"] == "sbs_volume").unwrap()
}

#[tokio::test]
async fn names_and_tags_that_a_third_party_removes_are_reported_and_restored() {
    for database in Database::both() {
        let world = World::new(database).await;
        let (id, server, volumes) = ready(&world).await;
        let named = |path: &str| {
            let shown = world.third_party("GET", path, None);
            let shown = if shown["server"].is_object() { &shown["server"] } else { &shown };
            (shown["name"].clone(), shown["tags"].clone())
        };
        let (boot, data) = (block_path(of(&volumes, "cloud")), block_path(of(&volumes, "ours")));
        let before = [named(&server), named(&boot), named(&data)];
        let changes = world.requests("PATCH", "");
        world.resync().await;
        world.settle().await;
        assert_eq!(world.requests("PATCH", ""), changes, "without drift, nothing is changed");
        for path in [&server, &boot, &data] {
            world.third_party("PATCH", path, Some(json!({"name": "renamed by hand"})));
        }
        world.resync().await;
        world.settle().await;
        assert_eq!([named(&server), named(&boot), named(&data)], before, "restored in the next pass");
        world.advance_ms(120_000);
        world.resync().await;
        for path in [&server, &boot, &data] {
            world.third_party("PATCH", path, Some(json!({"tags": ["mine"]})));
        }
        world.resync().await;
        world.settle().await;
        assert_eq!([named(&server), named(&boot), named(&data)], before);
        let reported = world.actions(&id).await;
        let count = |name: &str| reported.iter().filter(|a| *a == name).count();
        assert_eq!((count("SERVER_RENAMED"), count("VOLUME_RENAMED")), (1, 2), "{reported:?}");
        assert_eq!((count("SERVER_UNTAGGED"), count("VOLUME_UNTAGGED")), (1, 2), "{reported:?}");
        assert_eq!(count("PROVIDER_TAG_SERVER"), 2, "{reported:?}");
        assert_eq!(world.show(&id).await["status"], "ready");
    }
}

#[tokio::test]
async fn a_volume_that_is_kept_stays_ours_after_its_instance_has_ended() {
    for database in Database::both() {
        let world = World::new(database).await;
        let (id, _, volumes) = ready(&world).await;
        let data = of(&volumes, "ours");
        let keep = json!({"delete_on_terminate": false});
        world.call("PATCH", &format!("/volumes/{}", data["id"].as_str().unwrap()), Some(keep)).await;
        world.terminate(&id).await;
        world.until_status(&id, "terminated").await;
        world.settle().await;
        let path = block_path(data);
        let named = || {
            let shown = world.third_party("GET", &path, None);
            (shown["name"].clone(), shown["tags"].clone())
        };
        let before = named();
        assert!(before.0.as_str().unwrap().ends_with("-k1"), "{before:?}");
        for change in [json!({"name": "renamed by hand"}), json!({"tags": ["mine"]})] {
            world.advance_ms(120_000);
            world.resync().await;
            world.third_party("PATCH", &path, Some(change));
            // The first attempt is refused.
            let refuse = json!({"method": "PATCH", "path": "/block/*", "times": 1, "effect": {"error": "internal_server_error"}});
            world.emulator.add_fault(&refuse).unwrap();
            world.resync().await;
            assert_ne!(named(), before);
            world.settle().await;
            assert_eq!(named(), before);
        }
        // A third party grows it: its cost follows the new size.
        world.third_party("PATCH", &path, Some(json!({"size": 70_000_000_000_i64})));
        world.advance_ms(30_000);
        world.resync().await;
        let (_, kept) = world.call("GET", "/volumes?status=retained", None).await;
        assert_eq!(
            (&kept["items"][0]["size_gb"], &kept["items"][0]["status"]),
            (&json!(70), &json!("retained")),
            "{kept:#}"
        );
        let reported = world.actions(&id).await;
        for name in ["VOLUME_RENAMED", "VOLUME_UNTAGGED", "VOLUME_RESIZED"] {
            assert_eq!(reported.iter().filter(|a| *a == name).count(), 1, "{name}: {reported:?}");
        }
        assert_eq!(world.show(&id).await["status"], "terminated");
        assert_eq!(world.call("GET", &format!("/instances/{id}/proof"), None).await.1["clean"], true);
    }
}

#[tokio::test]
async fn a_volume_that_accepts_no_tags_is_not_patched_repeatedly() {
    let emulator = scaleway_emulator::options::Options { block_tags_by_patch: false, ..Default::default() };
    let world = World::with(Database::Sqlite, inventiv_testkit::Setup { emulator, ..Default::default() }).await;
    let (id, ..) = ready(&world).await;
    let changes = world.requests("PATCH", "");
    for _ in 0..10 {
        world.advance_ms(120_000);
        world.resync().await;
        world.settle().await;
    }
    assert_eq!(world.requests("PATCH", ""), changes);
    assert!(!world.actions(&id).await.iter().any(|a| a.ends_with("_UNTAGGED")));
}

#[tokio::test]
async fn a_stop_a_detachment_and_a_resize_are_reported_once_and_left() {
    let world = World::new(Database::Sqlite).await;
    let (id, server, volumes) = ready(&world).await;
    let data = of(&volumes, "ours");
    world.third_party("PATCH", &block_path(data), Some(json!({"size": 70_000_000_000_i64})));
    let detach = json!({"volume_id": data["provider_volume_id"]});
    for _ in 0..3 {
        world.advance_ms(30_000);
        world.resync().await;
    }
    world.third_party("POST", &format!("{server}/detach-volume"), Some(detach));
    world.advance_ms(30_000);
    world.resync().await;
    world.third_party("POST", &format!("{server}/action"), Some(json!({"action": "poweroff"})));
    for _ in 0..5 {
        world.advance_ms(30_000);
        world.resync().await;
    }
    let reported = world.actions(&id).await;
    for name in ["VOLUME_RESIZED", "VOLUME_DETACHED", "SERVER_STOPPED"] {
        assert_eq!(reported.iter().filter(|a| *a == name).count(), 1, "{name}: {reported:?}");
    }
    let shown = world.show(&id).await;
    assert!(shown["storage_sizes_gb"].as_array().unwrap().contains(&json!(70)), "{shown:#}");
    assert!(shown["notes"].to_string().contains("a third party stopped the server"), "{shown:#}");
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    assert_eq!(world.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_server_and_a_volume_that_a_third_party_deletes_are_reported_and_leave_nothing() {
    let world = World::new(Database::Sqlite).await;
    let (id, server, volumes) = ready(&world).await;
    world.third_party("POST", &format!("{server}/action"), Some(json!({"action": "terminate"})));
    world.advance_ms(120_000);
    world.third_party("DELETE", &block_path(of(&volumes, "cloud")), None);
    world.resync().await;
    world.settle().await;
    let shown = world.show(&id).await;
    assert_eq!(shown["status"], "terminated", "{shown:#}");
    let reported = world.actions(&id).await;
    for name in ["SERVER_DISAPPEARED", "VOLUME_DISAPPEARED"] {
        assert_eq!(reported.iter().filter(|a| *a == name).count(), 1, "{name}: {reported:?}");
    }
    assert_eq!(world.left(), (0, 0, 0), "the data volume was deleted with its instance");
    assert_eq!(world.call("GET", &format!("/instances/{id}/proof"), None).await.1["clean"], true);
}

#[tokio::test]
async fn volumes_that_a_third_party_deletes_are_proven_gone_and_no_longer_charged() {
    for database in Database::both() {
        let world = World::new(database).await;
        let (lives, server, volumes) = ready(&world).await;
        let ended = world.create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50,
            "delete_on_terminate": false}));
        let ended = ended.await;
        world.until_status(&ended, "ready").await;
        world.terminate(&ended).await;
        let shown = world.until_status(&ended, "terminated").await;
        let kept = of(shown["storages"].as_array().unwrap(), "ours").clone();
        assert_eq!(kept["status"], "retained");
        let boot = of(&volumes, "cloud");
        let charged = || async {
            let costs = world.call("GET", "/costs/forecast", None).await.1["currencies"][0].clone();
            costs["hourly_micros"].as_i64().unwrap()
        };
        let before = charged().await;
        for _ in 0..5 {
            world.advance_ms(61_000);
            world.resync().await;
            world.settle().await;
        }
        assert_eq!(charged().await, before, "as long as they exist");
        let detach = json!({"volume_id": boot["provider_volume_id"]});
        world.third_party("POST", &format!("{server}/detach-volume"), Some(detach));
        world.advance_ms(10_000);
        for volume in [boot, &kept] {
            world.third_party("DELETE", &block_path(volume), None);
        }
        for _ in 0..5 {
            world.advance_ms(61_000);
            world.resync().await;
            world.settle().await;
        }
        for (instance, volume) in [(&lives, boot), (&ended, &kept)] {
            let shown = world.call("GET", &format!("/volumes/{}", volume["id"].as_str().unwrap()), None).await.1;
            assert!(shown["status"] == "deleted" && shown["proof"].is_object(), "{shown:#}");
            let reported = world.actions(instance).await;
            assert_eq!(reported.iter().filter(|a| *a == "VOLUME_DISAPPEARED").count(), 1, "{reported:?}");
        }
        assert_eq!(
            (world.show(&lives).await["status"].clone(), world.show(&ended).await["status"].clone()),
            (json!("ready"), json!("terminated"))
        );
        let hourly = |v: &Value| v["hourly_micros"].as_i64().unwrap_or_default();
        let fell = before - charged().await;
        assert!(fell > 0, "{before} {fell} {boot:#} {kept:#}");
        assert!((fell - hourly(boot) - hourly(&kept)).abs() <= 2, "{before} {fell} {boot:#} {kept:#}");
        world.terminate(&lives).await;
        world.until_status(&lives, "terminated").await;
        assert_eq!(world.left(), (0, 0, 0));
    }
}

#[tokio::test]
async fn tags_that_a_third_party_removes_right_after_we_set_them_are_reported_and_restored() {
    for database in Database::both() {
        let world = World::new(database).await;
        let id = world.create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50})).await;
        let shown = world.until_status(&id, "ready").await;
        let data = block_path(of(shown["storages"].as_array().unwrap(), "ours"));
        let before = world.third_party("GET", &data, None)["tags"].clone();
        assert_ne!(before, json!([]));
        world.third_party("PATCH", &data, Some(json!({"tags": []})));
        for _ in 0..4 {
            world.advance_ms(61_000);
            world.resync().await;
            world.settle().await;
        }
        assert_eq!(world.third_party("GET", &data, None)["tags"], before);
        let reported = world.actions(&id).await;
        assert!(
            reported.iter().any(|a| a.contains("RENAMED") || a.contains("TAG") && !a.starts_with("PROVIDER_")),
            "{reported:?}"
        );
    }
}
