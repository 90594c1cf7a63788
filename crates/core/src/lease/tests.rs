//! Tests of `lease.rs`.

use super::*;

#[test]
fn the_budget_is_shared_by_the_work_to_do_and_the_shares_sum_to_one() {
    let held = |zone: &str, holder: &str| Lease { zone: zone.into(), holder: holder.into(), heartbeat: 1 };
    let leases = [held("x", "a"), held("y", "b"), held("z", "b"), held("free", "")];
    let busy: BTreeMap<String, i64> = [("x".into(), 97), ("free".into(), 500)].into();
    let parts = |under_way: &BTreeMap<String, i64>| ["a", "b"].map(|me| share_of_budget(me, &leases, under_way));
    assert_eq!(parts(&busy), [0.98, 0.02]);
    assert!(parts(&BTreeMap::new()).iter().sum::<f64>() - 1.0 < 1e-9);
    assert!((share_of_budget("a", &leases[..1], &busy) - 1.0).abs() < 1e-9, "a single replica has all of it");
    assert!((share_of_budget("nobody", &leases, &BTreeMap::new()) - 0.25).abs() < 1e-9);
    assert!((share_of_budget("a", &[], &busy) - 1.0).abs() < 1e-9);
}

const T: Timestamp = Timestamp(1_000_000_000);
const TERMS: Terms = Terms { lease_ms: 10_000, heartbeat_ms: 3_000, yield_ms: 250 };

fn lease(holder: &str, heartbeat: i64) -> Lease {
    Lease { zone: "z".into(), holder: holder.into(), heartbeat }
}

/// Whether `a` takes the lease at each time, in milliseconds, with the row that is recorded then.
fn moves(watch: &mut Watch, rows: &[(i64, Lease)]) -> Vec<bool> {
    let take = |m: Move| match m {
        Move::Take(_) => true,
        Move::Wait => false,
        Move::Begin | Move::GiveBack(_) => panic!("there is a row, and the cloud responds"),
    };
    rows.iter().map(|(ms, row)| take(watch.decide("a", "z", Some(row), T.plus_ms(*ms), TERMS))).collect()
}

#[test]
fn a_free_lease_is_taken_at_once() {
    let mut watch = Watch::default();
    assert_eq!(watch.decide("a", "z", None, T, TERMS), Move::Begin);
    assert_eq!(watch.decide("a", "z", Some(&lease("", 4)), T, TERMS), Move::Take(lease("", 4)));
}

#[test]
fn a_lease_is_taken_over_only_if_its_heartbeat_stands_still_for_its_length() {
    let still = [(0, lease("b", 1)), (9_999, lease("b", 1)), (10_000, lease("b", 1))];
    assert_eq!(moves(&mut Watch::default(), &still), [false, false, true]);
    let moving = [(0, lease("b", 1)), (9_000, lease("b", 2)), (18_999, lease("b", 2)), (19_000, lease("b", 2))];
    assert_eq!(moves(&mut Watch::default(), &moving), [false, false, false, true]);
    let another = [(0, lease("b", 1)), (9_000, lease("c", 1)), (18_999, lease("c", 1))];
    assert_eq!(moves(&mut Watch::default(), &another), [false, false, false]);
}

#[test]
fn the_holder_renews_its_lease_in_time_and_takes_it_again_after_a_restart() {
    let mut watch = Watch::default();
    assert_eq!(moves(&mut watch, &[(0, lease("a", 7))]), [true], "an earlier run of this process may have taken it");
    watch.took("z", T, TERMS);
    assert_eq!(watch.held(), ["z"]);
    assert!(watch.holds("z", T.plus_ms(9_999)) && !watch.holds("z", T.plus_ms(10_000)));
    assert_eq!(
        moves(&mut watch, &[(1, lease("a", 8)), (3_000, lease("a", 8)), (3_001, lease("a", 8))]),
        [false, false, true]
    );
    watch.lost("z");
    assert!(!watch.holds("z", T) && watch.held().is_empty());
}

#[test]
fn a_replica_without_the_cloud_gives_its_zone_back_and_yields_to_all_others() {
    let mut watch = Watch::default();
    watch.took("z", T, TERMS);
    watch.observed("z", T.plus_ms(1_000), false);
    watch.observed("z", T.plus_ms(2_000), true);
    watch.observed("z", T.plus_ms(5_000), false);
    watch.observed("z", T.plus_ms(9_000), false);
    let at = |watch: &mut Watch, ms, row: &Lease| watch.decide("a", "z", Some(row), T.plus_ms(ms), TERMS);
    assert_eq!(at(&mut watch, 11_000, &lease("a", 3)), Move::Wait, "it was renewed recently");
    assert_eq!(at(&mut watch, 14_999, &lease("a", 3)), Move::Take(lease("a", 3)));
    assert_eq!(at(&mut watch, 15_000, &lease("a", 4)), Move::GiveBack(lease("a", 4)));
    watch.gave_back("z", T.plus_ms(15_000), TERMS);
    assert!(watch.held().is_empty());
    assert_eq!(at(&mut watch, 24_999, &lease("", 5)), Move::Wait);
    assert_eq!(at(&mut watch, 25_000, &lease("", 5)), Move::Take(lease("", 5)), "no other replica took it");
    // After taking it again, the replica has the full length of a lease to observe the cloud.
    watch.took("z", T.plus_ms(25_000), TERMS);
    assert_eq!(at(&mut watch, 25_001, &lease("a", 6)), Move::Wait);
}

#[test]
fn a_holder_yields_free_zones_but_not_expired_ones() {
    let mut watch = Watch::default();
    watch.took("x", T, TERMS);
    watch.took("y", T, TERMS);
    assert_eq!(watch.decide("a", "new", None, T, TERMS), Move::Wait);
    assert_eq!(watch.decide("a", "new", None, T.plus_ms(500), TERMS), Move::Begin);
    let free = [(0, lease("", 1)), (499, lease("", 1)), (500, lease("", 1))];
    assert_eq!(moves(&mut watch, &free), [false, false, true]);
    // An expired lease no longer counts as held.
    assert_eq!(moves(&mut watch, &[(10_000, lease("", 2))]), [true]);
}
