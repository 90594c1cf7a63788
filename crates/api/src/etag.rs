//! `ETag` and `If-Match`: a change is made only if the resource is still as the client read it.

use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The entity tag of a representation: a digest of its bytes.
pub(crate) fn of<T: Serialize>(shown: &T) -> String {
    let digest = Sha256::digest(serde_json::to_vec(shown).unwrap_or_default());
    let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// The entity tag of a resource that has a version.
pub(crate) fn of_version(version: i64) -> String {
    format!("\"v{version}\"")
}

/// A response with its entity tag.
pub(crate) type Tagged<T> = ([(HeaderName, String); 1], axum::Json<T>);

/// Adds an entity tag to a response.
pub(crate) fn tagged<T>(tag: String, shown: T) -> Tagged<T> {
    ([(header::ETAG, tag)], axum::Json(shown))
}

/// The header `If-Match`, if there is one.
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    /// Refuses the request if the header is present and does not contain the current tag.
    pub(crate) fn check(&self, now: &str) -> Result<(), ApiError> {
        let Some(asked) = &self.0 else { return Ok(()) };
        // A weak tag matches nothing (RFC 9110, 13.1.1).
        if asked.split(',').map(str::trim).any(|tag| tag == "*" || tag == now) {
            return Ok(());
        }
        let detail = format!("the resource has changed: its ETag is {now}, and If-Match is {asked}; read it again");
        Err(ApiError::new(412, "changed", detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let all: Result<Vec<&str>, _> = parts.headers.get_all(header::IF_MATCH).iter().map(|v| v.to_str()).collect();
        let all =
            all.map_err(|_| ApiError::new(400, "malformed", "If-Match: must be the ETag of a response, or `*`"))?;
        Ok(Self((!all.is_empty()).then(|| all.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_matches_itself_any_of_a_list_and_the_star() {
        for (header, matches) in [
            (None, true),
            (Some("\"v3\""), true),
            (Some("*"), true),
            (Some("\"v1\", \"v3\""), true),
            (Some("\"v1\""), false),
            (Some("W/\"v3\""), false),
            (Some("v3"), false),
            (Some(""), false),
        ] {
            let asked = IfMatch(header.map(str::to_owned));
            assert_eq!(asked.check(&of_version(3)).is_ok(), matches, "{header:?}");
        }
        assert_ne!(of(&"a"), of(&"b"));
    }
}
