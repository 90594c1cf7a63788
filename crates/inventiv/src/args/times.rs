//! Durations and times of day, as people give them.

use jiff::civil::Time;
use jiff::{Timestamp, ToSpan, Zoned};

/// A duration such as `90s`, `30m`, `8h` or `2d`, in seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(*unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
        number.parse::<i64>().ok()?.checked_mul(*seconds)
    });
    parsed.filter(|s| *s > 0).ok_or_else(|| "must look like 90s, 30m, 8h or 2d".to_owned())
}

/// A time such as `18:00` or `2026-07-30T18:00:00Z`, in seconds from now on.
pub(super) fn until(text: &str) -> Result<i64, String> {
    seconds_until(text, &Zoned::now())
}

/// A time of day is the next one in the time zone of `now`.
fn seconds_until(text: &str, now: &Zoned) -> Result<i64, String> {
    let of_day = |time: Time| {
        let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
        let next = || now.date().checked_add(1.day()).ok()?.to_datetime(time).to_zoned(now.time_zone().clone()).ok();
        if today > *now { Some(today) } else { next() }
    };
    let is_of_day = text.len() <= 8 && text.contains(':');
    let of_day = || text.parse::<Time>().ok().filter(|_| is_of_day).and_then(of_day).map(|z| z.timestamp());
    let at = text.parse::<Timestamp>().ok().or_else(of_day);
    let at = at.ok_or_else(|| "must look like 18:00 or 2026-07-30T18:00:00Z".to_owned())?;
    let seconds = at.as_second() - now.timestamp().as_second();
    if seconds > 0 { Ok(seconds) } else { Err("is in the past".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        for (text, n) in [("1s", 1), ("30m", 1_800), ("8h", 28_800), ("2d", 172_800)] {
            assert_eq!(seconds(text), Ok(n));
        }
        for text in ["", "s", "0s", "5", "-1m", "1.5h", "1 h", "99999999999999999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-07-30T12:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        for (text, hours) in [
            ("14:30", 0.5),
            ("18:00", 4.0),
            ("14:00", 24.0),
            ("13:00", 23.0),
            ("18:00:00", 4.0),
            ("2026-07-30T18:00:00Z", 6.0),
            ("2026-07-31T14:00:00+02:00", 24.0),
        ] {
            let seconds = seconds_until(text, &now).unwrap();
            assert!((f64::from(i32::try_from(seconds).unwrap()) / 3_600.0 - hours).abs() < 1e-9, "{text}: {seconds}");
        }
        for text in ["", "25:00", "6pm", "tomorrow", "2026-07-30T11:59:59Z", "18"] {
            assert!(seconds_until(text, &now).is_err(), "{text}");
        }
    }
}
