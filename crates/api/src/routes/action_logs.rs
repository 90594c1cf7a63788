//! `/action_logs`

use super::limit;
use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::view::{ActionLogView, Page};
use axum::extract::State;
use inventiv_core::id::LogId;
use serde::Deserialize;
use utoipa::IntoParams;

/// The filter and the page of a list of log lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListLogs {
    /// The account, by its name or id, in which `instance_id` is looked for; by default in all.
    account: Option<String>,
    /// Only lines about this instance: its id, a unique prefix of its id, or its name.
    instance_id: Option<String>,
    /// The `next` value of the previous page.
    after: Option<String>,
    /// The maximum number of items, from 1 to 500. The default is 100.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// List the action log
///
/// The log contains requests, events, and all provider calls that change something. The line of a call is committed
/// before the call (`in_progress`) and closed after it.
#[utoipa::path(get, operation_id = "listActionLogs", path = "/action_logs", params(ListLogs), tag = "action logs",
    responses((status = 200, description = "One page of log lines, oldest first", body = Page<ActionLogView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListLogs>,
) -> Result<axum::Json<Page<ActionLogView>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_after(query.after.as_deref(), |id| LogId::parse(id).is_some())?;
    let instance = match query.instance_id.as_deref() {
        Some(id) => Some(crate::resolve::instance(&app, id, query.account.as_deref()).await?),
        None => None,
    };
    let rows = app.store().action_logs(instance.as_ref(), query.after.as_deref(), limit + 1).await?;
    Ok(axum::Json(Page::cut(rows, limit, |l| l.id.to_string(), |l| ActionLogView::of(l.clone()))))
}
