//! What a request fixed about an instance.

use crate::engine::{Engine, Serving};
use crate::offer::BootStorage;
use crate::service::ReplicaOf;
use crate::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

/// A requested data volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataVolumeSpec {
    /// Size in bytes, whole GB.
    pub size_bytes: i64,
    /// Provisioned operations per second; `None`: the cloud's default.
    pub perf_iops: Option<i64>,
    /// Whether it is deleted with the instance.
    pub delete_on_terminate: bool,
    /// The rule that gave the size, in words.
    pub size_reason: String,
}

/// Everything that a request fixed, with the properties of the chosen server type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// `None`: no data volume.
    pub data_volume: Option<DataVolumeSpec>,
    /// Minimum size of the boot volume in bytes; `None`: the cloud's default.
    pub boot_volume_bytes: Option<i64>,
    /// The engine that is to serve the model; `None`: there is no model, or the row is older.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// How the engine is run; `None`: nothing of ours serves the model.
    #[serde(default)]
    pub serving: Option<Serving>,
    /// The cloud's label of the image.
    pub image: String,
    /// The storage that this type boots from.
    pub boot_storage: BootStorage,
    /// Warnings for the user, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many GPUs this type has.
    #[serde(default)]
    pub gpu_count: i64,
    /// The service that it belongs to; `None`: to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_of: Option<ReplicaOf>,
    /// How long nobody may ask its model before it ends, in milliseconds; `None`: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<i64>,
    /// The user's own tags.
    pub tags: Vec<String>,
    /// SSH public keys that may log in, besides those of the project.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// The user's own part of the cloud-init configuration.
    #[serde(default)]
    pub user_data: Option<String>,
    /// The server's price per hour, in millionths.
    pub hourly_micros: i64,
    /// The currency of `hourly_micros`.
    pub currency: String,
    /// When it was rebuilt from what the cloud shows; `None`: it was requested here. After a rebuild, resources that
    /// were gone by then are not known.
    #[serde(default)]
    pub recovered_at: Option<Timestamp>,
}
