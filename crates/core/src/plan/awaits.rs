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
mod tests {
    use super::*;

    const ALL: [Change; 9] = [
        Change::VolumeMade,
        Change::VolumeAttached,
        Change::ActionsAllowed,
        Change::ServerRuns,
        Change::AddressShown,
        Change::ServerStopped,
        Change::ServerGone,
        Change::VolumeFree,
        Change::VolumeGone,
    ];

    fn rules(poll_ms: i64) -> Rules {
        let paces = Paces {
            volume_made_ms: 1,
            volume_attached_ms: 2,
            actions_allowed_ms: 3,
            server_runs_ms: 4_000,
            gpu_server_runs_ms: 12_000,
            server_stopped_ms: 6,
            server_gone_ms: 7,
            gpu_server_gone_ms: 8,
            volume_free_ms: 9,
        };
        Rules { poll_ms, paces, ..Rules::default() }
    }

    #[test]
    fn each_change_has_its_own_first_poll() {
        let paces = rules(1_000).paces;
        assert_eq!(ALL.map(|c| paces.first_ms(c, false)), [1, 2, 3, 4_000, 0, 6, 7, 9, 0]);
        assert_eq!(ALL.map(|c| paces.first_ms(c, true)), [1, 2, 3, 12_000, 0, 6, 8, 9, 0]);
    }

    #[test]
    fn the_first_poll_waits_then_polls_follow_closely_then_with_back_off() {
        let since = Timestamp(0);
        let wait = Await { shows: Shows::Server("s".into()), change: Change::ServerRuns, since };
        let asked = |poll_ms: i64, gpu: bool, until_ms: i64| {
            let (mut now, mut at) = (since, Vec::new());
            while now.ms_since(since) < until_ms {
                now = wait.due(&rules(poll_ms), gpu, now);
                at.push(now.ms_since(since));
            }
            at
        };
        assert_eq!(asked(1_000, false, 6_000), [4_000, 4_500, 5_062, 5_694, 6_405]);
        assert_eq!(asked(1_000, true, 15_500), [12_000, 13_500, 15_000, 16_500]);
        let late = asked(1_000, false, 200_000);
        let pauses: Vec<i64> = late.windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!((pauses.first(), pauses.last()), (Some(&500), Some(&5_000)));
        let free = Await { change: Change::VolumeFree, ..wait.clone() };
        assert_eq!(free.due(&rules(1_000), false, Timestamp(0).plus_ms(2_000)).ms_since(since), 3_000);
        // With a poll interval ten times shorter, everything is ten times faster.
        assert_eq!(asked(100, true, 1_550), [1_200, 1_350, 1_500, 1_650]);
    }
}
