//! Which replicas of a service answer or will answer, and which have failed. Pure.

use super::{Replica, ServiceState};
use crate::status::Status;
use crate::time::Timestamp;

/// Whether a replica answers, or may still do so.
pub(super) fn is_live(r: &Replica) -> bool {
    let by_status = match r.status {
        Status::Provisioning
        | Status::Booting
        | Status::Installing
        | Status::Starting
        | Status::Ready
        | Status::Unavailable => true,
        Status::StartupFailed
        | Status::Stopping
        | Status::Stopped
        | Status::Draining
        | Status::Terminating
        | Status::Terminated
        | Status::ProvisioningFailed => false,
    };
    by_status && !r.ends && r.failure.is_none()
}

/// Whether a replica failed by itself. One whose end was requested did not.
pub(super) fn has_failed(r: &Replica) -> bool {
    !r.ends && (r.failure.is_some() || matches!(r.status, Status::StartupFailed | Status::ProvisioningFailed))
}

/// Whether a replica answers now.
pub(super) fn is_ready(r: &Replica) -> bool {
    r.status == Status::Ready
}

/// How many replicas answer now.
pub(super) fn ready_count(live: &[&Replica]) -> usize {
    live.iter().filter(|r| is_ready(r)).count()
}

/// Remembers since when replicas do not answer, and forgets those that answer again or are gone.
pub(super) fn remember_unavailable(state: &mut ServiceState, live: &[&Replica], now: Timestamp) {
    let before = std::mem::take(&mut state.unavailable);
    let silent = live.iter().filter(|r| r.status == Status::Unavailable);
    state.unavailable = silent.map(|r| (r.id.clone(), before.get(&r.id).copied().unwrap_or(now))).collect();
}
