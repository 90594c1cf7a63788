//! Tests of what holds for every route: token, problem documents, entity tags, unknown objects, documentation.

use crate::helpers::{ask, bearer, get, request, request_for_model, send};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn everything_but_health_requires_the_token() {
    let w = World::new(Database::Sqlite).await;
    let ask = async |path: &str, header: Option<&str>| {
        let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
        let answer = get(&w.api, path, &headers).await;
        (answer.status, answer.header("content-type"))
    };
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(path, None).await.0, 200, "{path}");
    }
    let good = bearer();
    for path in [
        "/instances",
        "/volumes",
        "/action_logs",
        "/models",
        "/provider_settings",
        "/secrets",
        "/keys",
        "/services",
        "/usage",
        "/alerts",
        "/sessions",
        "/access",
        "/instance_counts",
        "/webhooks",
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
async fn the_authorization_scheme_is_case_insensitive() {
    let w = World::new(Database::Sqlite).await;
    for (header, status) in [
        (format!("bearer {TOKEN}"), 200),
        (format!("BEARER  {TOKEN}"), 200),
        (format!("Basic {TOKEN}"), 401),
        (TOKEN.to_owned(), 401),
        ("bearer".to_owned(), 401),
    ] {
        let answer = get(&w.api, "/instances", &[("authorization", &header)]).await;
        assert_eq!(answer.status, status, "{header}");
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
        let token = bearer();
        let mut headers = vec![("authorization", token.as_str())];
        if !content_type.is_empty() {
            headers.push(("content-type", content_type));
        }
        let answer = send(&w.api, "POST", "/instances", &headers, body.to_owned()).await;
        assert_eq!(answer.status, status, "{content_type} {body}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    assert_eq!(w.call("PUT", "/instances", None).await.0, 405);
    assert_eq!(w.call("GET", "/instances?colour=red", None).await.0, 422);
    assert_eq!(w.call("GET", "/instances?limit=0", None).await.0, 422);
    assert_eq!(w.call("GET", "/instances?status=gone", None).await.0, 422);
}

#[tokio::test]
async fn a_refusal_lists_every_mistake_with_its_place_and_has_a_request_id() {
    let w = World::new(Database::Sqlite).await;
    let places = |problem: &Value| -> Vec<String> {
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let place = |e: &Value| e["pointer"].as_str().or(e["parameter"].as_str()).unwrap_or_default().to_owned();
        errors.iter().map(place).collect()
    };
    let secret = "hf_secret";
    for (method, path, body, expected) in [
        ("POST", "/instances", Some(json!({})), vec!["#/zone", "#/instance_type"]),
        (
            "POST",
            "/instances",
            Some(json!({"zone": "a b", "instance_type": "L40S-1-48G", "perf_iops": 7, "name": "", "tags": [""],
                "data_volume_gb": -1, "boot_volume_gb": 0, "model_id": "a/b/c", "image": " ", "ssh_keys": ["x"], "user_data": "x"})),
            vec![
                "#/name",
                "#/model_id",
                "#/zone",
                "#/image",
                "#/ssh_keys",
                "#/user_data",
                "#/tags",
                "#/data_volume_gb",
                "#/boot_volume_gb",
                "#/perf_iops",
            ],
        ),
        (
            "POST",
            "/instances",
            Some(
                json!({"zone": 5, "instance_type": "t", "tags": ["a", secret, 7], "perf_iops": secret, "colour": secret}),
            ),
            vec!["#/tags/2", "#/zone", "#/colour", "#/perf_iops"],
        ),
        ("POST", "/instances", Some(json!({"zone": "fr-par-2", "instance_type": "nosuch"})), vec!["#/instance_type"]),
        ("GET", "/instances?limit=0", None, vec!["limit"]),
        ("GET", "/instances?limit=x&colour=red&status=ready", None, vec!["limit", "colour"]),
        ("GET", "/instances?status=nosuch", None, vec!["status"]),
        ("GET", "/volumes?zone=mars-1", None, vec!["zone"]),
        ("POST", "/models", Some(json!({"id": "a/b/c"})), vec!["#/id"]),
        ("PATCH", "/provider_settings/scaleway", Some(json!({"default_image": ""})), vec!["#/default_image"]),
        ("POST", "/audit", Some(json!({"fix": true, "policy": "abandon"})), vec!["#/policy"]),
        ("POST", "/audit", Some(json!({"fix": "yes", "max": "x"})), vec!["#/fix", "#/max"]),
    ] {
        let answer = ask(&w, method, path, None, body.clone()).await;
        let problem = answer.json();
        assert_eq!(answer.status, 422, "{method} {path} {body:?}: {problem}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let (mut found, mut expected) = (places(&problem), expected);
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{method} {path} {body:?}: {problem}");
        let id = answer.header("x-request-id");
        assert_eq!(problem["instance"], format!("urn:inventiv:request:{id}"), "{problem}");
        assert!(!id.is_empty() && !problem.to_string().contains(secret), "it repeats the request: {problem}");
    }
    let missing = ask(&w, "GET", "/instances/nobody", None, None).await.json();
    assert!(missing["instance"].is_string() && missing.get("errors").is_none(), "{missing}");
    assert_eq!(w.call("GET", "/instances", None).await.1["items"], json!([]), "nothing was recorded");
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
        ("GET", "/services/nobody"),
        ("GET", "/services/svc-00000000000000000000000000"),
        ("GET", "/services/%00"),
        ("DELETE", "/services/nobody"),
        ("GET", "/usage?service=nobody"),
        ("GET", "/provider_settings/aws"),
        ("GET", "/nothing"),
    ] {
        let (status, problem) = w.call(method, path, None).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{method} {path}: {problem}");
    }
    let id = w.create(request_for_model()).await;
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
async fn an_unknown_zone_is_an_error_and_not_an_empty_list() {
    let w = World::new(Database::Sqlite).await;
    for path in ["/offers?zone=fr-par-9", "/instances?zone=fr-par-9"] {
        let (status, problem) = w.call("GET", path, None).await;
        assert_eq!(status, 422, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("fr-par-2"), "{path}: {problem}");
    }
    for path in ["/offers?zone=fr-par-2", "/instances?zone=fr-par-2"] {
        assert_eq!(w.call("GET", path, None).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a_change_with_an_outdated_entity_tag_is_refused() {
    for db in Database::both() {
        let w = World::new(db).await;
        ask(&w, "POST", "/models", None, Some(json!({"id": "a/model"}))).await;
        let id = w.create(request()).await;
        let shown = w.until_status(&id, "ready").await;
        let volume =
            shown["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").unwrap()["id"].clone();
        for (path, changes) in [
            ("/models/a%2Fmodel".to_owned(), [json!({"data_volume_gb": 10}), json!({"data_volume_gb": 20})]),
            (
                "/provider_settings/scaleway".to_owned(),
                [json!({"worker_data_volume_gb_default": 10}), json!({"worker_data_volume_gb_default": 20})],
            ),
            (
                format!("/volumes/{}", volume.as_str().unwrap()),
                [json!({"delete_on_terminate": false}), json!({"delete_on_terminate": true})],
            ),
            (format!("/instances/{id}"), [json!({"name": "one"}), json!({"name": "two"})]),
        ] {
            let [first, second] = changes;
            let read = ask(&w, "GET", &path, None, None).await;
            let old = read.header("etag");
            assert!(old.starts_with('"') && old.len() > 3, "{path}: {old}");
            assert_eq!(ask(&w, "GET", &path, None, None).await.header("etag"), old, "{path}: the tag did not change");
            let changed = ask(&w, "PATCH", &path, Some(&old), Some(first.clone())).await;
            assert_eq!(changed.status, 200, "{path}: {}", changed.json());
            let refused = ask(&w, "PATCH", &path, Some(&old), Some(second.clone())).await;
            assert_eq!((refused.status, &refused.json()["type"]), (412, &json!("urn:inventiv:changed")), "{path}");
            let now = ask(&w, "GET", &path, None, None).await;
            for (key, value) in first.as_object().unwrap() {
                assert_eq!(&now.json()[key], value, "{path}: a refusal changes nothing");
            }
            assert_ne!(now.header("etag"), old, "{path}");
            for tag in [None, Some("*")] {
                let any = ask(&w, "PATCH", &path, tag, Some(second.clone())).await;
                assert_eq!(any.status, 200, "{path} {tag:?}: {}", any.json());
            }
        }
        let stale = ask(&w, "DELETE", "/models/a%2Fmodel", Some("\"old\""), None).await;
        assert_eq!(stale.status, 412);
        let tag = ask(&w, "GET", "/models/a/model", None, None).await.header("etag");
        assert_eq!(ask(&w, "DELETE", "/models/a/model", Some(&tag), None).await.status, 204);
        let stale = ask(&w, "DELETE", &format!("/instances/{id}"), Some("\"v1\""), None).await;
        assert_eq!(stale.status, 412, "the instance has changed since its creation");
        assert_eq!(w.call("GET", &format!("/instances/{id}"), None).await.1["status"], "ready");
    }
}

#[tokio::test]
async fn the_documentation_page_needs_no_token() {
    let w = World::new(Database::Sqlite).await;
    let page = get(&w.api, "/docs/", &[]).await;
    assert_eq!((page.status, page.header("content-type").as_str()), (200, "text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    let text = String::from_utf8(page.body).unwrap();
    for named in text.split(['"', '\'']).filter(|t| t.starts_with("./")) {
        let path = format!("/docs/{}", named.trim_start_matches("./"));
        let file = get(&w.api, &path, &[]).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(!file.body.is_empty(), "{path}");
    }
    assert_eq!(get(&w.api, "/docs", &[]).await.header("location"), "/docs/");
    let document = get(&w.api, "/docs/openapi.json", &[]).await;
    assert_eq!(document.json()["openapi"], "3.1.0");
    let guarded = ask(&w, "GET", "/openapi.json", None, None).await;
    assert_eq!(document.json(), guarded.json());
    assert_eq!(get(&w.api, "/docs/nosuch.js", &[]).await.status, 404);
    for path in ["/instances", "/openapi.json", "/metrics"] {
        assert_eq!(get(&w.api, path, &[]).await.status, 401, "{path}");
    }
}

#[test]
fn every_operation_has_a_unique_id() {
    let document = serde_json::to_value(inventiv_api::openapi::document()).unwrap();
    let (mut ids, mut count) = (BTreeSet::new(), 0);
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        if let Some(id) = operation["operationId"].as_str() {
            count += 1;
            assert!(ids.insert(id.to_owned()), "{id} occurs twice");
        }
    }
    assert!(count > 20, "{count}");
}
