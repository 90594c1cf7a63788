//! Calendar months (UTC): what old lines of the action log are let go by.

use crate::id::LogId;
use crate::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use std::fmt;

/// A calendar month, UTC. Months sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// The month of a moment; `None` where no calendar reaches.
    #[must_use]
    pub fn of(at: Timestamp) -> Option<Self> {
        let at = jiff::Timestamp::from_microsecond(at.0).ok()?;
        Some(Self(Offset::UTC.to_datetime(at).date().first_of_month()))
    }

    /// The month in which an id of the action log was drawn; `None` where no calendar reaches.
    #[must_use]
    pub fn of_log(id: &LogId) -> Option<Self> {
        Self::of(Timestamp::default().plus_ms(i64::try_from(id.drawn_ms()).ok()?))
    }

    /// The month that begins when this one ends; `None` at the end of the calendar.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.last_of_month().tomorrow().ok().map(Self)
    }

    /// When it begins.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        let at = Offset::UTC.to_timestamp(self.0.to_datetime(jiff::civil::Time::midnight()));
        Timestamp(at.map_or(0, jiff::Timestamp::as_microsecond))
    }

    /// Ids of the action log that are drawn earlier sort before this one, all others do not.
    #[must_use]
    pub fn first_log(self) -> LogId {
        LogId::first_at(u64::try_from(self.begins().0 / 1000).unwrap_or_default())
    }

    /// Year and month, for instance `2026_11`: the end of a name in a database.
    #[must_use]
    pub fn suffix(self) -> String {
        format!("{:04}_{:02}", self.0.year(), self.0.month())
    }

    /// Reads [`Month::suffix`] back.
    #[must_use]
    pub fn parse(suffix: &str) -> Option<Self> {
        let (year, month) = suffix.split_once('_')?;
        let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return None;
        }
        Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok().map(Self)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// The first moment of the month that contains `at`: what is older belongs to months that are wholly older than `at`.
#[must_use]
pub fn begin_of_month(at: Timestamp) -> Timestamp {
    Month::of(at).map_or(at, Month::begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_moment_belongs_to_its_month_in_utc() {
        for (moment, month, next) in [
            ("2026-11-26T19:39:53Z", "2026-11", "2026-12"),
            ("2026-11-01T00:00:00Z", "2026-11", "2026-12"),
            ("2026-11-01T00:30:00+01:00", "2026-10", "2026-11"),
            ("2026-12-31T23:59:59.999999Z", "2026-12", "2027-01"),
            ("2028-02-29T12:00:00Z", "2028-02", "2028-03"),
            ("1970-01-01T00:00:00Z", "1970-01", "1970-02"),
        ] {
            let is = Month::of(at(moment)).unwrap();
            assert_eq!(
                (is.to_string(), is.next().unwrap().to_string()),
                (month.to_owned(), next.to_owned()),
                "{moment}"
            );
            assert!(is.begins() <= at(moment) && at(moment) < is.next().unwrap().begins(), "{moment}");
            assert_eq!(begin_of_month(at(moment)), is.begins());
        }
    }

    #[test]
    fn ids_fall_into_the_month_they_are_drawn_in() {
        let month = Month::parse("2026_11").unwrap();
        let ms = u64::try_from(month.begins().0 / 1000).unwrap();
        for (drawn, most_random, belongs) in [(ms - 1, true, "2026-10"), (ms, false, "2026-11"), (ms, true, "2026-11")]
        {
            let bits = u128::from(drawn) << 80 | if most_random { (1 << 80) - 1 } else { 0 };
            let id = LogId::new(bits);
            assert_eq!(Month::of_log(&id).unwrap().to_string(), belongs);
            assert_eq!(id < month.first_log(), belongs == "2026-10", "{id}");
        }
        assert_eq!(Month::of_log(&LogId::new(41)), Month::parse("1970_01"));
        assert_eq!(Month::of_log(&LogId::new(u128::MAX)), None, "the year 10889");
    }

    #[test]
    fn names_read_back_and_others_do_not() {
        let month = Month::of(at("2026-03-05T00:00:00Z")).unwrap();
        assert_eq!(month.suffix(), "2026_03");
        assert_eq!(Month::parse("2026_03"), Some(month));
        for other in
            ["", "2026", "2026_3", "2026_13", "2026_00", "26_03", "2026-03", "+026_03", "unsorted", "2026_03_01"]
        {
            assert_eq!(Month::parse(other), None, "{other}");
        }
    }

    #[test]
    fn where_the_calendar_ends_nothing_breaks() {
        assert_eq!(Month::of(Timestamp(i64::MAX)), None);
        assert_eq!(begin_of_month(Timestamp(i64::MIN)), Timestamp(i64::MIN));
        assert_eq!(Month::parse("9999_12").unwrap().next(), None);
    }
}
