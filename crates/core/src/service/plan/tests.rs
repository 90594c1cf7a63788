//! The rules of the planner as tables: facts on the left, actions and status on the right.

mod failing;
mod properties;
mod scaling;
mod simulation;
mod stage;
mod updating;

use super::{ServicePlan, ServiceRules, plan};
use crate::id::{InstanceId, ServiceId};
use crate::recorded::Failure;
use crate::service::{
    Avoided, Candidate, LOAD_DELAY_MS, Load, Replica, Service, ServiceSpec, ServiceState, ServiceStatus,
};
use crate::status::{Desired, Status};
use crate::time::Timestamp;
use stage::*;

#[test]
fn a_service_that_is_to_end_ends_every_replica_and_then_has_ended() {
    let mut stage = Stage::with(1, 3);
    stage.load(30);
    stage.ready(2);
    let kept = stage.add(Status::StartupFailed);
    stage.at(kept).is_kept = true;
    stage.at(kept).failure = failure("no_gpu_memory");
    let stopped = stage.add(Status::Stopped);
    let gone = stage.add(Status::Terminated);
    let ends = stage.add(Status::Draining);
    stage.at(ends).ends = true;
    assert_eq!((kept, stopped, gone), (3, 4, 5));
    stage.service.desired = Desired::Absent;
    assert_eq!(stage.acts(), "end 1 2 3 4");
    assert_eq!(stage.status(), "deleting: 5 replicas have not ended yet");
    assert_eq!(stage.acts(), "");
    for r in stage.replicas.iter_mut().skip(1) {
        r.status = Status::Terminated;
    }
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.status(), "deleting: 1 replica has not ended yet");
    assert_eq!(stage.service.deleted_at, None);
    stage.at(1).status = Status::ProvisioningFailed;
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.status(), "deleted");
    let ended = stage.service.clone();
    assert_eq!(ended.deleted_at, Some(stage.now));
    stage.pass(HOUR);
    assert_eq!((stage.acts().as_str(), &stage.service), ("", &ended));
    stage.add(Status::Booting);
    assert_eq!((stage.acts().as_str(), &stage.service), ("end 7", &ended), "a replica that was created meanwhile");
}

#[test]
fn a_service_whose_time_is_over_ends_like_one_that_was_deleted() {
    let mut stage = Stage::with(1, 3);
    stage.service.expires_at = Some(stage.now.plus_ms(HOUR));
    stage.load(30);
    stage.ready(3);
    stage.pass(HOUR - 1);
    assert_eq!((stage.acts().as_str(), stage.service.desired), ("", Desired::Present));
    stage.pass(1);
    assert_eq!((stage.acts().as_str(), stage.service.desired), ("end 1 2 3", Desired::Absent));
    assert_eq!(stage.status(), "deleting: 3 replicas have not ended yet");
    assert_eq!(stage.service.updated_at, stage.now);
}

#[test]
fn a_service_without_replicas_ends_at_once() {
    let mut stage = Stage::with(2, 3);
    stage.service.desired = Desired::Absent;
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.status(), "deleted");
}

#[test]
fn a_replica_counts_by_its_status_its_end_and_its_failure() {
    let counts = [
        (Status::Provisioning, true),
        (Status::Booting, true),
        (Status::Installing, true),
        (Status::Starting, true),
        (Status::Ready, true),
        (Status::Unavailable, true),
        (Status::StartupFailed, false),
        (Status::Stopping, false),
        (Status::Stopped, false),
        (Status::Draining, false),
        (Status::Terminating, false),
        (Status::Terminated, false),
    ];
    for (status, is_live) in counts {
        for (ends, fails) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut stage = Stage::with(1, 1);
            let n = stage.add(status);
            // With a time of readiness, the failure makes no pause.
            let failed = status == Status::StartupFailed;
            stage.at(n).ready_at = (!failed).then_some(stage.now);
            stage.at(n).ends = ends;
            stage.at(n).failure = if fails { failure("server_disappeared") } else { None };
            let wanted = match (is_live && !ends && !fails, failed && !ends) {
                (true, _) => "",
                (_, true) => "end 1",
                (false, false) => "create a/big",
            };
            assert_eq!(stage.acts(), wanted, "{status}, ends: {ends}, fails: {fails}");
        }
    }
}

#[test]
fn the_status_says_how_many_replicas_answer() {
    // Least, most, requests, ready, starting, unavailable.
    let cases = [
        ((0, 2, 0, 0, 0, 0), "idle"),
        ((1, 2, 0, 1, 0, 0), "ready"),
        ((1, 2, 15, 2, 0, 0), "ready"),
        ((1, 2, 0, 0, 1, 0), "starting: the replica is not ready yet"),
        ((2, 2, 0, 0, 2, 0), "starting: 0 of 2 replicas are ready"),
        ((2, 2, 0, 1, 1, 0), "starting: 1 of 2 replicas is ready"),
        ((3, 3, 0, 2, 1, 0), "starting: 2 of 3 replicas are ready"),
        (
            (2, 2, 0, 1, 0, 1),
            "starting: 1 of 2 replicas is ready; 1 does not answer, and is replaced at 2026-07-30T00:03:00.000Z unless \
             it recovers",
        ),
        (
            (3, 3, 0, 1, 0, 2),
            "starting: 1 of 3 replicas is ready; 2 do not answer, and are replaced from 2026-07-30T00:03:00.000Z on \
             unless they recover",
        ),
    ];
    for ((min, max, requests, ready, starting, unavailable), wanted) in cases {
        let mut stage = Stage::with(min, max);
        stage.load(requests);
        stage.ready(ready);
        for _ in 0..starting {
            stage.add(Status::Starting);
        }
        for _ in 0..unavailable {
            stage.add(Status::Unavailable);
        }
        assert_eq!(stage.acts(), "", "{wanted}");
        assert_eq!(stage.status(), wanted);
    }
}

#[test]
fn a_service_without_candidates_says_so() {
    let mut stage = Stage::with(1, 1);
    stage.service.spec.candidates.clear();
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.status(), "degraded: there is no zone and server type to create a replica in; add one");
}
