//! Money: integer millionths of a currency unit, never a float.

use crate::snapshot_kind::SnapshotKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The price of block storage of one speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPrice {
    /// The speed, in operations per second.
    pub perf_iops: i64,
    /// Millionths of the currency unit per GB and hour.
    pub gb_hour_micros: i64,
}

/// The prices of storage in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePrices {
    /// ISO 4217 code.
    pub currency: String,
    /// Block storage by speed, the slowest first.
    pub block: Vec<BlockPrice>,
    /// The price of a block volume's snapshot per GB and hour, in millionths.
    pub block_snapshot_gb_hour_micros: i64,
    /// The price of a local volume's snapshot per GB and hour, in millionths.
    pub local_snapshot_gb_hour_micros: i64,
    /// The price of a public IPv4 address per hour, in millionths.
    pub address_hourly_micros: i64,
    /// The least that is billed for a public IPv4 address, in millionths.
    pub address_minimum_micros: i64,
    /// The source of the prices, with its date.
    pub source: String,
}

impl StoragePrices {
    /// Prices of a cloud whose prices are unknown.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            currency: String::new(),
            block: Vec::new(),
            block_snapshot_gb_hour_micros: 0,
            local_snapshot_gb_hour_micros: 0,
            address_hourly_micros: 0,
            address_minimum_micros: 0,
            source: String::new(),
        }
    }

    /// The price per hour of block storage, in millionths. An unknown speed counts as the cloud's default, the slowest.
    /// A speed between two classes costs as much as the faster class.
    #[must_use]
    pub fn block_hourly_micros(&self, gb: i64, perf_iops: Option<i64>) -> i64 {
        let fits = |p: &&BlockPrice| perf_iops.is_none_or(|iops| iops <= p.perf_iops);
        let price = self.block.iter().find(fits).or(self.block.last());
        gb.saturating_mul(price.map_or(0, |p| p.gb_hour_micros))
    }

    /// The price per hour of snapshots, in millionths.
    #[must_use]
    pub const fn snapshot_hourly_micros(&self, gb: i64, kind: SnapshotKind) -> i64 {
        gb.saturating_mul(match kind {
            SnapshotKind::Block => self.block_snapshot_gb_hour_micros,
            SnapshotKind::Local => self.local_snapshot_gb_hour_micros,
        })
    }
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
    use crate::plan::tests::profile;

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
            assert_eq!(profile().storage_prices.block_hourly_micros(gb, iops), micros, "{gb} GB, {iops:?}");
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
