//! The lines of the action log for requests of users.

use crate::App;
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::LogId;
use inventiv_core::recorded::Instance;
use inventiv_core::status::LogStatus;
use inventiv_core::time::Timestamp;
use inventiv_store::{ActionLog, LogWrite};

/// The line for a request about an instance, or about one of its volumes.
pub(crate) fn log_with(app: &App, i: &Instance, kind: EventKind, details: String, now: Timestamp) -> LogWrite {
    LogWrite::Open(Box::new(ActionLog {
        details: Some(details),
        status: LogStatus::Completed,
        ended_at: Some(now),
        ..ActionLog::begun(LogId::new(app.draw()), i, kind, now)
    }))
}

/// The line of a request, about a volume if one is named.
pub(crate) fn log(app: &App, i: &Instance, kind: EventKind, volume_id: Option<&str>, now: Timestamp) -> LogWrite {
    LogWrite::Open(Box::new(ActionLog {
        volume_id: volume_id.map(str::to_owned),
        status: LogStatus::Completed,
        ended_at: Some(now),
        ..ActionLog::begun(LogId::new(app.draw()), i, kind, now)
    }))
}
