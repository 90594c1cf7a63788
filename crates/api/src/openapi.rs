//! The OpenAPI 3.1 document, made from the code.

use crate::problem::Problem;
use crate::routes;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Inventiv-Agents",
        description = "GPU instances, every volume they have, and proof of what is gone. Sizes are bytes or GB (10^9 \
                       bytes), money is millionths, times are RFC 3339 in UTC."
    ),
    components(schemas(Problem))
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
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
    api
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
