//! The representation of the last audits.

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

/// The last audits of all zones: the comparison of what the cloud shows with the records.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Audit {
    /// `clean`: nothing was found. `findings`: there are orphans, suspects, missing resources, conflicts or stuck
    /// deletions. `inconclusive`: the evidence does not allow a conclusion; the field `inconclusive` says why.
    pub(crate) verdict: String,
    /// The id of the audited account.
    account: String,
    /// The number of orphans: resources with our name that no record wants.
    orphans: usize,
    /// The number of suspects: volumes that the provider probably created with one of our servers. They are never
    /// deleted.
    suspects: usize,
    /// The number of missing resources: recorded as existing, and not shown by the cloud.
    missing: usize,
    /// The number of conflicts: volumes whose policy in the cloud is newer than in the records.
    conflicts: usize,
    /// The number of volumes that were kept on purpose after their instance ended.
    retained: usize,
    /// Their price per hour, in millionths of `currency`; block storage at list price.
    retained_hourly_micros: i64,
    /// The number of snapshots that third parties took of our volumes. The zones list them.
    snapshots: usize,
    /// Their list price per hour, in millionths of `currency`.
    snapshots_hourly_micros: i64,
    /// The currency of all prices, as an ISO 4217 code.
    currency: String,
    /// The number of deletions that were requested and are not proven yet.
    unproven_deletions: i64,
    /// How many of them were requested more than 15 minutes ago. `GET /instances/{id}` says what to do (`stuck`).
    stuck: i64,
    /// The ids of the instances with stuck deletions, at most 100.
    stuck_instances: Vec<String>,
    /// The time since which the outcome of a creation is unknown, for the oldest such creation.
    oldest_unconfirmed: Option<String>,
    /// Other accounts in the database that still own resources. They are not audited, because their credentials are
    /// absent.
    unaudited_accounts: Vec<String>,
    /// Why the verdict is `inconclusive`; empty otherwise.
    inconclusive: Vec<String>,
    /// Zones of the provider that are not audited: they are not configured, and nothing was ever created there.
    not_looked_at: Vec<String>,
    /// The last audit of each zone.
    zones: Vec<ZoneView>,
}

/// The last audit of one zone.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ZoneView {
    /// The zone.
    zone: String,
    /// When an audit was last requested; `null` if never.
    requested_at: Option<String>,
    /// When the audit began; `null` if the zone has not been audited yet.
    begun_at: Option<String>,
    /// When the audit ended.
    ended_at: Option<String>,
    /// Why the audit allows no conclusion; `null` if it does.
    inconclusive: Option<String>,
    /// The number of servers and volumes that the cloud shows.
    shown: usize,
    /// How many of them are wanted by a record.
    claimed: usize,
    /// How many of them were kept on purpose.
    retained: usize,
    /// How many of them belong to third parties. They are never changed.
    foreign: usize,
    /// Whether a resource has our name but its instance was never recorded. The database may have been restored from a
    /// backup.
    records_look_rolled_back: bool,
    /// The findings.
    findings: Vec<FindingView>,
    /// Orphans in quarantine: they will be deleted, because `POST /audit` requested it.
    quarantined: Vec<QuarantinedView>,
    /// Why none of them is deleted although the quarantine is over; `null` if nothing prevents it.
    frozen: Option<String>,
    /// Unreadable rows of the listing, one sentence each. They count as a third party's unless an id or name shows that
    /// they are ours. No decision is based on them.
    unreadable: Vec<String>,
    /// The provider's ids of orphans whose removal this audit has started.
    taken: Vec<String>,
    /// Snapshots that third parties took of our volumes. They are reported, never deleted, and are not findings.
    snapshots: Vec<SnapshotView>,
    /// Why some snapshots may be missing from the list; `null` if it is complete.
    snapshots_unknown: Option<String>,
}

/// An orphan in quarantine.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct QuarantinedView {
    /// `server` or `volume`.
    resource: String,
    /// The provider's id.
    provider_id: String,
    /// The name.
    name: String,
    /// The instance that the name refers to.
    instance_id: String,
    /// When the quarantine began.
    since: String,
    /// When the quarantine ends. The orphan is not deleted earlier.
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

/// One finding of an audit.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct FindingView {
    /// `orphan`: it has our name, and no record wants it. `suspect`: the provider probably created it with one of our
    /// servers. `missing`: it is recorded as existing, and the cloud does not show it. `conflict`: its policy in the
    /// cloud is newer than in the records.
    kind: String,
    /// `server` or `volume`.
    resource: String,
    /// The provider's id.
    provider_id: String,
    /// The name.
    name: String,
    /// The size in bytes, for volumes.
    size_bytes: Option<i64>,
    /// The size in GB (10^9 bytes), rounded up.
    size_gb: Option<i64>,
    /// When it was created, according to the provider.
    created_at: Option<String>,
    /// The instance that it belongs to, or that its name refers to.
    instance_id: Option<String>,
    /// The price per hour, in millionths of a euro; `null` if it is unknown.
    hourly_micros: Option<i64>,
    /// The evidence, as a sentence.
    why: String,
    /// What to do.
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
    /// `zones` are the audited zones of the account.
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

/// The maximum age of a valid audit in milliseconds: three audit intervals.
const AGE_MAX_MS: i64 = 1_800_000;
/// How long a creation may be unconfirmed before the verdict is `inconclusive`, in milliseconds: no call takes longer.
const DOUBT_MAX_MS: i64 = 60_000;

/// Every reason why the verdict is `inconclusive`.
fn reasons(zones: &[ZoneAudit], open: &Unfinished, now: Timestamp) -> Vec<String> {
    let mut why = Vec::new();
    if zones.is_empty() {
        why.push("there is no zone to audit".to_owned());
    }
    for z in zones {
        match (&z.report, z.begun_at) {
            (Some(report), Some(begun)) if report.inconclusive.is_none() => {
                if now.ms_since(begun) > AGE_MAX_MS {
                    why.push(format!("zone {}: the last audit began at {}, too long ago", z.zone, time(begun)));
                }
            }
            (Some(_), Some(_)) => why.push(format!("zone {}: see the zone's own `inconclusive`", z.zone)),
            _ => why.push(format!("zone {}: it has not been audited yet", z.zone)),
        }
    }
    let others = open.other_accounts.iter();
    why.extend(others.map(|a| format!("account {a} still owns resources: start a control plane with its credentials")));
    if let Some(since) = open.oldest_unconfirmed.filter(|t| now.ms_since(*t) > DOUBT_MAX_MS) {
        why.push(format!("the outcome of a creation has been unknown since {}", time(since)));
    }
    why
}

/// The number of findings of a kind.
pub(crate) fn count(zones: &[ZoneAudit], kind: FindingKind) -> usize {
    let findings = zones.iter().filter_map(|z| z.report.as_ref()).flat_map(|r| &r.findings);
    findings.filter(|f| f.kind == kind).count()
}

/// When the oldest of the zones' last audits began; `None` if a zone has none, or an inconclusive one.
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
