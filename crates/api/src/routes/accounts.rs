//! `/accounts`

use crate::extract::Path;
use crate::problem::ApiError;
use crate::{App, account_check};
use axum::extract::State;
use axum::http::StatusCode;
use inventiv_types::{Account, AccountCheck, Time};

/// List accounts
///
/// Each account is listed with the number of resources that it still owns.
#[utoipa::path(get, operation_id = "listAccounts", path = "/accounts", tag = "accounts",
    responses((status = 200, description = "All accounts", body = Vec<Account>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Vec<Account>>, ApiError> {
    let view = |a: inventiv_store::Account| Account {
        in_use: app.account_of(&a.id).is_some(),
        name: app.account_of(&a.id).map(|served| served.name.clone()),
        id: a.id,
        provider: a.provider,
        project_id: a.project_id,
        created_at: Time(a.created_at),
        instances: a.instances,
        servers: a.servers,
        volumes: a.volumes,
    };
    Ok(axum::Json(app.store().accounts().await?.into_iter().map(view).collect()))
}

/// Check an account
///
/// Asks the provider for the server types, the servers and volumes, and the prices of storage, in every zone. Nothing is
/// changed. It takes as long as the provider does, at most 20 seconds. A check that did not pass says what is wrong.
#[utoipa::path(post, operation_id = "checkAccount", path = "/accounts/{id}/check", tag = "accounts",
    params(("id" = String, Path, description = "The id of the account, or its name in the control plane")),
    responses((status = 200, description = "The result of every check", body = AccountCheck),
        (status = 409, description = "The control plane has no credentials for the account")))]
pub(crate) async fn check(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<AccountCheck>, ApiError> {
    let served = app.accounts().iter().find(|a| a.id == id || a.name == id);
    if let Some((served, how)) = served.and_then(|a| Some((a, a.check.as_ref()?))) {
        return Ok(axum::Json(account_check::check(served, how).await));
    }
    if app.store().accounts().await?.iter().any(|a| a.id == id) || served.is_some() {
        let text = "the control plane has no credentials for the account, so it cannot be checked";
        return Err(ApiError::conflict("account_not_in_use", text));
    }
    Err(ApiError::not_found("account", &id))
}

/// Remove an account from the list
///
/// Refused while the account owns a resource, or may own one, because nothing would manage it any more. The records of
/// the account are kept as evidence.
#[utoipa::path(delete, operation_id = "deleteAccount", path = "/accounts/{id}", tag = "accounts",
    params(("id" = String, Path,
        description = "The id of the account, for instance `scaleway:11111111-1111-4111-8111-111111111111`")),
    responses((status = 204, description = "The account was removed from the list"),
        (status = 409, description = "The account is in use, or still owns resources")))]
pub(crate) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let accounts = app.store().accounts().await?;
    let account = accounts.into_iter().find(|a| a.id == id).ok_or_else(|| ApiError::not_found("account", &id))?;
    if account.owns_something() {
        let text = format!(
            "the account owns, or may own, {} instance(s), {} server(s) and {} volume(s); start a control plane with \
             its credentials, terminate and release them, and try again",
            account.instances, account.servers, account.volumes
        );
        return Err(ApiError::conflict("account_owns_resources", text));
    }
    if app.account_of(&id).is_some() {
        return Err(ApiError::conflict("account_in_use", "the account is in use; restart without its credentials"));
    }
    if !app.store().remove_account(&id, app.now()).await? {
        return Err(ApiError::conflict("account_owns_resources", "a resource was created in it meanwhile"));
    }
    Ok(StatusCode::NO_CONTENT)
}
