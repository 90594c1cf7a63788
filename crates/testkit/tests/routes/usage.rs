//! Tests of `GET /usage`: what is shown of which period, and what is refused.

use crate::helpers::ask;
use crate::services::{MODEL, create, places, request};
use inventiv_core::time::Timestamp;
use inventiv_store::{Counted, Usage, UsageKey};
use inventiv_testkit::{Database, World};
use inventiv_types::Time;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

/// Counts one request with `n` tokens, so many hours ago.
async fn count(w: &World, hours_ago: i64, key: &str, service: Option<&Value>, n: i64) -> Timestamp {
    let now = (w.settings().now)();
    let hour = UsageKey::hour_of(now.plus_ms(-hours_ago * HOUR_MS));
    let key = UsageKey {
        hour,
        key_id: key.to_owned(),
        service_id: service.map_or(String::new(), |s| s["id"].as_str().unwrap().to_owned()),
        instance_id: "ins-1".to_owned(),
        model: MODEL.to_owned(),
    };
    let used =
        Usage { requests: 1, errors: 2, prompt_tokens: n, completion_tokens: 4, first_token_ms: 5, duration_ms: 6 };
    w.store.add_counted("a", &Counted { usage: vec![(key, used)], ..Counted::default() }, now).await.unwrap();
    Timestamp(hour)
}

/// The tokens of each row, and so which rows are shown.
async fn shown(w: &World, query: &str) -> Vec<i64> {
    let (status, page) = w.call("GET", &format!("/usage{query}"), None).await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{query}: {page}");
    page["items"].as_array().unwrap().iter().map(|row| row["prompt_tokens"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn usage_is_shown_by_hour_for_a_period_a_service_and_a_key() {
    for db in Database::both() {
        let w = World::new(db).await;
        let service = create(&w, request(json!({}))).await;
        let (_, key) = w.call("POST", "/keys", Some(json!({"name": "app"}))).await;
        let key = key["id"].as_str().unwrap();
        assert_eq!(shown(&w, "").await, Vec::<i64>::new());
        let other = "key-00000000000000000000000000";
        let oldest = count(&w, 30, key, Some(&service), 1).await;
        count(&w, 20, key, Some(&service), 2).await;
        let third = count(&w, 10, other, Some(&service), 3).await;
        let last = count(&w, 0, key, None, 4).await;

        assert_eq!(shown(&w, "").await, [2, 3, 4], "the last 24 hours");
        let time = |at: Timestamp| Time(at).to_string();
        let from = time(oldest.plus_ms(HOUR_MS - 1));
        for (query, rows) in [
            (format!("?from={from}"), vec![1, 2, 3, 4]),
            (format!("?from={}", time(third)), vec![3, 4]),
            (format!("?from={from}&to={}", time(third)), vec![1, 2]),
            (format!("?to={}", time(third.plus_ms(1))), vec![1, 2, 3]),
            (format!("?to={}", time(third.plus_ms(5 * HOUR_MS))), vec![2, 3]),
            (format!("?from={}&to={}", time(last), time(third)), vec![]),
            (format!("?from={from}&service=chat"), vec![1, 2, 3]),
            (format!("?from={from}&service={}", service["id"].as_str().unwrap()), vec![1, 2, 3]),
            (format!("?from={from}&key={key}"), vec![1, 2, 4]),
            (format!("?from={from}&key={key}&service=chat"), vec![1, 2]),
            (format!("?key={other}&service=chat"), vec![3]),
        ] {
            assert_eq!(shown(&w, &query).await, rows, "{query}");
        }
        let (_, page) = w.call("GET", &format!("/usage?from={from}&key={key}"), None).await;
        let row = json!({"hour": time(oldest), "key_id": key, "service_id": service["id"], "instance_id": "ins-1",
            "model_id": MODEL, "requests": 1, "errors": 2, "prompt_tokens": 1, "completion_tokens": 4,
            "first_token_ms": 5, "duration_ms": 6});
        assert_eq!(page["items"][0], row);
        assert_eq!(page["items"][2]["service_id"], Value::Null, "of an instance without a service");

        // What a deleted service used is still shown, by its name.
        w.call("DELETE", "/services/chat", None).await;
        w.orchestrator.reconcile_services().await.unwrap();
        assert_eq!(shown(&w, "?service=chat").await, [2, 3]);
    }
}

#[tokio::test]
async fn a_wrong_filter_of_usage_is_refused_with_its_parameter() {
    let w = World::new(Database::Sqlite).await;
    for (query, status, parameter) in [
        ("?key=nonsense", 422, vec!["key"]),
        ("?key=svc-00000000000000000000000000", 422, vec!["key"]),
        ("?key=", 422, vec!["key"]),
        ("?from=yesterday", 422, vec!["from"]),
        ("?to=1", 422, vec!["to"]),
        ("?colour=red", 422, vec!["colour"]),
        ("?service=nobody", 404, vec![]),
        ("?service=", 404, vec![]),
    ] {
        let answer = ask(&w, "GET", &format!("/usage{query}"), None, None).await;
        let problem = answer.json();
        assert_eq!((answer.status, places(&problem)), (status, parameter), "{query}: {problem}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{query}");
    }
}
