//! The checked-in OpenAPI document is the one that the code generates, and it is valid.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_api::openapi;
use serde_json::Value;
use std::path::Path;

#[test]
fn openapi_json_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let made = openapi::document_text().unwrap();
    if std::env::var_os("INVENTIV_WRITE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == kept, "openapi.json is out of date: cargo xtask openapi");
}

fn walk(value: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| {
            visit(k, v);
            walk(v, visit);
        }),
        Value::Array(list) => list.iter().for_each(|v| walk(v, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn openapi_references_resolve_and_every_operation_is_described() {
    let document: Value = serde_json::from_str(&openapi::document_text().unwrap()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut references = 0;
    walk(&document, &mut |key, value| {
        if let ("$ref", Some(target)) = (key, value.as_str()) {
            references += 1;
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target} does not resolve");
        }
    });
    assert!(references > 20, "{references}");
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("default"), "{method} {path} has no default response");
            for (status, response) in responses {
                assert!(response["description"].is_string(), "{method} {path} {status}");
            }
        }
    }
    for path in [
        "/instances",
        "/instances/{id}",
        "/volumes",
        "/volumes/{id}",
        "/action_logs",
        "/models",
        "/models/{id}",
        "/models/{id}/recommended-data-volume",
        "/provider_settings",
        "/provider_settings/{provider}",
        "/offers",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is missing");
    }
}
