//! Terminations, failures and refusals.

use super::*;

#[test]
fn the_removal_method_follows_from_state_and_policy() {
    type Case = (&'static str, ServerState, Vec<Allowed>, fn(&mut Stage), &'static [&'static str]);
    let nothing: fn(&mut Stage) = |_| {};
    let keep_scratch: fn(&mut Stage) = |s| {
        let row = s.agg.volumes.iter_mut().find(|v| v.volume_type.name == "scratch");
        row.unwrap().delete_on_terminate = false;
    };
    let keep_data: fn(&mut Stage) = |s| {
        let row = s.agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours);
        row.unwrap().delete_on_terminate = false;
    };
    let all = vec![Allowed::Stop, Allowed::Terminate, Allowed::Reboot];
    let cases: Vec<Case> = vec![
        ("running", ServerState::Running, all.clone(), nothing, &["remove server s1 while it runs"]),
        ("running, nothing allowed for the moment", ServerState::Running, vec![], nothing, &[]),
        ("running, local volume kept", ServerState::Running, all.clone(), keep_scratch, &["stop server s1"]),
        (
            "running, block volume kept",
            ServerState::Running,
            all.clone(),
            keep_data,
            &["remove server s1 while it runs"],
        ),
        ("stopped in place", ServerState::StoppedInPlace, all.clone(), nothing, &["remove server s1 while it runs"]),
        ("stopped", ServerState::Stopped, vec![Allowed::Start], nothing, &["remove server s1 while it is stopped"]),
        (
            "stopped, local volume kept",
            ServerState::Stopped,
            vec![Allowed::Start],
            keep_scratch,
            &["detach volume scr from server s1"],
        ),
        ("starting", ServerState::Starting, vec![], nothing, &[]),
        ("stopping", ServerState::Stopping, vec![], nothing, &[]),
        ("locked", ServerState::Locked, vec![], nothing, &[]),
        ("an unknown state", ServerState::Other("melting".into()), all, nothing, &[]),
    ];
    for (what, state, allowed, change, wanted) in cases {
        let mut stage = Stage::ready();
        stage.servers[0].state = state;
        stage.servers[0].allowed = allowed;
        change(&mut stage);
        stage.cancel();
        let (acts, planned) = stage.step();
        assert_eq!(acts, wanted, "{what}: {}", notes(&planned));
        assert_eq!(wanted.is_empty(), !planned.recorded.instance.notes.is_empty(), "{what}: a wait says why");
    }
}

#[test]
fn a_termination_first_resolves_an_unconfirmed_creation() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    stage.cancel();
    let (acts, planned) = stage.step();
    assert!(acts.is_empty());
    assert_eq!(planned.recorded.instance.status, Status::Terminating, "not terminated: the server may still appear");
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("late", &name, ServerState::Stopped));
    assert_eq!(stage.step().0, ["remove server late while it is stopped"], "found, recorded, removed");
}

#[test]
fn an_instance_without_any_creation_ends_at_once() {
    let mut stage = Stage::new();
    stage.cancel();
    let planned = stage.step().1;
    assert_eq!(planned.recorded.instance.status, Status::Terminated);
}

#[test]
fn a_failure_leaves_nothing_behind_and_says_what_to_do() {
    let error = |kind, effect| CallError { kind, effect, message: "words of the cloud".into() };
    for (kind, effect, code) in [
        (ErrorKind::Quota, Effect::None, "quota"),
        (ErrorKind::Refused, Effect::None, "refused"),
        (ErrorKind::OutOfStock, Effect::Unknown, "out_of_stock"),
    ] {
        let mut stage = Stage::new();
        let planned = stage.step().1;
        stage.answer(&planned.actions[0], Err(error(kind, effect)));
        stage.step();
        let planned = stage.step().1;
        let instance = &planned.recorded.instance;
        assert_eq!(instance.status, Status::ProvisioningFailed, "{kind:?}: {}", notes(&planned));
        let failure = instance.failure.as_ref().unwrap();
        assert_eq!(failure.code, code);
        assert!(failure.message.contains("words of the cloud") && failure.message.contains(';'), "{}", failure.message);
    }
}

#[test]
fn a_data_volume_to_be_retained_is_deleted_if_its_instance_fails_before_it_ever_ran() {
    let mut stage = Stage::new();
    stage.agg.instance.spec.data_volume.as_mut().unwrap().delete_on_terminate = false;
    let planned = stage.step().1;
    stage.create(&planned.actions[0]);
    let planned = stage.step().1;
    for action in &planned.actions {
        if let Action::Create(Creation::Volume(row)) = action {
            let volume = observed_volume("data", &row.name, "sbs_volume", None);
            stage.volumes.push(volume.clone());
            stage.answer(action, Ok(CallResult::Volume(Box::new(volume))));
        }
    }
    stage.context(|agg, cx| {
        agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
        agg.instance.terminate_requested_at = Some(cx.now);
    });
    // Its name says *delete* before it is deleted.
    let (acts, planned) = stage.step();
    assert!(
        acts.contains(&"set our name and tags on data volume data".to_owned())
            && !acts.contains(&"delete data volume data".to_owned()),
        "{acts:?}"
    );
    for action in planned.actions.iter().filter(|a| matches!(a, Action::Volume(_, VolumeCall::Tag))) {
        stage.answer(action, Ok(CallResult::Accepted));
    }
    let (acts, _) = stage.step();
    assert!(
        acts.contains(&"delete data volume data".to_owned()),
        "{acts:?}: empty, and nothing that was created stays behind"
    );
}

#[test]
fn a_refusal_is_retried_and_noted() {
    let mut stage = Stage::ready();
    stage.cancel();
    let planned = stage.step().1;
    let refusal = CallError { kind: ErrorKind::Unauthorized, effect: Effect::None, message: "no".into() };
    stage.answer(&planned.actions[0], Err(refusal));
    let (acts, planned) = stage.step();
    assert!(acts.is_empty());
    assert!(notes(&planned).starts_with("blocked: credentials"), "{}", notes(&planned));
    assert!(planned.recorded.instance.notes[0].until.is_some());
    assert!(planned.recorded.instance.wake_at > stage.now.plus_ms(5_000), "the retry backs off");
}

#[test]
fn every_row_has_an_id_of_its_own() {
    let stage = Stage::ready();
    let mut ids: Vec<&VolumeId> = stage.agg.volumes.iter().map(|v| &v.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), stage.agg.volumes.len());
    assert_ne!(stage.agg.servers[0].id, ServerId::new(0));
}

#[test]
fn a_creation_that_is_refused_again_and_again_backs_off_and_fails() {
    let refusal = CallError { kind: ErrorKind::Conflict, effect: Effect::None, message: "not now".into() };
    let mut stage = Stage::new();
    let (mut sent, mut seconds) = (0, 0);
    while stage.agg.instance.status != Status::ProvisioningFailed {
        let (acts, planned) = stage.step();
        for action in &planned.actions {
            stage.answer(action, Err(refusal.clone()));
            sent += 1;
        }
        seconds += 1;
        assert!(seconds < 3_600, "{acts:?}");
    }
    assert_eq!(sent, 41);
    assert!(seconds > 500, "the back-off doubles: {seconds} s");
}

#[test]
fn volumes_of_a_removed_duplicate_are_deleted_while_the_instance_lives() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("older", &name, ServerState::Stopped));
    let mut duplicate = observed_server("younger", &name, ServerState::Stopped);
    duplicate.created_at = Some(T0.plus_ms(5));
    duplicate.attachments = vec![attachment(0, "boot2", "sbs_volume")];
    stage.servers.push(duplicate);
    stage.volumes.push(observed_volume("boot2", "img_sbs_volume_0", "sbs_volume", Some("younger")));
    let planned = stage.step().1;
    let delete = planned.actions.iter().find(|a| matches!(a, Action::Server(_, ServerCall::Delete))).unwrap().clone();
    stage.answer(&delete, Ok(CallResult::Accepted));
    stage.servers.pop();
    stage.volumes[0].state = VolumeState::Available;
    stage.volumes[0].server_id = None;
    let planned = stage.step().1;
    let prove = planned.actions.iter().find(|a| matches!(a, Action::Server(_, ServerCall::ProveGone))).unwrap().clone();
    let now = stage.now;
    stage.answer(&prove, Ok(proof("younger", now)));
    let (acts, planned) = stage.step();
    assert!(acts.contains(&"delete boot volume boot2".to_owned()), "{acts:?} {}", notes(&planned));
}

#[test]
fn a_foreign_volume_whose_detachment_is_refused_does_not_keep_the_server_running() {
    let mut stage = Stage::ready();
    stage.servers[0].attachments.push(attachment(3, "theirs", "sbs_volume"));
    stage.volumes.push(observed_volume("theirs", "theirs", "sbs_volume", Some("s1")));
    stage.cancel();
    let refusal = CallError { kind: ErrorKind::Refused, effect: Effect::None, message: "no".into() };
    for seconds in 0.. {
        let (acts, planned) = stage.step();
        if acts == ["remove server s1 while it runs"] {
            assert!((100..400).contains(&seconds), "{seconds}");
            break;
        }
        assert!(seconds < 400, "{acts:?} {}", notes(&planned));
        for action in &planned.actions {
            stage.answer(action, Err(refusal.clone()));
        }
    }
}

#[test]
fn of_two_data_volumes_with_one_name_one_is_attached_and_the_other_removed() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.create(&planned.actions[0]);
    let planned = stage.step().1;
    let create = planned.actions.iter().find(|a| matches!(a, Action::Create(Creation::Volume(_)))).unwrap().clone();
    stage.answer(&create, Err(lost()));
    let Action::Create(Creation::Volume(row)) = &create else { panic!() };
    stage.volumes.push(observed_volume("data", &row.name, "sbs_volume", None));
    stage.volumes.push(observed_volume("data2", &row.name, "sbs_volume", None));
    let (acts, planned) = stage.step();
    let count = |w: &str| acts.iter().filter(|x| *x == w).count();
    assert_eq!((count("attach data volume data to server s1"), count("delete data volume data2")), (1, 1), "{acts:?}");
    let delete = planned.actions.iter().find(|a| matches!(a, Action::Volume(_, VolumeCall::Delete))).unwrap();
    let deleted = delete.volume_id().and_then(|id| planned.recorded.volume(id)?.provider_id.clone());
    assert_eq!(deleted.as_deref(), Some("data2"));
}

#[test]
fn a_server_that_appears_after_out_of_stock_is_kept() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    let stock = CallError { kind: ErrorKind::OutOfStock, effect: Effect::Unknown, message: "none".into() };
    stage.answer(&planned.actions[0], Err(stock));
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("s1", &name, ServerState::Stopped));
    let (acts, planned) = stage.step();
    assert!(acts.contains(&"set our name and tags on boot volume boot".to_owned()), "{acts:?}");
    assert!(planned.recorded.instance.failure.is_none(), "{:?}", planned.recorded.instance.failure);
}

#[test]
fn a_volume_to_be_retained_is_proven_gone_if_a_third_party_deleted_it() {
    let mut stage = Stage::ready();
    for v in stage.agg.volumes.iter_mut().filter(|v| v.origin == Origin::Ours) {
        v.delete_on_terminate = false;
    }
    stage.cancel();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    stage.servers.clear();
    stage.volumes.clear();
    for _ in 0..4 {
        let planned = stage.step().1;
        let now = stage.now;
        for action in &planned.actions {
            stage.answer(action, Ok(proof("x", now)));
        }
    }
    let data = stage.agg.volumes.iter().find(|v| v.origin == Origin::Ours).unwrap();
    assert_eq!(data.status, VolumeStatus::Deleted, "not retained: it no longer exists");
}

#[test]
fn a_server_is_removed_only_after_an_observation_that_began_after_the_request() {
    let mut stage = Stage::ready();
    let observed = stage.observe();
    stage.now = stage.now.plus_ms(500);
    stage.cancel();
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    assert!(planned.actions.is_empty(), "{:?}", planned.actions);
    assert!(notes(&planned).contains("new observation"), "{}", notes(&planned));
}
