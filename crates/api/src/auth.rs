//! The bearer token, required by every path except `/healthz`, `/readyz` and `/docs`.

use crate::App;
use crate::problem::ApiError;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The delay before a wrong token is refused. Refusals are sent one at a time.
const WRONG_TURN: Duration = Duration::from_millis(100);
/// How many requests with a wrong token may wait; further ones are refused with 429 at once.
const WRONG_WAITING: usize = 50;

/// Delays requests with a wrong token and refuses them one at a time, to slow down guessing. Valid tokens never wait.
#[derive(Default)]
pub(crate) struct WrongTokens {
    waiting: AtomicUsize,
    turn: tokio::sync::Mutex<()>,
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

/// Passes on requests that carry the token, and refuses all others.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    // The scheme is case-insensitive (RFC 9110).
    let token = given.and_then(|v| v.split_once(' ')).filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim());
    let right = token.is_some_and(|t| bool::from(t.as_bytes().ct_eq(app.inner.token.as_bytes())));
    if right {
        return next.run(request).await;
    }
    if token.is_some() && !app.inner.wrong_tokens.wait().await {
        return ApiError::too_many("too many requests with a wrong token are waiting; try again later").into_response();
    }
    let text = match token {
        None => "send the header `Authorization: Bearer TOKEN`; the token is in the control plane's token file",
        Some(_) => "the token is wrong; the right one is in the control plane's token file",
    };
    let mut response = ApiError::new(401, "unauthorized", text).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}
