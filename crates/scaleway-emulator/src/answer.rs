//! Answers, and the error bodies as recorded.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// What a handler gives back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(&'static str, String)>,
}

pub(crate) enum Body {
    Json(Value),
    Text(Bytes),
    /// No body, with the content type that the real gateway sends all the same.
    Empty(Option<&'static str>),
}

pub(crate) fn json(status: u16, body: Value) -> Answer {
    Answer { status, body: Body::Json(body), headers: Vec::new() }
}

pub(crate) fn created(kind: &str, zone: &str, id: &str, body: Value) -> Answer {
    let location = format!("https://api.scaleway.com/instance/v1/zones/{zone}/{kind}/{id}");
    Answer { headers: vec![("location", location)], ..json(201, body) }
}

pub(crate) fn no_content() -> Answer {
    Answer { status: 204, body: Body::Empty(Some("application/json")), headers: Vec::new() }
}

pub(crate) fn no_content_text(status: u16) -> Answer {
    Answer { status, body: Body::Empty(Some("text/plain")), headers: Vec::new() }
}

pub(crate) fn text(bytes: Bytes) -> Answer {
    Answer { status: 200, body: Body::Text(bytes), headers: Vec::new() }
}

pub(crate) fn not_found(resource: &str, id: &str) -> Answer {
    json(404, json!({"message": "resource is not found", "resource": resource, "resource_id": id, "type": "not_found"}))
}

pub(crate) fn unknown_path() -> Answer {
    json(404, json!({"type": "unknown_resource", "message": "Not found"}))
}

/// One wrong argument.
pub(crate) fn invalid(argument: &str, reason: &str, help: &str) -> Answer {
    invalid_all(&[(argument, reason, help)])
}

/// Several wrong arguments: name, reason, help.
pub(crate) fn invalid_all(details: &[(&str, &str, &str)]) -> Answer {
    let details: Vec<Value> =
        details.iter().map(|(a, r, h)| json!({"argument_name": a, "reason": r, "help_message": h})).collect();
    json(400, json!({"type": "invalid_arguments", "message": "invalid argument(s)", "details": details}))
}

/// A precondition that does not hold: 400 on instance actions, 412 elsewhere.
pub(crate) fn precondition(status: u16, precondition: &str, help: &str) -> Answer {
    json(
        status,
        json!({"help_message": help, "message": "precondition is not respected", "precondition": precondition, "type": "precondition_failed"}),
    )
}

pub(crate) fn denied() -> Answer {
    json(
        401,
        json!({"message": "authentication is denied", "method": "api_key", "reason": "not_found", "type": "denied_authentication"}),
    )
}

pub(crate) fn quota(resource: &str, quota: usize) -> Answer {
    json(
        403,
        json!({"details": [{"current": quota, "quota": quota, "resource": resource}], "message": "quota(s) exceeded for this resource", "type": "quotas_exceeded"}),
    )
}

pub(crate) fn out_of_stock(resource: &str) -> Answer {
    json(503, json!({"message": "resource is out of stock", "resource": resource, "type": "out_of_stock"}))
}

pub(crate) fn too_large() -> Response<Bytes> {
    finish(invalid("body", "constraint", "the body is too large"), "-", "-")
}

/// Puts the headers on that every answer has.
pub(crate) fn finish(answer: Answer, zone: &str, request_id: &str) -> Response<Bytes> {
    let (content_type, body) = match answer.body {
        Body::Json(value) => (Some("application/json"), Bytes::from(value.to_string())),
        Body::Text(bytes) => (Some("text/plain"), bytes),
        Body::Empty(content_type) => (content_type, Bytes::new()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(t) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(t));
    }
    for (name, value) in answer.headers {
        if let Ok(v) = HeaderValue::from_str(&value) {
            headers.insert(name, v);
        }
    }
    if let Ok(v) = HeaderValue::from_str(&format!("Scaleway API Gateway ({zone};emulator)")) {
        headers.insert(header::SERVER, v);
    }
    if let Ok(v) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", v);
    }
    response
}
