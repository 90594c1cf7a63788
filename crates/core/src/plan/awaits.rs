//! What a plan waits for, and when to poll for it.
//!
//! The first poll comes after the shortest recorded duration of such a change. The next polls come closer together the
//! nearer the usual duration is, if it is known, and at short intervals if it is not. Later ones come with back-off.

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

impl Paces {
    /// The usual duration of a change, if it is known and much longer than the shortest.
    fn usual_ms(&self, change: Change, gpu: bool) -> Option<i64> {
        match change {
            Change::ServerRuns if gpu => Some(self.gpu_server_usually_runs_ms),
            Change::ServerRuns => Some(self.server_usually_runs_ms),
            Change::VolumeMade
            | Change::VolumeAttached
            | Change::ActionsAllowed
            | Change::AddressShown
            | Change::ServerStopped
            | Change::ServerGone
            | Change::VolumeFree
            | Change::VolumeGone => None,
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

    /// The time of the next poll, if the last one was just now. Before the usual duration: after half of what is left of
    /// it, two poll intervals at most. After it: after half a poll interval to one and a half, and later after up to
    /// five.
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
        let usual_ms = rules.paces.usual_ms(self.change, gpu).map(|ms| ms.saturating_mul(poll_ms) / 1_000);
        // How far it is from when the change is likely.
        let off_ms = usual_ms.map_or(passed_ms / 8, |usual| (usual - passed_ms).abs() / 2);
        let pause_ms = if usual_ms.is_some_and(|usual| passed_ms < usual) {
            off_ms.clamp(least_ms, poll_ms * 2)
        } else if passed_ms <= poll_ms.saturating_mul(CLOSE_POLLS) {
            off_ms.clamp(least_ms, poll_ms * 3 / 2)
        } else {
            (passed_ms / 20).clamp(poll_ms, poll_ms.saturating_mul(5))
        };
        now.plus_ms(pause_ms)
    }
}

#[cfg(test)]
mod tests;
