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
    // In the first hours of a day: midnight would end what counts.
    let now = (w.settings().now)();
    w.advance_ms(inventiv_core::calendar::day_of(now).plus_ms(DAY_MS + 3_600_000).ms_since(now));
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
        (json!({"on_limit": "stop"}), "on_limit"),
        (json!([]), "object"),
    ] {
        let (status, problem) = w.call("PUT", "/limits", Some(wrong.clone())).await;
        assert!((400..=422).contains(&status) && problem.to_string().contains(field), "{wrong}: {problem}");
    }
    assert_eq!(w.call("GET", "/limits", None).await.1["limits"]["gpus"], 4);
}

/// A world with an instance that retains its volume, and another one; a limit with `drain` is nearly reached.
async fn draining(database: Database) -> (World, [String; 2]) {
    let w = world(database).await;
    let mut retaining = request("L40S-1-48G");
    retaining["delete_on_terminate"] = json!(false);
    let ids = [w.create(retaining).await, w.create(request("L4-1-24G")).await];
    for id in &ids {
        w.until_status(id, "ready").await;
    }
    // 2.26 EUR per hour.
    w.advance_ms(1_800_000);
    (w, ids)
}

#[tokio::test]
async fn a_limit_with_drain_ends_what_runs_and_keeps_retained_volumes() {
    for database in Database::both() {
        let (w, ids) = draining(database).await;
        let ends = async || w.orchestrator.drain_by_limit().await.unwrap();
        // Not reached, reached without drain, and limits that are not on what is spent.
        for limits in [
            json!({"day_micros": 50_000_000, "on_limit": "drain"}),
            json!({"day_micros": 1}),
            json!({"day_micros": 1, "on_limit": "refuse"}),
            json!({"instances": 1, "gpus": 1, "on_limit": "drain"}),
        ] {
            set(&w, limits.clone()).await;
            assert_eq!(ends().await, 0, "{limits}");
        }
        let shown = set(&w, json!({"day_micros": 500_000, "on_limit": "drain"})).await;
        assert_eq!(shown["limits"]["on_limit"], "drain");
        assert_eq!((ends().await, ends().await), (2, 0));
        for id in &ids {
            w.until_status(id, "terminated").await;
            let (_, logs) = w.call("GET", &format!("/action_logs?instance_id={id}"), None).await;
            assert!(logs.to_string().contains("ended by a limit: at most 0.50 EUR may be spent today"), "{logs:#}");
        }
        assert_eq!(w.left(), (0, 1, 0), "the retained volume stays");
        assert!(refused(&w, "L4-1-24G").await.contains("at most 0.50 EUR"));
        // The next day, instances may be created, and they run.
        w.advance_ms(DAY_MS - 3 * 3_600_000);
        assert!(refused(&w, "L4-1-24G").await.contains("at most 0.50 EUR"), "it is the same day");
        w.advance_ms(3 * 3_600_000);
        let next = w.create(request("L4-1-24G")).await;
        w.until_status(&next, "ready").await;
        assert_eq!(ends().await, 0);
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_write_of_a_drain_leaves_nothing_running() {
    for database in Database::both() {
        for dies_at in 0..4 {
            let (w, ids) = draining(database).await;
            set(&w, json!({"day_micros": 500_000, "on_limit": "drain"})).await;
            let (hook, died) = inventiv_testkit::dies_at(dies_at);
            let (_, process) = w.hooked_replica(hook).await;
            let life = tokio::spawn(async move { process.drain_by_limit().await });
            died.notified().await;
            life.abort();
            // What was committed before it died is not requested again.
            let ended_before = [0, 1, 1, 2][dies_at];
            assert_eq!(w.orchestrator.drain_by_limit().await.unwrap(), 2 - ended_before, "{database:?} {dies_at}");
            for id in &ids {
                w.until_status(id, "terminated").await;
            }
            assert_eq!(w.left(), (0, 1, 0));
        }
    }
}

fn tagged(tag: &str) -> Value {
    let mut request = request("L4-1-24G");
    request["tags"] = json!([tag]);
    request
}

#[tokio::test]
async fn a_tag_has_limits_of_its_own_beside_those_on_everything() {
    for database in Database::both() {
        let w = world(database).await;
        let of = "/limits?tag=50%25_off%21";
        let (status, shown) = w.call("PUT", of, Some(json!({"instances": 1}))).await;
        assert_eq!((status, &shown["tag"], &shown["service"]), (200, &json!("50%_off!"), &Value::Null), "{shown}");
        let first = w.create(tagged("50%_off!")).await;
        // Other tags, also ones that a pattern would take for it, are not limited.
        for other in ["50x-off!", "team=a"] {
            w.create(tagged(other)).await;
        }
        let (status, problem) = w.call("POST", "/instances", Some(tagged("50%_off!"))).await;
        assert_eq!(status, 409, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("tag `50%_off!`: 1 of at most 1 instances live"), "{detail}");
        let plan = w.call("POST", "/plans", Some(tagged("50%_off!"))).await.1;
        assert!(plan["warnings"].to_string().contains("it would be refused now"), "{plan}");
        let (_, scoped) = w.call("GET", "/limits/scoped", None).await;
        assert_eq!(
            (&scoped[0]["instances"], &scoped[0]["gpus"], &scoped[0]["used_percent"]),
            (&json!(1), &json!(1), &json!(100))
        );
        let (_, all) = w.call("GET", "/limits", None).await;
        assert_eq!((&all["instances"], &all["limits"]["instances"]), (&json!(3), &Value::Null), "{all}");
        // What was spent with the tag drains it alone.
        w.until_status(&first, "ready").await;
        w.advance_ms(1_800_000);
        let (_, shown) = w.call("PUT", of, Some(json!({"day_micros": 100_000, "on_limit": "drain"}))).await;
        let (_, total) = w.call("GET", "/limits", None).await;
        let (spent, total) = (shown["day_micros"].as_i64().unwrap(), total["day_micros"].as_i64().unwrap());
        assert!(spent > 100_000 && total > 2 * spent, "{spent} of {total}");
        assert_eq!(w.orchestrator.drain_by_limit().await.unwrap(), 1);
        w.until_status(&first, "terminated").await;
        assert_eq!(w.call("GET", "/limits", None).await.1["instances"], 2);
        let alerts = w.call("GET", "/alerts", None).await.1.to_string();
        assert!(alerts.contains("tag `50%_off!`: the limit of 0.10 EUR today (UTC) is reached"), "{alerts}");
        assert_eq!(w.call("DELETE", of, None).await.0, 204);
        assert_eq!(w.call("GET", "/limits/scoped", None).await.1, json!([]));
        w.create(tagged("50%_off!")).await;
        for (wrong, status) in
            [("tag=", 422), ("tag=a,b", 422), ("tag=x&service=y", 422), ("service=nosuch", 404), ("zone=x", 422)]
        {
            let (got, problem) = w.call("PUT", &format!("/limits?{wrong}"), Some(json!({"gpus": 1}))).await;
            assert_eq!(got, status, "{wrong}: {problem}");
        }
    }
}
