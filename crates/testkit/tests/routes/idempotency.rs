//! Tests of `Idempotency-Key` on the routes that do not create instances: what is carried out once, what is carried out
//! again, and what is refused.

use crate::helpers::{Answer, bearer, request, send};
use axum::Router;
use inventiv_keyring::api_key;
use inventiv_store::WritePhase;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

const KEY_BODY: &str = r#"{"name": "app", "scopes": ["chat"]}"#;

async fn post(api: &Router, path: &str, key: &str, body: &str) -> Answer {
    let token = bearer();
    let headers = [("authorization", token.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
    send(api, "POST", path, &headers, body.to_owned()).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == "true"
}

async fn keys(w: &World) -> Vec<Value> {
    w.call("GET", "/keys", None).await.1["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_response_from_any_replica() {
    for db in Database::both() {
        let w = World::new(db).await;
        let first = post(&w.api, "/keys", "k1", KEY_BODY).await;
        assert_eq!((first.status, is_replayed(&first)), (201, false), "{}", first.json());
        w.advance_ms(23 * 3_600 * 1_000);
        // The order of fields does not matter.
        let other = w.another_api().await.router();
        let again = post(&other, "/keys", "k1", r#"{"scopes":["chat"],"name":"app"}"#).await;
        assert_eq!((again.status, is_replayed(&again)), (201, true));
        assert_eq!(again.json(), first.json(), "also the value of the key");
        for header in ["location", "cache-control", "content-type"] {
            assert_eq!(
                (again.header(header), again.header(header).is_empty()),
                (first.header(header), false),
                "{header}"
            );
        }
        assert_eq!(keys(&w).await.len(), 1);
        // A day after the first request it is forgotten.
        w.advance_ms(3_600 * 1_000 + 1_000);
        let new = post(&w.api, "/keys", "k1", KEY_BODY).await;
        assert_eq!((new.status, is_replayed(&new), keys(&w).await.len()), (201, false, 2));
    }
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    for db in Database::both() {
        let w = World::new(db).await;
        assert_eq!(post(&w.api, "/keys", "k1", KEY_BODY).await.status, 201);
        for (path, body) in [("/keys", r#"{"name": "other"}"#), ("/models", r#"{"id": "a/b"}"#), ("/audit", KEY_BODY)] {
            let refused = post(&w.api, path, "k1", body).await;
            assert_eq!((refused.status, &refused.json()["type"]), (422, &json!("urn:inventiv:key_reused")), "{path}");
        }
        for wrong in ["", "a b", &"x".repeat(256)] {
            assert_eq!(post(&w.api, "/keys", wrong, KEY_BODY).await.status, 400, "{wrong}");
        }
        assert_eq!(keys(&w).await.len(), 1);
    }
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    for db in Database::both() {
        let w = World::new(db).await;
        assert_eq!(post(&w.api, "/models", "k1", r#"{"id": "no slash here?"}"#).await.status, 422);
        let corrected = post(&w.api, "/models", "k1", r#"{"id": "a/b", "data_volume_gb": 5}"#).await;
        assert_eq!((corrected.status, is_replayed(&corrected)), (201, false), "{}", corrected.json());
        let again = post(&w.api, "/models", "k1", r#"{"id": "a/b", "data_volume_gb": 5}"#).await;
        assert_eq!((again.status, is_replayed(&again)), (201, true), "not 409: it was this request that added it");
        assert_eq!(post(&w.api, "/models", "k2", r#"{"id": "a/b", "data_volume_gb": 5}"#).await.status, 409);
    }
}

/// Sends a request whose process stops right after a write with this number is committed.
async fn crash_after(w: &World, write: usize, path: &str, body: &str) {
    let (count, crashed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (seen, tell) = (count.clone(), crashed.clone());
    let hook = Arc::new(move |phase: WritePhase| {
        let is_it = phase == WritePhase::Committed && seen.fetch_add(1, Ordering::SeqCst) + 1 == write;
        let tell = tell.clone();
        let stop: futures::future::BoxFuture<'static, ()> = Box::pin(async move {
            if is_it {
                tell.notify_one();
                std::future::pending::<()>().await;
            }
        });
        stop
    });
    let api = w.another_api_with(hook).await.router();
    tokio::select! {
        answer = post(&api, path, "k1", body) => panic!("it did not stop: {}", answer.status),
        () = crashed.notified() => {}
    }
}

#[tokio::test]
async fn a_request_in_progress_is_refused_and_one_of_a_crashed_process_is_carried_out_again_once() {
    let service = r#"{"model_id": "Qwen/Qwen2.5-7B-Instruct", "name": "chat"}"#;
    let model = r#"{"id": "a/b"}"#;
    for db in Database::both() {
        for (path, body) in [("/keys", KEY_BODY), ("/services", service), ("/models", model)] {
            // The first write claims the key, the second one creates, the third one keeps the response.
            for (write, outcome) in [(1, false), (2, false), (3, true)] {
                let w = World::new(db).await;
                crash_after(&w, write, path, body).await;
                let at_once = post(&w.api, path, "k1", body).await;
                assert_eq!(at_once.status, if outcome { 201 } else { 409 }, "{path} {write}: {}", at_once.json());
                assert_eq!(is_replayed(&at_once), outcome);
                if !outcome {
                    assert_eq!(at_once.header("retry-after"), "1");
                }
                w.advance_ms(61_000);
                let again = post(&w.api, path, "k1", body).await;
                assert_eq!(again.status, 201, "{path} {write}: {}", again.json());
                let last = post(&w.api, path, "k1", body).await;
                assert_eq!((last.json(), is_replayed(&last)), (again.json(), true));
                let listed = w.call("GET", path, None).await.1;
                assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{path} {write}: {listed}");
                if path == "/keys" {
                    let (value, stored) =
                        (again.json()["value"].as_str().unwrap().to_owned(), w.store.api_keys().await);
                    let read = api_key::read(&value).unwrap();
                    assert!(read.matches(&stored.unwrap()[0].hash), "the value that is shown is the one that works");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_reboot_whose_response_is_lost_is_not_repeated() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request()).await;
        w.until_status(&id, "ready").await;
        let path = format!("/instances/{id}/reboot");
        // The first write claims the key, the second one records the reboot.
        crash_after(&w, 2, &path, "").await;
        w.settle().await;
        w.advance_ms(61_000);
        let again = post(&w.api, &path, "k1", "").await;
        assert_eq!((again.status, is_replayed(&again)), (202, false), "{}", again.json());
        w.settle().await;
        let reboots = w.actions(&id).await.iter().filter(|a| *a == "REQUEST_REBOOT").count();
        assert_eq!(reboots, 1);
        assert_eq!(post(&w.api, &path, "k2", "").await.status, 202, "another one");
    }
}

#[tokio::test]
async fn a_refusal_of_a_later_attempt_does_not_forget_what_an_earlier_one_created() {
    let service = r#"{"model_id": "Qwen/Qwen2.5-7B-Instruct", "name": "chat"}"#;
    for db in Database::both() {
        let w = World::new(db).await;
        crash_after(&w, 2, "/services", service).await;
        w.advance_ms(61_000);
        // Its settings were changed meanwhile; it is found all the same.
        let (status, _) = w.call("PATCH", "/services/chat", Some(json!({"max_replicas": 3}))).await;
        assert_eq!(status, 200);
        let again = post(&w.api, "/services", "k1", service).await;
        assert_eq!((again.status, &again.json()["max_replicas"]), (201, &json!(3)), "{}", again.json());
    }
}

#[tokio::test]
async fn the_value_of_a_key_is_not_readable_in_the_database() {
    let w = World::new(Database::Sqlite).await;
    let created = post(&w.api, "/keys", "k1", KEY_BODY).await.json();
    let value = created["value"].as_str().unwrap().as_bytes();
    for file in std::fs::read_dir(w.home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(value.len()).any(|part| part == value));
    }
}
