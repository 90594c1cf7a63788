//! The status of a service, and the sentence that explains it. Pure.

use super::failures::Block;
use super::live::ready_count;
use super::{Replica, Service, ServiceStatus};
use crate::status::Status;
use crate::time::Timestamp;

/// What the status of a service follows from, after the plan was carried out.
pub(super) struct Outcome<'a> {
    /// How many replicas are needed.
    pub(super) needed: usize,
    /// The live replicas, without those that are created now.
    pub(super) live: &'a [&'a Replica],
    /// Why a replica that is missing is not created.
    pub(super) block: Option<Block>,
    /// How long a replica may not answer, in milliseconds.
    pub(super) replace_after_ms: i64,
}

/// Sets the status and the reason.
pub(super) fn summarize(service: &mut Service, outcome: &Outcome<'_>) {
    let (needed, ready) = (outcome.needed, ready_count(outcome.live));
    let old = outcome.live.iter().filter(|r| r.revision < service.revision).count();
    let blocked = outcome.block.map(|b| b.sentence(service));
    let is_stopped = outcome.block == Some(Block::Failures);
    (service.status, service.reason) = if blocked.is_some() && (ready < needed || is_stopped) {
        (ServiceStatus::Degraded, blocked)
    } else if needed == 0 {
        (ServiceStatus::Idle, None)
    } else if old > 0 {
        let old = if old == 1 { "1 replica still has".to_owned() } else { format!("{old} replicas still have") };
        let why = blocked.map_or_else(String::new, |b| format!("; {b}"));
        (ServiceStatus::Updating, Some(format!("{old} the settings from before the change{why}")))
    } else if ready >= needed {
        (ServiceStatus::Ready, None)
    } else {
        (ServiceStatus::Starting, Some(starting(service, outcome, ready)))
    };
}

fn starting(service: &Service, outcome: &Outcome<'_>, ready: usize) -> String {
    let is = if ready == 1 { "is" } else { "are" };
    let text = match outcome.needed {
        1 => "the replica is not ready yet".to_owned(),
        needed => format!("{ready} of {needed} replicas {is} ready"),
    };
    let silent = outcome.live.iter().filter(|r| r.status == Status::Unavailable);
    let since: Vec<Timestamp> = silent.filter_map(|r| service.state.unavailable.get(&r.id).copied()).collect();
    match since.iter().min().map(|t| t.plus_ms(outcome.replace_after_ms)) {
        None => text,
        Some(at) if since.len() == 1 => {
            format!("{text}; 1 does not answer, and is replaced at {at} unless it recovers")
        }
        Some(at) => {
            format!("{text}; {} do not answer, and are replaced from {at} on unless they recover", since.len())
        }
    }
}
