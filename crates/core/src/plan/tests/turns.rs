//! When an instance is observed again, and what counts as a change.

use super::*;
use crate::plan::Plan;
use crate::recorded::{Aggregate, Retry};
use crate::time::Timestamp;

fn retry(not_before: Timestamp) -> Retry {
    let error = CallError { kind: ErrorKind::Conflict, effect: Effect::None, message: "not now".into() };
    Retry { count: 1, not_before, error, call: None }
}

#[test]
fn a_plan_that_only_waits_changes_nothing_but_the_next_observation() {
    let before = Stage::ready().agg;
    let waits = |change: fn(&mut Plan)| {
        let mut planned =
            Plan { recorded: before.clone(), events: Vec::new(), actions: Vec::new(), awaits: Vec::new() };
        change(&mut planned);
        planned.only_waits(&before)
    };
    assert!(waits(|_| {}));
    assert!(waits(|p| p.recorded.instance.wake_at = Timestamp(1)));
    assert!(!waits(|p| p.recorded.instance.name.push('x')));
    assert!(!waits(|p| p.recorded.servers[0].starts += 1));
    assert!(!waits(|p| p.recorded.volumes[0].attempt += 1));
    assert!(!waits(|p| p.actions.push(Action::Server(ServerId::new(1), ServerCall::Stop))));
    let event = crate::action::Event::told(crate::event_kind::EventKind::InstanceReady, "");
    let mut planned = Plan { recorded: before.clone(), events: vec![event], actions: Vec::new(), awaits: Vec::new() };
    assert!(!planned.only_waits(&before));
    planned.events.clear();
    assert!(planned.only_waits(&before));
}

#[test]
fn a_refused_call_is_retried_exactly_at_its_time() {
    for (early_ms, acts) in [(1, false), (0, true), (-1, true)] {
        let mut stage = Stage::ready();
        stage.cancel();
        stage.agg.servers[0].retry = Some(retry(stage.now.plus_ms(1_000 + early_ms)));
        let (done, planned) = stage.step();
        assert_eq!(!done.is_empty(), acts, "{early_ms}: {done:?}");
        if !acts {
            assert_eq!(planned.recorded.instance.wake_at, stage.now.plus_ms(1), "it is the only thing to wait for");
            assert_eq!(
                notes(&planned),
                "removing the server was refused 1 time(s): not now; waits for the next attempt"
            );
        }
    }
}

#[test]
fn the_earliest_retry_sets_the_next_observation_and_any_other_wait_is_polled() {
    let mut stage = Stage::ready();
    stage.cancel();
    (stage.servers, stage.agg.servers[0].gone_at) = (Vec::new(), Some(stage.now));
    stage.agg.servers[0].proof = Some(proof_of("s1"));
    for v in &mut stage.volumes {
        (v.state, v.server_id) = (VolumeState::Available, None);
    }
    for (n, ms) in [(0, 9_000), (1, 5_000), (2, 7_000)] {
        stage.agg.volumes[n].retry = Some(retry(stage.now.plus_ms(ms)));
    }
    let wake = stage.now.plus_ms(5_000);
    let planned = stage.step().1;
    assert_eq!(planned.recorded.instance.wake_at, wake);
    stage.volumes[2].state = VolumeState::Updating;
    let planned = stage.step().1;
    assert_eq!(planned.recorded.instance.wake_at, stage.now.plus_ms(1_000), "{}", notes(&planned));
}

/// A server that is stopping: a wait without a known end.
fn stopping() -> Stage {
    let mut stage = Stage::ready();
    stage.servers[0].state = ServerState::Stopping;
    stage.step();
    stage
}

#[test]
fn an_instance_without_changes_is_observed_less_often() {
    let since = |stage: &mut Stage, ms: i64| {
        let marks = stage.agg.clone();
        stage.now = T0.plus_ms(20_000 + ms);
        stage.agg.instance.created_at = T0.plus_ms(20_000);
        let observed = stage.observe();
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        stage.agg = marks;
        planned.recorded.instance.wake_at.ms_since(stage.now)
    };
    let mut stage = stopping();
    assert_eq!(since(&mut stage, 300_000), 1_000);
    assert_eq!(since(&mut stage, 300_001), 10_000);
}

#[test]
fn every_recorded_time_counts_as_a_change() {
    type Mark = fn(&mut Aggregate, Option<Timestamp>);
    let marks: [(&str, Mark); 14] = [
        ("up_at", |a, t| a.instance.up_at = t),
        ("terminate_requested_at", |a, t| a.instance.terminate_requested_at = t),
        ("created_at", |a, t| a.instance.created_at = t.unwrap_or(T0)),
        ("intended_at", |a, t| a.servers[0].intended_at = t.unwrap_or(T0)),
        ("answered_at", |a, t| a.servers[0].answered_at = t),
        ("start_sent_at", |a, t| a.servers[0].start_sent_at = t),
        ("stop_sent_at", |a, t| a.servers[0].stop_sent_at = t),
        ("delete_sent_at", |a, t| a.servers[0].delete_sent_at = t),
        ("volume created_at", |a, t| a.volumes[2].created_at = t.unwrap_or(T0)),
        ("attached_at", |a, t| a.volumes[2].attached_at = t),
        ("detach_sent_at", |a, t| a.volumes[2].detach_sent_at = t),
        ("volume delete_sent_at", |a, t| a.volumes[2].delete_sent_at = t),
        ("deleted_at", |a, t| a.volumes[2].deleted_at = t),
        ("changed_at", |a, t| a.volumes[2].changed_at = t),
    ];
    let mut stage = stopping();
    stage.now = T0.plus_ms(3_600_000);
    let (observed, before) = (stage.observe(), stage.agg.clone());
    let pause = |stage: &mut Stage| {
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        planned.recorded.instance.wake_at.ms_since(stage.now)
    };
    assert_eq!(pause(&mut stage), 10_000);
    for (what, mark) in marks {
        mark(&mut stage.agg, Some(T0.plus_ms(3_590_000)));
        assert_eq!(pause(&mut stage), 1_000, "{what}");
        stage.agg = before.clone();
    }
    // Only the end of the server, while another one is created.
    stage.agg.servers[0].gone_at = Some(T0.plus_ms(3_590_000));
    let observed = Observed { servers: Vec::new(), ..observed.clone() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    // It waits for the block volumes: an eighth of the ten seconds since the server's end.
    assert_eq!(planned.recorded.instance.wake_at.ms_since(stage.now), 1_250, "gone_at");
}

#[test]
fn a_ready_instance_is_settled_and_a_waiting_one_is_not() {
    let mut stage = Stage::ready();
    let planned = stage.step().1;
    assert!(planned.recorded.instance.settled);
    assert_eq!(planned.recorded.instance.wake_at, stage.agg.instance.wake_at, "not observed before the next resync");
    let kept = stage.agg.instance.wake_at;
    stage.now = stage.now.plus_ms(20_000);
    assert_eq!(stage.step().1.recorded.instance.wake_at, kept);
    stage.servers[0].state = ServerState::Stopping;
    let planned = stage.step().1;
    assert_eq!((planned.recorded.instance.status, planned.recorded.instance.settled), (Status::Ready, false));
    // An action alone, without a note, is something to wait for, too.
    let mut stage = Stage::new();
    let planned = stage.step().1;
    assert!(!planned.recorded.instance.settled && planned.recorded.instance.notes.is_empty());
}
