//! Volumes, and the proofs of their end.

use super::{opt_time, time};
use inventiv_core::recorded::Proof;
use inventiv_core::recorded::Volume;
use inventiv_core::size::gb_ceil;
use inventiv_store::VolumeWithOwner;
use serde::Serialize;
use utoipa::ToSchema;

/// A volume of an instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Storage {
    /// The unique id; it begins with `vol-`.
    pub(crate) id: String,
    /// The provider's id; `null` until it is known.
    pub(crate) provider_volume_id: Option<String>,
    /// The name in the cloud.
    pub(crate) name: String,
    /// The provider's volume type, for instance `sbs_volume` (block storage) or `l_ssd` (local).
    pub(crate) volume_type: String,
    /// The size in bytes; `null` until it is known.
    pub(crate) size_bytes: Option<i64>,
    /// The size in GB (10^9 bytes), rounded up.
    pub(crate) size_gb: Option<i64>,
    /// The I/O operations per second, if the volume type has such a setting.
    pub(crate) perf_iops: Option<i64>,
    /// Whether the server boots from this volume.
    pub(crate) is_boot: bool,
    /// Whether the volume is deleted when its instance ends.
    pub(crate) delete_on_terminate: bool,
    /// How often `delete_on_terminate` was changed. The number is part of the volume's name in the cloud.
    pub(crate) policy_version: u32,
    /// `keep` or `delete` if the volume's name in the cloud has this policy with a higher version, otherwise `null`.
    /// The records are then older than the cloud, and nothing is changed or deleted until a person decides.
    pub(crate) newer_policy_in_cloud: Option<String>,
    /// Whether the volume's name in the cloud contains the current value of `delete_on_terminate`.
    pub(crate) policy_written: bool,
    /// `creating`, `available`, `attaching`, `attached`, `detaching`, `deleting`: the volume exists, or may exist, and
    /// belongs to the instance. `deleted`: it is proven gone. `retained`: it was kept after its instance ended, and
    /// still costs money. `released`: it belongs to a third party and was left alone. `failed`: its creation was
    /// refused or abandoned.
    pub(crate) status: String,
    /// Who created it. `cloud`: the provider, with the server. `ours`: the control plane. `foreign`: a third party.
    /// `witness`: the control plane, for a short time, to check that the credentials can see block storage.
    pub(crate) origin: String,
    /// When the volume was first recorded.
    pub(crate) created_at: String,
    /// When the volume was first observed as attached.
    pub(crate) attached_at: Option<String>,
    /// When the volume was proven gone.
    pub(crate) deleted_at: Option<String>,
    /// The proof that the volume is gone.
    pub(crate) proof: Option<ProofView>,
    /// Why the provider refused the last call for this volume; `null` if it did not.
    pub(crate) error: Option<String>,
}

impl Storage {
    pub(crate) fn of(v: &Volume) -> Self {
        let error = v.retry.as_ref().map(|r| r.error.message.clone());
        Self {
            id: v.id.to_string(),
            provider_volume_id: v.provider_id.clone(),
            name: v.name.clone(),
            volume_type: v.volume_type.name.clone(),
            size_bytes: v.size_bytes,
            size_gb: v.size_bytes.map(gb_ceil),
            perf_iops: v.perf_iops,
            is_boot: v.is_boot,
            delete_on_terminate: v.delete_on_terminate,
            policy_version: v.policy_version,
            newer_policy_in_cloud: v.cloud_policy.map(|p| if p.delete { "delete" } else { "keep" }.to_owned()),
            policy_written: v.tagged_at.is_some(),
            status: v.status.to_string(),
            origin: v.origin.to_string(),
            created_at: time(v.created_at),
            attached_at: opt_time(v.attached_at),
            deleted_at: opt_time(v.deleted_at),
            proof: v.proof.as_ref().map(ProofView::of),
            error: error.or_else(|| v.create_error.as_ref().map(|e| e.message.clone())),
        }
    }
}

/// Evidence that a resource is gone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProofView {
    /// The provider's id of the resource.
    pub(crate) resource_id: String,
    /// The request to the provider: method and path.
    pub(crate) asked: String,
    /// When it was sent.
    pub(crate) asked_at: String,
    /// The provider's response: status and error type.
    pub(crate) answer: String,
    /// The provider's id of the request.
    pub(crate) request_id: Option<String>,
    /// When the complete listing began that did not contain the resource either.
    pub(crate) absent_from_listing_begun_at: Option<String>,
    /// Reads may be stale: the proof is provisional until a complete listing that began after this time confirms it.
    pub(crate) confirm_after: Option<String>,
    /// When the read began that confirmed the proof; `null` if the proof is provisional, or older than this check.
    pub(crate) confirmed_at: Option<String>,
}

impl ProofView {
    pub(crate) fn of(p: &Proof) -> Self {
        Self {
            resource_id: p.resource_id.clone(),
            asked: p.asked.clone(),
            asked_at: time(p.asked_at),
            answer: p.answer.clone(),
            request_id: p.request_id.clone(),
            absent_from_listing_begun_at: opt_time(p.absent_from_listing_begun_at),
            confirm_after: opt_time(p.confirm_after),
            confirmed_at: opt_time(p.confirmed_at),
        }
    }
}

/// A volume with its instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct OwnedVolume {
    /// The instance that the volume belongs, or belonged, to.
    pub(crate) instance_id: String,
    /// The zone.
    pub(crate) zone: String,
    /// The volume.
    #[serde(flatten)]
    pub(crate) storage: Storage,
}

impl OwnedVolume {
    pub(crate) fn of(v: &VolumeWithOwner) -> Self {
        Self { instance_id: v.instance_id.to_string(), zone: v.zone.clone(), storage: Storage::of(&v.volume) }
    }
}
