//! Extractors whose refusals are problems that report every mistake of a request at once.

use crate::problem::{ApiError, wrong_field, wrong_parameter};
use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::request::Parts;
use inventiv_types::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The maximum number of mistakes that are reported for one request.
const TOLD_MAX: usize = 20;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let axum::Json(body) = <axum::Json<Value> as FromRequest<S>>::from_request(request, state).await?;
        object(body).map(Self)
    }
}

/// Without a body, or with `null`, `None`: for requests whose fields may all be omitted.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        // The whole body was read before.
        if request.body().size_hint().exact() == Some(0) {
            return Ok(None);
        }
        let axum::Json(body) = <axum::Json<Value> as FromRequest<S>>::from_request(request, state).await?;
        if body.is_null() { Ok(None) } else { object(body).map(|read| Some(Self(read))) }
    }
}

/// A JSON body with the mistakes of its form, for handlers that check its values, too. Fields with a mistake have no
/// meaning.
pub(crate) struct Draft<T> {
    pub(crate) read: T,
    pub(crate) errors: Vec<FieldError>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Draft<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let axum::Json(body) = <axum::Json<Value> as FromRequest<S>>::from_request(request, state).await?;
        draft(body)
    }
}

/// Decodes a JSON object, or reports everything that is wrong with it.
pub(crate) fn object<T: DeserializeOwned>(body: Value) -> Result<T, ApiError> {
    let Draft { read, errors } = draft(body)?;
    if errors.is_empty() { Ok(read) } else { Err(ApiError::all(errors)) }
}

/// Decodes a JSON object as far as its form allows.
///
/// serde stops at the first mistake. So each wrong field is removed, each missing one is added, and the object decoded
/// again.
fn draft<T: DeserializeOwned>(mut body: Value) -> Result<Draft<T>, ApiError> {
    if !body.is_object() {
        return Err(ApiError::invalid("the body must be a JSON object"));
    }
    let mut errors: Vec<FieldError> = Vec::new();
    for _ in 0..3 * TOLD_MAX {
        let wrong = match serde_path_to_error::deserialize::<_, T>(&body) {
            Ok(read) => return Ok(Draft { read, errors }),
            Err(wrong) => wrong,
        };
        let (path, text) = (wrong.path().to_string(), wrong.into_inner().to_string());
        let reported = reported(&path, &text);
        // A wrong field that was removed is now missing; it has been reported already.
        if !errors.iter().any(|e| e.pointer == reported.0.pointer) && errors.len() < TOLD_MAX {
            errors.push(reported.0);
        }
        let Some(fields) = body.as_object_mut() else { return Err(ApiError::all(errors)) };
        match reported.1 {
            Mistake::Missing(name) => {
                // With a placeholder, serde finds the next mistake.
                fields.insert(name, Value::from("?"));
            }
            Mistake::Wrong(name) if fields.remove(&name).is_some() => {}
            Mistake::Wrong(_) => break,
        }
    }
    Err(ApiError::all(errors))
}

enum Mistake {
    Missing(String),
    /// The top-level field that contains the mistake.
    Wrong(String),
}

/// A mistake that serde found, in plain words, and its field.
fn reported(path: &str, text: &str) -> (FieldError, Mistake) {
    let quoted = text.split('`').nth(1).unwrap_or_default().to_owned();
    if text.starts_with("missing field") {
        return (wrong_field(&quoted, "is required"), Mistake::Missing(quoted));
    }
    let path = path.replace('[', ".").replace(']', "");
    let field = path.split('.').next().unwrap_or_default().to_owned();
    if text.starts_with("unknown field") {
        let known = text.split_once("expected ").map_or("", |(_, known)| known);
        let known = listed(known);
        let (name, field) = if field.is_empty() || field == "?" { (quoted.clone(), quoted) } else { (path, field) };
        return (wrong_field(&name, format!("unknown field; the fields are {known}")), Mistake::Wrong(field));
    }
    (wrong_field(&path, plain(text)), Mistake::Wrong(field))
}

/// "one of `a`, `b`" and "`a` or `b`" as "a, b".
fn listed(known: &str) -> String {
    known.trim_start_matches("one of ").replace(" or ", ", ").replace('`', "")
}

/// "invalid type: integer `5`, expected a string" as "must be a string, not integer 5", and "unknown variant `x`,
/// expected `a` or `b`" as "must be a or b".
fn plain(text: &str) -> String {
    if let Some((_, known)) = text.strip_prefix("unknown variant").and_then(|said| said.split_once("expected ")) {
        return format!("must be {}", known.replace('`', ""));
    }
    let said = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "));
    match said.and_then(|said| said.rsplit_once(", expected ")) {
        Some((given, expected)) => {
            let expected = match expected {
                "i64" | "u32" | "i32" | "u64" => "a whole number",
                "a boolean" => "true or false",
                "a sequence" => "a list",
                other => other,
            };
            // The value is not repeated: it may be long, or a secret.
            let given = if given.starts_with("string") { "a string" } else { given };
            format!("must be {expected}, not {}", given.replace('`', ""))
        }
        None if text.contains("invalid digit") || text.contains("empty string") || text.contains("number too") => {
            "must be a whole number".to_owned()
        }
        None => text.chars().take(200).collect(),
    }
}

/// Path parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct Path<T>(pub(crate) T);

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Decodes a query string, or reports everything that is wrong with it.
fn query<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let mut left: Vec<&str> = text.split('&').filter(|pair| !pair.is_empty()).collect();
    let mut errors: Vec<FieldError> = Vec::new();
    loop {
        let text = left.join("&");
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
        let wrong = match serde_path_to_error::deserialize::<_, T>(pairs) {
            Ok(read) if errors.is_empty() => return Ok(read),
            Ok(_) => return Err(ApiError::all(errors)),
            Err(wrong) => wrong,
        };
        let (path, text) = (wrong.path().to_string(), wrong.into_inner().to_string());
        let quoted = text.split('`').nth(1).unwrap_or_default().to_owned();
        let (name, detail) = if text.starts_with("unknown field") {
            let known = text.split_once("expected ").map_or("", |(_, known)| known);
            (quoted, format!("unknown parameter; the parameters are {}", listed(known)))
        } else if text.starts_with("duplicate field") {
            (quoted, "must be given only once".to_owned())
        } else {
            (path, plain(&text))
        };
        let before = left.len();
        let called = |pair: &&str| form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| key == name);
        left.retain(|pair| !called(pair));
        errors.push(wrong_parameter(&name, detail));
        if left.len() == before || errors.len() >= TOLD_MAX {
            return Err(ApiError::all(errors));
        }
    }
}

#[cfg(test)]
mod tests;
