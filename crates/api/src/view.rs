//! The representations that the API returns.
//!
//! Sizes are in bytes and whole GB, money is in millionths, times are RFC 3339 in UTC with microseconds.

mod audit;
mod offer;
mod proof;
mod snapshot;

pub(crate) use audit::{Audit, count, oldest};
pub(crate) use offer::{ImageView, OfferView};
pub(crate) use proof::{InstanceProof, StuckView};

use inventiv_core::money::StoragePrices;
use inventiv_core::offer::BootStorage;
use inventiv_core::recorded::{Aggregate, Note, Proof, Volume};
use inventiv_core::size::gb_ceil;
use inventiv_core::time::Timestamp;
use inventiv_store::{ActionLog, Model, ProviderSettings, StateChange, VolumeWithOwner};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.to_string(), |t| format!("{t:.6}"))
}

fn opt_time(at: Option<Timestamp>) -> Option<String> {
    at.map(time)
}

/// An instance: a server with its volumes, for a model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Instance {
    /// The unique id; it begins with `ins-`.
    pub(crate) id: String,
    /// The name.
    pub(crate) name: String,
    /// `provisioning`: the server and the volumes are being created. `booting`: the start of the server was requested.
    /// `ready`: the server runs and every requested volume is attached. `terminating`: the instance is being removed,
    /// on request or because it failed (see `error`). `terminated`: everything that should be deleted is proven gone.
    /// `provisioning_failed`: the instance could not be created, and everything that was created is proven gone.
    pub(crate) status: String,
    /// The provider, for instance `scaleway`.
    pub(crate) provider: String,
    /// The id of the account: provider and project.
    pub(crate) account_id: String,
    /// The zone, for instance `fr-par-2`.
    pub(crate) zone: String,
    /// The provider's server type, for instance `L40S-1-48G`.
    pub(crate) instance_type: String,
    /// The model that the instance is for; `null` if none was requested.
    pub(crate) model_id: Option<String>,
    /// The label or id of the image.
    pub(crate) image: String,
    /// The provider's id of the server; `null` until it is known.
    pub(crate) provider_instance_id: Option<String>,
    /// The public address: IPv4 if there is one, otherwise IPv6.
    pub(crate) ip_address: Option<String>,
    /// All public addresses, IPv4 before IPv6.
    pub(crate) addresses: Vec<String>,
    /// When the instance was requested.
    pub(crate) created_at: String,
    /// When the instance became `ready`.
    pub(crate) ready_at: Option<String>,
    /// When everything that should be deleted was proven gone.
    pub(crate) terminated_at: Option<String>,
    /// Why the instance failed, and what to do; `null` if it did not fail.
    pub(crate) error: Option<String>,
    /// The reason of the failure as a stable code for programs.
    pub(crate) error_code: Option<String>,
    /// The number of volumes that exist, or may exist, and belong to the instance.
    pub(crate) storage_count: usize,
    /// The sizes of these volumes in GB, the boot volume first; `null` for a size that is not known yet.
    pub(crate) storage_sizes_gb: Vec<Option<i64>>,
    /// The price of the server per hour, in millionths of `currency`.
    pub(crate) hourly_micros: i64,
    /// The list price of these volumes on block storage per hour, in millionths of `currency`.
    pub(crate) storage_hourly_micros: i64,
    /// The currency of all prices, as an ISO 4217 code.
    pub(crate) currency: String,
    /// The tags of the request.
    pub(crate) tags: Vec<String>,
}

impl Instance {
    pub(crate) fn of(agg: &Aggregate, prices: &StoragePrices) -> Self {
        let i = &agg.instance;
        let storages = agg.storages();
        let last = agg.servers.iter().rev().find(|s| s.is_primary && s.provider_id.is_some());
        Self {
            id: i.id.to_string(),
            name: i.name.clone(),
            status: i.status.to_string(),
            provider: i.provider.clone(),
            account_id: i.account_id.clone(),
            zone: i.zone.clone(),
            instance_type: i.instance_type.clone(),
            model_id: i.model_id.clone(),
            image: i.spec.image.clone(),
            provider_instance_id: agg.server().or(last).and_then(|s| s.provider_id.clone()),
            ip_address: i.ip_address.clone(),
            addresses: i.addresses.clone(),
            created_at: time(i.created_at),
            ready_at: opt_time(i.ready_at),
            terminated_at: opt_time(i.terminated_at),
            error: i.failure.as_ref().map(|f| f.message.clone()),
            error_code: i.failure.as_ref().map(|f| f.code.clone()),
            storage_count: storages.len(),
            storage_sizes_gb: storages.iter().map(|v| v.size_bytes.map(gb_ceil)).collect(),
            hourly_micros: i.spec.hourly_micros,
            storage_hourly_micros: agg.storage_hourly_micros(prices),
            currency: i.spec.currency.clone(),
            tags: i.spec.tags.clone(),
        }
    }
}

/// An instance with its volumes, its history and what it waits for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InstanceDetail {
    /// The instance.
    #[serde(flatten)]
    pub(crate) instance: Instance,
    /// Every volume that the instance has or had, the boot volume first.
    pub(crate) storages: Vec<Storage>,
    /// Why the instance waits, and until when. Empty if it waits for nothing.
    pub(crate) notes: Vec<NoteView>,
    /// What the control plane will do after that, in order.
    pub(crate) next: Vec<String>,
    /// Deletions that were requested more than 15 minutes ago and are not proven. A person should check them.
    pub(crate) stuck: Vec<StuckView>,
    /// Problems that did not prevent the request: the type is at its end of service, or the model does not fit the
    /// GPUs.
    pub(crate) warnings: Vec<String>,
    /// The rule that determined the size of the data volume.
    pub(crate) data_volume_reason: String,
    /// How the size of the boot volume is determined.
    pub(crate) boot_volume_note: String,
    /// The changes of the status.
    pub(crate) history: Vec<HistoryEntry>,
}

impl InstanceDetail {
    pub(crate) fn of(agg: &Aggregate, history: &[StateChange], prices: &StoragePrices, now: Timestamp) -> Self {
        let mut volumes: Vec<&Volume> = agg.volumes.iter().collect();
        volumes.sort_by_key(|v| !v.is_boot);
        let spec = &agg.instance.spec;
        let boot_bytes = agg.volumes.iter().find(|v| v.is_boot).and_then(|v| v.size_bytes).unwrap_or(0);
        let boot_volume_note = match (spec.boot_storage, spec.boot_volume_bytes) {
            (BootStorage::Local, _) => {
                "the type has a local disk: the provider fixes the size of the boot volume".to_owned()
            }
            (BootStorage::Block, None) => {
                "the boot volume has the size of the image; boot_volume_gb can request more".to_owned()
            }
            (BootStorage::Block, Some(bytes)) if boot_bytes >= bytes => {
                format!("{} GB, at least the requested {} GB", gb_ceil(boot_bytes), gb_ceil(bytes))
            }
            (BootStorage::Block, Some(bytes)) => format!("will be resized to the requested {} GB", gb_ceil(bytes)),
        };
        Self {
            instance: Instance::of(agg, prices),
            storages: volumes.into_iter().map(Storage::of).collect(),
            notes: agg.instance.notes.iter().map(NoteView::of).collect(),
            next: inventiv_core::next::next(agg),
            stuck: StuckView::all(agg, prices, now),
            warnings: spec.warnings.clone(),
            data_volume_reason: spec
                .data_volume
                .as_ref()
                .map_or_else(|| "no data volume".to_owned(), |d| d.size_reason.clone()),
            boot_volume_note,
            history: history.iter().map(HistoryEntry::of).collect(),
        }
    }
}

/// Why an instance waits, and until when.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct NoteView {
    /// The reason as a stable code for programs.
    pub(crate) code: String,
    /// The reason as a sentence. The wording may change at any time.
    pub(crate) text: String,
    /// The latest time until which the instance waits; `null` if there is no limit.
    pub(crate) until: Option<String>,
}

impl NoteView {
    fn of(n: &Note) -> Self {
        Self { code: n.code.to_string(), text: n.text.clone(), until: opt_time(n.until) }
    }
}

/// A change of an instance's status.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HistoryEntry {
    /// The previous status; `null` for the first entry.
    pub(crate) from_status: Option<String>,
    /// The new status.
    pub(crate) to_status: String,
    /// Why the instance failed, if it did.
    pub(crate) reason: Option<String>,
    /// When the status changed.
    pub(crate) at: String,
}

impl HistoryEntry {
    fn of(c: &StateChange) -> Self {
        let c = c.clone();
        Self { from_status: c.from_status, to_status: c.to_status, reason: c.reason, at: time(c.at) }
    }
}

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

/// One line of the action log: a provider call, a request, or an event that is worth reporting.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ActionLogView {
    /// The unique id; it begins with `log-`.
    pub(crate) id: String,
    /// The instance that the line is about.
    pub(crate) instance_id: Option<String>,
    /// The volume that the line is about.
    pub(crate) volume_id: Option<String>,
    /// What was done, as a stable code, for instance `PROVIDER_CREATE`.
    pub(crate) action: String,
    /// `in_progress`: the call may have been sent. `completed`: it succeeded. `failed`: it certainly had no effect.
    /// `unknown`: its response was lost, so it may have had an effect.
    pub(crate) status: String,
    /// The provider.
    pub(crate) provider: String,
    /// The zone.
    pub(crate) zone: String,
    /// The provider's id of the resource.
    pub(crate) resource_id: Option<String>,
    /// The number of the attempt, for creations.
    pub(crate) attempt: Option<i64>,
    /// The provider's id of the request.
    pub(crate) request_id: Option<String>,
    /// The kind of error, as a stable code.
    pub(crate) error_kind: Option<String>,
    /// The error message.
    pub(crate) error: Option<String>,
    /// Further details.
    pub(crate) details: Option<String>,
    /// When the line was written, before the call.
    pub(crate) started_at: String,
    /// When the line was closed, after the call.
    pub(crate) ended_at: Option<String>,
    /// The time between the two, in milliseconds.
    pub(crate) duration_ms: Option<i64>,
}

impl ActionLogView {
    pub(crate) fn of(l: ActionLog) -> Self {
        Self {
            id: l.id.to_string(),
            instance_id: l.instance_id,
            volume_id: l.volume_id,
            action: l.action,
            status: l.status.text().to_owned(),
            provider: l.provider,
            zone: l.zone,
            resource_id: l.resource_id,
            attempt: l.attempt,
            request_id: l.request_id,
            error_kind: l.error_kind,
            error: l.error,
            details: l.details,
            started_at: time(l.started_at),
            ended_at: opt_time(l.ended_at),
            duration_ms: l.ended_at.map(|t| t.ms_since(l.started_at)),
        }
    }
}

/// The settings of a model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// The model's id on the hub, for instance `Qwen/Qwen2.5-7B-Instruct`.
    pub(crate) id: String,
    /// The size of the data volume in GB; 0 for none; `null` for the recommended size.
    pub(crate) data_volume_gb: Option<i64>,
    /// When the model was added.
    pub(crate) created_at: String,
    /// When the model was last changed.
    pub(crate) updated_at: String,
}

impl ModelView {
    pub(crate) fn of(m: &Model) -> Self {
        Self {
            id: m.id.clone(),
            data_volume_gb: m.data_volume_gb,
            created_at: time(m.created_at),
            updated_at: time(m.updated_at),
        }
    }
}

/// The defaults for new instances at a provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SettingsView {
    /// The provider, for instance `scaleway`.
    pub(crate) provider: String,
    /// The size of the data volume in GB for models whose size is unknown. `null`: requests for such models must
    /// specify it.
    pub(crate) worker_data_volume_gb_default: Option<i64>,
    /// Whether a data volume is deleted when its instance ends, unless the request specifies it.
    pub(crate) delete_on_terminate_default: bool,
    /// The label of the image, unless the request specifies one.
    pub(crate) default_image: String,
}

impl SettingsView {
    pub(crate) fn of(s: &ProviderSettings) -> Self {
        Self {
            provider: s.provider.clone(),
            worker_data_volume_gb_default: s.worker_data_volume_gb_default,
            delete_on_terminate_default: s.delete_on_terminate_default,
            default_image: s.default_image.clone(),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// The items of this page.
    pub(crate) items: Vec<T>,
    /// The value of `after` for the next page; `null` on the last page.
    pub(crate) next: Option<String>,
}

impl<T: ToSchema> Page<T> {
    /// Makes a page of at most `limit` items out of up to `limit + 1` rows.
    pub(crate) fn cut<R>(mut rows: Vec<R>, limit: u32, id: impl Fn(&R) -> String, view: impl Fn(&R) -> T) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(id);
        Self { items: rows.iter().map(view).collect(), next }
    }
}
