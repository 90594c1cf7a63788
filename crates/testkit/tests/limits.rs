//! Limits on what may run and be spent: what is beyond them is refused, and what runs goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

fn request(instance_type: &str) -> Value {
    json!({"zone": "fr-par-2", "instance_type": instance_type, "model_id": "Qwen/Qwen2.5-7B-Instruct",
        "engine": {"kind": "none"}})
}

async fn world(database: Database) -> World {
    let w = World::new(database).await;
    w.orchestrator.refresh_catalogue().await.unwrap();
    w
}

async fn set(w: &World, limits: Value) -> Value {
    let (status, shown) = w.call("PUT", "/limits", Some(limits)).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

/// Requests an instance that must be refused because of a limit; returns why.
async fn refused(w: &World, instance_type: &str) -> String {
    let (status, problem) = w.call("POST", "/instances", Some(request(instance_type))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:limit_reached")), "{problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn instances_and_gpus_are_limited_until_the_limit_is_raised_or_one_has_ended() {
    for database in Database::both() {
        let w = world(database).await;
        let (_, none) = w.call("GET", "/limits", None).await;
        assert_eq!((&none["used_percent"], &none["limits"]["instances"]), (&Value::Null, &Value::Null), "{none}");
        set(&w, json!({"instances": 2})).await;
        let first = w.create(request("L4-1-24G")).await;
        let second = w.create(request("L40S-2-48G")).await;
        assert!(refused(&w, "L4-1-24G").await.contains("2 of at most 2 instances live"));
        let shown = set(&w, json!({"gpus": 4})).await;
        assert_eq!((&shown["instances"], &shown["gpus"], &shown["used_percent"]), (&json!(2), &json!(3), &json!(75)));
        assert!(refused(&w, "L4-2-24G").await.contains("3 of at most 4 GPUs are in use, and 2 more are needed"));
        w.until_status(&first, "ready").await;
        w.until_status(&second, "ready").await;
        let third = w.create(request("L4-1-24G")).await;
        assert!(refused(&w, "L4-1-24G").await.contains("inventiv limit set"));
        w.terminate(&third).await;
        w.until_status(&third, "terminated").await;
        w.create(request("L4-1-24G")).await;
        set(&w, json!({})).await;
        w.create(request("L4-8-24G")).await;
        assert_eq!(w.show(&first).await["status"], "ready", "what runs goes on");
    }
}

#[tokio::test]
async fn what_is_spent_in_a_day_and_a_month_is_limited() {
    for database in Database::both() {
        let w = world(database).await;
        let id = w.create(request("L40S-1-48G")).await;
        w.until_status(&id, "ready").await;
        // 1.47 EUR per hour: reached within the hour.
        set(&w, json!({"day_micros": 1_000_000})).await;
        let other = w.create(request("L4-1-24G")).await;
        w.terminate(&other).await;
        w.until_status(&other, "terminated").await;
        let mut seconds = 0;
        while w.call("GET", "/limits", None).await.1["reached"].is_null() {
            w.advance_ms(10_000);
            seconds += 10;
            assert!(seconds < 3_600, "it is never reached");
        }
        assert!(seconds > 1_800, "after {seconds} s");
        let why = refused(&w, "L4-1-24G").await;
        assert!(why.contains("at most 1.00 EUR may be spent today (UTC)"), "{why}");
        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        w.advance_ms(2 * DAY_MS);
        // Another month may have begun meanwhile.
        let last = w.create(request("L4-1-24G")).await;
        w.until_status(&last, "ready").await;
        w.advance_ms(60_000);
        set(&w, json!({"month_micros": 1})).await;
        assert!(refused(&w, "L4-1-24G").await.contains("this month"));
    }
}

#[tokio::test]
async fn a_repeated_request_is_answered_although_the_limit_is_reached() {
    let w = world(Database::Sqlite).await;
    set(&w, json!({"instances": 1})).await;
    let ask = || {
        let request = axum::http::Request::post("/instances")
            .header("authorization", format!("Bearer {}", inventiv_testkit::TOKEN))
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        request.body(axum::body::Body::from(request_text())).unwrap()
    };
    for _ in 0..2 {
        let answer = tower::ServiceExt::oneshot(w.api.clone(), ask()).await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
}

fn request_text() -> String {
    request("L4-1-24G").to_string()
}

#[tokio::test]
async fn wrong_limits_are_refused_and_change_nothing() {
    let w = world(Database::Sqlite).await;
    set(&w, json!({"gpus": 4, "currency": "EUR"})).await;
    for (wrong, field) in [
        (json!({"gpus": -1}), "gpus"),
        (json!({"instances": 1.5}), "instances"),
        (json!({"currency": "euro"}), "currency"),
        (json!({"tokens": 5}), "tokens"),
        (json!([]), "object"),
    ] {
        let (status, problem) = w.call("PUT", "/limits", Some(wrong.clone())).await;
        assert!((400..=422).contains(&status) && problem.to_string().contains(field), "{wrong}: {problem}");
    }
    assert_eq!(w.call("GET", "/limits", None).await.1["limits"]["gpus"], 4);
}
