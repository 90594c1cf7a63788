//! The evidence of an instance's end, resource by resource.

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

/// What is known of the end of an instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InstanceProof {
    /// Whose.
    instance_id: String,
    /// Its status.
    status: String,
    /// Nothing is left to find out: all of it is proven gone, kept on purpose, somebody else's, surely never made, or
    /// (`watched`) was never answered and was in no complete listing begun after its grace.
    clean: bool,
    /// `confirmed`: every proof was confirmed by a look that cannot be as old as it. `provisional`: one has yet to be, since
    /// reads may be stale; what is shown again then is deleted again. `null`: nothing is proven gone.
    certainty: Option<String>,
    /// The same as a sentence.
    verdict: String,
    /// What is not known or not done yet; empty if clean.
    open: Vec<String>,
    /// What is kept costs so much an hour, in millionths of `currency`; block storage at its list price.
    kept_hourly_micros: i64,
    /// ISO 4217.
    currency: String,
    /// When the instance was asked for.
    created_at: String,
    /// When it was rebuilt from what the cloud shows: what it had before, and had no more then, is not known; else `null`.
    recovered_at: Option<String>,
    /// When its end was asked for.
    terminate_requested_at: Option<String>,
    /// When everything was proven gone.
    terminated_at: Option<String>,
    /// When this was read from the records: later events are not in it.
    read_at: String,
    /// Every server and volume that it ever had.
    resources: Vec<ResourceProof>,
    /// Snapshots that somebody made of its volumes and that may be there still, as the last audit or the deletion of the volume
    /// showed them. They are somebody else's to delete, and are billed until then.
    snapshots: Vec<SnapshotView>,
}

/// What is known of one resource.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ResourceProof {
    /// `server` or `volume`.
    kind: String,
    /// Its id here.
    id: String,
    /// Its name in the cloud, as last known.
    name: String,
    /// The cloud's id; `null`: never known.
    provider_id: Option<String>,
    /// `gone`, `kept`, `foreign`, `never_made`, `watched` (never answered, never turned up, its name stays watched) or
    /// `open`.
    cleanup_state: String,
    /// What is open.
    open: Option<String>,
    /// The server that it came with.
    came_with: Option<String>,
    /// The evidence that it is gone.
    proof: Option<ProofView>,
    /// The calls that made and removed it, and what was found meanwhile, in the order of time.
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
            ([], n) => format!("clean: nothing is left behind but {n} volume(s) kept on purpose"),
            (points, _) => format!("cannot say clean: {} point(s) are open", points.len()),
        };
        let proven = agg.proofs().next().is_some();
        let certainty = proven.then_some(if proof::is_provisional(agg) { "provisional" } else { "confirmed" });
        if let Some(at) = i.confirm_after.filter(|_| open.is_empty()) {
            verdict.push_str(&format!("; provisional until a listing that begins after {at} confirms it"));
        }
        let snapshots = snapshots::of(agg, &BTreeMap::new());
        if !snapshots.is_empty() {
            verdict.push_str(&format!(
                "; {} snapshot(s) that somebody made of its volumes may be there still, and are billed",
                snapshots.len()
            ));
        }
        if let Some(at) = i.spec.recovered_at {
            verdict.push_str(&format!("; rebuilt from the cloud {at}: what it had no more by then is not known"));
        }
        if watched > 0 {
            verdict
                .push_str(&format!("; {watched} creation(s) never answered and never seen, their names stay watched"));
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

impl ResourceProof {
    fn server(s: &Server, logs: &[ActionLog]) -> Self {
        let about = |l: &&ActionLog| {
            let made = l.action == "PROVIDER_CREATE" && l.attempt == Some(s.attempt.into());
            let named = l.details.as_ref().is_some_and(|d| d.contains(&s.name));
            l.volume_id.is_none() && (made || named || (l.resource_id.is_some() && l.resource_id == s.provider_id))
        };
        Self::new(
            "server",
            s.id.to_string(),
            &s.name,
            s.provider_id.as_ref(),
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
                id.clone(),
                &v.name,
                v.provider_id.as_ref(),
                proof::volume(v),
                logs.iter().filter(about),
            )
        }
    }

    fn new<'l>(
        kind: &str,
        id: String,
        name: &str,
        provider_id: Option<&String>,
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
            id,
            name: name.to_owned(),
            provider_id: provider_id.cloned(),
            cleanup_state: word.to_owned(),
            open,
            came_with: None,
            proof,
            calls: reported.cloned().map(ActionLogView::of).collect(),
        }
    }
}

/// One resource that does not go away, and what a person can do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StuckView {
    /// The cloud's id of it, or its name while the id is not known.
    resource: String,
    /// When its end was asked for.
    since: String,
    /// Why it is still there, as far as we know.
    reason: String,
    /// What it costs an hour, in millionths of `currency`.
    hourly_micros: i64,
    /// ISO 4217.
    currency: String,
    /// What a person can do.
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
