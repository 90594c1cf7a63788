//! Volumes.

use crate::{Proof, Time};
use inventiv_core::status::{Origin, VolumeStatus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A volume of an instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Storage {
    /// The unique id; it begins with `vol-`.
    pub id: String,
    /// The provider's id; `null` until it is known.
    pub provider_volume_id: Option<String>,
    /// The name in the cloud.
    pub name: String,
    /// The provider's volume type, for instance `sbs_volume` (block storage) or `l_ssd` (local).
    pub volume_type: String,
    /// The size in bytes; `null` until it is known.
    pub size_bytes: Option<i64>,
    /// The size in GB (10^9 bytes), rounded up.
    pub size_gb: Option<i64>,
    /// The I/O operations per second, if the volume type has such a setting.
    pub perf_iops: Option<i64>,
    /// Its list price per hour, in millionths of the currency; 0: part of the server's price. `null`: the size or the price
    /// is not known, it is a third party's, or its instance does not pay for it (any more).
    pub hourly_micros: Option<i64>,
    /// Whether the server boots from this volume.
    pub is_boot: bool,
    /// Whether the volume is deleted when its instance ends.
    pub delete_on_terminate: bool,
    /// How often `delete_on_terminate` was changed. The number is part of the volume's name in the cloud.
    pub policy_version: u32,
    /// `keep` or `delete` if the volume's name in the cloud has this policy with a higher version, otherwise `null`.
    /// The records are then older than the cloud, and nothing is changed or deleted until a person decides.
    pub newer_policy_in_cloud: Option<VolumePolicy>,
    /// Whether the volume's name in the cloud contains the current value of `delete_on_terminate`.
    pub policy_written: bool,
    /// `creating`, `available`, `attaching`, `attached`, `detaching`, `deleting`: the volume exists, or may exist, and
    /// belongs to the instance. `deleted`: it is proven gone. `retained`: it was kept after its instance ended, and
    /// still costs money. `reused`: it was retained, and then given to another instance (`reused_by`). `released`: it belongs to a third party and was left alone. `failed`: its creation was
    /// refused or abandoned.
    pub status: VolumeStatus,
    /// Who created it. `cloud`: the provider, with the server. `ours`: the control plane. `foreign`: a third party.
    /// `witness`: the control plane, for a short time, to check that the credentials can see block storage.
    pub origin: Origin,
    /// The instance that the volume was retained from, if it was given to this one.
    pub reused_from: Option<String>,
    /// The instance that the volume was given to after this one.
    pub reused_by: Option<String>,
    /// When the volume was first recorded.
    pub created_at: Time,
    /// When the volume was first observed as attached.
    pub attached_at: Option<Time>,
    /// When the volume was proven gone.
    pub deleted_at: Option<Time>,
    /// The proof that the volume is gone.
    pub proof: Option<Proof>,
    /// Why the provider refused the last call for this volume; `null` if it did not.
    pub error: Option<String>,
}

/// What happens to a volume when its instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumePolicy {
    /// It is kept.
    Keep,
    /// It is deleted.
    Delete,
}

/// A volume with its instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OwnedVolume {
    /// The instance that the volume belongs, or belonged, to.
    pub instance_id: String,
    /// The zone.
    pub zone: String,
    /// The currency of its price, as an ISO 4217 code.
    pub currency: String,
    /// The volume.
    #[serde(flatten)]
    pub storage: Storage,
}

/// A change of a volume.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeVolume {
    /// `false`: the volume is kept when its instance ends. `true`: it is deleted when its instance ends, or now if the
    /// instance has ended.
    pub delete_on_terminate: bool,
}

/// The filters and the page of a list of volumes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListVolumes {
    /// Only volumes with this status, for instance `retained`.
    pub status: Option<String>,
    /// Only volumes in this account, by its name or id.
    pub account: Option<String>,
    /// Only volumes of this instance: its id, a unique prefix of its id, or its name.
    pub instance_id: Option<String>,
    /// Only volumes in this zone.
    pub zone: Option<String>,
    /// The `next` value of the previous page.
    pub after: Option<String>,
    /// The maximum number of items, from 1 to 500. The default is 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}
