//! Tests of `lease.rs`.

use super::*;

#[test]
fn a_hint_that_comes_too_early_is_kept_and_not_forgotten() {
    let at = |ms: i64| Timestamp(ms * 1_000);
    // The last read, whether a hint came since, the time, and the milliseconds until the next read.
    for (last, heard, now, due) in [
        (None, false, 0, 0),
        (Some(0), false, 10, 990),
        (Some(0), true, 10, 90),
        (Some(0), true, 100, 0),
        (Some(0), false, 1_000, 0),
        (Some(0), false, 5_000, 0),
    ] {
        let rounds = Rounds { last: last.map(at), heard };
        assert_eq!(rounds.due_in_ms(at(now), 1_000), due, "{last:?} {heard} {now}");
    }
}
