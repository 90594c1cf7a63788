//! Tests of `/secrets`: they can be set, listed and deleted, and their values never come back.

use crate::helpers::{ask, bearer, send};
use inventiv_keyring::secret_context;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

const VALUE: &str = "hf_secret_4711";

#[tokio::test]
async fn a_secret_is_set_replaced_listed_and_deleted_and_its_value_is_never_shown() {
    for db in Database::both() {
        let w = World::new(db).await;
        assert_eq!(w.call("GET", "/secrets", None).await, (200, json!({"items": [], "next": null})));
        let put = async |name: &str, value: &str| {
            w.call("PUT", &format!("/secrets/{name}"), Some(json!({"value": value}))).await
        };
        let (status, first) = put("hf-token", VALUE).await;
        assert_eq!((status, &first["created_at"]), (201, &first["updated_at"]), "{first}");
        w.advance_ms(1_000);
        let (status, second) = put("hf-token", &format!("{VALUE}2")).await;
        assert_eq!((status, &second["created_at"]), (200, &first["created_at"]), "{second}");
        assert_ne!(second["updated_at"], first["updated_at"]);
        for name in ["hf_token", "a", "b2"] {
            assert_eq!(put(name, VALUE).await.0, 201);
        }
        let (_, list) = w.call("GET", "/secrets", None).await;
        let names: Vec<&str> = list["items"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
        assert_eq!(names, ["a", "b2", "hf-token", "hf_token"]);
        assert_eq!(list["items"][2], second);
        for shown in [&first, &second, &list] {
            assert!(!shown.to_string().contains(VALUE) && !shown.to_string().contains("v1:"), "{shown}");
        }

        let row = w.store.secret("hf-token").await.unwrap().unwrap();
        assert!(row.sealed.starts_with("v1:") && !row.sealed.contains(VALUE), "{}", row.sealed);
        let keyring = w.settings().keyring;
        let opened = keyring.open(&secret_context("hf-token"), &row.sealed).unwrap();
        assert_eq!(opened.as_slice(), format!("{VALUE}2").as_bytes());
        assert!(keyring.open(&secret_context("a"), &row.sealed).is_err(), "it cannot be given another name");

        assert_eq!(w.call("DELETE", "/secrets/hf-token", None).await, (204, Value::Null));
        let (status, problem) = w.call("DELETE", "/secrets/hf-token", None).await;
        assert_eq!((status, &problem["detail"]), (404, &json!("there is no secret `hf-token`")));
        assert_eq!(w.call("GET", "/secrets", None).await.1["items"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_without_repeating_the_value() {
    let w = World::new(Database::Sqlite).await;
    let longest = "x".repeat(64 * 1024);
    for (name, body, status) in [
        ("good", json!({"value": longest}), 201),
        ("good", json!({"value": "ü\0\n"}), 200),
        ("good", json!({"value": format!("{longest}x")}), 422),
        ("good", json!({"value": ""}), 422),
        ("good", json!({}), 422),
        ("good", json!({"value": null}), 422),
        ("good", json!({"value": 4711}), 422),
        ("good", json!({"value": 47.11}), 422),
        ("good", json!({"value": true}), 422),
        ("good", json!({"value": [VALUE]}), 422),
        ("good", json!({"value": {"hf_secret_4711": 4711}}), 422),
        ("good", json!({"value": VALUE, "colour": VALUE}), 422),
        ("good", json!(VALUE), 422),
        ("good", json!([VALUE]), 422),
        ("Upper", json!({"value": VALUE}), 422),
        ("0", json!({"value": VALUE}), 422),
        ("a%00", json!({"value": VALUE}), 422),
        (&"a".repeat(65), json!({"value": VALUE}), 422),
    ] {
        let answer = ask(&w, "PUT", &format!("/secrets/{name}"), None, Some(body.clone())).await;
        let problem = answer.json();
        assert_eq!(answer.status, status, "{name}: {problem}");
        let said = String::from_utf8(answer.body).unwrap();
        for part in ["4711", "47.11", "true", "xxx"] {
            assert!(!said.contains(part), "it repeats the value: {said}");
        }
        if status == 422 {
            assert!(problem["detail"].as_str().is_some_and(|d| d.len() > 10), "{problem}");
        }
    }
    let token = bearer();
    let json = ("content-type", "application/json");
    for (headers, body, status) in [
        (&[("authorization", token.as_str()), json][..], format!("{{\"value\": \"{VALUE}"), 400),
        (&[("authorization", &token), json], format!("{{\"value\": {VALUE}}}"), 400),
        (&[("authorization", &token)], format!("{{\"value\": \"{VALUE}\"}}"), 415),
        (&[json], format!("{{\"value\": \"{VALUE}\"}}"), 401),
    ] {
        let answer = send(&w.api, "PUT", "/secrets/other", headers, body.clone()).await;
        let said = String::from_utf8(answer.body).unwrap();
        assert!(answer.status == status && !said.contains("4711"), "{body}: {said}");
    }
    for name in ["other", "Upper", "a%00", "a%2Fb"] {
        assert_eq!(w.call("DELETE", &format!("/secrets/{name}"), None).await.0, 404, "{name}");
    }
    let (_, list) = w.call("GET", "/secrets", None).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "nothing else was recorded: {list}");
}
