//! Stale reads: when an absence counts, when a proof is confirmed, and what happens when a resource reappears.
//!
//! Any read may show the state of up to [`Rules::stale_ms`](super::Rules) ago. Three rules follow:
//! - *Disappeared* (no deletion was requested here) is concluded from two not-founds, at least the window apart, each
//!   more than the window after the resource was last shown. If it is shown in between, the count starts again.
//! - *Gone after our own deletion* is concluded at once. The proof is provisional until a complete listing that began
//!   more than the window later does not show the resource either.
//! - What such a listing shows exists: it is deleted again, whatever the status of its instance.

use super::Draft;
use crate::error::ErrorKind;
use crate::event_kind::EventKind;
use crate::observed::{Observed, VolumeState};
use crate::recorded::{PendingFact, PendingObservation, Volume};
use crate::status::{Origin, Status, VolumeStatus};
use crate::time::Timestamp;

pub(super) fn weigh(draft: &mut Draft<'_, '_>) {
    reopen_servers(draft);
    reopen_volumes(draft);
    doubt_deletions(draft);
    confirm(draft);
    record_pending(draft);
}

/// Whether the current observation cannot show the state of `at` or before.
fn is_past(draft: &Draft<'_, '_>, at: Timestamp) -> bool {
    draft.seen.began_at > at.plus_ms(draft.cx.rules.stale_ms)
}

/// What follows for a resource that is shown again.
const fn again(going: bool) -> &'static str {
    if going { ": it is deleted again" } else { "" }
}

fn reopen_servers(draft: &mut Draft<'_, '_>) {
    for n in 0..draft.agg.servers.len() {
        let row = &draft.agg.servers[n];
        let Some(id) = row.provider_id.clone() else { continue };
        let Some(gone_at) = row.gone_at.filter(|_| draft.seen.server(&id).is_some()) else { continue };
        if !is_past(draft, row.proof.as_ref().map_or(gone_at, |p| p.asked_at)) {
            continue;
        }
        let going = draft.agg.is_server_going(row);
        let row = &mut draft.agg.servers[n];
        (row.gone_at, row.proof, row.delete_sent_at, row.retry, row.state) = (None, None, None, None, None);
        draft.emit(
            EventKind::ResourceReappeared,
            Some(id),
            format!("the server was proven gone, and is shown again{}", again(going)),
        );
        reopen_instance(draft);
    }
}

fn reopen_volumes(draft: &mut Draft<'_, '_>) {
    for n in 0..draft.agg.volumes.len() {
        let row = &draft.agg.volumes[n];
        let Some(id) = row.provider_id.clone() else { continue };
        let gone = row.status == VolumeStatus::Deleted && row.origin != Origin::Foreign;
        let Some(gone_at) = row.deleted_at.filter(|_| gone && draft.seen.volume(&id).is_some()) else { continue };
        if !is_past(draft, row.proof.as_ref().map_or(gone_at, |p| p.asked_at)) {
            continue;
        }
        let going = draft.agg.is_volume_going(row);
        let row = &mut draft.agg.volumes[n];
        (row.deleted_at, row.proof, row.delete_sent_at, row.retry) = (None, None, None, None);
        row.delete_accepted_at = None;
        row.status = VolumeStatus::Available;
        let volume_id = Some(row.id.clone());
        let text = format!("the volume was proven gone, and is shown again{}", again(going));
        draft.events.push(crate::action::Event {
            lasted_ms: None,
            failed: false,
            kind: EventKind::ResourceReappeared,
            volume_id,
            resource_id: Some(id),
            text,
        });
        reopen_instance(draft);
    }
}

/// An accepted deletion is no evidence if the volume is still shown more than the window later.
fn doubt_deletions(draft: &mut Draft<'_, '_>) {
    for n in 0..draft.agg.volumes.len() {
        let row = &draft.agg.volumes[n];
        let shown = row.is_live() && row.provider_id.as_deref().is_some_and(|id| draft.seen.volume(id).is_some());
        if shown && row.delete_accepted_at.is_some_and(|t| is_past(draft, t)) {
            draft.agg.volumes[n].delete_accepted_at = None;
        }
    }
}

/// An instance that had ended is terminating again, until its end is proven again.
fn reopen_instance(draft: &mut Draft<'_, '_>) {
    if draft.agg.instance.status.is_final() {
        draft.agg.instance.status = Status::Terminating;
        draft.agg.instance.terminated_at = None;
    }
}

/// Confirms proofs by a complete listing that cannot be as old as they are. What it shows was reopened before.
fn confirm(draft: &mut Draft<'_, '_>) {
    let seen: &Observed = draft.seen;
    if !seen.listed {
        return;
    }
    for (id, proof) in draft.agg.proofs_mut().filter(|(_, p)| p.is_provisional()) {
        let shown = id.is_some_and(|id| seen.server(id).is_some() || seen.volume(id).is_some());
        if !shown && proof.confirm_after.is_some_and(|t| seen.began_at > t) {
            proof.confirmed_at = Some(seen.began_at);
        }
    }
}

/// Records pending observations (one stale read could explain them), and drops those that a later one contradicts.
fn record_pending(draft: &mut Draft<'_, '_>) {
    if draft.cx.rules.stale_ms == 0 {
        return;
    }
    let seen = draft.seen;
    for n in 0..draft.agg.servers.len() {
        let row = &draft.agg.servers[n];
        let Some(id) = row.provider_id.as_deref().filter(|_| row.is_live()) else { continue };
        let known_since = row.answered_at.unwrap_or(row.intended_at);
        let absent = seen.server(id).is_none().then_some(PendingFact::Absent);
        let noted =
            if absent.is_some() && (draft.agg.is_server_going(row) || !(seen.listed && seen.began_at > known_since)) {
                row.pending_observation.clone()
            } else {
                pending(row.pending_observation.as_ref(), absent, seen.began_at)
            };
        draft.agg.servers[n].pending_observation = noted;
    }
    for n in 0..draft.agg.volumes.len() {
        let row = &draft.agg.volumes[n];
        let Some(id) = row.provider_id.as_deref().filter(|_| row.is_live() || row.is_kept()) else { continue };
        let known_since = row.answered_at.unwrap_or(row.created_at);
        let found = match seen.volume(id).map(|v| &v.state) {
            None => Some(PendingFact::Absent),
            Some(VolumeState::Error) => Some(PendingFact::Broken),
            Some(
                VolumeState::Creating
                | VolumeState::Available
                | VolumeState::InUse
                | VolumeState::Updating
                | VolumeState::Other(_),
            ) => None,
        };
        let unsure = found == Some(PendingFact::Absent)
            && (draft.agg.is_volume_going(row) || !(seen.listed && seen.began_at > known_since));
        let noted = if unsure {
            row.pending_observation.clone()
        } else {
            pending(row.pending_observation.as_ref(), found, seen.began_at)
        };
        draft.agg.volumes[n].pending_observation = noted;
    }
}

fn pending(
    before: Option<&PendingObservation>,
    found: Option<PendingFact>,
    began_at: Timestamp,
) -> Option<PendingObservation> {
    let what = found?;
    let same = before.filter(|b| b.what == what).cloned();
    Some(same.unwrap_or(PendingObservation { what, since: began_at, first: None }))
}

/// Checks whether a resource that is not shown may be read by its id now: more than the window after it was last shown,
/// or after the first not-found. If not, adds a note with the reason and the time.
pub(super) fn ask_or_wait(
    draft: &mut Draft<'_, '_>,
    what: &str,
    pending_observation: Option<&PendingObservation>,
) -> bool {
    /// How many polls later an absence is checked against a new observation.
    const POLLS: i64 = 5;
    let window_ms = draft.cx.rules.stale_ms;
    if window_ms == 0 {
        return true;
    }
    let Some(absent) = pending_observation.filter(|u| u.what == PendingFact::Absent) else {
        draft.wait(format!("waits for a complete listing, to see whether {what} is gone"));
        return false;
    };
    let due = due(absent, window_ms);
    if draft.seen.began_at > due {
        return true;
    }
    draft.wait_until(
        crate::status::NoteCode::Waiting,
        format!("{what} is not shown, which may be a stale read; waits before it is checked again"),
        due,
    );
    let soon = draft.cx.now.plus_ms(draft.cx.rules.poll_ms.saturating_mul(POLLS)).min(due.plus_ms(1));
    draft.wake = Some(draft.wake.map_or(soon, |w| w.min(soon)));
    false
}

/// The same without a note: nothing waits for the resource.
pub(super) fn may_ask(draft: &Draft<'_, '_>, pending_observation: Option<&PendingObservation>) -> bool {
    let window_ms = draft.cx.rules.stale_ms;
    let absent = pending_observation.filter(|u| u.what == PendingFact::Absent);
    window_ms == 0 || absent.is_some_and(|absent| draft.seen.began_at > due(absent, window_ms))
}

/// An absence may be checked after this time.
fn due(absent: &PendingObservation, window_ms: i64) -> Timestamp {
    absent.first.as_ref().map_or(absent.since, |f| f.asked_at).plus_ms(window_ms)
}

/// Whether a volume was reported as broken for longer than a read may be stale.
pub(super) fn is_broken(draft: &Draft<'_, '_>, pending_observation: Option<&PendingObservation>) -> bool {
    draft.cx.rules.stale_ms == 0
        || pending_observation.is_some_and(|u| u.what == PendingFact::Broken && is_past(draft, u.since))
}

/// Whether the cloud reports the volume as not found, while nothing shows that the credentials can see Block Storage.
pub(super) fn is_unwitnessed(v: &Volume) -> bool {
    let unwitnessed = v.retry.as_ref().is_some_and(|r| r.error.kind == ErrorKind::Unwitnessed);
    v.is_live() && v.is_block() && unwitnessed
}

/// The same, after some checks without a result: meanwhile, a volume of another instance may serve as the witness.
pub(super) fn needs_witness(v: &Volume) -> bool {
    const TRIES: u32 = 4;
    is_unwitnessed(v) && v.retry.as_ref().is_some_and(|r| r.count >= TRIES)
}
