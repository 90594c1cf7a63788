//! `/audit`

use crate::App;
use crate::problem::ApiError;
use crate::view::Audit;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

/// Show what the last audits found
///
/// Every zone is audited every 10 minutes: what the cloud holds against what is recorded, both ways, from complete listings.
/// Nothing is deleted by it.
#[utoipa::path(get, path = "/audit", tag = "audit",
    responses((status = 200, description = "The last audit of each zone", body = Audit)))]
pub(crate) async fn show(State(app): State<App>) -> Result<axum::Json<Audit>, ApiError> {
    Ok(axum::Json(read(&app).await?))
}

/// Ask for a new audit of every zone
///
/// It is done once every zone's `begun_at` is not before its `requested_at`.
#[utoipa::path(post, path = "/audit", tag = "audit",
    responses((status = 202, description = "Asked for; follow it with `GET /audit`", body = Audit)))]
pub(crate) async fn request(State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    app.store().request_audit(&app.inner.account_id, app.now()).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(read(&app).await?)))
}

async fn read(app: &App) -> Result<Audit, ApiError> {
    let account = app.inner.account_id.as_str();
    let zones = app.store().audits(account).await?;
    let now = app.now();
    Ok(Audit::of(account, &zones, app.store().unfinished(account, now).await?, now))
}
