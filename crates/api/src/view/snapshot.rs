//! Snapshots that third parties took of our volumes.

use super::opt_time;
use inventiv_core::money::StoragePrices;
use inventiv_core::size::gb_ceil;
use inventiv_core::snapshots::{SnapshotKind, SnapshotOfOurs};
use serde::Serialize;
use utoipa::ToSchema;

/// A snapshot that a third party took of one of our volumes. It survives the volume and is billed until it is deleted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SnapshotView {
    /// The provider's id of the snapshot.
    id: String,
    /// The name of the snapshot.
    name: String,
    /// `block` (of a block volume) or `local` (of a local volume).
    kind: String,
    /// The size in bytes.
    size_bytes: Option<i64>,
    /// The size in GB (10^9 bytes), rounded up.
    size_gb: Option<i64>,
    /// When it was taken, according to the provider.
    created_at: Option<String>,
    /// The provider's id of the volume.
    volume_id: String,
    /// The instance that the volume belongs, or belonged, to.
    instance_id: String,
    /// The names of the images that use the snapshot. They must be deleted before it.
    images: Vec<String>,
    /// The list price per hour, in millionths of a euro.
    hourly_micros: Option<i64>,
}

impl SnapshotView {
    pub(crate) fn of(s: &SnapshotOfOurs, prices: &StoragePrices) -> Self {
        Self {
            id: s.snapshot.id.clone(),
            name: s.snapshot.name.clone(),
            kind: match s.snapshot.kind {
                SnapshotKind::Block => "block",
                SnapshotKind::Local => "local",
            }
            .to_owned(),
            size_bytes: s.snapshot.size_bytes,
            size_gb: s.snapshot.size_bytes.map(gb_ceil),
            created_at: opt_time(s.snapshot.created_at),
            volume_id: s.volume_id.clone(),
            instance_id: s.instance_id.clone(),
            images: s.images.clone(),
            hourly_micros: s.snapshot.hourly_micros(prices),
        }
    }
}
