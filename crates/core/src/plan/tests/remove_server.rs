//! What a removal waits for, and what it must never do.

use super::*;
use crate::plan::Plan;
use crate::recorded::{Failure, Retry, Volume};
use crate::time::Timestamp;

pub(super) fn retry(not_before: Timestamp) -> Retry {
    let error = CallError { kind: ErrorKind::Conflict, effect: Effect::None, message: "not now".into() };
    Retry { count: 1, not_before, error, call: None }
}

pub(super) fn ending() -> Stage {
    let mut stage = Stage::ready();
    stage.cancel();
    stage
}

/// The server is proven gone, and its volumes are detached.
pub(super) fn server_gone() -> Stage {
    let mut stage = ending();
    let row = &mut stage.agg.servers[0];
    (row.gone_at, row.delete_sent_at, row.proof) = (Some(stage.now), Some(stage.now), Some(proof_of("s1")));
    stage.servers.clear();
    stage.volumes.retain(|v| v.id != "scr");
    for v in &mut stage.volumes {
        (v.state, v.server_id, v.attachment_settled) = (VolumeState::Available, None, false);
    }
    stage.agg.volumes.retain(|v| v.provider_id.as_deref() != Some("scr"));
    stage
}

#[test]
fn only_volumes_that_were_certainly_never_written_are_deleted_against_their_policy() {
    type Change = fn(&mut Stage);
    let failed: Change = |s| s.agg.instance.failure = Some(Failure { code: "x".into(), message: "y".into() });
    let cases: [(&str, Change, Change, bool); 5] = [
        ("failed before it ran", failed, |_| {}, true),
        ("terminated before it ran", |_| {}, |_| {}, false),
        ("it was ready", failed, |s| s.agg.instance.up_at = Some(T0), false),
        ("a start was intended", failed, |s| s.agg.servers[0].start_intended_at = Some(T0), false),
        ("a start was sent", failed, |s| s.agg.servers[0].start_sent_at = Some(T0), false),
    ];
    for (what, fails, ran, goes) in cases {
        let mut stage = server_gone();
        stage.agg.instance.up_at = None;
        let row = &mut stage.agg.servers[0];
        (row.start_intended_at, row.start_sent_at) = (None, None);
        for v in &mut stage.agg.volumes {
            v.delete_on_terminate = false;
        }
        fails(&mut stage);
        ran(&mut stage);
        let planned = upon(&mut stage);
        for v in &planned.recorded.volumes {
            assert_eq!(v.delete_on_terminate, goes && v.origin == Origin::Ours, "{what}: {}", v.name);
        }
    }
    // What is retained already stays retained.
    let mut stage = server_gone();
    failed(&mut stage);
    stage.agg.instance.up_at = None;
    (stage.agg.servers[0].start_intended_at, stage.agg.servers[0].start_sent_at) = (None, None);
    let row = data(&mut stage);
    (row.delete_on_terminate, row.status) = (false, VolumeStatus::Retained);
    assert!(!data_of(&upon(&mut stage)).delete_on_terminate);
}

pub(super) fn data_of(planned: &Plan) -> &Volume {
    planned.recorded.volumes.iter().find(|v| v.origin == Origin::Ours).unwrap()
}

#[test]
fn an_unconfirmed_creation_is_waited_for_until_its_grace_is_over() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.create(&planned.actions[0]);
    stage.step();
    stage.cancel();
    // The creation of the data volume has no response.
    let made = stage.now;
    let planned = upon(&mut stage);
    let text = "waits to learn whether the creation of the data volume, whose response was lost, took effect";
    let note = planned.recorded.instance.notes.iter().find(|n| n.text == text).unwrap();
    assert_eq!(note.until, Some(made.plus_ms(600_000)));
    data(&mut stage).answered_at = Some(made.plus_ms(7));
    data(&mut stage).create_error = Some(CallError { kind: ErrorKind::Quota, ..lost() });
    stage.now = made;
    let observed = Observed { complete: false, ..stage.observe() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    let note = planned.recorded.instance.notes.iter().find(|n| n.text == text).unwrap();
    assert_eq!(note.until, Some(made.plus_ms(7)), "the cloud said why: one listing is enough");
    // A server's.
    let mut stage = Stage::new();
    stage.step();
    stage.cancel();
    let made = stage.now;
    let planned = upon(&mut stage);
    assert_eq!(planned.recorded.instance.notes[0].until, Some(made.plus_ms(600_000)));
    assert!(notes(&planned).contains("whether the creation of the server"), "{}", notes(&planned));
}

#[test]
fn a_server_that_is_not_shown_is_checked_once_the_observation_is_new_enough() {
    let mut stage = ending();
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let sent = stage.now.plus_ms(1_000);
    for (ms, tells) in [(0, false), (1, true)] {
        stage.agg.servers[0].delete_sent_at = Some(sent);
        let observed = Observed { began_at: sent.plus_ms(ms), ..stage.observe() };
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(does(&planned, "prove server s1 gone: not found by its id"), tells, "{ms}");
        assert_eq!(notes(&planned).contains("to see whether the server is gone"), !tells, "{ms}");
    }
    // No removal was requested: counted from the response to its creation, or from the intent.
    for answered in [true, false] {
        stage.agg.servers[0].delete_sent_at = None;
        stage.agg.servers[0].answered_at = answered.then_some(sent);
        stage.agg.servers[0].intended_at = sent;
        for (ms, tells) in [(0, false), (1, true)] {
            let observed = Observed { began_at: sent.plus_ms(ms), ..stage.observe() };
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            assert_eq!(does(&planned, "prove server s1 gone: not found by its id"), tells, "{answered} {ms}");
        }
    }
    stage.agg.servers[0].retry = Some(retry(stage.now.plus_ms(9_000)));
    stage.now = stage.now.plus_ms(2_000);
    assert!(!does(&upon(&mut stage), "prove server s1 gone: not found by its id"), "it was just refused");
}

#[test]
fn an_accepted_removal_is_requested_again_only_if_it_is_overdue_or_was_refused() {
    let patience = 120_000;
    for (ms, refused, again) in [(patience, false, false), (patience + 1, false, true), (5, true, true)] {
        let mut stage = ending();
        let sent = stage.now;
        stage.agg.servers[0].delete_sent_at = Some(sent);
        stage.agg.servers[0].retry = refused.then(|| retry(sent));
        stage.now = sent.plus_ms(ms);
        let observed = stage.observe();
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(does(&planned, "remove server s1 while it runs"), again, "{ms} {refused}: {}", notes(&planned));
        assert_eq!(notes(&planned).contains("waits for the server, running, to be gone"), !again, "{ms}");
    }
}

#[test]
fn the_removal_of_a_duplicate_needs_no_observation_begun_after_the_request() {
    // For the primary server, the observation must begin after the request.
    for (keep, ms, goes) in [(true, -1, false), (true, 0, true), (false, -1, true)] {
        let mut stage = ending();
        stage.agg.servers[0].is_primary = keep;
        let observed = Observed { began_at: stage.now.plus_ms(ms), ..stage.observe() };
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(does(&planned, "remove server s1 while it runs"), goes, "{keep} {ms}");
    }
}

fn removals() -> [(ServerState, &'static str); 2] {
    [
        (ServerState::Running, "remove server s1 while it runs"),
        (ServerState::Stopped, "remove server s1 while it is stopped"),
    ]
}

#[test]
fn flexible_addresses_are_reported_and_stay() {
    for (state, removal) in removals() {
        let mut stage = ending();
        stage.servers[0].foreign_addresses = vec!["51.15.0.1".into(), "51.15.0.2".into()];
        stage.servers[0].state = state;
        let planned = upon(&mut stage);
        let reported: Vec<_> = planned.events.iter().filter(|e| e.kind.text() == "FOREIGN_ADDRESS_LEFT").collect();
        assert_eq!(reported.len(), 2);
        assert!(reported[1].text.contains("51.15.0.2") && reported[1].resource_id.as_deref() == Some("s1"));
        assert_eq!(actions_of(&planned), [removal]);
    }
}

/// A running server with a local volume that is to be retained.
pub(super) fn keeps_local() -> Stage {
    let mut stage = ending();
    let row = stage.agg.volumes.iter_mut().find(|v| v.volume_type.name == "scratch").unwrap();
    (row.volume_type, row.delete_on_terminate) = (volume_type("l_ssd"), false);
    stage.volumes[1].volume_type = volume_type("l_ssd");
    stage
}

#[test]
fn a_stop_is_waited_for_and_requested_again_if_it_is_overdue() {
    let patience = 120_000;
    for (ms, again) in [(patience - 1, false), (patience, true)] {
        let mut stage = keeps_local();
        let sent = stage.now;
        stage.agg.servers[0].stop_sent_at = Some(sent);
        stage.now = sent.plus_ms(ms);
        let observed = stage.observe();
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(actions_of(&planned) == ["stop server s1"], again, "{ms}: {:?}", actions_of(&planned));
        assert_eq!(notes(&planned).contains("waits for the server to stop"), !again);
    }
    let mut stage = keeps_local();
    stage.servers[0].allowed = vec![Allowed::Terminate];
    let planned = upon(&mut stage);
    assert_eq!(actions_of(&planned), NOTHING);
    assert!(notes(&planned).contains("allows the server to be stopped"), "{}", notes(&planned));
}

#[test]
fn a_local_volume_to_be_retained_delays_the_removal_of_its_server_without_limit() {
    let mut stage = keeps_local();
    stage.servers[0].state = ServerState::Stopped;
    let local = |s: &Stage| s.agg.volumes.iter().position(|v| v.volume_type.name == "l_ssd").unwrap();
    assert_eq!(actions_of(&upon(&mut stage)), ["detach volume scr from server s1"]);
    let (n, sent) = (local(&stage), stage.now);
    stage.agg.volumes[n].detach_sent_at = Some(sent);
    let patience = 120_000;
    for (ms, again) in [(patience, false), (patience + 1, true), (patience * 100, true)] {
        stage.now = sent.plus_ms(ms);
        let observed = stage.observe();
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(
            actions_of(&planned) == ["detach volume scr from server s1"],
            again,
            "{ms}: {:?}",
            actions_of(&planned)
        );
        assert_eq!(notes(&planned).contains("to be detached"), !again, "{ms}: {}", notes(&planned));
    }
    stage.agg.volumes[n].retry = Some(retry(stage.now.plus_ms(5_000)));
    let planned = upon(&mut stage);
    assert_eq!(actions_of(&planned), NOTHING, "refused: the server still waits for it");
    assert!(notes(&planned).contains("detaching a volume was refused"));
}

#[test]
fn a_foreign_block_volume_delays_the_removal_of_its_server_only_for_a_while() {
    let patience = 120_000;
    for (state, removal) in removals() {
        for (ms, holds) in [(patience, true), (patience + 1, false)] {
            let mut stage = ending();
            stage.servers[0].state = state.clone();
            stage.servers[0].attachments.push(attachment(5, "theirs", "sbs_volume"));
            stage.volumes.push(observed_volume("theirs", "photos", "sbs_volume", Some("s1")));
            let asked = stage.now;
            stage.now = asked.plus_ms(ms);
            let observed = stage.observe();
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            let wanted = if holds { "detach third-party volume theirs from server s1" } else { removal };
            assert_eq!(actions_of(&planned), [wanted], "{state:?} {ms}");
        }
    }
}

#[test]
fn a_removal_waits_for_answers_of_the_model_and_never_beyond_the_limit() {
    let limit = crate::worker::WorkerRules::default().drain_ms;
    for (what, status, worker, after_ms, waits) in [
        ("it drains", Status::Draining, true, limit - 1, true),
        ("the limit is over", Status::Draining, true, limit, false),
        ("nothing is left to wait for", Status::Terminating, true, 0, false),
        ("there is no worker", Status::Draining, false, 0, false),
    ] {
        let mut stage = Stage::ready();
        let i = &mut stage.agg.instance;
        (i.desired, i.status) = (Desired::Absent, status);
        i.worker = worker.then(|| Box::new(crate::worker::record::WorkerRecord::expected(T0)));
        // A step begins a second later.
        i.terminate_requested_at = Some(stage.now.plus_ms(1_000 - after_ms));
        let (does, planned) = stage.step();
        assert_eq!(does.is_empty(), waits, "{what}: {does:?}");
        assert_eq!(planned.recorded.instance.status == Status::Draining, waits, "{what}");
        if waits {
            let until = stage.now.plus_ms(limit - after_ms);
            assert_eq!(planned.recorded.instance.wake_at, until, "{what}");
        }
    }
}
