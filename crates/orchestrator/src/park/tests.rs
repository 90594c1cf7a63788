//! Tests of `park.rs`.

use super::*;

#[test]
fn many_waiting_instances_are_due_at_the_same_times() {
    let at = |ms: i64| next_on_grid(Timestamp(ms * 1_000), 1_000).0 / 1_000;
    assert_eq!([at(10_000), at(10_400), at(10_499)], [11_000; 3]);
    assert_eq!([at(10_500), at(10_900), at(11_499)], [12_000; 3]);
}
