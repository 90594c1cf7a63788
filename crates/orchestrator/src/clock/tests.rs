//! Tests of `clock.rs`.

use super::*;

#[test]
fn ids_sort_by_the_given_clock_and_never_go_back() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_123_456)));
    let ids = ClockIds::new(clock.clone());
    let first = ids.draw();
    assert_eq!(first >> 80, 1_700_000_000_123, "milliseconds of the clock");
    let mut drawn: Vec<u128> = (0..1000).map(|_| ids.draw()).collect();
    clock.advance_ms(-300_000);
    drawn.extend((0..1000).map(|_| ids.draw()));
    clock.advance_ms(900_000);
    let last = ids.draw();
    drawn.push(last);
    assert!(drawn.iter().zip(drawn.iter().skip(1)).all(|(a, b)| a < b) && first < drawn[0]);
    assert_eq!(last >> 80, 1_700_000_600_123 + 2, "each read of the clock moved it by a microsecond");
}
