//! Tests of `openapi.rs`.

use super::*;

#[test]
fn every_enumeration_stands_in_the_document() {
    let document = serde_json::to_value(document()).unwrap_or_default();
    for (schema, property, words) in enumerations() {
        let schema_of = &document["components"]["schemas"][schema];
        let own = &schema_of["properties"][property];
        let inherited = schema_of["allOf"].as_array().into_iter().flatten();
        let found = std::iter::once(own).chain(inherited.map(|part| &part["properties"][property]));
        assert!(
            found.into_iter().any(|p| p["enum"] == Value::Array(words.clone())),
            "{schema}.{property}: {schema_of}"
        );
    }
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
