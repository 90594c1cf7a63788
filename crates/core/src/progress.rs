//! Records the intent of a call, and its outcome.
//!
//! [`record_intent`] is committed before the call, [`record_outcome`] after it. Both are pure, and decide nothing.

use crate::action::{Action, Creation, Event, ServerCall, VolumeCall};
use crate::error::{CallError, Effect, ErrorKind};
use crate::event_kind::EventKind;
use crate::id::{ServerId, VolumeId};
use crate::observed::{ObservedServer, ObservedVolume};
use crate::plan::{Context, row_from_answer, volume_from_answer};
use crate::recorded::{Aggregate, PendingFact, PendingObservation, Proof, Retry};
use crate::status::{CreateState, Status, VolumeStatus};
use crate::time::Timestamp;

/// The response of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// A server, as it is now.
    Server(Box<ObservedServer>),
    /// A volume, as it is now.
    Volume(Box<ObservedVolume>),
    /// Accepted; the response shows no resource.
    Accepted,
    /// A typed not-found for the requested id.
    Gone(Box<Proof>),
    /// The resource still exists.
    StillThere,
}

/// The outcome of a call.
pub type Outcome = Result<CallResult, CallError>;

/// Records a call that is about to be sent, so that it is known after a crash.
pub fn record_intent(agg: &mut Aggregate, action: &Action, now: Timestamp) {
    match action {
        Action::Create(Creation::Server(row)) => agg.servers.push((**row).clone()),
        Action::Create(Creation::Volume(row)) => agg.volumes.push((**row).clone()),
        Action::Server(id, call) => {
            let asked = agg.instance.reboot_requested_at;
            if let Some(s) = agg.server_mut(id) {
                match call {
                    ServerCall::Terminate | ServerCall::Delete => s.delete_intended_at.get_or_insert(now),
                    ServerCall::Start => s.start_intended_at.get_or_insert(now),
                    // After a crash, it may be stopping, or rebooting.
                    ServerCall::Stop => s.stop_sent_at.insert(now),
                    ServerCall::Reboot => s.start_sent_at.insert(asked.map_or(now, |asked| asked.max(now))),
                    ServerCall::Tag | ServerCall::SetUserData | ServerCall::ProveGone => return,
                };
            }
        }
        Action::Volume(id, VolumeCall::Delete) => on_volume(agg, id, |v| {
            v.delete_intended_at.get_or_insert(now);
            v.status = VolumeStatus::Deleting;
        }),
        Action::Volume(..) => {}
    }
}

/// Records the outcome of a call. The volumes of a new server become rows in the same step as the server.
pub fn record_outcome(agg: &mut Aggregate, action: &Action, outcome: &Outcome, cx: &mut Context<'_>) -> Vec<Event> {
    match outcome {
        Ok(reply) => accepted(agg, action, reply, cx),
        Err(error) => {
            refused(agg, action, error, cx);
            Vec::new()
        }
    }
}

fn accepted(agg: &mut Aggregate, action: &Action, reply: &CallResult, cx: &mut Context<'_>) -> Vec<Event> {
    clear_retry(agg, action);
    match action {
        Action::Create(Creation::Server(row)) => server_created(agg, row, reply, cx),
        Action::Create(Creation::Volume(row)) => {
            if let (Some(v), CallResult::Volume(seen)) = (agg.volume_mut(&row.id), reply) {
                v.provider_id = Some(seen.id.clone());
                v.create_state = CreateState::Created;
                v.answered_at = Some(cx.now);
                v.tagged_at = Some(cx.now);
                volume_from_answer(v, seen);
            }
            Vec::new()
        }
        Action::Volume(id, call) => volume_accepted(agg, id, call, reply, cx),
        Action::Server(id, call) => server_accepted(agg, id, *call, reply, cx),
    }
}

fn volume_accepted(
    agg: &mut Aggregate,
    id: &VolumeId,
    call: &VolumeCall,
    reply: &CallResult,
    cx: &Context<'_>,
) -> Vec<Event> {
    let now = cx.now;
    // A late outcome: the volume has another owner by now, whose observations show what became of it.
    if agg.volume(id).is_some_and(|v| v.status == VolumeStatus::Reused) {
        return Vec::new();
    }
    if let (VolumeCall::ProveGone, CallResult::Gone(proof)) = (call, reply) {
        return volume_gone(agg, id, proof, cx.rules.stale_ms);
    }
    on_volume(agg, id, |v| match call {
        VolumeCall::Tag => {
            v.tagged_at = Some(now);
            if let CallResult::Volume(seen) = reply {
                volume_from_answer(v, seen);
            }
        }
        VolumeCall::Resize(_) => v.changed_at = Some(now),
        VolumeCall::Attach(_) => (v.attach_sent_at, v.status) = (Some(now), VolumeStatus::Attaching),
        VolumeCall::Detach(_) => (v.detach_sent_at, v.status) = (Some(now), VolumeStatus::Detaching),
        VolumeCall::Delete => (v.delete_sent_at, v.delete_accepted_at) = (Some(now), Some(now)),
        VolumeCall::ProveGone => {}
    });
    Vec::new()
}

fn reported(kind: EventKind, volume_id: Option<VolumeId>, resource_id: Option<String>, text: &str) -> Event {
    Event { volume_id, resource_id, ..Event::told(kind, text) }
}

/// Records that a volume is gone. Reports it if no deletion was requested here and it was not deleted with its server.
fn volume_gone(agg: &mut Aggregate, id: &VolumeId, proof: &Proof, window_ms: i64) -> Vec<Event> {
    let going = agg.volume(id).is_some_and(|v| agg.is_volume_going(v));
    let server_went = agg.servers.iter().any(|s| s.delete_intended_at.is_some() || s.gone_at.is_some());
    let Some(v) = agg.volume_mut(id) else { return Vec::new() };
    let Some(proof) = accepted_proof(&mut v.pending_observation, proof, going, window_ms) else { return Vec::new() };
    v.status = VolumeStatus::Deleted;
    v.deleted_at = Some(proof.asked_at);
    v.proof = Some(proof);
    if v.delete_intended_at.is_some() || (server_went && !v.is_block()) {
        return Vec::new();
    }
    let text = "a third party deleted the volume: no deletion was requested here";
    vec![reported(EventKind::VolumeDisappeared, Some(id.clone()), v.provider_id.clone(), text)]
}

/// The proof from a not-found, if it counts: at once, but provisional, where the deletion was requested here; otherwise
/// only together with an earlier not-found, at least the window apart. A single read may be stale.
fn accepted_proof(
    pending_observation: &mut Option<PendingObservation>,
    answered: &Proof,
    going: bool,
    window_ms: i64,
) -> Option<Proof> {
    let asked_at = answered.asked_at;
    if window_ms == 0 {
        *pending_observation = None;
        return Some(Proof { confirm_after: Some(asked_at), confirmed_at: Some(asked_at), ..answered.clone() });
    }
    if going {
        *pending_observation = None;
        return Some(Proof { confirm_after: Some(asked_at.plus_ms(window_ms)), ..answered.clone() });
    }
    let pending = pending_observation.get_or_insert(PendingObservation {
        what: PendingFact::Absent,
        since: asked_at,
        first: None,
    });
    let sure_from = pending.first.as_ref().map_or(pending.since, |f| f.asked_at).plus_ms(window_ms);
    if asked_at < sure_from {
        return None;
    }
    let Some(first) = pending.first.take() else {
        pending.first = Some(answered.clone());
        return None;
    };
    *pending_observation = None;
    Some(Proof { confirm_after: Some(sure_from), confirmed_at: Some(asked_at), ..first })
}

fn server_accepted(
    agg: &mut Aggregate,
    id: &ServerId,
    call: ServerCall,
    reply: &CallResult,
    cx: &Context<'_>,
) -> Vec<Event> {
    let (now, window_ms) = (cx.now, cx.rules.stale_ms);
    let going = agg.server_by_id(id).is_some_and(|s| agg.is_server_going(s));
    if call == ServerCall::Start && agg.instance.status == Status::Provisioning {
        agg.instance.status = Status::Booting;
    }
    let Some(s) = agg.server_mut(id) else { return Vec::new() };
    match call {
        ServerCall::SetUserData => s.user_data_at = Some(now),
        ServerCall::Tag => s.tagged_at = Some(now),
        ServerCall::Start => (s.starts, s.start_sent_at) = (s.starts + 1, Some(now)),
        ServerCall::Stop => s.stop_sent_at = Some(now),
        // A reboot is a start of a server that runs; the intent has recorded it.
        ServerCall::Reboot => {}
        ServerCall::Terminate | ServerCall::Delete => s.delete_sent_at = Some(now),
        ServerCall::ProveGone => {
            if let CallResult::Gone(proof) = reply
                && let Some(proof) = accepted_proof(&mut s.pending_observation, proof, going, window_ms)
            {
                s.gone_at = Some(proof.asked_at);
                s.proof = Some(proof);
                s.state = Some("gone".to_owned());
            }
        }
    }
    if s.gone_at.is_none() || s.delete_intended_at.is_some() {
        return Vec::new();
    }
    let text = "a third party deleted the server: no removal was requested here";
    vec![reported(EventKind::ServerDisappeared, None, s.provider_id.clone(), text)]
}

fn on_volume(agg: &mut Aggregate, id: &VolumeId, change: impl FnOnce(&mut crate::recorded::Volume)) {
    if let Some(v) = agg.volume_mut(id) {
        change(v);
    }
}

fn server_created(
    agg: &mut Aggregate,
    row: &crate::recorded::Server,
    reply: &CallResult,
    cx: &mut Context<'_>,
) -> Vec<Event> {
    let CallResult::Server(seen) = reply else { return Vec::new() };
    let rival = agg.servers.iter().any(|s| s.is_primary && s.is_live() && s.id != row.id);
    if let Some(s) = agg.server_mut(&row.id) {
        s.created(seen, cx.profile.user_data, cx.now);
        // A response that comes after the attempt was abandoned and replaced is a late arrival.
        s.is_primary &= !rival;
    }
    let mut events = Vec::new();
    for attachment in &seen.attachments {
        if agg.volumes.iter().any(|v| v.provider_id.as_deref() == Some(&attachment.volume_id)) {
            continue;
        }
        let boots = seen.boot_volume_id() == Some(&attachment.volume_id);
        let mut volume = row_from_answer(attachment, boots, cx);
        volume.server_id = Some(row.id.clone());
        events.push(Event {
            lasted_ms: None,
            failed: false,
            kind: EventKind::VolumeFound,
            volume_id: Some(volume.id.clone()),
            resource_id: volume.provider_id.clone(),
            text: format!("{} came with the server", volume.volume_type),
        });
        agg.volumes.push(volume);
    }
    events
}

fn clear_retry(agg: &mut Aggregate, action: &Action) {
    if let Some(v) = action.volume_id().and_then(|id| agg.volumes.iter_mut().find(|v| &v.id == id)) {
        v.retry = None;
    } else if let Some(s) = action.server_id().and_then(|id| agg.servers.iter_mut().find(|s| &s.id == id)) {
        s.retry = None;
    }
}

fn refused(agg: &mut Aggregate, action: &Action, error: &CallError, cx: &mut Context<'_>) {
    let now = cx.now;
    let open = if error.effect == Effect::Unknown { CreateState::Unconfirmed } else { CreateState::Refused };
    let before = refused_before(agg, action);
    let asked = agg.instance.reboot_requested_at;
    let removes = matches!(
        action,
        Action::Server(_, ServerCall::Terminate | ServerCall::Delete) | Action::Volume(_, VolumeCall::Delete)
    );
    if let Some(v) = action.volume_id().and_then(|id| agg.volumes.iter_mut().find(|v| &v.id == id)) {
        v.retry = Some(again(action, v.retry.as_ref().or(before.as_ref()), error, cx));
        if removes && error.kind == ErrorKind::NotFound {
            v.delete_sent_at = Some(now);
            v.retry = None;
        }
        if matches!(action, Action::Volume(_, VolumeCall::Attach(_))) && error.effect == Effect::Unknown {
            v.attach_sent_at = Some(now);
        }
        if action.creates() && v.create_state.is_open() {
            v.create_state = open;
            v.create_error = Some(error.clone());
            v.answered_at = Some(now);
            if open == CreateState::Refused {
                v.status = VolumeStatus::Failed;
            }
        }
    } else if let Some(s) = action.server_id().and_then(|id| agg.servers.iter_mut().find(|s| &s.id == id)) {
        if matches!(action, Action::Server(_, ServerCall::Tag)) {
            // Nothing waits for the name: it is set again when the drift is observed again.
            s.tagged_at = Some(now);
            return;
        }
        // Another call begins its own back-off.
        let same = s.retry.as_ref().filter(|r| r.call.is_none_or(|call| call == action.kind()));
        s.retry = Some(again(action, same.or(before.as_ref()), error, cx));
        if error.effect == Effect::None {
            // The intent had no effect.
            match action {
                Action::Server(_, ServerCall::Stop) => s.stop_sent_at = None,
                Action::Server(_, ServerCall::Reboot) => s.start_sent_at = asked.map(|t| t.plus_ms(-1)),
                Action::Create(_) | Action::Server(..) | Action::Volume(..) => {}
            }
        }
        if removes && error.kind == ErrorKind::NotFound {
            s.delete_sent_at = Some(now);
            s.retry = None;
        }
        if action.creates() && s.create_state.is_open() {
            s.create_state = open;
            s.create_error = Some(error.clone());
            s.answered_at = Some(now);
        }
    }
}

/// The retry of the previous attempt: a new attempt continues its back-off.
fn refused_before(agg: &Aggregate, action: &Action) -> Option<Retry> {
    match action {
        Action::Create(Creation::Server(row)) => agg
            .servers
            .iter()
            .rfind(|s| s.attempt + 1 == row.attempt && s.create_state == CreateState::Refused)?
            .retry
            .clone(),
        Action::Create(Creation::Volume(row)) => {
            let ours = |v: &&crate::recorded::Volume| v.origin == row.origin && v.attempt + 1 == row.attempt;
            agg.volumes.iter().filter(ours).rfind(|v| v.create_state == CreateState::Refused)?.retry.clone()
        }
        Action::Server(..) | Action::Volume(..) => None,
    }
}

fn again(action: &Action, before: Option<&Retry>, error: &CallError, cx: &mut Context<'_>) -> Retry {
    let count = before.map_or(1, |r| r.count.saturating_add(1));
    let wait_ms = jittered(backoff_ms(count, error.kind), (cx.ids)());
    Retry { count, not_before: cx.now.plus_ms(wait_ms), error: error.clone(), call: Some(action.kind()) }
}

/// Between three quarters of a delay and all of it, so that calls that were refused together are not retried together.
fn jittered(wait_ms: i64, drawn: u128) -> i64 {
    const STEPS: u128 = 1_000;
    let part = i64::try_from(drawn % STEPS).unwrap_or(0);
    wait_ms - wait_ms * part / 4_000
}

/// The maximum back-off after the nth refusal in a row: it doubles, from a minimum to a maximum that the kind sets.
#[must_use]
pub fn backoff_ms(count: u32, kind: ErrorKind) -> i64 {
    let (first, last) = match kind {
        ErrorKind::Conflict => (1_000, 15_000),
        ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Unwitnessed => (1_000, 60_000),
        ErrorKind::Unauthorized => (10_000, 60_000),
        ErrorKind::NotFound
        | ErrorKind::OutOfStock
        | ErrorKind::Quota
        | ErrorKind::Refused
        | ErrorKind::Unsupported => (30_000, 600_000),
    };
    let doubled: i64 = first << count.saturating_sub(1).min(10);
    doubled.min(last)
}

#[cfg(test)]
mod tests;
