//! The prices of storage and addresses in a zone: a checked-in list, overlaid with what the provider's catalogue shows.

use crate::ledger::{ADDRESS_SKU, block_iops, block_sku};
use crate::snapshot_kind::SnapshotKind;
use std::collections::BTreeSet;

/// The source of prices that a product catalogue of the provider shows.
pub const CATALOGUE: &str = "the provider's product catalogue";

/// The price of one unit for an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPrice {
    /// Billionths of the currency.
    pub nanos: i64,
    /// Where it is from, with a date if the provider's API did not show it.
    pub source: String,
}

impl UnitPrice {
    /// The price of a quantity for an hour, in millionths, rounded.
    #[must_use]
    pub fn hourly_micros(&self, quantity: i64) -> i64 {
        let nanos = i128::from(self.nanos) * i128::from(quantity.max(0));
        i64::try_from((nanos + 500) / 1_000).unwrap_or(i64::MAX)
    }
}

/// The price of block storage of one speed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPrice {
    /// The speed, in operations per second.
    pub perf_iops: i64,
    /// Per GB and hour.
    pub price: UnitPrice,
}

/// The prices of storage and addresses in a zone. What is missing is not known, which is not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoragePrices {
    /// ISO 4217 code.
    pub currency: String,
    /// Block storage by speed, the slowest first.
    pub block: Vec<BlockPrice>,
    /// A snapshot of a block volume, per GB and hour.
    pub block_snapshot: Option<UnitPrice>,
    /// A snapshot of a local volume, per GB and hour.
    pub local_snapshot: Option<UnitPrice>,
    /// A public IPv4 address, per hour.
    pub address: Option<UnitPrice>,
    /// The least that is billed for a public IPv4 address, in millionths.
    pub address_minimum_micros: i64,
}

/// What a snapshot is priced by.
#[must_use]
pub const fn snapshot_sku(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Block => "snapshot/block",
        SnapshotKind::Local => "snapshot/local",
    }
}

impl StoragePrices {
    /// The price of block storage per GB and hour. An unknown speed counts as the cloud's default, the slowest. A speed
    /// between two classes costs as much as the faster class. `None`: not known.
    #[must_use]
    pub fn of_block(&self, perf_iops: Option<i64>) -> Option<&UnitPrice> {
        let fits = |p: &&BlockPrice| perf_iops.is_none_or(|iops| iops <= p.perf_iops);
        self.block.iter().find(fits).or(self.block.last()).map(|b| &b.price)
    }

    /// The price per hour of block storage, in millionths; 0 if it is not known.
    #[must_use]
    pub fn block_hourly_micros(&self, gb: i64, perf_iops: Option<i64>) -> i64 {
        self.of_block(perf_iops).map_or(0, |p| p.hourly_micros(gb))
    }

    /// The price of a snapshot per GB and hour. `None`: not known.
    #[must_use]
    pub const fn of_snapshot(&self, kind: SnapshotKind) -> Option<&UnitPrice> {
        match kind {
            SnapshotKind::Block => self.block_snapshot.as_ref(),
            SnapshotKind::Local => self.local_snapshot.as_ref(),
        }
    }

    /// Replaces or adds a price; `sku` is its name in the ledger. Names of other things are ignored, and so is another
    /// currency.
    pub fn set(&mut self, sku: &str, currency: &str, price: UnitPrice) {
        if self.currency.is_empty() {
            currency.clone_into(&mut self.currency);
        }
        if self.currency != currency {
            return;
        }
        if let Some(perf_iops) = block_iops(sku).flatten() {
            self.block.retain(|b| b.perf_iops != perf_iops);
            self.block.push(BlockPrice { perf_iops, price });
            self.block.sort_by_key(|b| b.perf_iops);
        } else if sku == ADDRESS_SKU {
            self.address = Some(price);
        } else if sku == snapshot_sku(SnapshotKind::Block) {
            self.block_snapshot = Some(price);
        } else if sku == snapshot_sku(SnapshotKind::Local) {
            self.local_snapshot = Some(price);
        }
    }

    /// Every price by its name in the ledger. Speeds beyond the classes that have a price, such as those of volumes that
    /// exist, are priced like their class, and their source says so.
    #[must_use]
    pub fn listed(&self, speeds: impl Iterator<Item = Option<i64>>) -> Vec<(String, UnitPrice)> {
        let classes: BTreeSet<Option<i64>> = self.block.iter().map(|b| Some(b.perf_iops)).collect();
        let speeds: BTreeSet<Option<i64>> = classes.iter().copied().chain([None]).chain(speeds).collect();
        let block = |iops| {
            let mut price = self.of_block(iops)?.clone();
            if !classes.contains(&iops) {
                price.source.push_str(", the price of its class");
            }
            Some((block_sku(iops), price))
        };
        let snapshot = |kind| self.of_snapshot(kind).map(|p| (snapshot_sku(kind).to_owned(), p.clone()));
        let mut all: Vec<(String, UnitPrice)> = speeds.into_iter().filter_map(block).collect();
        all.extend([SnapshotKind::Block, SnapshotKind::Local].into_iter().filter_map(snapshot));
        all.extend(self.address.as_ref().map(|p| (ADDRESS_SKU.to_owned(), p.clone())));
        all
    }

    /// Where the prices of block storage and addresses are from, each source once; empty if none is known.
    #[must_use]
    pub fn sources(&self) -> String {
        let all = self.block.iter().map(|b| &b.price).chain(&self.address);
        let mut known: Vec<&str> = Vec::new();
        for price in all {
            if !known.contains(&price.source.as_str()) {
                known.push(&price.source);
            }
        }
        known.join("; ")
    }
}

#[cfg(test)]
mod tests;
