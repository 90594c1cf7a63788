//! Tests of `id.rs`.

use super::*;

#[test]
fn ids_sort_as_their_bits_do_and_read_back() {
    let (a, b) = (InstanceId::new(41), InstanceId::new(1 << 90));
    assert!(a < b);
    assert_eq!(InstanceId::parse(a.as_str()), Some(a.clone()));
    assert_eq!(format!("ins-{}", a.body()), a.to_string());
}

#[test]
fn an_id_contains_the_time_at_which_it_was_drawn() {
    for ms in [0, 1, 1_795_722_000_000, (1 << 48) - 1] {
        let least = LogId::first_at(ms);
        let most = LogId::new((u128::from(ms) << 80) + ((1 << 80) - 1));
        assert_eq!((least.drawn_ms(), most.drawn_ms()), (ms, ms));
        assert!(ms == 0 || LogId::new((u128::from(ms) << 80) - 1) < least);
    }
}

#[test]
fn what_is_not_an_id_is_refused() {
    for bad in ["", "ins-", "vol-00000000000000000000000000", "ins-0000000000000000000000000u", "ins-00"] {
        assert_eq!(InstanceId::parse(bad), None, "{bad}");
    }
}
