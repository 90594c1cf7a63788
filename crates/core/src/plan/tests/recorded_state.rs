//! What an observation changes on rows that exist: abandoned creations, states of servers and volumes.

use super::record_observation::{name, volume};
use super::*;
use crate::name::Role;
use crate::recorded::{Proof, Retry, Volume};

#[test]
fn a_creation_is_abandoned_only_after_a_complete_listing_begun_after_its_grace() {
    let grace = 600_000;
    for (complete, ms, answered, abandoned) in [
        (true, grace, None, false),
        (true, grace + 1, None, true),
        (false, grace + 1, None, false),
        (true, grace + 1, Some(1), false),
        (true, grace + 2, Some(1), true),
    ] {
        let mut stage = Stage::new();
        let planned = stage.step().1;
        stage.create(&planned.actions[0]);
        stage.step();
        stage.agg.servers[0].gone_at = Some(T0);
        stage.agg.servers[0].proof = Some(proof_of("s1"));
        let start = stage.now;
        let mut open = stage.agg.servers[0].clone();
        (open.id, open.name, open.attempt) = (ServerId::new(60), name(Role::Server, 2, true).text(), 2);
        (open.provider_id, open.gone_at, open.proof) = (None, None, None::<Proof>);
        (open.create_state, open.intended_at) = (CreateState::Unconfirmed, start);
        open.answered_at = answered.map(|ms| start.plus_ms(ms));
        stage.agg.servers.push(open);
        let data = stage.agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours).unwrap();
        (data.create_state, data.created_at) = (CreateState::Unconfirmed, start);
        data.answered_at = answered.map(|ms| start.plus_ms(ms));
        let observed = Observed { began_at: start.plus_ms(ms), complete, ..stage.observe() };
        stage.now = start.plus_ms(ms + 5);
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        let server = planned.recorded.servers.iter().find(|s| s.attempt == 2).unwrap();
        let data = planned.recorded.volumes.iter().find(|v| v.origin == Origin::Ours).unwrap();
        let case = format!("{complete} {ms} {answered:?}");
        assert_eq!(server.create_state == CreateState::Abandoned, abandoned, "{case}");
        assert_eq!(data.create_state == CreateState::Abandoned, abandoned, "{case}");
        assert_eq!(data.status == VolumeStatus::Failed, abandoned, "{case}");
        let reported = planned.events.iter().filter(|e| e.kind.text() == "ATTEMPT_ABANDONED").count();
        assert_eq!(reported, if abandoned { 2 } else { 0 }, "{case}");
    }
}

#[test]
fn the_observed_state_of_a_server_is_recorded() {
    for (state, intended) in [
        (ServerState::Stopped, false),
        (ServerState::Starting, true),
        (ServerState::StoppedInPlace, true),
        (ServerState::Other("melting".into()), true),
    ] {
        let mut stage = Stage::ready();
        stage.agg.servers[0].start_intended_at = None;
        stage.servers[0].state = state.clone();
        stage.servers[0].addresses = vec!["9.9.9.9".into()];
        let planned = upon(&mut stage);
        let row = &planned.recorded.servers[0];
        assert_eq!(row.state.as_deref(), Some(state.text()));
        assert_eq!(row.start_intended_at, intended.then_some(stage.now), "{state:?}");
        assert_eq!(planned.recorded.instance.ip_address.as_deref(), Some("9.9.9.9"));
    }
    let mut stage = Stage::ready();
    stage.agg.servers[0].is_primary = false;
    stage.servers[0].addresses = vec!["9.9.9.9".into()];
    assert_eq!(
        upon(&mut stage).recorded.instance.ip_address.as_deref(),
        Some("1.2.3.4"),
        "the address of a duplicate is not recorded"
    );
    let mut stage = Stage::ready();
    stage.servers[0].addresses = Vec::new();
    assert_eq!(upon(&mut stage).recorded.instance.ip_address.as_deref(), Some("1.2.3.4"), "the last address stays");
}

#[test]
fn a_volumes_status_follows_from_observation_and_requests() {
    type Before = fn(&mut Volume);
    let nothing: Before = |_| {};
    let deleting: Before = |v| v.delete_sent_at = Some(T0);
    let intended: Before = |v| v.delete_intended_at = Some(T0);
    let detaching: Before = |v| v.detach_sent_at = Some(T0);
    type Case = (&'static str, Before, VolumeState, Option<&'static str>, bool, VolumeStatus);
    let sent: Before = |v| v.attach_sent_at = Some(T0);
    let cases: [Case; 11] = [
        ("requested, and not shown yet", sent, VolumeState::Available, None, false, VolumeStatus::Attaching),
        ("deleted", deleting, VolumeState::Available, None, false, VolumeStatus::Deleting),
        ("about to be deleted", intended, VolumeState::InUse, Some("s1"), true, VolumeStatus::Deleting),
        ("being created", nothing, VolumeState::Creating, None, false, VolumeStatus::Creating),
        ("detaching", detaching, VolumeState::InUse, Some("s1"), true, VolumeStatus::Detaching),
        ("attached", nothing, VolumeState::InUse, Some("s1"), true, VolumeStatus::Attached),
        ("being attached", nothing, VolumeState::InUse, Some("s1"), false, VolumeStatus::Attaching),
        ("attached while being created", nothing, VolumeState::Creating, Some("s1"), true, VolumeStatus::Attached),
        ("free", nothing, VolumeState::Available, None, false, VolumeStatus::Available),
        ("free after a detachment", detaching, VolumeState::Available, None, false, VolumeStatus::Available),
        ("on another server", nothing, VolumeState::InUse, Some("s9"), true, VolumeStatus::Attaching),
    ];
    for (what, before, state, on, settled, wanted) in cases {
        let mut stage = Stage::ready();
        let row = stage.agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours).unwrap();
        (row.status, row.attached_at, row.attach_sent_at) = (VolumeStatus::Attaching, None, None);
        row.retry = Some(Retry { count: 1, not_before: T0, error: lost(), call: None });
        before(row);
        let seen = &mut stage.volumes[2];
        (seen.state, seen.server_id, seen.attachment_settled) = (state, on.map(str::to_owned), settled);
        let planned = upon(&mut stage);
        let row = volume(&planned, "data");
        assert_eq!(row.status, wanted, "{what}");
        let attached = wanted == VolumeStatus::Attached;
        assert_eq!(row.attached_at, attached.then_some(stage.now), "{what}");
        assert_eq!(row.retry.is_none(), attached, "{what}: it is attached, whatever the response was");
    }
    // Attached as before: the refusal of another call stays.
    let mut stage = Stage::ready();
    let (first, retry) = (stage.now, Retry { count: 1, not_before: T0, error: lost(), call: None });
    let row = stage.agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours).unwrap();
    (row.status, row.attached_at, row.retry) = (VolumeStatus::Attached, Some(first), Some(retry));
    let planned = upon(&mut stage);
    assert_eq!((volume(&planned, "data").attached_at, volume(&planned, "data").retry.is_some()), (Some(first), true));
}
