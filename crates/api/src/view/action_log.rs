//! Lines of the action log.

use inventiv_types::{ActionLog, Time};

pub(crate) fn action_log(l: inventiv_store::ActionLog) -> ActionLog {
    ActionLog {
        id: l.id.to_string(),
        instance_id: l.instance_id,
        volume_id: l.volume_id,
        action: l.action,
        status: l.status,
        provider: l.provider,
        zone: l.zone,
        resource_id: l.resource_id,
        attempt: l.attempt,
        request_id: l.request_id,
        error_kind: l.error_kind,
        error: l.error,
        details: l.details,
        started_at: Time(l.started_at),
        ended_at: l.ended_at.map(Time),
        duration_ms: l.ended_at.map(|t| t.ms_since(l.started_at)),
    }
}
