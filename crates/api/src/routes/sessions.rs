//! `/sessions`: tokens that expire. A token is in the response to its creation and nowhere else.

use crate::App;
use crate::auth::Holder;
use crate::extract::{Draft, Path};
use crate::idempotency::NewId;
use crate::problem::{ApiError, wrong_field};
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::id::SessionId;
use inventiv_core::role::Role;
use inventiv_core::text::is_hidden;
use inventiv_keyring::session;
use inventiv_store::{Error, SessionRow};
use inventiv_types::{Access, CreateSession, CreatedSession, Page, SecretValue, Session, Time};

/// How many sessions there may be.
const SESSIONS_MAX: usize = 1_000;
const TTL_DEFAULT_SECONDS: i64 = 12 * 60 * 60;
const TTL_SECONDS: std::ops::RangeInclusive<i64> = 60..=31_536_000;
/// The maximum length of a name, in characters.
const NAME_MAX: usize = 100;

fn view(row: &SessionRow) -> Session {
    Session {
        id: row.id.to_string(),
        name: row.name.clone(),
        role: row.role,
        created_at: Time(row.created_at),
        expires_at: Time(row.expires_at),
    }
}

/// Create a session
///
/// The response shows its token, and nothing else does. It works like the operator's token until it expires; that of a `reader`
/// may only read. Only the hash of the token is stored; with an `Idempotency-Key`, the response is kept sealed for 24 hours.
#[utoipa::path(post, operation_id = "createSession", path = "/sessions", request_body = CreateSession, tag = "sessions",
    responses((status = 201, description = "The session was created", body = CreatedSession)))]
pub(crate) async fn create(
    State(app): State<App>,
    new_id: NewId,
    Draft { read: new, mut errors }: Draft<CreateSession>,
) -> Result<impl IntoResponse, ApiError> {
    let name = new.name.unwrap_or_else(|| "session".to_owned());
    if name.trim().is_empty() || name.chars().count() > NAME_MAX || name.chars().any(is_hidden) {
        let text = format!("must have 1 to {NAME_MAX} characters, none of them control characters or invisible");
        errors.push(wrong_field("name", text));
    }
    let ttl_seconds = new.ttl_seconds.unwrap_or(TTL_DEFAULT_SECONDS);
    if !TTL_SECONDS.contains(&ttl_seconds) {
        let text = format!("must be from {} to {}", TTL_SECONDS.start(), TTL_SECONDS.end());
        errors.push(wrong_field("ttl_seconds", text));
    }
    if !errors.is_empty() {
        return Err(ApiError::all(errors));
    }
    let now = app.now();
    if app.store().sessions(now).await?.len() >= SESSIONS_MAX {
        let text = format!("there are {SESSIONS_MAX} sessions, and there may not be more; end some first");
        return Err(ApiError::conflict("too_many", text));
    }
    let internal = |e: inventiv_keyring::KeyError| {
        tracing::error!(error = %e, "no token can be drawn");
        ApiError::new(500, "internal", "no token can be drawn; the control plane's log says why")
    };
    let token = session::generate().map_err(internal)?;
    let row = SessionRow {
        id: SessionId::new(new_id.bits),
        name,
        role: new.role.unwrap_or(Role::Operator),
        hash: session::hash(&token).unwrap_or_default(),
        created_at: now,
        expires_at: now.plus_ms(ttl_seconds * 1_000),
    };
    match app.store().add_session(&row).await {
        // The same request was carried out before, and its response, with another token, was lost.
        Err(Error::Duplicate(_)) if new_id.is_repeated() => {
            if !app.store().replace_session(&row.id, &row.hash).await? {
                let text = "this request created a session that has ended; send it with a new Idempotency-Key";
                return Err(ApiError::conflict("ended", text));
            }
        }
        written => written?,
    }
    let created = CreatedSession { session: view(&row), token: SecretValue::new(token.to_string()) };
    // No cache may keep the token.
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], axum::Json(created)))
}

/// List sessions
#[utoipa::path(get, operation_id = "listSessions", path = "/sessions", tag = "sessions",
    responses((status = 200, description = "Every session that has not expired, oldest first", body = Page<Session>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<Session>>, ApiError> {
    let rows = app.store().sessions(app.now()).await?;
    Ok(axum::Json(Page { items: rows.iter().map(view).collect(), next: None }))
}

/// End a session
///
/// Its token is refused from now on. A stream that is open ends within five minutes.
#[utoipa::path(delete, operation_id = "endSession", path = "/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The id of the session")),
    responses((status = 204, description = "The session has ended")))]
pub(crate) async fn end(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let missing = || ApiError::not_found("session", &id);
    let session = SessionId::parse(&id).ok_or_else(missing)?;
    if app.store().end_session(&session).await? { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}

/// End every session
///
/// Also that of this request, if it has one. Only the operator's token works from now on; streams that are open end within five
/// minutes.
#[utoipa::path(delete, operation_id = "endSessions", path = "/sessions", tag = "sessions",
    responses((status = 204, description = "Every session has ended")))]
pub(crate) async fn end_all(State(app): State<App>) -> Result<StatusCode, ApiError> {
    app.store().end_sessions().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show what a token allows
#[utoipa::path(get, operation_id = "getAccess", path = "/access", tag = "sessions",
    responses((status = 200, description = "What the token of this request allows", body = Access)))]
pub(crate) async fn access(Extension(holder): Extension<Holder>) -> axum::Json<Access> {
    axum::Json(Access { role: holder.role, session: holder.session.as_ref().map(view) })
}

/// End the session of this request
#[utoipa::path(delete, operation_id = "endAccess", path = "/access", tag = "sessions",
    responses((status = 204, description = "The session has ended; the operator's token has none, and goes on to work")))]
pub(crate) async fn leave(
    State(app): State<App>,
    Extension(holder): Extension<Holder>,
) -> Result<StatusCode, ApiError> {
    if let Some(session) = holder.session {
        app.store().end_session(&session.id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
