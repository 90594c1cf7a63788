//! The bearer token, required by every path except `/healthz`, `/readyz` and `/docs`: the operator's, or that of a session.

use crate::App;
use crate::problem::ApiError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use inventiv_core::role::Role;
use inventiv_keyring::session;
use inventiv_store::SessionRow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// The delay before a wrong token is refused. Refusals are sent one at a time.
const WRONG_TURN: Duration = Duration::from_millis(100);
/// How many sessions are looked up at once.
const LOOKUPS_MAX: usize = 4;
/// How long a stream of a session may last: the session may have ended since.
const STREAM_MAX: Duration = Duration::from_secs(5 * 60);
/// How many requests with a wrong token may wait; further ones are refused with 429 at once.
const WRONG_WAITING: usize = 50;

/// Delays requests with a wrong token and refuses them one at a time, to slow down guessing. The operator's
/// token never waits.
pub(crate) struct WrongTokens {
    waiting: AtomicUsize,
    turn: tokio::sync::Mutex<()>,
    /// Sessions that are looked up at once.
    lookups: Semaphore,
}

impl Default for WrongTokens {
    fn default() -> Self {
        Self { waiting: AtomicUsize::new(0), turn: tokio::sync::Mutex::default(), lookups: Semaphore::new(LOOKUPS_MAX) }
    }
}

/// Decrements the number of waiting requests when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WrongTokens {
    /// Returns `false` if too many requests wait already.
    async fn wait(&self) -> bool {
        metrics::counter!("inventiv_api_wrong_tokens_total").increment(1);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WRONG_WAITING {
            return false;
        }
        let _turn = self.turn.lock().await;
        tokio::time::sleep(WRONG_TURN).await;
        true
    }
}

/// What the token of a request allows.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) role: Role,
    /// `None`: the operator's token.
    pub(crate) session: Option<SessionRow>,
}

/// Passes on requests whose token allows them, and refuses all others.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    // The scheme is case-insensitive (RFC 9110).
    let token = given.and_then(|v| v.split_once(' ')).filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim());
    let holder = match token {
        Some(token) => holder(&app, token).await,
        None => Ok(None),
    };
    match holder {
        Ok(Some(holder)) if !holder.role.may(request.method().as_str()) && !ends_itself(&request) => {
            let text = "this token may only read; use a token of an operator to change something";
            ApiError::new(403, "read_only", text).into_response()
        }
        Ok(Some(holder)) => {
            let ends = holder.session.is_some() && request.method() == Method::GET;
            request.extensions_mut().insert(holder);
            let response = next.run(request).await;
            if ends { end_stream(response) } else { response }
        }
        Ok(None) => refuse(&app, token.is_some()).await,
        Err(e) => ApiError::from(e).into_response(),
    }
}

/// Whether it is the end of its own session, which everybody may request.
fn ends_itself(request: &Request) -> bool {
    request.method() == Method::DELETE && request.uri().path() == "/access"
}

/// Lets a stream of events end after [`STREAM_MAX`]. Its reader resumes it with a token that is still valid.
fn end_stream(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(tokio::time::sleep(STREAM_MAX)))))
}

/// The holder of a token, if it is valid.
async fn holder(app: &App, token: &str) -> Result<Option<Holder>, inventiv_store::Error> {
    if bool::from(token.as_bytes().ct_eq(app.inner.token.as_bytes())) {
        return Ok(Some(Holder { role: Role::Operator, session: None }));
    }
    let Some(hash) = session::hash(token) else { return Ok(None) };
    // Guesses must not take all connections to the database. The semaphore is never closed.
    let _turn = app.inner.wrong_tokens.lookups.acquire().await;
    let found = app.store().session(&hash, app.now()).await?;
    Ok(found.map(|session| Holder { role: session.role, session: Some(session) }))
}

async fn refuse(app: &App, has_token: bool) -> Response {
    if has_token && !app.inner.wrong_tokens.wait().await {
        return ApiError::too_many("too many requests with a wrong token are waiting; try again later").into_response();
    }
    let text = if has_token {
        "the token is wrong or has expired; the operator's token is in the control plane's token file"
    } else {
        "send the header `Authorization: Bearer TOKEN`; the token is in the control plane's token file"
    };
    let mut response = ApiError::new(401, "unauthorized", text).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}
