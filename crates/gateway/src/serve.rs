//! Requests: checked, sent to a replica, answered.

use crate::balance;
use crate::counters::{Answered, Held, Outcome, Queued};
use crate::error::GatewayError;
use crate::keys::{self, KeyState};
use crate::pool::{Connection, SendError};
use crate::request::{self, Asked};
use crate::stream::Streamed;
use crate::table::{Destination, Replica};
use crate::usage::{self, Events, Tokens};
use crate::{Gateway, limits};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use inventiv_worker_api::message::NOT_ACCEPTED;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// The maximum length of a request's body, in bytes.
const BODY_MAX: usize = 32 << 20;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// How long a request waits for room for its body.
const ROOM_WITHIN: Duration = Duration::from_secs(5);
/// An answer that is not a stream is held until it is complete if it is at most so long, in bytes.
const ANSWER_MAX: usize = 16 << 20;
/// How long an engine may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(300);
/// The longest wait that a client may ask for, in seconds.
const WAIT_MAX_S: u64 = 900;
/// When a client may try again while no replica is ready, in seconds.
const RETRY_S: u64 = 10;
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
        GatewayError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path needs another method.")
    };
    let unknown = || async {
        GatewayError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("There is no such path. There are {}, and /v1/models.", PATHS.join(", ")),
        )
    };
    router
        .method_not_allowed_fallback(wrong_method)
        .route("/v1/{*path}", any(unknown))
        .route("/v1", any(unknown))
        .with_state(gateway.clone())
}

async fn models(State(gateway): State<Gateway>, headers: HeaderMap) -> Result<axum::Json<Value>, GatewayError> {
    let key = gateway.key(&headers).await?;
    let table = gateway.0.table.read().clone();
    let data: Vec<Value> = table.allowed(&key.row.scopes).into_iter().map(|(n, d)| described(n, d)).collect();
    Ok(axum::Json(json!({"object": "list", "data": data})))
}

async fn model(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, GatewayError> {
    let key = gateway.key(&headers).await?;
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
            if checked.destination.replicas.is_empty() || before == 0 {
                self.0.ask.notify_one();
            }
        }
        self.send(checked).await
    }

    async fn check(&self, request: Request) -> Result<Checked, GatewayError> {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let key = self.key(&parts.headers).await?;
        let room = self.room(&parts.headers).await?;
        let body = read_body(body).await?;
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

    /// Room for a body, whose length may be unknown.
    async fn room(&self, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, GatewayError> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let length = length.unwrap_or(BODY_MAX);
        if length > BODY_MAX {
            return Err(too_long());
        }
        let kib = u32::try_from(length / 1024 + 1).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(ROOM_WITHIN, self.0.room.clone().acquire_many_owned(kib)).await;
        match room {
            Ok(Ok(room)) => Ok(room),
            _ => Err(GatewayError::unavailable(
                "overloaded",
                "Too many long requests are under way; try again later.",
                2,
            )),
        }
    }

    /// Sends a request to replicas until one accepts it.
    async fn send(&self, mut checked: Checked) -> Result<Response, GatewayError> {
        let mut tried: Vec<String> = Vec::new();
        let mut why = None;
        loop {
            let Some(replica) = self.choose(&checked, &tried) else {
                checked.destination = self.wait_for_replica(&checked, why.take()).await?;
                tried.clear();
                continue;
            };
            let times = (checked.began, self.now());
            let answered = Answered::begin(&checked.destination, &replica, &checked.key, &self.0.unwritten, times);
            match replica.pool.send(request_for(&checked)).await {
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
        let none = |retry_s: u64| {
            let why = why.as_deref().map_or_else(String::new, |w| format!(" ({w})"));
            let text = match &destination.service {
                Some(service) => {
                    let reason = service.reason.as_deref().map_or_else(String::new, |r| format!(" Its status: {r}"));
                    format!(
                        "No replica of {} is ready{why}. The request has woken the service; try again, or send `Prefer: wait=300` to wait.{reason}",
                        service.name
                    )
                }
                None => format!("{} is not ready{why}; try again.", destination.model),
            };
            GatewayError::unavailable("no_replica_ready", text, retry_s)
        };
        let Some(until) = checked.wait_until.filter(|until| Instant::now() < *until) else {
            return Err(none(RETRY_S));
        };
        let _queued = destination.service.as_ref().map(|s| Held::new(Queued(s.load.clone())));
        let mut reads = self.0.reads.subscribe();
        self.0.ask.notify_one();
        loop {
            let changed = tokio::select! {
                changed = tokio::time::timeout_at(until.into(), reads.changed()) => changed,
                () = checked.key.revoked.cancelled() => return Err(keys::unknown()),
            };
            if !matches!(changed, Ok(Ok(()))) {
                return Err(none(RETRY_S));
            }
            let found = self.0.table.read().find(&checked.asked.model).cloned();
            match found {
                Some(now) if !now.replicas.is_empty() => return Ok(now),
                Some(_) => {}
                None => return Err(none(RETRY_S)),
            }
        }
    }
}

async fn read_body(body: Body) -> Result<Bytes, GatewayError> {
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(GatewayError::invalid("The body is incomplete.")),
        Err(_) => Err(GatewayError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "The body did not arrive in time.")),
    }
}

fn too_long() -> GatewayError {
    let text = format!("The body is longer than {} MiB.", BODY_MAX >> 20);
    GatewayError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
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
    request.headers_mut().entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("worker"));
    request
}

/// Headers of an engine that are not passed on.
const NOT_PASSED: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::SERVER,
    header::TRANSFER_ENCODING,
    header::SET_COOKIE,
];

async fn respond(
    response: http::Response<Incoming>,
    (mut answered, connection): (Answered, Connection),
    asked: &Asked,
    ends: (WaitForCancellationFutureOwned, Arc<AtomicBool>),
) -> Result<Response, GatewayError> {
    let (mut parts, body) = response.into_parts();
    for name in NOT_PASSED {
        parts.headers.remove(name);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/event-stream") {
        parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Reverse proxies such as nginx hold streams back otherwise.
        parts.headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        let events = Events::new(asked.stream && !asked.wants_usage);
        let body = Streamed::new(body, events, (answered, connection), ends).into_body();
        return Ok(Response::from_parts(parts, body));
    }
    let is_json = kind.starts_with("application/json");
    let body = match whole(body).await {
        Ok(body) => body,
        Err(text) => {
            answered.end(Outcome::Failed, Tokens::default(), 0, |_| {});
            return Err(GatewayError::upstream(text));
        }
    };
    answered.first_token();
    let outcome = if parts.status.is_success() { Outcome::Complete } else { Outcome::Failed };
    let tokens = usage::of_answer(&body).filter(|_| is_json).unwrap_or_default();
    answered.end(outcome, tokens, 0, |replica| replica.pool.put(connection));
    if !parts.status.is_success() && !is_json {
        let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
        let status = if parts.status.is_server_error() { StatusCode::BAD_GATEWAY } else { parts.status };
        return Err(GatewayError::new(status, "upstream_error", format!("The model refused the request: {text}")));
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The whole answer, so that one that breaks off ends with one clean error.
async fn whole(mut body: Incoming) -> Result<Bytes, String> {
    let mut read = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let frame = frame.map_err(|_| format!("The model was silent for {} s.", SILENCE.as_secs()))?;
        match frame {
            None => return Ok(read.freeze()),
            Some(Err(e)) => return Err(format!("The model stopped in the middle of its answer: {e}.")),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if read.len() + data.len() > ANSWER_MAX {
                    return Err(format!("The answer is longer than {} MiB.", ANSWER_MAX >> 20));
                }
                read.extend_from_slice(&data);
            }
        }
    }
}
