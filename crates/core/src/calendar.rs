//! Days and months in UTC, as on the provider's bills.

use crate::time::Timestamp;

/// The length of a day, in microseconds.
pub const DAY_US: i64 = 86_400_000_000;

/// The beginning of the day in UTC that a time is in.
#[must_use]
pub const fn day_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(DAY_US) * DAY_US)
}

/// The month in UTC that a time is in: its beginning and its end.
#[must_use]
pub fn month_of(at: Timestamp) -> (Timestamp, Timestamp) {
    let time = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let first = time.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
    let micros = |date: jiff::civil::Date| {
        date.to_zoned(jiff::tz::TimeZone::UTC).map_or(at, |z| Timestamp(z.timestamp().as_microsecond()))
    };
    (micros(first), first.checked_add(jiff::Span::new().months(1)).map_or(at, micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_that_of_utc() {
        for (at, begin, end) in [
            ("2026-07-30T12:53:14Z", "2026-07-01T00:00:00Z", "2026-08-01T00:00:00Z"),
            ("2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            // Clocks change in Paris.
            ("2026-10-25T00:30:00Z", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ] {
            let parse = |text| Timestamp::parse(text).unwrap();
            assert_eq!(month_of(parse(at)), (parse(begin), parse(end)), "{at}");
        }
    }
}
