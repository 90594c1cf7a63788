//! From a request to *ready*, and refusals that fail an instance.

use super::start::about_to_start;
use super::*;
use crate::name::{CloudName, Role};
use crate::plan::{Plan, Rules};
use crate::recorded::{Retry, Server, Volume};
use crate::time::Timestamp;

pub(super) fn refused(kind: ErrorKind, count: u32, not_before: Timestamp) -> Retry {
    Retry { count, not_before, error: CallError { kind, effect: Effect::None, message: "no".into() }, call: None }
}

/// A server that was created and has its user data; its data volume exists and is not attached.
pub(super) fn made() -> Stage {
    let mut stage = about_to_start();
    (stage.servers[0].allowed, stage.servers[0].state) = (vec![Allowed::Start], ServerState::Stopped);
    stage
}

pub(super) fn free(stage: &mut Stage) {
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    let seen = stage.volumes.iter_mut().find(|v| v.id == "data").unwrap();
    (seen.server_id, seen.attachment_settled, seen.state) = (None, false, VolumeState::Available);
    let row = data(stage);
    (row.attach_sent_at, row.attached_at, row.status) = (None, None, VolumeStatus::Available);
}

#[test]
fn a_new_attempt_at_a_server_is_a_whole_row() {
    let mut stage = Stage::new();
    let planned = upon(&mut stage);
    let Action::Create(Creation::Server(row)) = &planned.actions[0] else { panic!() };
    let name = CloudName {
        control_plane: "test".into(),
        instance: stage.agg.instance.id.clone(),
        role: Role::Server,
        attempt: 1,
        delete: true,
        policy_version: 0,
    };
    let wanted = Server {
        id: row.id.clone(),
        attempt: 1,
        name: name.text(),
        is_primary: true,
        create_state: CreateState::Intended,
        create_error: None,
        provider_id: None,
        state: None,
        intended_at: stage.now,
        answered_at: None,
        tagged_at: None,
        tags_shown: false,
        user_data_at: None,
        starts: 0,
        start_intended_at: None,
        start_sent_at: None,
        stop_sent_at: None,
        delete_intended_at: None,
        delete_sent_at: None,
        gone_at: None,
        proof: None,
        retry: None,
        pending_observation: None,
    };
    assert_eq!(**row, wanted);
}

#[test]
fn a_new_attempt_at_a_data_volume_is_a_whole_row() {
    for delete in [true, false] {
        let mut stage = Stage::new();
        let spec = stage.agg.instance.spec.data_volume.as_mut().unwrap();
        (spec.delete_on_terminate, spec.perf_iops) = (delete, Some(15_000));
        let planned = stage.step().1;
        stage.create(&planned.actions[0]);
        let planned = upon(&mut stage);
        let row = planned
            .actions
            .iter()
            .find_map(|a| if let Action::Create(Creation::Volume(r)) = a { Some(r) } else { None });
        let row = row.unwrap();
        let name = CloudName {
            control_plane: "test".into(),
            instance: stage.agg.instance.id.clone(),
            role: Role::Data,
            attempt: 1,
            delete,
            policy_version: 0,
        };
        let wanted = Volume {
            name: name.text(),
            origin: Origin::Ours,
            volume_type: volume_type("sbs_volume"),
            size_bytes: Some(200 * GB),
            perf_iops: Some(15_000),
            delete_on_terminate: delete,
            status: VolumeStatus::Creating,
            create_state: CreateState::Intended,
            provider_id: None,
            answered_at: None,
            ..crate::recorded::Volume::found(row.id.clone(), String::new(), stage.now)
        };
        assert_eq!(**row, wanted);
    }
}

#[test]
fn a_name_is_never_used_twice_and_abandoned_attempts_are_counted() {
    let mut stage = Stage::new();
    stage.step();
    let first = stage.agg.servers[0].clone();
    let mut abandon = |n: usize, states: &[(CreateState, bool)]| -> Plan {
        stage.agg.instance.failure = None;
        stage.agg.servers = states
            .iter()
            .zip(1..)
            .map(|((state, keep), attempt)| Server {
                id: ServerId::new(u128::from(attempt)),
                attempt,
                create_state: *state,
                is_primary: *keep,
                create_error: Some(lost()),
                ..first.clone()
            })
            .collect();
        assert_eq!(stage.agg.servers.len(), n);
        upon(&mut stage)
    };
    let abandoned = (CreateState::Abandoned, true);
    let planned = abandon(2, &[abandoned, abandoned]);
    let Action::Create(Creation::Server(row)) = &planned.actions[0] else { panic!("{planned:?}") };
    assert_eq!(row.attempt, 3);
    let planned = abandon(3, &[abandoned, abandoned, abandoned]);
    let failure = planned.recorded.instance.failure.unwrap();
    assert_eq!(failure.code, "create_unconfirmed");
    assert!(failure.message.contains("3 times"), "{}", failure.message);
    // A duplicate is no attempt of ours, but its number is taken.
    let planned = abandon(3, &[abandoned, abandoned, (CreateState::Refused, false)]);
    let Action::Create(Creation::Server(row)) = &planned.actions[0] else { panic!("{planned:?}") };
    assert_eq!(row.attempt, 4);
}

#[test]
fn a_refused_creation_is_retried_exactly_at_its_time() {
    for (ms, word) in [(1, None), (0, Some("create the L40S-1-48G server"))] {
        let mut stage = Stage::new();
        stage.step();
        let at = stage.now.plus_ms(1_000 + ms);
        let row = &mut stage.agg.servers[0];
        row.create_state = CreateState::Refused;
        (row.create_error, row.retry) =
            (Some(refused(ErrorKind::RateLimited, 1, at).error), Some(refused(ErrorKind::RateLimited, 1, at)));
        let planned = upon(&mut stage);
        assert_eq!(actions_of(&planned).first().map(String::as_str), word, "{ms}: {}", notes(&planned));
        if word.is_none() {
            assert_eq!(notes(&planned), "creating the server was refused 1 time(s): no; waits for the next attempt");
            assert_eq!(planned.recorded.instance.wake_at, at);
        }
    }
}

#[test]
fn a_server_that_is_not_shown_is_checked_once_the_observation_is_new_enough() {
    for answered in [true, false] {
        for (listed, ms, asks) in [(true, 0, false), (true, 1, true), (false, 1, false)] {
            let mut stage = made();
            stage.servers.clear();
            let since = stage.now.plus_ms(100);
            stage.agg.servers[0].answered_at = answered.then_some(since);
            stage.agg.servers[0].intended_at = since;
            let observed = Observed { began_at: since.plus_ms(ms), listed, ..stage.observe() };
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            assert_eq!(
                actions_of(&planned) == ["prove server s1 gone: not found by its id"],
                asks,
                "{answered} {listed} {ms}"
            );
            assert_eq!(
                notes(&planned).contains("waits for the cloud to show the server"),
                !asks,
                "{answered} {listed} {ms}"
            );
        }
    }
    // For a ready instance, a probe that does not show the server adds no note.
    let mut stage = Stage::ready();
    stage.servers.clear();
    let observed = Observed { listed: false, ..stage.observe() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    assert_eq!((actions_of(&planned), notes(&planned)), (vec![], String::new()));
    let mut stage = made();
    stage.servers.clear();
    stage.agg.servers[0].retry = Some(refused(ErrorKind::Unavailable, 1, stage.now.plus_ms(9_000)));
    assert_eq!(actions_of(&upon(&mut stage)), NOTHING);
}

#[test]
fn names_are_set_unless_the_volume_is_being_created_or_the_call_was_just_refused() {
    let mut stage = made();
    stage.agg.servers[0].tagged_at = None;
    for v in &mut stage.agg.volumes {
        v.tagged_at = None;
    }
    let planned = upon(&mut stage);
    assert_eq!(
        actions_of(&planned),
        [
            "set our name and tags on server s1",
            "set our name and tags on boot volume boot",
            "set our name and tags on volume scr",
            "set our name and tags on data volume data",
            "start server s1"
        ]
    );
    let at = stage.now;
    stage.agg.servers[0].retry = Some(refused(ErrorKind::Conflict, 1, at.plus_ms(9_000)));
    assert!(!does(&upon(&mut stage), "set our name and tags on server s1"));
    for (creating, retry, names) in [(true, false, true), (true, true, false), (false, true, true)] {
        let mut stage = made();
        let row = stage.agg.volumes.iter_mut().find(|v| v.is_boot).unwrap();
        (row.tagged_at, row.retry) = (None, retry.then(|| refused(ErrorKind::Conflict, 1, at)));
        let seen = stage.volumes.iter_mut().find(|v| v.id == "boot").unwrap();
        seen.state = if creating { VolumeState::Creating } else { VolumeState::InUse };
        let planned = upon(&mut stage);
        assert_eq!(does(&planned, "set our name and tags on boot volume boot"), names, "{creating} {retry}");
        assert_eq!(notes(&planned).contains("to be created before its name is set"), !names, "{creating} {retry}");
    }
    type Change = fn(&mut Volume);
    let never: [Change; 2] = [|v| v.origin = Origin::Foreign, |v| v.status = VolumeStatus::Retained];
    for change in never {
        let mut stage = made();
        let row = stage.agg.volumes.iter_mut().find(|v| v.is_boot).unwrap();
        row.tagged_at = None;
        change(row);
        assert!(!does(&upon(&mut stage), "set our name and tags on boot volume boot"));
    }
}

#[test]
fn the_boot_volume_is_grown_once_if_its_kind_allows_it() {
    type Change = fn(&mut Stage);
    let boot: fn(&mut Stage) -> &mut Volume = |s| s.agg.volumes.iter_mut().find(|v| v.is_boot).unwrap();
    let shown = |s: &mut Stage, state| s.volumes.iter_mut().find(|v| v.id == "boot").unwrap().state = state;
    let cases: [(&str, Change, bool); 6] = [
        ("smaller than requested", |_| {}, true),
        ("as requested", |s| s.agg.instance.spec.boot_volume_bytes = Some(20 * GB), false),
        ("larger than requested", |s| s.agg.instance.spec.boot_volume_bytes = Some(10 * GB), false),
        ("nothing requested", |s| s.agg.instance.spec.boot_volume_bytes = None, false),
        (
            "its kind cannot grow",
            |s| s.volumes.iter_mut().find(|v| v.id == "boot").unwrap().volume_type = volume_type("l_ssd"),
            false,
        ),
        (
            "its size is not known",
            |s| {
                s.volumes.iter_mut().find(|v| v.id == "boot").unwrap().size_bytes = None;
                s.agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().size_bytes = None;
            },
            false,
        ),
    ];
    for (what, change, grows) in cases {
        let mut stage = made();
        stage.agg.instance.spec.boot_volume_bytes = Some(40 * GB);
        change(&mut stage);
        let planned = upon(&mut stage);
        assert_eq!(does(&planned, "grow boot volume boot to 40 GB"), grows, "{what}");
        assert!(!notes(&planned).contains("new size"), "{what}");
        if grows {
            let id = boot(&mut stage).id.clone();
            assert!(planned.actions.contains(&Action::Volume(id, VolumeCall::Resize(40 * GB))));
        }
    }
    for (state, grows) in [
        (VolumeState::Available, true),
        (VolumeState::InUse, true),
        (VolumeState::Updating, false),
        (VolumeState::Creating, false),
    ] {
        let mut stage = made();
        stage.agg.instance.spec.boot_volume_bytes = Some(40 * GB);
        shown(&mut stage, state.clone());
        let planned = upon(&mut stage);
        assert_eq!(does(&planned, "grow boot volume boot to 40 GB"), grows, "{state:?}");
        assert_eq!(notes(&planned).contains("show its new size"), !grows, "{state:?}");
    }
    // Requested, and this observation began no later than that.
    for (ms, grows) in [(0, false), (1, true)] {
        let mut stage = made();
        stage.agg.instance.spec.boot_volume_bytes = Some(40 * GB);
        boot(&mut stage).changed_at = Some(stage.now.plus_ms(1_000 - ms));
        assert_eq!(does(&upon(&mut stage), "grow boot volume boot to 40 GB"), grows, "{ms}");
    }
    let mut stage = made();
    stage.agg.instance.spec.boot_volume_bytes = Some(40 * GB);
    boot(&mut stage).retry = Some(refused(ErrorKind::Conflict, 1, stage.now.plus_ms(9_000)));
    assert!(!does(&upon(&mut stage), "grow boot volume boot to 40 GB"));
    // A retained boot volume is not grown.
    let mut stage = made();
    stage.agg.instance.spec.boot_volume_bytes = Some(40 * GB);
    boot(&mut stage).status = VolumeStatus::Retained;
    assert!(!does(&upon(&mut stage), "grow boot volume boot to 40 GB"));
}

#[test]
fn a_final_refusal_fails_the_instance_and_a_retryable_one_is_retried() {
    let worn = Rules::default().retries_max + 1;
    for (kind, count, fails) in [
        (ErrorKind::Refused, 1, true),
        (ErrorKind::NotFound, 2, false),
        (ErrorKind::NotFound, 3, true),
        (ErrorKind::Conflict, worn - 1, false),
        (ErrorKind::Conflict, worn, true),
        (ErrorKind::RateLimited, worn, false),
        (ErrorKind::Unauthorized, worn, false),
        (ErrorKind::Unavailable, worn, false),
    ] {
        for on_server in [true, false] {
            let mut stage = made();
            let retry = Some(refused(kind, count, stage.now.plus_ms(60_000)));
            if on_server {
                stage.agg.servers[0].retry = retry;
            } else {
                free(&mut stage);
                data(&mut stage).retry = retry;
            }
            let failure = upon(&mut stage).recorded.instance.failure;
            assert_eq!(
                failure.as_ref().map(|f| f.code.as_str()),
                fails.then_some(kind.text()),
                "{kind:?} {count} {on_server}"
            );
        }
    }
    // Not for a duplicate, not for volumes that the cloud created, and not once the instance was ready.
    let never = |change: fn(&mut Stage, Retry)| {
        let mut stage = made();
        let retry = refused(ErrorKind::Refused, 1, stage.now.plus_ms(60_000));
        change(&mut stage, retry);
        assert_eq!(upon(&mut stage).recorded.instance.failure, None);
    };
    never(|s, r| s.agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().retry = Some(r));
    never(|s, r| {
        let mut duplicate = s.agg.servers[0].clone();
        (duplicate.id, duplicate.is_primary, duplicate.provider_id, duplicate.name) =
            (ServerId::new(40), false, Some("s9".into()), "t".into());
        (duplicate.gone_at, duplicate.proof, duplicate.retry) = (Some(T0), Some(proof_of("s9")), Some(r));
        s.agg.servers.push(duplicate);
    });
    never(|s, r| {
        *s = Stage::ready();
        s.agg.servers[0].retry = Some(r);
    });
}

#[test]
fn a_data_volume_is_requested_again_with_a_new_number_but_not_for_ever() {
    let refusal = refused(ErrorKind::RateLimited, 1, T0);
    for (states, wanted) in [
        (vec![CreateState::Abandoned, CreateState::Abandoned], Some(3)),
        (vec![CreateState::Abandoned, CreateState::Refused], Some(3)),
        (vec![CreateState::Abandoned, CreateState::Abandoned, CreateState::Abandoned], None),
    ] {
        let mut stage = made();
        stage.volumes.retain(|v| v.id != "data");
        stage.servers[0].attachments.retain(|a| a.volume_id != "data");
        let first = data(&mut stage).clone();
        stage.agg.volumes.retain(|v| v.origin != Origin::Ours);
        for (state, attempt) in states.iter().zip(1..) {
            let refused = *state == CreateState::Refused;
            stage.agg.volumes.push(Volume {
                id: VolumeId::new(u128::from(attempt)),
                attempt,
                name: format!("{attempt}"),
                create_state: *state,
                create_error: Some(if refused { refusal.error.clone() } else { lost() }),
                retry: refused.then(|| refusal.clone()),
                provider_id: None,
                status: VolumeStatus::Failed,
                ..first.clone()
            });
        }
        let planned = upon(&mut stage);
        let made = planned
            .actions
            .iter()
            .find_map(|a| if let Action::Create(Creation::Volume(r)) = a { Some(r) } else { None });
        assert_eq!(made.map(|r| r.attempt), wanted, "{states:?}");
        if let Some(row) = made {
            assert_eq!(CloudName::parse(&row.name).map(|n| n.attempt), wanted);
        } else {
            let failure = planned.recorded.instance.failure.unwrap();
            assert_eq!(failure.code, "create_unconfirmed");
            assert!(failure.message.contains("the data volume was requested 3 times"), "{}", failure.message);
        }
    }
}
