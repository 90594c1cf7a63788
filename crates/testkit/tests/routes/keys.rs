//! Tests of `/keys`: a value is shown once and stored nowhere, statuses, references by name, and what is refused.

use crate::helpers::{ask, send};
use inventiv_core::id::KeyId;
use inventiv_core::time::Timestamp;
use inventiv_keyring::api_key;
use inventiv_testkit::{Database, World};
use inventiv_types::Time;
use serde_json::{Value, json};
use std::time::Duration;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

async fn create(w: &World, body: Value) -> Value {
    let (status, created) = w.call("POST", "/keys", Some(body.clone())).await;
    assert_eq!(status, 201, "{body}: {created}");
    created
}

async fn listed(w: &World) -> Vec<Value> {
    let (status, page) = w.call("GET", "/keys", None).await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    page["items"].as_array().unwrap().clone()
}

/// A time some milliseconds from the world's present, as the API writes it.
fn in_ms(w: &World, ms: i64) -> String {
    Time((w.settings().now)().plus_ms(ms)).to_string()
}

/// Whether a time is the world's present. Each look at the world's clock advances it by a microsecond.
fn is_now(w: &World, time: &Value) -> bool {
    let time = Timestamp::parse(time.as_str().unwrap()).unwrap();
    (0..2).contains(&(w.settings().now)().ms_since(time))
}

fn id(key: &Value) -> &str {
    key["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_value_is_shown_once_and_only_its_hash_is_stored() {
    for db in Database::both() {
        let w = World::new(db).await;
        assert_eq!(listed(&w).await, Vec::<Value>::new());
        let body = json!({"name": "chat app", "scopes": ["chat", "Qwen/Qwen2.5-7B-Instruct"],
            "requests_per_minute": 60, "tokens_per_minute": 100_000, "expires_at": in_ms(&w, DAY_MS)});
        let answer = ask(&w, "POST", "/keys", None, Some(body.clone())).await;
        let mut created = answer.json();
        assert_eq!(answer.status, 201, "{created}");
        assert_eq!(answer.header("location"), format!("/keys/{}", id(&created)));
        assert_eq!(answer.header("cache-control"), "no-store");
        let value = created["value"].take();
        let value = value.as_str().unwrap();
        created.as_object_mut().unwrap().remove("value");
        for (field, sent) in body.as_object().unwrap() {
            assert_eq!(&created[field], sent, "{field}");
        }
        assert_eq!((&created["status"], &created["revoked_at"]), (&json!("valid"), &Value::Null));
        assert!(is_now(&w, &created["created_at"]), "{created}");

        let read = api_key::read(value).unwrap();
        assert_eq!(format!("key-{}", read.id_body()), id(&created), "the key finds its row");
        let key_id = KeyId::parse(id(&created)).unwrap();
        let row = w.store.api_key(&key_id).await.unwrap().unwrap();
        assert!(read.matches(&row.hash) && !format!("{row:?}").contains(value), "{row:?}");
        assert_eq!(w.call("GET", &format!("/keys/{}", id(&created)), None).await, (200, created.clone()));
        assert_eq!(listed(&w).await, [created.clone()], "the list shows the same, without the value");

        // The smallest request. An empty list of scopes is like none.
        w.advance_ms(1_000);
        let others = [json!({"name": "chat app"}), json!({"name": "chat app", "scopes": []})];
        let [second, third] = [create(&w, others[0].clone()).await, create(&w, others[1].clone()).await];
        for key in [&second, &third] {
            assert_ne!(key["value"], value);
            assert_eq!(key["scopes"], json!([]), "{key}");
            for field in ["requests_per_minute", "tokens_per_minute", "expires_at", "last_used_at"] {
                assert_eq!(key[field], Value::Null, "{field}");
            }
        }
        let ids: Vec<String> = listed(&w).await.iter().map(|k| id(k).to_owned()).collect();
        assert_eq!(ids, [&created, &second, &third].map(|k| id(k).to_owned()), "oldest first");
    }
}

#[tokio::test]
async fn the_database_file_contains_the_hash_and_no_value() {
    let w = World::new(Database::Sqlite).await;
    let value = create(&w, json!({"name": "a"})).await["value"].as_str().unwrap().to_owned();
    let row = w.store.api_keys().await.unwrap().remove(0);
    // Without the id, which is public.
    let secret = value.rsplit('_').next().unwrap();
    let files: Vec<Vec<u8>> =
        std::fs::read_dir(w.home.path()).unwrap().map(|f| std::fs::read(f.unwrap().path()).unwrap()).collect();
    let holds = |text: &str| files.iter().any(|f| f.windows(text.len()).any(|part| part == text.as_bytes()));
    assert!(holds(&row.hash) && holds(row.id.as_str()), "the search finds what is there");
    assert!(!holds(secret) && !holds(&secret[..16]) && !holds(&secret[16..]), "a part of the value is stored");
}

#[tokio::test]
async fn a_key_is_valid_until_it_expires_or_is_revoked() {
    for db in Database::both() {
        let w = World::new(db).await;
        let short = create(&w, json!({"name": "short", "expires_at": in_ms(&w, 60_000)})).await;
        let both = create(&w, json!({"name": "both", "expires_at": in_ms(&w, 60_000)})).await;
        let revoked = create(&w, json!({"name": "revoked"})).await;
        let valid = create(&w, json!({"name": "valid", "expires_at": in_ms(&w, DAY_MS)})).await;
        let statuses = async || {
            let keys = listed(&w).await;
            keys.iter().map(|k| k["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(statuses().await, ["valid"; 4]);
        w.advance_ms(59_999);
        assert_eq!(statuses().await, ["valid"; 4], "until its time");
        let revoke = async |key: &Value| w.call("DELETE", &format!("/keys/{}", id(key)), None).await;
        assert_eq!(revoke(&revoked).await, (204, Value::Null));
        let shown = async |key: &Value| w.call("GET", &format!("/keys/{}", id(key)), None).await.1;
        let first = shown(&revoked).await["revoked_at"].clone();
        assert!(is_now(&w, &first), "{first}");
        w.advance_ms(1);
        assert_eq!(statuses().await, ["expired", "expired", "revoked", "valid"], "from its time on");
        let still: Vec<String> =
            w.store.valid_api_keys((w.settings().now)()).await.unwrap().into_iter().map(|k| k.name).collect();
        assert_eq!(still, ["valid"], "what the gateway accepts is what is shown as valid");
        // Once more changes nothing. An expired key can be revoked.
        assert_eq!(revoke(&revoked).await, (204, Value::Null));
        assert_eq!(revoke(&both).await, (204, Value::Null));
        assert_eq!(statuses().await, ["expired", "revoked", "revoked", "valid"]);
        assert_eq!(shown(&revoked).await["revoked_at"], first, "the first time counts");
        assert_eq!(shown(&short).await["revoked_at"], Value::Null);
        assert_eq!(shown(&valid).await["status"], "valid");
    }
}

#[tokio::test]
async fn a_name_refers_to_the_only_valid_key_that_has_it() {
    let w = World::new(Database::Sqlite).await;
    let name = "ü/a %b";
    let path = "/keys/%C3%BC%2Fa%20%25b";
    let first = create(&w, json!({"name": name})).await;
    assert_eq!(w.call("GET", path, None).await.1["id"], first["id"]);
    let second = create(&w, json!({"name": name})).await;
    for method in ["GET", "DELETE"] {
        let (status, problem) = w.call(method, path, None).await;
        assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:ambiguous")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(id(&first)) && detail.contains(id(&second)), "{detail}");
    }
    assert_eq!(w.call("DELETE", &format!("/keys/{}", id(&first)), None).await.0, 204);
    assert_eq!(w.call("GET", path, None).await.1["id"], second["id"], "a revoked key does not count");
    assert_eq!(w.call("DELETE", path, None).await.0, 204);
    for (path, what) in [
        (path, "valid key `ü/a %b`"),
        ("/keys/nobody", "valid key `nobody`"),
        ("/keys/%00", "valid key ``"),
        ("/keys/key-00000000000000000000000000", "key `key-00000000000000000000000000`"),
    ] {
        for method in ["GET", "DELETE"] {
            let (status, problem) = w.call(method, path, None).await;
            assert_eq!((status, &problem["detail"]), (404, &json!(format!("there is no {what}"))), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_every_field_and_creates_nothing() {
    let w = World::new(Database::Sqlite).await;
    let long = |n: usize| "x".repeat(n);
    let now = in_ms(&w, 0);
    // What is sent besides a good name, the place of the mistake, and a part of what is said.
    for (sent, place, says) in [
        (json!({"name": null}), "#/name", "must be a string"),
        (json!({"name": ""}), "#/name", "1 to 100 characters"),
        (json!({"name": " "}), "#/name", "1 to 100 characters"),
        (json!({"name": long(101)}), "#/name", "1 to 100 characters"),
        (json!({"name": "a\nb"}), "#/name", "control characters"),
        (json!({"name": "a\u{202e}b"}), "#/name", "invisible"),
        (json!({"name": "key-a"}), "#/name", "must not begin with `key-`"),
        (json!({"name": ".."}), "#/name", "cannot be used in a path"),
        (json!({"scopes": "chat"}), "#/scopes", "must be a list"),
        (json!({"scopes": vec!["chat"; 51]}), "#/scopes", "at most 50"),
        (json!({"scopes": ["chat", ""]}), "#/scopes/1", "1 to 300 characters"),
        (json!({"scopes": [long(301)]}), "#/scopes/0", "1 to 300 characters"),
        (json!({"scopes": ["a\u{0}"]}), "#/scopes/0", "control characters"),
        (json!({"scopes": ["chat", 7]}), "#/scopes/1", "must be a string"),
        (json!({"requests_per_minute": 0}), "#/requests_per_minute", "at least 1, or omitted for no limit"),
        (json!({"requests_per_minute": 1.5}), "#/requests_per_minute", "must be a whole number"),
        (json!({"tokens_per_minute": -1}), "#/tokens_per_minute", "at least 1, or omitted for no limit"),
        (json!({"tokens_per_minute": "7"}), "#/tokens_per_minute", "must be a whole number"),
        (json!({"expires_at": now}), "#/expires_at", "must be in the future"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "#/expires_at", "must be in the future"),
        (json!({"expires_at": "tomorrow"}), "#/expires_at", "must be a time in RFC 3339"),
        (json!({"colour": "red"}), "#/colour", "unknown field"),
        (json!({"value": "inv_mine"}), "#/value", "unknown field"),
    ] {
        let mut body = json!({"name": "good"});
        body.as_object_mut().unwrap().extend(sent.as_object().unwrap().clone());
        let answer = ask(&w, "POST", "/keys", None, Some(body)).await;
        let problem = answer.json();
        assert_eq!(answer.status, 422, "{sent}: {problem}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{sent}");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1), "{sent}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], place, "{sent}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{sent}: {problem}");
    }
    let all = json!({"scopes": [""], "requests_per_minute": 0, "tokens_per_minute": 0, "expires_at": now, "x": 1});
    let problem = ask(&w, "POST", "/keys", None, Some(all)).await.json();
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(6), "with the missing name: {problem}");
    let headers = [("content-type", "application/json")];
    let answer = send(&w.api, "POST", "/keys", &headers, json!({"name": "a"}).to_string()).await;
    assert_eq!(answer.status, 401);
    assert!(listed(&w).await.is_empty(), "nothing was created");

    // The longest that is accepted. Characters are counted, not bytes.
    let soon = in_ms(&w, 1);
    let body = json!({"name": "ü".repeat(100), "scopes": vec!["é".repeat(300); 50], "requests_per_minute": 1,
        "tokens_per_minute": i64::MAX, "expires_at": soon});
    create(&w, body).await;
}

#[tokio::test]
async fn every_change_is_told_at_once_to_who_waits_for_one() {
    let w = World::new(Database::Sqlite).await;
    let mut hints = w.store.hints();
    let mut is_told = async || tokio::time::timeout(Duration::ZERO, hints.next()).await.is_ok();
    assert!(!is_told().await);
    let key = create(&w, json!({"name": "a"})).await;
    assert!(is_told().await, "of a new key");
    listed(&w).await;
    assert!(!is_told().await, "a list is no change");
    w.call("DELETE", &format!("/keys/{}", id(&key)), None).await;
    assert!(is_told().await, "of a revoked key");
    w.call("DELETE", &format!("/keys/{}", id(&key)), None).await;
    assert!(!is_told().await, "nothing changed");
}
