//! Tests of `awaits.rs`.

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
        server_usually_runs_ms: 6_000,
        gpu_server_usually_runs_ms: 15_000,
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
fn the_first_poll_waits_then_polls_are_closest_when_the_change_is_likely_then_with_back_off() {
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
    // Usually, a server runs after 6 s, one with GPUs after 15 s: polls are closest then.
    assert_eq!(asked(1_000, false, 8_500), [4_000, 5_000, 5_500, 6_000, 6_500, 7_000, 7_500, 8_250, 9_375]);
    assert_eq!(asked(1_000, true, 15_500), [12_000, 13_500, 14_250, 14_750, 15_250, 15_750]);
    let made = Await { change: Change::VolumeMade, ..wait.clone() };
    let pause = |passed_ms| made.due(&rules(1_000), false, since.plus_ms(passed_ms)).ms_since(since) - passed_ms;
    assert_eq!([1_000, 6_000, 12_000].map(pause), [500, 750, 1_500], "its usual duration is not known");
    let late = asked(1_000, false, 200_000);
    let pauses: Vec<i64> = late.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!((pauses.first(), pauses.last()), (Some(&1_000), Some(&5_000)));
    let free = Await { change: Change::VolumeFree, ..wait.clone() };
    assert_eq!(free.due(&rules(1_000), false, Timestamp(0).plus_ms(2_000)).ms_since(since), 3_000);
    // With a poll interval ten times shorter, everything is ten times faster.
    assert_eq!(asked(100, true, 1_550), [1_200, 1_350, 1_425, 1_475, 1_525, 1_575]);
}
