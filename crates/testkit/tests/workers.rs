//! Every call to a worker with every fault, in a whole life: nothing leaks, and `ready` means that the model answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::worker::WorkerRules;
use inventiv_testkit::{Database, Fleet, WorkerFault, World};
use serde_json::{Value, json};
use std::sync::Arc;

fn request() -> Value {
    let command = json!({"kind": "command", "command": ["serve", "{port}"]});
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct", "engine": command})
}

async fn begin(database: Database) -> (World, Fleet) {
    let world = World::new(database).await;
    let fleet = Fleet::new(&world.emulator, &world.clock);
    world.orchestrator.use_workers(Arc::new(fleet.clone()));
    (world, fleet)
}

/// Ticks and contacts until the instance has one of these statuses.
async fn until(w: &World, id: &str, minutes: i64, statuses: &[&str]) -> Value {
    for _ in 0..minutes * 60 {
        let shown = w.show(id).await;
        if statuses.contains(&shown["status"].as_str().unwrap_or_default()) {
            return shown;
        }
        w.tick().await;
        w.orchestrator.contact_workers().await.unwrap();
    }
    panic!("not within {minutes} minutes: {statuses:?}\n{:#}", w.show(id).await);
}

async fn ends_clean(w: &World, id: &str) {
    until(w, id, 30, &["terminated"]).await;
    assert_eq!(w.left(), (0, 0, 0));
    let (_, proof) = w.call("GET", &format!("/instances/{id}/proof"), None).await;
    assert_eq!(proof["clean"], true, "{proof:#}");
}

#[tokio::test]
async fn a_life_with_a_model_on_both_databases() {
    for database in Database::both() {
        let (w, fleet) = begin(database).await;
        let id = w.create(request()).await;
        let ready = until(&w, &id, 10, &["ready"]).await;
        assert!(fleet.answers(&id));
        let statuses: Vec<&str> =
            ready["history"].as_array().unwrap().iter().filter_map(|h| h["to_status"].as_str()).collect();
        assert_eq!(statuses, ["provisioning", "booting", "installing", "starting", "ready"]);
        assert_eq!(ready["endpoint"], format!("/instances/{id}/v1"));
        let actions = w.actions(&id).await;
        for action in ["WORKER_BOOTSTRAP", "WORKER_DATA_VOLUME", "MODEL_DOWNLOAD", "ENGINE_PROBE", "INSTANCE_READY"] {
            assert_eq!(actions.iter().filter(|a| *a == action).count(), 1, "{action}: {actions:?}");
        }
        w.terminate(&id).await;
        assert_eq!(w.show(&id).await["status"], "draining");
        ends_clean(&w, &id).await;
        assert_eq!(fleet.calls().iter().filter(|c| **c == "install").count(), 1, "{:?}", fleet.calls());
        assert!(fleet.calls().contains(&"drain"));
    }
}

#[tokio::test]
async fn every_call_with_every_fault_ends_ready_or_with_a_reason_and_leaves_nothing() {
    let (w, fleet) = begin(Database::Sqlite).await;
    let id = w.create(request()).await;
    until(&w, &id, 10, &["ready"]).await;
    w.terminate(&id).await;
    ends_clean(&w, &id).await;
    let calls = fleet.calls();
    assert!(calls.len() > 8, "{calls:?}");
    let limit_ms = WorkerRules::default().silence_ms + 15_000;
    let mut cells = 0;
    for fault in WorkerFault::ALL {
        for n in 0..calls.len() {
            let id = w.create(request()).await;
            fleet.inject(n, fault);
            let mut silent_ms = 0;
            let mut ended = String::new();
            for _ in 0..60 * 60 {
                let shown = w.show(&id).await;
                let status = shown["status"].as_str().unwrap().to_owned();
                silent_ms = if status == "ready" && !fleet.answers(&id) { silent_ms + 1_000 } else { 0 };
                assert!(silent_ms <= limit_ms, "{fault:?} at {n}: ready for {silent_ms} ms while the model is silent");
                let settled = status == "ready" && fleet.answers(&id);
                if settled || status == "terminated" {
                    ended = status;
                    break;
                }
                w.tick().await;
                w.orchestrator.contact_workers().await.unwrap();
            }
            let lasting = matches!(fault, WorkerFault::DiskFull | WorkerFault::EngineNeverReady);
            assert!(
                ended == "ready" || (lasting && ended == "terminated"),
                "{fault:?} at {n}: {:#}",
                w.show(&id).await
            );
            if ended == "terminated" {
                let shown = w.show(&id).await;
                let code = if fault == WorkerFault::DiskFull { "disk_full" } else { "startup_timeout" };
                assert_eq!(shown["error_code"], code, "{fault:?} at {n}");
            } else {
                w.terminate(&id).await;
            }
            ends_clean(&w, &id).await;
            // A fault at a later call than this life has occurs in none.
            cells += usize::from(!fleet.spare());
        }
    }
    assert!(cells > WorkerFault::ALL.len() * 6, "only {cells} faults occurred");
}

#[tokio::test]
async fn after_a_restart_of_the_control_plane_another_process_goes_on_with_the_same_workers() {
    let (w, fleet) = begin(Database::Sqlite).await;
    let id = w.create(request()).await;
    until(&w, &id, 10, &["installing"]).await;
    let w = w.restarted().await;
    w.orchestrator.use_workers(Arc::new(fleet.clone()));
    until(&w, &id, 10, &["ready"]).await;
    assert_eq!(fleet.calls().iter().filter(|c| **c == "install").count(), 1);
    let w = w.restarted().await;
    w.orchestrator.use_workers(Arc::new(fleet.clone()));
    w.orchestrator.contact_workers().await.unwrap();
    assert_eq!(w.show(&id).await["status"], "ready");
    w.terminate(&id).await;
    ends_clean(&w, &id).await;
}

#[tokio::test]
async fn an_instance_that_nobody_asks_ends_and_one_that_is_asked_goes_on() {
    for database in Database::both() {
        let (w, fleet) = begin(database).await;
        for (wrong, engine) in [(5, request()["engine"].clone()), (1_800, json!({"kind": "none"}))] {
            let mut refused = request();
            (refused["idle_seconds"], refused["engine"]) = (json!(wrong), engine);
            let (status, problem) = w.call("POST", "/instances", Some(refused)).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("#/idle_seconds")), "{problem:#}");
        }
        let mut idle = request();
        idle["idle_seconds"] = json!(1_800);
        let id = w.create(idle).await;
        let ready = until(&w, &id, 10, &["ready"]).await;
        assert_eq!(ready["idle_seconds"], 1_800);
        let told = async || w.actions(&id).await.iter().filter(|a| *a == "INSTANCE_EXPIRES_SOON").count();
        for (minutes, soon) in [(19, 0), (2, 1), (8, 1)] {
            for _ in 0..minutes * 60 {
                w.tick().await;
                w.orchestrator.contact_workers().await.unwrap();
            }
            assert_eq!((told().await, w.show(&id).await["status"].as_str()), (soon, Some("ready")), "{minutes}");
        }
        // A request in the last minute keeps it.
        fleet.ask(&id);
        for _ in 0..29 * 60 {
            w.tick().await;
            w.orchestrator.contact_workers().await.unwrap();
        }
        assert_eq!((told().await, w.show(&id).await["status"].as_str()), (2, Some("ready")));
        until(&w, &id, 2, &["draining", "terminating"]).await;
        ends_clean(&w, &id).await;
        assert_eq!(w.actions(&id).await.iter().filter(|a| *a == "REQUEST_TERMINATE").count(), 1);
        // The end is no failure.
        assert_eq!(w.show(&id).await["error"], Value::Null);
    }
}
