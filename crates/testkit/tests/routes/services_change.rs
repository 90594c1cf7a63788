//! Tests of `PATCH /services/{id}`, `POST /services/{id}/warm` and `DELETE /services/{id}`.

use crate::services::{create, places, request};
use inventiv_core::service::ServiceStatus;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

async fn patch(w: &World, body: Value) -> Value {
    let (status, changed) = w.call("PATCH", "/services/chat", Some(body.clone())).await;
    assert_eq!(status, 200, "{body}: {changed}");
    changed
}

async fn show(w: &World) -> Value {
    w.call("GET", "/services/chat", None).await.1
}

#[tokio::test]
async fn a_change_of_bounds_needs_no_new_replicas_and_one_of_the_instances_does() {
    for db in Database::both() {
        let w = World::new(db).await;
        w.call("PUT", "/secrets/token", Some(json!({"value": "x"}))).await;
        create(&w, request(json!({}))).await;
        let mut revision = 1;
        for (change, is_new) in [
            (json!({}), false),
            (json!({"min_replicas": 1, "max_replicas": 4}), false),
            (json!({"target_concurrency": 3, "idle_seconds": 60, "scale_down_seconds": 10}), false),
            (json!({"instance_types": ["L4-1-24G", "L40S-1-48G"]}), false),
            (json!({"instance_types": ["L40S-1-48G"]}), false),
            (json!({"instance_types": ["L4-1-24G"]}), true),
            (json!({"zones": ["pl-waw-2", "fr-par-2"]}), false),
            (json!({"engine": {"args": ["--enforce-eager"]}}), true),
            (json!({"engine": {"args": ["--enforce-eager"]}}), false),
            (json!({"engine": {"args": ["--enforce-eager"], "env": {"A": "b"}}}), true),
            (json!({"engine": {"secrets": {"T": "token"}}}), true),
            (json!({"engine": {"context_tokens": 4_096}}), true),
            (json!({"tags": ["a"]}), true),
            (json!({"perf_iops": 15_000}), true),
            (json!({"data_volume_gb": 300}), true),
            (json!({"image": "ubuntu_noble"}), true),
            (json!({"user_data": "#!/bin/sh\n"}), true),
            (json!({"force": true}), false),
        ] {
            let changed = patch(&w, change.clone()).await;
            revision += i64::from(is_new);
            assert_eq!(changed["revision"], revision, "{change}: {changed}");
            assert_eq!(show(&w).await["revision"], revision, "{change}");
            for (field, value) in change.as_object().unwrap() {
                if changed.get(field).is_some() && field != "engine" {
                    assert_eq!(&changed[field], value, "{field}");
                }
            }
        }
        let shown = show(&w).await;
        assert_eq!((&shown["min_replicas"], &shown["max_replicas"]), (&json!(1), &json!(4)), "what is not named stays");
    }
}

#[tokio::test]
async fn null_brings_a_default_back() {
    let w = World::new(Database::Sqlite).await;
    let made = create(&w, request(json!({"idle_seconds": 60, "min_replicas": 2, "tags": ["a"]}))).await;
    assert_eq!(made["max_replicas"], 2);
    let changed = patch(&w, json!({"idle_seconds": null, "min_replicas": null, "max_replicas": null})).await;
    let bounds = [&changed["idle_seconds"], &changed["min_replicas"], &changed["max_replicas"], &changed["revision"]];
    assert_eq!(bounds, [&json!(1_800), &json!(0), &json!(1), &json!(1)]);
    assert_eq!(patch(&w, json!({"tags": null})).await["revision"], 2, "replicas without the tag");
    // All zones, and the types that are cheapest.
    let changed = patch(&w, json!({"zones": null, "instance_types": null})).await;
    assert!(changed["candidates"].as_array().unwrap().len() > 1, "{changed}");
    assert_eq!(changed["revision"], 2, "the old place is still among them");
}

#[tokio::test]
async fn a_dry_run_of_a_change_writes_nothing() {
    let w = World::new(Database::Sqlite).await;
    create(&w, request(json!({}))).await;
    let before = show(&w).await;
    let body = json!({"max_replicas": 5, "tags": ["a"]});
    let (status, shown) = w.call("PATCH", "/services/chat?dry_run=true", Some(body.clone())).await;
    assert_eq!((status, &shown["max_replicas"], &shown["revision"]), (200, &json!(5), &json!(2)), "{shown}");
    assert_eq!(show(&w).await, before);
    let (status, changed) = w.call("PATCH", "/services/chat", Some(body)).await;
    assert_eq!((status, &changed["max_replicas"], &changed["revision"]), (200, &json!(5), &json!(2)), "{changed}");
}

#[tokio::test]
async fn a_bad_change_is_refused_with_its_place_and_changes_nothing() {
    let w = World::new(Database::Sqlite).await;
    create(&w, request(json!({"min_replicas": 2, "max_replicas": 3}))).await;
    let before = show(&w).await;
    for (sent, place) in [
        (json!({"max_replicas": 1}), "#/max_replicas"),
        (json!({"min_replicas": 4}), "#/max_replicas"),
        (json!({"idle_seconds": 0}), "#/idle_seconds"),
        (json!({"max_replicas": "many"}), "#/max_replicas"),
        (json!({"zones": ["mars-1"]}), "#/zones"),
        (json!({"instance_types": ["GPU-9000"]}), "#/instance_types"),
        (json!({"instance_types": ["RENDER-S"]}), "#/instance_types"),
        (json!({"engine": {"kind": "none"}}), "#/engine/kind"),
        (json!({"name": "other"}), "#/name"),
        (json!({"name": null}), "#/name"),
        (json!({"model_id": "a/b"}), "#/model_id"),
        (json!({"colour": "red"}), "#/colour"),
        (json!({"colour": null}), "#/colour"),
    ] {
        let (status, problem) = w.call("PATCH", "/services/chat", Some(sent.clone())).await;
        assert_eq!((status, places(&problem)), (422, vec![place]), "{sent}: {problem}");
    }
    assert_eq!(w.call("PATCH", "/services/chat", Some(json!([]))).await.0, 422);
    for (method, path) in [("PATCH", "/services/nobody"), ("POST", "/services/nobody/warm")] {
        assert_eq!(w.call(method, path, Some(json!({}))).await.0, 404, "{path}");
    }
    assert_eq!(show(&w).await, before);
}

#[tokio::test]
async fn concurrent_changes_lose_nothing() {
    for db in Database::both() {
        let w = World::new(db).await;
        create(&w, request(json!({}))).await;
        let bodies = [
            json!({"min_replicas": 1}),
            json!({"max_replicas": 7}),
            json!({"idle_seconds": 61}),
            json!({"scale_down_seconds": 62}),
            json!({"target_concurrency": 63}),
        ];
        let all =
            futures::future::join_all(bodies.iter().map(|b| w.call("PATCH", "/services/chat", Some(b.clone())))).await;
        assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
        let shown = show(&w).await;
        for body in bodies {
            for (field, value) in body.as_object().unwrap() {
                assert_eq!(&shown[field], value, "{field}");
            }
        }
    }
}

/// Gives the service three failures in a row, as the planner records them.
async fn fail(w: &World) {
    let mut service = w.store.service("chat").await.unwrap().unwrap();
    let until = (w.settings().now)().plus_ms(600_000);
    let avoided = inventiv_core::service::Avoided { until, why: "it failed".to_owned() };
    service.state.failures = 3;
    service.state.not_before = Some(until);
    service.state.avoid.insert("fr-par-2/L4-1-24G".to_owned(), avoided);
    (service.status, service.reason) = (ServiceStatus::Degraded, Some("it failed".to_owned()));
    w.store.save_service(&service).await.unwrap();
}

#[tokio::test]
async fn warm_keeps_a_replica_for_a_time_and_makes_a_degraded_service_try_again() {
    let w = World::new(Database::Sqlite).await;
    create(&w, request(json!({"idle_seconds": 100}))).await;
    let at = |w: &World, ms: i64| inventiv_types::Time((w.settings().now)().plus_ms(ms)).to_string();
    let warm = async |body: Value| w.call("POST", "/services/chat/warm", Some(body)).await;
    let bodies =
        [None, Some(Value::Null), Some(json!({})), Some(json!({"seconds": 604_800})), Some(json!({"seconds": 1}))];
    for (body, s) in bodies.into_iter().zip([100, 100, 100, 604_800, 1]) {
        let (status, warmed) = w.call("POST", "/services/chat/warm", body.clone()).await;
        assert_eq!(status, 202, "{body:?}: {warmed}");
        // To the millisecond: each look at the clock advances it by a microsecond.
        let (until, now) = (warmed["warm_until"].as_str().unwrap(), at(&w, s * 1_000));
        assert_eq!(until[..20], now[..20], "{body:?}");
    }
    for seconds in [json!(0), json!(604_801), json!("x")] {
        let (status, problem) = warm(json!({"seconds": seconds})).await;
        assert_eq!((status, places(&problem)), (422, vec!["#/seconds"]), "{problem}");
    }
    assert_eq!(warm(json!({"minutes": 1})).await.0, 422);
    fail(&w).await;
    assert!(show(&w).await["candidates"][0]["avoided_until"].is_string());
    let (_, warmed) = warm(json!({})).await;
    assert_eq!(warmed["candidates"][0]["avoided_until"], Value::Null);
    w.orchestrator.reconcile_services().await.unwrap();
    let shown = show(&w).await;
    assert_eq!((&shown["status"], shown["replicas"].as_array().unwrap().len()), (&json!("starting"), 1), "{shown}");
}

#[tokio::test]
async fn any_change_makes_a_degraded_service_try_again() {
    let w = World::new(Database::Sqlite).await;
    create(&w, request(json!({"min_replicas": 1}))).await;
    fail(&w).await;
    w.orchestrator.reconcile_services().await.unwrap();
    assert_eq!(show(&w).await["replicas"], json!([]), "it waits for somebody");
    patch(&w, json!({})).await;
    w.orchestrator.reconcile_services().await.unwrap();
    assert_eq!(show(&w).await["replicas"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_service_is_deleted_once_and_cannot_be_changed_afterwards() {
    for db in Database::both() {
        let w = World::new(db).await;
        let made = create(&w, request(json!({"min_replicas": 1}))).await;
        w.orchestrator.reconcile_services().await.unwrap();
        let delete = async || w.call("DELETE", "/services/chat", None).await;
        let (status, first) = delete().await;
        assert_eq!((status, &first["status"]), (202, &json!("deleting")), "{first}");
        assert_eq!(delete().await, (202, first.clone()), "asking twice is no mistake");
        let refused = async || {
            for (method, path, body) in
                [("PATCH", "/services/chat", json!({"max_replicas": 2})), ("POST", "/services/chat/warm", json!({}))]
            {
                let (status, problem) = w.call(method, path, Some(body)).await;
                assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:too_late")), "{path}: {problem}");
            }
        };
        refused().await;
        w.orchestrator.reconcile_services().await.unwrap();
        assert_eq!(show(&w).await["status"], "deleting", "its replica has not ended yet");
        w.settle().await;
        w.orchestrator.reconcile_services().await.unwrap();
        let ended = show(&w).await;
        assert_eq!((&ended["status"], &ended["replicas"], &ended["id"]), (&json!("deleted"), &json!([]), &made["id"]));
        refused().await;
        assert_eq!(delete().await, (202, ended.clone()));
        assert_eq!(w.call("GET", "/services", None).await.1["items"], json!([]));
        assert_eq!(w.left(), (0, 0, 0));
    }
}
