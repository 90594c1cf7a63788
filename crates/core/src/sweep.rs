//! The sweep: what is done about orphans after an audit. Pure.
//!
//! An orphan is never deleted at once: it is put in quarantine, and deleted only if an audit after that still finds it.
//! Even then it is not deleted here: it becomes a row of its instance, whose planner removes it in the normal way. Its
//! volumes are recorded first, each call is logged and each deletion is proven. The sweep is frozen, with the reason,
//! while an audit is inconclusive, while the records look older than the cloud (a restored backup must not delete
//! living resources), and when too much would be deleted at once.

use crate::audit::{Finding, FindingKind, Report};
use crate::id::{InstanceId, ServerId, VolumeId};
use crate::name::{CloudName, Role};
use crate::observed::{ObservedServer, ZoneInventory};
use crate::plan::Context;
use crate::recorded::{Aggregate, Server, Volume};
use crate::status::{Origin, ResourceKind, VolumeStatus};
use crate::time::Timestamp;
use crate::volume_type::VolumeType;
use serde::{Deserialize, Serialize};

/// What is done with orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They are reported.
    #[default]
    Report,
    /// They are reported, put in quarantine, and deleted after it.
    Delete,
}

/// The limits of the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long an orphan is in quarantine, in milliseconds.
    pub quarantine_ms: i64,
    /// The maximum number of deletions at once.
    pub max: usize,
    /// The maximum share of all resources with our name that may be deleted at once, in percent. One is always allowed.
    pub percent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { quarantine_ms: 3_600_000, max: 10, percent: 20 }
    }
}

/// An orphan in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The cloud's id.
    pub provider_id: String,
    /// What kind of resource it is.
    pub resource: ResourceKind,
    /// Its name.
    pub name: String,
    /// The instance in its name.
    pub instance_id: InstanceId,
    /// When it was put there.
    pub found_at: Timestamp,
    /// It is not deleted before.
    pub until: Timestamp,
}

/// What a sweep decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Why nothing is deleted; `None`: nothing prevents it.
    pub frozen: Option<String>,
    /// Put in quarantine now.
    pub quarantine: Vec<Quarantined>,
    /// No longer orphans: out of quarantine.
    pub release: Vec<Quarantined>,
    /// Their quarantine is over: handed to their instances, which delete them.
    pub take: Vec<Quarantined>,
}

/// Decides what is done with the orphans of a report.
#[must_use]
pub fn sweep(report: &Report, held: &[Quarantined], policy: Policy, limits: Limits, now: Timestamp) -> Sweep {
    if let Some(why) = &report.inconclusive {
        return Sweep { frozen: Some(format!("the audit is inconclusive: {why}")), ..Sweep::default() };
    }
    let orphans: Vec<&Finding> = report.findings.iter().filter(|f| f.kind == FindingKind::Orphan).collect();
    let is_orphan = |q: &Quarantined| orphans.iter().any(|f| f.provider_id == q.provider_id);
    let (held, release): (Vec<_>, Vec<_>) = held.iter().cloned().partition(is_orphan);
    let mut sweep = Sweep { release, ..Sweep::default() };
    if report.records_look_rolled_back {
        sweep.frozen = Some(
            "the cloud holds resources of this control plane that were never recorded here, as after the restore of a \
             backup: nothing is deleted until `inventiv recover` has recorded them, or you have removed them"
                .to_owned(),
        );
        return sweep;
    }
    let new = |f: &&&Finding| f.known && !held.iter().any(|q| q.provider_id == f.provider_id);
    if policy == Policy::Delete {
        sweep.quarantine = orphans.iter().filter(new).filter_map(|f| quarantined(f, limits, now)).collect();
    }
    let due: Vec<Quarantined> = held.into_iter().filter(|q| q.until <= now).collect();
    // No audit ran for the length of a quarantine: the records may be a restored backup, and the decision may have been
    // revoked since.
    let (old, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|q| now.ms_since(q.until) > limits.quarantine_ms);
    let again = |q: Quarantined| Quarantined { found_at: now, until: now.plus_ms(limits.quarantine_ms), ..q };
    sweep.quarantine.extend(old.into_iter().map(again));
    let ours = report.claimed + report.retained + orphans.len();
    let share = (ours * limits.percent / 100).max(1);
    if due.len() > limits.max.min(share) {
        sweep.frozen = Some(format!(
            "{} orphans are due to be deleted, of {ours} resources of ours: more than {} at once looks like a mistake; \
             check them, then run `inventiv audit --fix --policy delete --max {}`",
            due.len(),
            limits.max.min(share),
            due.len()
        ));
    } else {
        sweep.take = due;
    }
    sweep
}

fn quarantined(f: &Finding, limits: Limits, now: Timestamp) -> Option<Quarantined> {
    Some(Quarantined {
        provider_id: f.provider_id.clone(),
        resource: f.resource,
        name: f.name.clone(),
        instance_id: f.instance_id.clone()?,
        found_at: now,
        until: now.plus_ms(limits.quarantine_ms),
    })
}

/// Makes an orphan a row of its instance, which deletes it: the old row, if the resource was recorded as gone, or a new
/// one. `false`: it is no longer shown, or a record claims it already.
pub fn take(agg: &mut Aggregate, orphan: &Quarantined, inventory: &ZoneInventory, cx: &mut Context<'_>) -> bool {
    let id = orphan.provider_id.as_str();
    let taken = if let Some(seen) = inventory.servers.iter().find(|s| s.id == id) {
        take_server(agg, seen, cx)
    } else if inventory.volumes.iter().any(|v| v.id == id) {
        take_volume(agg, orphan, inventory, cx)
    } else {
        false
    };
    if taken {
        (agg.instance.settled, agg.instance.wake_at) = (false, cx.now);
    }
    taken
}

fn take_server(agg: &mut Aggregate, seen: &ObservedServer, cx: &mut Context<'_>) -> bool {
    if let Some(row) = agg.servers.iter_mut().find(|s| s.provider_id.as_deref() == Some(&seen.id)) {
        let recorded_as_gone = row.gone_at.is_some();
        if recorded_as_gone {
            (row.gone_at, row.proof, row.delete_sent_at, row.retry) = (None, None, None, None);
            row.is_primary = false;
        }
        return recorded_as_gone;
    }
    let (id, attempt) = (ServerId::new((cx.ids)()), agg.attempt_of(&seen.name));
    agg.servers.push(Server { is_primary: false, ..Server::found(id, attempt, seen, cx.now) });
    true
}

fn take_volume(agg: &mut Aggregate, orphan: &Quarantined, inventory: &ZoneInventory, cx: &mut Context<'_>) -> bool {
    let id = orphan.provider_id.as_str();
    let kind =
        inventory.volumes.iter().find(|v| v.id == id).map_or_else(VolumeType::unknown, |v| v.volume_type.clone());
    if let Some(row) = agg.volumes.iter_mut().find(|v| v.provider_id.as_deref() == Some(id)) {
        let recorded_as_gone = row.status == VolumeStatus::Deleted;
        if recorded_as_gone {
            (row.deleted_at, row.proof, row.delete_sent_at, row.retry) = (None, None, None, None);
            row.delete_accepted_at = None;
            // Its policy stays as it was.
            row.status = VolumeStatus::Available;
        }
        return recorded_as_gone;
    }
    let name = CloudName::parse(&orphan.name);
    let mut row = Volume::found(VolumeId::new((cx.ids)()), id.to_owned(), cx.now);
    row.volume_type = kind;
    row.name.clone_from(&orphan.name);
    row.origin = if name.as_ref().is_some_and(|n| n.role == Role::Data) { Origin::Ours } else { Origin::Cloud };
    row.delete_on_terminate = name.as_ref().is_none_or(|n| n.delete);
    row.policy_version = name.as_ref().map_or(0, |n| n.policy_version);
    row.attempt = name.map_or(1, |n| n.attempt);
    row.tagged_at = Some(cx.now);
    agg.volumes.push(row);
    true
}

#[cfg(test)]
mod tests;
