//! Snapshots that somebody made of our volumes.

use super::opt_time;
use inventiv_core::money::StoragePrices;
use inventiv_core::size::gb_ceil;
use inventiv_core::snapshots::{SnapshotKind, SnapshotOfOurs};
use serde::Serialize;
use utoipa::ToSchema;

/// A snapshot that somebody made of one of our volumes: it outlives the volume, and is billed until somebody deletes it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SnapshotView {
    /// The cloud's id.
    id: String,
    /// Its name.
    name: String,
    /// `block` or `local`.
    kind: String,
    /// In bytes.
    size_bytes: Option<i64>,
    /// The same in GB (10^9 bytes), rounded up.
    size_gb: Option<i64>,
    /// When the cloud says that it was made.
    created_at: Option<String>,
    /// The cloud's id of the volume that it was made of.
    volume_id: String,
    /// Whose that is, or was.
    instance_id: String,
    /// Names of the images that are made of it: they go first.
    images: Vec<String>,
    /// What it costs an hour, in micro-euros, by list price.
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
