//! The health of the control plane.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The health of the control plane.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: HealthStatus,
}

/// Whether the control plane works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It does; otherwise, the response is a problem.
    Ok,
}
