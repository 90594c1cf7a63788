//! When a volume is deleted or retained, and when an instance ends.

use super::remove_server::{data_of, ending, retry, server_gone};
use super::*;
use crate::observed::ObservedServer;
use crate::recorded::{Failure, Volume};
use crate::time::Timestamp;

#[test]
fn a_volume_waits_for_its_server() {
    // The server exists and shows it: nothing is done, whatever the volume itself shows.
    let mut stage = ending();
    stage.volumes[2].state = VolumeState::Available;
    stage.volumes[2].server_id = None;
    assert!(!does(&upon(&mut stage), "delete data volume data"));
    // Detached and free: it is deleted, although the server still exists.
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    assert!(does(&upon(&mut stage), "delete data volume data"));
    // In use: it waits.
    stage.volumes[2].state = VolumeState::InUse;
    stage.volumes[2].server_id = Some("s1".into());
    assert!(!does(&upon(&mut stage), "delete data volume data"));
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
    assert!(does(&upon(&mut stage), "delete data volume data"));
    // On another server, while ours is gone: it does not wait for a server of ours.
    let mut stage = server_gone();
    stage.servers.push(ObservedServer {
        attachments: vec![attachment(0, "data", "sbs_volume")],
        ..observed_server("x", "x", ServerState::Running)
    });
    assert_eq!(actions_of(&upon(&mut stage)), ["delete boot volume boot", "delete data volume data"]);
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
        assert_eq!(actions_of(&planned).is_empty(), !wanted.is_empty(), "{state:?}");
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
            assert_eq!(
                actions_of(&planned) == ["prove data volume data gone: not found by its id"],
                tells,
                "{what} {ms}"
            );
            assert_eq!(notes(&planned).contains("to see whether volume data is gone"), !tells, "{what}");
        }
    }
    let mut stage = server_gone();
    stage.volumes.clear();
    for v in &mut stage.agg.volumes {
        v.retry = Some(retry(stage.now.plus_ms(9_000)));
    }
    assert_eq!(actions_of(&upon(&mut stage)), NOTHING, "just refused");
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
    assert_eq!(actions_of(&planned), ["set our name and tags on data volume data"], "the name contains the policy");
    assert_eq!(planned.recorded.instance.status, Status::Terminating);
    data(&mut stage).retry = Some(retry(T0));
    let planned = upon(&mut stage);
    assert_eq!(data_of(&planned).status, VolumeStatus::Retained, "refused: it is retained nevertheless");
    let mut stage = keeps();
    let planned = upon(&mut stage);
    assert_eq!((data_of(&planned).status, actions_of(&planned)), (VolumeStatus::Retained, vec![]));
    let event = planned.events.iter().find(|e| e.kind.text() == "VOLUME_RETAINED").unwrap();
    assert!(event.text.contains("costs money") && event.resource_id.as_deref() == Some("data"));
    assert_eq!(event.volume_id.as_ref(), Some(&data_of(&planned).id));
    assert_eq!(planned.recorded.instance.status, Status::Terminated);
    // A third party's: released without a name of ours.
    let mut stage = keeps();
    let row = data(&mut stage);
    (row.origin, row.tagged_at) = (Origin::Foreign, None);
    let planned = upon(&mut stage);
    assert_eq!((planned.recorded.volumes[0].status, actions_of(&planned)), (VolumeStatus::Released, vec![]));
    assert!(planned.events.iter().any(|e| e.kind.text() == "FOREIGN_VOLUME_RELEASED"));
    // Not shown: checked after a listing that began after the server's end.
    for (ms, tells) in [(0, false), (1, true)] {
        let mut stage = keeps();
        stage.volumes.clear();
        let gone = stage.agg.servers[0].gone_at.unwrap();
        let observed = Observed { began_at: gone.plus_ms(ms), ..stage.observe() };
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert_eq!(actions_of(&planned) == ["prove data volume data gone: not found by its id"], tells, "{ms}");
        assert_eq!(notes(&planned).contains("to see volume data, which is to be retained"), !tells, "{ms}");
    }
    let mut stage = keeps();
    stage.volumes.clear();
    data(&mut stage).retry = Some(retry(stage.now.plus_ms(9_000)));
    assert_eq!(actions_of(&upon(&mut stage)), NOTHING);
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
        (actions_of(&planned), notes(&planned).contains("to be detached from server")),
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
        stage.agg.instance.up_at = ready.then_some(T0);
        stage.agg.instance.failure = Some(Failure { code: "x".into(), message: "y".into() });
        assert_eq!(upon(&mut stage).recorded.instance.status, status);
    }
}
