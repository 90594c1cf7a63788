//! Audits: the comparison of what the cloud shows with the records.

use crate::{Snapshot, Time};
use inventiv_core::audit::FindingKind;
use inventiv_core::status::ResourceKind;
use inventiv_core::sweep::Policy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to do about orphans. Without a body, the audit only reports.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRequest {
    /// Whether to act on orphans. The default is `false`: only report.
    pub fix: Option<bool>,
    /// What to do with orphans that no instance adopts or removes: `report` (the default) or `delete`. Requires `fix`.
    pub policy: Option<Policy>,
    /// The maximum number of orphans to delete at once, from 1 to 1000. The default is 10, and at most 20 % of the
    /// resources with our name. Requires `fix`.
    pub max: Option<u32>,
}

/// The last audits of all zones: the comparison of what the cloud shows with the records.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// `clean`: nothing was found. `findings`: there are orphans, suspects, missing resources, conflicts or stuck
    /// deletions. `inconclusive`: the evidence does not allow a conclusion; the field `inconclusive` says why.
    pub verdict: Verdict,
    /// The id of the audited account.
    pub account: String,
    /// The number of orphans: resources with our name that no record wants.
    pub orphans: usize,
    /// The number of suspects: volumes that the provider probably created with one of our servers, and servers that may
    /// have come from a creation whose response was lost. They are never deleted.
    pub suspects: usize,
    /// The number of missing resources: recorded as existing, and not shown by the cloud.
    pub missing: usize,
    /// The number of conflicts: volumes whose policy in the cloud is newer than in the records.
    pub conflicts: usize,
    /// The number of volumes that were kept on purpose after their instance ended.
    pub retained: usize,
    /// Their price per hour, in millionths of `currency`; block storage at list price.
    pub retained_hourly_micros: i64,
    /// The number of snapshots that third parties took of our volumes. The zones list them.
    pub snapshots: usize,
    /// Their list price per hour, in millionths of `currency`.
    pub snapshots_hourly_micros: i64,
    /// The currency of all prices, as an ISO 4217 code.
    pub currency: String,
    /// The number of deletions that were requested and are not proven yet.
    pub unproven_deletions: i64,
    /// How many of them were requested more than 15 minutes ago. `GET /instances/{id}` says what to do (`stuck`).
    pub stuck: i64,
    /// The ids of the instances with stuck deletions, at most 100.
    pub stuck_instances: Vec<String>,
    /// The time since which the outcome of a creation is unknown, for the oldest such creation.
    pub oldest_unconfirmed: Option<Time>,
    /// Other accounts in the database that still own resources. They are not audited, because their credentials are
    /// absent.
    pub unaudited_accounts: Vec<String>,
    /// Why the verdict is `inconclusive`; empty otherwise.
    pub inconclusive: Vec<String>,
    /// Zones of the provider that are not audited: they are not configured, and nothing was ever created there.
    pub not_looked_at: Vec<String>,
    /// The last audit of each zone.
    pub zones: Vec<ZoneAudit>,
}

/// The result of the audits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// There are orphans, suspects, missing resources, conflicts or stuck deletions.
    Findings,
    /// The evidence does not allow a conclusion.
    Inconclusive,
}

/// The last audit of one zone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ZoneAudit {
    /// The zone.
    pub zone: String,
    /// When an audit was last requested; `null` if never.
    pub requested_at: Option<Time>,
    /// When the audit began; `null` if the zone has not been audited yet.
    pub begun_at: Option<Time>,
    /// When the audit ended.
    pub ended_at: Option<Time>,
    /// Why the audit allows no conclusion; `null` if it does.
    pub inconclusive: Option<String>,
    /// The number of servers and volumes that the cloud shows.
    pub shown: usize,
    /// How many of them are wanted by a record.
    pub claimed: usize,
    /// How many of them were kept on purpose.
    pub retained: usize,
    /// How many of them belong to third parties. They are never changed.
    pub foreign: usize,
    /// Whether a resource has our name but its instance was never recorded. The database may have been restored from a
    /// backup.
    pub records_look_rolled_back: bool,
    /// The findings.
    pub findings: Vec<Finding>,
    /// Orphans in quarantine: they will be deleted, because `POST /audit` requested it.
    pub quarantined: Vec<Quarantined>,
    /// Why none of them is deleted although the quarantine is over; `null` if nothing prevents it.
    pub frozen: Option<String>,
    /// Unreadable rows of the listing, one sentence each. They count as a third party's unless an id or name shows that
    /// they are ours. No decision is based on them.
    pub unreadable: Vec<String>,
    /// The provider's ids of orphans whose removal this audit has started.
    pub taken: Vec<String>,
    /// Snapshots that third parties took of our volumes. They are reported, never deleted, and are not findings.
    pub snapshots: Vec<Snapshot>,
    /// Why some snapshots may be missing from the list; `null` if it is complete.
    pub snapshots_unknown: Option<String>,
}

/// An orphan in quarantine.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// What kind of resource it is.
    pub resource: ResourceKind,
    /// The provider's id.
    pub provider_id: String,
    /// The name.
    pub name: String,
    /// The instance that the name refers to.
    pub instance_id: String,
    /// When the quarantine began.
    pub since: Time,
    /// When the quarantine ends. The orphan is not deleted earlier.
    pub until: Time,
}

/// One finding of an audit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// `orphan`: it has our name, and no record wants it. `suspect`: the provider probably created it with one of our
    /// servers, or it may be a server of ours whose creation was never confirmed. `missing`: it is recorded as existing, and the cloud does not show it. `conflict`: its policy in the
    /// cloud is newer than in the records.
    pub kind: FindingKind,
    /// What kind of resource it is.
    pub resource: ResourceKind,
    /// The provider's id.
    pub provider_id: String,
    /// The name.
    pub name: String,
    /// The size in bytes, for volumes.
    pub size_bytes: Option<i64>,
    /// The size in GB (10^9 bytes), rounded up.
    pub size_gb: Option<i64>,
    /// When it was created, according to the provider.
    pub created_at: Option<Time>,
    /// The instance that it belongs to, or that its name refers to.
    pub instance_id: Option<String>,
    /// The price per hour, in millionths of a euro; `null` if it is unknown.
    pub hourly_micros: Option<i64>,
    /// The evidence, as a sentence.
    pub why: String,
    /// What to do.
    pub remedy: String,
}
