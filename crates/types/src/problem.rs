//! Errors: problem details as in RFC 9457.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error response: problem details as in RFC 9457.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem as a URN, for instance `urn:inventiv:not_found`. It is stable, so programs can rely on it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words, for instance `not found`.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong with this request, and what to do. The wording may change at any time.
    pub detail: String,
    /// Identifies this response: `urn:inventiv:request:` and the request id (header `X-Request-Id`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every mistake in the request. Absent if the problem does not concern single fields or parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The wrong field of the request body, as a JSON Pointer in a URI fragment, for instance `#/tags/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The name of the wrong query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong, and what to do.
    pub detail: String,
}
