//! `/action_logs`

use super::limit;
use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::view;
use axum::extract::State;
use inventiv_core::id::LogId;
use inventiv_types::{ActionLog, ListLogs, Page};

/// List the action log
///
/// The log contains requests, events, and all provider calls that change something. The line of a call is committed
/// before the call (`in_progress`) and closed after it.
#[utoipa::path(get, operation_id = "listActionLogs", path = "/action_logs", params(ListLogs), tag = "action logs",
    responses((status = 200, description = "One page of log lines, oldest first", body = Page<ActionLog>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListLogs>,
) -> Result<axum::Json<Page<ActionLog>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_after(query.after.as_deref(), |id| LogId::parse(id).is_some())?;
    let instance = match query.instance_id.as_deref() {
        Some(id) => Some(crate::resolve::instance(&app, id, query.account.as_deref()).await?),
        None => None,
    };
    let rows = app.store().action_logs(instance.as_ref(), query.after.as_deref(), limit + 1).await?;
    Ok(axum::Json(view::page(rows, limit, |l| l.id.to_string(), |l| view::action_log(l.clone()))))
}
