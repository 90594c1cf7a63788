//! Tests of `Idempotency-Key`: a repeated request creates one instance, whatever happens in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use axum::body::{Body, to_bytes};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower::ServiceExt;

struct Answer {
    status: u16,
    replayed: bool,
    location: String,
    body: Value,
}

async fn post(w: &World, keys: &[&str], body: String) -> Answer {
    let mut request =
        http::Request::builder().method("POST").uri("/instances").header("content-type", "application/json");
    request = request.header("authorization", format!("Bearer {TOKEN}"));
    for key in keys {
        request = request.header("Idempotency-Key", *key);
    }
    let answer = w.api.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let (status, replayed) = (answer.status().as_u16(), header("idempotent-replayed").as_deref() == Some("true"));
    let location = header("location").unwrap_or_default();
    let body = serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap();
    Answer { status, replayed, location, body }
}

fn request(gb: i64) -> String {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "data_volume_gb": gb}).to_string()
}

async fn made(w: &World) -> usize {
    w.call("GET", "/instances?limit=500", None).await.1["items"].as_array().unwrap().len()
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
