//! Kinds of snapshots.

use serde::{Deserialize, Serialize};

/// The kind of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKind {
    /// Of volumes on block storage.
    Block,
    /// Of volumes on a server's own disk.
    Local,
}
