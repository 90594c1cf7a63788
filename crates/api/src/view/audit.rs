//! What the last audits found.

use super::snapshot::SnapshotView;
use super::{opt_time, time};
use crate::Account;
use inventiv_core::audit::{Finding, FindingKind};
use inventiv_core::money::StoragePrices;
use inventiv_core::size::gb_ceil;
use inventiv_core::sweep::Quarantined;
use inventiv_core::time::Timestamp;
use inventiv_store::{Unfinished, ZoneAudit};
use serde::Serialize;
use utoipa::ToSchema;

/// What the cloud holds against what is recorded, in every zone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Audit {
    /// `clean`, `findings`, or `inconclusive` (a zone that was not or could not be audited: see there).
    pub(crate) verdict: String,
    /// The account that was audited.
    account: String,
    /// Resources that carry our name and that no record wants.
    orphans: usize,
    /// Resources that may be ours: what the cloud made by itself with one of our servers. Never deleted by themselves.
    suspects: usize,
    /// Resources that are recorded as there and that the cloud does not show.
    missing: usize,
    /// Volumes whose policy in the cloud is newer than the records: those are older than the cloud.
    conflicts: usize,
    /// Volumes that are kept on purpose.
    retained: usize,
    /// What these cost an hour, in millionths of `currency`: block storage at its list price.
    retained_hourly_micros: i64,
    /// Snapshots that somebody made of our volumes: see the zones.
    snapshots: usize,
    /// What these cost an hour, in millionths of `currency`, by list price.
    snapshots_hourly_micros: i64,
    /// ISO 4217.
    currency: String,
    /// Deletions that were asked for and are not proven yet.
    unproven_deletions: i64,
    /// Of these: asked for more than 15 minutes ago. `GET /instances/{id}` says what a person can do.
    stuck: i64,
    /// Whose they are: the first hundred instances.
    stuck_instances: Vec<String>,
    /// Since when it is not known whether the oldest open creation took effect.
    oldest_unconfirmed: Option<String>,
    /// Other accounts in this database that still have something: nobody audits them without their credentials.
    unaudited_accounts: Vec<String>,
    /// Why the verdict is `inconclusive`; empty if it is not.
    inconclusive: Vec<String>,
    /// Zones of the provider that are not looked at: nobody named them, and nothing was ever made there by this control plane.
    not_looked_at: Vec<String>,
    /// Each zone's last audit.
    zones: Vec<ZoneView>,
}

/// The last audit of one zone.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ZoneView {
    /// Where.
    zone: String,
    /// When somebody last asked for one.
    requested_at: Option<String>,
    /// When it began; `null`: there was none yet.
    begun_at: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// Why nothing can be said; `null`: it can.
    inconclusive: Option<String>,
    /// Servers and volumes that the cloud shows.
    shown: usize,
    /// Of those: wanted by a record.
    claimed: usize,
    /// Of those: kept on purpose.
    retained: usize,
    /// Of those: somebody else's. Never touched.
    foreign: usize,
    /// Something carries our name and its instance was never recorded here: was the database restored from a backup?
    records_look_rolled_back: bool,
    /// What is not as it should be.
    findings: Vec<FindingView>,
    /// Orphans that wait to be deleted, because somebody chose that.
    quarantined: Vec<QuarantinedView>,
    /// Why none of them is deleted, although their time is over; `null`: nothing stands in the way.
    frozen: Option<String>,
    /// Rows of the listing that cannot be read, in a sentence each: they are somebody else's until their id or name says
    /// otherwise, nothing is decided upon them, and none of them hides others.
    unreadable: Vec<String>,
    /// Cloud ids of orphans that this audit told their instances to take away.
    taken: Vec<String>,
    /// Snapshots that somebody made of our volumes. They are no findings: told, never deleted, billed until somebody does.
    snapshots: Vec<SnapshotView>,
    /// Why some of these may be missing; `null`: none is.
    snapshots_unknown: Option<String>,
}

/// An orphan in quarantine.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct QuarantinedView {
    /// `server` or `volume`.
    resource: String,
    /// The cloud's id.
    provider_id: String,
    /// Its name.
    name: String,
    /// Whose it would be.
    instance_id: String,
    /// Since when it is there.
    since: String,
    /// It is deleted not before.
    until: String,
}

impl QuarantinedView {
    fn of(q: &Quarantined) -> Self {
        Self {
            resource: q.resource.clone(),
            provider_id: q.provider_id.clone(),
            name: q.name.clone(),
            instance_id: q.instance_id.to_string(),
            since: time(q.found_at),
            until: time(q.until),
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct FindingView {
    /// `orphan`, `suspect`, `missing` or `conflict`.
    kind: String,
    /// `server` or `volume`.
    resource: String,
    /// The cloud's id.
    provider_id: String,
    /// Its name.
    name: String,
    /// In bytes, for volumes.
    size_bytes: Option<i64>,
    /// The same in GB (10^9 bytes), rounded up.
    size_gb: Option<i64>,
    /// When the cloud says that it was made.
    created_at: Option<String>,
    /// The instance that it belongs to, or would.
    instance_id: Option<String>,
    /// What it costs an hour, in micro-euros, where we know.
    hourly_micros: Option<i64>,
    /// The evidence.
    why: String,
    /// What a person can do.
    remedy: String,
}

impl FindingView {
    fn of(f: &Finding) -> Self {
        Self {
            kind: f.kind.text().to_owned(),
            resource: f.resource.clone(),
            provider_id: f.provider_id.clone(),
            name: f.name.clone(),
            size_bytes: f.size_bytes,
            size_gb: f.size_bytes.map(gb_ceil),
            created_at: opt_time(f.created_at),
            instance_id: f.instance_id.as_ref().map(ToString::to_string),
            hourly_micros: f.hourly_micros,
            why: f.why.clone(),
            remedy: f.remedy.clone(),
        }
    }
}

impl Audit {
    /// `zones` are those that were observed.
    pub(crate) fn of(account: &Account, zones: &[ZoneAudit], open: Unfinished, now: Timestamp) -> Self {
        let (all, prices) = (&account.profile.zones, &account.profile.storage_prices);
        let count = |kind| count(zones, kind);
        let (orphans, suspects, missing) =
            (count(FindingKind::Orphan), count(FindingKind::Suspect), count(FindingKind::Missing));
        let conflicts = count(FindingKind::Conflict);
        let inconclusive = reasons(zones, &open, now);
        let bad = orphans + suspects + missing + conflicts > 0 || open.stuck > 0;
        let reports = || zones.iter().filter_map(|z| z.report.as_ref());
        Self {
            verdict: if !inconclusive.is_empty() {
                "inconclusive"
            } else if bad {
                "findings"
            } else {
                "clean"
            }
            .to_owned(),
            account: account.id.clone(),
            orphans,
            suspects,
            missing,
            conflicts,
            retained: reports().map(|r| r.retained).sum(),
            retained_hourly_micros: reports().fold(0, |n, r| n.saturating_add(r.retained_hourly_micros)),
            snapshots: reports().map(|r| r.snapshots.len()).sum(),
            snapshots_hourly_micros: reports()
                .flat_map(|r| &r.snapshots)
                .filter_map(|s| s.snapshot.hourly_micros(prices))
                .fold(0, i64::saturating_add),
            currency: prices.currency.clone(),
            unproven_deletions: open.unproven_deletions,
            stuck: open.stuck,
            stuck_instances: open.stuck_instances.iter().map(ToString::to_string).collect(),
            oldest_unconfirmed: open.oldest_unconfirmed.map(time),
            unaudited_accounts: open.other_accounts,
            inconclusive,
            not_looked_at: all.iter().filter(|zone| zones.iter().all(|z| z.zone != **zone)).cloned().collect(),
            zones: zones.iter().map(|z| ZoneView::of(z, prices)).collect(),
        }
    }
}

/// How old an audit may be before it says nothing any more, in milliseconds: three times the time between two.
const AGE_MAX_MS: i64 = 1_800_000;
/// How long a creation may be open before it keeps the audit from being clean: no call takes longer.
const DOUBT_MAX_MS: i64 = 60_000;

/// Everything that keeps it from being said that all is well.
fn reasons(zones: &[ZoneAudit], open: &Unfinished, now: Timestamp) -> Vec<String> {
    let mut why = Vec::new();
    if zones.is_empty() {
        why.push("no zone is to be audited".to_owned());
    }
    for z in zones {
        match (&z.report, z.begun_at) {
            (Some(report), Some(begun)) if report.inconclusive.is_none() => {
                if now.ms_since(begun) > AGE_MAX_MS {
                    why.push(format!("zone {}: its last audit began {}, too long ago", z.zone, time(begun)));
                }
            }
            (Some(_), Some(_)) => why.push(format!("zone {}: see there", z.zone)),
            _ => why.push(format!("zone {}: it has not been audited yet", z.zone)),
        }
    }
    let others = open.other_accounts.iter();
    why.extend(others.map(|a| format!("account {a} still has something: start a server with its credentials")));
    if let Some(since) = open.oldest_unconfirmed.filter(|t| now.ms_since(*t) > DOUBT_MAX_MS) {
        why.push(format!("since {} it is not known whether a creation took effect", time(since)));
    }
    why
}

/// How many findings of a kind there are.
pub(crate) fn count(zones: &[ZoneAudit], kind: FindingKind) -> usize {
    let findings = zones.iter().filter_map(|z| z.report.as_ref()).flat_map(|r| &r.findings);
    findings.filter(|f| f.kind == kind).count()
}

/// When the zone that was audited the longest ago was; `None`: one of them never was, or could not be.
pub(crate) fn oldest(zones: &[ZoneAudit]) -> Option<Timestamp> {
    let said = |z: &ZoneAudit| z.begun_at.filter(|_| z.report.as_ref().is_some_and(|r| r.inconclusive.is_none()));
    zones.iter().map(said).min().flatten()
}

impl ZoneView {
    fn of(z: &ZoneAudit, prices: &StoragePrices) -> Self {
        let number = |pick: fn(&inventiv_core::audit::Report) -> usize| z.report.as_ref().map_or(0, pick);
        Self {
            zone: z.zone.clone(),
            requested_at: opt_time(z.requested_at),
            begun_at: opt_time(z.begun_at),
            ended_at: opt_time(z.ended_at),
            inconclusive: match &z.report {
                Some(report) => report.inconclusive.clone(),
                None => Some("it has not been audited yet".to_owned()),
            },
            shown: number(|r| r.shown),
            claimed: number(|r| r.claimed),
            retained: number(|r| r.retained),
            foreign: number(|r| r.foreign),
            records_look_rolled_back: z.report.as_ref().is_some_and(|r| r.records_look_rolled_back),
            findings: z.report.iter().flat_map(|r| &r.findings).map(FindingView::of).collect(),
            quarantined: z.quarantined.iter().map(QuarantinedView::of).collect(),
            unreadable: z.report.as_ref().map(|r| r.unreadable.clone()).unwrap_or_default(),
            frozen: z.report.as_ref().and_then(|r| r.frozen.clone()),
            taken: z.report.iter().flat_map(|r| &r.taken).cloned().collect(),
            snapshots: z.report.iter().flat_map(|r| &r.snapshots).map(|s| SnapshotView::of(s, prices)).collect(),
            snapshots_unknown: z.report.as_ref().and_then(|r| r.snapshots_unknown.clone()),
        }
    }
}
