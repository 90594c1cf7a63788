//! `/healthz`, `/readyz` and `/metrics`

use crate::App;
use crate::problem::ApiError;
use crate::view::{count, oldest};
use axum::extract::State;
use inventiv_core::audit::FindingKind;
use inventiv_core::ledger::ChargeClass;
use inventiv_core::status::Status;
use inventiv_core::time::Timestamp;
use inventiv_store::{CostRate, Unfinished};
use inventiv_types::{Health, HealthStatus};
use std::collections::BTreeSet;

/// Check liveness
///
/// Succeeds whenever the process runs.
#[utoipa::path(get, operation_id = "getHealth", path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "The process runs", body = Health)))]
pub(crate) async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: HealthStatus::Ok })
}

/// Check readiness
///
/// Succeeds if requests can be served: the database can be read and written.
#[utoipa::path(get, operation_id = "getReadiness", path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "Requests can be served", body = Health)))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<axum::Json<Health>, ApiError> {
    app.store().check().await?;
    Ok(axum::Json(Health { status: HealthStatus::Ok }))
}

/// Show metrics
#[utoipa::path(get, operation_id = "getMetrics", path = "/metrics", tag = "health",
    responses((status = 200, description = "Metrics in the Prometheus text format", body = String,
        content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<String, ApiError> {
    let living = app.store().living_counts().await?;
    for status in Status::ALL.iter().filter(|s| !s.is_final()) {
        let count = living.get(status.text()).copied().unwrap_or_default();
        metrics::gauge!("inventiv_instances", "status" => status.text())
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    show_costs(&app.store().cost_rates("").await?);
    let now = app.now();
    let (mut zones, mut open) = (Vec::new(), Unfinished::default());
    for account in app.accounts() {
        zones.extend(app.store().audits(&account.id).await?);
        open.add(app.store().unfinished(&account.id, now).await?);
    }
    for &kind in FindingKind::ALL {
        gauge("inventiv_audit_findings", Some(kind.text()), count(&zones, kind));
    }
    gauge("inventiv_event_streams", None, app.inner.feed.streams());
    gauge("inventiv_unproven_deletions", None, open.unproven_deletions);
    gauge("inventiv_stuck_deletions", None, open.stuck);
    let seconds = |since: Option<Timestamp>| since.map_or(0, |t| now.ms_since(t).max(0) / 1_000);
    gauge("inventiv_oldest_unconfirmed_creation_seconds", None, seconds(open.oldest_unconfirmed));
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let age = oldest(&zones).map_or(f64::INFINITY, |at| seconds(Some(at)) as f64);
    metrics::gauge!("inventiv_audit_age_seconds").set(age);
    gauge(
        "inventiv_audit_blind_zones",
        None,
        zones.iter().filter(|z| z.report.as_ref().is_none_or(|r| r.inconclusive.is_some())).count(),
    );
    Ok((app.inner.metrics)())
}

/// Sets a gauge, with the label `kind` if it is given.
fn gauge<N: TryInto<u32>>(name: &'static str, kind: Option<&'static str>, value: N) {
    let gauge = match kind {
        Some(kind) => metrics::gauge!(name, "kind" => kind),
        None => metrics::gauge!(name),
    };
    gauge.set(f64::from(value.try_into().unwrap_or(u32::MAX)));
}

/// Every class of each currency, so that one that costs nothing any more shows 0.
fn show_costs(rates: &[CostRate]) {
    let currencies: BTreeSet<&str> = rates.iter().map(|r| r.currency.as_str()).chain(["EUR"]).collect();
    for currency in currencies {
        for class in ChargeClass::ALL {
            let of = rates.iter().filter(|r| r.currency == currency && r.class == *class);
            let micros = of.fold(0_i64, |sum, r| sum.saturating_add(r.hourly_micros));
            set_hourly(class.text(), currency, micros);
        }
    }
}

fn set_hourly(class: &'static str, currency: &str, micros: i64) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 millionths")]
    let units = micros as f64 / 1e6;
    metrics::gauge!("inventiv_cost_per_hour", "class" => class, "currency" => currency.to_owned()).set(units);
}
