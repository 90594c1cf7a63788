//! What an emulator must hold before a recording can be played.

use crate::names::is_uuid;
use crate::recording::Exchange;
use crate::scope::{Product, product};
use scaleway_emulator::Emulator;
use serde_json::Value;
use std::collections::HashSet;

/// The organization that owns everything, from the first answer that contains one.
pub(crate) fn organization(exchanges: &[Exchange]) -> String {
    fn find(v: &Value) -> Option<&str> {
        match v {
            Value::Object(map) if !map.get("public").is_some_and(|p| p == true) => {
                let own = map.get("organization").or(map.get("organization_id")).and_then(Value::as_str);
                own.filter(|o| is_uuid(o))
                    .or_else(|| map.iter().filter(|(k, _)| *k != "image").find_map(|(_, v)| find(v)))
            }
            Value::Array(items) => items.iter().find_map(find),
            Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }
    fn project(v: &Value) -> Option<&str> {
        v.get("project").or(v.get("project_id")).and_then(Value::as_str).filter(|p| is_uuid(p))
    }
    let named = exchanges.iter().filter(|e| e.status < 300 && product(&e.path) != Product::Marketplace);
    let named = named.clone().find_map(|e| find(&e.answer)).or_else(|| named.clone().find_map(|e| project(&e.answer)));
    named.unwrap_or("11111111-1111-4111-8111-111111111111").to_owned()
}

/// Adds the images that a request uses before any answer shows them: they existed before the recording.
pub(crate) fn seed_images(emulator: &Emulator, exchanges: &[Exchange], seeded: &mut Vec<String>) {
    let mut known = HashSet::new();
    for e in exchanges {
        let asked = e.path.split("/images/").nth(1).filter(|_| e.path.starts_with("/instance/"));
        let named = e.body.get("image").and_then(Value::as_str).or(asked).filter(|id| is_uuid(id));
        if let Some(id) = named.filter(|id| !known.contains(*id)) {
            let image = exchanges.iter().filter(|e| e.status < 300).find_map(|e| {
                let image = e.answer.get("image").or_else(|| e.answer.pointer("/server/image"));
                image.filter(|i| i["id"] == id)
            });
            if let Some(image) = image {
                let zone = e.path.split('/').nth(4).unwrap_or_default();
                emulator.add_image(zone, image);
                seeded
                    .push(format!("image {id} ({}, as the recording shows it)", image["name"].as_str().unwrap_or("?")));
            }
        }
        collect(&e.answer, &mut known);
    }
}

/// Collects every id in an answer.
pub(crate) fn collect(value: &Value, ids: &mut HashSet<String>) {
    match value {
        Value::String(s) => ids.extend(s.split('/').filter(|word| is_uuid(word)).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|v| collect(v, ids)),
        Value::Object(map) => map.values().for_each(|v| collect(v, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Collects the ids of what the request created, without those of owners and sources.
pub(crate) fn collect_made(value: &Value, ids: &mut HashSet<String>) {
    const NOT_MADE: [&str; 8] = [
        "organization",
        "organization_id",
        "project",
        "project_id",
        "image",
        "security_group",
        "placement_group",
        "location",
    ];
    match value {
        Value::Object(map) => {
            let made = map.iter().filter(|(key, _)| !NOT_MADE.contains(&key.as_str()));
            made.for_each(|(_, inner)| collect_made(inner, ids));
        }
        Value::Array(items) => items.iter().for_each(|v| collect_made(v, ids)),
        Value::String(_) => collect(value, ids),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
