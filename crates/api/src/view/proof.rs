//! The representation of the evidence that an instance is gone.

use super::snapshot::SnapshotView;
use super::{ActionLogView, ProofView, opt_time, time};
use inventiv_core::event_kind::EventKind;
use inventiv_core::money::StoragePrices;
use inventiv_core::proof::{self, CleanupState};
use inventiv_core::recorded::{Aggregate, Server, Volume};
use inventiv_core::size::gb_ceil;
use inventiv_core::snapshots;
use inventiv_core::time::Timestamp;
use inventiv_store::ActionLog;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The evidence for the end of an instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InstanceProof {
    /// The id of the instance.
    instance_id: String,
    /// The status of the instance.
    status: String,
    /// Whether nothing is open: every resource is proven gone, was kept on purpose, belongs to a third party, was
    /// certainly never created, or is `watched`.
    clean: bool,
    /// `confirmed`: reads that cannot be stale have confirmed every proof. `provisional`: a proof is not confirmed yet.
    /// If the resource is shown again, it is deleted again. `null`: nothing is proven gone.
    certainty: Option<String>,
    /// The result as a sentence.
    verdict: String,
    /// What is not known or not done yet; empty if `clean` is true.
    open: Vec<String>,
    /// The price of the kept volumes per hour, in millionths of `currency`; block storage at list price.
    kept_hourly_micros: i64,
    /// The currency, as an ISO 4217 code.
    currency: String,
    /// When the instance was requested.
    created_at: String,
    /// When the record was rebuilt from the cloud, otherwise `null`. Resources that were gone by then are not known.
    recovered_at: Option<String>,
    /// When the end of the instance was requested.
    terminate_requested_at: Option<String>,
    /// When everything that should be deleted was proven gone.
    terminated_at: Option<String>,
    /// When this evidence was read from the database. It does not contain later events.
    read_at: String,
    /// Every server and volume that the instance ever had.
    resources: Vec<ResourceProof>,
    /// Snapshots of the instance's volumes that third parties took and that may still exist, as of the last audit or
    /// the deletion of the volume. They are billed until a third party deletes them.
    snapshots: Vec<SnapshotView>,
}

/// The evidence for one resource.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ResourceProof {
    /// `server` or `volume`.
    kind: String,
    /// The id in the records.
    id: String,
    /// The last known name in the cloud.
    name: String,
    /// The provider's id; `null` if it was never known.
    provider_id: Option<String>,
    /// `gone`: proven gone. `kept`: kept on purpose. `foreign`: it belongs to a third party and was left alone.
    /// `never_made`: certainly never created. `watched`: its creation was never confirmed, and no complete listing
    /// after the grace shows it; its name stays watched. `open`: not known or not done yet.
    cleanup_state: String,
    /// What is open; `null` if nothing is.
    open: Option<String>,
    /// The provider's id of the server that a volume belonged to.
    came_with: Option<String>,
    /// The proof that it is gone.
    proof: Option<ProofView>,
    /// The calls that created and removed the resource, and events about it, in chronological order.
    calls: Vec<ActionLogView>,
}

impl InstanceProof {
    pub(crate) fn of(agg: &Aggregate, logs: &[ActionLog], prices: &StoragePrices, now: Timestamp) -> Self {
        let i = &agg.instance;
        let open = proof::open_points(agg);
        let kept: Vec<&Volume> = agg.volumes.iter().filter(|v| proof::volume(v) == CleanupState::Kept).collect();
        let hourly = |v: &&&Volume| v.size_bytes.map_or(0, |b| prices.block_hourly_micros(gb_ceil(b), v.perf_iops));
        let kept_hourly_micros = kept.iter().filter(|v| v.is_block()).map(|v| hourly(&v)).fold(0, i64::saturating_add);
        let servers = agg.servers.iter().map(|s| ResourceProof::server(s, logs));
        let volumes = agg.volumes.iter().map(|v| ResourceProof::volume(v, agg, logs));
        let watched = agg.servers.iter().filter(|s| proof::server(s) == CleanupState::Watched).count()
            + agg.volumes.iter().filter(|v| proof::volume(v) == CleanupState::Watched).count();
        let mut verdict = match (open.as_slice(), kept.len()) {
            ([], 0) => "clean: nothing is left behind".to_owned(),
            ([], n) => format!("clean: nothing is left behind except {n} volume(s) kept on purpose"),
            (points, _) => format!("not clean: {} point(s) are open", points.len()),
        };
        let proven = agg.proofs().next().is_some();
        let certainty = proven.then_some(if proof::is_provisional(agg) { "provisional" } else { "confirmed" });
        if let Some(at) = i.confirm_after.filter(|_| open.is_empty()) {
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
        Self {
            instance_id: i.id.to_string(),
            status: i.status.to_string(),
            clean: open.is_empty(),
            certainty: certainty.map(str::to_owned),
            verdict,
            open,
            kept_hourly_micros,
            currency: i.spec.currency.clone(),
            created_at: time(i.created_at),
            recovered_at: opt_time(i.spec.recovered_at),
            terminate_requested_at: opt_time(i.terminate_requested_at),
            terminated_at: opt_time(i.terminated_at),
            read_at: time(now),
            snapshots: snapshots.iter().map(|s| SnapshotView::of(s, prices)).collect(),
            resources: servers.chain(volumes).collect(),
        }
    }
}

/// How a resource is named: here, in the cloud, and by the cloud.
struct Named<'a> {
    id: String,
    name: &'a str,
    provider_id: Option<String>,
}

impl ResourceProof {
    fn server(s: &Server, logs: &[ActionLog]) -> Self {
        let about = |l: &&ActionLog| {
            let made = l.action == "PROVIDER_CREATE" && l.attempt == Some(s.attempt.into());
            let named = l.details.as_ref().is_some_and(|d| d.contains(&s.name));
            l.volume_id.is_none() && (made || named || (l.resource_id.is_some() && l.resource_id == s.provider_id))
        };
        Self::new(
            "server",
            Named { id: s.id.to_string(), name: &s.name, provider_id: s.provider_id.clone() },
            proof::server(s),
            logs.iter().filter(about),
        )
    }

    fn volume(v: &Volume, agg: &Aggregate, logs: &[ActionLog]) -> Self {
        let id = v.id.to_string();
        let about = |l: &&ActionLog| l.volume_id.as_deref() == Some(&id);
        let with = v.server_id.as_ref().and_then(|s| agg.server_by_id(s)).and_then(|s| s.provider_id.clone());
        Self {
            came_with: with,
            ..Self::new(
                "volume",
                Named { id: id.clone(), name: &v.name, provider_id: v.provider_id.clone() },
                proof::volume(v),
                logs.iter().filter(about),
            )
        }
    }

    fn new<'l>(
        kind: &str,
        named: Named<'_>,
        cleanup_state: CleanupState<'_>,
        logs: impl Iterator<Item = &'l ActionLog>,
    ) -> Self {
        let reported = logs.filter(|l| EventKind::parse(&l.action).is_some_and(EventKind::is_evidence));
        let (word, proof, open) = match cleanup_state {
            CleanupState::Gone(proof) => ("gone", Some(ProofView::of(proof)), None),
            CleanupState::Kept => ("kept", None, None),
            CleanupState::Foreign => ("foreign", None, None),
            CleanupState::NeverMade => ("never_made", None, None),
            CleanupState::Watched => ("watched", None, None),
            CleanupState::Open(what) => ("open", None, Some(what)),
        };
        Self {
            kind: kind.to_owned(),
            id: named.id,
            name: named.name.to_owned(),
            provider_id: named.provider_id,
            cleanup_state: word.to_owned(),
            open,
            came_with: None,
            proof,
            calls: reported.cloned().map(ActionLogView::of).collect(),
        }
    }
}

/// A deletion that was requested more than 15 minutes ago and is not proven.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StuckView {
    /// The provider's id of the resource, or its name if the id is not known.
    resource: String,
    /// When the deletion was requested.
    since: String,
    /// The known reason why the resource still exists.
    reason: String,
    /// The price of the resource per hour, in millionths of `currency`.
    hourly_micros: i64,
    /// The currency, as an ISO 4217 code.
    currency: String,
    /// What to do.
    remedy: String,
}

impl StuckView {
    pub(crate) fn all(agg: &Aggregate, prices: &StoragePrices, now: Timestamp) -> Vec<Self> {
        let one = |s: inventiv_core::stuck::Stuck| Self {
            resource: s.resource,
            since: time(s.since),
            reason: s.reason,
            hourly_micros: s.hourly_micros,
            currency: s.currency,
            remedy: s.remedy.to_owned(),
        };
        inventiv_core::stuck::stuck(agg, prices, now).into_iter().map(one).collect()
    }
}
