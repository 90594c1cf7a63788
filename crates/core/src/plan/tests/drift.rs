//! Drift: changes by third parties are reported once, and corrected where that is safe.

use super::*;
use crate::action::Event;
use crate::name::CloudName;
use crate::plan::Plan;
use crate::plan::tests::before_start::refused;
use crate::status::Desired;

/// A ready instance whose names and tags in the cloud have matched the records for a while.
pub(super) fn long_since() -> Stage {
    let mut stage = Stage::ready();
    let agg = stage.agg.clone();
    for server in &mut stage.servers {
        server.tags = CloudName::parse(&server.name).unwrap().tags();
    }
    for row in &agg.volumes {
        let name = agg.volume_name(row, "test");
        let seen = stage.volumes.iter_mut().find(|v| Some(&v.id) == row.provider_id.as_ref()).unwrap();
        (seen.name, seen.tags) = (name.text(), name.tags());
    }
    for v in &mut stage.agg.volumes {
        v.tagged_at = Some(stage.now);
    }
    stage.now = stage.now.plus_ms(120_000);
    let planned = stage.step().1;
    assert_eq!((reported(&planned), planned.actions.len()), (vec![], 0), "{}", notes(&planned));
    stage
}

fn reported(planned: &Plan) -> Vec<&'static str> {
    planned.events.iter().map(|e| e.kind.text()).collect()
}

fn one<'p>(planned: &'p Plan, name: &str) -> &'p Event {
    let found: Vec<&Event> = planned.events.iter().filter(|e| e.kind.text() == name).collect();
    assert_eq!(found.len(), 1, "{name}: {:?}", planned.events);
    found[0]
}

#[test]
fn a_name_or_tag_that_a_third_party_changed_is_reported_and_restored() {
    type Change = fn(&mut Stage);
    let cases: [(&str, Change, &str, &str); 4] = [
        (
            "SERVER_RENAMED",
            |s| s.servers[0].name = "mine".into(),
            "set our name and tags on server s1",
            "renamed it to \"mine\"",
        ),
        ("SERVER_UNTAGGED", |s| s.servers[0].tags.clear(), "set our name and tags on server s1", "removed our tags"),
        (
            "VOLUME_RENAMED",
            |s| s.volumes[2].name = "mine".into(),
            "set our name and tags on data volume data",
            "renamed it to \"mine\"",
        ),
        (
            "VOLUME_UNTAGGED",
            |s| {
                s.volumes[2].tags.pop();
            },
            "set our name and tags on data volume data",
            "removed our tags",
        ),
    ];
    for (name, change, action, text) in cases {
        let mut stage = long_since();
        change(&mut stage);
        let (acts, planned) = stage.step();
        let event = one(&planned, name);
        assert!(event.text.contains(text), "{name}: {}", event.text);
        assert_eq!(event.resource_id.as_deref(), Some(if name.starts_with('S') { "s1" } else { "data" }));
        assert_eq!(event.volume_id.is_some(), name.starts_with('V'));
        assert_eq!(acts, [action], "{name}");
        let again = stage.step().1;
        assert_eq!(reported(&again), Vec::<&str>::new(), "{name}: reported once");
    }
}

#[test]
fn a_listing_that_may_be_older_than_our_own_change_reports_nothing() {
    for (ms, tells) in [(60_000, false), (60_001, true)] {
        let mut stage = long_since();
        stage.servers[0].name = "mine".into();
        stage.volumes[2].name = "mine".into();
        let tagged = stage.now.plus_ms(1_000 - ms);
        stage.agg.servers[0].tagged_at = Some(tagged);
        stage.agg.volumes[2].tagged_at = Some(tagged);
        let planned = stage.step().1;
        let wanted = if tells { vec!["SERVER_RENAMED", "VOLUME_RENAMED"] } else { vec![] };
        assert_eq!(reported(&planned), wanted, "{ms}");
    }
}

#[test]
fn tags_that_were_never_shown_are_not_reported_as_removed() {
    let mut stage = long_since();
    stage.agg.servers[0].tags_shown = false;
    stage.servers[0].tags.clear();
    assert_eq!(reported(&stage.step().1), Vec::<&str>::new());
    stage.servers[0].tags = CloudName::parse(&stage.servers[0].name).unwrap().tags();
    assert_eq!(reported(&stage.step().1), Vec::<&str>::new(), "they are shown now");
    stage.servers[0].tags.clear();
    assert_eq!(reported(&stage.step().1), ["SERVER_UNTAGGED"], "they were removed");
}

#[test]
fn a_name_of_another_control_plane_is_left_alone() {
    let mut stage = long_since();
    stage.servers[0].name = stage.servers[0].name.replace("-test-", "-other-");
    stage.volumes[2].name = stage.volumes[2].name.replace("-test-", "-other-");
    let (acts, planned) = stage.step();
    assert_eq!((reported(&planned), acts.len()), (vec![], 0));
    // A name of another instance is drift.
    let mut stage = long_since();
    let other = crate::id::InstanceId::new(99);
    let ours = CloudName::parse(&stage.servers[0].name).unwrap();
    stage.servers[0].name = CloudName { instance: other, control_plane: "other".into(), ..ours.clone() }.text();
    assert_eq!(reported(&stage.step().1), ["SERVER_RENAMED"]);
    let mut stage = long_since();
    stage.servers[0].name = CloudName { attempt: 9, ..ours }.text();
    assert_eq!(reported(&stage.step().1), ["SERVER_RENAMED"], "our own id, and another name");
}

#[test]
fn a_server_that_a_third_party_stopped_is_reported() {
    for (state, tells) in [
        (ServerState::Stopped, true),
        (ServerState::StoppedInPlace, true),
        (ServerState::Stopping, true),
        (ServerState::Starting, false),
        (ServerState::Locked, false),
    ] {
        let mut stage = long_since();
        stage.servers[0].state = state.clone();
        let planned = stage.step().1;
        assert_eq!(reported(&planned) == ["SERVER_STOPPED"], tells, "{state:?}: {:?}", planned.events);
        assert_eq!(reported(&stage.step().1), Vec::<&str>::new(), "{state:?}: reported once");
        assert!(planned.actions.is_empty(), "the server is left as it is");
    }
    type Why = fn(&mut Stage);
    let ours: [(&str, Why); 4] = [
        ("we stopped it", |s| s.agg.servers[0].stop_sent_at = Some(s.now)),
        ("we are about to remove it", |s| s.agg.servers[0].delete_intended_at = Some(s.now)),
        ("it did not run", |s| s.agg.servers[0].state = Some("starting".into())),
        ("it is being terminated", Stage::cancel),
    ];
    for (what, why) in ours {
        let mut stage = long_since();
        why(&mut stage);
        stage.servers[0].state = ServerState::Stopping;
        assert!(!reported(&stage.step().1).contains(&"SERVER_STOPPED"), "{what}");
    }
}

#[test]
fn a_reboot_and_a_start_are_not_taken_for_a_stop_by_a_third_party() {
    let reported_after = |reboots: bool, stale_ms: i64, seconds: i64| {
        let mut stage = long_since();
        stage.stale_ms = stale_ms;
        if reboots {
            stage.agg.instance.reboot_requested_at = Some(stage.now);
        }
        stage.agg.servers[0].start_sent_at = Some(stage.now);
        stage.now = stage.now.plus_ms(seconds * 1_000);
        stage.servers[0].state = ServerState::Stopping;
        reported(&stage.step().1).contains(&"SERVER_STOPPED")
    };
    assert_eq!([10, 100, 125].map(|s| reported_after(true, 0, s)), [false, false, true], "a reboot");
    assert_eq!([10, 50, 65].map(|s| reported_after(false, 60_000, s)), [false, false, true], "a start");
}

#[test]
fn a_volume_that_a_third_party_detached_is_reported_once() {
    let off = |stage: &mut Stage| {
        stage.servers[0].attachments.retain(|a| a.volume_id != "data");
        (stage.volumes[2].server_id, stage.volumes[2].state) = (None, VolumeState::Available);
    };
    let mut stage = long_since();
    off(&mut stage);
    let planned = stage.step().1;
    assert_eq!(one(&planned, "VOLUME_DETACHED").resource_id.as_deref(), Some("data"));
    assert_eq!(planned.recorded.volumes[2].status, VolumeStatus::Available);
    assert_eq!(reported(&stage.step().1), Vec::<&str>::new(), "reported once");
    type Why = fn(&mut Stage);
    let excuses: [(&str, Why); 7] = [
        ("we detached it", |s| s.agg.volumes[2].detach_sent_at = Some(s.now)),
        ("the server still shows it", |s| s.servers[0].attachments.push(attachment(2, "data", "sbs_volume"))),
        ("the volume shows the attachment", |s| s.volumes[2].server_id = Some("s1".into())),
        ("it was not attached", |s| s.agg.volumes[2].status = VolumeStatus::Attaching),
        ("the server is not shown", |s| s.servers.clear()),
        ("it is being terminated", Stage::cancel),
        ("it is a third party's", |s| s.agg.volumes[2].origin = Origin::Foreign),
    ];
    for (what, why) in excuses {
        let mut stage = long_since();
        off(&mut stage);
        why(&mut stage);
        assert!(!reported(&stage.step().1).contains(&"VOLUME_DETACHED"), "{what}");
    }
    // It was on a duplicate that is being removed, or gone.
    for gone in [false, true] {
        let mut stage = long_since();
        off(&mut stage);
        let mut duplicate = stage.agg.servers[0].clone();
        (duplicate.id, duplicate.is_primary, duplicate.provider_id) = (ServerId::new(55), gone, Some("s9".into()));
        duplicate.gone_at = gone.then_some(stage.now);
        stage.agg.volumes[2].server_id = Some(duplicate.id.clone());
        stage.agg.servers.push(duplicate);
        assert!(!reported(&stage.step().1).contains(&"VOLUME_DETACHED"), "gone: {gone}");
    }
}

#[test]
fn a_volume_that_a_third_party_resized_is_reported_once_and_its_new_size_is_recorded() {
    let mut stage = long_since();
    stage.volumes[2].size_bytes = Some(300 * GB);
    let planned = stage.step().1;
    let event = one(&planned, "VOLUME_RESIZED");
    assert_eq!(event.resource_id.as_deref(), Some("data"));
    assert_eq!(event.volume_id.as_ref(), Some(&stage.agg.volumes[2].id));
    assert_eq!(stage.agg.volumes[2].size_bytes, Some(300 * GB));
    assert_eq!(reported(&stage.step().1), Vec::<&str>::new());
    // The boot volume that we grew ourselves.
    let mut stage = long_since();
    stage.agg.instance.spec.boot_volume_bytes = Some(40 * GB);
    stage.volumes[0].size_bytes = Some(40 * GB);
    assert_eq!(reported(&stage.step().1), Vec::<&str>::new());
    stage.volumes[0].size_bytes = Some(60 * GB);
    assert_eq!(reported(&stage.step().1), ["VOLUME_RESIZED"], "not the requested size");
    stage.volumes[2].size_bytes = Some(40 * GB);
    assert_eq!(reported(&stage.step().1), ["VOLUME_RESIZED"], "that size was requested for the boot volume only");
}

/// An instance that has ended, whose data volume is retained.
pub(super) fn ended_and_kept() -> Stage {
    let mut stage = long_since();
    stage.servers.clear();
    stage.volumes.retain(|v| v.id == "data");
    (stage.volumes[0].server_id, stage.volumes[0].state) = (None, VolumeState::Available);
    for v in &mut stage.agg.volumes {
        (v.status, v.deleted_at) = (VolumeStatus::Deleted, Some(stage.now));
    }
    let agg = &mut stage.agg;
    agg.instance.desired = Desired::Absent;
    (agg.instance.status, agg.instance.terminated_at) = (Status::Terminated, Some(stage.now));
    agg.servers[0].gone_at = Some(stage.now);
    agg.servers[0].proof = Some(proof_of("s1"));
    (agg.volumes[2].status, agg.volumes[2].delete_on_terminate) = (VolumeStatus::Retained, false);
    agg.volumes[2].deleted_at = None;
    let name = agg.volume_name(&agg.volumes[2], "test");
    (stage.volumes[0].name, stage.volumes[0].tags) = (name.text(), name.tags());
    let (acts, planned) = stage.step();
    assert_eq!((reported(&planned), acts.len(), planned.recorded.instance.settled), (vec![], 0, true));
    stage
}

#[test]
fn name_and_tags_of_a_retained_volume_are_restored_after_its_instance_has_ended() {
    type Change = fn(&mut Stage);
    let cases: [(&str, Change); 2] =
        [("VOLUME_RENAMED", |s| s.volumes[0].name = "mine".into()), ("VOLUME_UNTAGGED", |s| s.volumes[0].tags.clear())];
    for (name, change) in cases {
        let mut stage = ended_and_kept();
        change(&mut stage);
        let (acts, planned) = stage.step();
        assert_eq!(one(&planned, name).resource_id.as_deref(), Some("data"));
        assert_eq!(acts, ["set our name and tags on data volume data"], "{name}");
        assert!(!planned.recorded.instance.settled, "not settled until the name is set");
        // Set, and not shown yet.
        stage.agg.volumes[2].tagged_at = Some(stage.now);
        let (acts, again) = stage.step();
        assert_eq!(
            (reported(&again), acts.len(), again.recorded.instance.settled),
            (vec![], 0, true),
            "{name}: reported once"
        );
        let kept = &again.recorded.volumes[2];
        assert_eq!((kept.status, kept.delete_on_terminate), (VolumeStatus::Retained, false));
        assert_eq!(again.recorded.instance.status, Status::Terminated);
    }
}

#[test]
fn the_name_of_a_retained_volume_is_set_as_soon_as_possible() {
    let mut stage = ended_and_kept();
    stage.agg.volumes[2].tagged_at = None;
    let until = stage.now.plus_ms(60_000);
    stage.agg.volumes[2].retry = Some(refused(ErrorKind::Unavailable, 1, until));
    let (acts, planned) = stage.step();
    assert_eq!((acts.len(), planned.recorded.instance.wake_at), (0, until));
    assert!(notes(&planned).contains("setting the name and tags of a volume was refused"), "{}", notes(&planned));
    stage.now = stage.now.plus_ms(60_000);
    assert_eq!(stage.step().0, ["set our name and tags on data volume data"]);
    // A volume that is gone gets no name.
    let mut stage = ended_and_kept();
    stage.agg.volumes[2].tagged_at = None;
    stage.volumes.clear();
    assert_eq!(stage.step().0, ["prove data volume data gone: not found by its id"]);
}

#[test]
fn the_new_size_of_a_retained_volume_is_reported_and_recorded() {
    let mut stage = ended_and_kept();
    stage.volumes[0].size_bytes = Some(300 * GB);
    assert_eq!(reported(&stage.step().1), ["VOLUME_RESIZED"]);
    let kept = &stage.agg.volumes[2];
    assert_eq!((kept.size_bytes, kept.status), (Some(300 * GB), VolumeStatus::Retained));
    // Attaching it elsewhere is not drift.
    (stage.volumes[0].server_id, stage.volumes[0].state) = (Some("theirs".into()), VolumeState::InUse);
    let (acts, planned) = stage.step();
    assert_eq!(
        (reported(&planned), acts.len(), planned.recorded.volumes[2].status),
        (vec![], 0, VolumeStatus::Retained)
    );
}

#[test]
fn released_volumes_and_duplicates_are_not_checked_for_drift() {
    let mut stage = long_since();
    stage.agg.volumes[2].status = VolumeStatus::Released;
    (stage.volumes[2].name, stage.volumes[2].size_bytes) = ("mine".into(), Some(900 * GB));
    let planned = stage.step().1;
    assert!(!reported(&planned).contains(&"VOLUME_RENAMED") && !reported(&planned).contains(&"VOLUME_RESIZED"));
    let mut stage = long_since();
    stage.agg.servers[0].is_primary = false;
    (stage.servers[0].name, stage.servers[0].state) = ("mine".into(), ServerState::Stopped);
    let planned = stage.step().1;
    assert!(!reported(&planned).contains(&"SERVER_RENAMED") && !reported(&planned).contains(&"SERVER_STOPPED"));
}
