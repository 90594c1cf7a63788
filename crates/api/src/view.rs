//! From records to the representations that the API returns.

mod action_log;
mod audit;
mod bill;
mod cost;
mod fit;
mod focus;
mod offer;
mod proof;
mod service;
mod settings;
mod snapshot;
mod storage;
mod worker;

pub(crate) use action_log::action_log;
pub(crate) use audit::{audit, count, oldest};
pub(crate) use bill::bill;
pub(crate) use cost::{UsedTokens, by_tag, cost_totals, costs, forecasts, orphan_costs, price, unpriced};
use fit::engine;
pub(crate) use fit::type_fit;
pub(crate) use focus::{Names, focus};
pub(crate) use offer::{image, offer};
pub(crate) use proof::{instance_proof, stuck};
pub(crate) use service::{service, usage};
pub(crate) use settings::{model, settings};
pub(crate) use storage::{owned_volume, proof, storage};

use inventiv_core::offer::BootStorage;
use inventiv_core::recorded::{self, Aggregate, Volume};
use inventiv_core::size::gb_ceil;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_core::time::Timestamp;
use inventiv_store::StateChange;
use inventiv_types::{HistoryEntry, Instance, InstanceDetail, Note, Page, Time};
use utoipa::ToSchema;

pub(crate) fn instance(agg: &Aggregate, prices: &StoragePrices) -> Instance {
    let i = &agg.instance;
    let storages = agg.storages();
    let last = agg.servers.iter().rev().find(|s| s.is_primary && s.provider_id.is_some());
    Instance {
        id: i.id.to_string(),
        name: i.name.clone(),
        status: i.status,
        provider: i.provider.clone(),
        account_id: i.account_id.clone(),
        zone: i.zone.clone(),
        instance_type: i.instance_type.clone(),
        model_id: i.model_id.clone(),
        engine: i.spec.engine.map(|e| engine(e, i.spec.serving.as_ref())),
        service_id: i.spec.replica_of.as_ref().map(|of| of.service_id.to_string()),
        image: i.spec.image.clone(),
        provider_instance_id: agg.server().or(last).and_then(|s| s.provider_id.clone()),
        ip_address: i.ip_address.clone(),
        addresses: i.addresses.clone(),
        expires_at: i.expires_at.map(Time),
        idle_seconds: i.spec.idle_ms.map(|ms| ms / 1_000),
        created_at: Time(i.created_at),
        ready_at: i.ready_at.map(Time),
        terminated_at: i.terminated_at.map(Time),
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

pub(crate) fn detail(
    agg: &Aggregate,
    history: &[StateChange],
    next: Vec<String>,
    prices: &StoragePrices,
    now: Timestamp,
) -> InstanceDetail {
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
    InstanceDetail {
        instance: instance(agg, prices),
        storages: volumes.into_iter().map(|v| storage(v, prices)).collect(),
        worker: worker::worker(&agg.instance),
        endpoint: agg.instance.worker.is_some().then(|| format!("/instances/{}/v1", agg.instance.id)),
        notes: agg.instance.notes.iter().map(note).chain(worker::worker_note(&agg.instance)).collect(),
        next,
        stuck: stuck(agg, prices, now),
        warnings: spec.warnings.clone(),
        data_volume_reason: spec
            .data_volume
            .as_ref()
            .map_or_else(|| "no data volume".to_owned(), |d| d.size_reason.clone()),
        boot_volume_note,
        history: history.iter().map(history_entry).collect(),
    }
}

pub(crate) fn note(n: &recorded::Note) -> Note {
    Note { code: n.code, text: n.text.clone(), until: n.until.map(Time) }
}

pub(crate) fn history_entry(c: &StateChange) -> HistoryEntry {
    HistoryEntry { from_status: c.from_status, to_status: c.to_status, reason: c.reason.clone(), at: Time(c.at) }
}

/// Makes a page of at most `limit` items out of up to `limit + 1` rows.
pub(crate) fn page<R, T: ToSchema>(
    mut rows: Vec<R>,
    limit: u32,
    id: impl Fn(&R) -> String,
    view: impl Fn(&R) -> T,
) -> Page<T> {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(id);
    Page { items: rows.iter().map(view).collect(), next }
}
