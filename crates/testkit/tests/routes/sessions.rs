//! Tests of `/sessions` and `/access`: tokens that expire, and tokens that may only read.

use crate::helpers::{Answer, ask, bearer, get, request, send};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use tower::ServiceExt;

const HOUR_MS: i64 = 60 * 60 * 1_000;

async fn create(w: &World, body: Value) -> (String, String) {
    let (status, created) = w.call("POST", "/sessions", Some(body.clone())).await;
    assert_eq!(status, 201, "{body}: {created}");
    let text = |field: &str| created[field].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

async fn with(w: &World, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    send(&w.api, method, path, &headers, body.map(|b| b.to_string()).unwrap_or_default()).await
}

async fn listed(w: &World) -> Vec<Value> {
    w.call("GET", "/sessions", None).await.1["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_session_works_like_the_operator_until_it_expires() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (id, token) = create(&w, json!({"name": "laptop", "ttl_seconds": 3600})).await;
        let access = with(&w, &token, "GET", "/access", None).await.json();
        assert_eq!((&access["role"], &access["session"]["id"]), (&json!("operator"), &json!(id)), "{access}");
        assert_eq!(with(&w, &token, "POST", "/instances", Some(request())).await.status, 202);
        let shown = listed(&w).await;
        assert_eq!((shown.len(), &shown[0]["name"]), (1, &json!("laptop")));
        assert!(!shown[0].to_string().contains(&token), "a list shows no token");
        w.advance_ms(HOUR_MS - 1_000);
        assert_eq!(with(&w, &token, "GET", "/instances", None).await.status, 200);
        w.advance_ms(1_000);
        let refused = with(&w, &token, "GET", "/instances", None).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer".to_owned()));
        assert_eq!(listed(&w).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn only_the_hash_of_a_token_is_stored() {
    let w = World::new(Database::Sqlite).await;
    let answer = ask(&w, "POST", "/sessions", None, Some(json!({}))).await;
    let created = answer.json();
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store".to_owned()), "{created}");
    let token = created["token"].as_str().unwrap();
    let rows = format!("{:?}", w.store.sessions((w.settings().now)()).await.unwrap());
    assert!(!rows.contains(token) && !rows.contains(&token[4..]), "{rows}");
    // What is stored is not a token.
    let stored = w.store.sessions((w.settings().now)()).await.unwrap().remove(0).hash;
    for wrong in [stored.clone(), format!("ses_{stored}"), token[..token.len() - 1].to_owned(), format!("{token}0")] {
        assert_eq!(with(&w, &wrong, "GET", "/instances", None).await.status, 401, "{wrong}");
    }
    assert_eq!(get(&w.api, "/instances", &[("cookie", &format!("inventiv_session={token}"))]).await.status, 401);
}

#[tokio::test]
async fn sessions_end_one_by_one_and_all_at_once() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (one, first) = create(&w, json!({})).await;
        let (_, second) = create(&w, json!({})).await;
        let (_, third) = create(&w, json!({})).await;
        let works = async |token: &str| with(&w, token, "GET", "/access", None).await.status == 200;
        assert_eq!(w.call("DELETE", &format!("/sessions/{one}"), None).await.0, 204);
        assert_eq!((works(&first).await, works(&second).await), (false, true));
        assert_eq!(w.call("DELETE", &format!("/sessions/{one}"), None).await.0, 404);
        assert_eq!(with(&w, &second, "DELETE", "/access", None).await.status, 204);
        assert_eq!((works(&second).await, works(&third).await), (false, true));
        assert_eq!(with(&w, &third, "DELETE", "/sessions", None).await.status, 204);
        assert_eq!((works(&third).await, works(TOKEN).await), (false, true));
        // The operator's token has no session to end.
        assert_eq!(w.call("DELETE", "/access", None).await.0, 204);
        assert!(works(TOKEN).await);
    }
}

#[tokio::test]
async fn a_reader_reads_everything_and_changes_nothing() {
    let w = World::new(Database::Sqlite).await;
    let (_, token) = create(&w, json!({"role": "reader", "ttl_seconds": 2_592_000})).await;
    let id = w.create(request()).await;
    let document = get(&w.api, "/openapi.json", &[("authorization", &bearer())]).await.json();
    let mut changes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", &id).replace("{name}", "x").replace("{provider}", "scaleway");
        for method in methods.as_object().unwrap().keys().filter(|m| *m != "get" && path != "/access") {
            let refused = with(&w, &token, &method.to_uppercase(), &path, Some(json!({}))).await;
            assert_eq!(refused.status, 403, "{method} {path}");
            assert!(refused.json()["type"].as_str().unwrap().ends_with("read_only"), "{}", refused.json());
            changes += 1;
        }
    }
    assert!(changes > 30, "{changes}");
    for path in ["/instances", "/costs", "/audit", "/settings", "/sessions", "/keys", "/metrics", "/openapi.json"] {
        let status = with(&w, &token, "GET", path, None).await.status;
        assert!(status == 200 || status == 404, "{path}: {status}");
    }
    assert_eq!(w.show(&id).await["status"], "provisioning");
    assert_eq!(listed(&w).await.len(), 1);
    // It may end itself.
    assert_eq!(with(&w, &token, "DELETE", "/access", None).await.status, 204);
    assert_eq!(with(&w, &token, "GET", "/instances", None).await.status, 401);
}

#[tokio::test]
async fn a_wrong_request_creates_no_session() {
    let w = World::new(Database::Sqlite).await;
    for (body, field) in [
        (json!({"ttl_seconds": 59}), "/ttl_seconds"),
        (json!({"ttl_seconds": 31_536_001}), "/ttl_seconds"),
        (json!({"ttl_seconds": i64::MAX}), "/ttl_seconds"),
        (json!({"role": "admin"}), "/role"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "a\u{202e}b"}), "/name"),
        (json!({"name": "x".repeat(101)}), "/name"),
        (json!({"rule": "reader"}), "/rule"),
    ] {
        let (status, problem) = w.call("POST", "/sessions", Some(body.clone())).await;
        assert_eq!(status, 422, "{body}: {problem}");
        assert!(problem["errors"].to_string().contains(field), "{body}: {problem}");
    }
    assert_eq!(listed(&w).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_repeated_request_creates_one_session() {
    let w = World::new(Database::Sqlite).await;
    let token = bearer();
    let headers =
        [("authorization", token.as_str()), ("content-type", "application/json"), ("idempotency-key", "once")];
    let first = send(&w.api, "POST", "/sessions", &headers, "{}".to_owned()).await.json();
    let again = send(&w.api, "POST", "/sessions", &headers, "{}".to_owned()).await.json();
    assert_eq!(first, again);
    assert_eq!(listed(&w).await.len(), 1);
}

#[tokio::test]
async fn a_stream_of_a_session_ends_after_five_minutes_to_be_resumed() {
    let w = World::new(Database::Sqlite).await;
    let (_, session) = create(&w, json!({})).await;
    let request = axum::http::Request::get("/events").header("authorization", format!("Bearer {session}"));
    let answer = w.api.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let mut stream = answer.into_body().into_data_stream();
    let mut seen = String::new();
    while !seen.contains("event: live") {
        let chunk = futures::StreamExt::next(&mut stream).await.expect("it goes on").unwrap();
        seen.push_str(&String::from_utf8_lossy(&chunk));
    }
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    while futures::StreamExt::next(&mut stream).await.is_some() {
        assert!(began.elapsed().as_secs() < 600, "it does not end");
    }
    assert!((295..=600).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
