//! The OpenAPI 3.1 document, made from the code.

use crate::events_schema::StreamEvent;
use crate::problem::Problem;
use crate::routes;
use inventiv_core::audit::FindingKind;
use inventiv_core::status::{NoteCode, Origin, Status, VolumeStatus};
use inventiv_store::LogStatus;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Inventiv-Agents",
        description = "GPU instances, every volume they have, and proof of what is gone. Sizes are bytes or GB (10^9 \
                       bytes), money is millionths, times are RFC 3339 in UTC.\n\nEvery refusal is a problem (RFC 9457) \
                       with the media type `application/problem+json`."
    ),
    tags(
        (name = "instances", description = "GPU servers with their volumes: asked for, watched, ended, and proven gone."),
        (name = "volumes", description = "Every volume that an instance has or had, and whether it goes with its instance."),
        (name = "events", description = "Changes as they happen, as server-sent events."),
        (name = "offers", description = "What can be rented where, at which price."),
        (name = "models", description = "How large the data volume for a model is."),
        (name = "audit", description = "What the cloud holds against what is recorded, both ways."),
        (name = "action logs", description = "Every call of the provider's API that changes something, written down before it is made."),
        (name = "accounts", description = "Accounts at providers, and what each still owns."),
        (name = "provider settings", description = "What holds for every instance at a provider unless a request says otherwise."),
        (name = "health", description = "Whether the server runs and can serve, and its metrics.")
    ),
    components(schemas(Problem, StreamEvent))
)]
struct Base;

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let mut api = Base::openapi();
    api.merge(routes::documented().split_for_parts().1);
    api.merge(routes::open().split_for_parts().1);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    if let Some(components) = &mut api.components {
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        for (schema, property, words) in enumerations() {
            let object = components.schemas.get_mut(schema).and_then(|s| property_of(s, property));
            if let Some(object) = object {
                object.enum_values = Some(words);
            }
        }
    }
    api.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
    api
}

/// Which properties are one of a few words, and which: from where the words are made.
fn enumerations() -> Vec<(&'static str, &'static str, Vec<Value>)> {
    let words = |words: Vec<&'static str>| words.into_iter().map(Value::from).collect::<Vec<Value>>();
    let statuses = || words(Status::ALL.iter().map(|s| s.text()).collect());
    let volume = || words(VolumeStatus::ALL.iter().map(|s| s.text()).collect());
    let origin = || words(Origin::ALL.iter().map(|o| o.text()).collect());
    vec![
        ("Instance", "status", statuses()),
        ("HistoryEntry", "to_status", statuses()),
        ("NoteView", "code", words(NoteCode::ALL.iter().map(|c| c.text()).collect())),
        ("Storage", "status", volume()),
        ("Storage", "origin", origin()),
        ("ActionLogView", "status", words(LogStatus::ALL.iter().map(|s| s.text()).collect())),
        ("OfferView", "availability", words(vec!["available", "scarce", "shortage", "unknown"])),
        ("FindingView", "kind", words(FindingKind::ALL.iter().map(|k| k.text()).collect())),
        ("AuditRequest", "policy", words(vec!["report", "delete"])),
        ("Health", "status", words(vec!["ok"])),
    ]
}

/// A property of a schema, or of one of those that it is made of.
fn property_of<'s>(schema: &'s mut RefOr<Schema>, name: &str) -> Option<&'s mut utoipa::openapi::Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => match object.properties.get_mut(name) {
            Some(RefOr::T(Schema::Object(property))) => Some(property),
            _ => None,
        },
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().find_map(|item| property_of(item, name)),
        RefOr::T(_) | RefOr::Ref(_) => None,
    }
}

/// Every operation may answer with a problem.
fn problem() -> Response {
    let body = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description("A problem (RFC 9457)").content("application/problem+json", body).build()
}

/// The document as it is checked in: JSON, two spaces, a newline at the end.
///
/// # Errors
/// When it has no JSON form, which would be a mistake in the code.
pub fn document_text() -> Result<String, serde_json::Error> {
    document().to_pretty_json().map(|text| format!("{text}\n"))
}

#[cfg(test)]
mod tests {
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
}
