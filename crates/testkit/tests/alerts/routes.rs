//! Tests of `/webhooks`: what is shown, what is stored, what is refused, and repeated requests.

use crate::receiver::Receiver;
use crate::{deliveries, webhook};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn the_secret_is_shown_once_and_nothing_secret_is_stored_plainly() {
    let w = World::new(Database::Sqlite).await;
    let to = Receiver::start().await;
    let secret = webhook(&w, "on-call", &to, &["orphan.found", "limit.used", "orphan.found"]).await;
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let (_, page) = w.call("GET", "/webhooks", None).await;
    let shown = &page["items"][0];
    assert_eq!((&shown["name"], &shown["kinds"]), (&json!("on-call"), &json!(["orphan.found", "limit.used"])));
    assert_eq!(format!("{}/T0KEN", shown["url"].as_str().unwrap()), to.url);
    assert_eq!(shown.as_object().unwrap().len(), 5, "{shown}");
    assert_eq!(deliveries(&w, shown["id"].as_str().unwrap()).await, Vec::<Value>::new());
    let stored = w.backup().await.bytes();
    for hidden in ["T0KEN", secret.as_str()] {
        assert!(!stored.windows(hidden.len()).any(|part| part == hidden.as_bytes()), "{hidden} is in the database");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_changes_nothing() {
    let w = World::new(Database::Sqlite).await;
    let good = "https://example.com/hook";
    let long = format!("https://example.com/{}", "x".repeat(2_000));
    for (body, field) in [
        (json!({"name": "On Call", "url": good}), "name"),
        (json!({"name": "", "url": good}), "name"),
        (json!({"name": "x", "url": "example.com/hook"}), "url"),
        (json!({"name": "x", "url": "ftp://example.com/"}), "url"),
        (json!({"name": "x", "url": "file:///etc/passwd"}), "url"),
        (json!({"name": "x", "url": "https://exa mple.com/"}), "url"),
        (json!({"name": "x", "url": "https://example.com:99999/"}), "url"),
        (json!({"name": "x", "url": long}), "url"),
        (json!({"name": "x", "url": 7}), "url"),
        (json!({"name": "x", "url": good, "kinds": ["test"]}), "kinds"),
        (json!({"name": "x", "url": good, "kinds": ["nonsense"]}), "kinds"),
        (json!({"name": "x", "url": good, "more": 1}), "more"),
        (json!({"name": "x"}), "url"),
    ] {
        let (status, problem) = w.call("POST", "/webhooks", Some(body.clone())).await;
        assert_eq!(status, 422, "{body}: {problem}");
        assert!(problem.to_string().contains(field), "{body}: {problem}");
    }
    assert_eq!(w.call("GET", "/webhooks", None).await.1["items"], json!([]));
    for n in 0..20 {
        let body = json!({"name": format!("w{n}"), "url": good});
        assert_eq!(w.call("POST", "/webhooks", Some(body)).await.0, 201);
    }
    let (status, problem) = w.call("POST", "/webhooks", Some(json!({"name": "w20", "url": good}))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:too_many")), "{problem}");
    w.call("DELETE", "/webhooks/w0", None).await;
    let (status, problem) = w.call("POST", "/webhooks", Some(json!({"name": "w1", "url": good}))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:name_taken")), "{problem}");
}

/// Sends a POST with an `Idempotency-Key`.
async fn post(api: &axum::Router, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let request = axum::http::Request::builder().method("POST").uri(path);
    let request = request.header("authorization", format!("Bearer {TOKEN}")).header("content-type", "application/json");
    let request = request.header("idempotency-key", key).body(axum::body::Body::from(body.to_string())).unwrap();
    let answer = api.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn a_repeated_request_creates_and_tests_once() {
    for database in Database::both() {
        let w = World::new(database).await;
        let body = json!({"name": "on-call", "url": "https://example.com/hook"});
        let first = post(&w.api, "/webhooks", "one", &body).await;
        assert_eq!((first.0, &first), (201, &post(&w.api, "/webhooks", "one", &body).await));
        assert_eq!(post(&w.api, "/webhooks", "two", &body).await.0, 409);
        let path = "/webhooks/on-call/test";
        let sent = post(&w.api, path, "three", &json!({})).await;
        assert_eq!((sent.0, &sent), (202, &post(&w.api, path, "three", &json!({})).await));
        assert_eq!(deliveries(&w, "on-call").await.len(), 1);
    }
}
