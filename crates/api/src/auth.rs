//! The bearer token: everything but health asks for it.

use crate::App;
use crate::problem::ApiError;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

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
    let text = match token {
        None => "send the header `Authorization: Bearer TOKEN`; the server wrote its token to its token file",
        Some(_) => "the token is not this server's; read it from the server's token file",
    };
    let mut response = ApiError::new(401, "unauthorized", text).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}
