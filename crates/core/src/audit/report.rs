//! What an audit found.

use crate::id::InstanceId;
use crate::snapshots::SnapshotOfOurs;
use crate::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

/// What is wrong with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Carries our name, and no record wants it.
    Orphan,
    /// Perhaps ours: what the cloud made by itself with one of our servers.
    Suspect,
    /// Recorded as there, and not shown.
    Missing,
    /// Its name in the cloud says another policy than the records, with a higher version: they are older than the cloud.
    Conflict,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Orphan, Self::Suspect, Self::Missing, Self::Conflict];

    /// The word in tables, metrics and the API.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::Suspect => "suspect",
            Self::Missing => "missing",
            Self::Conflict => "conflict",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// `server` or `volume`.
    pub resource: String,
    /// The cloud's id.
    pub provider_id: String,
    /// Its name.
    pub name: String,
    /// In bytes, for volumes.
    pub size_bytes: Option<i64>,
    /// When the cloud says that it was made.
    pub created_at: Option<Timestamp>,
    /// The instance that it belongs to, or would.
    pub instance_id: Option<InstanceId>,
    /// That instance is recorded here.
    #[serde(default)]
    pub known: bool,
    /// What it costs an hour in micro-euros, where we know: block storage at its list price.
    pub hourly_micros: Option<i64>,
    /// The evidence, in one sentence.
    pub why: String,
    /// What a person can do.
    pub remedy: String,
}

/// What an audit of one zone found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When its listing began: whatever happened later is not in it.
    pub began_at: Timestamp,
    /// Why nothing can be said; `None`: it can.
    pub inconclusive: Option<String>,
    /// Servers and volumes that the cloud shows.
    pub shown: usize,
    /// Of those: wanted by a record.
    pub claimed: usize,
    /// Of those: kept on purpose after their instance ended.
    pub retained: usize,
    /// What these cost an hour in micro-euros: block storage at its list price.
    pub retained_hourly_micros: i64,
    /// Of those: somebody else's. Never touched.
    pub foreign: usize,
    /// Something carries our name and its instance was never recorded here: the records look older than the cloud.
    pub records_look_rolled_back: bool,
    /// What is not as it should be, the worst first.
    pub findings: Vec<Finding>,
    /// Rows of the listing that cannot be read, in a sentence each: nothing is decided upon them, and none of them hides others.
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// Why no orphan is deleted although somebody chose that; `None`: nothing stands in the way.
    #[serde(default)]
    pub frozen: Option<String>,
    /// Cloud ids of orphans whose instances were told to take them away.
    #[serde(default)]
    pub taken: Vec<String>,
    /// Snapshots that somebody made of our volumes: told, never deleted.
    #[serde(default)]
    pub snapshots: Vec<SnapshotOfOurs>,
    /// Why snapshots may be missing from it; `None`: none is.
    #[serde(default)]
    pub snapshots_unknown: Option<String>,
}

impl Report {
    /// Nothing can be said, and why.
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
            snapshots: Vec::new(),
            snapshots_unknown: None,
        }
    }
}
