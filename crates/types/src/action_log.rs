//! Lines of the action log.

use crate::Time;
use inventiv_core::status::LogStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One line of the action log: a provider call, a request, or an event that is worth reporting.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ActionLog {
    /// The unique id; it begins with `log-`.
    pub id: String,
    /// The instance that the line is about.
    pub instance_id: Option<String>,
    /// The volume that the line is about.
    pub volume_id: Option<String>,
    /// What was done, as a stable code, for instance `PROVIDER_CREATE`.
    pub action: String,
    /// `in_progress`: the call may have been sent. `completed`: it succeeded. `failed`: it certainly had no effect.
    /// `unknown`: its response was lost, so it may have had an effect.
    pub status: LogStatus,
    /// The provider.
    pub provider: String,
    /// The zone.
    pub zone: String,
    /// The provider's id of the resource.
    pub resource_id: Option<String>,
    /// The number of the attempt, for creations.
    pub attempt: Option<i64>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The kind of error, as a stable code.
    pub error_kind: Option<String>,
    /// The error message.
    pub error: Option<String>,
    /// Further details.
    pub details: Option<String>,
    /// When the line was written, before the call.
    pub started_at: Time,
    /// When the line was closed, after the call.
    pub ended_at: Option<Time>,
    /// The time between the two, in milliseconds.
    pub duration_ms: Option<i64>,
}

/// The filter and the page of a list of log lines.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListLogs {
    /// The account, by its name or id, in which `instance_id` is looked for; by default in all.
    pub account: Option<String>,
    /// Only lines about this instance: its id, a unique prefix of its id, or its name.
    pub instance_id: Option<String>,
    /// The `next` value of the previous page.
    pub after: Option<String>,
    /// The maximum number of items, from 1 to 500. The default is 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}
