//! `/audit`

use crate::extract::{Query, object};
use crate::problem::ApiError;
use crate::view;
use crate::{Account, App};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use inventiv_store::FixRequest;
use inventiv_types::{Audit, AuditRequest, OfAccount};

/// What the request asks the next audits to do about orphans; `None`: they only report.
fn checked(request: &AuditRequest) -> Result<Option<FixRequest>, ApiError> {
    if request.fix != Some(true) {
        if request.policy.is_some() || request.max.is_some() {
            return Err(ApiError::invalid("policy and max require `fix`: true"));
        }
        return Ok(None);
    }
    let policy = request.policy.unwrap_or_default();
    match request.max {
        Some(n @ 1..=1_000) => Ok(Some(FixRequest { policy, max: Some(n as usize) })),
        None => Ok(Some(FixRequest { policy, max: None })),
        Some(_) => Err(ApiError::field("max", "must be from 1 to 1000")),
    }
}

/// Show the last audits
///
/// Every 10 minutes, the control plane compares a complete listing of each zone with the records, in both directions.
/// An audit deletes nothing unless `POST /audit` requested it.
#[utoipa::path(get, operation_id = "getAudit", path = "/audit", params(OfAccount), tag = "audit",
    responses((status = 200, description = "The last audit of each zone", body = Audit)))]
pub(crate) async fn show(
    State(app): State<App>,
    Query(query): Query<OfAccount>,
) -> Result<axum::Json<Audit>, ApiError> {
    Ok(axum::Json(read(&app, app.account_of_query(query.account.as_deref())?).await?))
}

/// Request an audit of every zone
///
/// The audit of a zone is done when its `begun_at` is not before its `requested_at`. Without a body, it only reports.
///
/// With `fix`, the orphans of recorded instances are observed again, and each instance adopts or removes its own. The
/// others are handled according to `policy`: `report` only reports them, and empties the quarantine; `delete` deletes
/// them after one hour of quarantine, if they are still orphans. Nothing is deleted while an audit is inconclusive, or
/// while the records look older than the cloud.
#[utoipa::path(post, operation_id = "requestAudit", path = "/audit", params(OfAccount), tag = "audit",
    request_body = Option<AuditRequest>,
    responses((status = 202, description = "The audit was requested. Follow it with `GET /audit`.", body = Audit)))]
pub(crate) async fn request(
    State(app): State<App>,
    Query(query): Query<OfAccount>,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    let account = app.account_of_query(query.account.as_deref())?;
    let request: AuditRequest = if body.iter().all(u8::is_ascii_whitespace) {
        AuditRequest::default()
    } else {
        let body =
            serde_json::from_slice(&body).map_err(|e| ApiError::invalid(format!("the body is not JSON: {e}")))?;
        object(body)?
    };
    let fix = checked(&request)?;
    app.store().request_audit(&account.id, app.now(), fix).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(read(&app, account).await?)))
}

async fn read(app: &App, account: &Account) -> Result<Audit, ApiError> {
    let zones = app.store().audits(&account.id).await?;
    let now = app.now();
    let mut open = app.store().unfinished(&account.id, now).await?;
    // Other accounts that are in use have an audit of their own.
    open.other_accounts.retain(|id| app.account_of(id).is_none());
    Ok(view::audit(account, &zones, open, now, |zone| app.storage_prices(&account.id, zone)))
}
