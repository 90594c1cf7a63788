//! The bearer token: everything but health asks for it.

use crate::App;
use crate::problem::ApiError;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The pause before a wrong token is answered. They are answered one at a time.
const WRONG_TURN: Duration = Duration::from_millis(100);
/// How many wrong tokens wait; more are told to come later.
const WRONG_WAITING: usize = 50;

/// Wrong tokens are answered one after the other, so that they cannot be tried by the thousand. Right ones never wait.
#[derive(Default)]
pub(crate) struct WrongTokens {
    waiting: AtomicUsize,
    turn: tokio::sync::Mutex<()>,
}

/// One less waits, however the waiting ends.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WrongTokens {
    /// `false`: too many wait already.
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

/// Lets through whoever knows the token.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    // The scheme's case says nothing (RFC 9110).
    let token = given.and_then(|v| v.split_once(' ')).filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim());
    let right = token.is_some_and(|t| bool::from(t.as_bytes().ct_eq(app.inner.token.as_bytes())));
    if right {
        return next.run(request).await;
    }
    if token.is_some() && !app.inner.wrong_tokens.wait().await {
        return ApiError::too_many("too many wrong tokens are being tried; try again later").into_response();
    }
    let text = match token {
        None => "send the header `Authorization: Bearer TOKEN`; the server wrote its token to its token file",
        Some(_) => "the token is not this server's; read it from the server's token file",
    };
    let mut response = ApiError::new(401, "unauthorized", text).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}
