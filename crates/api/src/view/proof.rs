//! The representation of the evidence that an instance is gone.

use super::action_log::action_log;
use super::snapshot::snapshot;
use inventiv_core::event_kind::EventKind;
use inventiv_core::proof;
use inventiv_core::recorded::{Aggregate, Server, Volume};
use inventiv_core::size::gb_ceil;
use inventiv_core::snapshots;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_core::time::Timestamp;
use inventiv_store::ActionLog;
use inventiv_types::{Certainty, CleanupState, InstanceProof, ResourceKind, ResourceProof, StuckDeletion, Time};
use std::collections::BTreeMap;

pub(crate) fn instance_proof(
    agg: &Aggregate,
    logs: &[ActionLog],
    prices: &StoragePrices,
    now: Timestamp,
) -> InstanceProof {
    let i = &agg.instance;
    let open = proof::open_points(agg);
    let kept: Vec<&Volume> = agg.volumes.iter().filter(|v| proof::volume(v) == proof::CleanupState::Kept).collect();
    let hourly = |v: &&&Volume| v.size_bytes.map_or(0, |b| prices.block_hourly_micros(gb_ceil(b), v.perf_iops));
    let kept_hourly_micros = kept.iter().filter(|v| v.is_block()).map(|v| hourly(&v)).fold(0, i64::saturating_add);
    let servers = agg.servers.iter().map(|s| server(s, logs));
    let volumes = agg.volumes.iter().map(|v| volume(v, agg, logs));
    let watched = agg.servers.iter().filter(|s| proof::server(s) == proof::CleanupState::Watched).count()
        + agg.volumes.iter().filter(|v| proof::volume(v) == proof::CleanupState::Watched).count();
    let mut verdict = match (open.as_slice(), kept.len()) {
        ([], 0) => "clean: nothing is left behind".to_owned(),
        ([], n) => format!("clean: nothing is left behind except {n} volume(s) kept on purpose"),
        (points, _) => format!("not clean: {} point(s) are open", points.len()),
    };
    let proven = agg.proofs().next().is_some();
    let certainty =
        proven.then_some(if proof::is_provisional(agg) { Certainty::Provisional } else { Certainty::Confirmed });
    // The last of them: an earlier listing confirms only some.
    let confirmed_by = agg.proofs().filter(|p| p.is_provisional()).filter_map(|p| p.confirm_after).max();
    if let Some(at) = confirmed_by.filter(|_| open.is_empty()) {
        verdict.push_str(&format!("; provisional until a listing that begins after {at} confirms it"));
    }
    let snapshots = snapshots::of(agg, &BTreeMap::new());
    if !snapshots.is_empty() {
        verdict.push_str(&format!(
            "; {} snapshot(s) that third parties took of its volumes may still exist and are billed",
            snapshots.len()
        ));
    }
    if let Some(at) = i.spec.recovered_at {
        verdict.push_str(&format!("; rebuilt from the cloud at {at}: what was gone by then is not known"));
    }
    if watched > 0 {
        verdict.push_str(&format!("; {watched} creation(s) were never confirmed, their names stay watched"));
    }
    InstanceProof {
        instance_id: i.id.to_string(),
        status: i.status,
        clean: open.is_empty(),
        certainty,
        verdict,
        open,
        kept_hourly_micros,
        currency: i.spec.currency.clone(),
        created_at: Time(i.created_at),
        recovered_at: i.spec.recovered_at.map(Time),
        terminate_requested_at: i.terminate_requested_at.map(Time),
        terminated_at: i.terminated_at.map(Time),
        read_at: Time(now),
        snapshots: snapshots.iter().map(|s| snapshot(s, prices)).collect(),
        resources: servers.chain(volumes).collect(),
    }
}

/// How a resource is named: here, in the cloud, and by the cloud.
struct Named<'a> {
    id: String,
    name: &'a str,
    provider_id: Option<String>,
}

fn server(s: &Server, logs: &[ActionLog]) -> ResourceProof {
    let about = |l: &&ActionLog| {
        let made = l.action == "PROVIDER_CREATE" && l.attempt == Some(s.attempt.into());
        let named = l.details.as_ref().is_some_and(|d| d.contains(&s.name));
        l.volume_id.is_none() && (made || named || (l.resource_id.is_some() && l.resource_id == s.provider_id))
    };
    resource(
        ResourceKind::Server,
        Named { id: s.id.to_string(), name: &s.name, provider_id: s.provider_id.clone() },
        proof::server(s),
        logs.iter().filter(about),
    )
}

fn volume(v: &Volume, agg: &Aggregate, logs: &[ActionLog]) -> ResourceProof {
    let id = v.id.to_string();
    let about = |l: &&ActionLog| l.volume_id.as_deref() == Some(&id);
    let with = v.server_id.as_ref().and_then(|s| agg.server_by_id(s)).and_then(|s| s.provider_id.clone());
    ResourceProof {
        came_with: with,
        ..resource(
            ResourceKind::Volume,
            Named { id: id.clone(), name: &v.name, provider_id: v.provider_id.clone() },
            proof::volume(v),
            logs.iter().filter(about),
        )
    }
}

fn resource<'l>(
    kind: ResourceKind,
    named: Named<'_>,
    cleanup_state: proof::CleanupState<'_>,
    logs: impl Iterator<Item = &'l ActionLog>,
) -> ResourceProof {
    let reported = logs.filter(|l| EventKind::parse(&l.action).is_some_and(EventKind::is_evidence));
    let given_to = if let proof::CleanupState::Given(to) = &cleanup_state { Some(to.to_string()) } else { None };
    let (word, proof, open) = match cleanup_state {
        proof::CleanupState::Gone(proof) => (CleanupState::Gone, Some(super::proof(proof)), None),
        proof::CleanupState::Kept => (CleanupState::Kept, None, None),
        proof::CleanupState::Given(_) => (CleanupState::Given, None, None),
        proof::CleanupState::Foreign => (CleanupState::Foreign, None, None),
        proof::CleanupState::NeverMade => (CleanupState::NeverMade, None, None),
        proof::CleanupState::Watched => (CleanupState::Watched, None, None),
        proof::CleanupState::Open(what) => (CleanupState::Open, None, Some(what)),
    };
    ResourceProof {
        kind,
        id: named.id,
        name: named.name.to_owned(),
        provider_id: named.provider_id,
        cleanup_state: word,
        given_to,
        open,
        came_with: None,
        proof,
        calls: reported.cloned().map(action_log).collect(),
    }
}

pub(crate) fn stuck(agg: &Aggregate, prices: &StoragePrices, now: Timestamp) -> Vec<StuckDeletion> {
    let one = |s: inventiv_core::stuck::Stuck| StuckDeletion {
        resource: s.resource,
        since: Time(s.since),
        reason: s.reason,
        hourly_micros: s.hourly_micros,
        currency: s.currency,
        remedy: s.remedy.to_owned(),
    };
    inventiv_core::stuck::stuck(agg, prices, now).into_iter().map(one).collect()
}
