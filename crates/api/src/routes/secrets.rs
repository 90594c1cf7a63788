//! `/secrets`: texts that users set and that are stored sealed. No response, error or log line contains a value.

use crate::App;
use crate::extract::{Json, Path};
use crate::problem::ApiError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use inventiv_keyring::{KeyError, secret_context};
use inventiv_store::SecretRow;
use inventiv_types::{
    Page, PutSecret, SECRET_NAME_RULE, SECRET_VALUE_MAX_BYTES, Secret, SecretValue, Time, is_secret_name,
};

fn view(row: &SecretRow) -> Secret {
    Secret { name: row.name.clone(), created_at: Time(row.created_at), updated_at: Time(row.updated_at) }
}

/// List secrets
///
/// Values are never shown.
#[utoipa::path(get, operation_id = "listSecrets", path = "/secrets", tag = "secrets",
    responses((status = 200, description = "All secrets, sorted by name", body = Page<Secret>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<Secret>>, ApiError> {
    let items = app.store().secrets().await?.iter().map(view).collect();
    Ok(axum::Json(Page { items, next: None }))
}

/// Set a secret
///
/// Creates the secret, or replaces its value. The value is stored sealed and never shown.
#[utoipa::path(put, operation_id = "putSecret", path = "/secrets/{name}", request_body = PutSecret, tag = "secrets",
    params(("name" = String, Path,
        description = "1 to 64 characters of a-z, 0-9, `-` and `_`; the first one is a letter")),
    responses((status = 200, description = "The value was replaced", body = Secret),
        (status = 201, description = "The secret was created", body = Secret)))]
pub(crate) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Json(new): Json<PutSecret>,
) -> Result<impl IntoResponse, ApiError> {
    if !is_secret_name(&name) {
        return Err(ApiError::invalid(format!("name: {SECRET_NAME_RULE}")));
    }
    check_value(&new.value)?;
    let context = secret_context(&name);
    let sealed = app.keyring().seal(&context, new.value.expose().as_bytes()).map_err(|e| cannot_seal(&e))?;
    let now = app.now();
    let is_new = app.store().put_secret(&name, &sealed, now).await?;
    let row = app.store().secret(&name).await?;
    // Somebody may have deleted it already.
    let row = row.unwrap_or(SecretRow { name, sealed, created_at: now, updated_at: now });
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(view(&row))))
}

fn check_value(value: &SecretValue) -> Result<(), ApiError> {
    if (1..=SECRET_VALUE_MAX_BYTES).contains(&value.expose().len()) {
        return Ok(());
    }
    Err(ApiError::field("value", format!("must have from 1 to {SECRET_VALUE_MAX_BYTES} bytes")))
}

fn cannot_seal(e: &KeyError) -> ApiError {
    tracing::error!(error = %e, "a secret cannot be sealed");
    ApiError::new(500, "internal", "the secret cannot be sealed; the control plane's log says why")
}

/// Delete a secret
#[utoipa::path(delete, operation_id = "deleteSecret", path = "/secrets/{name}", tag = "secrets",
    params(("name" = String, Path, description = "The name of the secret")),
    responses((status = 204, description = "The secret was deleted")))]
pub(crate) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    if is_secret_name(&name) && app.store().delete_secret(&name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::not_found("secret", &name))
}
