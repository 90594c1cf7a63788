//! Carries out a request with an `Idempotency-Key` once, and answers repeated ones with the first response.
//!
//! The key is claimed in the database before the request is carried out, so that replicas and restarts do not matter. A
//! response of success is kept for 24 hours, sealed. A request that is refused at its first attempt changed nothing, and is
//! forgotten. After an error or a crash, the request is carried out again when it is sent again, with the same new id, so
//! that it creates nothing twice.

use super::{Key, digest};
use crate::App;
use crate::problem::ApiError;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use inventiv_core::time::Timestamp;
use inventiv_store::{Claimed, RequestClaim};
use serde::{Deserialize, Serialize};
use tracing::Instrument;

/// The maximum length of a response that is kept, in bytes. Responses of these routes are far shorter.
const RESPONSE_MAX: usize = 16 << 20;
/// The headers of a response that belong to it. Others belong to the exchange.
const KEPT_HEADERS: [&str; 4] = ["content-type", "location", "etag", "cache-control"];

/// The id of what a request creates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewId {
    /// Random bits; with an `Idempotency-Key`, the same at each attempt.
    pub(crate) bits: u128,
    /// Since when the request may have been carried out, without a response; `None`: this is the first attempt.
    pub(crate) since: Option<Timestamp>,
}

impl NewId {
    /// Whether the request may have been carried out before.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.since.is_some()
    }
}

impl FromRequestParts<App> for NewId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let given = parts.extensions.get().copied();
        Ok(given.unwrap_or_else(|| Self { bits: app.draw(), since: None }))
    }
}

/// A response as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Instances are created by a handler that knows keys: they are remembered as long as the instance is.
const KNOWS_KEYS: &str = "/instances";

/// Carries out a request once for each key.
pub(crate) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || request.uri().path() == KNOWS_KEYS {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let key = match Key::from_request_parts(&mut parts, &app).await {
        Ok(Key(Some(key))) => key,
        Ok(Key(None)) => return next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => return refusal.into_response(),
    };
    // It was received as a whole, within the limit.
    let Ok(body) = to_bytes(body, crate::BODY_MAX).await else {
        return ApiError::new(413, "too_large", "the body is too large").into_response();
    };
    let claim = RequestClaim { key, fingerprint: fingerprint(&parts, &body), draw: app.draw(), now: app.now() };
    match app.store().claim_request(&claim).await {
        Ok(Claimed::Yours { seed, since }) => {
            parts.extensions.insert(NewId { bits: seed, since: (seed != claim.draw).then_some(since) });
            // A client that goes away does not end it in the middle.
            let repeated = seed != claim.draw;
            let run = carry_out(app, claim, repeated, next, Request::from_parts(parts, Body::from(body)));
            match tokio::spawn(run.in_current_span()).await {
                Ok(response) => response,
                Err(e) => match e.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The process ends.
                    Err(_) => ApiError::unavailable("the control plane stops; send the request again").into_response(),
                },
            }
        }
        Ok(Claimed::InProgress) => in_progress().into_response(),
        Ok(Claimed::Done { sealed }) => replay(&app, &claim.key, &sealed).unwrap_or_else(IntoResponse::into_response),
        Ok(Claimed::Different) => different().into_response(),
        Err(e) => ApiError::from(e).into_response(),
    }
}

async fn carry_out(app: App, claim: RequestClaim, is_repeated: bool, next: Next, request: Request) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kept = if status.is_success() {
        return keep(&app, &claim, response).await;
    } else if status.is_server_error() || is_repeated {
        // An earlier attempt may have taken effect, whatever became of this one.
        app.store().give_request_up(&claim).await
    } else {
        app.store().forget_request(&claim).await
    };
    if let Err(e) = kept {
        tracing::warn!(error = %e, "an idempotency key stays in progress for a minute");
    }
    response
}

/// Keeps a response. If that fails, the client gets it all the same: it was carried out.
async fn keep(app: &App, claim: &RequestClaim, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, RESPONSE_MAX).await else {
        return ApiError::new(500, "internal", "the response is too large").into_response();
    };
    let headers = KEPT_HEADERS.iter().filter_map(|name| {
        let value = parts.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let kept = Kept {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let plain = serde_json::to_vec(&kept).unwrap_or_default();
    match app.keyring().seal(&context(&claim.key), &plain) {
        Ok(sealed) => {
            if let Err(e) = app.store().finish_request(claim, &sealed).await {
                tracing::warn!(error = %e, "a response cannot be kept for its idempotency key");
            }
        }
        Err(e) => tracing::error!(error = %e, "a response cannot be sealed for its idempotency key"),
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(app: &App, key: &str, sealed: &str) -> Result<Response, ApiError> {
    let unreadable = || {
        let text = "Idempotency-Key: the request was carried out, and its response cannot be read any more, because the \
            encryption key that sealed it is gone";
        ApiError::conflict("response_lost", text)
    };
    let plain = app.keyring().open(&context(key), sealed).map_err(|_| unreadable())?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
    let mut response = Response::new(Body::from(Bytes::from(kept.body)));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(|_| unreadable())?;
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

fn context(key: &str) -> String {
    format!("response {key}")
}

/// Identifies a request by its path and body. White space and the order of fields do not count.
fn fingerprint(parts: &Parts, body: &[u8]) -> String {
    let body = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => json.to_string(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let path = parts.uri.path_and_query().map_or("", |p| p.as_str());
    digest(&format!("{path}\n{body}"))
}

fn in_progress() -> ApiError {
    let text = "Idempotency-Key: the first request with this key is still being carried out; send it again in a second";
    ApiError::conflict("in_progress", text).after_seconds(1)
}

fn different() -> ApiError {
    let text = "Idempotency-Key: a different request was sent with this key; use a new key for a new request";
    ApiError::new(422, "key_reused", text)
}
