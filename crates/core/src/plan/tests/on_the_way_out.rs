//! What a removal waits for, and what it must never do.

use super::*;
use crate::observed::ObservedServer;
use crate::plan::Plan;
use crate::recorded::{Failure, Retry, Volume};
use crate::time::Timestamp;

fn words(planned: &Plan) -> Vec<&'static str> {
    planned.actions.iter().map(|a| a.kind().text()).collect()
}

fn retry(not_before: Timestamp) -> Retry {
    let error = CallError { kind: ErrorKind::Conflict, effect: Effect::None, message: "not now".into() };
    Retry { count: 1, not_before, error }
}

fn ending() -> Stage {
    let mut stage = Stage::ready();
    stage.cancel();
    stage
}

/// The server is proven gone, and its volumes are detached.
fn server_gone() -> Stage {
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
        ("it was ready", failed, |s| s.agg.instance.ready_at = Some(T0), false),
        ("a start was intended", failed, |s| s.agg.servers[0].start_intended_at = Some(T0), false),
        ("a start was sent", failed, |s| s.agg.servers[0].start_sent_at = Some(T0), false),
    ];
    for (what, fails, ran, goes) in cases {
        let mut stage = server_gone();
        stage.agg.instance.ready_at = None;
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
    stage.agg.instance.ready_at = None;
    (stage.agg.servers[0].start_intended_at, stage.agg.servers[0].start_sent_at) = (None, None);
    let row = data(&mut stage);
    (row.delete_on_terminate, row.status) = (false, VolumeStatus::Retained);
    assert!(!data_of(&upon(&mut stage)).delete_on_terminate);
}

fn data_of(planned: &Plan) -> &Volume {
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
        assert_eq!(words(&planned).contains(&"PROVIDER_PROVE_SERVER_GONE"), tells, "{ms}");
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
            assert_eq!(words(&planned).contains(&"PROVIDER_PROVE_SERVER_GONE"), tells, "{answered} {ms}");
        }
    }
    stage.agg.servers[0].retry = Some(retry(stage.now.plus_ms(9_000)));
    stage.now = stage.now.plus_ms(2_000);
    assert!(!words(&upon(&mut stage)).contains(&"PROVIDER_PROVE_SERVER_GONE"), "it was just refused");
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
        assert_eq!(words(&planned).contains(&"PROVIDER_DELETE"), again, "{ms} {refused}: {}", notes(&planned));
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
        assert_eq!(words(&planned).contains(&"PROVIDER_DELETE"), goes, "{keep} {ms}");
    }
}

#[test]
fn flexible_addresses_are_reported_and_stay() {
    for state in [ServerState::Running, ServerState::Stopped] {
        let mut stage = ending();
        stage.servers[0].foreign_addresses = vec!["51.15.0.1".into(), "51.15.0.2".into()];
        stage.servers[0].state = state;
        let planned = upon(&mut stage);
        let reported: Vec<_> = planned.events.iter().filter(|e| e.kind.text() == "FOREIGN_ADDRESS_LEFT").collect();
        assert_eq!(reported.len(), 2);
        assert!(reported[1].text.contains("51.15.0.2") && reported[1].resource_id.as_deref() == Some("s1"));
        assert_eq!(words(&planned), ["PROVIDER_DELETE"]);
    }
}

/// A running server with a local volume that is to be retained.
fn keeps_local() -> Stage {
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
        assert_eq!(words(&planned) == ["PROVIDER_STOP"], again, "{ms}: {:?}", words(&planned));
        assert_eq!(notes(&planned).contains("waits for the server to stop"), !again);
    }
    let mut stage = keeps_local();
    stage.servers[0].allowed = vec![Allowed::Terminate];
    let planned = upon(&mut stage);
    assert_eq!(words(&planned), Vec::<&str>::new());
    assert!(notes(&planned).contains("allows the server to be stopped"), "{}", notes(&planned));
}

#[test]
fn a_local_volume_to_be_retained_delays_the_removal_of_its_server_without_limit() {
    let mut stage = keeps_local();
    stage.servers[0].state = ServerState::Stopped;
    let local = |s: &Stage| s.agg.volumes.iter().position(|v| v.volume_type.name == "l_ssd").unwrap();
    assert_eq!(words(&upon(&mut stage)), ["PROVIDER_DETACH_VOLUME"]);
    let (n, sent) = (local(&stage), stage.now);
    stage.agg.volumes[n].detach_sent_at = Some(sent);
    let patience = 120_000;
    for (ms, again) in [(patience, false), (patience + 1, true), (patience * 100, true)] {
        stage.now = sent.plus_ms(ms);
        let observed = stage.observe();
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(words(&planned) == ["PROVIDER_DETACH_VOLUME"], again, "{ms}: {:?}", words(&planned));
        assert_eq!(notes(&planned).contains("to be detached"), !again, "{ms}: {}", notes(&planned));
    }
    stage.agg.volumes[n].retry = Some(retry(stage.now.plus_ms(5_000)));
    let planned = upon(&mut stage);
    assert_eq!(words(&planned), Vec::<&str>::new(), "refused: the server still waits for it");
    assert!(notes(&planned).contains("detaching a volume was refused"));
}

#[test]
fn a_foreign_block_volume_delays_the_removal_of_its_server_only_for_a_while() {
    let patience = 120_000;
    for state in [ServerState::Running, ServerState::Stopped] {
        for (ms, holds) in [(patience, true), (patience + 1, false)] {
            let mut stage = ending();
            stage.servers[0].state = state.clone();
            stage.servers[0].attachments.push(attachment(5, "theirs", "sbs_volume"));
            stage.volumes.push(observed_volume("theirs", "photos", "sbs_volume", Some("s1")));
            let asked = stage.now;
            stage.now = asked.plus_ms(ms);
            let observed = stage.observe();
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            let wanted = if holds { "PROVIDER_DETACH_VOLUME" } else { "PROVIDER_DELETE" };
            assert_eq!(words(&planned), [wanted], "{state:?} {ms}");
        }
    }
}

#[test]
fn a_volume_waits_for_its_server() {
    // The server exists and shows it: nothing is done, whatever the volume itself shows.
    let mut stage = ending();
    stage.volumes[2].state = VolumeState::Available;
    stage.volumes[2].server_id = None;
    assert!(!words(&upon(&mut stage)).contains(&"PROVIDER_DELETE_VOLUME"));
    // Detached and free: it is deleted, although the server still exists.
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    assert!(words(&upon(&mut stage)).contains(&"PROVIDER_DELETE_VOLUME"));
    // In use: it waits.
    stage.volumes[2].state = VolumeState::InUse;
    stage.volumes[2].server_id = Some("s1".into());
    assert!(!words(&upon(&mut stage)).contains(&"PROVIDER_DELETE_VOLUME"));
    // To be retained: its status does not change before the server is gone.
    let mut stage = ending();
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    (stage.volumes[2].state, stage.volumes[2].server_id) = (VolumeState::Available, None);
    data(&mut stage).delete_on_terminate = false;
    assert_eq!(data_of(&upon(&mut stage)).status, VolumeStatus::Available);
    // On another server, while ours exists: our server is no reason to wait.
    let mut stage = ending();
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    let foreign = vec![attachment(0, "data", "sbs_volume")];
    stage.servers.push(ObservedServer { attachments: foreign, ..observed_server("x", "x", ServerState::Running) });
    (stage.volumes[2].state, stage.volumes[2].server_id) = (VolumeState::Available, None);
    assert!(words(&upon(&mut stage)).contains(&"PROVIDER_DELETE_VOLUME"));
    // On another server, while ours is gone: it does not wait for a server of ours.
    let mut stage = server_gone();
    stage.servers.push(ObservedServer {
        attachments: vec![attachment(0, "data", "sbs_volume")],
        ..observed_server("x", "x", ServerState::Running)
    });
    assert_eq!(words(&upon(&mut stage)), ["PROVIDER_DELETE_VOLUME", "PROVIDER_DELETE_VOLUME"]);
}

#[test]
fn a_volumes_deletion_waits_for_its_state_with_a_note() {
    for (state, on, wanted) in [
        (VolumeState::Available, None, ""),
        (VolumeState::Error, None, ""),
        (VolumeState::InUse, Some("s9"), "waits for volume data to be detached from server s9"),
        (VolumeState::InUse, None, "waits for volume data, still in use, to become available"),
        (VolumeState::Creating, None, "waits: volume data is being changed by the cloud"),
        (VolumeState::Updating, None, "waits: volume data is being changed by the cloud"),
        (VolumeState::Other("melting".into()), None, "waits: volume data is melting"),
    ] {
        let mut stage = server_gone();
        stage.agg.volumes.retain(|v| v.origin == Origin::Ours);
        stage.volumes.retain(|v| v.id == "data");
        (stage.volumes[0].state, stage.volumes[0].server_id) = (state.clone(), on.map(str::to_owned));
        let planned = upon(&mut stage);
        assert_eq!(notes(&planned), wanted, "{state:?}");
        assert_eq!(words(&planned).is_empty(), !wanted.is_empty(), "{state:?}");
    }
}

#[test]
fn a_deletion_that_was_accepted_is_sent_again_after_ten_polls() {
    for (ms, again) in [(9_999, false), (10_000, true)] {
        let mut stage = server_gone();
        let sent = stage.now;
        data(&mut stage).delete_sent_at = Some(sent);
        stage.now = sent.plus_ms(ms);
        let observed = stage.observe();
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        let sends = planned.actions.iter().filter(|a| matches!(a, Action::Volume(_, VolumeCall::Delete))).count();
        assert_eq!(sends, if again { 2 } else { 1 }, "{ms}");
        assert_eq!(notes(&planned).contains("waits for volume data to be gone"), !again);
    }
}

#[test]
fn a_volume_that_is_not_shown_is_checked_once_the_observation_is_new_enough() {
    type Sent = fn(&mut Stage, Timestamp);
    let cases: [(&str, Sent); 3] = [
        ("its own deletion", |s, t| data(s).delete_sent_at = Some(t)),
        ("the removal of its server", |s, t| s.agg.servers[0].delete_sent_at = Some(t)),
        ("since its creation", |s, t| {
            s.agg.servers[0].delete_sent_at = None;
            data(s).created_at = t;
        }),
    ];
    for (what, sent) in cases {
        for (ms, tells) in [(0, false), (1, true)] {
            let mut stage = server_gone();
            stage.agg.servers[0].delete_sent_at = None;
            stage.agg.volumes.retain(|v| v.origin == Origin::Ours);
            stage.volumes.clear();
            let at = stage.now.plus_ms(500);
            sent(&mut stage, at);
            let observed = Observed { began_at: at.plus_ms(ms), ..stage.observe() };
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            assert_eq!(words(&planned) == ["PROVIDER_PROVE_VOLUME_GONE"], tells, "{what} {ms}");
            assert_eq!(notes(&planned).contains("to see whether volume data is gone"), !tells, "{what}");
        }
    }
    let mut stage = server_gone();
    stage.volumes.clear();
    for v in &mut stage.agg.volumes {
        v.retry = Some(retry(stage.now.plus_ms(9_000)));
    }
    assert_eq!(words(&upon(&mut stage)), Vec::<&str>::new(), "just refused");
}

#[test]
fn a_volume_to_be_retained_is_named_so_and_then_retained_once_it_is_shown() {
    let keeps = || {
        let mut stage = server_gone();
        stage.agg.volumes.retain(|v| v.origin == Origin::Ours);
        stage.volumes.retain(|v| v.id == "data");
        data(&mut stage).delete_on_terminate = false;
        stage
    };
    let mut stage = keeps();
    data(&mut stage).tagged_at = None;
    let planned = upon(&mut stage);
    assert_eq!(words(&planned), ["PROVIDER_TAG_VOLUME"], "the name contains the policy");
    assert_eq!(planned.recorded.instance.status, Status::Terminating);
    data(&mut stage).retry = Some(retry(T0));
    let planned = upon(&mut stage);
    assert_eq!(data_of(&planned).status, VolumeStatus::Retained, "refused: it is retained nevertheless");
    let mut stage = keeps();
    let planned = upon(&mut stage);
    assert_eq!((data_of(&planned).status, words(&planned)), (VolumeStatus::Retained, vec![]));
    let event = planned.events.iter().find(|e| e.kind.text() == "VOLUME_RETAINED").unwrap();
    assert!(event.text.contains("costs money") && event.resource_id.as_deref() == Some("data"));
    assert_eq!(event.volume_id.as_ref(), Some(&data_of(&planned).id));
    assert_eq!(planned.recorded.instance.status, Status::Terminated);
    // A third party's: released without a name of ours.
    let mut stage = keeps();
    let row = data(&mut stage);
    (row.origin, row.tagged_at) = (Origin::Foreign, None);
    let planned = upon(&mut stage);
    assert_eq!((planned.recorded.volumes[0].status, words(&planned)), (VolumeStatus::Released, vec![]));
    assert!(planned.events.iter().any(|e| e.kind.text() == "FOREIGN_VOLUME_RELEASED"));
    // Not shown: checked after a listing that began after the server's end.
    for (ms, tells) in [(0, false), (1, true)] {
        let mut stage = keeps();
        stage.volumes.clear();
        let gone = stage.agg.servers[0].gone_at.unwrap();
        let observed = Observed { began_at: gone.plus_ms(ms), ..stage.observe() };
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(words(&planned) == ["PROVIDER_PROVE_VOLUME_GONE"], tells, "{ms}");
        assert_eq!(notes(&planned).contains("to see volume data, which is to be retained"), !tells, "{ms}");
    }
    let mut stage = keeps();
    stage.volumes.clear();
    data(&mut stage).retry = Some(retry(stage.now.plus_ms(9_000)));
    assert_eq!(words(&upon(&mut stage)), Vec::<&str>::new());
}

#[test]
fn unneeded_volumes_are_deleted_while_the_instance_lives_and_used_ones_are_not() {
    type Change = fn(&mut Volume);
    let cases: [(&str, Change, bool); 5] = [
        ("an older attempt", |_| {}, true),
        ("it was attached", |v| v.attached_at = Some(T0), false),
        ("the newest", |v| v.attempt = 9, false),
        ("created by the cloud", |v| v.origin = Origin::Cloud, false),
        ("the server boots from it", |v| v.is_boot = true, false),
    ];
    for (what, change, goes) in cases {
        let mut stage = Stage::ready();
        let mut stray = Volume {
            id: VolumeId::new(70),
            attempt: 0,
            provider_id: Some("stray".into()),
            attached_at: None,
            status: VolumeStatus::Available,
            ..data(&mut stage).clone()
        };
        change(&mut stray);
        let mut seen = observed_volume("stray", &stray.name, "sbs_volume", None);
        seen.state = VolumeState::Available;
        stage.volumes.push(seen);
        stage.agg.volumes.push(stray);
        let deletes: Vec<_> = upon(&mut stage)
            .actions
            .iter()
            .filter(|a| matches!(a, Action::Volume(_, VolumeCall::Delete)))
            .filter_map(|a| a.volume_id().cloned())
            .collect();
        assert_eq!(deletes.contains(&VolumeId::new(70)), goes, "{what}: {deletes:?}");
    }
    // Volumes that the cloud created are no attempts of ours.
    let mut stage = Stage::ready();
    stage.agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().attempt = 9;
    data(&mut stage).attached_at = None;
    stage.volumes[2].attachment_settled = false;
    let planned = upon(&mut stage);
    assert_eq!(
        (words(&planned), notes(&planned).contains("to be detached from server")),
        (vec![], false),
        "{}",
        notes(&planned)
    );
    // A volume that came with a duplicate is deleted only after the duplicate, and only if its policy says so.
    for (keep, gone, policy, origin, goes) in [
        (false, true, true, Origin::Cloud, true),
        (true, true, true, Origin::Cloud, false),
        (false, false, true, Origin::Cloud, false),
        (false, true, false, Origin::Cloud, false),
        (false, true, true, Origin::Foreign, false),
    ] {
        let mut stage = Stage::ready();
        let mut duplicate = stage.agg.servers[0].clone();
        (duplicate.id, duplicate.is_primary, duplicate.provider_id) = (ServerId::new(71), keep, Some("s9".into()));
        duplicate.name = "another".into();
        (duplicate.gone_at, duplicate.proof) = (gone.then_some(T0), gone.then(|| proof_of("s9")));
        stage.agg.servers.push(duplicate);
        let came = Volume {
            id: VolumeId::new(72),
            server_id: Some(ServerId::new(71)),
            provider_id: Some("came".into()),
            origin,
            delete_on_terminate: policy,
            tagged_at: Some(T0),
            ..owned_volume()
        };
        stage.agg.volumes.push(came);
        stage.volumes.push(observed_volume("came", "img_sbs_volume_0", "sbs_volume", None));
        let planned = upon(&mut stage);
        let deletes = planned
            .actions
            .iter()
            .any(|a| matches!(a, Action::Volume(id, VolumeCall::Delete) if *id == VolumeId::new(72)));
        assert_eq!(deletes, goes, "{keep} {gone} {policy} {origin}");
    }
}

#[test]
fn an_instance_ends_once_and_its_final_status_depends_on_failure_and_readiness() {
    // The server and every volume are gone.
    let mut stage = server_gone();
    for v in &mut stage.agg.volumes {
        (v.status, v.proof) = (VolumeStatus::Deleted, Some(proof_of("v")));
    }
    let planned = upon(&mut stage);
    assert_eq!(
        (planned.recorded.instance.status, planned.recorded.instance.terminated_at),
        (Status::Terminated, Some(stage.now))
    );
    assert_eq!(planned.events.iter().filter(|e| e.kind.text() == "INSTANCE_TERMINATED").count(), 1);
    stage.agg = planned.recorded;
    let again = upon(&mut stage);
    assert!(again.events.is_empty(), "it ends once: {:?}", again.events);
    // A failure after the instance was ready is an ordinary end.
    for (ready, status) in [(true, Status::Terminated), (false, Status::ProvisioningFailed)] {
        let mut stage = server_gone();
        for v in &mut stage.agg.volumes {
            (v.status, v.proof) = (VolumeStatus::Deleted, Some(proof_of("v")));
        }
        stage.agg.instance.ready_at = ready.then_some(T0);
        stage.agg.instance.failure = Some(Failure { code: "x".into(), message: "y".into() });
        assert_eq!(upon(&mut stage).recorded.instance.status, status);
    }
}
