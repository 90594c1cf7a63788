//! From a created server to *ready*: data volume, user data, start.

use super::before_start::{free, made, refused};
use super::*;
use crate::plan::Rules;
use crate::status::NoteCode;

/// An instance of which only the start is missing.
pub(super) fn about_to_start() -> Stage {
    let mut stage = Stage::ready();
    for s in &mut stage.agg.servers {
        (s.starts, s.start_sent_at, s.start_intended_at) = (0, None, None);
    }
    stage.agg.instance.up_at = None;
    stage.agg.instance.status = Status::Provisioning;
    stage.servers[0].state = ServerState::Stopped;
    stage.servers[0].allowed = vec![Allowed::Start];
    stage
}

#[test]
fn a_start_waits_until_the_cloud_allows_it() {
    let mut stage = about_to_start();
    stage.servers[0].allowed.clear();
    let (acts, planned) = stage.step();
    assert!(acts.is_empty() && notes(&planned).contains("allows the server to be started"), "{acts:?}");
    stage.servers[0].allowed.push(Allowed::Start);
    assert_eq!(stage.step().0, ["start server s1"]);
}

/// A third party deleted the server and the volumes that came with it.
fn only_the_data_volume_is_left(stage: &mut Stage) {
    stage.servers.clear();
    stage.volumes.retain(|v| v.id == "data");
    (stage.volumes[0].server_id, stage.volumes[0].state) = (None, VolumeState::Available);
}

#[test]
fn the_intent_of_a_start_protects_the_volumes_to_be_retained() {
    let mut stage = about_to_start();
    data(&mut stage).delete_on_terminate = false;
    assert_eq!(stage.step().0, ["start server s1"]);
    // The process is killed here. The server runs for an hour, and is deleted before the next observation.
    only_the_data_volume_is_left(&mut stage);
    for _ in 0..5 {
        let (acts, planned) = stage.step();
        assert!(!acts.contains(&"delete data volume data".to_owned()), "{acts:?}");
        let now = stage.now;
        for action in planned.actions.iter().filter(|a| a.reads()) {
            stage.answer(action, Ok(proof("s1", now)));
        }
    }
}

/// The response to the start was lost, and the data volume is to be retained.
fn started_without_a_response() -> Stage {
    let mut stage = Stage::ready();
    for s in &mut stage.agg.servers {
        (s.starts, s.start_sent_at) = (0, None);
    }
    stage.agg.instance.up_at = None;
    stage.agg.instance.status = Status::Provisioning;
    data(&mut stage).delete_on_terminate = false;
    stage
}

#[test]
fn a_start_whose_response_was_lost_counts_as_a_start_so_that_data_is_retained() {
    let mut stage = started_without_a_response();
    only_the_data_volume_is_left(&mut stage);
    for _ in 0..6 {
        let (acts, planned) = stage.step();
        assert!(!acts.contains(&"delete data volume data".to_owned()), "{acts:?}");
        let now = stage.now;
        for action in &planned.actions {
            let id = if matches!(action, Action::Server(_, ServerCall::ProveGone)) { "s1" } else { "x" };
            let reply = if matches!(action, Action::Volume(_, VolumeCall::Tag)) {
                CallResult::Accepted
            } else {
                proof(id, now)
            };
            stage.answer(action, Ok(reply));
        }
    }
    let data = stage.agg.volumes.iter().find(|v| v.origin == Origin::Ours).unwrap();
    assert_eq!(data.status, VolumeStatus::Retained, "{:?}", stage.agg.instance.notes);
    assert_eq!(stage.agg.instance.status, Status::ProvisioningFailed);
}

#[test]
fn the_data_volume_is_attached_before_the_start_and_every_wait_has_a_note() {
    type Change = fn(&mut Stage);
    let seen: fn(&mut Stage) -> &mut ObservedVolume = |s| s.volumes.iter_mut().find(|v| v.id == "data").unwrap();
    let cases: [(&str, Change, &[&str], &str); 11] = [
        ("free", |_| {}, &["attach data volume data to server s1"], ""),
        (
            "requested just now",
            |s| data(s).attach_sent_at = Some(s.now),
            &[],
            "waits for the data volume to be attached",
        ),
        (
            "requested a while ago",
            |s| data(s).attach_sent_at = Some(s.now.plus_ms(-1)),
            &["attach data volume data to server s1"],
            "",
        ),
        (
            "refused a moment ago",
            |s| data(s).retry = Some(refused(ErrorKind::Conflict, 1, s.now.plus_ms(9_000))),
            &[],
            "attaching the data volume was refused",
        ),
        (
            "already shown by our server",
            |s| s.servers[0].attachments.push(attachment(2, "data", "sbs_volume")),
            &["start server s1"],
            "",
        ),
        (
            "being attached",
            |s| seen_data(s).server_id = Some("s1".into()),
            &[],
            "waits for the data volume to be attached",
        ),
        ("on another server", |s| seen_data(s).server_id = Some("s9".into()), &[], "attached to server s9"),
        (
            "being created",
            |s| seen_data(s).state = VolumeState::Creating,
            &[],
            "waits for the data volume to be created",
        ),
        ("in use without a server", |s| seen_data(s).state = VolumeState::InUse, &[], "to become available"),
        (
            "not shown yet",
            |s| s.volumes.retain(|v| v.id != "data"),
            &["prove data volume data gone: not found by its id"],
            "",
        ),
        (
            "attached",
            |s| {
                let v = seen_data(s);
                (v.server_id, v.attachment_settled, v.state) = (Some("s1".into()), true, VolumeState::InUse);
                s.servers[0].attachments.push(attachment(2, "data", "sbs_volume"));
            },
            &["start server s1"],
            "",
        ),
    ];
    for (what, change, wanted, note) in cases {
        let mut stage = made();
        free(&mut stage);
        change(&mut stage);
        let planned = upon(&mut stage);
        assert_eq!(actions_of(&planned), wanted, "{what}: {}", notes(&planned));
        assert!(
            notes(&planned).contains(note) && notes(&planned).is_empty() == note.is_empty(),
            "{what}: {}",
            notes(&planned)
        );
    }
    // Attached to another server, it is not attached to ours.
    let mut stage = made();
    free(&mut stage);
    (seen(&mut stage).server_id, seen(&mut stage).attachment_settled) = (Some("s9".into()), true);
    let planned = upon(&mut stage);
    assert_eq!(actions_of(&planned), NOTHING);
    assert!(notes(&planned).contains("attached to server s9"), "{}", notes(&planned));
    assert_eq!(planned.recorded.instance.notes[0].code, NoteCode::ActionNeeded);
    // An operator has to know whose that server is.
    let ours = "iva-test-0000000000000000000000000a-server-1-d";
    for (name, owner) in [
        (ours, "of instance ins-0000000000000000000000000a"),
        (&ours.replace("-test-", "-prod-"), "of control plane `prod`"),
        ("web-1", "which a third party created"),
    ] {
        stage.holders = vec![observed_server("s9", name, ServerState::Running)];
        let expected = format!("the data volume is attached to server `{name}` (s9), {owner}");
        let planned = upon(&mut stage);
        assert!(notes(&planned).contains(&expected), "{}", notes(&planned));
    }
    // It was attached, and the server never ran; or the server ran, and it was never attached: attached now.
    let mut stage = made();
    free(&mut stage);
    data(&mut stage).attached_at = Some(T0);
    assert_eq!(actions_of(&upon(&mut stage)), ["attach data volume data to server s1"]);
    let mut stage = Stage::ready();
    free(&mut stage);
    assert_eq!(actions_of(&upon(&mut stage)), ["attach data volume data to server s1"]);
    let mut stage = made();
    free(&mut stage);
    seen(&mut stage).state = VolumeState::Error;
    let failure = upon(&mut stage).recorded.instance.failure.unwrap();
    assert_eq!(failure.code, "volume_error");
}

fn seen_data(stage: &mut Stage) -> &mut ObservedVolume {
    stage.volumes.iter_mut().find(|v| v.id == "data").unwrap()
}

#[test]
fn a_data_volume_that_is_not_shown_is_checked_once_the_observation_is_new_enough() {
    for answered in [true, false] {
        for (listed, ms, asks) in [(true, 0, false), (true, 1, true), (false, 1, false)] {
            let mut stage = made();
            free(&mut stage);
            stage.volumes.retain(|v| v.id != "data");
            let since = stage.now.plus_ms(100);
            let row = data(&mut stage);
            (row.answered_at, row.created_at) = (answered.then_some(since), since);
            let observed = Observed { began_at: since.plus_ms(ms), listed, ..stage.observe() };
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            assert_eq!(
                actions_of(&planned) == ["prove data volume data gone: not found by its id"],
                asks,
                "{answered} {listed} {ms}"
            );
            assert_eq!(notes(&planned).contains("waits for the cloud to show the data volume"), !asks);
        }
    }
    let mut stage = made();
    free(&mut stage);
    stage.volumes.retain(|v| v.id != "data");
    data(&mut stage).retry = Some(refused(ErrorKind::Unavailable, 1, stage.now.plus_ms(9_000)));
    assert_eq!(actions_of(&upon(&mut stage)), NOTHING);
}

#[test]
fn changes_of_the_data_volume_after_the_server_ran_are_reported_and_not_reverted() {
    let mut stage = Stage::ready();
    free(&mut stage);
    data(&mut stage).attached_at = Some(T0);
    let planned = upon(&mut stage);
    assert_eq!(
        (actions_of(&planned), notes(&planned).as_str()),
        (vec![], "a third party detached the data volume; attach it again, or terminate the instance")
    );
    let mut stage = Stage::ready();
    free(&mut stage);
    seen_data(&mut stage).server_id = Some("s9".into());
    assert!(notes(&upon(&mut stage)).contains("attached to server s9; detach it there"));
    let mut stage = Stage::ready();
    data(&mut stage).status = VolumeStatus::Deleted;
    data(&mut stage).proof = Some(proof_of("data"));
    let planned = upon(&mut stage);
    assert_eq!(actions_of(&planned), NOTHING, "its data is lost: it is not created again");
    assert!(notes(&planned).contains("the data volume disappeared"));
    // Before the server ever ran, the volume was empty. Its disappearance is a failure nevertheless.
    let mut stage = made();
    data(&mut stage).status = VolumeStatus::Deleted;
    data(&mut stage).proof = Some(proof_of("data"));
    let failure = upon(&mut stage).recorded.instance.failure.unwrap();
    assert_eq!(failure.code, "data_volume_disappeared");
}

#[test]
fn user_data_is_set_when_the_data_volume_is_known_and_before_the_start() {
    let mut stage = made();
    stage.agg.servers[0].user_data_at = None;
    assert_eq!(actions_of(&upon(&mut stage)), ["set the first-boot instructions of server s1"]);
    stage.agg.servers[0].retry = Some(refused(ErrorKind::Conflict, 1, stage.now.plus_ms(9_000)));
    assert_eq!(actions_of(&upon(&mut stage)), NOTHING);
    stage.agg.servers[0].retry = None;
    stage.agg.instance.spec.data_volume = None;
    assert_eq!(actions_of(&upon(&mut stage)), ["set the first-boot instructions of server s1"], "none is requested");
    let mut stage = made();
    stage.agg.servers[0].user_data_at = None;
    let row = data(&mut stage);
    (row.create_state, row.provider_id) = (CreateState::Unconfirmed, None);
    stage.volumes.retain(|v| v.id != "data");
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    assert_eq!(actions_of(&upon(&mut stage)), NOTHING, "which volume to mount is not known yet");
}

/// `ms` after its start was accepted, stopped.
fn stopped_again(ms: i64, starts: u32) -> Stage {
    let mut stage = made();
    stage.servers[0].state = ServerState::Stopped;
    let sent = stage.now.plus_ms(1_000 - ms);
    let row = &mut stage.agg.servers[0];
    (row.start_sent_at, row.start_intended_at, row.starts) = (Some(sent), Some(sent), starts);
    stage
}

#[test]
fn a_server_that_stops_again_is_started_again_but_not_for_ever() {
    for state in [ServerState::Stopped, ServerState::StoppedInPlace] {
        for (ms, starts, word, note) in [
            (29_999, 1, None, "waits for the cloud to show the start of the server"),
            (30_000, 1, Some("start server s1"), ""),
            (30_000, 2, Some("start server s1"), ""),
            (0, 1, None, "waits for the server to run"),
        ] {
            let mut stage = stopped_again(ms, starts);
            stage.servers[0].state = state.clone();
            let planned = upon(&mut stage);
            assert_eq!(actions_of(&planned).first().map(String::as_str), word, "{state:?} {ms} {starts}");
            assert_eq!(notes(&planned), note, "{state:?} {ms} {starts}");
        }
    }
    let failure = upon(&mut stopped_again(30_000, 3)).recorded.instance.failure.unwrap();
    assert_eq!(failure.code, "boot_failed");
    assert!(failure.message.contains("out of stock"));
}

#[test]
fn every_other_state_leaves_a_note() {
    for (state, note) in [
        (ServerState::Starting, "waits for the server to run"),
        (ServerState::Locked, "the cloud has locked the server; ask the provider's support"),
        (ServerState::Stopping, "waits: the server is stopping"),
        (ServerState::Other("melting".into()), "waits: the server is melting"),
    ] {
        let mut stage = made();
        stage.servers[0].state = state;
        let planned = upon(&mut stage);
        assert_eq!((actions_of(&planned), notes(&planned).as_str()), (vec![], note));
    }
    for state in [ServerState::Stopped, ServerState::StoppedInPlace] {
        let mut stage = Stage::ready();
        stage.servers[0].state = state;
        let planned = upon(&mut stage);
        assert!(notes(&planned).contains("a third party stopped the server"), "{}", notes(&planned));
        assert_eq!(actions_of(&planned), NOTHING);
    }
}

#[test]
fn a_server_that_does_not_run_in_time_fails() {
    let deadline = Rules::default().boot_deadline_ms;
    for sent in [true, false] {
        for (ms, fails) in [(deadline, false), (deadline + 1, true)] {
            let mut stage = made();
            stage.servers[0].state = ServerState::Starting;
            let at = stage.now.plus_ms(1_000 - ms);
            let row = &mut stage.agg.servers[0];
            (row.start_sent_at, row.start_intended_at) = (sent.then_some(at), Some(at));
            assert_eq!(upon(&mut stage).recorded.instance.failure.is_some(), fails, "{sent} {ms}");
        }
    }
    // Ready just now or long ago: the deadline no longer applies.
    for ready in [true, false] {
        let mut stage = if ready { Stage::ready() } else { made() };
        let at = stage.now.plus_ms(-deadline);
        let row = &mut stage.agg.servers[0];
        (row.start_sent_at, row.start_intended_at) = (Some(at), Some(at));
        stage.servers[0].state = ServerState::Running;
        stage.servers[0].addresses = vec!["1.2.3.4".into()];
        let planned = upon(&mut stage);
        assert_eq!((&planned.recorded.instance.failure, planned.recorded.instance.status), (&None, Status::Ready));
    }
}

#[test]
fn ready_is_reported_once_with_the_address() {
    let mut stage = made();
    stage.servers[0].state = ServerState::Running;
    stage.servers[0].addresses = Vec::new();
    stage.agg.instance.ip_address = None;
    let planned = upon(&mut stage);
    assert_eq!(
        (planned.recorded.instance.status, notes(&planned).as_str()),
        (Status::Booting, "waits for the address of the server")
    );
    stage.servers[0].addresses = vec!["5.6.7.8".into()];
    let planned = upon(&mut stage);
    let reported: Vec<_> = planned.events.iter().map(|e| (e.kind.text(), e.resource_id.as_deref())).collect();
    assert_eq!(reported, [("PROVIDER_GET_IP", Some("s1")), ("INSTANCE_READY", Some("s1"))]);
    assert_eq!(planned.recorded.instance.up_at, Some(stage.now));
    stage.agg = planned.recorded;
    assert!(upon(&mut stage).events.is_empty());
}
