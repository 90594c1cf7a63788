//! Tests of `cost.rs`.

use super::*;

#[test]
fn a_time_is_a_date_a_time_or_a_duration() {
    let at = |text| Timestamp::parse(text).unwrap();
    let now = at("2026-07-30T12:00:00Z");
    for (text, wanted) in [
        ("2026-07-01", "2026-07-01T00:00:00Z"),
        ("2026-07-01T08:00:00+02:00", "2026-07-01T06:00:00Z"),
        ("7d", "2026-07-23T12:00:00Z"),
        ("90s", "2026-07-30T11:58:30Z"),
    ] {
        assert_eq!(when(text).map(|w| w.at(now)), Ok(at(wanted)), "{text}");
    }
    for text in ["", "yesterday", "2026-13-01", "7", "-1d", "9999999999999d"] {
        assert!(when(text).is_err_and(|e| e.contains("7d")), "{text}");
    }
}
