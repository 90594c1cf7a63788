//! How servers and volumes are recorded when they appear.

use super::*;
use crate::id::InstanceId;
use crate::name::{CloudName, Role};
use crate::observed::ObservedServer;
use crate::plan::{Plan, volume_from_answer};
use crate::recorded::{Retry, Server, Volume};
use crate::status::Desired;

pub(super) fn name(role: Role, attempt: u32, delete: bool) -> CloudName {
    CloudName { control_plane: "test".into(), instance: InstanceId::new(7), role, attempt, delete, policy_version: 0 }
}

fn reported(planned: &Plan) -> Vec<&'static str> {
    planned.events.iter().map(|e| e.kind.text()).collect()
}

pub(super) fn volume<'p>(planned: &'p Plan, id: &str) -> &'p Volume {
    planned.recorded.volumes.iter().find(|v| v.provider_id.as_deref() == Some(id)).unwrap()
}

#[test]
fn a_row_of_a_volume_with_only_an_id_has_no_other_facts() {
    let id = VolumeId::new(3);
    let row = Volume::found(id.clone(), "v".into(), T0);
    let bare = Volume {
        id,
        server_id: None,
        attempt: 1,
        name: String::new(),
        origin: Origin::Cloud,
        is_boot: false,
        volume_type: volume_type("unknown"),
        size_bytes: None,
        perf_iops: None,
        delete_on_terminate: true,
        status: VolumeStatus::Available,
        create_state: CreateState::Created,
        create_error: None,
        provider_id: Some("v".into()),
        created_at: T0,
        answered_at: Some(T0),
        tagged_at: None,
        tags_shown: false,
        changed_at: None,
        attach_sent_at: None,
        attached_at: None,
        detach_sent_at: None,
        delete_intended_at: None,
        delete_sent_at: None,
        delete_accepted_at: None,
        deleted_at: None,
        proof: None,
        retry: None,
        policy_version: 0,
        cloud_policy: None,
        pending_observation: None,
        reused_from: None,
        reused_by: None,
        snapshots: Vec::new(),
    };
    assert_eq!(row, bare);
}

#[test]
fn a_response_about_a_volume_completes_its_row_and_removes_nothing() {
    let mut row = Volume { size_bytes: Some(7), perf_iops: Some(5_000), ..owned_volume() };
    let mut seen = observed_volume("v-1", "its name", "sbs_volume", None);
    (seen.size_bytes, seen.perf_iops) = (None, None);
    volume_from_answer(&mut row, &seen);
    let got = (row.name.as_str(), row.volume_type.name.as_str(), row.size_bytes, row.perf_iops);
    assert_eq!(got, ("its name", "sbs_volume", Some(7), Some(5_000)));
    (seen.size_bytes, seen.perf_iops) = (Some(8), Some(15_000));
    volume_from_answer(&mut row, &seen);
    assert_eq!((row.size_bytes, row.perf_iops), (Some(8), Some(15_000)));
}

#[test]
fn a_duplicate_gets_its_own_row_without_history() {
    let mut stage = Stage::ready();
    let error = lost();
    let past = Some(stage.now);
    let row = &mut stage.agg.servers[0];
    (row.create_error, row.stop_sent_at, row.tags_shown) = (Some(error.clone()), past, true);
    (row.tagged_at, row.delete_intended_at, row.delete_sent_at) = (past, past, past);
    (row.gone_at, row.proof) = (past, Some(proof_of("s1")));
    row.retry = Some(Retry { count: 1, not_before: T0, error, call: None });
    let original = row.clone();
    let duplicate = observed_server("s2", &original.name, ServerState::Stopped);
    stage.servers.push(ObservedServer { attachments: Vec::new(), created_at: Some(T0.plus_ms(9)), ..duplicate });
    let planned = upon(&mut stage);
    let rows = &planned.recorded.servers;
    assert_eq!((rows.len(), reported(&planned)[0]), (2, "SERVER_ADOPTED"));
    assert!(planned.events[0].text.contains("duplicate"));
    let wanted = Server {
        id: rows[1].id.clone(),
        attempt: 2,
        is_primary: false,
        create_state: CreateState::Created,
        create_error: None,
        provider_id: Some("s2".into()),
        state: Some("stopped".into()),
        intended_at: stage.now,
        tagged_at: Some(original.intended_at),
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
        ..original
    };
    assert_eq!(rows[1], wanted);
    assert_ne!(rows[0].id, rows[1].id);
}

#[test]
fn a_late_server_becomes_primary_only_if_there_is_no_other() {
    for (state, other, keeps) in [
        (CreateState::Intended, false, true),
        (CreateState::Unconfirmed, false, true),
        (CreateState::Refused, false, true),
        (CreateState::Abandoned, false, false),
        (CreateState::Unconfirmed, true, false),
    ] {
        let mut stage = Stage::new();
        let planned = stage.step().1;
        let Action::Create(Creation::Server(row)) = &planned.actions[0] else { panic!() };
        let late = row.name.clone();
        let first = &mut stage.agg.servers[0];
        (first.create_state, first.create_error, first.answered_at) = (state, Some(lost()), Some(stage.now));
        first.retry = Some(Retry { count: 1, not_before: T0, error: lost(), call: None });
        if other {
            let (id, named) = (ServerId::new(50), name(Role::Server, 2, true).text());
            let seen = observed_server("s2", &named, ServerState::Stopped);
            stage.agg.servers.push(Server::found(id, 2, &seen, stage.now));
            stage.servers.push(ObservedServer { attachments: Vec::new(), ..seen });
        }
        stage.servers.push(observed_server("late", &late, ServerState::Stopped));
        let planned = upon(&mut stage);
        let row = &planned.recorded.servers[0];
        assert_eq!(row.is_primary, keeps, "{state} {other}");
        assert_eq!(row.provider_id.as_deref(), Some("late"));
        let now = Some(stage.now);
        assert_eq!((row.create_state, row.answered_at, row.tagged_at), (CreateState::Created, now, now), "{state}");
        assert_eq!((&row.create_error, &row.retry), (&None, &None), "it exists, whatever the response was");
        let text = &planned.events.iter().find(|e| e.kind.text() == "SERVER_ADOPTED").unwrap().text;
        assert_eq!(text.contains("found by its name"), keeps, "{state}: {text}");
    }
}

#[test]
fn an_unrecorded_server_is_adopted_only_if_the_instance_has_none() {
    let found = |stage: &mut Stage| {
        let named = name(Role::Server, 4, true).text();
        stage.servers.push(observed_server("off", &name(Role::Server, 3, true).text(), ServerState::Stopped));
        stage.servers.push(observed_server("on", &named, ServerState::Running));
        let planned = upon(stage);
        planned.recorded.servers.iter().filter_map(|s| s.provider_id.clone()).find(|id| id == "on" || id == "off")
    };
    assert_eq!(found(&mut Stage::new()).as_deref(), Some("on"), "the running one");
    let mut stage = Stage::new();
    stage.agg.instance.desired = Desired::Absent;
    assert_eq!(found(&mut stage), None, "the instance is terminated");
    let mut stage = Stage::new();
    stage.agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
    assert_eq!(found(&mut stage), None, "the instance has failed");
    assert_eq!(found(&mut Stage::ready()), None, "the instance has a server");
    let mut stage = Stage::new();
    stage.step();
    assert_eq!(found(&mut stage), None, "a creation may be in progress");
    let mut stage = Stage::new();
    stage.step();
    (stage.agg.servers[0].create_state, stage.agg.servers[0].create_error) = (CreateState::Refused, Some(lost()));
    assert_eq!(found(&mut stage).as_deref(), Some("on"), "its attempt was refused");
    let mut stage = Stage::ready();
    (stage.agg.servers[0].gone_at, stage.agg.servers[0].proof) = (Some(T0), Some(proof_of("s1")));
    assert_eq!(found(&mut stage).as_deref(), Some("on"), "it is gone");
    // A duplicate that is being removed is not the instance's server.
    let mut stage = Stage::ready();
    stage.agg.servers[0].is_primary = false;
    assert_eq!(found(&mut stage).as_deref(), Some("on"));
    for other in [
        CloudName { instance: InstanceId::new(8), ..name(Role::Server, 1, true) },
        CloudName { control_plane: "prod".into(), ..name(Role::Server, 1, true) },
    ] {
        let mut stage = Stage::new();
        stage.servers.push(observed_server("theirs", &other.text(), ServerState::Running));
        assert!(upon(&mut stage).recorded.servers.is_empty(), "{other:?}");
    }
}

#[test]
fn a_volume_with_our_name_gets_the_role_and_policy_of_the_name() {
    for (role, origin, boots) in
        [(Role::Data, Origin::Ours, false), (Role::Boot, Origin::Cloud, true), (Role::Extra, Origin::Cloud, false)]
    {
        for delete in [true, false] {
            let mut stage = Stage::new();
            let named = name(role, 3, delete).text();
            stage.volumes.push(observed_volume("v", &named, "sbs_volume", None));
            let planned = upon(&mut stage);
            let row = volume(&planned, "v");
            let got = (row.origin, row.is_boot, row.attempt, row.delete_on_terminate, row.tagged_at);
            assert_eq!(got, (origin, boots, 3, delete, Some(stage.now)), "{role:?}");
            assert_eq!((row.name.as_str(), row.volume_type.name.as_str()), (named.as_str(), "sbs_volume"));
            assert_eq!(reported(&planned)[..1], ["VOLUME_FOUND"]);
            assert!(planned.events[0].text.contains("carries our name"));
        }
    }
    for (what, other) in [
        ("another instance's", CloudName { instance: InstanceId::new(8), ..name(Role::Data, 1, true) }),
        ("another control plane's", CloudName { control_plane: "prod".into(), ..name(Role::Data, 1, true) }),
    ] {
        let mut stage = Stage::new();
        stage.volumes.push(observed_volume("v", &other.text(), "sbs_volume", None));
        assert!(upon(&mut stage).recorded.volumes.is_empty(), "{what}");
    }
}

#[test]
fn a_data_volume_that_appears_is_the_requested_one_or_a_late_arrival() {
    for (state, late) in
        [(CreateState::Intended, false), (CreateState::Unconfirmed, false), (CreateState::Abandoned, true)]
    {
        let mut stage = Stage::new();
        stage.agg.instance.spec.data_volume.as_mut().unwrap().delete_on_terminate = false;
        let row = Volume {
            name: name(Role::Data, 1, false).text(),
            origin: Origin::Ours,
            delete_on_terminate: false,
            status: VolumeStatus::Creating,
            create_state: state,
            create_error: Some(lost()),
            provider_id: None,
            answered_at: None,
            retry: Some(Retry { count: 1, not_before: T0, error: lost(), call: None }),
            ..owned_volume()
        };
        stage.agg.volumes.push(row);
        let named = name(Role::Data, 1, false).text();
        stage.volumes.push(observed_volume("d", &named, "sbs_volume", None));
        let planned = upon(&mut stage);
        let got = volume(&planned, "d");
        assert_eq!(planned.recorded.volumes.len(), 1, "{state}");
        assert_eq!((got.create_state, got.status), (CreateState::Created, VolumeStatus::Available));
        assert_eq!((got.answered_at, got.delete_on_terminate), (Some(stage.now), late), "{state}");
        assert_eq!((&got.create_error, &got.retry), (&None, &None));
        assert_eq!(reported(&planned)[..1], ["VOLUME_ADOPTED"]);
        assert_eq!(planned.events[0].text.contains("late arrival"), late);
    }
}

#[test]
fn of_two_volumes_with_one_name_the_second_is_a_duplicate_whatever_its_name_says() {
    let mut stage = Stage::ready();
    let agg = stage.agg.clone();
    let data = agg.volumes.iter().find(|v| v.origin == Origin::Ours).unwrap();
    let duplicate = observed_volume("duplicate", &data.name, "sbs_volume", None);
    stage.volumes.push(duplicate);
    let planned = upon(&mut stage);
    let row = volume(&planned, "duplicate");
    assert_eq!((row.attempt, row.delete_on_terminate, row.origin), (0, true, Origin::Ours));
    assert!(planned.events.iter().any(|e| e.text.contains("a duplicate, to be removed")));
    // A boot volume with that name does not make it a duplicate.
    let mut stage = Stage::new();
    stage.agg.volumes.push(Volume { name: name(Role::Data, 1, false).text(), ..owned_volume() });
    stage.volumes.push(observed_volume("d", &name(Role::Data, 1, false).text(), "sbs_volume", None));
    let planned = upon(&mut stage);
    assert_eq!((volume(&planned, "d").attempt, volume(&planned, "d").delete_on_terminate), (1, false));
}

#[test]
fn a_volume_on_our_server_is_ours_by_name_the_clouds_by_automatic_name_or_foreign() {
    let ours = name(Role::Extra, 1, true).text();
    for (what, shown, index, origin) in [
        ("our name", ours.as_str(), 5, Origin::Ours),
        ("the cloud's automatic name", "img_sbs_volume_0", 0, Origin::Cloud),
        ("anything else", "photos", 5, Origin::Foreign),
        ("the cloud's automatic name at another index", "img_sbs_volume_0", 5, Origin::Foreign),
    ] {
        let mut stage = Stage::ready();
        stage.servers[0].attachments.retain(|a| a.index != index);
        stage.servers[0].attachments.push(attachment(index, "new", "sbs_volume"));
        // Shown only by the server: a volume with our name in the listing would be adopted by its name.
        let mut seen = observed_volume("new", shown, "sbs_volume", Some("s1"));
        seen.size_bytes = Some(9 * GB);
        if origin == Origin::Ours {
            stage.servers[0].attachments.last_mut().unwrap().name = Some(shown.to_owned());
        } else {
            stage.volumes.push(seen);
        }
        let planned = upon(&mut stage);
        let row = volume(&planned, "new");
        let foreign = origin == Origin::Foreign;
        assert_eq!((row.origin, row.delete_on_terminate), (origin, !foreign), "{what}");
        assert_eq!(row.is_boot, index == 0, "{what}");
        assert_eq!(row.server_id.as_ref(), Some(&stage.agg.servers[0].id), "{what}");
        assert_eq!(row.name, shown, "{what}");
        let event = planned.events.iter().find(|e| e.volume_id.as_ref() == Some(&row.id)).unwrap();
        assert_eq!(event.kind.text(), if foreign { "FOREIGN_VOLUME_FOUND" } else { "VOLUME_FOUND" }, "{what}");
        assert_eq!(event.text.contains("third party's volume"), foreign, "{what}");
    }
    // A third party's volume is not the boot volume, even with the boot flag.
    let mut stage = Stage::ready();
    let mut foreign = attachment(5, "theirs", "sbs_volume");
    foreign.boot = true;
    stage.servers[0].attachments.push(foreign);
    stage.volumes.push(observed_volume("theirs", "photos", "sbs_volume", Some("s1")));
    assert!(!volume(&upon(&mut stage), "theirs").is_boot);
}

#[test]
fn a_volume_without_a_shown_name_is_waited_for_unless_an_adopted_server_boots_from_it() {
    // A probe of a known server: the new volume's name is not shown.
    let mut stage = Stage::ready();
    stage.servers[0].attachments.push(attachment(5, "new", "sbs_volume"));
    stage.now = stage.now.plus_ms(1_000);
    let observed = Observed { complete: false, listed: false, ..stage.observe() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    assert!(planned.recorded.volumes.iter().all(|v| v.provider_id.as_deref() != Some("new")));
    assert!(notes(&planned).contains("waits to learn the name of volume new"), "{}", notes(&planned));
    // An adopted server: the volume that it boots from came with it; the names of others are waited for.
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    let mut late = observed_server("late", &stage.agg.servers[0].name.clone(), ServerState::Stopped);
    late.attachments.push(attachment(5, "new", "sbs_volume"));
    stage.servers.push(late);
    stage.now = stage.now.plus_ms(1_000);
    let observed = Observed { complete: false, listed: false, ..stage.observe() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    let found: Vec<_> = planned.recorded.volumes.iter().filter_map(|v| v.provider_id.as_deref()).collect();
    assert_eq!(found, ["boot", "scr"]);
    assert_eq!(volume(&planned, "boot").origin, Origin::Cloud);
    // A complete listing without the name: the volume at index 0 of an adopted server still came with it.
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    let mut late = observed_server("late", &stage.agg.servers[0].name.clone(), ServerState::Stopped);
    late.attachments.push(attachment(5, "new", "sbs_volume"));
    stage.servers.push(late);
    let planned = upon(&mut stage);
    assert_eq!((volume(&planned, "boot").origin, volume(&planned, "new").origin), (Origin::Cloud, Origin::Foreign));
}
