//! Login and logout.

use crate::backend::Backend;
use crate::page::{Answer, go_to, page, refused};
use crate::texts::{EN, Texts};
use crate::{Console, assets, cookie};
use askama::Template;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use inventiv_core::time::Timestamp;
use inventiv_types::{Access, CreateSession, CreatedSession};
use serde::Deserialize;

/// How long a session of the operator lasts, in seconds.
const SESSION_SECONDS: i64 = 12 * 60 * 60;
/// The longest time that a browser keeps a cookie, in seconds.
const COOKIE_MAX_SECONDS: i64 = 400 * 24 * 60 * 60;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    t: &'static Texts,
    version: &'static str,
    error: Option<String>,
}

/// The form of a login.
#[derive(Deserialize)]
pub(crate) struct Login {
    token: String,
}

fn login_page(error: Option<String>) -> LoginPage {
    LoginPage { t: &EN, version: &assets::VERSION, error }
}

/// Asks for the token.
pub(crate) async fn form() -> Answer {
    page(&login_page(None))
}

/// Exchanges the operator's token for a session; the token of a session is used as it is.
pub(crate) async fn log_in(State(console): State<Console>, headers: HeaderMap, Form(login): Form<Login>) -> Answer {
    let given = login.token.trim();
    let is_token = (1..=4_096).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_graphic());
    if !is_token {
        return refused(&login_page(Some(EN.wrong_token.to_owned())), StatusCode::UNAUTHORIZED);
    }
    match session(&Backend::new(console.api(), given), given).await {
        Ok((token, seconds)) => {
            let set = cookie::set(&token, seconds, cookie::is_behind_tls(&headers));
            Ok(([(header::SET_COOKIE, set)], go_to("/")).into_response())
        }
        Err(refusal) if refusal.is_unauthorized() => {
            refused(&login_page(Some(EN.wrong_token.to_owned())), StatusCode::UNAUTHORIZED)
        }
        Err(refusal) => refused(&login_page(Some(refusal.text)), refusal.status),
    }
}

/// The token to keep in the browser, and for how many seconds.
async fn session(api: &Backend, given: &str) -> Result<(String, i64), crate::backend::Refusal> {
    let access: Access = api.get("/access", &()).await?;
    if let Some(session) = access.session {
        let seconds = seconds_between(session.created_at.0, session.expires_at.0);
        return Ok((given.to_owned(), seconds.min(COOKIE_MAX_SECONDS)));
    }
    let request = CreateSession { name: Some("console".to_owned()), role: None, ttl_seconds: Some(SESSION_SECONDS) };
    let created: CreatedSession = api.post("/sessions", &request, None).await?;
    Ok((created.token.expose().to_owned(), SESSION_SECONDS))
}

/// The cookie may outlive the session, which the API ends.
fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    (to.ms_since(from) / 1_000).max(1)
}

/// Ends the session and removes the cookie.
pub(crate) async fn log_out(State(console): State<Console>, headers: HeaderMap) -> Answer {
    if let Some(token) = cookie::token(&headers) {
        match Backend::new(console.api(), token).act(Method::DELETE, "/access").await {
            Ok(()) => {}
            // It has ended already.
            Err(refusal) if refusal.is_unauthorized() => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let removed = cookie::set("none", 0, cookie::is_behind_tls(&headers));
    let response: Response = ([(header::SET_COOKIE, removed)], go_to("/console/login")).into_response();
    Ok(response)
}
