//! `/audit`

use super::OfAccount;
use crate::extract::{Query, object};
use crate::problem::ApiError;
use crate::view::Audit;
use crate::{Account, App};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use inventiv_core::sweep::Policy;
use inventiv_store::FixRequest;
use serde::Deserialize;
use utoipa::ToSchema;

/// What an audit is to do besides looking.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditRequest {
    /// Do something about orphans; left out: only look.
    fix: Option<bool>,
    /// What becomes of orphans that no instance takes up: `report` (if left out) or `delete`. Only with `fix`.
    policy: Option<String>,
    /// How many orphans may be deleted at once, from 1 to 1000; left out: 10, and no more than a fifth of what is ours.
    max: Option<u32>,
}

impl AuditRequest {
    fn checked(self) -> Result<Option<FixRequest>, ApiError> {
        let policy = match self.policy.as_deref() {
            None | Some("report") => Policy::Report,
            Some("delete") => Policy::Delete,
            Some(_) => return Err(ApiError::field("policy", "report or delete")),
        };
        if self.fix != Some(true) {
            if self.policy.is_some() || self.max.is_some() {
                return Err(ApiError::invalid("policy and max say how to fix: they need `fix`: true"));
            }
            return Ok(None);
        }
        match self.max {
            Some(n @ 1..=1_000) => Ok(Some(FixRequest { policy, max: Some(n as usize) })),
            None => Ok(Some(FixRequest { policy, max: None })),
            Some(_) => Err(ApiError::field("max", "from 1 to 1000")),
        }
    }
}

/// Show what the last audits found
///
/// Every zone is audited every 10 minutes: what the cloud holds against what is recorded, both ways, from complete listings.
/// Nothing is deleted by it, unless an operator chose that (`POST /audit`).
#[utoipa::path(get, operation_id = "getAudit", path = "/audit", params(OfAccount), tag = "audit",
    responses((status = 200, description = "The last audit of each zone", body = Audit)))]
pub(crate) async fn show(
    State(app): State<App>,
    Query(query): Query<OfAccount>,
) -> Result<axum::Json<Audit>, ApiError> {
    Ok(axum::Json(read(&app, app.account_of_query(query.account.as_deref())?).await?))
}

/// Ask for a new audit of every zone
///
/// It is done once every zone's `begun_at` is not before its `requested_at`. Without a body it only looks. With `fix`, orphans
/// of instances that are recorded are shown to them again: they take up or take away what is theirs. What none takes up is
/// told (`policy` `report`, which also empties the quarantine), or (`delete`) deleted after an hour of quarantine, if it is
/// an orphan still. Nothing is deleted while an audit cannot say, or while the records look older than the cloud.
#[utoipa::path(post, operation_id = "requestAudit", path = "/audit", params(OfAccount), tag = "audit", request_body = Option<AuditRequest>,
    responses((status = 202, description = "Asked for; follow it with `GET /audit`", body = Audit)))]
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
            serde_json::from_slice(&body).map_err(|e| ApiError::invalid(format!("the body is no JSON object: {e}")))?;
        object(body)?
    };
    let fix = request.checked()?;
    app.store().request_audit(&account.id, app.now(), fix).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(read(&app, account).await?)))
}

async fn read(app: &App, account: &Account) -> Result<Audit, ApiError> {
    let zones = app.store().audits(&account.id).await?;
    let now = app.now();
    let mut open = app.store().unfinished(&account.id, now).await?;
    // The others that are worked in have an audit of their own.
    open.other_accounts.retain(|id| app.account_of(id).is_none());
    Ok(Audit::of(account, &zones, open, now))
}
