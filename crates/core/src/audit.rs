//! The audit: what a cloud holds against what we wrote down, in both directions. Pure; it decides and deletes nothing.
//!
//! *Orphan*: carries our name, and no record wants it. *Suspect*: carries a name that the cloud gives by itself, hangs on
//! nothing, and was made while one of our servers was. *Missing*: recorded as there, and not in a complete listing.
//! Whatever else the project holds is foreign, and only counted. From an incomplete listing, or one that shows nothing of
//! what we know, nothing is concluded: then the audit cannot say.

mod missing;

use crate::cloud::CloudProfile;
use crate::id::InstanceId;
use crate::money::StoragePrices;
use crate::name::{CloudName, Role};
use crate::observed::{ObservedServer, ObservedVolume, ZoneInventory};
use crate::plan::newer_policy;
use crate::recorded::{Aggregate, Server, Volume};
use crate::size::gb_ceil;
use crate::snapshots::SnapshotOfOurs;
use crate::status::{CreateState, Origin, VolumeStatus};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How long before or after the making of a server its volumes may be dated, in milliseconds.
pub const MADE_WITH_MS: i64 = 60_000;
/// So many resources that we know to be there, and none of them shown: then it is the view that is wrong.
const BLIND_FROM: usize = 3;

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

/// The making of a server: who knows when its volumes were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCreation {
    /// Whose.
    pub instance_id: InstanceId,
    /// Its name in the cloud.
    pub name: String,
    /// When its intent was written.
    pub from: Timestamp,
    /// When its creation was answered, or its answer given up; `None`: not yet.
    pub until: Option<Timestamp>,
}

/// Compares a listing with the records.
///
/// `records` holds every living instance of the zone, every one with a retained volume in it, and every one that a name
/// or an id in the inventory belongs to, read after the listing; `creations` the servers made about when a volume that
/// [`CloudProfile::looks_automatic`] was.
#[must_use]
pub fn audit(
    inventory: &ZoneInventory,
    records: &[Aggregate],
    creations: &[ServerCreation],
    profile: &CloudProfile,
    control_plane: &str,
) -> Report {
    if !inventory.complete {
        return Report::inconclusive(
            inventory.began_at,
            "the listing shifted while it was read: something may be missing from it",
        );
    }
    let index = RecordIndex::new(inventory, records, profile, control_plane);
    let mut report = Report { inconclusive: None, ..Report::inconclusive(inventory.began_at, "") };
    for server in &inventory.servers {
        let cleanup_state = index.server(server);
        index.count(&mut report, cleanup_state, |kind, why, remedy| finding_server(kind, server, why, remedy));
    }
    for volume in &inventory.volumes {
        let cleanup_state = index.volume(volume, creations);
        let hourly = block_hourly(volume, &profile.storage_prices);
        if matches!(cleanup_state, Classification::Retained) {
            report.retained_hourly_micros = report.retained_hourly_micros.saturating_add(hourly.unwrap_or(0));
        }
        index.count(&mut report, cleanup_state, |kind, why, remedy| Finding {
            hourly_micros: hourly,
            ..finding_volume(kind, volume, why, remedy)
        });
    }
    let (known, missing) = index.missing();
    // Nobody is told that block volumes are missing by credentials that may not see any.
    if let Some(why) = inventory.blocks_hidden.as_ref().filter(|_| index.expects_blocks()) {
        let text = format!(
            "{why}, and some are recorded there: any block volume shows it; what nobody needs can be released (`inventiv volume \
             release`)"
        );
        return Report::inconclusive(inventory.began_at, text);
    }
    report.unreadable = unreadable(inventory);
    if known >= BLIND_FROM && missing.len() == known {
        let text = format!(
            "none of the {known} resources that are recorded as there is shown: do the credentials see this project?"
        );
        return Report::inconclusive(inventory.began_at, text);
    }
    report.findings.extend(missing);
    report.findings.sort_by(|a, b| (a.kind, &a.provider_id).cmp(&(b.kind, &b.provider_id)));
    report
}

fn unreadable(inventory: &ZoneInventory) -> Vec<String> {
    let text = |what: &str, id: &str, name: &str, why: &str| format!("{what} {id} {name:?}: {why}");
    let servers = inventory.servers.iter().filter_map(|s| Some(text("server", &s.id, &s.name, s.unreadable()?)));
    let volumes = inventory.volumes.iter().filter_map(|v| Some(text("volume", &v.id, &v.name, v.unreadable()?)));
    servers.chain(volumes).collect()
}

/// How one resource stands to the records.
enum Classification {
    Claimed,
    Retained,
    Foreign,
    /// Ours by name: whose, whether that is known here, whether the records look older than it, the evidence, and what to do.
    Orphan {
        owner: Option<InstanceId>,
        known: bool,
        newer: bool,
        why: String,
        remedy: &'static str,
    },
    Suspect {
        owner: InstanceId,
        why: String,
        remedy: &'static str,
    },
    Conflict {
        owner: InstanceId,
        why: String,
    },
}

struct RecordIndex<'a> {
    inventory: &'a ZoneInventory,
    records: &'a [Aggregate],
    profile: &'a CloudProfile,
    control_plane: &'a str,
    servers: HashMap<&'a str, (&'a Aggregate, &'a Server)>,
    volumes: HashMap<&'a str, (&'a Aggregate, &'a Volume)>,
    instances: HashMap<&'a InstanceId, &'a Aggregate>,
}

const LOOK: &str = "it may be in use: look at it; if it is not, delete it in the provider's console";
const FIX: &str = "look at it; `inventiv audit --fix --policy delete` has it deleted after an hour of quarantine";
const WAIT_OR_ASK: &str =
    "nothing, if it is gone from the next audit; else `inventiv audit --fix` has its instance look at it";
const EXPLAIN: &str = "look at the instance: `inventiv explain` says what is done about it";
const LOOK_INTO: &str =
    "look into it: delete it in the provider's console (we never do), or rename it if it is not ours";
const DECIDE: &str = "nothing is changed or deleted until `inventiv recover --apply` takes the cloud's word, or `inventiv volume \
     retain` or `release` decides";
const RELEASE: &str = "if nobody needs it, `inventiv volume release`: then its absence is proven and written down";
const ROLLED_BACK: &str =
    "do not delete it: it may be in use. `inventiv recover --from-provider` writes it down; then it can be terminated";

impl<'a> RecordIndex<'a> {
    fn new(
        inventory: &'a ZoneInventory,
        records: &'a [Aggregate],
        profile: &'a CloudProfile,
        control_plane: &'a str,
    ) -> Self {
        let servers = records.iter().flat_map(|a| a.servers.iter().map(move |s| (a, s)));
        let volumes = || records.iter().flat_map(|a| a.volumes.iter().map(move |v| (a, v)));
        // Where two instances know a volume, its owner's row counts, not that of whoever found it on a server.
        let (foreign, owned): (Vec<_>, Vec<_>) = volumes().partition(|(_, v)| v.origin == Origin::Foreign);
        let volumes = foreign.into_iter().chain(owned);
        Self {
            inventory,
            records,
            profile,
            control_plane,
            servers: servers.filter_map(|(a, s)| Some((s.provider_id.as_deref()?, (a, s)))).collect(),
            volumes: volumes.filter_map(|(a, v)| Some((v.provider_id.as_deref()?, (a, v)))).collect(),
            instances: records.iter().map(|a| (&a.instance.id, a)).collect(),
        }
    }

    fn server(&self, seen: &ObservedServer) -> Classification {
        match self.servers.get(seen.id.as_str()) {
            Some((agg, row)) if self.ended_before(row.gone_at) => there_again(agg),
            Some(_) => Classification::Claimed,
            None => self.by_name(&seen.name, &seen.tags).unwrap_or(Classification::Foreign),
        }
    }

    fn volume(&self, seen: &ObservedVolume, creations: &[ServerCreation]) -> Classification {
        if let Some((agg, row)) = self.volumes.get(seen.id.as_str()) {
            if let Some(cloud) = newer_policy(row, seen, self.control_plane) {
                let word = |delete: bool| if delete { "delete" } else { "keep" };
                let why = format!(
                    "its name says `{}` (version {}), the records say `{}` (version {})",
                    word(cloud.delete),
                    cloud.version,
                    word(row.delete_on_terminate),
                    row.policy_version
                );
                return Classification::Conflict { owner: agg.instance.id.clone(), why };
            }
            return match row.status {
                VolumeStatus::Retained => Classification::Retained,
                VolumeStatus::Released => Classification::Foreign,
                VolumeStatus::Deleted if self.ended_before(row.deleted_at) => there_again(agg),
                VolumeStatus::Deleted
                | VolumeStatus::Creating
                | VolumeStatus::Available
                | VolumeStatus::Attaching
                | VolumeStatus::Attached
                | VolumeStatus::Detaching
                | VolumeStatus::Deleting
                | VolumeStatus::Failed => Classification::Claimed,
            };
        }
        if let Some(held) = self.by_name(&seen.name, &seen.tags) {
            return held;
        }
        // On a server of ours: the next look writes it down, as ours or as somebody else's.
        let holder = self.inventory.servers.iter().find(|s| s.has(&seen.id) || Some(&s.id) == seen.server_id.as_ref());
        if holder.is_some_and(|s| matches!(self.server(s), Classification::Claimed)) {
            return Classification::Claimed;
        }
        let creation = creations.iter().filter(|_| self.profile.looks_automatic(seen)).find(|b| {
            seen.created_at.is_some_and(|at| {
                at >= b.from.plus_ms(-MADE_WITH_MS) && b.until.is_none_or(|until| at <= until.plus_ms(MADE_WITH_MS))
            })
        });
        creation.map_or(Classification::Foreign, |b| Classification::Suspect {
            owner: b.instance_id.clone(),
            remedy: LOOK_INTO,
            why: format!(
                "it has the name that the cloud gives by itself, hangs on no server, and was made while {} was",
                b.name
            ),
        })
    }

    /// Whether something ended before the listing began: what ended since may well be in it.
    fn ended_before(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|t| t < self.inventory.began_at)
    }

    /// What a name of ours says of something that no row names by its id.
    fn by_name(&self, name: &str, tags: &[String]) -> Option<Classification> {
        let parsed = CloudName::parse(name).filter(|n| n.control_plane == self.control_plane)?;
        let waited_for = self.records.iter().any(|a| {
            a.servers.iter().any(|s| s.name == name)
                || a.volumes.iter().any(|v| v.name == name && v.provider_id.is_none())
        });
        if !waited_for && !parsed.is_confirmed_by(tags) {
            let why = "it carries a name like ours, and not our tags: nothing that we make is like that".to_owned();
            return Some(Classification::Suspect { owner: parsed.instance, why, remedy: LOOK_INTO });
        }
        let owner = Some(parsed.instance.clone());
        let Some(agg) = self.instances.get(&parsed.instance) else {
            let why = "it carries our name, and its instance was never recorded here".to_owned();
            return Some(Classification::Orphan { owner, known: false, newer: true, why, remedy: ROLLED_BACK });
        };
        let attempt_is_recorded = parsed.role != Role::Server || agg.servers.iter().any(|s| s.name == name);
        if !self.ended_before(agg.instance.terminated_at) && attempt_is_recorded {
            // Adopted, or removed as a duplicate, by the instance's next look.
            return Some(Classification::Claimed);
        }
        if !attempt_is_recorded {
            // Of an instance that has ended, nothing can be in use.
            let newer = agg.instance.terminated_at.is_none();
            let why = "it carries our name, and an attempt that was never recorded".to_owned();
            return Some(Classification::Orphan {
                owner,
                known: true,
                newer,
                why,
                remedy: if newer { LOOK } else { FIX },
            });
        }
        let attempt = agg.servers.iter().any(|s| s.name == name && s.create_state == CreateState::Abandoned)
            || agg.volumes.iter().any(|v| v.name == name && v.create_state == CreateState::Abandoned);
        let (why, remedy) = if attempt {
            ("a late arrival of an attempt that was given up", "nothing: it is removed by itself at the next look")
        } else {
            ("it carries the name of an instance that has ended", WAIT_OR_ASK)
        };
        Some(Classification::Orphan { owner, known: true, newer: false, why: why.to_owned(), remedy })
    }

    fn count(
        &self,
        report: &mut Report,
        held: Classification,
        finding: impl Fn(FindingKind, String, &'static str) -> Finding,
    ) {
        report.shown += 1;
        match held {
            Classification::Claimed => report.claimed += 1,
            Classification::Retained => report.retained += 1,
            Classification::Foreign => report.foreign += 1,
            Classification::Orphan { owner, known, newer, why, remedy } => {
                report.records_look_rolled_back |= newer;
                let found = finding(FindingKind::Orphan, why, remedy);
                report.findings.push(Finding { instance_id: owner, known, ..found });
            }
            Classification::Conflict { owner, why } => {
                report.records_look_rolled_back = true;
                let found = finding(FindingKind::Conflict, why, DECIDE);
                report.findings.push(Finding { instance_id: Some(owner), known: true, ..found });
            }
            Classification::Suspect { owner, why, remedy } => {
                let found = finding(FindingKind::Suspect, why, remedy);
                report.findings.push(Finding { instance_id: Some(owner), known: true, ..found });
            }
        }
    }
}

fn there_again(agg: &Aggregate) -> Classification {
    Classification::Orphan {
        owner: Some(agg.instance.id.clone()),
        known: true,
        newer: false,
        why: "it was proven gone, and is shown again".to_owned(),
        remedy: WAIT_OR_ASK,
    }
}

fn block_hourly(v: &ObservedVolume, prices: &StoragePrices) -> Option<i64> {
    v.size_bytes.filter(|_| v.is_block()).map(|b| prices.block_hourly_micros(gb_ceil(b), v.perf_iops))
}

fn finding_server(kind: FindingKind, s: &ObservedServer, why: String, remedy: &'static str) -> Finding {
    Finding {
        kind,
        resource: "server".to_owned(),
        provider_id: s.id.clone(),
        name: s.name.clone(),
        size_bytes: None,
        created_at: s.created_at,
        instance_id: None,
        known: false,
        hourly_micros: None,
        why,
        remedy: remedy.to_owned(),
    }
}

fn finding_volume(kind: FindingKind, v: &ObservedVolume, why: String, remedy: &'static str) -> Finding {
    Finding {
        kind,
        resource: "volume".to_owned(),
        provider_id: v.id.clone(),
        name: v.name.clone(),
        size_bytes: v.size_bytes,
        created_at: v.created_at,
        instance_id: None,
        known: false,
        hourly_micros: None,
        why,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests;
