//! Times as the API writes them.

use inventiv_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use utoipa::ToSchema;

/// A time: RFC 3339 in UTC with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-07-30T12:53:14.344463Z")]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => self.0.fmt(f),
        }
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Timestamp::parse(&text).map(Self).ok_or_else(|| D::Error::custom("must be a time in RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_microseconds_and_read_back() {
        let time = Time(Timestamp(1_785_415_994_344_463));
        let text = serde_json::to_string(&time).unwrap_or_default();
        assert_eq!(text, r#""2026-07-30T12:53:14.344463Z""#);
        assert_eq!(serde_json::from_str::<Time>(&text).ok(), Some(time));
        assert!(serde_json::from_str::<Time>(r#""yesterday""#).is_err());
    }
}
