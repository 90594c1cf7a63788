//! What each observation is worth, at the edges of the consistency window.

use super::stale::{WINDOW_MS, ended, ready};
use super::*;
use crate::plan::Plan;
use crate::recorded::{PendingFact, PendingObservation, Proof, Volume};
use crate::time::Timestamp;

/// The plan from an observation that began so many milliseconds after `since`.
fn after(stage: &mut Stage, since: Timestamp, ms: i64) -> Plan {
    stage.now = since.plus_ms(ms);
    let observed = stage.observe();
    stage.context(|agg, cx| plan(agg, &observed, cx))
}

/// The row of the data volume, whatever its state.
fn row(stage: &mut Stage) -> &mut Volume {
    stage.agg.volumes.iter_mut().find(|v| v.provider_id.as_deref() == Some("data")).unwrap()
}

fn texts(planned: &Plan) -> Vec<&str> {
    planned.events.iter().map(|e| e.text.as_str()).collect()
}

#[test]
fn what_was_proven_gone_is_there_again_if_a_read_shows_it_that_cannot_be_stale() {
    for (ms, again) in [(WINDOW_MS, false), (WINDOW_MS + 1, true)] {
        let (mut stage, servers, volumes) = ended();
        let (server, volume) = (servers[0].clone(), volumes[2].clone());
        let asked = |p: &Option<Proof>| p.as_ref().map(|p| p.asked_at).unwrap();
        let since = asked(&stage.agg.servers[0].proof);
        stage.servers = vec![server];
        let planned = after(&mut stage, since, ms);
        assert_eq!(planned.recorded.servers[0].is_live(), again, "server, {ms}");
        if again {
            assert_eq!(texts(&planned)[0], "the server was proven gone, and is shown again: it is deleted again");
        }
        let (mut stage, ..) = ended();
        let since = asked(&row(&mut stage).proof);
        stage.volumes = vec![volume];
        let planned = after(&mut stage, since, ms);
        let row = planned.recorded.volumes.iter().find(|v| v.provider_id.as_deref() == Some("data")).unwrap();
        assert_eq!((row.is_live(), row.proof.is_none()), (again, again), "volume, {ms}");
        if again {
            assert_eq!(texts(&planned)[0], "the volume was proven gone, and is shown again: it is deleted again");
            assert_eq!(planned.recorded.instance.status, Status::Terminating);
        }
    }
    // A third party's, or one whose deletion was never requested here, is not deleted.
    let (mut stage, _, volumes) = ended();
    row(&mut stage).origin = Origin::Foreign;
    let since = row(&mut stage).proof.as_ref().unwrap().asked_at;
    stage.volumes = vec![volumes[2].clone()];
    let planned = after(&mut stage, since, 10 * WINDOW_MS);
    assert_eq!((planned.recorded.instance.status, texts(&planned)), (Status::Terminated, vec![]));
    let mut stage = ready();
    let row = row(&mut stage);
    (row.status, row.deleted_at, row.proof) = (VolumeStatus::Deleted, Some(T0), Some(proof_of("data")));
    let now = stage.now;
    let planned = after(&mut stage, now, 1);
    assert_eq!(texts(&planned)[0], "the volume was proven gone, and is shown again");
}

#[test]
fn an_accepted_deletion_stays_evidence_while_the_volume_is_not_shown() {
    for (shown, ms, counts) in [(true, WINDOW_MS, true), (true, WINDOW_MS + 1, false), (false, 10 * WINDOW_MS, true)] {
        let mut stage = ready();
        stage.cancel();
        let sent = stage.now;
        let row = row(&mut stage);
        (row.delete_intended_at, row.delete_sent_at, row.delete_accepted_at) = (Some(sent), Some(sent), Some(sent));
        stage.volumes.retain(|v| shown || v.id != "data");
        let planned = after(&mut stage, sent, ms);
        let row = planned.recorded.data_volume().unwrap();
        assert_eq!(row.delete_accepted_at.is_some(), counts, "{shown} {ms}");
    }
}

#[test]
fn a_proof_is_confirmed_by_a_listing_that_began_after_its_time_and_does_not_show_it() {
    let confirmed = |planned: &Plan| {
        let proofs: Vec<bool> = planned.recorded.proofs().map(|p| p.confirmed_at.is_some()).collect();
        assert!(!proofs.is_empty());
        proofs
    };
    let (mut stage, _, volumes) = ended();
    let latest = stage.agg.proofs().filter_map(|p| p.confirm_after).max().unwrap();
    let first = stage.agg.proofs().filter_map(|p| p.confirm_after).min().unwrap();
    assert!(!confirmed(&after(&mut stage, first, 0)).contains(&true), "at that time, it may be stale");
    assert!(!confirmed(&after(&mut stage, latest, 1)).contains(&false));
    // A listing that is not complete confirms nothing.
    stage.now = latest.plus_ms(1);
    let observed = Observed { listed: false, ..stage.observe() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    assert!(!confirmed(&planned).contains(&true));
    // A third party's volume that is shown is not confirmed as gone, and is not reopened.
    row(&mut stage).origin = Origin::Foreign;
    stage.volumes = vec![volumes[2].clone()];
    let planned = after(&mut stage, latest, 1);
    let of_data = planned.recorded.volumes.iter().find(|v| v.origin == Origin::Foreign).unwrap();
    assert!(of_data.proof.as_ref().unwrap().is_provisional());
}

fn pending(what: PendingFact, since: Timestamp) -> Option<PendingObservation> {
    Some(PendingObservation { what, since, first: None })
}

#[test]
fn an_absence_is_pending_from_the_first_complete_listing_that_could_have_shown_it() {
    let old = |now: Timestamp| pending(PendingFact::Absent, now.plus_ms(-7));
    for is_server in [true, false] {
        // Shown, known for so many milliseconds, in a complete listing, going; then what is pending.
        for (shown, known_ms, listed, going, before, new) in [
            (false, 1, true, false, false, true),
            (false, 0, true, false, false, false),
            (false, 1, false, false, false, false),
            (false, 1, true, true, false, false),
            (false, 1, true, false, true, false),
            (false, 1, false, false, true, false),
            (false, 1, true, true, true, false),
        ] {
            let mut stage = ready();
            let now = stage.now;
            let known = now.plus_ms(-known_ms);
            if is_server {
                stage.servers.clear();
                let row = &mut stage.agg.servers[0];
                row.answered_at = Some(known);
                row.pending_observation = if before { old(now) } else { None };
                row.delete_intended_at = going.then_some(now);
            } else {
                stage.volumes.retain(|v| v.id != "data");
                let row = row(&mut stage);
                row.answered_at = Some(known);
                row.pending_observation = if before { old(now) } else { None };
                row.delete_intended_at = going.then_some(now);
            }
            let observed = Observed { listed, ..stage.observe() };
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            let found = if is_server {
                planned.recorded.servers[0].pending_observation.clone()
            } else {
                planned.recorded.data_volume().unwrap().pending_observation.clone()
            };
            let wanted = match (before, new) {
                (true, _) => old(now),
                (false, true) => pending(PendingFact::Absent, now),
                (false, false) => None,
            };
            assert_eq!(found, wanted, "{is_server} {shown} {known_ms} {listed} {going} {before}");
        }
        // Shown again: nothing is pending.
        let mut stage = ready();
        let now = stage.now;
        stage.agg.servers[0].pending_observation = old(now);
        row(&mut stage).pending_observation = old(now);
        let planned = after(&mut stage, now, 1);
        assert_eq!(planned.recorded.servers[0].pending_observation, None);
        assert_eq!(planned.recorded.data_volume().unwrap().pending_observation, None);
    }
}

#[test]
fn a_broken_volume_is_pending_at_once_and_fails_the_instance_after_the_window() {
    let broken = |stage: &mut Stage| {
        let seen = stage.volumes.iter_mut().find(|v| v.id == "data").unwrap();
        (seen.state, seen.server_id, seen.attachment_settled) = (VolumeState::Error, None, false);
        stage.servers[0].attachments.retain(|a| a.volume_id != "data");
        stage.agg.instance.up_at = None;
    };
    for (before, ms, listed, fails) in [
        (None, 1, true, false),
        (None, 1, false, false),
        (Some(PendingFact::Absent), WINDOW_MS + 1, true, false),
        (Some(PendingFact::Broken), WINDOW_MS, true, false),
        (Some(PendingFact::Broken), WINDOW_MS + 1, true, true),
    ] {
        let mut stage = ready();
        broken(&mut stage);
        let since = stage.now;
        row(&mut stage).pending_observation = before.and_then(|what| pending(what, since));
        stage.now = since.plus_ms(ms);
        let observed = Observed { listed, ..stage.observe() };
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        let failure = planned.recorded.instance.failure.as_ref().map(|f| f.code.as_str());
        assert_eq!(failure, fails.then_some("volume_error"), "{before:?} {ms} {planned}");
        let noted = planned.recorded.data_volume().and_then(|v: &Volume| v.pending_observation.clone()).unwrap();
        let since = if before == Some(PendingFact::Broken) { since } else { stage.now };
        assert_eq!((noted.what, noted.since), (PendingFact::Broken, since), "{before:?} {ms}");
    }
    // Reads that are never stale need no second observation.
    let mut stage = ready();
    stage.stale_ms = 0;
    broken(&mut stage);
    let now = stage.now;
    assert!(after(&mut stage, now, 1).recorded.instance.failure.is_some());
}

#[test]
fn an_absence_is_checked_more_than_the_window_after_it_began_or_was_last_checked() {
    for (first, ms, asks) in [
        (false, WINDOW_MS, false),
        (false, WINDOW_MS + 1, true),
        (true, WINDOW_MS + 1, false),
        (true, WINDOW_MS + 6, true),
    ] {
        let mut stage = ready();
        stage.servers.clear();
        let since = stage.now;
        let checked = Proof { asked_at: since.plus_ms(5), ..proof_of("s1") };
        stage.agg.servers[0].pending_observation =
            Some(PendingObservation { what: PendingFact::Absent, since, first: first.then_some(checked) });
        let planned = after(&mut stage, since, ms);
        assert_eq!(does(&planned, "prove server s1 gone: not found by its id"), asks, "{first} {ms} {planned}");
        assert_eq!(notes(&planned).contains("may be a stale read"), !asks, "{first} {ms} {planned}");
    }
}

#[test]
fn a_policy_in_the_cloud_is_newer_only_for_volumes_that_exist_and_are_ours() {
    use crate::plan::newer_policy;
    use crate::recorded::CloudPolicy;
    type Change = fn(&mut Volume);
    let (keep, delete) =
        (Some(CloudPolicy { delete: false, version: 2 }), Some(CloudPolicy { delete: true, version: 2 }));
    // The recorded volume says *delete*, version 2, unless it is changed.
    type Case = (&'static str, Change, (bool, u32), Option<CloudPolicy>);
    let cases: [Case; 9] = [
        ("the same", |_| {}, (true, 2), None),
        ("keep, same version", |_| {}, (false, 2), keep),
        ("keep in both", |v| v.delete_on_terminate = false, (false, 2), None),
        ("older", |_| {}, (false, 1), None),
        ("newer", |v| v.policy_version = 1, (true, 2), delete),
        ("retained", |v| (v.policy_version, v.status) = (1, VolumeStatus::Retained), (true, 2), delete),
        ("gone", |v| (v.policy_version, v.status) = (1, VolumeStatus::Deleted), (true, 2), None),
        ("given away", |v| (v.policy_version, v.status) = (1, VolumeStatus::Reused), (true, 2), None),
        ("a third party's", |v| (v.policy_version, v.origin) = (1, Origin::Foreign), (true, 2), None),
    ];
    for (what, change, (delete, version), wanted) in cases {
        let mut stage = ready();
        let v = row(&mut stage);
        v.policy_version = 2;
        change(v);
        let v = v.clone();
        let name = crate::name::CloudName { delete, policy_version: version, ..stage.agg.volume_name(&v, "test") };
        let shown = observed_volume("data", &name.text(), "sbs_volume", None);
        assert_eq!(newer_policy(&v, &shown, "test"), wanted, "{what}");
        assert_eq!(newer_policy(&v, &shown, "another"), None, "{what}: of another control plane");
    }
}

#[test]
fn a_local_volume_is_proven_gone_with_its_server_once_a_later_listing_shows_neither() {
    for (local, shown, server_shown, ms, at_once) in [
        (true, false, false, 1, true),
        (true, false, false, 0, false),
        (true, false, true, 1, false),
        (true, true, false, 1, false),
        (false, false, false, 1, false),
    ] {
        let mut stage = super::remove_server::ending();
        let sent = stage.now;
        stage.agg.servers[0].delete_intended_at = Some(sent);
        stage.agg.servers[0].delete_sent_at = Some(sent);
        stage.servers[0].state = ServerState::Stopping;
        stage.servers[0].attachments.clear();
        stage.servers.retain(|_| server_shown);
        let id = if local { "scr" } else { "data" };
        stage.volumes.retain(|v| shown && v.id == id);
        for v in &mut stage.volumes {
            (v.state, v.server_id) = (VolumeState::InUse, Some("s1".into()));
        }
        let planned = after(&mut stage, sent, ms);
        let what = if local { "volume scr" } else { "data volume data" };
        let prove = format!("prove {what} gone: not found by its id");
        assert_eq!(does(&planned, &prove), at_once, "{local} {shown} {server_shown} {ms}: {planned}");
    }
}

#[test]
fn an_absence_that_nobody_requested_is_checked_a_second_time_after_the_window() {
    // The volume came with a duplicate server that is gone.
    for (ms, asks) in [(WINDOW_MS, false), (WINDOW_MS + 1, true)] {
        let mut stage = ready();
        let duplicate = ServerId::new(77);
        let primary = stage.agg.servers[0].clone();
        let gone = (Some(T0), Some(T0), Some(proof_of("s2")));
        let mut server = crate::recorded::Server { id: duplicate.clone(), is_primary: false, attempt: 2, ..primary };
        server.provider_id = Some("s2".into());
        (server.gone_at, server.delete_sent_at, server.proof) = gone;
        stage.agg.servers.push(server);
        let since = stage.now;
        stage.agg.volumes.push(Volume {
            server_id: Some(duplicate),
            volume_type: volume_type("sbs_volume"),
            tagged_at: Some(T0),
            pending_observation: pending(PendingFact::Absent, since),
            ..Volume::found(VolumeId::new(70), "boot2".into(), T0)
        });
        let planned = after(&mut stage, since, ms);
        assert_eq!(does(&planned, "prove volume boot2 gone: not found by its id"), asks, "{ms}: {planned}");
    }
}

#[test]
fn a_name_that_says_keep_is_corrected_before_a_deletion_unless_that_is_refused_again_and_again() {
    for (refusals, marks) in [(0, true), (1, true), (4, true), (5, false), (6, false)] {
        let mut stage = super::remove_server::server_gone();
        stage.agg.volumes.retain(|v| v.origin == Origin::Ours);
        stage.volumes.retain(|v| v.id == "data");
        let v = row(&mut stage);
        v.delete_on_terminate = true;
        (v.policy_version, v.tagged_at) = (1, None);
        let v = v.clone();
        let says = crate::name::CloudName { delete: false, policy_version: 0, ..stage.agg.volume_name(&v, "test") };
        stage.volumes[0].name = says.text();
        let at = stage.now;
        row(&mut stage).retry = (refusals > 0).then(|| {
            let error = CallError { kind: ErrorKind::Conflict, effect: Effect::None, message: "no".into() };
            crate::recorded::Retry { count: refusals, not_before: at, error, call: None }
        });
        let planned = after(&mut stage, at, 1);
        assert_eq!(does(&planned, "set our name and tags on data volume data"), marks, "{refusals}: {planned}");
        assert_eq!(does(&planned, "delete data volume data"), !marks, "{refusals}: {planned}");
    }
}
