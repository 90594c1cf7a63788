//! Tests of `extract.rs`.

use super::*;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sample {
    zone: String,
    kind: String,
    gb: Option<i64>,
    keep: Option<bool>,
    tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    zone: Option<String>,
}

fn reported<T>(read: Result<T, ApiError>) -> Vec<(String, String)> {
    let Err(e) = read else { return Vec::new() };
    let place = |e: &FieldError| e.pointer.clone().or(e.parameter.clone()).unwrap_or_default();
    e.errors().iter().map(|e| (place(e), e.detail.clone())).collect()
}

#[test]
fn everything_that_is_wrong_with_a_body_is_told_at_once() {
    let one = |place: &str, detail: &str| (place.to_owned(), detail.to_owned());
    let unknown = "unknown field; the fields are zone, kind, gb, keep, tags";
    for (body, expected) in [
        (json!({"zone": "z", "kind": "k", "gb": 5, "tags": ["a"]}), vec![]),
        (json!({"zone": 5}), vec![one("#/kind", "is required"), one("#/zone", "must be a string, not integer 5")]),
        (json!({}), vec![one("#/zone", "is required"), one("#/kind", "is required")]),
        (
            json!({"zone": 5, "kind": "k", "gb": "x", "colour": 1, "tags": ["a", 7]}),
            vec![
                one("#/colour", unknown),
                one("#/gb", "must be a whole number, not a string"),
                one("#/tags/1", "must be a string, not integer 7"),
                one("#/zone", "must be a string, not integer 5"),
            ],
        ),
        (json!({"zone": "z", "kind": "k", "keep": "yes"}), vec![one("#/keep", "must be true or false, not a string")]),
        (
            json!({"zone": "z", "kind": "k", "gb": 1.5}),
            vec![one("#/gb", "must be a whole number, not floating point 1.5")],
        ),
        (
            json!({"zone": "z", "a/b": 1, "a~b": 2}),
            vec![one("#/a~1b", unknown), one("#/a~0b", unknown), one("#/kind", "is required")],
        ),
    ] {
        let mut found = reported(object::<Sample>(body.clone()));
        found.sort_by(|a, b| (a.1 == "is required", &a.0).cmp(&(b.1 == "is required", &b.0)));
        let mut expected = expected;
        expected.sort_by(|a, b| (a.1 == "is required", &a.0).cmp(&(b.1 == "is required", &b.0)));
        assert_eq!(found, expected, "{body}");
    }
    assert!(object::<Sample>(json!(["z", "k", null, null, null])).is_err(), "a list is no object");
}

#[test]
fn everything_that_is_wrong_with_a_query_is_told_at_once() {
    let one = |name: &str, detail: &str| (name.to_owned(), detail.to_owned());
    let unknown = "unknown parameter; the parameters are limit, zone";
    for (text, expected) in [
        ("limit=5&zone=a%20b&", vec![]),
        ("limit=x", vec![one("limit", "must be a whole number")]),
        ("limit=", vec![one("limit", "must be a whole number")]),
        (
            "limit=-1&colour=red&taste=%20",
            vec![one("limit", "must be a whole number"), one("colour", unknown), one("taste", unknown)],
        ),
        ("zone=a&zone=b", vec![one("zone", "must be given only once")]),
    ] {
        assert_eq!(reported(query::<Page>(text)), expected, "{text}");
    }
    assert_eq!(query::<Page>("zone=a%26b%3D").ok(), Some(Page { limit: None, zone: Some("a&b=".to_owned()) }));
}

#[test]
fn a_body_with_many_mistakes_ends() {
    let fields: serde_json::Map<String, Value> = (0..1_000).map(|n| (format!("f{n}"), json!(n))).collect();
    assert_eq!(reported(object::<Sample>(Value::Object(fields))).len(), TOLD_MAX);
}
