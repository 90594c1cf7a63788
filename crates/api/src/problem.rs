//! Errors as RFC 9457 problems: what is wrong and what to do, without internals or secrets.

use axum::extract::Request;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use inventiv_types::{FieldError, Problem};

/// A mistake in a field of the body; `tags.1` is a nested one.
pub(crate) fn wrong_field(path: &str, detail: impl Into<String>) -> FieldError {
    let pointer = format!("#/{}", path.replace('~', "~0").replace('/', "~1").replace('.', "/"));
    FieldError { pointer: Some(pointer), parameter: None, detail: detail.into() }
}

/// A mistake in a query parameter.
pub(crate) fn wrong_parameter(name: &str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: None, parameter: Some(name.to_owned()), detail: detail.into() }
}

/// The mistake in one sentence, with its field or parameter.
fn sentence(wrong: &FieldError) -> String {
    let pointer = wrong.pointer.as_deref().map(|p| p.trim_start_matches("#/").replace('/', "."));
    let place = wrong.parameter.clone().or(pointer).unwrap_or_default();
    if place.is_empty() { wrong.detail.clone() } else { format!("{place}: {}", wrong.detail) }
}

/// An error that becomes a problem response.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: u16,
    code: &'static str,
    detail: String,
    retry_after_s: Option<u32>,
    errors: Vec<FieldError>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None, errors: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The mistakes in the fields of the request; without any, the whole text as one.
    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        if self.errors.is_empty() {
            return vec![FieldError { pointer: None, parameter: None, detail: self.detail }];
        }
        self.errors
    }

    /// The request was understood and is invalid (422).
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(422, "invalid", detail)
    }

    /// A field of the body is wrong.
    pub(crate) fn field(path: &str, detail: impl Into<String>) -> Self {
        Self::all(vec![wrong_field(path, detail)])
    }

    /// A parameter of the query is wrong.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::all(vec![wrong_parameter(name, detail)])
    }

    /// All mistakes of a request in one response.
    pub(crate) fn all(errors: Vec<FieldError>) -> Self {
        let sentences: Vec<String> = errors.iter().map(sentence).collect();
        Self { errors, ..Self::invalid(sentences.join("; ")) }
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let shown: String = id.chars().filter(|c| !c.is_control()).take(80).collect();
        Self::new(404, "not_found", format!("there is no {what} `{shown}`"))
    }

    /// The request is valid and conflicts with the current state (409).
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(409, code, detail)
    }

    /// The same, with the header `Retry-After`.
    pub(crate) fn after_seconds(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(crate) fn too_many(detail: impl Into<String>) -> Self {
        Self { retry_after_s: Some(5), ..Self::new(429, "too_many", detail) }
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after_s: Some(5), ..Self::new(503, "unavailable", detail) }
    }
}

impl From<inventiv_store::Error> for ApiError {
    fn from(e: inventiv_store::Error) -> Self {
        match e {
            inventiv_store::Error::Duplicate(_) => Self::conflict("exists", "it already exists"),
            inventiv_store::Error::Corrupt(what) => {
                tracing::error!(what, "a database row cannot be read");
                Self::new(500, "internal", "a database row cannot be read; the control plane's log names it")
            }
            e @ inventiv_store::Error::Doubt(_) => {
                tracing::error!(error = %e, "the outcome of a database write is unknown");
                Self::unavailable(
                    "the connection to the database broke during a write, so its outcome is unknown; check the current \
                     state before you repeat the request",
                )
            }
            e @ (inventiv_store::Error::Open(_)
            | inventiv_store::Error::Newer(_)
            | inventiv_store::Error::Moved
            | inventiv_store::Error::Unavailable(_)) => {
                tracing::error!(error = %e, "the database did not answer");
                Self::unavailable("the database is busy, full or cannot be written; nothing was changed; try again")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let title = self.code.replace('_', " ");
        let kind = format!("urn:inventiv:{}", self.code);
        let (detail, errors) = (self.detail, self.errors);
        let problem = Problem { kind, title, status: self.status, detail, instance: None, errors };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body(&problem)).into_response();
        response.extensions_mut().insert(problem);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn body(problem: &Problem) -> Vec<u8> {
    // Our own types always serialize.
    serde_json::to_vec(problem).unwrap_or_default()
}

/// Sets the `instance` of each problem to the id of its request.
pub(crate) async fn name_instance(request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut response = next.run(request).await;
    if let (Some(id), Some(mut problem)) = (id, response.extensions_mut().remove::<Problem>()) {
        problem.instance = Some(format!("urn:inventiv:request:{id}"));
        *response.body_mut() = body(&problem).into();
    }
    response
}

impl From<JsonRejection> for ApiError {
    fn from(e: JsonRejection) -> Self {
        let text = e.body_text();
        match e.status().as_u16() {
            413 => Self::new(413, "too_large", format!("the body is longer than {} bytes", crate::BODY_MAX)),
            415 => Self::new(415, "wrong_content_type", "send JSON with the header `Content-Type: application/json`"),
            400 => Self::new(400, "malformed", format!("the body is not JSON: {text}")),
            _ => Self::invalid(text.trim_start_matches("Failed to deserialize the JSON body into the target type: ")),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(e: PathRejection) -> Self {
        Self::new(400, "malformed", e.body_text())
    }
}
