//! Errors as RFC 9457 problems: what is wrong and what to do, without inner workings or secrets.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A stable word for programs, as a URN.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The same for people.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong here, and what to do.
    pub(crate) detail: String,
}

/// An error on its way out.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: u16,
    code: &'static str,
    detail: String,
    retry_after_s: Option<u32>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None }
    }

    /// The request is understood and wrong.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(422, "invalid", detail)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let shown: String = id.chars().filter(|c| !c.is_control()).take(80).collect();
        Self::new(404, "not_found", format!("there is no {what} `{shown}`"))
    }

    /// The request is right and does not fit what is there.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(409, code, detail)
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
            inventiv_store::Error::Duplicate(_) => Self::conflict("exists", "it exists already"),
            inventiv_store::Error::Corrupt(what) => {
                tracing::error!(what, "a row cannot be read");
                Self::new(500, "internal", "a row of the database cannot be read; the server's log says which")
            }
            e @ inventiv_store::Error::Doubt(_) => {
                tracing::error!(error = %e, "the database did not answer");
                Self::unavailable(
                    "the connection to the database broke while this was written: whether it was is not known. Look before you \
                     ask again",
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
        let problem = Problem { kind, title, status: self.status, detail: self.detail };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
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

impl From<QueryRejection> for ApiError {
    fn from(e: QueryRejection) -> Self {
        Self::new(400, "malformed", e.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(e: PathRejection) -> Self {
        Self::new(400, "malformed", e.body_text())
    }
}
