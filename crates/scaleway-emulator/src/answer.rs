//! Answers, with error bodies as recorded.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// The id of every placeholder task.
pub(crate) const FAKE_TASK: &str = "00000000-0000-0000-0000-000000000000";

/// The result of a handler.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// The text at a JSON pointer of the body.
    pub(crate) fn id(&self, place: &str) -> Option<String> {
        match &self.body {
            Body::Json(value) => value.pointer(place).and_then(Value::as_str).map(str::to_owned),
            Body::Text(_) | Body::Empty(_) => None,
        }
    }
}

pub(crate) enum Body {
    Json(Value),
    Text(Bytes),
    /// No body, but the content type that the real gateway sends anyway.
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

/// One of [`crate::faults::REFUSALS`] by name, for the kind of resource in the path.
pub(crate) fn refusal(name: &str, resource: &str, id: &str) -> Answer {
    match name {
        "invalid_arguments" => invalid("name", "constraint", "refused by a fault"),
        "denied_authentication" => denied(),
        "permissions_denied" => json(
            403,
            json!({"details": [{"action": "write", "resource": resource}], "message": "insufficient permissions", "type": "permissions_denied"}),
        ),
        "quotas_exceeded" => quota(resource, 1),
        "not_found" => not_found(resource, id),
        "transient_state" => json(
            409,
            json!({"current_state": "configuring", "message": "resource is in a transient state", "resource": resource, "resource_id": id, "type": "transient_state"}),
        ),
        "expired" => json(
            410,
            json!({"expired_since": "2023-11-23T12:57:58.641038Z", "message": "resource has expired", "resource": resource, "resource_id": id, "type": "expired"}),
        ),
        "precondition_failed" if resource == "instance_server" => {
            precondition(400, "resource_not_usable", "server should be stopped")
        }
        "precondition_failed" => precondition(412, "resource_not_usable", "refused by a fault"),
        "rate_limited" => {
            Answer { status: 429, body: Body::Empty(None), headers: vec![("x-envoy-ratelimited", "true".to_owned())] }
        }
        "out_of_stock" => out_of_stock(resource),
        "gateway" => {
            Answer { status: 503, body: Body::Text(Bytes::from_static(b"upstream connect error")), headers: Vec::new() }
        }
        _ => json(500, json!({"message": "Internal error", "type": "internal_server_error"})),
    }
}

pub(crate) fn unknown_path() -> Answer {
    json(404, json!({"type": "unknown_resource", "message": "Not found"}))
}

/// One invalid argument.
pub(crate) fn invalid(argument: &str, reason: &str, help: &str) -> Answer {
    invalid_all(&[(argument, reason, help)])
}

/// An unknown reference. The API still answers it in the old form, without reasons and constraints.
pub(crate) fn not_valid(field: &str) -> Answer {
    let fields = json!({ field: ["not a valid value"] });
    json(400, json!({"type": "invalid_request_error", "message": "Validation Error", "fields": fields}))
}

/// Several invalid arguments: name, reason, help.
pub(crate) fn invalid_all(details: &[(&str, &str, &str)]) -> Answer {
    let details: Vec<Value> =
        details.iter().map(|(a, r, h)| json!({"argument_name": a, "reason": r, "help_message": h})).collect();
    json(400, json!({"type": "invalid_arguments", "message": "invalid argument(s)", "details": details}))
}

/// A failed precondition: 400 on server actions, 412 elsewhere.
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

/// A status with a plain-text body.
pub(crate) fn plain(status: u16) -> Answer {
    Answer { status, body: Body::Text(Bytes::from_static(b"upstream error")), headers: Vec::new() }
}

pub(crate) fn too_large() -> Response<Bytes> {
    finish(invalid("body", "constraint", "the body is too large"), "-", "-")
}

/// Adds the headers that every answer has.
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
