//! Tests of `listen.rs`.

use super::*;

#[test]
fn a_network_of_ipv6_counts_as_one_address() {
    let of = |text: &str| counted_as(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
}

#[test]
fn places_are_counted_by_address_and_in_all_and_come_back() {
    let counted = Arc::new(Mutex::new(Counted::default()));
    let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
    let [a, b] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
    let first = Slot::take(&counted, a, &limits).unwrap();
    let _second = Slot::take(&counted, a, &limits).unwrap();
    assert!(Slot::take(&counted, a, &limits).is_none(), "of one address");
    let third = Slot::take(&counted, b, &limits).unwrap();
    assert!(Slot::take(&counted, b, &limits).is_none(), "in all");
    drop(third);
    assert_eq!(counted.lock().by_address.len(), 1);
    drop(first);
    assert!(Slot::take(&counted, a, &limits).is_some() && Slot::take(&counted, b, &limits).is_some());
}
