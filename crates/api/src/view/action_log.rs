//! Lines of the action log.

use super::{opt_time, time};
use inventiv_store::ActionLog;
use serde::Serialize;
use utoipa::ToSchema;

/// One line of the action log: a provider call, a request, or an event that is worth reporting.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ActionLogView {
    /// The unique id; it begins with `log-`.
    pub(crate) id: String,
    /// The instance that the line is about.
    pub(crate) instance_id: Option<String>,
    /// The volume that the line is about.
    pub(crate) volume_id: Option<String>,
    /// What was done, as a stable code, for instance `PROVIDER_CREATE`.
    pub(crate) action: String,
    /// `in_progress`: the call may have been sent. `completed`: it succeeded. `failed`: it certainly had no effect.
    /// `unknown`: its response was lost, so it may have had an effect.
    pub(crate) status: String,
    /// The provider.
    pub(crate) provider: String,
    /// The zone.
    pub(crate) zone: String,
    /// The provider's id of the resource.
    pub(crate) resource_id: Option<String>,
    /// The number of the attempt, for creations.
    pub(crate) attempt: Option<i64>,
    /// The provider's id of the request.
    pub(crate) request_id: Option<String>,
    /// The kind of error, as a stable code.
    pub(crate) error_kind: Option<String>,
    /// The error message.
    pub(crate) error: Option<String>,
    /// Further details.
    pub(crate) details: Option<String>,
    /// When the line was written, before the call.
    pub(crate) started_at: String,
    /// When the line was closed, after the call.
    pub(crate) ended_at: Option<String>,
    /// The time between the two, in milliseconds.
    pub(crate) duration_ms: Option<i64>,
}

impl ActionLogView {
    pub(crate) fn of(l: ActionLog) -> Self {
        Self {
            id: l.id.to_string(),
            instance_id: l.instance_id,
            volume_id: l.volume_id,
            action: l.action,
            status: l.status.text().to_owned(),
            provider: l.provider,
            zone: l.zone,
            resource_id: l.resource_id,
            attempt: l.attempt,
            request_id: l.request_id,
            error_kind: l.error_kind,
            error: l.error,
            details: l.details,
            started_at: time(l.started_at),
            ended_at: opt_time(l.ended_at),
            duration_ms: l.ended_at.map(|t| t.ms_since(l.started_at)),
        }
    }
}
