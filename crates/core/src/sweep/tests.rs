//! When an orphan is deleted, and when it must not be.

use super::*;
use crate::plan::Rules;
use crate::plan::tests::{gone_server, instance, profile, volume_type};
use crate::recorded::Proof;

const NOW: Timestamp = Timestamp(50_000_000_000);

fn orphan(n: usize) -> Finding {
    Finding {
        kind: FindingKind::Orphan,
        resource: ResourceKind::Server,
        provider_id: format!("s-{n}"),
        name: format!("iva-test-{}-server-{n}-d", InstanceId::new(7).body()),
        size_bytes: None,
        created_at: None,
        instance_id: Some(InstanceId::new(7)),
        known: true,
        hourly_micros: None,
        costs: None,
        why: "test".into(),
        remedy: String::new(),
    }
}

fn report(orphans: usize, claimed: usize) -> Report {
    let findings = (0..orphans).map(orphan).collect();
    Report { inconclusive: None, claimed, findings, ..Report::inconclusive(NOW, "") }
}

fn held(n: usize, until: Timestamp) -> Quarantined {
    let f = orphan(n);
    Quarantined {
        provider_id: f.provider_id,
        resource: f.resource,
        name: f.name,
        instance_id: InstanceId::new(7),
        found_at: Timestamp(0),
        until,
    }
}

#[test]
fn an_orphan_is_deleted_only_after_its_quarantine_and_if_it_is_still_one() {
    let limits = Limits::default();
    let decide = |report: &Report, held: &[Quarantined], policy| sweep(report, held, policy, limits, NOW);
    assert_eq!(decide(&report(1, 9), &[], Policy::Report), Sweep::default(), "the policy is to report");
    let first = decide(&report(1, 9), &[], Policy::Delete);
    assert_eq!((first.quarantine.len(), first.take.len(), first.frozen), (1, 0, None));
    assert_eq!(first.quarantine[0].until, NOW.plus_ms(3_600_000));
    let early = decide(&report(1, 9), &[held(0, NOW.plus_ms(1))], Policy::Delete);
    assert_eq!((early.quarantine.len(), early.take.len()), (0, 0), "it is in quarantine already, and not long enough");
    let due = decide(&report(1, 9), &[held(0, NOW)], Policy::Report);
    assert_eq!(due.take.len(), 1, "an orphan in quarantine is deleted under either policy");
    let claimed = decide(&report(0, 9), &[held(0, NOW)], Policy::Delete);
    assert_eq!((claimed.release.len(), claimed.take.len()), (1, 0));
}

#[test]
fn it_is_frozen_while_inconclusive_or_rolled_back_or_too_much_would_be_deleted() {
    let due: Vec<Quarantined> = (0..30).map(|n| held(n, NOW)).collect();
    let limits = Limits::default();
    let cases: [(&str, Report, usize, &str); 6] = [
        ("inconclusive", Report::inconclusive(NOW, "no credentials"), 1, "no credentials"),
        ("rolled back", Report { records_look_rolled_back: true, ..report(1, 9) }, 1, "inventiv recover"),
        ("a fifth of all", report(3, 9), 3, "looks like a mistake"),
        ("two of ten", report(2, 8), 2, ""),
        ("more than ten", report(11, 900), 11, "more than 10"),
        ("one is always allowed", report(1, 0), 1, ""),
    ];
    for (what, report, n, why) in cases {
        let got = sweep(&report, &due[..n], Policy::Delete, limits, NOW);
        let text = got.frozen.clone().unwrap_or_default();
        assert!(text.contains(why) && got.frozen.is_some() != why.is_empty(), "{what}: {got:?}");
        assert_eq!(got.take.len(), if why.is_empty() { n } else { 0 }, "{what}");
        assert_eq!(got.quarantine, [], "{what}");
    }
    let unknown = Report { findings: vec![Finding { known: false, ..orphan(0) }], ..report(0, 9) };
    let got = sweep(&unknown, &[], Policy::Delete, limits, NOW);
    assert_eq!(got.quarantine, [], "an orphan without a known instance is never put in quarantine");
}

#[test]
fn an_orphan_that_is_taken_becomes_a_row_that_is_deleted() {
    let mut agg = instance();
    let proof = Proof {
        resource_id: "s-1".into(),
        asked: String::new(),
        asked_at: NOW,
        answer: String::new(),
        request_id: None,
        absent_from_listing_begun_at: None,
        confirm_after: None,
        confirmed_at: None,
    };
    agg.servers.push(gone_server(proof));
    let seen = |id: &str| crate::recover::tests::server(id, "", crate::observed::ServerState::Running, &[]);
    let inventory = ZoneInventory {
        began_at: NOW,
        complete: true,
        hidden: None,
        blocks_hidden: None,
        servers: vec![seen("s-1"), seen("s-2")],
        volumes: vec![],
    };
    let (rules, mut ids) = (Rules::default(), || 77);
    let mut cx = Context { now: NOW, rules: &rules, profile: &profile(), control_plane: "test", ids: &mut ids };
    assert!(take(&mut agg, &held(1, NOW), &inventory, &mut cx));
    assert!(
        agg.servers[0].is_live() && !agg.servers[0].is_primary && agg.servers[0].proof.is_none(),
        "recorded as gone"
    );
    assert!(!take(&mut agg, &held(1, NOW), &inventory, &mut cx), "it is claimed now");
    assert!(take(&mut agg, &held(2, NOW), &inventory, &mut cx));
    assert_eq!((agg.servers.len(), agg.servers[1].attempt, agg.servers[1].is_primary), (2, 2, false));
    assert!(!take(&mut agg, &held(3, NOW), &inventory, &mut cx), "it is not shown any more");
    assert!(!agg.instance.settled);
}

#[test]
fn an_orphan_whose_quarantine_ended_long_ago_is_quarantined_anew() {
    let limits = Limits::default();
    for (late_ms, takes) in [(0, true), (limits.quarantine_ms, true), (limits.quarantine_ms + 1, false)] {
        let old = held(0, NOW.plus_ms(-late_ms));
        let got = sweep(&report(1, 9), std::slice::from_ref(&old), Policy::Report, limits, NOW);
        assert_eq!(got.take.len(), usize::from(takes), "{late_ms}");
        let again = Quarantined { found_at: NOW, until: NOW.plus_ms(limits.quarantine_ms), ..old };
        assert_eq!(got.quarantine, if takes { vec![] } else { vec![again] }, "{late_ms}");
    }
}

#[test]
fn what_is_in_quarantine_is_not_added_again_and_counts_among_ours() {
    let limits = Limits { max: 100, percent: 50, ..Limits::default() };
    let got = sweep(&report(2, 0), &[held(0, NOW.plus_ms(1))], Policy::Delete, limits, NOW);
    assert_eq!(got.quarantine.iter().map(|q| q.provider_id.as_str()).collect::<Vec<_>>(), ["s-1"]);
    // Half of all claimed, retained and orphaned resources together may be deleted.
    let due: Vec<Quarantined> = (0..3).map(|n| held(n, NOW)).collect();
    for (claimed, retained, goes) in [(1, 2, true), (3, 0, true), (0, 3, true), (1, 1, false)] {
        let report = Report { retained, ..report(3, claimed) };
        let got = sweep(&report, &due, Policy::Delete, limits, NOW);
        assert_eq!((got.take.len() == 3, got.frozen.is_none()), (goes, goes), "{claimed} {retained}");
    }
}

fn observed_volume(id: &str, name: &str) -> crate::observed::ObservedVolume {
    crate::plan::tests::observed_volume(id, name, "sbs_volume", None)
}

#[test]
fn a_volume_that_is_taken_becomes_a_row_with_the_role_and_policy_of_its_name() {
    let (rules, mut ids) = (Rules::default(), || 77);
    let mut cx = Context { now: NOW, rules: &rules, profile: &profile(), control_plane: "test", ids: &mut ids };
    for (role, delete, origin) in
        [(Role::Data, true, Origin::Ours), (Role::Data, false, Origin::Ours), (Role::Boot, true, Origin::Cloud)]
    {
        let name = CloudName {
            control_plane: "test".into(),
            instance: InstanceId::new(7),
            role,
            attempt: 3,
            delete,
            policy_version: 0,
        };
        let name = name.text();
        let orphan = Quarantined { provider_id: "v-9".into(), name: name.clone(), ..held(0, NOW) };
        let mut other = observed_volume("v-8", "x");
        other.volume_type = volume_type("l_ssd");
        let volumes = vec![other, observed_volume("v-9", &name)];
        let inventory = ZoneInventory {
            began_at: NOW,
            complete: true,
            hidden: None,
            blocks_hidden: None,
            servers: vec![],
            volumes,
        };
        let mut agg = instance();
        agg.instance.settled = true;
        assert!(take(&mut agg, &orphan, &inventory, &mut cx));
        assert_eq!((agg.instance.settled, agg.instance.wake_at), (false, NOW));
        let wanted = crate::recorded::Volume {
            id: VolumeId::new(77),
            volume_type: volume_type("sbs_volume"),
            name,
            origin,
            delete_on_terminate: delete,
            attempt: 3,
            tagged_at: Some(NOW),
            ..Volume::found(VolumeId::new(77), "v-9".into(), NOW)
        };
        assert_eq!(agg.volumes, std::slice::from_ref(&wanted));
        assert!(!take(&mut agg, &orphan, &inventory, &mut cx), "it is claimed now");
        // Recorded as gone: the row is live again, with its policy.
        let row = &mut agg.volumes[0];
        (row.status, row.deleted_at, row.delete_sent_at) = (VolumeStatus::Deleted, Some(NOW), Some(NOW));
        row.proof = Some(crate::plan::tests::proof_of("v-9"));
        assert!(take(&mut agg, &orphan, &inventory, &mut cx));
        assert_eq!(agg.volumes, [wanted]);
        let elsewhere = Quarantined { provider_id: "v-7".into(), ..orphan };
        assert!(!take(&mut agg, &elsewhere, &inventory, &mut cx), "it is not shown");
    }
    // A name that is not ours: the volume counts as created by the cloud, and is deleted.
    let inventory = ZoneInventory {
        began_at: NOW,
        complete: true,
        hidden: None,
        blocks_hidden: None,
        servers: vec![],
        volumes: vec![observed_volume("v-9", "x")],
    };
    let orphan = Quarantined { provider_id: "v-9".into(), name: "x".into(), ..held(0, NOW) };
    let mut agg = instance();
    assert!(take(&mut agg, &orphan, &inventory, &mut cx));
    let row = &agg.volumes[0];
    assert_eq!((row.origin, row.delete_on_terminate, row.attempt), (Origin::Cloud, true, 1));
}
