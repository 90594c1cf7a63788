//! Points in time: UTC, whole microseconds, so that both databases store them exactly.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus `ms` milliseconds (negative: before).
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// Whole milliseconds from `earlier` to this moment.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// Parses RFC 3339 text, as clouds write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} microseconds", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_of_the_clouds_notations_are_read() {
        let block = Timestamp::parse("2026-07-30T12:53:14.344463Z").map(|t| t.0);
        let instance = Timestamp::parse("2026-07-30T12:53:14.344463+00:00").map(|t| t.0);
        assert_eq!(block, Some(1_785_415_994_344_463));
        assert_eq!(block, instance);
        assert_eq!(Timestamp(1_785_415_994_344_463).to_string(), "2026-07-30T12:53:14.344Z");
    }
}
