//! The audit as a table: what the cloud shows on the left, what is concluded on the right.

mod findings;

use super::*;
use crate::name::CloudName;
use crate::observed::{Attachment, ServerState, VolumeState};
use crate::plan::tests::{T0, gone_server, instance, owned_volume, profile, volume_type};
use crate::recorded::{Server, Volume};
use crate::status::{CreateState, Origin, Status, VolumeStatus};

const BEGAN: Timestamp = Timestamp(2_000_000_000_000);

fn server(id: &str, name: &str) -> ObservedServer {
    ObservedServer {
        id: id.into(),
        name: name.into(),
        state: ServerState::Running,
        allowed: Vec::new(),
        attachments: Vec::new(),
        addresses: Vec::new(),
        foreign_addresses: Vec::new(),
        image_name: None,
        instance_type: None,
        tags: CloudName::parse(name).map(|n| n.tags()).unwrap_or_default(),
        created_at: None,
    }
}

fn volume(id: &str, name: &str) -> ObservedVolume {
    ObservedVolume {
        id: id.into(),
        name: name.into(),
        volume_type: volume_type("sbs_volume"),
        size_bytes: Some(10_000_000_000),
        perf_iops: None,
        state: VolumeState::Available,
        server_id: None,
        attachment_settled: true,
        tags: CloudName::parse(name).map(|n| n.tags()).unwrap_or_default(),
        created_at: Some(BEGAN.plus_ms(-100_000)),
    }
}

fn inventory(servers: Vec<ObservedServer>, volumes: Vec<ObservedVolume>) -> ZoneInventory {
    ZoneInventory { began_at: BEGAN, complete: true, hidden: None, blocks_hidden: None, servers, volumes }
}

/// A living instance with server `s-1` and boot volume `v-1`.
fn living() -> Aggregate {
    let mut agg = instance();
    let proof = crate::recorded::Proof {
        resource_id: String::new(),
        asked: String::new(),
        asked_at: BEGAN,
        answer: String::new(),
        request_id: None,
        absent_from_listing_begun_at: None,
        confirm_after: None,
        confirmed_at: None,
    };
    let gone = gone_server(proof);
    agg.servers.push(Server { gone_at: None, proof: None, delete_intended_at: None, delete_sent_at: None, ..gone });
    agg.volumes.push(Volume { volume_type: volume_type("sbs_volume"), ..owned_volume() });
    agg
}

fn ours(role: &str) -> String {
    format!("iva-test-{}-{role}-1-d", instance().instance.id.body())
}

fn kinds(report: &Report) -> Vec<(FindingKind, &str)> {
    report.findings.iter().map(|f| (f.kind, f.provider_id.as_str())).collect()
}

#[test]
fn each_resource_is_claimed_retained_foreign_or_a_finding() {
    use FindingKind::{Conflict, Missing, Orphan, Suspect};
    let ended = |change: fn(&mut Aggregate)| {
        let mut agg = living();
        agg.instance.status = Status::Terminated;
        agg.instance.terminated_at = Some(BEGAN.plus_ms(-4_000));
        agg.servers[0].gone_at = Some(BEGAN.plus_ms(-60_001));
        agg.volumes[0].status = VolumeStatus::Deleted;
        agg.volumes[0].deleted_at = Some(BEGAN.plus_ms(-60_001));
        change(&mut agg);
        agg
    };
    type Case = (&'static str, ZoneInventory, Vec<Aggregate>, Vec<(FindingKind, &'static str)>, (usize, usize, usize));
    let automatic_volume = |id: &str| volume(id, "Ubuntu 24.04_sbs_volume_0");
    let held_by = |id: &str, on: &str| ObservedVolume { server_id: Some(on.into()), ..automatic_volume(id) };
    let mut carrier = server("s-1", &ours("server"));
    carrier.attachments.push(Attachment {
        index: 1,
        volume_id: "v-9".into(),
        volume_type: volume_type("sbs_volume"),
        boot: false,
        name: None,
        size_bytes: None,
    });
    let cases: Vec<Case> = vec![
        (
            "as recorded",
            inventory(vec![server("s-1", "x")], vec![volume("v-1", "y")]),
            vec![living()],
            vec![],
            (2, 0, 0),
        ),
        (
            "a third party's",
            inventory(vec![server("s-7", "web")], vec![volume("v-7", "db")]),
            vec![],
            vec![],
            (0, 0, 2),
        ),
        (
            "a third party's, with a name like ours and without our tags",
            inventory(vec![], vec![ObservedVolume { tags: Vec::new(), ..volume("v-7", &ours("data")) }]),
            vec![],
            vec![(Suspect, "v-7")],
            (0, 0, 0),
        ),
        (
            "ours, and retained by a decision that the records have lost",
            inventory(
                vec![server("s-1", "x")],
                vec![volume("v-1", &ours("data").replace("-d", "-k3").replace("-k3ata", "-data"))],
            ),
            vec![living()],
            vec![(Conflict, "v-1")],
            (1, 0, 0),
        ),
        (
            "another control plane's",
            inventory(vec![server("s-7", &ours("server").replace("-test-", "-prod-"))], vec![]),
            vec![],
            vec![],
            (0, 0, 1),
        ),
        (
            "ours by name, its instance lives: adopted at the next observation",
            inventory(vec![server("s-1", ""), server("s-2", &ours("server"))], vec![volume("v-1", "")]),
            vec![{
                let mut agg = living();
                agg.servers[0].name = ours("server");
                agg
            }],
            vec![],
            (3, 0, 0),
        ),
        (
            "ours by name, its instance lives, and that attempt was never recorded",
            inventory(vec![server("s-1", ""), server("s-2", &ours("server"))], vec![volume("v-1", "")]),
            vec![living()],
            vec![(Orphan, "s-2")],
            (2, 0, 0),
        ),
        (
            "ours by name, its instance was never recorded",
            inventory(vec![server("s-2", &ours("server"))], vec![volume("v-2", &ours("data"))]),
            vec![],
            vec![(Orphan, "s-2"), (Orphan, "v-2")],
            (0, 0, 0),
        ),
        (
            "ours by name, its instance has ended",
            inventory(vec![], vec![volume("v-2", &ours("data"))]),
            vec![ended(|_| {})],
            vec![(Orphan, "v-2")],
            (0, 0, 0),
        ),
        (
            "proven gone, and shown again",
            inventory(vec![server("s-1", "x")], vec![volume("v-1", "y")]),
            vec![ended(|_| {})],
            vec![(Orphan, "s-1"), (Orphan, "v-1")],
            (0, 0, 0),
        ),
        (
            "proven gone shortly before the listing began: the listing may be stale",
            inventory(vec![server("s-1", "x")], vec![volume("v-1", "y")]),
            vec![ended(|a| {
                a.servers[0].gone_at = Some(BEGAN.plus_ms(-60_000));
                a.volumes[0].deleted_at = Some(BEGAN.plus_ms(-60_000));
            })],
            vec![],
            (2, 0, 0),
        ),
        (
            "proven gone only after the listing began",
            inventory(vec![server("s-1", "x")], vec![volume("v-1", "y"), volume("v-2", &ours("data"))]),
            vec![ended(|a| {
                a.instance.terminated_at = Some(BEGAN);
                a.servers[0].gone_at = Some(BEGAN);
                a.volumes[0].deleted_at = Some(BEGAN);
            })],
            vec![],
            (3, 0, 0),
        ),
        (
            "retained on purpose",
            inventory(vec![], vec![volume("v-1", "y")]),
            vec![ended(|a| a.volumes[0].status = VolumeStatus::Retained)],
            vec![],
            (0, 1, 0),
        ),
        (
            "retained on purpose, and gone",
            inventory(vec![], vec![]),
            vec![ended(|a| a.volumes[0].status = VolumeStatus::Retained)],
            vec![(Missing, "v-1")],
            (0, 0, 0),
        ),
        (
            "the server is gone",
            inventory(vec![], vec![volume("v-1", "y")]),
            vec![living()],
            vec![(Missing, "s-1")],
            (1, 0, 0),
        ),
        (
            "being removed",
            inventory(vec![], vec![]),
            vec![{
                let mut agg = living();
                agg.servers[0].delete_intended_at = Some(BEGAN);
                agg.volumes[0].delete_intended_at = Some(BEGAN);
                agg
            }],
            vec![],
            (0, 0, 0),
        ),
        (
            "recorded only after the listing began",
            inventory(vec![], vec![]),
            vec![{
                let mut agg = living();
                agg.servers[0].answered_at = Some(BEGAN);
                agg.volumes[0].answered_at = Some(BEGAN);
                agg
            }],
            vec![],
            (0, 0, 0),
        ),
        (
            "created together with our server, attached to nothing",
            inventory(vec![], vec![automatic_volume("v-5")]),
            vec![],
            vec![(Suspect, "v-5")],
            (0, 0, 0),
        ),
        (
            "the same, on a third party's server",
            inventory(vec![server("s-7", "web")], vec![held_by("v-5", "s-7")]),
            vec![],
            vec![],
            (0, 0, 2),
        ),
        (
            "not recorded yet, on our server",
            inventory(vec![carrier], vec![volume("v-1", "y"), held_by("v-9", "s-1")]),
            vec![living()],
            vec![],
            (3, 0, 0),
        ),
    ];
    let creation = ServerCreation {
        instance_id: InstanceId::new(3),
        name: "iva-test-x".into(),
        from: BEGAN.plus_ms(-101_000),
        until: Some(BEGAN.plus_ms(-99_000)),
        lost: None,
    };
    for (what, inventory, records, findings, counts) in cases {
        let report = audit(&inventory, &records, std::slice::from_ref(&creation), &profile(), "test");
        assert_eq!(report.inconclusive, None, "{what}");
        assert_eq!(kinds(&report), findings, "{what}: {report:#?}");
        assert_eq!((report.claimed, report.retained, report.foreign), counts, "{what}");
        assert_eq!(report.shown, inventory.servers.len() + inventory.volumes.len(), "{what}");
    }
}

#[test]
fn a_suspect_was_created_together_with_one_of_our_servers() {
    let volume = volume("v-5", "Ubuntu 24.04_sbs_volume_0");
    let at = volume.created_at.unwrap_or_default();
    let found = |from: i64, until: Option<i64>| {
        let creation = ServerCreation {
            instance_id: InstanceId::new(3),
            name: "n".into(),
            from: at.plus_ms(from),
            until: until.map(|u| at.plus_ms(u)),
            lost: None,
        };
        audit(&inventory(vec![], vec![volume.clone()]), &[], &[creation], &profile(), "test").findings.len()
    };
    assert_eq!(found(-1_000, Some(1_000)), 1);
    assert_eq!(found(MADE_WITH_MS, Some(MADE_WITH_MS)), 1, "clocks differ");
    assert_eq!(found(MADE_WITH_MS + 1, None), 0, "before");
    assert_eq!(found(-900_000, Some(-MADE_WITH_MS - 1)), 0, "after");
    assert_eq!(found(-900_000, None), 1, "its response has not come yet");
}

#[test]
fn a_server_that_may_have_come_from_a_lost_creation_is_a_suspect() {
    let at = BEGAN.plus_ms(-100_000);
    let lost = ServerCreation {
        instance_id: InstanceId::new(3),
        name: "iva-lost".into(),
        from: at.plus_ms(-2_000),
        until: Some(at.plus_ms(1_000)),
        lost: Some("L40S-1-48G".into()),
    };
    let renamed = || ObservedServer {
        instance_type: Some("L40S-1-48G".into()),
        created_at: Some(at),
        ..server("s-9", "renamed by hand")
    };
    type Change = fn(&mut ObservedServer, &mut ServerCreation);
    let cases: [(&str, Change, usize); 8] = [
        ("renamed", |_, _| {}, 1),
        ("another type", |s, _| s.instance_type = Some("L4-1-24G".into()), 0),
        ("a type that is not shown", |s, _| s.instance_type = None, 0),
        ("a time that is not shown", |s, _| s.created_at = None, 0),
        ("created long before", |s, c| s.created_at = Some(c.from.plus_ms(-MADE_WITH_MS - 1)), 0),
        ("created long after", |s, c| s.created_at = c.until.map(|t| t.plus_ms(MADE_WITH_MS + 1)), 0),
        ("the creation had an outcome", |_, c| c.lost = None, 0),
        ("a person said that it is not ours", |s, _| s.tags.push("inventiv-foreign".into()), 0),
    ];
    for (what, change, suspects) in cases {
        let (mut seen, mut creation) = (renamed(), lost.clone());
        change(&mut seen, &mut creation);
        let report = audit(&inventory(vec![seen], vec![]), &[], &[creation], &profile(), "test");
        assert_eq!(report.findings.len(), suspects, "{what}: {report:#?}");
        assert_eq!(report.foreign, 1 - suspects, "{what}");
        if let [found] = report.findings.as_slice() {
            assert_eq!((found.kind, &found.instance_id), (FindingKind::Suspect, &Some(InstanceId::new(3))));
            assert!(found.why.contains("iva-lost") && found.remedy.contains("inventiv-foreign"), "{found:#?}");
        }
    }
}

#[test]
fn it_cannot_say_rather_than_say_nothing_is_wrong() {
    let incomplete = ZoneInventory { complete: false, ..inventory(vec![], vec![]) };
    assert!(audit(&incomplete, &[], &[], &profile(), "test").inconclusive.is_some());
    // Two instances are recorded, and none of their four resources is shown.
    let other =
        Aggregate { instance: crate::recorded::Instance { id: InstanceId::new(8), ..instance().instance }, ..living() };
    let nothing_seen =
        audit(&inventory(vec![server("s-7", "web")], vec![]), &[living(), other], &[], &profile(), "test");
    assert!(nothing_seen.inconclusive.is_some() && nothing_seen.findings.is_empty(), "{nothing_seen:?}");
}

#[test]
fn records_that_look_older_than_the_cloud_are_reported() {
    let report = audit(&inventory(vec![server("s-2", &ours("server"))], vec![]), &[], &[], &profile(), "test");
    assert!(report.records_look_rolled_back);
    assert!(report.findings[0].remedy.contains("recover"), "{report:?}");
    let mut agg = living();
    agg.instance.status = Status::Terminated;
    agg.instance.terminated_at = Some(BEGAN.plus_ms(-1));
    (agg.servers, agg.volumes) = (Vec::new(), Vec::new());
    let report = audit(&inventory(vec![server("s-2", &ours("server"))], vec![]), &[agg], &[], &profile(), "test");
    assert!(!report.records_look_rolled_back && report.findings.len() == 1);
}
