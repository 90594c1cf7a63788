//! What the tests of several routes share: requests for instances, whole answers, audits.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use inventiv_testkit::{TOKEN, World};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A request for an instance with a data volume of 50 GB.
pub(crate) fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "data_volume_gb": 50})
}

/// A request for an instance whose data volume fits its model.
pub(crate) fn request_for_model() -> Value {
    request_of("L40S-1-48G", Some("Qwen/Qwen2.5-7B-Instruct"))
}

/// A request for an instance of a type, with or without a model, whether it fits or not.
pub(crate) fn request_of(kind: &str, model: Option<&str>) -> Value {
    json!({"zone": "fr-par-2", "instance_type": kind, "model_id": model, "force": true,
        "engine": {"kind": "none"}})
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Its body; null unless it is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// One of its headers; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

/// The value of the header `Authorization` with the right token.
pub(crate) fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// Sends a request with exactly these headers.
pub(crate) async fn send(api: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = api.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: to_bytes(answer.into_body(), 16 << 20).await.unwrap().to_vec() }
}

/// Sends a GET request with exactly these headers.
pub(crate) async fn get(api: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(api, "GET", path, headers, String::new()).await
}

/// Sends a request with the token and, if it is given, the entity tag that the object must have.
pub(crate) async fn ask(w: &World, method: &str, path: &str, tag: Option<&str>, body: Option<Value>) -> Answer {
    let token = bearer();
    let mut headers = vec![("authorization", token.as_str()), ("content-type", "application/json")];
    headers.extend(tag.map(|tag| ("if-match", tag)));
    send(&w.api, method, path, &headers, body.map(|b| b.to_string()).unwrap_or_default()).await
}

/// Requests an audit, runs it and returns its result.
pub(crate) async fn audit(world: &World) -> Value {
    let (status, _) = world.call("POST", "/audit", None).await;
    assert_eq!(status, 202);
    // The clock must differ between the request and the start of the audit.
    world.advance_ms(1);
    world.orchestrator.audit_due().await.unwrap();
    world.call("GET", "/audit", None).await.1
}
