//! The planner: from desired, recorded and observed state to what to record and what to do now. Pure.
//!
//! Two steps. `record_observation` records what the cloud shows (adoptions, new volumes, metadata, states). Then
//! `present` drives the instance towards *ready*, or `absent` drives it towards *proven gone*. Whatever cannot be done
//! now leaves a note with the reason. After a crash, the next plan starts from the records.

mod absent;
mod attempt;
mod awaits;
mod data_volume;
mod display;
mod drain;
mod drift;
mod evidence;
mod frozen;
mod listing;
mod power;
mod present;
mod record_observation;
mod remove_server;
mod remove_volume;
mod start;
#[cfg(test)]
pub(crate) mod tests;
mod vanished;
mod witness;

pub use awaits::{Await, Change, Shows};
pub use display::phrase;
pub(crate) use display::{IMAGINED, volume as volume_phrase};
pub use frozen::newer_policy;

use crate::action::{Action, Event};
use crate::cloud::CloudProfile;
use crate::event_kind::EventKind;
use crate::observed::Observed;
use crate::paces::Paces;
use crate::recorded::{Aggregate, Failure, Note, Retry, Volume};
use crate::status::{Desired, NoteCode, Status};
use crate::time::Timestamp;
use crate::worker::WorkerRules;

/// Time limits and intervals of the planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How often a changing resource is observed.
    pub poll_ms: i64,
    /// How often it is observed once nothing has changed for [`Rules::slow_after_ms`].
    pub slow_poll_ms: i64,
    /// See [`Rules::slow_poll_ms`].
    pub slow_after_ms: i64,
    /// The shortest observed duration of each change in the cloud.
    pub paces: Paces,
    /// How often a settled instance is observed.
    pub resync_ms: i64,
    /// The maximum age of the state that a read shows (the consistency window of the cloud). 0: reads are never stale.
    pub stale_ms: i64,
    /// How long an unconfirmed creation may still take effect. Longer than the lag of any listing.
    pub create_grace_ms: i64,
    /// The maximum number of abandoned attempts to create one resource.
    pub attempts_max: u32,
    /// How long a started server may take to run.
    pub boot_deadline_ms: i64,
    /// The maximum number of starts of one server.
    pub starts_max: u32,
    /// How long the detachment of a third party's block volume may delay the removal of our server.
    pub detach_patience_ms: i64,
    /// How long a server may still be shown after its removal was accepted. Then the removal is requested again.
    pub removal_patience_ms: i64,
    /// How many refusals in a row are retried before the instance fails.
    pub retries_max: u32,
    /// Limits about workers.
    pub worker: WorkerRules,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            poll_ms: 1_000,
            slow_poll_ms: 10_000,
            slow_after_ms: 300_000,
            paces: Paces::default(),
            resync_ms: 60_000,
            stale_ms: 60_000,
            create_grace_ms: 600_000,
            attempts_max: 3,
            boot_deadline_ms: 1_200_000,
            starts_max: 3,
            detach_patience_ms: 120_000,
            removal_patience_ms: 120_000,
            retries_max: 40,
            worker: WorkerRules::default(),
        }
    }
}

/// What a plan needs besides the three states: the time, new ids, and the id of this control plane.
pub struct Context<'a> {
    /// Now.
    pub now: Timestamp,
    /// Time limits and intervals.
    pub rules: &'a Rules,
    /// The properties of the cloud.
    pub profile: &'a CloudProfile,
    /// This control plane's id.
    pub control_plane: &'a str,
    /// Draws 128 bits for a new id.
    pub ids: &'a mut dyn FnMut() -> u128,
}

/// What to record and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The aggregate as it should be recorded before anything is done.
    pub recorded: Aggregate,
    /// What to report.
    pub events: Vec<Event>,
    /// What to do now, in any order or at once.
    pub actions: Vec<Action>,
    /// The changes that it waits for, if it waits for nothing else: until one of them shows, nothing else needs to be
    /// read. Empty: it also waits for something else, and the next observation reads the whole instance.
    pub awaits: Vec<Await>,
}

impl Plan {
    /// Nothing is to be done, and only the time of the next observation changes.
    #[must_use]
    pub fn only_waits(&self, before: &Aggregate) -> bool {
        let (now, then) = (&self.recorded, before);
        let same = || {
            let instance = crate::recorded::Instance { wake_at: then.instance.wake_at, ..now.instance.clone() };
            instance == then.instance && now.servers == then.servers && now.volumes == then.volumes
        };
        self.actions.is_empty() && self.events.is_empty() && same()
    }
}

/// A plan under construction.
struct Draft<'a, 'c> {
    agg: Aggregate,
    seen: &'a Observed,
    cx: &'a mut Context<'c>,
    events: Vec<Event>,
    actions: Vec<Action>,
    notes: Vec<Note>,
    awaits: Vec<Await>,
    /// Something other than `awaits` is waited for.
    waits_else: bool,
    wake: Option<Timestamp>,
    /// Why nothing may be done: the records look older than the cloud.
    frozen: Option<String>,
}

impl Draft<'_, '_> {
    /// Adds a note with the reason for waiting. The next observation follows after one poll.
    fn wait(&mut self, text: impl Into<String>) {
        self.wait_because(NoteCode::Waiting, text);
    }

    /// The same for another kind of reason.
    fn wait_because(&mut self, code: NoteCode, text: impl Into<String>) {
        self.waits_else = true;
        self.notes.push(Note { code, text: text.into(), until: None });
    }

    /// Waits for a change of one resource.
    fn wait_for(&mut self, change: Change, shows: Shows, since: Timestamp, text: impl Into<String>) {
        self.awaits.push(Await { shows, change, since });
        self.notes.push(Note { code: NoteCode::Waiting, text: text.into(), until: None });
    }

    /// The same for a volume.
    fn wait_for_volume(&mut self, change: Change, row: &Volume, since: Timestamp, text: impl Into<String>) {
        match row.provider_id.clone() {
            Some(id) => self.wait_for(change, Shows::Volume(id, row.volume_type.clone()), since, text),
            None => self.wait(text),
        }
    }

    /// Adds a note with the reason for waiting, and until when.
    fn wait_until(&mut self, code: NoteCode, text: impl Into<String>, until: Timestamp) {
        self.waits_else = true;
        self.notes.push(Note { code, text: text.into(), until: Some(until) });
    }

    fn emit(&mut self, kind: EventKind, resource_id: Option<String>, text: impl Into<String>) {
        self.events.push(Event { resource_id, ..Event::told(kind, text) });
    }

    /// Checks whether a call may be made now. If a retry is pending, adds a note with the reason and the time.
    fn try_or_wait(&mut self, what: &str, retry: Option<&Retry>) -> bool {
        let Some(retry) = retry.filter(|r| r.not_before > self.cx.now) else { return true };
        self.wake = Some(self.wake.map_or(retry.not_before, |w| w.min(retry.not_before)));
        let (code, blocked) = if retry.error.kind == crate::error::ErrorKind::Unauthorized {
            (NoteCode::Credentials, "blocked: credentials: ")
        } else {
            (NoteCode::Refused, "")
        };
        let text = format!(
            "{blocked}{what} was refused {} time(s): {}; waits for the next attempt",
            retry.count, retry.error.message
        );
        self.wait_until(code, text, retry.not_before);
        false
    }

    fn fail(&mut self, code: &str, message: impl Into<String>) {
        if self.agg.instance.failure.is_none() {
            let message = message.into();
            self.emit(EventKind::InstanceFailed, None, message.clone());
            self.agg.instance.failure = Some(Failure { code: code.to_owned(), message });
            self.agg.instance.terminate_requested_at.get_or_insert(self.cx.now);
        }
    }
}

/// Decides what to record and what to do for one instance.
///
/// Idempotent: once everything was done and observed, the plan is empty.
#[must_use]
pub fn plan(recorded: &Aggregate, observed: &Observed, cx: &mut Context<'_>) -> Plan {
    let mut draft = Draft {
        agg: recorded.clone(),
        seen: observed,
        cx,
        events: Vec::new(),
        actions: Vec::new(),
        notes: Vec::new(),
        awaits: Vec::new(),
        waits_else: false,
        wake: None,
        frozen: None,
    };
    record_observation::record_observation(&mut draft);
    if let Some(why) = draft.frozen.take() {
        draft.actions.clear();
        draft.notes.clear();
        draft.awaits.clear();
        let again = draft.cx.now.plus_ms(draft.cx.rules.resync_ms);
        draft.wait_until(NoteCode::Frozen, why, again);
        draft.wake = Some(again);
        return finish(draft);
    }
    if draft.agg.instance.desired != Desired::Absent && draft.agg.instance.failure.is_none() {
        present::drive(&mut draft);
    }
    // A failure that was found just now is cleaned up in the same plan.
    if draft.agg.instance.desired == Desired::Absent || draft.agg.instance.failure.is_some() {
        draft.actions.clear();
        if drain::waits(&mut draft) {
            return finish(draft);
        }
        absent::drive(&mut draft);
    }
    finish(draft)
}

fn finish(draft: Draft<'_, '_>) -> Plan {
    let Draft { mut agg, cx, events, actions, notes, awaits, waits_else, wake, .. } = draft;
    let instance = &mut agg.instance;
    let waits = !notes.is_empty() || !actions.is_empty();
    let ended = matches!(instance.status, Status::Stopped | Status::Terminated | Status::ProvisioningFailed);
    let ending = instance.desired == Desired::Absent || instance.failure.is_some();
    let at_rest = ended || (instance.is_up() && !ending && instance.desired == Desired::Present);
    instance.settled = at_rest && !waits;
    instance.notes = notes;
    let pending_observation = agg.proofs().filter(|p| p.is_provisional()).filter_map(|p| p.confirm_after).min();
    let instance = &mut agg.instance;
    instance.confirm_after = pending_observation;
    let quiet_since = latest_mark(&agg);
    let poll =
        if cx.now.ms_since(quiet_since) > cx.rules.slow_after_ms { cx.rules.slow_poll_ms } else { cx.rules.poll_ms };
    // The next retry may be the only thing left to wait for.
    let only_retries = agg.instance.notes.iter().all(|n| n.until.is_some());
    let awaits = if waits_else || !actions.is_empty() { Vec::new() } else { awaits };
    let gpu = agg.instance.spec.gpu_count > 0;
    let soonest = awaits.iter().map(|a| a.due(cx.rules, gpu, cx.now)).min();
    agg.instance.wake_at = match (wake, soonest) {
        (Some(at), _) if only_retries => at,
        _ if agg.instance.settled => agg.instance.wake_at,
        (_, Some(at)) if poll == cx.rules.poll_ms => at,
        _ => cx.now.plus_ms(poll),
    };
    Plan { recorded: agg, events, actions, awaits }
}

/// The time of the latest recorded change of the instance.
fn latest_mark(agg: &Aggregate) -> Timestamp {
    let i = &agg.instance;
    let own = [Some(i.created_at), i.up_at, i.reboot_requested_at, i.terminate_requested_at];
    let servers = agg.servers.iter().flat_map(|s| {
        [
            Some(s.intended_at),
            s.answered_at,
            s.start_intended_at,
            s.start_sent_at,
            s.stop_sent_at,
            s.delete_sent_at,
            s.gone_at,
        ]
    });
    let volumes = agg.volumes.iter().flat_map(|v| {
        [Some(v.created_at), v.attached_at, v.detach_sent_at, v.delete_sent_at, v.deleted_at, v.changed_at]
    });
    own.into_iter().chain(servers).chain(volumes).flatten().max().unwrap_or_default()
}

/// A row for a volume in the response to a server creation: the cloud created it, and it is deleted with the server.
pub(crate) fn row_from_answer(
    attachment: &crate::observed::Attachment,
    boots: bool,
    cx: &mut Context<'_>,
) -> crate::recorded::Volume {
    let id = crate::id::VolumeId::new((cx.ids)());
    let mut row = crate::recorded::Volume::found(id, attachment.volume_id.clone(), cx.now);
    record_observation::describe(&mut row, attachment);
    row.is_boot = boots;
    row
}

/// Records what a response shows of a volume.
pub(crate) fn volume_from_answer(row: &mut crate::recorded::Volume, seen: &crate::observed::ObservedVolume) {
    record_observation::take_over(row, seen);
}
