//! `/alerts`

use crate::App;
use crate::problem::ApiError;
use axum::extract::State;
use inventiv_core::alert::{alerts, is_unknown};
use inventiv_types::{Alert, Page, Time};
use std::collections::HashMap;

/// List alerts
///
/// What an operator should know or do something about now: instances that failed or ended by themselves during the last day, or
/// will end within ten minutes, models that do not answer, degraded services, stuck deletions, findings of audits, and limits of
/// which 50, 80 or 100 percent are used.
#[utoipa::path(get, operation_id = "listAlerts", path = "/alerts", tag = "alerts",
    responses((status = 200, description = "All alerts, the most urgent first", body = Page<Alert>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<Alert>>, ApiError> {
    let (store, now) = (app.store(), app.now());
    let facts = store.alert_facts(now).await?;
    let mut current = alerts(&facts, now);
    let mut open = store.known_alerts(now).await?;
    open.retain(|row| row.resolved_at.is_none());
    let since: HashMap<String, _> = open.iter().map(|row| (row.alert.key.clone(), row.opened_at)).collect();
    // As long as nobody can say that it has ended, it goes on.
    current.extend(open.into_iter().map(|row| row.alert).filter(|alert| is_unknown(&alert.key, &facts)));
    let mut found: Vec<_> = current.into_iter().filter(|alert| !alert.is_implied).collect();
    found.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.key.cmp(&b.key)));
    let items = found.into_iter().map(|alert| Alert {
        // Nobody has told it yet.
        since: Time(since.get(&alert.key).copied().unwrap_or(now)),
        kind: alert.kind,
        severity: alert.severity,
        about: alert.about,
        text: alert.text,
    });
    Ok(axum::Json(Page { items: items.collect(), next: None }))
}
