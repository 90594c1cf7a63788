//! Tests of `idle.rs`.

use super::*;
use crate::engine::Serving;
use crate::id::ServiceId;
use crate::plan::tests::instance;
use crate::recorded::Aggregate;
use crate::service::ReplicaOf;
use crate::status::Desired;
use crate::worker::record::WorkerRecord;
use crate::worker::report::{EngineFacts, Phase};

const MIN: i64 = 60_000;
const READY: Timestamp = Timestamp(1_000_000_000_000);

fn ready(idle_minutes: Option<i64>) -> Aggregate {
    let mut agg = instance();
    let i = &mut agg.instance;
    i.spec.serving = Some(Serving::default());
    i.spec.idle_ms = idle_minutes.map(|m| m * MIN);
    (i.status, i.ready_at, i.up_at) = (Status::Ready, Some(READY), Some(READY));
    i.worker = Some(Box::new(WorkerRecord::expected(READY)));
    agg
}

fn report(idle_ms: Option<i64>, in_flight: u32) -> Report {
    Report {
        version: "0.1.0".into(),
        run_id: "a".into(),
        sequence: 1,
        desired_id: Some("d".into()),
        phase: Phase::Serving,
        progress: None,
        steps: Vec::new(),
        failure: None,
        engine: EngineFacts::default(),
        probe: None,
        in_flight,
        idle_ms,
        draining: false,
        gpus: Vec::new(),
        disks: Vec::new(),
        memory_bytes: None,
        memory_free_bytes: None,
    }
}

/// The kinds of events, so many minutes after it was ready.
fn at(agg: &mut Aggregate, minutes: i64, report: &Report) -> Vec<EventKind> {
    let mut events = Vec::new();
    end_if_idle(&mut agg.instance, report, READY.plus_ms(minutes * MIN), &mut events);
    events.iter().map(|e| e.kind).collect()
}

#[test]
fn an_instance_ends_when_nobody_has_asked_for_as_long_as_it_says() {
    let idle = |minutes: i64| report(Some(minutes * MIN), 0);
    let mut agg = ready(Some(30));
    assert_eq!(at(&mut agg, 500, &idle(19)), []);
    assert_eq!(at(&mut agg, 501, &idle(20)), [EventKind::InstanceExpiresSoon], "ten minutes before");
    let ends_at = Some(READY.plus_ms(511 * MIN));
    assert_eq!(agg.instance.idle_ends_at, ends_at);
    assert_eq!(at(&mut agg, 502, &idle(21)), [], "told once");
    assert_eq!(agg.instance.idle_ends_at, ends_at, "it does not move");
    assert_eq!(at(&mut agg, 503, &idle(0)), [], "somebody asked");
    assert_eq!(agg.instance.idle_ends_at, None);
    assert_eq!(at(&mut agg, 523, &idle(20)), [EventKind::InstanceExpiresSoon], "told again");
    assert_eq!(agg.instance.desired, Desired::Present);
    assert_eq!(at(&mut agg, 533, &idle(30)), [EventKind::RequestTerminate]);
    assert_eq!((agg.instance.desired, agg.instance.status), (Desired::Absent, Status::Draining));
    assert_eq!(agg.instance.idle_ends_at, agg.instance.terminate_requested_at);
    assert_eq!(at(&mut agg, 534, &idle(31)), [], "once");
}

#[test]
fn nothing_ends_that_is_not_known_to_be_idle() {
    let long = 100 * MIN;
    let mut replica = ready(Some(30));
    let service_id = ServiceId::new(1);
    replica.instance.spec.replica_of = Some(ReplicaOf { service_id, revision: 1 });
    let mut unavailable = ready(Some(30));
    unavailable.instance.status = Status::Unavailable;
    let cases = [
        ("it has no limit", ready(None), report(Some(long), 0), 200),
        ("the worker does not say", ready(Some(30)), report(None, 0), 200),
        ("a request is being answered", ready(Some(30)), report(Some(long), 1), 200),
        ("it was not ready before", ready(Some(30)), report(Some(long), 0), 10),
        ("a service decides about it", replica, report(Some(long), 0), 200),
        ("nobody can ask it", unavailable, report(Some(long), 0), 200),
    ];
    for (why, mut agg, report, minutes) in cases {
        assert_eq!((at(&mut agg, minutes, &report), agg.instance.desired), (Vec::new(), Desired::Present), "{why}");
    }
    // A short limit is told halfway.
    let mut short = ready(Some(1));
    assert_eq!(at(&mut short, 500, &report(Some(29_000), 0)), []);
    assert_eq!(at(&mut short, 500, &report(Some(30_000), 0)), [EventKind::InstanceExpiresSoon]);
}
