//! The audit as a table: what the cloud shows on the left, what is concluded on the right.

use super::*;
use crate::name::CloudName;
use crate::observed::{Attachment, ServerState, VolumeState};
use crate::plan::tests::{T0, gone_server, instance, owned_volume, profile, volume_type};
use crate::recorded::{Server, Volume};
use crate::status::Status;
use crate::status::{CreateState, Origin, VolumeStatus};

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
        agg.servers[0].gone_at = Some(BEGAN.plus_ms(-5_000));
        agg.volumes[0].status = VolumeStatus::Deleted;
        agg.volumes[0].deleted_at = Some(BEGAN.plus_ms(-5_000));
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

/// A finding as an operator reads it.
fn read(f: &Finding) -> String {
    let owner = f.instance_id.as_ref().map_or("nobody", |i| if *i == instance().instance.id { "n" } else { "another" });
    let (kind, known) = (f.kind.text(), if f.known { "known" } else { "unknown" });
    let cost = f.hourly_micros.map_or("?".to_owned(), |m| m.to_string());
    format!("{kind} {} {} of {owner} ({known}), {cost}: {} → {}", f.resource, f.provider_id, f.why, f.remedy)
}

#[test]
fn a_finding_shows_its_instance_its_price_the_evidence_and_the_remedy() {
    const LATE: &str = "a late arrival of an abandoned attempt → nothing: its instance removes it at the next observation";
    const ENDED: &str = "it carries the name of an instance that has ended → nothing, if the next audit no longer finds it; \
                         otherwise run `inventiv audit --fix`: its instance observes it again";
    let ended = |change: fn(&mut Aggregate)| {
        let mut agg = living();
        agg.instance.status = Status::Terminated;
        agg.instance.terminated_at = Some(BEGAN.plus_ms(-4_000));
        agg.servers[0].gone_at = Some(BEGAN.plus_ms(-5_000));
        agg.servers[0].name = ours("server");
        agg.volumes[0].name = ours("data");
        (agg.volumes[0].status, agg.volumes[0].deleted_at) = (VolumeStatus::Deleted, Some(BEGAN.plus_ms(-5_000)));
        change(&mut agg);
        agg
    };
    let local = ObservedVolume { volume_type: volume_type("l_ssd"), ..volume("v-2", &ours("extra")) };
    let late_server = inventory(vec![server("s-2", &ours("server"))], vec![]);
    let late_volume = inventory(vec![], vec![volume("v-2", &ours("data"))]);
    let cases: Vec<(&str, ZoneInventory, Aggregate, String)> = vec![
        (
            "a server whose attempt was abandoned",
            late_server.clone(),
            ended(|a| a.servers[0].create_state = CreateState::Abandoned),
            format!("orphan server s-2 of n (known), ?: {LATE}"),
        ),
        (
            "another server's attempt was abandoned",
            late_server.clone(),
            ended(|a| {
                let other = Server { name: "x".into(), create_state: CreateState::Abandoned, ..a.servers[0].clone() };
                a.servers.push(other);
            }),
            format!("orphan server s-2 of n (known), ?: {ENDED}"),
        ),
        (
            "a volume whose attempt was abandoned",
            late_volume.clone(),
            ended(|a| a.volumes[0].create_state = CreateState::Abandoned),
            format!("orphan volume v-2 of n (known), 1300: {LATE}"),
        ),
        (
            "another volume's attempt was abandoned",
            late_volume.clone(),
            ended(|a| {
                let other = Volume { name: "x".into(), create_state: CreateState::Abandoned, ..a.volumes[0].clone() };
                a.volumes.push(other);
            }),
            format!("orphan volume v-2 of n (known), 1300: {ENDED}"),
        ),
        ("a local volume", inventory(vec![], vec![local]), ended(|_| {}), format!("orphan volume v-2 of n (known), ?: {ENDED}")),
        (
            "an unrecorded attempt of an instance that has ended",
            inventory(vec![server("s-2", &ours("server").replace("-1-d", "-5-d"))], vec![]),
            ended(|_| {}),
            "orphan server s-2 of n (known), ?: it carries our name, with an attempt that was never recorded → check it; \
             `inventiv audit --fix --policy delete` deletes it after an hour of quarantine"
                .to_owned(),
        ),
        (
            "an unrecorded instance",
            inventory(vec![], vec![volume("v-2", &ours("data"))]),
            Aggregate { instance: crate::recorded::Instance { id: InstanceId::new(8), ..instance().instance }, ..instance() },
            "orphan volume v-2 of n (unknown), 1300: it carries our name, and its instance was never recorded here → do not \
             delete it: it may be in use. `inventiv recover --from-provider` records it; then it can be terminated"
                .to_owned(),
        ),
        (
            "deleted by a third party",
            inventory(vec![server("s-1", "x")], vec![]),
            living(),
            "missing volume v-1 of n (known), ?: it is recorded as existing, but no longer shown; a third party may have deleted \
             it → run `inventiv explain` for the instance: it shows what is being done"
                .to_owned(),
        ),
        (
            "retained, and deleted by a third party",
            inventory(vec![], vec![]),
            ended(|a| a.volumes[0].status = VolumeStatus::Retained),
            "missing volume v-1 of n (known), ?: it was retained on purpose, but is no longer shown; a third party may have \
             deleted it → if nobody needs it, run `inventiv volume release`: its absence is then proven and recorded"
                .to_owned(),
        ),
    ];
    for (what, inventory, agg, expected) in cases {
        let report = audit(&inventory, &[agg], &[], &profile(), "test");
        assert_eq!(report.findings.iter().map(read).collect::<Vec<_>>(), [expected], "{what}");
    }
}

#[test]
fn a_suspect_names_the_server_that_it_was_created_with() {
    let seen = volume("v-5", "Ubuntu 24.04_sbs_volume_0");
    let creation = ServerCreation {
        instance_id: instance().instance.id,
        name: "iva-x".into(),
        from: BEGAN.plus_ms(-100_500),
        until: None,
    };
    let report = audit(&inventory(vec![], vec![seen]), &[], &[creation], &profile(), "test");
    let reported: Vec<String> = report.findings.iter().map(read).collect();
    let expected = "suspect volume v-5 of n (known), 1300: it has an automatic name of the cloud, is attached to no server, and was \
                    created together with server iva-x → check it: delete it in the provider's console (the control plane never \
                    does), or rename it if it is not ours";
    assert_eq!(reported, [expected]);
}

#[test]
fn a_volume_on_our_server_is_claimed_whichever_of_the_two_shows_the_attachment() {
    let attachment = |id: &str| Attachment {
        index: 1,
        volume_id: id.into(),
        volume_type: volume_type("sbs_volume"),
        boot: false,
        name: None,
        size_bytes: None,
    };
    let (mut carrier, mut foreign) = (server("s-1", "x"), server("s-7", "web"));
    carrier.attachments.push(attachment("v-8"));
    foreign.attachments.push(attachment("v-6"));
    let on = |id: &str, on: &str| ObservedVolume { server_id: Some(on.into()), ..volume(id, "some name") };
    let shown = inventory(
        vec![foreign, carrier],
        vec![
            volume("v-1", "y"),
            volume("v-8", "by the server alone"),
            on("v-9", "s-1"),
            volume("v-6", ""),
            on("v-5", "s-7"),
        ],
    );
    let report = audit(&shown, &[living()], &[], &profile(), "test");
    // The server, its boot volume, and the two attached volumes. The other server with its two volumes is foreign.
    assert_eq!((report.claimed, report.foreign, report.findings.len()), (4, 3, 0), "{report:#?}");
}

#[test]
fn a_local_volume_is_not_missing_while_its_server_is_removed() {
    let missing = |change: fn(&mut Aggregate)| {
        let mut agg = living();
        change(&mut agg);
        let report = audit(&inventory(vec![], vec![]), &[agg], &[], &profile(), "test");
        report.findings.iter().map(|f| f.provider_id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(missing(|_| {}), ["s-1", "v-1"]);
    assert_eq!(missing(|a| a.servers[0].delete_intended_at = Some(BEGAN)), ["v-1"], "a block volume stays behind");
    let local = |a: &mut Aggregate| a.volumes[0].volume_type = volume_type("scratch");
    assert_eq!(missing(local), ["s-1", "v-1"]);
    let going = |a: &mut Aggregate| {
        a.volumes[0].volume_type = volume_type("scratch");
        a.servers[0].delete_intended_at = Some(BEGAN);
    };
    assert!(missing(going).is_empty(), "a local volume is deleted with it");
    let gone = |a: &mut Aggregate| {
        a.volumes[0].volume_type = volume_type("scratch");
        (a.servers[0].delete_intended_at, a.servers[0].gone_at) = (Some(T0), Some(T0));
    };
    assert_eq!(missing(gone), ["v-1"], "the server is gone, and the volume should still exist");
    assert_eq!(missing(|a| a.volumes[0].origin = Origin::Foreign), ["s-1"], "a third party's volume may disappear");
    assert_eq!(missing(|a| a.volumes[0].delete_intended_at = Some(BEGAN)), ["s-1"]);
}

#[test]
fn the_words_are_the_same_in_tables_metrics_and_json() {
    for kind in FindingKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.text());
    }
    assert_eq!(FindingKind::ALL.map(FindingKind::text), ["orphan", "suspect", "missing", "conflict"]);
}

#[test]
fn retained_volumes_are_counted_with_their_price() {
    let mut agg = living();
    agg.instance.status = Status::Terminated;
    agg.servers[0].gone_at = Some(BEGAN.plus_ms(-5_000));
    agg.volumes[0].status = VolumeStatus::Retained;
    let kept = ObservedVolume { size_bytes: Some(10_000_000_001), ..volume("v-1", "y") };
    let report = audit(&inventory(vec![], vec![kept]), &[agg], &[], &profile(), "test");
    // 11 GB at 130 micro-euros an hour.
    assert_eq!((report.retained, report.retained_hourly_micros), (1, 1_430));
}
