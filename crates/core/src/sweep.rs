//! The sweep: what is done about orphans, once somebody chose that they go. Pure.
//!
//! An orphan is never deleted at once: it is put in quarantine, and goes only if an audit still calls it one after that.
//! Even then it is not deleted here: it becomes a row of its instance, whose planner takes it away as it does everything,
//! with its volumes written down first, each call logged and each end proven. Frozen, and told why, while an audit cannot
//! say, while the records look older than the cloud (a restored backup must never kill what lives), and when more would
//! go at once than looks right.

use crate::audit::{Finding, FindingKind, Report};
use crate::cloud::VolumeType;
use crate::id::{InstanceId, ServerId, VolumeId};
use crate::name::{CloudName, Role};
use crate::observed::{ObservedServer, ZoneInventory};
use crate::plan::{Context, found_volume};
use crate::recorded::{Aggregate, Server};
use crate::status::{Origin, VolumeStatus};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What becomes of orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They are told.
    #[default]
    Report,
    /// They are told, put in quarantine, and deleted after it.
    Delete,
}

/// How careful the sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long an orphan is in quarantine, in milliseconds.
    pub quarantine_ms: i64,
    /// How many may go at once.
    pub max: usize,
    /// How many percent of all that carries our name may go at once, if that is more than one.
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
    /// `server` or `volume`.
    pub resource: String,
    /// Its name.
    pub name: String,
    /// Whose it would be.
    pub instance_id: InstanceId,
    /// When it was put there.
    pub found_at: Timestamp,
    /// It goes not before.
    pub until: Timestamp,
}

/// What a sweep decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Why nothing goes; `None`: nothing stands in the way.
    pub frozen: Option<String>,
    /// Put in quarantine now.
    pub quarantine: Vec<Quarantined>,
    /// No orphans any more: out of quarantine.
    pub release: Vec<Quarantined>,
    /// Their quarantine is over: they are taken away.
    pub take: Vec<Quarantined>,
}

/// Decides what becomes of the orphans of a report.
#[must_use]
pub fn sweep(report: &Report, held: &[Quarantined], policy: Policy, limits: Limits, now: Timestamp) -> Sweep {
    if let Some(why) = &report.inconclusive {
        return Sweep { frozen: Some(format!("the audit cannot say: {why}")), ..Sweep::default() };
    }
    let orphans: Vec<&Finding> = report.findings.iter().filter(|f| f.kind == FindingKind::Orphan).collect();
    let is_orphan = |q: &Quarantined| orphans.iter().any(|f| f.provider_id == q.provider_id);
    let (held, release): (Vec<_>, Vec<_>) = held.iter().cloned().partition(is_orphan);
    let mut sweep = Sweep { release, ..Sweep::default() };
    if report.records_look_rolled_back {
        sweep.frozen = Some(
            "the cloud holds resources of this control plane that were never recorded here, as after the restore of a \
             backup: nothing is deleted until `inventiv recover` has written them down, or somebody removed them"
                .to_owned(),
        );
        return sweep;
    }
    let new = |f: &&&Finding| f.known && !held.iter().any(|q| q.provider_id == f.provider_id);
    if policy == Policy::Delete {
        sweep.quarantine = orphans.iter().filter(new).filter_map(|f| quarantined(f, limits, now)).collect();
    }
    let due: Vec<Quarantined> = held.into_iter().filter(|q| q.until <= now).collect();
    // Nobody looked for a whole quarantine: the records may be restored ones, and somebody may have decided otherwise since.
    let (old, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|q| now.ms_since(q.until) > limits.quarantine_ms);
    let again = |q: Quarantined| Quarantined { found_at: now, until: now.plus_ms(limits.quarantine_ms), ..q };
    sweep.quarantine.extend(old.into_iter().map(again));
    let ours = report.claimed + report.retained + orphans.len();
    let share = (ours * limits.percent / 100).max(1);
    if due.len() > limits.max.min(share) {
        sweep.frozen = Some(format!(
            "{} orphans are due to be deleted, of {ours} resources of ours: more than {} at once looks like a mistake; \
             look at them, then `inventiv audit --fix --policy delete --max {}`",
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
        resource: f.resource.clone(),
        name: f.name.clone(),
        instance_id: f.instance_id.clone()?,
        found_at: now,
        until: now.plus_ms(limits.quarantine_ms),
    })
}

/// Makes an orphan a row of its instance that goes: an old one again, if it was believed gone, or a new one. `false`: it
/// is not shown any more, or is claimed already.
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
        let believed_gone = row.gone_at.is_some();
        if believed_gone {
            (row.gone_at, row.proof, row.delete_sent_at, row.retry) = (None, None, None, None);
            row.is_primary = false;
        }
        return believed_gone;
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
        let believed_gone = row.status == VolumeStatus::Deleted;
        if believed_gone {
            (row.deleted_at, row.proof, row.delete_sent_at, row.retry) = (None, None, None, None);
            row.delete_accepted_at = None;
            // Whether it goes or is kept, it was decided before.
            row.status = VolumeStatus::Available;
        }
        return believed_gone;
    }
    let name = CloudName::parse(&orphan.name);
    let mut row = found_volume(VolumeId::new((cx.ids)()), id.to_owned(), cx.now);
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
