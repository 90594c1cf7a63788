//! An index of the records of a zone, and the classification of each resource of a listing.

use super::remedies::{DECIDE, FIX, LOOK, LOOK_INTO, OURS_OR_NOT, ROLLED_BACK, WAIT_OR_ASK};
use super::report::{Finding, FindingKind, Report};
use super::{NOT_OURS, ServerCreation};
use crate::cloud::CloudProfile;
use crate::id::InstanceId;
use crate::name::{CloudName, Role};
use crate::observed::{ObservedServer, ObservedVolume, ZoneInventory};
use crate::plan::newer_policy;
use crate::recorded::{Aggregate, Server, Volume};
use crate::status::{CreateState, Origin, VolumeStatus};
use crate::time::Timestamp;
use std::collections::HashMap;

/// The result of comparing one resource with the records.
pub(super) enum Classification {
    Claimed,
    Retained,
    Foreign,
    /// Ours by name: its instance, whether that is recorded, whether the records look older, the evidence, the remedy.
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

pub(super) struct RecordIndex<'a> {
    pub(super) inventory: &'a ZoneInventory,
    pub(super) records: &'a [Aggregate],
    pub(super) profile: &'a CloudProfile,
    pub(super) control_plane: &'a str,
    pub(super) servers: HashMap<&'a str, (&'a Aggregate, &'a Server)>,
    pub(super) volumes: HashMap<&'a str, (&'a Aggregate, &'a Volume)>,
    pub(super) instances: HashMap<&'a InstanceId, &'a Aggregate>,
}

impl<'a> RecordIndex<'a> {
    pub(super) fn new(
        inventory: &'a ZoneInventory,
        records: &'a [Aggregate],
        profile: &'a CloudProfile,
        control_plane: &'a str,
    ) -> Self {
        let servers = records.iter().flat_map(|a| a.servers.iter().map(move |s| (a, s)));
        let volumes = || records.iter().flat_map(|a| a.volumes.iter().map(move |v| (a, v)));
        // If two instances have a row of a volume, the owner's row counts, not that of the server that it was found on.
        // Of a volume that was given to another instance, the row of that instance counts.
        let rank = |v: &Volume| (v.origin != Origin::Foreign, v.status != VolumeStatus::Reused);
        let mut volumes: Vec<(&Aggregate, &Volume)> = volumes().collect();
        volumes.sort_by_key(|(_, v)| rank(v));
        Self {
            inventory,
            records,
            profile,
            control_plane,
            servers: servers.filter_map(|(a, s)| Some((s.provider_id.as_deref()?, (a, s)))).collect(),
            volumes: volumes.into_iter().filter_map(|(a, v)| Some((v.provider_id.as_deref()?, (a, v)))).collect(),
            instances: records.iter().map(|a| (&a.instance.id, a)).collect(),
        }
    }

    pub(super) fn server(&self, seen: &ObservedServer, creations: &[ServerCreation]) -> Classification {
        match self.servers.get(seen.id.as_str()) {
            Some((agg, row)) if self.ended_long_before(row.gone_at) => reappeared(agg),
            Some(_) => Classification::Claimed,
            None => self
                .by_name(&seen.name, &seen.tags)
                .or_else(|| lost_server(seen, creations))
                .unwrap_or(Classification::Foreign),
        }
    }

    pub(super) fn volume(&self, seen: &ObservedVolume, creations: &[ServerCreation]) -> Classification {
        if let Some((agg, row)) = self.volumes.get(seen.id.as_str()) {
            if let Some(cloud) = newer_policy(row, seen, self.control_plane) {
                let word = |delete: bool| if delete { "delete" } else { "keep" };
                let why = format!(
                    "its name in the cloud says `{}` (version {}), the records say `{}` (version {})",
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
                VolumeStatus::Deleted if self.ended_long_before(row.deleted_at) => reappeared(agg),
                VolumeStatus::Deleted
                | VolumeStatus::Reused
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
        // On our server: the next observation records it, as ours or as foreign.
        let holder = self.inventory.servers.iter().find(|s| s.has(&seen.id) || Some(&s.id) == seen.server_id.as_ref());
        if holder.is_some_and(|s| matches!(self.server(s, &[]), Classification::Claimed)) {
            return Classification::Claimed;
        }
        let made = seen.created_at.filter(|_| self.profile.looks_automatic(seen));
        let creation = made.and_then(|at| creations.iter().find(|b| b.covers(at)));
        creation.map_or(Classification::Foreign, |b| Classification::Suspect {
            owner: b.instance_id.clone(),
            remedy: LOOK_INTO,
            why: format!(
                "it has an automatic name of the cloud, is attached to no server, and was created together with server {}",
                b.name
            ),
        })
    }

    /// Whether something ended before the listing began. What ended later may still be in it.
    pub(super) fn ended_before(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|t| t < self.inventory.began_at)
    }

    /// The same, and no stale read explains that it is shown.
    fn ended_long_before(&self, at: Option<Timestamp>) -> bool {
        self.ended_before(at.map(|t| t.plus_ms(self.profile.consistency_window_ms)))
    }

    /// Classifies a resource by its name, if no row has its id.
    pub(super) fn by_name(&self, name: &str, tags: &[String]) -> Option<Classification> {
        let parsed = CloudName::parse(name).filter(|n| n.control_plane == self.control_plane)?;
        let waited_for = self.records.iter().any(|a| {
            a.servers.iter().any(|s| s.name == name)
                || a.volumes.iter().any(|v| v.name == name && v.provider_id.is_none())
        });
        if !waited_for && !parsed.is_confirmed_by(tags) {
            let why = "it carries a name like ours, but not our tags, which all of our resources have".to_owned();
            return Some(Classification::Suspect { owner: parsed.instance, why, remedy: LOOK_INTO });
        }
        let owner = Some(parsed.instance.clone());
        let Some(agg) = self.instances.get(&parsed.instance) else {
            let why = "it carries our name, and its instance was never recorded here".to_owned();
            return Some(Classification::Orphan { owner, known: false, newer: true, why, remedy: ROLLED_BACK });
        };
        let attempt_is_recorded = parsed.role != Role::Server || agg.servers.iter().any(|s| s.name == name);
        if !self.ended_before(agg.instance.terminated_at) && attempt_is_recorded {
            // The instance's next observation adopts it, or removes it as a duplicate.
            return Some(Classification::Claimed);
        }
        if !attempt_is_recorded {
            // Nothing of an ended instance can be in use.
            let newer = agg.instance.terminated_at.is_none();
            let why = "it carries our name, with an attempt that was never recorded".to_owned();
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
            ("a late arrival of an abandoned attempt", "nothing: its instance removes it at the next observation")
        } else {
            ("it carries the name of an instance that has ended", WAIT_OR_ASK)
        };
        Some(Classification::Orphan { owner, known: true, newer: false, why: why.to_owned(), remedy })
    }

    pub(super) fn count(
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

/// A server without our name that may have come from a creation of ours, unless somebody said that it is not ours.
fn lost_server(seen: &ObservedServer, creations: &[ServerCreation]) -> Option<Classification> {
    let (kind, at) = (seen.instance_type.as_ref()?, seen.created_at?);
    if seen.tags.iter().any(|t| t == NOT_OURS) {
        return None;
    }
    let from = creations.iter().find(|c| c.lost.as_ref() == Some(kind) && c.covers(at))?;
    Some(Classification::Suspect {
        owner: from.instance_id.clone(),
        remedy: OURS_OR_NOT,
        why: format!(
            "it is a {kind} that was created when the response to the creation of server {} was lost, and that server was \
             never seen: somebody may have renamed it",
            from.name
        ),
    })
}

pub(super) fn reappeared(agg: &Aggregate) -> Classification {
    Classification::Orphan {
        owner: Some(agg.instance.id.clone()),
        known: true,
        newer: false,
        why: "it was proven gone, and is shown again".to_owned(),
        remedy: WAIT_OR_ASK,
    }
}
