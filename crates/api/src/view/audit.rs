//! The representation of the last audits.

use super::snapshot::snapshot;
use crate::Account;
use inventiv_core::audit::{self, FindingKind};
use inventiv_core::size::gb_ceil;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_core::sweep;
use inventiv_core::time::Timestamp;
use inventiv_store::Unfinished;
use inventiv_types::{Audit, Finding, Quarantined, Time, Verdict, ZoneAudit};
use std::sync::Arc;

fn quarantined(q: &sweep::Quarantined) -> Quarantined {
    Quarantined {
        resource: q.resource,
        provider_id: q.provider_id.clone(),
        name: q.name.clone(),
        instance_id: q.instance_id.to_string(),
        since: Time(q.found_at),
        until: Time(q.until),
    }
}

fn finding(f: &audit::Finding) -> Finding {
    Finding {
        kind: f.kind,
        resource: f.resource,
        provider_id: f.provider_id.clone(),
        name: f.name.clone(),
        size_bytes: f.size_bytes,
        size_gb: f.size_bytes.map(gb_ceil),
        created_at: f.created_at.map(Time),
        instance_id: f.instance_id.as_ref().map(ToString::to_string),
        hourly_micros: f.hourly_micros,
        why: f.why.clone(),
        remedy: f.remedy.clone(),
    }
}

/// `zones` are the audited zones of the account; `prices` has the prices of a zone.
pub(crate) fn audit(
    account: &Account,
    zones: &[inventiv_store::ZoneAudit],
    open: Unfinished,
    now: Timestamp,
    prices: impl Fn(&str) -> Arc<StoragePrices>,
) -> Audit {
    let all = &account.profile.zones;
    let audited: Vec<ZoneAudit> = zones.iter().map(|z| zone_audit(z, &prices(&z.zone))).collect();
    let count = |kind| count(zones, kind);
    let (orphans, suspects, missing) =
        (count(FindingKind::Orphan), count(FindingKind::Suspect), count(FindingKind::Missing));
    let conflicts = count(FindingKind::Conflict);
    let inconclusive = reasons(zones, &open, now);
    let bad = orphans + suspects + missing + conflicts > 0 || open.stuck > 0;
    let reports = || zones.iter().filter_map(|z| z.report.as_ref());
    Audit {
        verdict: if !inconclusive.is_empty() {
            Verdict::Inconclusive
        } else if bad {
            Verdict::Findings
        } else {
            Verdict::Clean
        },
        account: account.id.clone(),
        orphans,
        suspects,
        missing,
        conflicts,
        retained: reports().map(|r| r.retained).sum(),
        retained_hourly_micros: reports().fold(0, |n, r| n.saturating_add(r.retained_hourly_micros)),
        snapshots: reports().map(|r| r.snapshots.len()).sum(),
        snapshots_hourly_micros: audited
            .iter()
            .flat_map(|z| &z.snapshots)
            .filter_map(|s| s.hourly_micros)
            .fold(0, i64::saturating_add),
        currency: account.profile.storage_prices.currency.clone(),
        unproven_deletions: open.unproven_deletions,
        stuck: open.stuck,
        stuck_instances: open.stuck_instances.iter().map(ToString::to_string).collect(),
        oldest_unconfirmed: open.oldest_unconfirmed.map(Time),
        unaudited_accounts: open.other_accounts,
        inconclusive,
        not_looked_at: all.iter().filter(|zone| zones.iter().all(|z| z.zone != **zone)).cloned().collect(),
        zones: audited,
    }
}

/// The maximum age of a valid audit in milliseconds: three audit intervals.
const AGE_MAX_MS: i64 = 1_800_000;
/// How long a creation may be unconfirmed before the verdict is `inconclusive`, in milliseconds: no call takes longer.
const DOUBT_MAX_MS: i64 = 60_000;

/// Every reason why the verdict is `inconclusive`.
fn reasons(zones: &[inventiv_store::ZoneAudit], open: &Unfinished, now: Timestamp) -> Vec<String> {
    let mut why = Vec::new();
    if zones.is_empty() {
        why.push("there is no zone to audit".to_owned());
    }
    for z in zones {
        match (&z.report, z.begun_at) {
            (Some(report), Some(begun)) if report.inconclusive.is_none() => {
                if now.ms_since(begun) > AGE_MAX_MS {
                    why.push(format!("zone {}: the last audit began at {}, too long ago", z.zone, Time(begun)));
                }
            }
            (Some(_), Some(_)) => why.push(format!("zone {}: see the zone's own `inconclusive`", z.zone)),
            _ => why.push(format!("zone {}: it has not been audited yet", z.zone)),
        }
    }
    let others = open.other_accounts.iter();
    why.extend(others.map(|a| format!("account {a} still owns resources: start a control plane with its credentials")));
    if let Some(since) = open.oldest_unconfirmed.filter(|t| now.ms_since(*t) > DOUBT_MAX_MS) {
        why.push(format!("the outcome of a creation has been unknown since {}", Time(since)));
    }
    why
}

/// The number of findings of a kind.
pub(crate) fn count(zones: &[inventiv_store::ZoneAudit], kind: FindingKind) -> usize {
    let findings = zones.iter().filter_map(|z| z.report.as_ref()).flat_map(|r| &r.findings);
    findings.filter(|f| f.kind == kind).count()
}

/// When the oldest of the zones' last audits began; `None` if a zone has none, or an inconclusive one.
pub(crate) fn oldest(zones: &[inventiv_store::ZoneAudit]) -> Option<Timestamp> {
    let said = |z: &inventiv_store::ZoneAudit| {
        z.begun_at.filter(|_| z.report.as_ref().is_some_and(|r| r.inconclusive.is_none()))
    };
    zones.iter().map(said).min().flatten()
}

fn zone_audit(z: &inventiv_store::ZoneAudit, prices: &StoragePrices) -> ZoneAudit {
    let number = |pick: fn(&inventiv_core::audit::Report) -> usize| z.report.as_ref().map_or(0, pick);
    ZoneAudit {
        zone: z.zone.clone(),
        requested_at: z.requested_at.map(Time),
        begun_at: z.begun_at.map(Time),
        ended_at: z.ended_at.map(Time),
        inconclusive: match &z.report {
            Some(report) => report.inconclusive.clone(),
            None => Some("it has not been audited yet".to_owned()),
        },
        shown: number(|r| r.shown),
        claimed: number(|r| r.claimed),
        retained: number(|r| r.retained),
        foreign: number(|r| r.foreign),
        records_look_rolled_back: z.report.as_ref().is_some_and(|r| r.records_look_rolled_back),
        findings: z.report.iter().flat_map(|r| &r.findings).map(finding).collect(),
        quarantined: z.quarantined.iter().map(quarantined).collect(),
        unreadable: z.report.as_ref().map(|r| r.unreadable.clone()).unwrap_or_default(),
        frozen: z.report.as_ref().and_then(|r| r.frozen.clone()),
        taken: z.report.iter().flat_map(|r| &r.taken).cloned().collect(),
        snapshots: z.report.iter().flat_map(|r| &r.snapshots).map(|s| snapshot(s, prices)).collect(),
        snapshots_unknown: z.report.as_ref().and_then(|r| r.snapshots_unknown.clone()),
    }
}
