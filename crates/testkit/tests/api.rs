//! Tests of the API: complete storages, correct counts, and invalid requests, which get advice and change nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, Setup, TOKEN, World};
use scaleway_emulator::options::Options;
use serde_json::{Value, json};
use tower::ServiceExt;

fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct"})
}

#[tokio::test]
async fn storages_are_complete_and_counts_are_right_in_lists_and_details() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request()).await;
        w.until_status(&id, "ready").await;
        let shown = w.show(&id).await;
        let (_, page) =
            w.call("GET", "/instances?status=ready&zone=fr-par-2&model_id=Qwen/Qwen2.5-7B-Instruct", None).await;
        let listed = &page["items"][0];
        for key in [
            "id",
            "name",
            "status",
            "provider",
            "zone",
            "instance_type",
            "model_id",
            "provider_instance_id",
            "ip_address",
            "created_at",
            "ready_at",
            "terminated_at",
            "error",
            "storage_count",
            "storage_sizes_gb",
        ] {
            assert!(listed.get(key).is_some(), "{key} is missing in {listed:#}");
            assert_eq!(listed[key], shown[key], "{key}");
        }
        let storages = shown["storages"].as_array().unwrap();
        assert_eq!(shown["storage_count"], json!(storages.len()));
        for v in storages {
            for key in [
                "id",
                "provider_volume_id",
                "name",
                "volume_type",
                "size_bytes",
                "size_gb",
                "perf_iops",
                "is_boot",
                "delete_on_terminate",
                "status",
                "created_at",
                "attached_at",
                "deleted_at",
            ] {
                assert!(v.get(key).is_some(), "{key} is missing in {v:#}");
            }
            assert_eq!(v["size_bytes"].as_i64().unwrap(), v["size_gb"].as_i64().unwrap() * 1_000_000_000);
        }
        let (_, page) = w.call("GET", &format!("/volumes?instance_id={id}"), None).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn invalid_requests_are_refused_with_advice_and_change_nothing() {
    let w = World::new(Database::Sqlite).await;
    let long = "x".repeat(1_000_000);
    let cases: Vec<(Value, u16, &str)> = vec![
        (json!({"instance_type": "GPU-9000"}), 422, "types with GPUs in fr-par-2"),
        (json!({"instance_type": "L40S-1-48G", "zone": "fr-par-1"}), 422, "it is offered in fr-par-2"),
        (json!({"zone": "mars-1"}), 422, "works in fr-par-1, fr-par-2, pl-waw-2"),
        (json!({"data_volume_gb": -1}), 422, "from 0 (none) to 10000"),
        (json!({"data_volume_gb": 1_000_000_000}), 422, "from 0 (none) to 10000"),
        (json!({"data_volume_gb": 1.5}), 422, "data_volume_gb"),
        (json!({"data_volume_gb": "200"}), 422, "data_volume_gb"),
        (json!({"perf_iops": 7000}), 422, "5000 or 15000"),
        (json!({"perf_iops": 5000, "data_volume_gb": 0}), 422, "there is none"),
        (json!({"name": long}), 413, "262144 bytes"),
        (json!({"name": "x".repeat(200)}), 422, "1 to 100 characters"),
        (json!({"name": "a\u{0}b"}), 422, "control characters"),
        (json!({"model_id": "a/b/c"}), 422, "looks like"),
        (json!({"model_id": ""}), 422, "looks like"),
        (json!({"image": "a b"}), 422, "marketplace label"),
        (json!({"tags": ["a,b"]}), 422, "without commas"),
        (json!({"tags": ["inventiv-control-plane=x"]}), 422, "not beginning with"),
        (json!({"colour": "red"}), 422, "colour: unknown field"),
        (json!({"zone": null}), 422, "zone"),
    ];
    for (extra, status, says) in cases {
        let mut body = request();
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (got, problem) = w.call("POST", "/instances", Some(body)).await;
        let shown: String = extra.to_string().chars().take(80).collect();
        assert_eq!(got, status, "{shown}: {problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "{shown}: {detail}");
        assert!(detail.len() < 1_000, "{shown}: the response repeats the request");
    }
    let mut local = request();
    local["instance_type"] = json!("RENDER-S");
    local["boot_volume_gb"] = json!(500);
    let (got, problem) = w.call("POST", "/instances", Some(local)).await;
    assert_eq!(got, 422);
    assert!(problem["detail"].as_str().unwrap().contains("400 GB"), "{problem}");
    let (_, page) = w.call("GET", "/instances", None).await;
    assert_eq!(page["items"], json!([]), "nothing was recorded");
    assert_eq!(w.requests("POST", "/"), 0, "nothing was sent to the cloud");
}

#[tokio::test]
async fn a_type_that_the_catalogue_shows_as_out_of_stock_is_refused_at_once() {
    let options =
        Options { out_of_stock: vec![("fr-par-2".to_owned(), "L40S-1-48G".to_owned())], ..Options::default() };
    let w = World::with(Database::Sqlite, Setup { emulator: options, ..Setup::default() }).await;
    let (status, problem) = w.call("POST", "/instances", Some(request())).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:out_of_stock")), "{problem}");
}

#[tokio::test]
async fn unknown_objects_are_not_found_and_deleting_twice_changes_nothing() {
    let w = World::new(Database::Sqlite).await;
    for (method, path) in [
        ("GET", "/instances/ins-00000000000000000000000000"),
        ("GET", "/instances/nonsense"),
        ("GET", "/instances/%00"),
        ("DELETE", "/instances/ins-00000000000000000000000000"),
        ("GET", "/volumes/vol-00000000000000000000000000"),
        ("GET", "/models/nobody/nothing"),
        ("GET", "/provider_settings/aws"),
        ("GET", "/nothing"),
    ] {
        let (status, problem) = w.call(method, path, None).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{method} {path}: {problem}");
    }
    let id = w.create(request()).await;
    w.until_status(&id, "ready").await;
    for _ in 0..3 {
        w.terminate(&id).await;
    }
    w.until_status(&id, "terminated").await;
    w.terminate(&id).await;
    assert_eq!(w.show(&id).await["status"], "terminated");
    let asked = w.actions(&id).await.iter().filter(|a| *a == "REQUEST_TERMINATE").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn everything_but_health_requires_the_token() {
    let w = World::new(Database::Sqlite).await;
    let ask = async |path: &str, header: Option<&str>| {
        let mut request = axum::http::Request::get(path);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = w.api.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        let kind = answer.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
        (answer.status().as_u16(), kind.unwrap_or_default())
    };
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(path, None).await.0, 200, "{path}");
    }
    let good = format!("Bearer {TOKEN}");
    for path in [
        "/instances",
        "/volumes",
        "/action_logs",
        "/models",
        "/provider_settings",
        "/offers",
        "/metrics",
        "/openapi.json",
    ] {
        for wrong in [None, Some("Bearer wrong"), Some("Bearer "), Some(TOKEN), Some("Basic dGVzdA==")] {
            let (status, kind) = ask(path, wrong).await;
            assert_eq!((status, kind.as_str()), (401, "application/problem+json"), "{path} {wrong:?}");
        }
        assert_eq!(ask(path, Some(&good)).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn an_invalid_body_or_query_is_refused_with_a_problem_document() {
    let w = World::new(Database::Sqlite).await;
    for (content_type, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("application/json", "[]", 422),
        ("text/plain", "{}", 415),
        ("", "{}", 415),
    ] {
        let mut request = axum::http::Request::post("/instances").header("authorization", format!("Bearer {TOKEN}"));
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let answer = w.api.clone().oneshot(request.body(axum::body::Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{content_type} {body}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(w.call("PUT", "/instances", None).await.0, 405);
    assert_eq!(w.call("GET", "/instances?colour=red", None).await.0, 422);
    assert_eq!(w.call("GET", "/instances?limit=0", None).await.0, 422);
    assert_eq!(w.call("GET", "/instances?status=gone", None).await.0, 422);
}

#[tokio::test]
async fn pages_contain_each_row_exactly_once() {
    for db in Database::both() {
        let w = World::new(db).await;
        let mut made = Vec::new();
        for _ in 0..7 {
            made.push(w.create(request()).await);
        }
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let (status, page) = w.call("GET", &format!("/instances?limit=3{after}"), None).await;
            assert_eq!(status, 200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, made);
    }
}

#[tokio::test]
async fn models_are_created_changed_and_removed_and_recommend_a_volume_size() {
    for db in Database::both() {
        let w = World::new(db).await;
        let new = || Some(json!({"id": "Qwen/Qwen2.5-72B-Instruct"}));
        assert_eq!(w.call("POST", "/models", new()).await.0, 201);
        assert_eq!(w.call("POST", "/models", new()).await.0, 409);
        for path in ["/models/Qwen/Qwen2.5-72B-Instruct", "/models/Qwen%2FQwen2.5-72B-Instruct"] {
            assert_eq!(w.call("GET", path, None).await.1["data_volume_gb"], Value::Null, "{path}");
            let (status, r) = w.call("GET", &format!("{path}/recommended-data-volume"), None).await;
            assert_eq!((status, &r["data_volume_gb"]), (200, &json!(450)), "{r:#}");
            assert_eq!(r["terms"]["parameters_millions"], 72_000);
        }
        let path = "/models/Qwen/Qwen2.5-72B-Instruct";
        assert_eq!(w.call("PATCH", path, Some(json!({"data_volume_gb": 500}))).await.1["data_volume_gb"], 500);
        assert_eq!(w.call("PATCH", path, Some(json!({"data_volume_gb": -5}))).await.0, 422);
        assert_eq!(w.call("PATCH", path, Some(json!({}))).await.0, 422);
        assert_eq!(w.call("DELETE", path, None).await.0, 204);
        assert_eq!(w.call("DELETE", path, None).await.0, 404);
        let (_, r) = w.call("GET", "/models/my/model/recommended-data-volume", None).await;
        assert_eq!(r["data_volume_gb"], Value::Null, "{r:#}");
    }
}

#[tokio::test]
async fn before_the_catalogue_is_read_a_request_gets_a_503_with_the_reason() {
    let w = World::new(Database::Sqlite).await;
    let refused = w.call("POST", "/instances", Some(json!({"zone": "nl-ams-1", "instance_type": "L4-1-24G"}))).await;
    assert_eq!(refused.0, 422);
    let (url, _home) = inventiv_testkit::database(Database::Sqlite).await;
    let store = inventiv_store::Store::open(&url).await.unwrap();
    store.remember_account("scaleway:x", "scaleway", "x", inventiv_core::time::Timestamp(0)).await.unwrap();
    store.expect_catalogues("scaleway:x", &["fr-par-2".to_owned()]).await.unwrap();
    let app = inventiv_api::App::new(inventiv_api::Settings {
        policy_wait: std::time::Duration::ZERO,
        store: store.clone(),
        accounts: vec![inventiv_api::Account { id: "scaleway:x".into(), ..inventiv_testkit::account() }],
        limits: inventiv_api::Limits::default(),
        hosts: None,
        token: TOKEN.into(),
        forced_data_volume_gb: None,
        now: Box::new(|| inventiv_core::time::Timestamp(0)),
        ids: Box::new(|| 1),
        metrics: Box::new(String::new),
    });
    let ask = async || {
        let request = axum::http::Request::post("/instances")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(axum::body::Body::from(request().to_string()))
            .unwrap();
        let answer = app.router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("first time"), "{status} {said}");
    store.mark_catalogue_error("scaleway:x", "fr-par-2", "connection refused").await.unwrap();
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("connection refused"), "{status} {said}");
}
