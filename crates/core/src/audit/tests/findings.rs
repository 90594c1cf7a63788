//! What a finding says, and what is counted.

use super::*;

/// A finding as an operator reads it.
fn read(f: &Finding) -> String {
    let owner = f.instance_id.as_ref().map_or("nobody", |i| if *i == instance().instance.id { "n" } else { "another" });
    let (kind, known) = (f.kind.text(), if f.known { "known" } else { "unknown" });
    let cost = f.hourly_micros.map_or("?".to_owned(), |m| m.to_string());
    format!("{kind} {} {} of {owner} ({known}), {cost}: {} → {}", f.resource, f.provider_id, f.why, f.remedy)
}

#[test]
fn a_finding_shows_its_instance_its_price_the_evidence_and_the_remedy() {
    const LATE: &str =
        "a late arrival of an abandoned attempt → nothing: its instance removes it at the next observation";
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
             delete it: it may be in use. `inventiv recover --from-provider CONTROL_PLANE --apply` records it; then it can be \
             terminated"
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
        lost: None,
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
    let words: Vec<&str> = FindingKind::ALL.iter().map(|k| k.text()).collect();
    assert_eq!(words, ["orphan", "suspect", "missing", "conflict"]);
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
