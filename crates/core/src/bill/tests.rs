//! Tests of `bill.rs`.

use super::*;

const OURS: &str = "iva-test-01m8nx48pee0xvgpfqmhj3077s-data-1-d1";

fn line(id: &str, name: &str, kind: BillKind, micros: i64) -> BillLine {
    let (resource_id, resource_name, sku) = (id.to_owned(), name.to_owned(), "sku".to_owned());
    BillLine { resource_id, resource_name, sku, kind, micros, currency: "EUR".into(), until: Some(Timestamp(micros)) }
}

fn counted(id: &str, kind: ChargeKind, micros: i64) -> Counted {
    Counted {
        provider_id: id.to_owned(),
        resource_id: format!("rec-{id}"),
        instance_id: "ins-1".to_owned(),
        kind,
        why: CountedAs::Recorded,
        micros,
        rounding_micros: 0,
        currency: "EUR".to_owned(),
    }
}

/// The findings as `id kind billed/counted finding`, and the sums as `kind billed/counted`.
fn told(c: &Comparison) -> (Vec<String>, Vec<String>) {
    let one =
        |r: &Compared| format!("{} {} {}/{} {}", r.provider_id, r.kind, r.billed_micros, r.counted_micros, r.finding);
    let sum = |k: &KindSum| format!("{} {}/{}", k.kind, k.billed_micros, k.counted_micros);
    (c.resources.iter().map(one).collect(), c.kinds.iter().map(sum).collect())
}

#[test]
fn each_resource_has_one_finding() {
    use BillKind::{Server, Volume};
    let euro = 1_000_000;
    let server = |micros| vec![counted("a", ChargeKind::Server, micros)];
    let orphan = |micros| vec![Counted { why: CountedAs::Orphan, ..server(micros).remove(0) }];
    let once = |micros| vec![Counted { why: CountedAs::OnceOrphan, ..server(micros).remove(0) }];
    let minutes = |micros, rounding_micros| vec![Counted { rounding_micros, ..server(micros).remove(0) }];
    for (lines, counted, findings) in [
        (vec![line("a", OURS, Server, euro)], server(euro), vec!["a server 1000000/1000000 agrees"]),
        // A cent, or one per cent.
        (vec![line("a", OURS, Server, 20_000)], server(10_001), vec!["a server 20000/10001 agrees"]),
        (vec![line("a", OURS, Server, 100 * euro)], server(101 * euro), vec!["a server 100000000/101000000 agrees"]),
        (vec![line("a", OURS, Server, 100 * euro)], server(102 * euro), vec!["a server 100000000/102000000 differs"]),
        (vec![line("a", OURS, Server, 20_001)], server(10_000), vec!["a server 20001/10000 differs"]),
        // Whole minutes are billed: this explains more, and nothing that is missing.
        (vec![line("a", OURS, Server, 40_000)], minutes(10_000, 20_000), vec!["a server 40000/10000 agrees"]),
        (vec![line("a", OURS, Server, 40_001)], minutes(10_000, 20_000), vec!["a server 40001/10000 differs"]),
        (vec![line("a", OURS, Server, 10_000)], minutes(30_000, 20_000), vec!["a server 10000/30000 differs"]),
        // Several lines of one resource count together: each start and stop is billed by itself.
        (
            vec![line("a", OURS, Server, euro), line("a", OURS, Server, euro)],
            server(2 * euro),
            vec!["a server 2000000/2000000 agrees"],
        ),
        // Billed, ours by its name, and not recorded: even if it is cheap.
        (vec![line("b", OURS, Volume, 1)], vec![], vec!["b volume 1/0 not_counted"]),
        // Somebody else's, in name or of another control plane.
        (vec![line("b", "theirs", Volume, euro)], vec![], vec![]),
        (vec![line("b", &OURS.replace("test", "prod"), Volume, euro)], vec![], vec![]),
        (vec![], server(euro), vec!["a server 0/1000000 not_billed"]),
        // Less than a cent may not be billed.
        (vec![], server(CENT), vec![]),
        // That an audit found it does not make it recorded; an instance that adopts it does.
        (vec![line("a", OURS, Server, euro)], orphan(euro), vec!["a server 1000000/1000000 not_counted"]),
        (vec![], orphan(euro), vec![]),
        (
            vec![line("a", OURS, Server, 2 * euro)],
            [server(euro), once(euro)].concat(),
            vec!["a server 2000000/2000000 agrees"],
        ),
        (
            vec![line("a", OURS, Server, 2 * euro)],
            [once(euro), server(euro)].concat(),
            vec!["a server 2000000/2000000 agrees"],
        ),
        (vec![line("a", OURS, Server, euro)], once(euro), vec!["a server 1000000/1000000 not_counted"]),
        (vec![], once(euro), vec![]),
        // It was proven gone, and came back.
        (
            vec![line("a", OURS, Server, 2 * euro)],
            [server(euro), orphan(euro)].concat(),
            vec!["a server 2000000/2000000 not_counted"],
        ),
        (
            vec![line("a", OURS, Server, 2 * euro)],
            [orphan(euro), server(euro)].concat(),
            vec!["a server 2000000/2000000 not_counted"],
        ),
    ] {
        assert_eq!(told(&compare(Some("test"), &lines, &counted)).0, findings, "{lines:?} {counted:?}");
    }
}

#[test]
fn what_may_be_a_leak_is_first_and_sums_are_of_what_is_ours() {
    let lines = [
        line("s", OURS, BillKind::Server, 9_000_000),
        line("leak", OURS, BillKind::Volume, 5),
        line("theirs", "db", BillKind::Server, 70_000_000),
        line("attached", "lent", BillKind::Volume, 3_000_000),
        line("ip-1", "x", BillKind::Address, 40_000),
        line("s", OURS, BillKind::Address, 20_000),
    ];
    let lent = Counted { why: CountedAs::ThirdParty, ..counted("attached", ChargeKind::Volume, 3_000_000) };
    let counted = [
        counted("s", ChargeKind::Server, 5_000_000),
        counted("s", ChargeKind::Address, 55_000),
        counted("v", ChargeKind::Volume, 2_000_000),
        lent,
    ];
    let comparison = compare(Some("test"), &lines, &counted);
    let (findings, sums) = told(&comparison);
    assert_eq!(
        findings,
        ["leak volume 5/0 not_counted", "s server 9000000/5000000 differs", "v volume 0/2000000 not_billed"]
    );
    assert_eq!(sums, ["server 9000000/5000000", "volume 5/2000000", "address 60000/55000"]);
    assert_eq!(comparison.others, BTreeMap::from([("EUR".to_owned(), 73_000_000)]));
    assert_eq!(comparison.billed_until, Some(Timestamp(70_000_000)));
    assert_eq!(comparison.count(BillFinding::NotCounted), 1);
    assert_eq!(compare(Some("test"), &[], &[]), Comparison::default());
    // A database that was lost.
    assert_eq!(told(&compare(None, &lines[1..3], &[])).0, ["leak volume 5/0 not_counted"]);
}

#[test]
fn a_recorded_resource_without_a_price_is_no_leak_and_currencies_are_not_mixed() {
    let unpriced = Counted { currency: String::new(), ..counted("a", ChargeKind::Server, 0) };
    let (findings, _) = told(&compare(Some("test"), &[line("a", OURS, BillKind::Server, 50_000)], &[unpriced]));
    assert_eq!(findings, ["a server 50000/0 differs"]);
    let dollars = BillLine { currency: "USD".into(), ..line("a", OURS, BillKind::Server, 50_000) };
    let (findings, sums) = told(&compare(Some("test"), &[dollars], &[counted("a", ChargeKind::Server, 60_000)]));
    assert_eq!(findings, ["a server 50000/0 not_counted", "a server 0/60000 not_billed"]);
    assert_eq!(sums, ["server 0/60000", "server 50000/0"]);
}

#[test]
fn lines_without_an_id_and_names_that_change_hide_no_leak() {
    let theirs = line("", "theirs", BillKind::Volume, 7_000_000);
    let ours = line("", OURS, BillKind::Volume, 5);
    for lines in [[theirs.clone(), ours.clone()], [ours, theirs]] {
        let comparison = compare(Some("test"), &lines, &[]);
        assert_eq!(told(&comparison).0, [" volume 5/0 not_counted"]);
        assert_eq!(comparison.others, BTreeMap::from([("EUR".to_owned(), 7_000_000)]));
    }
    let before = line("v", "before", BillKind::Volume, 3);
    let after = line("v", OURS, BillKind::Volume, 4);
    for lines in [[before.clone(), after.clone()], [after, before]] {
        assert_eq!(told(&compare(Some("test"), &lines, &[])).0, ["v volume 7/0 not_counted"]);
    }
}

#[test]
fn one_resource_in_two_currencies_is_two_and_an_id_may_have_a_prefix() {
    let mut counted = vec![counted("a", ChargeKind::Server, 60_000), counted("a", ChargeKind::Server, 70_000)];
    counted[1].currency = "USD".into();
    counted.push(Counted { currency: String::new(), micros: 0, ..counted[0].clone() });
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let counted: Vec<Counted> = order.iter().map(|n| counted[*n].clone()).collect();
        let (findings, sums) =
            told(&compare(Some("test"), &[line("fr-par-2/a", OURS, BillKind::Server, 60_000)], &counted));
        assert_eq!(findings, ["a server 0/70000 not_billed", "a server 60000/60000 agrees"], "{order:?}");
        assert_eq!(sums, ["server 60000/60000", "server 0/70000"]);
    }
}

#[test]
fn a_month_is_compared_as_far_as_it_is_billed() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let month = (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    for (billed, now, wanted) in [
        (Some("2026-11-10T05:00:00Z"), "2026-11-10T09:00:00Z", "2026-11-10T05:00:00Z"),
        (Some("2026-11-10T10:00:00Z"), "2026-11-10T09:00:00Z", "2026-11-10T09:00:00Z"),
        (None, "2026-11-10T09:00:00Z", "2026-11-01T00:00:00Z"),
        (Some("2026-11-30T20:00:00Z"), "2026-12-02T00:00:00Z", "2026-11-30T20:00:00Z"),
        (Some("2026-12-01T00:00:00Z"), "2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z"),
        (Some("2026-11-30T20:00:00Z"), "2026-12-04T00:00:01Z", "2026-12-01T00:00:00Z"),
        (None, "2026-12-04T00:00:01Z", "2026-12-01T00:00:00Z"),
    ] {
        assert_eq!(compared_until(month, billed.map(at), at(now)), at(wanted), "{billed:?} {now}");
    }
}
