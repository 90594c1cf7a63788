//! `/instance_counts`

use crate::App;
use crate::problem::ApiError;
use axum::extract::State;
use inventiv_types::InstanceCounts;

/// Count the living instances
#[utoipa::path(get, operation_id = "countInstances", path = "/instance_counts", tag = "instances",
    responses((status = 200, description = "How many instances have not ended, by status", body = InstanceCounts)))]
pub(crate) async fn show(State(app): State<App>) -> Result<axum::Json<InstanceCounts>, ApiError> {
    Ok(axum::Json(InstanceCounts { living: app.store().living_counts().await? }))
}
