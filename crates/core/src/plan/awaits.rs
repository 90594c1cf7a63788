//! What a plan waits for, and when to poll for it.
//!
//! The first poll comes after the shortest recorded duration of such a change. The next polls follow at short
//! intervals, later ones with back-off.

use super::Rules;
use crate::paces::Paces;
use crate::time::Timestamp;
use crate::volume_type::VolumeType;

/// A change that the cloud makes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A block volume is created.
    VolumeMade,
    /// A block volume's attachment is complete.
    VolumeAttached,
    /// A server accepts actions again.
    ActionsAllowed,
    /// A server runs.
    ServerRuns,
    /// A server shows its address.
    AddressShown,
    /// A server is stopped.
    ServerStopped,
    /// A server whose removal was requested is gone.
    ServerGone,
    /// A block volume is detached from its server.
    VolumeFree,
    /// A block volume that was deleted is gone.
    VolumeGone,
}

impl Paces {
    fn first_ms(&self, change: Change, gpu: bool) -> i64 {
        match change {
            Change::VolumeMade => self.volume_made_ms,
            Change::VolumeAttached => self.volume_attached_ms,
            Change::ActionsAllowed => self.actions_allowed_ms,
            Change::ServerRuns if gpu => self.gpu_server_runs_ms,
            Change::ServerRuns => self.server_runs_ms,
            Change::AddressShown | Change::VolumeGone => 0,
            Change::ServerStopped => self.server_stopped_ms,
            Change::ServerGone if gpu => self.gpu_server_gone_ms,
            Change::ServerGone => self.server_gone_ms,
            Change::VolumeFree => self.volume_free_ms,
        }
    }
}

/// The resource that shows a change, by the cloud's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// A server.
    Server(String),
    /// A volume, with its kind.
    Volume(String, VolumeType),
    /// A complete listing of block volumes: only an absence from it counts as evidence.
    BlockListing,
}

/// One change that a plan waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Await {
    /// Which resource shows it.
    pub shows: Shows,
    /// The expected change.
    pub change: Change,
    /// The time since which it can have changed.
    pub since: Timestamp,
}

/// After so many poll intervals, the back-off begins.
const CLOSE_POLLS: i64 = 30;

impl Await {
    /// The time of the first poll.
    #[must_use]
    pub fn first(&self, rules: &Rules, gpu: bool) -> Timestamp {
        // The recorded durations assume a poll interval of one second.
        self.since.plus_ms(rules.paces.first_ms(self.change, gpu).saturating_mul(rules.poll_ms) / 1_000)
    }

    /// The time of the next poll, if the last one was just now: after half a poll interval to one and a half at first,
    /// and later after up to five.
    #[must_use]
    pub fn due(&self, rules: &Rules, gpu: bool, now: Timestamp) -> Timestamp {
        let first = self.first(rules, gpu);
        if now < first {
            return first;
        }
        let (poll_ms, passed_ms) = (rules.poll_ms, now.ms_since(self.since));
        // Users wait for a start. For the end of a volume, which costs next to nothing, one poll interval is enough.
        let ends = matches!(self.change, Change::VolumeFree | Change::VolumeGone);
        let least_ms = if ends { poll_ms } else { poll_ms / 2 };
        let pause_ms = if passed_ms <= poll_ms.saturating_mul(CLOSE_POLLS) {
            (passed_ms / 8).clamp(least_ms, poll_ms * 3 / 2)
        } else {
            (passed_ms / 20).clamp(poll_ms, poll_ms.saturating_mul(5))
        };
        now.plus_ms(pause_ms)
    }
}

#[cfg(test)]
mod tests;
