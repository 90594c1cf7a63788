//! Requests: checked, sent to a replica, answered.

use crate::balance;
use crate::body;
use crate::counters::{Answered, Held, Queued};
use crate::error::GatewayError;
use crate::keys::{self, KeyState};
use crate::metered::Outcome;
use crate::pool::SendError;
use crate::request::{self, Asked};
use crate::respond::respond;
use crate::stream::ended;
use crate::table::{Destination, Replica};
use crate::usage::Tokens;
use crate::{Gateway, limits};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;
use inventiv_worker_api::message::NOT_ACCEPTED;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// The longest wait that a client may ask for, in seconds.
const WAIT_MAX_S: u64 = 900;
/// When a client may try again while no replica is ready, in seconds.
const RETRY_S: u64 = 10;
/// The same, while something prevents that there is one.
const DEGRADED_S: u64 = 60;
/// Requests of one session go to the same replica, as far as its load allows.
const SESSION: HeaderName = HeaderName::from_static("x-inventiv-session");
/// The client's id of a request. It is passed on and sent back.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long the client is ready to wait (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Paths that are sent to engines.
const PATHS: [&str; 7] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/rerank",
    "/v1/score",
    "/v1/audio/transcriptions",
];

pub(crate) fn router(gateway: &Gateway) -> Router {
    let mut router = Router::new().route("/v1/models", get(models)).route("/v1/models/{*id}", get(model));
    for path in PATHS {
        router = router.route(path, post(ask));
    }
    let wrong_method = || async {
        GatewayError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This path does not support that method.",
        )
    };
    router
        .method_not_allowed_fallback(wrong_method)
        .route("/v1/{*path}", any(unknown))
        .route("/v1", any(unknown))
        .route("/v1/", any(unknown))
        .with_state(gateway.clone())
}

pub(crate) async fn unknown() -> GatewayError {
    let text = format!("Unknown path. Available: {}, /v1/models.", PATHS.join(", "));
    GatewayError::new(StatusCode::NOT_FOUND, "not_found", text)
}

async fn models(State(gateway): State<Gateway>, headers: HeaderMap) -> Result<axum::Json<Value>, GatewayError> {
    let key = gateway.key(&headers).await?;
    let table = gateway.0.table.read().clone();
    let data: Vec<Value> = table.allowed(&key.row.scopes).into_iter().map(|(n, d)| described(n, d)).collect();
    Ok(axum::Json(json!({"object": "list", "data": data})))
}

async fn model(
    State(gateway): State<Gateway>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, GatewayError> {
    let key = gateway.key(&headers).await?;
    let Path(id) = id.map_err(|e| GatewayError::invalid(format!("{}.", e.body_text())))?;
    let destination = gateway.destination(&id, &key).await?;
    Ok(axum::Json(described(&id, &destination)))
}

fn described(name: &str, destination: &Destination) -> Value {
    json!({"id": name, "object": "model", "created": destination.created_s, "owned_by": "inventiv"})
}

async fn ask(State(gateway): State<Gateway>, request: Request) -> Response {
    let id = request.headers().get(&REQUEST_ID).cloned();
    let mut response = match gateway.answer(request).await {
        Ok(response) => response,
        Err(e) => {
            metrics::counter!("inventiv_gateway_refused_total", "code" => e.code).increment(1);
            e.into_response()
        }
    };
    if let Some(id) = id {
        response.headers_mut().entry(&REQUEST_ID).or_insert(id);
    }
    response
}

/// A request that was checked.
struct Checked {
    key: Arc<KeyState>,
    destination: Arc<Destination>,
    path: String,
    headers: HeaderMap,
    asked: Asked,
    body: Bytes,
    began: Instant,
    /// Until when the client waits for a replica.
    wait_until: Option<Instant>,
    /// The room that the body takes.
    room: OwnedSemaphorePermit,
}

impl Gateway {
    /// The valid key of a request.
    async fn key(&self, headers: &HeaderMap) -> Result<Arc<KeyState>, GatewayError> {
        let shown = keys::shown(headers)?;
        if let Some(key) = keys::find(&self.0.keys.read(), &shown, self.now()) {
            return Ok(key);
        }
        // It may have been created a moment ago.
        self.read_again().await;
        let found = keys::find(&self.0.keys.read(), &shown, self.now());
        found.ok_or_else(|| {
            metrics::counter!("inventiv_gateway_wrong_keys_total").increment(1);
            keys::unknown()
        })
    }

    /// What a name leads to, for a key.
    async fn destination(&self, name: &str, key: &KeyState) -> Result<Arc<Destination>, GatewayError> {
        let find = || self.0.table.read().find(name).filter(|d| d.is_allowed(&key.row.scopes)).cloned();
        if let Some(found) = find() {
            return Ok(found);
        }
        self.read_again().await;
        find().ok_or_else(|| {
            let text = format!("The model `{name}` does not exist, or this key may not use it. GET /v1/models lists the models that it may use.");
            GatewayError::new(StatusCode::NOT_FOUND, "model_not_found", text).on("model")
        })
    }

    async fn answer(&self, request: Request) -> Result<Response, GatewayError> {
        let checked = self.check(request).await?;
        if let Some(service) = &checked.destination.service {
            let before = service.load.last_request_us.swap(self.now().0, Ordering::SeqCst);
            // The first request after a pause wakes the service at once.
            let is_new = self.now().0 - before > 1_000_000;
            if is_new && checked.destination.replicas.is_empty() {
                self.0.ask.notify_one();
            }
        }
        self.send(checked).await
    }

    async fn check(&self, request: Request) -> Result<Checked, GatewayError> {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let key = self.key(&parts.headers).await?;
        let (body, room) = body::read(body, &parts.headers, &self.0.room).await?;
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let is_form = kind.to_ascii_lowercase().starts_with("multipart/form-data");
        let mut asked = if is_form { request::read_form(kind, &body)? } else { request::read_json(&body)? };
        if let Some(session) = parts.headers.get(&SESSION) {
            asked.affinity = Some(request::number(session.as_bytes()));
        }
        let destination = self.destination(&asked.model, &key).await?;
        let accepted = key.window.lock().accept(&key.limits, self.now().0);
        accepted.map_err(|e| too_many(&e))?;
        let wait = wait_s(&parts.headers).map(|s| began + Duration::from_secs(s));
        let path = parts.uri.path().to_owned();
        Ok(Checked { key, destination, path, headers: parts.headers, asked, body, began, wait_until: wait, room })
    }

    /// Sends a request to replicas until one accepts it.
    async fn send(&self, mut checked: Checked) -> Result<Response, GatewayError> {
        let mut tried: Vec<String> = Vec::new();
        let (mut why, mut has_read) = (None, false);
        loop {
            let Some(replica) = self.choose(&checked, &tried) else {
                if !std::mem::replace(&mut has_read, true) {
                    // One may have become ready a moment ago.
                    self.read_again().await;
                    checked.destination = self.destination(&checked.asked.model, &checked.key).await?;
                    continue;
                }
                checked.destination = self.wait_for_replica(&checked, why.take()).await?;
                tried.clear();
                continue;
            };
            let times = (checked.began, self.now(), checked.body.len());
            let answered = Answered::begin(&checked.destination, &replica, &checked.key, &self.0.unwritten, times);
            let sent = tokio::select! {
                sent = replica.pool.send(request_for(&checked)) => sent,
                () = checked.key.revoked.cancelled() => return Err(ended(&self.0.is_stopping)),
            };
            match sent {
                Ok((response, connection)) => {
                    if let Some(refusal) = response.headers().get(NOT_ACCEPTED) {
                        why = refusal.to_str().ok().map(str::to_owned);
                        replica.avoid(self.now().0);
                        tried.push(replica.id.to_string());
                        answered.forget();
                        continue;
                    }
                    drop(checked.room);
                    let asked = &checked.asked;
                    let ends = (checked.key.revoked.clone().cancelled_owned(), self.0.is_stopping.clone());
                    return respond(response, (answered, connection), asked, ends).await;
                }
                Err(SendError::NotSent(e)) => {
                    tracing::debug!(instance = %replica.id, error = e, "a replica cannot be reached; tries another one");
                    why = Some(e);
                    replica.avoid(self.now().0);
                    tried.push(replica.id.to_string());
                    answered.forget();
                }
                Err(SendError::Sent(e)) => {
                    answered.end(Outcome::Failed, Tokens::default(), 0, |_| {});
                    return Err(GatewayError::upstream(format!("The model did not answer: {e}.")));
                }
            }
        }
    }

    fn choose(&self, checked: &Checked, tried: &[String]) -> Option<Arc<Replica>> {
        let now_us = self.now().0;
        let left: Vec<&Arc<Replica>> =
            checked.destination.replicas.iter().filter(|r| !tried.iter().any(|t| t == r.id.as_str())).collect();
        let mut usable: Vec<&Arc<Replica>> = left.iter().copied().filter(|r| !r.is_avoided(now_us)).collect();
        if usable.is_empty() {
            usable = left;
        }
        let loads: Vec<(u64, u32)> = usable.iter().map(|r| (r.number, r.outstanding.load(Ordering::SeqCst))).collect();
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        balance::choose(&loads, checked.asked.affinity, turn).and_then(|at| usable.get(at).map(|r| Arc::clone(r)))
    }

    /// Waits for a replica as long as the client asked for; returns the destination as it is then.
    async fn wait_for_replica(&self, checked: &Checked, why: Option<String>) -> Result<Arc<Destination>, GatewayError> {
        let destination = &checked.destination;
        let none = || {
            let why = why.as_deref().map_or_else(String::new, |w| format!(" ({w})"));
            let (text, retry_s) = match &destination.service {
                // What prevents it is for its operator.
                Some(service) if service.is_degraded => (
                    format!("{} has no replica{why}, and cannot get one now. Ask its operator.", service.name),
                    DEGRADED_S,
                ),
                Some(service) => {
                    let text = format!(
                        "No replica of {} is ready{why}. The service is waking up: try again, or send `Prefer: wait=300` to wait.",
                        service.name
                    );
                    (text, RETRY_S)
                }
                None => (format!("{} is not ready{why}; try again.", destination.model), RETRY_S),
            };
            GatewayError::unavailable("no_replica_ready", text, retry_s)
        };
        let Some(until) = checked.wait_until.filter(|until| Instant::now() < *until) else {
            return Err(none());
        };
        let _queued = destination.service.as_ref().map(|s| Held::new(Queued(s.load.clone())));
        let mut reads = self.0.reads.subscribe();
        self.0.ask.notify_one();
        loop {
            let changed = tokio::select! {
                changed = tokio::time::timeout_at(until.into(), reads.changed()) => changed,
                () = checked.key.revoked.cancelled() => return Err(ended(&self.0.is_stopping)),
            };
            if !matches!(changed, Ok(Ok(()))) {
                return Err(none());
            }
            let table = self.0.table.read().clone();
            let found = table.find(&checked.asked.model).filter(|d| d.is_allowed(&checked.key.row.scopes)).cloned();
            match found {
                Some(now) if !now.replicas.is_empty() => return Ok(now),
                Some(_) => {}
                None => return Err(none()),
            }
        }
    }
}

fn too_many(e: &limits::Exceeded) -> GatewayError {
    let text = format!("This key may use {} {} a minute. Try again in {} s.", e.limit, e.what, e.retry_after_s);
    let error = GatewayError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", text);
    GatewayError { retry_after_s: Some(e.retry_after_s), ..error }
}

/// The `wait` of a `Prefer` header, in seconds.
fn wait_s(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(&PREFER).iter().filter_map(|v| v.to_str().ok());
    let preferences = values.flat_map(|v| v.split([',', ';']));
    let mut waits =
        preferences.filter_map(|p| p.trim().to_ascii_lowercase().strip_prefix("wait=")?.trim().parse().ok());
    waits.next().map(|s: u64| s.min(WAIT_MAX_S))
}

fn request_for(checked: &Checked) -> http::Request<Full<Bytes>> {
    let counts = matches!(checked.path.as_str(), "/v1/chat/completions" | "/v1/completions");
    let body = checked.asked.for_engine(&checked.body, &checked.destination.model, counts);
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    // One of `PATHS`.
    *request.uri_mut() = checked.path.parse().unwrap_or_default();
    for name in [header::CONTENT_TYPE, header::ACCEPT, REQUEST_ID] {
        if let Some(value) = checked.headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    if checked.asked.is_json {
        // It was read as JSON, whatever the client calls it: `curl -d` calls everything a form.
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("worker"));
    request
}
