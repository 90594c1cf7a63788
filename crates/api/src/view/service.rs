//! The representation of a service.

use super::fit::engine;
use inventiv_core::recorded::Aggregate;
use inventiv_core::service::{Candidate, Load, Service};
use inventiv_core::size::gb_ceil;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_store::{Usage, UsageKey};
use inventiv_types::{self as types, ServiceCandidate, ServiceLoad, ServiceReplica, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `prices` has the prices of a zone.
pub(crate) fn service(
    s: &Service,
    replicas: &[Aggregate],
    load: &Load,
    prices: impl Fn(&str) -> Arc<StoragePrices>,
) -> types::Service {
    let candidates: Vec<ServiceCandidate> =
        s.spec.candidates.iter().map(|c| candidate(s, c, &prices(&c.zone))).collect();
    let first = s.spec.candidates.first().map(|c| &c.spec);
    let most = candidates.iter().map(|c| c.hourly_micros + c.storage_hourly_micros).max().unwrap_or(0);
    let shown: Vec<ServiceReplica> = replicas.iter().map(|a| replica(s, a)).collect();
    types::Service {
        id: s.id.to_string(),
        name: s.name.clone(),
        status: s.status,
        reason: s.reason.clone(),
        model_id: s.spec.model_id.clone(),
        engine: first.and_then(|f| f.engine.map(|e| engine(e, f.serving.as_ref()))),
        account_id: s.account_id.clone(),
        min_replicas: s.spec.min_replicas,
        max_replicas: s.spec.max_replicas,
        target_concurrency: s.spec.target_concurrency,
        idle_seconds: s.spec.idle_ms / 1_000,
        scale_down_seconds: s.spec.scale_down_ms / 1_000,
        ready_replicas: shown.iter().filter(|r| r.status == types::Status::Ready).count(),
        hourly_micros: shown.iter().map(|r| r.hourly_micros).sum(),
        max_hourly_micros: most.saturating_mul(i64::from(s.spec.max_replicas)),
        currency: first.map_or_else(String::new, |f| f.currency.clone()),
        candidates,
        replicas: shown,
        load: ServiceLoad {
            outstanding: load.outstanding,
            queued: load.queued,
            last_request_at: load.last_request_at.map(Time),
        },
        endpoint: "/v1".to_owned(),
        warm_until: s.warm_until.map(Time),
        expires_at: s.expires_at.map(Time),
        revision: s.revision,
        created_at: Time(s.created_at),
        updated_at: Time(s.updated_at),
        deleted_at: s.deleted_at.map(Time),
        warnings: warnings(&s.spec.candidates),
        plan_id: None,
    }
}

/// Each warning once. One that is not about every server type names those that it is about.
fn warnings(candidates: &[Candidate]) -> Vec<String> {
    let all: BTreeSet<&str> = candidates.iter().map(|c| c.instance_type.as_str()).collect();
    let mut about: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for candidate in candidates {
        for warning in &candidate.spec.warnings {
            about.entry(warning).or_default().insert(&candidate.instance_type);
        }
    }
    let told = about.into_iter().map(|(warning, some)| {
        if some == all || some.iter().all(|t| warning.contains(t)) {
            return warning.to_owned();
        }
        format!("{}: {warning}", some.into_iter().collect::<Vec<_>>().join(", "))
    });
    told.collect()
}

fn candidate(s: &Service, c: &Candidate, prices: &StoragePrices) -> ServiceCandidate {
    let avoided = s.state.avoid.get(&c.key());
    let volume = c.spec.data_volume.as_ref();
    let gb = volume.map_or(0, |v| gb_ceil(v.size_bytes));
    ServiceCandidate {
        zone: c.zone.clone(),
        instance_type: c.instance_type.clone(),
        gpu_count: c.spec.gpu_count,
        data_volume_gb: gb,
        hourly_micros: c.spec.hourly_micros,
        storage_hourly_micros: prices.block_hourly_micros(gb, volume.and_then(|v| v.perf_iops)),
        avoided_until: avoided.map(|a| Time(a.until)),
        avoided_because: avoided.map(|a| a.why.clone()),
    }
}

fn replica(s: &Service, agg: &Aggregate) -> ServiceReplica {
    let i = &agg.instance;
    ServiceReplica {
        instance_id: i.id.to_string(),
        name: i.name.clone(),
        status: i.status,
        zone: i.zone.clone(),
        instance_type: i.instance_type.clone(),
        hourly_micros: i.spec.hourly_micros,
        is_current: i.spec.replica_of.as_ref().is_some_and(|of| of.revision == s.revision),
        error: i.failure.as_ref().map(|f| f.message.clone()),
        created_at: Time(i.created_at),
        ready_at: i.ready_at.map(Time),
    }
}

pub(crate) fn usage(key: &UsageKey, used: &Usage) -> types::Usage {
    types::Usage {
        hour: Time(inventiv_core::time::Timestamp(key.hour)),
        key_id: key.key_id.clone(),
        service_id: (!key.service_id.is_empty()).then(|| key.service_id.clone()),
        instance_id: key.instance_id.clone(),
        model_id: key.model.clone(),
        requests: used.requests,
        errors: used.errors,
        prompt_tokens: used.prompt_tokens,
        completion_tokens: used.completion_tokens,
        first_token_ms: used.first_token_ms,
        duration_ms: used.duration_ms,
    }
}
