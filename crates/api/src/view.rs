//! What the API shows. Sizes in bytes and whole GB, money in millionths, times in RFC 3339 with microseconds, UTC.

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

/// An instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Instance {
    /// Its id.
    pub(crate) id: String,
    /// Its name, as asked for.
    pub(crate) name: String,
    /// `provisioning`, `booting`, `ready`, `terminating`, `terminated` or `provisioning_failed`.
    pub(crate) status: String,
    /// Which cloud.
    pub(crate) provider: String,
    /// The account that it is in: provider and project.
    pub(crate) account_id: String,
    /// Where.
    pub(crate) zone: String,
    /// The cloud's server type.
    pub(crate) instance_type: String,
    /// The model it is for.
    pub(crate) model_id: Option<String>,
    /// The label of its image.
    pub(crate) image: String,
    /// The cloud's id of its server.
    pub(crate) provider_instance_id: Option<String>,
    /// Its public address: IPv4 where it has one, else IPv6.
    pub(crate) ip_address: Option<String>,
    /// All of its public addresses, IPv4 before IPv6.
    pub(crate) addresses: Vec<String>,
    /// When it was asked for.
    pub(crate) created_at: String,
    /// When it became ready.
    pub(crate) ready_at: Option<String>,
    /// When everything was proven gone.
    pub(crate) terminated_at: Option<String>,
    /// Why it failed, and what to do.
    pub(crate) error: Option<String>,
    /// The same as a word for programs.
    pub(crate) error_code: Option<String>,
    /// How many volumes exist and belong to it.
    pub(crate) storage_count: usize,
    /// Their sizes in GB, boot first; `null` while one is unknown.
    pub(crate) storage_sizes_gb: Vec<Option<i64>>,
    /// What an hour of the server costs, in millionths of `currency`.
    pub(crate) hourly_micros: i64,
    /// What an hour of its volumes on block storage costs, in millionths of `currency`, by list price.
    pub(crate) storage_hourly_micros: i64,
    /// ISO 4217.
    pub(crate) currency: String,
    /// Tags of the request.
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

/// An instance with everything about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InstanceDetail {
    /// The instance.
    #[serde(flatten)]
    pub(crate) instance: Instance,
    /// Every volume it has or had, boot first.
    pub(crate) storages: Vec<Storage>,
    /// Why nothing more is done now.
    pub(crate) notes: Vec<NoteView>,
    /// What will be done once that is over, in its order.
    pub(crate) next: Vec<String>,
    /// What should have been gone for 15 minutes, and is not: a person should look.
    pub(crate) stuck: Vec<StuckView>,
    /// What whoever asked for it should know: the type ends, the model does not fit.
    pub(crate) warnings: Vec<String>,
    /// Which rule gave the data volume's size.
    pub(crate) data_volume_reason: String,
    /// Whether the boot volume's size is the cloud's own, in words.
    pub(crate) boot_volume_note: String,
    /// The statuses it had.
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
                "the type comes with its disk: the cloud fixes the boot volume's size".to_owned()
            }
            (BootStorage::Block, None) => {
                "the cloud gives the boot volume the image's size; boot_volume_gb can ask for more".to_owned()
            }
            (BootStorage::Block, Some(bytes)) if boot_bytes >= bytes => {
                format!("{} GB, at least the {} GB asked for", gb_ceil(boot_bytes), gb_ceil(bytes))
            }
            (BootStorage::Block, Some(bytes)) => format!("to be grown to the {} GB asked for", gb_ceil(bytes)),
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

/// Why nothing more is done now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct NoteView {
    /// The same as a word for programs.
    pub(crate) code: String,
    /// One sentence.
    pub(crate) text: String,
    /// When that changes by itself at the latest, if it does.
    pub(crate) until: Option<String>,
}

impl NoteView {
    fn of(n: &Note) -> Self {
        Self { code: n.code.to_string(), text: n.text.clone(), until: opt_time(n.until) }
    }
}

/// One step in an instance's history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HistoryEntry {
    /// The status before.
    pub(crate) from_status: Option<String>,
    /// The status after.
    pub(crate) to_status: String,
    /// Why, if it failed.
    pub(crate) reason: Option<String>,
    /// When.
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
    /// Its id here.
    pub(crate) id: String,
    /// The cloud's id.
    pub(crate) provider_volume_id: Option<String>,
    /// Its name in the cloud.
    pub(crate) name: String,
    /// The cloud's word for its kind.
    pub(crate) volume_type: String,
    /// In bytes; `null` until the cloud says.
    pub(crate) size_bytes: Option<i64>,
    /// The same in GB (10^9 bytes), rounded up.
    pub(crate) size_gb: Option<i64>,
    /// Operations per second, where the kind has them.
    pub(crate) perf_iops: Option<i64>,
    /// The server boots on it.
    pub(crate) is_boot: bool,
    /// Whether it goes with the instance.
    pub(crate) delete_on_terminate: bool,
    /// How often that was changed: part of its name in the cloud.
    pub(crate) policy_version: u32,
    /// `keep` or `delete` where its name in the cloud says so with a higher version: the records are older than the cloud,
    /// and nothing is changed or deleted until a person decides. Else `null`.
    pub(crate) newer_policy_in_cloud: Option<String>,
    /// Its name in the cloud says what `delete_on_terminate` says.
    pub(crate) policy_written: bool,
    /// `creating`, `available`, `attaching`, `attached`, `detaching`, `deleting`, `deleted`, `retained`, `released` or
    /// `failed`.
    pub(crate) status: String,
    /// Who made it: `cloud`, `ours` or `foreign`.
    pub(crate) origin: String,
    /// When it was first written down.
    pub(crate) created_at: String,
    /// When it was first seen attached.
    pub(crate) attached_at: Option<String>,
    /// When it was proven gone.
    pub(crate) deleted_at: Option<String>,
    /// The proof.
    pub(crate) proof: Option<ProofView>,
    /// The last refusal, while it is being refused.
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
    /// The cloud's id of the resource.
    pub(crate) resource_id: String,
    /// What was asked.
    pub(crate) asked: String,
    /// When.
    pub(crate) asked_at: String,
    /// What was answered.
    pub(crate) answer: String,
    /// The cloud's id of that exchange.
    pub(crate) request_id: Option<String>,
    /// When the complete listing began in which it was absent too.
    pub(crate) absent_from_listing_begun_at: Option<String>,
    /// Until a complete listing that began after this confirms it, the proof is provisional: reads may be stale.
    pub(crate) confirm_after: Option<String>,
    /// When the read began that confirmed it; `null`: provisional, or written before proofs were confirmed.
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

/// A volume with its owner.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct OwnedVolume {
    /// Whose it is, or was.
    pub(crate) instance_id: String,
    /// Where.
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

/// One line of the action log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ActionLogView {
    /// Its id.
    pub(crate) id: String,
    /// Which instance it is about.
    pub(crate) instance_id: Option<String>,
    /// Which volume it is about.
    pub(crate) volume_id: Option<String>,
    /// What was done.
    pub(crate) action: String,
    /// `in_progress`, `completed`, `failed` (surely nothing happened) or `unknown` (the answer was lost).
    pub(crate) status: String,
    /// Which cloud.
    pub(crate) provider: String,
    /// Where.
    pub(crate) zone: String,
    /// The cloud's id of the resource.
    pub(crate) resource_id: Option<String>,
    /// Which attempt, for creations.
    pub(crate) attempt: Option<i64>,
    /// The cloud's id of the exchange.
    pub(crate) request_id: Option<String>,
    /// What went wrong, in one word.
    pub(crate) error_kind: Option<String>,
    /// What went wrong.
    pub(crate) error: Option<String>,
    /// Anything else.
    pub(crate) details: Option<String>,
    /// When it was written, before the call.
    pub(crate) started_at: String,
    /// When it was closed.
    pub(crate) ended_at: Option<String>,
    /// How long that took, in milliseconds.
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

/// A model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// Its id, as on the hub.
    pub(crate) id: String,
    /// Its data volume in GB; 0: none; `null`: as recommended.
    pub(crate) data_volume_gb: Option<i64>,
    /// When it was made.
    pub(crate) created_at: String,
    /// When it was last changed.
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

/// Settings of a provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SettingsView {
    /// Which cloud.
    pub(crate) provider: String,
    /// The data volume for models that tell nothing, in GB; `null`: 200.
    pub(crate) worker_data_volume_gb_default: Option<i64>,
    /// Whether a data volume goes with its instance unless a request says otherwise.
    pub(crate) delete_on_terminate_default: bool,
    /// The image's label unless a request says otherwise.
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
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Give this as `after` for the next page; `null`: this is the last.
    pub(crate) next: Option<String>,
}

impl<T: ToSchema> Page<T> {
    /// A page of at most `limit` out of `limit + 1` rows.
    pub(crate) fn cut<R>(mut rows: Vec<R>, limit: u32, id: impl Fn(&R) -> String, view: impl Fn(&R) -> T) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(id);
        Self { items: rows.iter().map(view).collect(), next }
    }
}
