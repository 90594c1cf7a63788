//! Tests of `POST /instances`: refusals, warnings, what a server gets, and `Idempotency-Key`.

use crate::helpers::{bearer, request_for_model, send};
use inventiv_testkit::{Database, Setup, World};
use scaleway_emulator::options::Options;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An answer to a request that may have an `Idempotency-Key`.
struct Answer {
    status: u16,
    replayed: bool,
    location: String,
    body: Value,
}

/// Sends a request with these values of `Idempotency-Key`.
async fn post(w: &World, keys: &[&str], body: String) -> Answer {
    let token = bearer();
    let mut headers = vec![("authorization", token.as_str()), ("content-type", "application/json")];
    headers.extend(keys.iter().map(|key| ("Idempotency-Key", *key)));
    let answer = send(&w.api, "POST", "/instances", &headers, body).await;
    let replayed = answer.header("idempotent-replayed") == "true";
    let body = serde_json::from_slice(&answer.body).unwrap();
    Answer { status: answer.status, replayed, location: answer.header("location"), body }
}

fn request(gb: i64) -> String {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "data_volume_gb": gb}).to_string()
}

async fn made(w: &World) -> usize {
    w.call("GET", "/instances?limit=500", None).await.1["items"].as_array().unwrap().len()
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
        let mut body = request_for_model();
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (got, problem) = w.call("POST", "/instances", Some(body)).await;
        let shown: String = extra.to_string().chars().take(80).collect();
        assert_eq!(got, status, "{shown}: {problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "{shown}: {detail}");
        assert!(detail.len() < 1_000, "{shown}: the response repeats the request");
    }
    let mut local = request_for_model();
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
    let (status, problem) = w.call("POST", "/instances", Some(request_for_model())).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:out_of_stock")), "{problem}");
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
        token: inventiv_testkit::TOKEN.into(),
        keyring: std::sync::Arc::new(inventiv_keyring::Keyring::generate().unwrap()),
        workers: None,
        forced_data_volume_gb: None,
        now: Box::new(|| inventiv_core::time::Timestamp(0)),
        ids: Box::new(|| 1),
        metrics: Box::new(String::new),
    });
    let ask = async || {
        let token = bearer();
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let answer = send(&app.router(), "POST", "/instances", &headers, request_for_model().to_string()).await;
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("first time"), "{status} {said}");
    store.mark_catalogue_error("scaleway:x", "fr-par-2", "connection refused").await.unwrap();
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("connection refused"), "{status} {said}");
    // Which types a model fits is not known, either.
    for path in ["/models/a/b-7B/fit", "/models/a/b-7B/fit?zone=fr-par-2"] {
        let token = bearer();
        let answer = send(&app.router(), "GET", path, &[("authorization", token.as_str())], String::new()).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.json());
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
        let request = http::Request::get(format!("/instance/v1/zones/fr-par-2/servers/{server}/user_data/cloud-init"))
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

#[tokio::test]
async fn a_repeated_request_returns_its_instance_at_any_point_of_its_life_cycle() {
    for db in Database::both() {
        let w = World::new(db).await;
        let first = post(&w, &["k-1"], request(50)).await;
        assert_eq!((first.status, first.replayed), (202, false), "{}", first.body);
        let id = first.body["id"].as_str().unwrap().to_owned();
        assert_eq!(first.location, format!("/instances/{id}"));
        // The same content in another order and with more white space.
        let other = r#"{ "data_volume_gb": 50,  "instance_type":"L40S-1-48G", "zone":"fr-par-2", "name": null }"#;
        let again = post(&w, &["k-1"], other.to_owned()).await;
        assert_eq!((again.status, again.replayed, again.body["id"].as_str()), (202, true, Some(id.as_str())));
        assert_eq!(again.location, first.location);
        w.until_status(&id, "ready").await;
        assert_eq!(post(&w, &["k-1"], request(50)).await.body["status"], "ready");
        w.call("DELETE", &format!("/instances/{id}"), None).await;
        w.until_status(&id, "terminated").await;
        let ended = post(&w, &["k-1"], request(50)).await;
        assert_eq!((ended.status, ended.replayed, ended.body["status"].as_str()), (202, true, Some("terminated")));
        assert_eq!(made(&w).await, 1);
        let changes = (w.requests("POST", "/servers"), w.requests("POST", "/servers/"));
        assert_eq!(changes.0 - changes.1, 1, "one server was created");
    }
}

#[tokio::test]
async fn a_key_of_another_request_is_refused_and_creates_nothing() {
    let w = World::new(Database::Sqlite).await;
    let first = post(&w, &["k"], request(50)).await;
    let other = post(&w, &["k"], request(60)).await;
    assert_eq!((other.status, other.body["type"].as_str()), (422, Some("urn:inventiv:key_reused")));
    assert!(other.body["detail"].as_str().unwrap().contains(first.body["id"].as_str().unwrap()), "{}", other.body);
    assert_eq!(made(&w).await, 1);
    // Without a key, or with a new one, each request creates an instance.
    for keys in [vec![], vec!["k2"], vec![]] {
        assert_eq!(post(&w, &keys, request(50)).await.status, 202);
    }
    assert_eq!(made(&w).await, 4);
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let w = World::new(Database::Sqlite).await;
    assert_eq!(post(&w, &["k"], request(-1)).await.status, 422);
    let made = post(&w, &["k"], request(50)).await;
    assert_eq!((made.status, made.replayed), (202, false));
}

#[tokio::test]
async fn concurrent_requests_with_one_key_create_one_instance() {
    for db in Database::both() {
        let w = World::new(db).await;
        let same: Vec<_> = (0..20).map(|_| post(&w, &["at-once"], request(50))).collect();
        let answers = futures::future::join_all(same).await;
        let ids: BTreeSet<&str> = answers.iter().map(|a| a.body["id"].as_str().unwrap_or("none")).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert!(answers.iter().all(|a| a.status == 202));
        assert_eq!(answers.iter().filter(|a| !a.replayed).count(), 1);
        assert_eq!(made(&w).await, 1);
    }
}

#[tokio::test]
async fn an_invalid_key_is_refused() {
    let w = World::new(Database::Sqlite).await;
    let long = "x".repeat(256);
    for keys in [vec![""], vec![" "], vec!["a b"], vec![long.as_str()], vec!["a", "b"], vec!["ä"]] {
        let answer = post(&w, &keys, request(50)).await;
        assert_eq!(answer.status, 400, "{keys:?}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains("Idempotency-Key"), "{}", answer.body);
    }
    assert_eq!(made(&w).await, 0);
}
