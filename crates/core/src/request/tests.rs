//! Each request against each state of an instance.

use super::{Refusal, Request};
use crate::plan::tests::{T0, instance};
use crate::recorded::{Failure, Instance};
use crate::status::{Desired, Status};

fn with(status: Status, desired: Desired, was_ready: bool) -> Instance {
    let up_at = was_ready.then_some(T0);
    Instance { status, desired, up_at, settled: true, wake_at: T0.plus_ms(9_000), ..instance().instance }
}

#[test]
fn a_request_changes_the_desired_state_once_or_is_refused_and_changes_nothing() {
    use Request::{Reboot, Start, Stop, Terminate};
    let booting = || with(Status::Booting, Desired::Present, false);
    let ready = || with(Status::Ready, Desired::Present, true);
    let stopping = || with(Status::Stopping, Desired::Stopped, true);
    let stopped = || with(Status::Stopped, Desired::Stopped, true);
    let starting_again = || with(Status::Booting, Desired::Present, true);
    let ending = || with(Status::Terminating, Desired::Absent, true);
    let ended = || with(Status::Terminated, Desired::Absent, true);
    let failed = || {
        let failure = Some(Failure { code: "server_disappeared".into(), message: "it is gone".into() });
        Instance { failure, ..ready() }
    };
    let failed_and_gone = || with(Status::ProvisioningFailed, Desired::Present, false);
    let (changes, same) = (Ok(true), Ok(false));
    let (late, never, not_ready) = (Err(Refusal::Ending), Err(Refusal::NeverReady), Err(Refusal::NotReady));
    let table = [
        (booting(), [(Terminate, changes), (Stop, never), (Start, never), (Reboot, never)]),
        (ready(), [(Terminate, changes), (Stop, changes), (Start, same), (Reboot, changes)]),
        (stopping(), [(Terminate, changes), (Stop, same), (Start, changes), (Reboot, not_ready)]),
        (stopped(), [(Terminate, changes), (Stop, same), (Start, changes), (Reboot, not_ready)]),
        (starting_again(), [(Terminate, changes), (Stop, changes), (Start, same), (Reboot, not_ready)]),
        (ending(), [(Terminate, same), (Stop, late), (Start, late), (Reboot, late)]),
        (ended(), [(Terminate, same), (Stop, late), (Start, late), (Reboot, late)]),
        (failed(), [(Terminate, changes), (Stop, late), (Start, late), (Reboot, late)]),
        (failed_and_gone(), [(Terminate, same), (Stop, late), (Start, late), (Reboot, late)]),
    ];
    for (before, requests) in table {
        for (request, wanted) in requests {
            let (mut after, now) = (before.clone(), T0.plus_ms(5));
            assert_eq!(request.apply(&mut after, now), wanted, "{request:?} of {}", before.status);
            let expected = match (request, wanted) {
                (_, Ok(false) | Err(_)) => before.clone(),
                (Terminate, Ok(true)) => Instance {
                    desired: Desired::Absent,
                    status: Status::Terminating,
                    terminate_requested_at: Some(now),
                    settled: false,
                    wake_at: now,
                    ..before.clone()
                },
                (Stop, Ok(true)) => {
                    Instance { desired: Desired::Stopped, settled: false, wake_at: now, ..before.clone() }
                }
                (Start | Reboot, Ok(true)) => Instance {
                    desired: Desired::Present,
                    reboot_requested_at: (request == Reboot).then_some(now),
                    settled: false,
                    wake_at: now,
                    ..before.clone()
                },
            };
            assert_eq!(after, expected, "{request:?} of {}", before.status);
        }
    }
}

#[test]
fn the_time_of_a_failure_stays_the_time_of_the_end() {
    let failed_at = T0.plus_ms(1);
    let mut failed =
        Instance { terminate_requested_at: Some(failed_at), ..with(Status::Ready, Desired::Present, true) };
    assert_eq!(Request::Terminate.apply(&mut failed, T0.plus_ms(9)), Ok(true));
    assert_eq!(failed.terminate_requested_at, Some(failed_at));
}

#[test]
fn a_replica_of_a_service_is_not_stopped() {
    let mut replica = with(Status::Ready, Desired::Present, true);
    let service_id = crate::id::ServiceId::new(1);
    replica.spec.replica_of = Some(crate::service::ReplicaOf { service_id, revision: 1 });
    assert_eq!(Request::Stop.apply(&mut replica, T0), Err(Refusal::OfService));
    assert_eq!(Request::Reboot.apply(&mut replica, T0), Ok(true));
    assert_eq!(Request::Terminate.apply(&mut replica, T0), Ok(true));
}
