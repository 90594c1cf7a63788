//! `/keys`: API keys for clients that ask models. The value of a key is in the response to its creation and nowhere else.

use crate::App;
use crate::create_request::wrong_name_beside;
use crate::extract::{Draft, Json, Path};
use crate::idempotency::NewId;
use crate::problem::{ApiError, wrong_field};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::id::KeyId;
use inventiv_core::text::is_hidden;
use inventiv_core::time::Timestamp;
use inventiv_keyring::{KeyError, api_key};
use inventiv_store::{ApiKeyRow, Error};
use inventiv_types::{ChangeKey, CreateKey, CreatedKey, FieldError, Key, KeyStatus, Page, SecretValue, Time};

/// The maximum number of scopes of a key.
const SCOPES_MAX: usize = 50;
/// The maximum length of a scope, in characters.
const SCOPE_MAX: usize = 300;

fn view(row: &ApiKeyRow, now: Timestamp) -> Key {
    let status = match (row.revoked_at, row.is_valid(now)) {
        (Some(_), _) => KeyStatus::Revoked,
        (None, true) => KeyStatus::Valid,
        (None, false) => KeyStatus::Expired,
    };
    Key {
        id: row.id.to_string(),
        name: row.name.clone(),
        scopes: row.scopes.clone(),
        requests_per_minute: row.requests_per_minute,
        tokens_per_minute: row.tokens_per_minute,
        created_at: Time(row.created_at),
        expires_at: row.expires_at.map(Time),
        revoked_at: row.revoked_at.map(Time),
        last_used_at: row.last_used_at.map(Time),
        status,
    }
}

/// Create an API key
///
/// The response shows the value of the key, once: only its hash is stored. Clients send the value as
/// `Authorization: Bearer VALUE` to `/v1`; nothing else accepts it.
///
/// Without an `Idempotency-Key`, a repeated request creates a second key. With one, the response to a repeated request shows
/// the value again, for 24 hours.
#[utoipa::path(post, operation_id = "createKey", path = "/keys", request_body = CreateKey, tag = "keys",
    responses((status = 201, description = "The key was created", body = CreatedKey,
        headers(("Location" = String, description = "The path of the key")))))]
pub(crate) async fn create(
    State(app): State<App>,
    new_id: NewId,
    Draft { read: new, mut errors }: Draft<CreateKey>,
) -> Result<impl IntoResponse, ApiError> {
    let now = app.now();
    errors.extend(mistakes(&new, now));
    if !errors.is_empty() {
        return Err(ApiError::all(errors));
    }
    let id = KeyId::new(new_id.bits);
    let generated = api_key::generate(id.body()).map_err(|e| cannot_generate(&e))?;
    let row = ApiKeyRow {
        id,
        name: new.name,
        hash: generated.hash,
        scopes: new.scopes.unwrap_or_default(),
        requests_per_minute: new.requests_per_minute,
        tokens_per_minute: new.tokens_per_minute,
        created_at: now,
        expires_at: new.expires_at.map(|at| at.0),
        revoked_at: None,
        last_used_at: None,
    };
    match app.store().add_api_key(&row).await {
        // The same request was carried out before, and its response, with another value, was lost.
        Err(Error::Duplicate(_)) if new_id.is_repeated() => {
            if !app.store().replace_api_key(&row).await? {
                let text = "this request created a key that was revoked since; send it with a new Idempotency-Key";
                return Err(ApiError::conflict("revoked", text));
            }
        }
        written => written?,
    }
    app.store().tell_change();
    let location = format!("/keys/{}", row.id);
    let created = CreatedKey { key: view(&row, now), value: SecretValue::new(generated.text.to_string()) };
    // No cache may keep the value.
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, axum::Json(created)))
}

fn mistakes(new: &CreateKey, now: Timestamp) -> Vec<FieldError> {
    let mut wrong: Vec<FieldError> = wrong_name_beside(&new.name, KeyId::PREFIX).into_iter().collect();
    let scopes = new.scopes.as_deref().unwrap_or_default();
    if scopes.len() > SCOPES_MAX {
        wrong.push(wrong_field("scopes", format!("must be at most {SCOPES_MAX} names of services or ids of models")));
    }
    let is_wrong = |s: &str| s.is_empty() || s.chars().count() > SCOPE_MAX || s.chars().any(is_hidden);
    for (n, _) in scopes.iter().take(SCOPES_MAX).enumerate().filter(|(_, scope)| is_wrong(scope)) {
        let text = format!("must have 1 to {SCOPE_MAX} characters, none of them control characters or invisible");
        wrong.push(wrong_field(&format!("scopes.{n}"), text));
    }
    let limits = [("requests_per_minute", new.requests_per_minute), ("tokens_per_minute", new.tokens_per_minute)];
    for (field, _) in limits.into_iter().filter(|(_, limit)| limit.is_some_and(|n| n < 1)) {
        wrong.push(wrong_field(field, "must be at least 1, or omitted for no limit"));
    }
    if new.expires_at.is_some_and(|at| at.0 <= now) {
        wrong.push(wrong_field("expires_at", "must be in the future, or omitted for a key that never expires"));
    }
    wrong
}

fn cannot_generate(e: &KeyError) -> ApiError {
    tracing::error!(error = %e, "an API key cannot be generated");
    ApiError::new(500, "internal", "the key cannot be generated; the control plane's log says why")
}

/// List API keys
///
/// Values are never shown.
#[utoipa::path(get, operation_id = "listKeys", path = "/keys", tag = "keys",
    responses((status = 200, description = "All keys, also expired and revoked ones, oldest first", body = Page<Key>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<Key>>, ApiError> {
    let now = app.now();
    let items = app.store().api_keys().await?.iter().map(|row| view(row, now)).collect();
    Ok(axum::Json(Page { items, next: None }))
}

/// Show an API key
///
/// The value is never shown.
#[utoipa::path(get, operation_id = "getKey", path = "/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The id of the key, or its name if only one valid key has it")),
    responses((status = 200, description = "The key", body = Key)))]
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Key>, ApiError> {
    let now = app.now();
    Ok(axum::Json(view(&find(&app, &id, now).await?, now)))
}

/// Change an API key
///
/// Its value stays the same. Requests that are being answered go on; the next one is subject to the change, within a second in
/// every replica of the control plane. A key that is revoked cannot be changed; one that has expired is valid again if it gets a
/// later end.
#[utoipa::path(patch, operation_id = "changeKey", path = "/keys/{id}", tag = "keys", request_body = ChangeKey,
    params(("id" = String, Path, description = "The id of the key, or its name if only one valid key has it")),
    responses((status = 200, description = "The changed key", body = Key),
        (status = 409, description = "The key is revoked")))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(change): Json<ChangeKey>,
) -> Result<axum::Json<Key>, ApiError> {
    let now = app.now();
    let before = find(&app, &id, now).await?;
    let new_end = change.expires_at;
    let row = ApiKeyRow {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        scopes: change.scopes.unwrap_or_else(|| before.scopes.clone()),
        requests_per_minute: change.requests_per_minute.unwrap_or(before.requests_per_minute),
        tokens_per_minute: change.tokens_per_minute.unwrap_or(before.tokens_per_minute),
        expires_at: new_end.map_or(before.expires_at, |end| end.map(|at| at.0)),
        ..before
    };
    let checked = CreateKey {
        name: row.name.clone(),
        scopes: Some(row.scopes.clone()),
        requests_per_minute: row.requests_per_minute,
        tokens_per_minute: row.tokens_per_minute,
        expires_at: new_end.flatten(),
    };
    let wrong = mistakes(&checked, now);
    if !wrong.is_empty() {
        return Err(ApiError::all(wrong));
    }
    if !app.store().change_api_key(&row).await? {
        return Err(ApiError::conflict("revoked", "the key is revoked; create another one"));
    }
    app.store().tell_change();
    Ok(axum::Json(view(&row, now)))
}

/// Revoke an API key
///
/// The key is refused from now on, and stays on the list. A key that was revoked before stays as it is.
#[utoipa::path(delete, operation_id = "revokeKey", path = "/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The id of the key, or its name if only one valid key has it")),
    responses((status = 204, description = "The key is revoked")))]
pub(crate) async fn revoke(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let now = app.now();
    let key = find(&app, &id, now).await?;
    if app.store().revoke_api_key(&key.id, now).await? {
        app.store().tell_change();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The key with an id, or the only valid key with a name.
async fn find(app: &App, text: &str, now: Timestamp) -> Result<ApiKeyRow, ApiError> {
    if let Some(id) = KeyId::parse(text) {
        return app.store().api_key(&id).await?.ok_or_else(|| ApiError::not_found("key", text));
    }
    let mut named = app.store().valid_api_keys(now).await?;
    named.retain(|key| key.name == text);
    named.sort_by(|a, b| a.id.cmp(&b.id));
    let ids: Vec<&str> = named.iter().map(|key| key.id.as_str()).collect();
    match (ids.len(), named.first()) {
        (1, Some(key)) => Ok(key.clone()),
        (_, None) => Err(ApiError::not_found("valid key", text)),
        (_, Some(_)) => {
            let detail = format!("several valid keys have the name `{text}`; use an id: {}", ids.join(", "));
            Err(ApiError::conflict("ambiguous", detail))
        }
    }
}
