//! The OpenAPI 3.1 document, generated from the code.

use crate::routes;
use inventiv_types::{Problem, SnapshotBegins, StreamEvent, WebhookMessage};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Inventiv-Agents",
        description = "Creates and terminates GPU instances with their volumes, and proves what is gone.\n\n\
                       **Asynchronous.** A request changes the desired state and returns at once. The control plane \
                       then changes the cloud until it matches. Follow an instance with `GET /instances/{id}` or \
                       `GET /events`.\n\n\
                       **Authentication.** Send the header `Authorization: Bearer TOKEN`. Only `/healthz`, `/readyz` \
                       and `/docs` need no token.\n\n\
                       **Models.** `/v1` is the OpenAI API of all models. It takes API keys (`POST /keys`) instead of the \
                       token, and its errors have the form of the OpenAI API. It is not described here: see \
                       docs/SERVING.md.\n\n\
                       **Units.** Sizes are in bytes or GB (10^9 bytes). Money is in integer millionths of a currency. \
                       Times are RFC 3339 in UTC.\n\n\
                       **Pages.** A list returns at most `limit` items. Pass its `next` as `after` to read the next \
                       page.\n\n\
                       **Concurrency.** Responses about one resource have an `ETag`. Send it as `If-Match` with a \
                       change to have the change refused with 412 if the resource has changed since.\n\n\
                       **Retries.** Every POST takes an `Idempotency-Key`: sent again, it takes effect once.\n\n\
                       **Errors.** Every error is a problem (RFC 9457) with the media type `application/problem+json`. \
                       It says what is wrong and what to do."
    ),
    tags(
        (name = "instances", description = "GPU servers with their volumes, from the request to the proof of the end."),
        (name = "volumes", description = "The volumes of instances, and whether they are deleted with their instance."),
        (name = "events", description = "A stream of all changes of instances, as server-sent events."),
        (name = "offers", description = "Server types with prices and availability, and images."),
        (name = "models", description = "Models, and the size of the data volume that each needs."),
        (name = "secrets", description = "Texts that are stored sealed. Their values are never shown."),
        (name = "costs", description = "What was spent, what is spent now, and the prices behind both."),
        (name = "services", description = "Models that are kept answering by as many instances as their load needs."),
        (name = "keys", description = "API keys for clients that ask models. The value of a key is shown once."),
        (name = "alerts", description = "What an operator should know or do, and the webhooks that it is sent to."),
        (name = "sessions", description = "Tokens that expire, for browsers and for people who may only look."),
        (name = "audit", description = "The comparison of what the cloud shows with the records, in both directions."),
        (name = "action logs", description = "The log of requests, events and provider calls that change something."),
        (name = "accounts", description = "Accounts at providers, and the resources that each still owns."),
        (name = "provider settings", description = "The defaults for new instances at a provider."),
        (name = "health", description = "Liveness, readiness and metrics of the control plane.")
    ),
    components(schemas(Problem, SnapshotBegins, StreamEvent, WebhookMessage))
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
    }
    api.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    for item in api.paths.paths.values_mut() {
        item.post.iter_mut().for_each(takes_key);
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
    api
}

/// Every POST takes an `Idempotency-Key`.
fn takes_key(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    if parameters.iter().any(|p| matches!(p, RefOr::T(p) if p.name == "Idempotency-Key")) {
        return;
    }
    let description = "A unique key for each new request, for instance a UUID: 1 to 255 visible ASCII characters. For 24 \
        hours, the same request with the same key is answered with the first response and the header \
        `Idempotent-Replayed: true`; another request is refused with 422, and one that is in progress with 409. A request that \
        was refused is not remembered; one that failed is carried out again";
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255));
    let key = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
    parameters.push(RefOr::T(key.required(Required::False).description(Some(description)).schema(Some(text)).build()));
}

/// The `default` response of every operation.
fn problem() -> Response {
    let body = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description("A problem (RFC 9457)").content("application/problem+json", body).build()
}

/// The document as it is checked in: JSON, indented by two spaces, with a newline at the end.
///
/// # Errors
/// When it cannot be serialized, which would be a bug.
pub fn document_text() -> Result<String, serde_json::Error> {
    document().to_pretty_json().map(|text| format!("{text}\n"))
}

#[cfg(test)]
mod tests;
