//! Snapshots of our volumes: they survive the volumes and are still billed. They are reported, and never deleted.
//!
//! The cloud names the volume of a snapshot only while the volume exists. Snapshots are therefore recorded with the
//! volume at every audit, and immediately before the volume is deleted.

use crate::recorded::{Aggregate, Volume};
use crate::size::gb_ceil;
pub use crate::snapshot_kind::SnapshotKind;
use crate::status::Origin;
use crate::storage_prices::StoragePrices;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The cloud's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SnapshotKind,
    /// In bytes.
    pub size_bytes: Option<i64>,
    /// When it was created, according to the cloud.
    pub created_at: Option<Timestamp>,
    /// When the first complete list began that does not show it; `None`: the last one did. One list may be stale.
    #[serde(default)]
    pub missing_since: Option<Timestamp>,
}

impl Snapshot {
    /// Its list price per hour, in micro-euros; `None`: its size or its price is not known.
    #[must_use]
    pub fn hourly_micros(&self, prices: &StoragePrices) -> Option<i64> {
        Some(prices.of_snapshot(self.kind)?.hourly_micros(gb_ceil(self.size_bytes?)))
    }
}

/// A snapshot as the cloud shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The cloud's id of the volume that it was taken of, while the volume exists.
    pub volume_id: Option<String>,
}

/// A snapshot of one of our volumes, as an audit reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOfOurs {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The cloud's id of the volume.
    pub volume_id: String,
    /// The instance that the volume belongs or belonged to.
    pub instance_id: String,
    /// The names of images that use it.
    pub images: Vec<String>,
}

/// Records with an instance's volumes which snapshots of them the cloud shows. Volumes of third parties, and those that were given
/// to another instance, are skipped.
pub fn note(agg: &mut Aggregate, seen: &[ObservedSnapshot]) {
    for volume in agg.volumes.iter_mut().filter(|v| v.origin != Origin::Foreign && v.reused_by.is_none()) {
        let of_it = seen.iter().filter(|s| s.volume_id.is_some() && s.volume_id == volume.provider_id);
        for s in of_it {
            volume.snapshots.retain(|known| known.id != s.snapshot.id);
            volume.snapshots.push(s.snapshot.clone());
        }
        volume.snapshots.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

/// A complete list of the snapshots of one kind.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// The kind.
    pub kind: SnapshotKind,
    /// The ids that it shows.
    pub ids: &'a BTreeSet<&'a str>,
    /// When it began.
    pub began_at: Timestamp,
}

/// Removes snapshots that complete lists have not shown for more than `stale_ms`.
pub fn forget(agg: &mut Aggregate, list: List<'_>, stale_ms: i64) {
    for volume in &mut agg.volumes {
        volume.snapshots.retain_mut(|s| {
            if s.kind != list.kind {
                return true;
            }
            if list.ids.contains(s.id.as_str()) {
                s.missing_since = None;
                return true;
            }
            let since = *s.missing_since.get_or_insert(list.began_at);
            list.began_at.ms_since(since) <= stale_ms
        });
    }
}

/// The recorded snapshots of an instance's volumes; `images`: image names by the id of a snapshot.
#[must_use]
pub fn of(agg: &Aggregate, images: &BTreeMap<String, Vec<String>>) -> Vec<SnapshotOfOurs> {
    let one = |v: &Volume, s: &Snapshot| SnapshotOfOurs {
        snapshot: s.clone(),
        volume_id: v.provider_id.clone().unwrap_or_default(),
        instance_id: agg.instance.id.to_string(),
        images: images.get(&s.id).cloned().unwrap_or_default(),
    };
    agg.volumes.iter().flat_map(|v| v.snapshots.iter().map(move |s| one(v, s))).collect()
}

#[cfg(test)]
mod tests;
