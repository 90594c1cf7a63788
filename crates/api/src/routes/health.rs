//! Health and metrics.

use crate::App;
use crate::problem::ApiError;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// The state of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: String,
}

/// Say that the process runs
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "It runs", body = Health)))]
pub(crate) async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: "ok".to_owned() })
}

/// Say whether requests can be served: the database answers and can be written
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "They can", body = Health)))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<axum::Json<Health>, ApiError> {
    app.store().check().await?;
    Ok(axum::Json(Health { status: "ok".to_owned() }))
}

/// Show counters for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<String, ApiError> {
    for (status, count) in app.store().counts().await? {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 instances")]
        metrics::gauge!("inventiv_instances", "status" => status).set(count as f64);
    }
    Ok((app.inner.metrics)())
}
