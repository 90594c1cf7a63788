//! Tests of refusals, names, entity tags and documentation, through the whole router; on both databases if rows change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use tower::ServiceExt;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

async fn send(w: &World, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map_or_else(Body::empty, |b| Body::from(b.to_string()));
    let answer = w.api.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: to_bytes(answer.into_body(), 16 << 20).await.unwrap().to_vec() }
}

async fn ask(w: &World, method: &str, path: &str, tag: Option<&str>, body: Option<Value>) -> Answer {
    let token = format!("Bearer {TOKEN}");
    let mut headers = vec![("authorization", token.as_str())];
    headers.extend(tag.map(|tag| ("if-match", tag)));
    send(w, method, path, &headers, body).await
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
async fn a_change_with_an_outdated_entity_tag_is_refused() {
    for db in Database::both() {
        let w = World::new(db).await;
        ask(&w, "POST", "/models", None, Some(json!({"id": "a/model"}))).await;
        let request = json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "data_volume_gb": 50});
        let id = w.create(request).await;
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
async fn concurrent_changes_of_settings_do_not_undo_each_other() {
    for db in Database::both() {
        let w = World::new(db).await;
        for n in 1..=10 {
            let size = json!({"worker_data_volume_gb_default": n});
            let image = json!({"default_image": format!("image_{n}")});
            let path = "/provider_settings/scaleway";
            let (a, b) = tokio::join!(
                ask(&w, "PATCH", path, None, Some(size.clone())),
                ask(&w, "PATCH", path, None, Some(image.clone()))
            );
            assert_eq!((a.status, b.status), (200, 200), "{} {}", a.json(), b.json());
            let now = ask(&w, "GET", path, None, None).await.json();
            assert_eq!(now["worker_data_volume_gb_default"], n, "{now}");
            assert_eq!(now["default_image"], image["default_image"], "{now}");
        }
    }
}

#[tokio::test]
async fn an_instance_can_be_renamed_and_frees_its_old_name() {
    for db in Database::both() {
        let w = World::new(db).await;
        let request =
            |name: &str| json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 0, "name": name});
        let (one, two) = (w.create(request("one")).await, w.create(request("two")).await);
        w.until_status(&one, "ready").await;
        let rename = async |of: &str, to: &str| {
            ask(&w, "PATCH", &format!("/instances/{of}"), None, Some(json!({"name": to}))).await
        };
        let taken = rename(&one, "two").await;
        assert_eq!((taken.status, &taken.json()["type"]), (409, &json!("urn:inventiv:name_taken")), "{}", taken.json());
        assert!(taken.json()["detail"].as_str().unwrap().contains(&two));
        for wrong in ["", "ins-1", ".", "a\u{202e}b"] {
            assert_eq!(rename(&one, wrong).await.status, 422, "{wrong:?}");
        }
        assert_eq!(rename("one", "three").await.status, 200, "by its name");
        assert_eq!(rename(&one, "three").await.status, 200, "a repeated rename changes nothing");
        assert_eq!(w.call("GET", "/instances/three", None).await.1["id"], one);
        assert_eq!(w.call("GET", "/instances/one", None).await.0, 404);
        // The old name is free and the new one is taken, also for new instances.
        assert_eq!(rename(&two, "one").await.status, 200);
        assert_eq!(ask(&w, "POST", "/instances", None, Some(request("three"))).await.status, 409);
        assert_eq!(ask(&w, "POST", "/instances", None, Some(request("two"))).await.status, 202);
        let (_, logs) = w.call("GET", &format!("/action_logs?instance_id={one}&limit=500"), None).await;
        let renamed = logs["items"].as_array().unwrap().iter().filter(|l| l["action"] == "REQUEST_RENAME").count();
        assert_eq!(renamed, 1, "{logs}");
        // It ends under its new name; an ended instance keeps its name.
        w.call("DELETE", "/instances/three", None).await;
        w.until_status(&one, "terminated").await;
        assert_eq!(rename(&one, "four").await.status, 409);
        assert_eq!(ask(&w, "POST", "/instances", None, Some(request("three"))).await.status, 202, "its name is free");
    }
}

#[tokio::test]
async fn the_documentation_page_needs_no_token() {
    let w = World::new(Database::Sqlite).await;
    let page = send(&w, "GET", "/docs/", &[], None).await;
    assert_eq!((page.status, page.header("content-type").as_str()), (200, "text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    let text = String::from_utf8(page.body).unwrap();
    for named in text.split(['"', '\'']).filter(|t| t.starts_with("./")) {
        let path = format!("/docs/{}", named.trim_start_matches("./"));
        let file = send(&w, "GET", &path, &[], None).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(!file.body.is_empty(), "{path}");
    }
    assert_eq!(send(&w, "GET", "/docs", &[], None).await.header("location"), "/docs/");
    let document = send(&w, "GET", "/docs/openapi.json", &[], None).await;
    assert_eq!(document.json()["openapi"], "3.1.0");
    let guarded = ask(&w, "GET", "/openapi.json", None, None).await;
    assert_eq!(document.json(), guarded.json());
    assert_eq!(send(&w, "GET", "/docs/nosuch.js", &[], None).await.status, 404);
    for path in ["/instances", "/openapi.json", "/metrics"] {
        assert_eq!(send(&w, "GET", path, &[], None).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_server_gets_the_requested_ssh_keys_and_user_data_in_addition_to_ours() {
    let w = World::new(Database::Sqlite).await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop";
    let part = "#cloud-config\nwrite_files:\n  - {path: /mine, content: \"ä\"}\n";
    let mut request = json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 10, "ssh_keys": [key]});
    let reported = async |request: Value| {
        let id = w.create(request).await;
        let shown = w.until_status(&id, "ready").await;
        let server = shown["provider_instance_id"].as_str().unwrap();
        let request = Request::get(format!("/instance/v1/zones/fr-par-2/servers/{server}/user_data/cloud-init"))
            .header("x-auth-token", "any")
            .body(bytes::Bytes::new())
            .unwrap();
        (id, String::from_utf8(w.emulator.handle(&request).body().to_vec()).unwrap())
    };
    let (_, plain) = reported(request.clone()).await;
    assert!(plain.starts_with("#cloud-config\n"), "{plain}");
    assert!(plain.contains(&format!("ssh_authorized_keys:\n  - \"{key}\"\n")), "{plain}");
    request["user_data"] = json!(part);
    let (id, both) = reported(request).await;
    let boundary = format!("=={id}==");
    assert!(both.starts_with(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n")), "{both}");
    let sections: Vec<&str> = both.split(&format!("--{boundary}")).collect();
    let [_, foreign, ours, end] = sections.as_slice() else { panic!("{both}") };
    assert!(foreign.contains("Content-Type: text/cloud-config") && foreign.contains(part), "{foreign}");
    assert!(ours.contains("merge_how:") && ours.contains("INVENTIV_INSTANCE_ID") && ours.contains(key), "{ours}");
    assert_eq!(*end, "--\n");
}
