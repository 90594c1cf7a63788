//! Snapshots that third parties took of our volumes.

use inventiv_core::size::gb_ceil;
use inventiv_core::snapshots::SnapshotOfOurs;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_types::{Snapshot, Time};

pub(crate) fn snapshot(s: &SnapshotOfOurs, prices: &StoragePrices) -> Snapshot {
    Snapshot {
        id: s.snapshot.id.clone(),
        name: s.snapshot.name.clone(),
        kind: s.snapshot.kind,
        size_bytes: s.snapshot.size_bytes,
        size_gb: s.snapshot.size_bytes.map(gb_ceil),
        created_at: s.snapshot.created_at.map(Time),
        volume_id: s.volume_id.clone(),
        instance_id: s.instance_id.clone(),
        images: s.images.clone(),
        hourly_micros: s.snapshot.hourly_micros(prices),
    }
}
