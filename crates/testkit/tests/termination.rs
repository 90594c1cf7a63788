//! Tests of termination: everything is found, deleted and proven gone; foreign and kept volumes are not touched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, Setup, World};
use scaleway_emulator::options::Options;
use serde_json::{Value, json};

/// The storage of every type is tried, whether the model fits its GPUs or not.
fn request(kind: &str) -> Value {
    json!({"zone": "fr-par-2", "instance_type": kind, "model_id": "Qwen/Qwen2.5-7B-Instruct", "force": true,
        "engine": {"kind": "none"}})
}

#[tokio::test]
async fn every_volume_is_found_deleted_and_proven_gone_and_nothing_remains() {
    for db in Database::both() {
        for kind in ["RENDER-S", "L40S-1-48G", "L4-1-24G", "DEV1-S", "PLAY2-PICO"] {
            let w = World::new(db).await;
            let mut request = request(kind);
            if !kind.starts_with('L') && kind != "RENDER-S" {
                request["image"] = json!("ubuntu_jammy");
            }
            let id = w.create(request).await;
            w.until_status(&id, "ready").await;
            w.terminate(&id).await;
            let shown = w.until_status(&id, "terminated").await;
            assert_eq!(w.left(), (0, 0, 0), "{kind}: {shown:#}");
            assert_eq!((&shown["storage_count"], &shown["storage_sizes_gb"]), (&json!(0), &json!([])));
            for v in shown["storages"].as_array().unwrap() {
                assert_eq!(v["status"], "deleted", "{v:#}");
                assert_eq!(v["proof"]["resource_id"], v["provider_volume_id"], "{v:#}");
                assert!(v["proof"]["answer"].as_str().unwrap().contains("404"), "{v:#}");
                assert!(v["proof"]["absent_from_listing_begun_at"].is_string(), "{v:#}");
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_volume_attached_to_our_server_is_detached_reported_and_not_deleted() {
    for db in Database::both() {
        for stop_first in [false, true] {
            let w = World::new(db).await;
            let id = w.create(request("L40S-1-48G")).await;
            let shown = w.until_status(&id, "ready").await;
            let server = shown["provider_instance_id"].as_str().unwrap().to_owned();
            let foreign = w.third_party(
                "POST",
                "/block/v1/zones/fr-par-2/volumes",
                Some(json!({"name": "theirs", "from_empty": {"size": 30_000_000_000_i64}})),
            );
            let volume = foreign["id"].as_str().unwrap().to_owned();
            w.advance_ms(10_000);
            let attach = json!({"volume_id": volume, "volume_type": "sbs_volume"});
            w.third_party("POST", &format!("/instance/v1/zones/fr-par-2/servers/{server}/attach-volume"), Some(attach));
            if stop_first {
                w.advance_ms(2_000);
                let path = format!("/instance/v1/zones/fr-par-2/servers/{server}/action");
                w.third_party("POST", &path, Some(json!({"action": "poweroff"})));
                w.advance_ms(60_000);
            }
            w.terminate(&id).await;
            let shown = w.until_status(&id, "terminated").await;
            let row = shown["storages"].as_array().unwrap().iter().find(|v| v["provider_volume_id"] == json!(volume));
            let row = row.unwrap_or_else(|| panic!("the foreign volume is not reported: {shown:#}"));
            assert_eq!((&row["origin"], &row["status"]), (&json!("foreign"), &json!("released")), "{row:#}");
            assert_eq!(row["delete_on_terminate"], false);
            let state = w.emulator.state();
            let left = state["volumes"].as_array().unwrap();
            assert_eq!(left.len(), 1, "{left:#?}");
            assert_eq!(
                (&left[0]["id"], &left[0]["server"]),
                (&json!(volume), &Value::Null),
                "it exists, detached from our server"
            );
            assert_eq!(left[0]["name"], "theirs", "it is unchanged");
            assert!(w.actions(&id).await.contains(&"PROVIDER_DETACH_VOLUME".to_owned()));
            assert_eq!(w.requests("DELETE", &volume), 0);
        }
    }
}

#[tokio::test]
async fn a_strangers_local_volume_is_saved_by_power_off_detach_and_delete() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("RENDER-S")).await;
    let shown = w.until_status(&id, "ready").await;
    let server = shown["provider_instance_id"].as_str().unwrap().to_owned();
    let body = json!({"name": "theirs", "volume_type": "l_ssd", "size": 10_000_000_000_i64});
    let foreign = w.third_party("POST", "/instance/v1/zones/fr-par-2/volumes", Some(body));
    let volume = foreign["volume"]["id"].as_str().unwrap().to_owned();
    let attach = json!({"volume_id": volume, "volume_type": "l_ssd"});
    w.third_party("POST", &format!("/instance/v1/zones/fr-par-2/servers/{server}/attach-volume"), Some(attach));
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    let actions = w.actions(&id).await;
    assert!(actions.contains(&"PROVIDER_STOP".to_owned()), "terminate would have deleted it: {actions:?}");
    let log = w.call("GET", &format!("/action_logs?instance_id={id}&limit=100"), None).await.1;
    let line = |action: &str| log["items"].as_array().unwrap().iter().find(|l| l["action"] == action).unwrap().clone();
    let (detached, deleted) = (line("PROVIDER_DETACH_VOLUME"), line("PROVIDER_DELETE"));
    let (ended, sent) = (detached["ended_at"].as_str().unwrap(), deleted["started_at"].as_str().unwrap());
    assert!(ended < sent, "the server was deleted before the detachment: {detached:#} {deleted:#}");
    let state = w.emulator.state();
    let ids: Vec<&Value> = state["volumes"].as_array().unwrap().iter().map(|v| &v["id"]).collect();
    assert_eq!(ids, [&json!(volume)], "only the third party's volume is left");
}

#[tokio::test]
async fn a_kept_volume_survives_and_can_be_released_later() {
    for db in Database::both() {
        let w = World::new(db).await;
        let mut request = request("L40S-1-48G");
        request["delete_on_terminate"] = json!(false);
        let id = w.create(request).await;
        w.until_status(&id, "ready").await;
        w.terminate(&id).await;
        let shown = w.until_status(&id, "terminated").await;
        assert_eq!(shown["storage_count"], 0, "a retained volume no longer belongs to the instance");
        let (_, page) = w.call("GET", "/volumes?status=retained", None).await;
        let kept = page["items"].as_array().unwrap().clone();
        assert_eq!(kept.len(), 1, "{page:#}");
        assert_eq!(w.left(), (0, 1, 0));
        let path = format!("/volumes/{}", kept[0]["id"].as_str().unwrap());
        assert_eq!(w.call("PATCH", &path, Some(json!({"delete_on_terminate": true}))).await.0, 200);
        w.settle().await;
        assert_eq!(w.left(), (0, 0, 0));
        let (_, volume) = w.call("GET", &path, None).await;
        assert_eq!(volume["status"], "deleted", "{volume:#}");
        assert!(volume["proof"].is_object());
        assert_eq!(w.show(&id).await["status"], "terminated");
    }
}

#[tokio::test]
async fn a_local_boot_volume_can_be_kept_and_its_name_shows_it() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("RENDER-S")).await;
    let shown = w.until_status(&id, "ready").await;
    let boot = shown["storages"][0].clone();
    let path = format!("/volumes/{}", boot["id"].as_str().unwrap());
    assert_eq!(w.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await.0, 200);
    w.settle().await;
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    let state = w.emulator.state();
    let left = state["volumes"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!(left[0]["id"], boot["provider_volume_id"]);
    assert!(left[0]["name"].as_str().unwrap().ends_with("-k1"), "{left:#?}");
    assert_eq!(w.call("GET", &path, None).await.1["status"], "retained");
}

#[tokio::test]
async fn a_volume_already_being_deleted_and_scratch_cannot_be_kept() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    let shown = w.until_status(&id, "ready").await;
    let path = |n: usize| format!("/volumes/{}", shown["storages"][n]["id"].as_str().unwrap());
    let keep = || Some(json!({"delete_on_terminate": false}));
    let (status, problem) = w.call("PATCH", &path(1), keep()).await;
    assert_eq!(status, 409, "scratch: {problem}");
    w.terminate(&id).await;
    assert_eq!(w.call("PATCH", &path(2), keep()).await.0, 200, "no deletion is committed yet");
    w.tick().await;
    let (status, problem) = w.call("PATCH", &path(0), keep()).await;
    assert_eq!(status, 409, "the server's terminate is committed: {problem}");
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 1, 0), "the data volume was kept in time");
}

#[tokio::test]
async fn an_instance_can_be_terminated_at_every_moment_of_its_life_cycle() {
    for kind in ["RENDER-S", "L40S-1-48G"] {
        for ticks in 0..40 {
            let w = World::new(Database::Sqlite).await;
            let id = w.create(request(kind)).await;
            for _ in 0..ticks {
                w.tick().await;
            }
            w.terminate(&id).await;
            w.until_status(&id, "terminated").await;
            assert_eq!(w.left(), (0, 0, 0), "{kind} after {ticks} ticks");
        }
    }
}

#[tokio::test]
async fn a_server_stopped_or_deleted_by_a_third_party_leaves_no_volume_behind() {
    for deed in ["poweroff", "stop_in_place", "terminate", "deleted"] {
        let w = World::new(Database::Sqlite).await;
        let id = w.create(request("L40S-1-48G")).await;
        let shown = w.until_status(&id, "ready").await;
        let server = format!("/instance/v1/zones/fr-par-2/servers/{}", shown["provider_instance_id"].as_str().unwrap());
        let action = if deed == "deleted" { "poweroff" } else { deed };
        w.third_party("POST", &format!("{server}/action"), Some(json!({"action": action})));
        w.advance_ms(90_000);
        if deed == "deleted" {
            w.third_party("DELETE", &server, None);
        }
        w.resync().await;
        w.terminate(&id).await;
        w.until(60, "the instance has ended", async |w: &World| w.show(&id).await["terminated_at"].is_string()).await;
        assert_eq!(w.left(), (0, 0, 0), "{deed}");
    }
}

#[tokio::test]
async fn scratch_that_survives_a_deletion_and_a_server_that_lingers_as_stopped_are_cleaned_up() {
    let options =
        Options { scratch_survives_delete: true, lingers_stopped_after_terminate: true, ..Options::default() };
    let w = World::with(Database::Sqlite, Setup { emulator: options, ..Setup::default() }).await;
    let id = w.create(request("L40S-1-48G")).await;
    // It is not started yet, so the removal method is DELETE, which leaves every volume.
    w.tick().await;
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
    let id = w.create(request("L40S-1-48G")).await;
    w.until_status(&id, "ready").await;
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn an_ended_instance_plans_no_calls() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    w.until_status(&id, "ready").await;
    w.settle().await;
    let before = (w.show(&id).await, w.actions(&id).await.len());
    for _ in 0..3 {
        assert_eq!(w.orchestrator.tick(true).await.unwrap().calls, 0);
    }
    assert_eq!((w.show(&id).await, w.actions(&id).await.len()), before);
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    w.settle().await;
    assert_eq!(w.orchestrator.tick(true).await.unwrap().calls, 0);
}
