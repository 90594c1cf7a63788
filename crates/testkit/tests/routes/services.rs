//! Tests of `POST /services`, `GET /services` and `GET /services/{id}`.

use crate::helpers::ask;
use crate::representations::{check, comparison, world};
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

pub(crate) const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";

/// A request for a service of one type in one zone, with more fields.
pub(crate) fn request(more: Value) -> Value {
    let mut body = json!({"model_id": MODEL, "name": "chat", "zones": ["fr-par-2"], "instance_types": ["L4-1-24G"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

pub(crate) async fn create(w: &World, body: Value) -> Value {
    let (status, made) = w.call("POST", "/services", Some(body.clone())).await;
    assert_eq!(status, 201, "{body}: {made}");
    made
}

async fn listed(w: &World) -> Vec<Value> {
    let (status, page) = w.call("GET", "/services", None).await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    page["items"].as_array().unwrap().clone()
}

/// Where the mistakes of a refusal are.
pub(crate) fn places(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|e| e["pointer"].as_str().or(e["parameter"].as_str()).unwrap_or_default()).collect()
}

#[tokio::test]
async fn no_answer_of_the_life_of_a_service_changes_unnoticed() {
    let mut comparison = comparison();
    // It ends with a part of the id.
    for replicas in [".replicas[].name", ".items[].replicas[].name"] {
        comparison.add_redaction(replicas, "[name]");
    }
    let _comparison = comparison.bind_to_scope();
    let w = world().await;
    let post = async |path: &str, body: Value| w.call("POST", path, Some(body)).await;
    check("services_dry_run", 200, post("/services?dry_run=true", json!({"model_id": MODEL})).await);
    let all = json!({"min_replicas": 1, "max_replicas": 2, "target_concurrency": 8, "idle_seconds": 60,
        "scale_down_seconds": 30, "perf_iops": 15_000, "tags": ["team=a"], "data_volume_gb": 100});
    check("services_create", 201, post("/services", request(all)).await);
    check("services_name_taken", 409, post("/services", request(json!({}))).await);
    let mistakes = json!({"model_id": 5, "name": "", "zones": "fr-par-2", "max_replicas": -1, "colour": "red"});
    check("services_several_mistakes", 422, post("/services", mistakes).await);
    w.orchestrator.reconcile_services().await.unwrap();
    check("services_show_starting", 200, w.call("GET", "/services/chat", None).await);
    let change = json!({"max_replicas": 3, "idle_seconds": null});
    check("services_change", 200, w.call("PATCH", "/services/chat", Some(change)).await);
    check("services_warm", 202, post("/services/chat/warm", json!({"seconds": 600})).await);
    check("services_list", 200, w.call("GET", "/services", None).await);
    check("services_delete", 202, w.call("DELETE", "/services/chat", None).await);
    let too_late = w.call("PATCH", "/services/chat", Some(json!({"max_replicas": 1}))).await;
    check("services_change_too_late", 409, too_late);
    w.orchestrator.reconcile_services().await.unwrap();
    w.settle().await;
    w.orchestrator.reconcile_services().await.unwrap();
    check("services_show_deleted", 200, w.call("GET", "/services/chat", None).await);
}

#[tokio::test]
async fn the_smallest_request_gets_a_name_the_defaults_and_the_cheapest_types_that_fit() {
    for db in Database::both() {
        let w = World::new(db).await;
        let body = json!({"model_id": MODEL});
        let answer = ask(&w, "POST", "/services", None, Some(body)).await;
        let made = answer.json();
        assert_eq!(answer.status, 201, "{made}");
        assert_eq!(answer.header("location"), format!("/services/{}", made["id"].as_str().unwrap()));
        for (field, value) in [
            ("name", json!("qwen2-5-7b-instruct")),
            ("status", json!("starting")),
            ("min_replicas", json!(0)),
            ("max_replicas", json!(1)),
            ("target_concurrency", json!(16)),
            ("idle_seconds", json!(1_800)),
            ("scale_down_seconds", json!(300)),
            ("revision", json!(1)),
            ("replicas", json!([])),
            ("deleted_at", Value::Null),
        ] {
            assert_eq!(made[field], value, "{field}");
        }
        assert!(made["warm_until"].is_string(), "one replica is started at once: {made}");
        let candidates = made["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), 6);
        assert_eq!(candidates[0]["instance_type"], "L4-1-24G", "{candidates:?}");
        assert!(candidates.is_sorted_by_key(|c| c["hourly_micros"].as_i64()), "{candidates:?}");
        // A minimum raises the default of the maximum.
        let made = create(&w, json!({"model_id": MODEL, "name": "more", "min_replicas": 3})).await;
        assert_eq!((&made["min_replicas"], &made["max_replicas"]), (&json!(3), &json!(3)));
    }
}

#[tokio::test]
async fn zones_and_types_are_tried_in_the_order_of_the_request() {
    let w = World::new(Database::Sqlite).await;
    let places = |made: &Value| -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        made["candidates"].as_array().unwrap().iter().map(|c| (text(&c["zone"]), text(&c["instance_type"]))).collect()
    };
    let pair = |zone: &str, kind: &str| (zone.to_owned(), kind.to_owned());
    for (zones, types, expected) in [
        (
            json!(["fr-par-2"]),
            json!(["L40S-1-48G", "L4-1-24G"]),
            vec![pair("fr-par-2", "L40S-1-48G"), pair("fr-par-2", "L4-1-24G")],
        ),
        (
            json!(["pl-waw-2", "fr-par-2"]),
            json!(["L4-1-24G"]),
            vec![pair("pl-waw-2", "L4-1-24G"), pair("fr-par-2", "L4-1-24G")],
        ),
        (
            json!(["fr-par-2", "pl-waw-2"]),
            json!(["L4-1-24G"]),
            vec![pair("fr-par-2", "L4-1-24G"), pair("pl-waw-2", "L4-1-24G")],
        ),
    ] {
        let body = json!({"model_id": MODEL, "zones": zones, "instance_types": types});
        let (status, made) = w.call("POST", "/services?dry_run=true", Some(body)).await;
        assert_eq!((status, places(&made)), (200, expected), "{made}");
    }
    // With zones and without types, only the types of these zones.
    let body = json!({"model_id": MODEL, "zones": ["pl-waw-2"]});
    let (_, made) = w.call("POST", "/services?dry_run=true", Some(body)).await;
    assert!(!places(&made).is_empty() && places(&made).iter().all(|(zone, _)| zone == "pl-waw-2"), "{made}");
    assert!(listed(&w).await.is_empty());
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_writes_nothing() {
    let w = World::new(Database::Sqlite).await;
    let mut hints = w.store.hints();
    let mut is_told = async || tokio::time::timeout(std::time::Duration::ZERO, hints.next()).await.is_ok();
    let (status, shown) = w.call("POST", "/services?dry_run=true", Some(request(json!({"max_replicas": 2})))).await;
    assert_eq!((status, &shown["max_replicas"]), (200, &json!(2)), "{shown}");
    assert!(
        shown["max_hourly_micros"].as_i64().unwrap() >= 2 * shown["candidates"][0]["hourly_micros"].as_i64().unwrap()
    );
    assert!(listed(&w).await.is_empty() && !is_told().await);
    assert_eq!(w.store.service("chat").await.unwrap(), None);
    let answer = ask(&w, "POST", "/services?dry_run=true", None, Some(request(json!({})))).await;
    assert_eq!(answer.header("location"), "", "there is nothing at any path");

    create(&w, request(json!({}))).await;
    assert!(is_told().await, "those who plan are told at once");
    let (status, problem) = w.call("POST", "/services?dry_run=true", Some(request(json!({})))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:name_taken")));
    assert_eq!(w.call("POST", "/services?dry_run=false", Some(request(json!({"name": "real"})))).await.0, 201);
    assert_eq!(w.call("POST", "/services?dry_run=maybe", Some(request(json!({})))).await.0, 422);
}

#[tokio::test]
async fn a_name_belongs_to_one_service_at_a_time() {
    for db in Database::both() {
        let w = World::new(db).await;
        let all =
            futures::future::join_all((0..8).map(|_| w.call("POST", "/services", Some(request(json!({})))))).await;
        assert_eq!(all.iter().filter(|(status, _)| *status == 201).count(), 1);
        for (_, problem) in all.iter().filter(|(status, _)| *status != 201) {
            assert_eq!(
                (&problem["status"], &problem["type"]),
                (&json!(409), &json!("urn:inventiv:name_taken")),
                "{problem}"
            );
        }
        // The name of a model, too.
        create(&w, json!({"model_id": MODEL})).await;
        assert_eq!(w.call("POST", "/services", Some(json!({"model_id": MODEL}))).await.0, 409);
        assert_eq!(listed(&w).await.len(), 2);
        // While it is being deleted, the name is not free. Afterwards it is.
        w.call("DELETE", "/services/chat", None).await;
        let (status, problem) = w.call("POST", "/services", Some(request(json!({})))).await;
        assert_eq!(status, 409);
        assert!(problem["detail"].as_str().unwrap().contains("is being deleted"), "{problem}");
        w.orchestrator.reconcile_services().await.unwrap();
        let again = create(&w, request(json!({}))).await;
        assert_eq!(w.call("GET", "/services/chat", None).await.1["id"], again["id"]);
    }
}

#[tokio::test]
async fn every_bad_value_is_refused_with_its_place_and_creates_nothing() {
    let w = World::new(Database::Sqlite).await;
    let long = "a".repeat(64);
    let command = json!({"kind": "command"});
    let cases: Vec<(Value, &str, &str)> = vec![
        (json!({"model_id": "a/b/c"}), "#/model_id", "looks like"),
        (json!({"model_id": null}), "#/model_id", "must be"),
        (json!({"name": ""}), "#/name", "1 to 63"),
        (json!({"name": "Chat"}), "#/name", "a-z"),
        (json!({"name": "-chat"}), "#/name", "begin and end"),
        (json!({"name": "a.b"}), "#/name", "a-z"),
        (json!({"name": long}), "#/name", "1 to 63"),
        (json!({"name": "svc-00000000000000000000000000"}), "#/name", "1 to 63"),
        (json!({"account": "nobody"}), "#/account", "unknown account"),
        (json!({"min_replicas": -1}), "#/min_replicas", "whole number"),
        (json!({"min_replicas": -7, "max_replicas": 1}), "#/min_replicas", "whole number"),
        (json!({"max_replicas": 0}), "#/max_replicas", "1 to 1000"),
        (json!({"max_replicas": 1_001}), "#/max_replicas", "1 to 1000"),
        (json!({"min_replicas": 3, "max_replicas": 2}), "#/max_replicas", "at least min_replicas (3)"),
        (json!({"max_replicas": "2"}), "#/max_replicas", "whole number"),
        (json!({"target_concurrency": 0}), "#/target_concurrency", "1 to 10000"),
        (json!({"target_concurrency": 10_001}), "#/target_concurrency", "1 to 10000"),
        (json!({"idle_seconds": 0}), "#/idle_seconds", "1 to 604800"),
        (json!({"idle_seconds": 604_801}), "#/idle_seconds", "1 to 604800"),
        (json!({"scale_down_seconds": 0}), "#/scale_down_seconds", "1 to 86400"),
        (json!({"scale_down_seconds": 86_401}), "#/scale_down_seconds", "1 to 86400"),
        (json!({"zones": []}), "#/zones", "1 to 20 names"),
        (json!({"zones": vec!["fr-par-2"; 21]}), "#/zones", "1 to 20 names"),
        (json!({"zones": ["fr-par-2", "mars-1"]}), "#/zones", "`mars-1` has no offers; there are offers in fr-par-1"),
        (json!({"zones": ["fr-par-2", 7]}), "#/zones/1", "must be"),
        (json!({"instance_types": []}), "#/instance_types", "1 to 20 names"),
        (json!({"instance_types": ["L4-1-24G", "GPU-9000"]}), "#/instance_types", "`GPU-9000`: unknown type"),
        (json!({"zones": null, "instance_types": ["GPU-9000"]}), "#/instance_types", "in fr-par-1 are"),
        (
            json!({"zones": ["fr-par-1"], "instance_types": ["L40S-1-48G"]}),
            "#/instance_types",
            "not offered in fr-par-1; it is offered in fr-par-2",
        ),
        (json!({"engine": {"kind": "none"}}), "#/engine/kind", "`none` is only for instances"),
        (json!({"engine": {"kind": "nosuch"}}), "#/engine/kind", "must be"),
        (json!({"engine": command}), "#/engine/command", "is required"),
        (json!({"engine": {"secrets": {"A": "nosuch"}}}), "#/engine/secrets", "nosuch"),
        (json!({"engine": {"context_tokens": 0}}), "#/engine/context_tokens", "whole number"),
        (json!({"data_volume_gb": -1}), "#/data_volume_gb", "0 (none)"),
        (json!({"boot_volume_gb": 0}), "#/boot_volume_gb", "from 1"),
        (json!({"perf_iops": 7}), "#/perf_iops", "5000 or 15000"),
        (json!({"tags": ["a,b"]}), "#/tags", "without commas"),
        (json!({"ssh_keys": ["x"]}), "#/ssh_keys", "public keys"),
        (json!({"user_data": "x"}), "#/user_data", ""),
        (json!({"image": " "}), "#/image", "marketplace label"),
        (json!({"force": "yes"}), "#/force", "true or false"),
        (json!({"zone": "fr-par-2"}), "#/zone", "unknown field"),
        (json!({"colour": "red"}), "#/colour", "unknown field"),
        (json!({"colour": null}), "#/colour", "unknown field"),
        (json!({"revision": 7}), "#/revision", "unknown field"),
    ];
    for (sent, place, says) in cases {
        let (status, problem) = w.call("POST", "/services", Some(request(sent.clone()))).await;
        assert_eq!((status, places(&problem)), (422, vec![place]), "{sent}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{sent}: {problem}");
    }
    for body in [json!([]), json!("x"), json!(null)] {
        assert_eq!(w.call("POST", "/services", Some(body.clone())).await.0, 422, "{body}");
    }
    let (_, problem) = w.call("POST", "/services", Some(json!({"max_replicas": "x", "colour": 1}))).await;
    assert_eq!(places(&problem), ["#/model_id", "#/colour", "#/max_replicas"], "all at once: {problem}");
    assert!(listed(&w).await.is_empty() && w.requests("POST", "/") == 0, "nothing was recorded or sent");
}

#[tokio::test]
async fn a_model_that_does_not_fit_is_refused_unless_it_is_forced() {
    let w = World::new(Database::Sqlite).await;
    let large = |more: Value| {
        let mut body = request(json!({"model_id": "meta-llama/Llama-3.3-70B-Instruct"}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (status, problem) = w.call("POST", "/services", Some(large(json!({})))).await;
    assert_eq!((status, places(&problem)), (422, vec!["#/instance_types"]), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("weights 140.0 GB") && detail.contains("`force`"), "{detail}");
    let made = create(&w, large(json!({"force": true}))).await;
    assert!(made["warnings"].to_string().contains("the model does not fit L4-1-24G"), "{made}");

    // Of several types, those that it fits are used.
    let types = json!({"name": "mixed", "instance_types": ["L4-1-24G", "H100-2-80G"]});
    let made = create(&w, large(types)).await;
    let kinds: Vec<&Value> = made["candidates"].as_array().unwrap().iter().map(|c| &c["instance_type"]).collect();
    assert_eq!(kinds, ["H100-2-80G"]);

    // Without types, nothing can be chosen if nothing fits, or if it is not known.
    for model in ["big/model-3000B", "my-company/our-model"] {
        let (status, problem) = w.call("POST", "/services", Some(json!({"model_id": model}))).await;
        assert_eq!((status, places(&problem)), (422, vec!["#/instance_types"]), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("name the server types"), "{problem}");
    }
    let named = json!({"model_id": "my-company/our-model", "name": "ours", "data_volume_gb": 50});
    let made = create(&w, request(named)).await;
    assert!(made["warnings"].to_string().contains("the size of my-company/our-model is unknown"), "{made}");
}

#[tokio::test]
async fn a_warning_says_which_server_types_it_is_about() {
    let w = World::new(Database::Sqlite).await;
    let types = json!({"name": "three", "instance_types": ["L4-1-24G", "L40S-1-48G", "RENDER-S"], "engine": {"kind": "command",
        "command": ["serve", "{model}"]}});
    let made = create(&w, request(types)).await;
    let warnings: Vec<&str> = made["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    let of = |kind: &str| warnings.iter().filter(|w| w.starts_with(&format!("{kind}: weights"))).count();
    assert_eq!((of("L4-1-24G"), of("L40S-1-48G"), of("RENDER-S")), (1, 1, 1), "{warnings:?}");

    let types = json!({"name": "one", "model_id": "my-company/our-model", "data_volume_gb": 50});
    let made = create(&w, request(types)).await;
    assert!(made["warnings"][0].as_str().unwrap().starts_with("the size of"), "one about all of them: {made}");
}

#[tokio::test]
async fn a_service_is_shown_by_its_name_and_its_id() {
    let w = World::new(Database::Sqlite).await;
    let made = create(&w, request(json!({"min_replicas": 2, "max_replicas": 2}))).await;
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("svc-"), "{id}");
    let other = create(&w, request(json!({"name": "other"}))).await;
    for path in ["/services/chat".to_owned(), format!("/services/{id}")] {
        assert_eq!(w.call("GET", &path, None).await, (200, made.clone()), "{path}");
    }
    assert_eq!(listed(&w).await, [made.clone(), other], "oldest first");
    w.orchestrator.reconcile_services().await.unwrap();
    let (_, shown) = w.call("GET", "/services/chat", None).await;
    let replicas = shown["replicas"].as_array().unwrap();
    assert_eq!((replicas.len(), &shown["ready_replicas"]), (2, &json!(0)));
    let sum: i64 = replicas.iter().map(|r| r["hourly_micros"].as_i64().unwrap()).sum();
    assert_eq!(shown["hourly_micros"], sum);
    for replica in replicas {
        let instance = w.show(replica["instance_id"].as_str().unwrap()).await;
        assert_eq!((&instance["name"], &instance["model_id"]), (&replica["name"], &json!(MODEL)), "{instance:#}");
    }
    assert_eq!(shown["reason"], "0 of 2 replicas are ready");
}
