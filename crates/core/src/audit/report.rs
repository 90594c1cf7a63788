//! The result of an audit.

use super::FoundCost;
use crate::id::InstanceId;
use crate::snapshots::SnapshotOfOurs;
use crate::status::ResourceKind;
use crate::time::Timestamp;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words!(
    /// What is wrong with a resource.
    FindingKind {
        /// It has our name, and no record wants it.
        Orphan = "orphan",
        /// Perhaps ours: the cloud may have created it with one of our servers.
        Suspect = "suspect",
        /// It is recorded as existing, and the cloud does not show it.
        Missing = "missing",
        /// The policy in its name has a higher version than the record: the records are older than the cloud.
        Conflict = "conflict",
    }
);

/// A resource on which cloud and records disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// What kind of resource it is.
    pub resource: ResourceKind,
    /// The cloud's id.
    pub provider_id: String,
    /// Its name.
    pub name: String,
    /// In bytes, for volumes.
    pub size_bytes: Option<i64>,
    /// When it was created, according to the cloud.
    pub created_at: Option<Timestamp>,
    /// The instance that it belongs to, or that its name contains.
    pub instance_id: Option<InstanceId>,
    /// Whether that instance is recorded here.
    #[serde(default)]
    pub known: bool,
    /// Its price per hour in micro-euros, if known: block storage at its list price.
    pub hourly_micros: Option<i64>,
    /// What is charged for it; `None`: not known.
    #[serde(default)]
    pub costs: Option<Vec<FoundCost>>,
    /// The evidence, in one sentence.
    pub why: String,
    /// What an operator can do.
    pub remedy: String,
}

/// What an audit of one zone found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When its listing began. Later changes are not in it.
    pub began_at: Timestamp,
    /// Why the audit is inconclusive; `None`: it is conclusive.
    pub inconclusive: Option<String>,
    /// Servers and volumes that the cloud shows.
    pub shown: usize,
    /// The number of those that a record wants.
    pub claimed: usize,
    /// The number of those that were retained on purpose after their instance ended.
    pub retained: usize,
    /// The price per hour of these in micro-euros: block storage at its list price.
    pub retained_hourly_micros: i64,
    /// The number of those that belong to third parties. They are never changed.
    pub foreign: usize,
    /// A resource carries our name, and its instance was never recorded here: the records look older than the cloud.
    pub records_look_rolled_back: bool,
    /// The findings, sorted by kind.
    pub findings: Vec<Finding>,
    /// Unreadable rows of the listing, one sentence each. No decision is based on them.
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// Why no orphan is deleted although the policy is to delete; `None`: nothing prevents it.
    #[serde(default)]
    pub frozen: Option<String>,
    /// Cloud ids of orphans that were handed to their instances for deletion.
    #[serde(default)]
    pub taken: Vec<String>,
    /// Orphans that cost nothing when they were last seen, by the cloud's id, and when that was. An inconclusive audit keeps
    /// what the one before it knew.
    #[serde(default)]
    pub free_orphans: BTreeMap<String, Timestamp>,
    /// Snapshots of our volumes: reported, never deleted.
    #[serde(default)]
    pub snapshots: Vec<SnapshotOfOurs>,
    /// Why snapshots may be missing from the report; `None`: none is.
    #[serde(default)]
    pub snapshots_unknown: Option<String>,
}

impl Report {
    /// Fills in which orphans cost nothing; `last`: the report before this one.
    pub fn remember_free_orphans(&mut self, last: Option<&Self>) {
        let is_free = |f: &&Finding| f.kind == FindingKind::Orphan && f.costs.as_ref().is_some_and(Vec::is_empty);
        self.free_orphans = match &self.inconclusive {
            Some(_) => last.map(|r| r.free_orphans.clone()).unwrap_or_default(),
            None => self.findings.iter().filter(is_free).map(|f| (f.provider_id.clone(), self.began_at)).collect(),
        };
    }

    /// An inconclusive report, with the reason.
    #[must_use]
    pub fn inconclusive(began_at: Timestamp, why: impl Into<String>) -> Self {
        Self {
            began_at,
            inconclusive: Some(why.into()),
            shown: 0,
            claimed: 0,
            retained: 0,
            retained_hourly_micros: 0,
            foreign: 0,
            records_look_rolled_back: false,
            findings: Vec::new(),
            unreadable: Vec::new(),
            frozen: None,
            taken: Vec::new(),
            free_orphans: BTreeMap::new(),
            snapshots: Vec::new(),
            snapshots_unknown: None,
        }
    }
}
