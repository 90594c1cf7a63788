//! `/accounts`

use crate::App;
use crate::extract::Path;
use crate::problem::ApiError;
use crate::view::time;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A provider account that this database has rows of.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AccountView {
    /// Its id: provider and project.
    id: String,
    /// The name that this control plane gives it; `null`: it is not in use.
    name: Option<String>,
    /// Which cloud.
    provider: String,
    /// The project that everything is made in.
    project_id: String,
    /// When it was first used.
    created_at: String,
    /// The server works in it now.
    in_use: bool,
    /// Instances whose life is not over.
    instances: i64,
    /// Servers that are there, or may be.
    servers: i64,
    /// Volumes that are there, or may be; those kept on purpose are among them.
    volumes: i64,
}

/// List provider accounts, with what each still owns
#[utoipa::path(get, operation_id = "listAccounts", path = "/accounts", tag = "accounts",
    responses((status = 200, description = "All accounts", body = Vec<AccountView>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Vec<AccountView>>, ApiError> {
    let view = |a: inventiv_store::Account| AccountView {
        in_use: app.account_of(&a.id).is_some(),
        name: app.account_of(&a.id).map(|served| served.name.clone()),
        id: a.id,
        provider: a.provider,
        project_id: a.project_id,
        created_at: time(a.created_at),
        instances: a.instances,
        servers: a.servers,
        volumes: a.volumes,
    };
    Ok(axum::Json(app.store().accounts().await?.into_iter().map(view).collect()))
}

/// Take a provider account off the list
///
/// Refused while anything of it is there, or may be: nobody would look after it. Its rows stay, as evidence.
#[utoipa::path(delete, operation_id = "deleteAccount", path = "/accounts/{id}", tag = "accounts",
    params(("id" = String, Path, description = "Its id, for instance `scaleway:11111111-1111-4111-8111-111111111111`")),
    responses((status = 204, description = "It is off the list"),
        (status = 409, description = "It is in use, or something of it is left")))]
pub(crate) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let accounts = app.store().accounts().await?;
    let account = accounts.into_iter().find(|a| a.id == id).ok_or_else(|| ApiError::not_found("account", &id))?;
    if account.owns_something() {
        let text = format!(
            "the account still owns {} instance(s), {} server(s) and {} volume(s), or may: start a server with its \
             credentials, terminate and release them, and try again",
            account.instances, account.servers, account.volumes
        );
        return Err(ApiError::conflict("account_owns_resources", text));
    }
    if app.account_of(&id).is_some() {
        return Err(ApiError::conflict("account_in_use", "this server works in it; start it with other credentials"));
    }
    if !app.store().remove_account(&id, app.now()).await? {
        return Err(ApiError::conflict("account_owns_resources", "something was made in it meanwhile; look again"));
    }
    Ok(StatusCode::NO_CONTENT)
}
