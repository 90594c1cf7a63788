//! Money: integer millionths of a currency unit, never a float.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A price per hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourlyPrice {
    /// Millionths of one unit of `currency`.
    pub micros: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl HourlyPrice {
    /// From the euros per hour in a cloud's JSON, rounded to a millionth.
    #[must_use]
    pub fn from_euros(euros: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^63 millionths")]
        Self { micros: (euros * 1e6).round() as i64, currency: "EUR".to_owned() }
    }
}

impl fmt::Display for HourlyPrice {
    /// With four decimal places, rounded: `1.4699 EUR/h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.micros.saturating_add(50) / 100;
        write!(f, "{}.{:04} {}/h", tenths / 10_000, tenths % 10_000, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn euros_become_whole_millionths() {
        for (euros, micros) in [(0.0, 0), (0.75, 750_000), (2.73, 2_730_000), (0.000_117_6, 118), (88.0, 88_000_000)] {
            let price = HourlyPrice::from_euros(euros);
            assert_eq!((price.micros, price.currency.as_str()), (micros, "EUR"), "{euros}");
        }
    }
}
