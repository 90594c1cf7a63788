//! Lines of the action log: opened before a call, closed after it.

use crate::Inner;
use inventiv_core::action::{Action, Creation, Event, VolumeCall};
use inventiv_core::error::{CallError, Effect};
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::LogId;
use inventiv_core::progress::{CallResult, Outcome};
use inventiv_core::recorded::Aggregate;
use inventiv_core::size::gb_ceil;
use inventiv_core::status::LogStatus;
use inventiv_core::time::Timestamp;
use inventiv_store::{ActionLog, LogClose, LogWrite};

impl Inner {
    fn new_log(&self, agg: &Aggregate, kind: EventKind, now: Timestamp) -> ActionLog {
        ActionLog::begun(LogId::new(self.ids.draw()), &agg.instance, kind, now)
    }

    /// The line that is committed before a call.
    pub(crate) fn open(&self, agg: &Aggregate, action: &Action, now: Timestamp) -> ActionLog {
        let volume = action.volume_id().and_then(|id| agg.volume(id));
        let server = action.server_id().and_then(|id| agg.server_by_id(id));
        let resource = volume.map_or_else(|| server.and_then(|s| s.provider_id.clone()), |v| v.provider_id.clone());
        let attempt = match (action.creates(), volume, server) {
            (true, Some(v), _) => Some(v.attempt),
            (true, None, Some(s)) => Some(s.attempt),
            _ => None,
        };
        let removal_method = action.removal_method(self.provider.profile().removal_while_running);
        ActionLog {
            volume_id: action.volume_id().map(ToString::to_string),
            resource_id: resource,
            attempt: attempt.map(i64::from),
            details: removal_method.map(str::to_owned).or_else(|| details(agg, action)),
            ..self.new_log(agg, action.kind(), now)
        }
    }

    /// A closed line for an event, which is not a call.
    pub(crate) fn event(&self, agg: &Aggregate, event: &Event, now: Timestamp) -> LogWrite {
        let status = if event.failed { LogStatus::Failed } else { LogStatus::Completed };
        LogWrite::Open(Box::new(ActionLog {
            volume_id: event.volume_id.as_ref().map(ToString::to_string),
            resource_id: event.resource_id.clone(),
            details: Some(event.text.clone()),
            status,
            started_at: event.lasted_ms.map_or(now, |ms| now.plus_ms(-ms)),
            ended_at: Some(now),
            ..self.new_log(agg, event.kind, now)
        }))
    }
}

fn details(agg: &Aggregate, action: &Action) -> Option<String> {
    match action {
        Action::Create(Creation::Server(_)) => {
            Some(format!("{}, image {}", agg.instance.instance_type, agg.instance.spec.image))
        }
        Action::Volume(_, VolumeCall::Resize(bytes)) => Some(format!("to {} GB", gb_ceil(*bytes))),
        Action::Create(Creation::Volume(row)) => row.size_bytes.map(|b| format!("{} GB", gb_ceil(b))),
        Action::Server(..) | Action::Volume(..) => None,
    }
}

/// Closes a line.
pub(crate) fn close(log: &ActionLog, outcome: &Outcome, request_id: Option<&str>, now: Timestamp) -> LogWrite {
    let error: Option<&CallError> = outcome.as_ref().err();
    let status = match error.map(|e| e.effect) {
        None => LogStatus::Completed,
        Some(Effect::None) => LogStatus::Failed,
        Some(Effect::Unknown) => LogStatus::Unknown,
    };
    let resource = match outcome {
        Ok(CallResult::Server(s)) if log.volume_id.is_none() => Some(s.id.clone()),
        Ok(CallResult::Volume(v)) => Some(v.id.clone()),
        Ok(CallResult::Server(_) | CallResult::Accepted | CallResult::Gone(_) | CallResult::StillThere) | Err(_) => {
            None
        }
    };
    LogWrite::Close(Box::new(LogClose {
        id: log.id.clone(),
        status,
        resource_id: resource,
        request_id: request_id.map(str::to_owned),
        error_kind: error.map(|e| e.kind.text().to_owned()),
        error: error.map(|e| e.message.clone()),
        started_at: log.started_at,
        ended_at: now,
    }))
}
