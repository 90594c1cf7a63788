//! The representations that the API returns.
//!
//! Sizes are in bytes and whole GB, money is in millionths, times are RFC 3339 in UTC with microseconds.

mod action_log;
mod audit;
mod offer;
mod proof;
mod settings;
mod snapshot;
mod storage;

pub(crate) use action_log::ActionLogView;
pub(crate) use audit::{Audit, count, oldest};
pub(crate) use offer::{ImageView, OfferView};
pub(crate) use proof::{InstanceProof, StuckView};
pub(crate) use settings::{ModelView, SettingsView};
pub(crate) use storage::{OwnedVolume, ProofView, Storage};

use inventiv_core::money::StoragePrices;
use inventiv_core::offer::BootStorage;
use inventiv_core::recorded::{Aggregate, Note, Volume};
use inventiv_core::size::gb_ceil;
use inventiv_core::time::Timestamp;
use inventiv_store::StateChange;
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
