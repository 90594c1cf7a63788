//! Money: integer millionths of a currency unit, never a float.

use crate::snapshots::SnapshotKind;
use serde::{Deserialize, Serialize};

/// What a GB of block storage costs an hour in Paris, in micro-euros, by its speed in operations per second: Scaleway's price
/// page of 2026-09-26 (0.000130 € and 0.000177 €). By speed, the slowest first.
const BLOCK_GB_HOUR_MICROS: [(i64, i64); 2] = [(5_000, 130), (15_000, 177)];

/// What so many GB of block storage of a speed cost an hour, in micro-euros. A speed that is not known is the cloud's default,
/// the slowest; one between two classes costs what the faster class costs.
#[must_use]
pub fn block_hourly_micros(gb: i64, perf_iops: Option<i64>) -> i64 {
    let [(slowest, _), (_, dearest)] = BLOCK_GB_HOUR_MICROS;
    let iops = perf_iops.unwrap_or(slowest);
    let price = BLOCK_GB_HOUR_MICROS.iter().find(|(speed, _)| iops <= *speed).map_or(dearest, |(_, micros)| *micros);
    gb.saturating_mul(price)
}

/// What so many GB of snapshots cost an hour, in micro-euros: 0.000044 € on block storage by the price list of 2025, 0.000049 €
/// of local volumes by the product catalogue.
#[must_use]
pub const fn snapshot_hourly_micros(gb: i64, kind: SnapshotKind) -> i64 {
    gb.saturating_mul(match kind {
        SnapshotKind::Block => 44,
        SnapshotKind::Local => 49,
    })
}

/// A price per hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourlyPrice {
    /// Millionths of one unit of `currency`.
    pub micros: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl HourlyPrice {
    /// Euros per hour as a cloud's JSON number gives them, rounded to a millionth.
    #[must_use]
    pub fn from_euros(euros: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^63 millionths")]
        Self { micros: (euros * 1e6).round() as i64, currency: "EUR".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_storage_is_priced_by_its_speed() {
        for (gb, iops, micros) in [
            (0, None, 0),
            (1, None, 130),
            (200, Some(5_000), 26_000),
            (200, Some(15_000), 35_400),
            (1, Some(0), 130),
            (1, Some(10_000), 177),
            (1, Some(30_000), 177),
            (i64::MAX, Some(5_000), i64::MAX),
        ] {
            assert_eq!(block_hourly_micros(gb, iops), micros, "{gb} GB, {iops:?}");
        }
    }

    #[test]
    fn euros_become_whole_millionths() {
        for (euros, micros) in [(0.0, 0), (0.75, 750_000), (2.73, 2_730_000), (0.000_117_6, 118), (88.0, 88_000_000)] {
            let price = HourlyPrice::from_euros(euros);
            assert_eq!((price.micros, price.currency.as_str()), (micros, "EUR"), "{euros}");
        }
    }
}
