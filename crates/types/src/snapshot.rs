//! Snapshots that third parties took of our volumes.

use crate::Time;
use inventiv_core::snapshot_kind::SnapshotKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A snapshot that a third party took of one of our volumes. It survives the volume and is billed until it is deleted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// The provider's id of the snapshot.
    pub id: String,
    /// The name of the snapshot.
    pub name: String,
    /// `block` (of a block volume) or `local` (of a local volume).
    pub kind: SnapshotKind,
    /// The size in bytes.
    pub size_bytes: Option<i64>,
    /// The size in GB (10^9 bytes), rounded up.
    pub size_gb: Option<i64>,
    /// When it was taken, according to the provider.
    pub created_at: Option<Time>,
    /// The provider's id of the volume.
    pub volume_id: String,
    /// The instance that the volume belongs, or belonged, to.
    pub instance_id: String,
    /// The names of the images that use the snapshot. They must be deleted before it.
    pub images: Vec<String>,
    /// The list price per hour, in millionths of a euro.
    pub hourly_micros: Option<i64>,
}
