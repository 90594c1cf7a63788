//! Tests of `openapi.rs`.

use super::*;
use inventiv_types::{LogStatus, Status};
use serde_json::Value;

/// Looks a schema up, through a reference.
fn schema<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    reference.map_or(schema, |path| document.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null))
}

#[test]
fn statuses_are_enumerations_in_the_document() {
    let document = serde_json::to_value(document()).unwrap_or_default();
    let words = |all: &[Status]| all.iter().map(|s| Value::from(s.text())).collect::<Vec<_>>();
    let of_instance = &document["components"]["schemas"]["Instance"]["properties"]["status"];
    assert_eq!(schema(&document, of_instance)["enum"], Value::Array(words(Status::ALL)), "{of_instance}");
    let of_line = &document["components"]["schemas"]["ActionLog"]["properties"]["status"];
    let words: Vec<Value> = LogStatus::ALL.iter().map(|s| Value::from(s.text())).collect();
    assert_eq!(schema(&document, of_line)["enum"], Value::Array(words), "{of_line}");
}

#[test]
fn every_tag_is_described_and_every_operation_has_one() {
    let document = serde_json::to_value(document()).unwrap_or_default();
    let described: Vec<&str> =
        document["tags"].as_array().into_iter().flatten().filter_map(|t| t["name"].as_str()).collect();
    let paths = document["paths"].as_object().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            assert!(described.contains(&tag), "{method} {path}: {tag}");
        }
    }
}
