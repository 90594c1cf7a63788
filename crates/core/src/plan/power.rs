//! Stops, starts and reboots the server of an instance that was ready once.
//!
//! Nothing here lets an instance fail: a server that cannot be started again, for instance because its zone is out of
//! stock, keeps its volumes with their data. The planner goes on trying and says so.

use super::remove_server::power_off;
use super::{Change, Draft, Shows};
use crate::action::{Action, ServerCall};
use crate::event_kind::EventKind;
use crate::observed::{Allowed, ObservedServer, ServerState};
use crate::recorded::Server;
use crate::status::{NoteCode, Status};
use crate::time::Timestamp;

/// How long after its request a reboot is carried out, in milliseconds: later, it would surprise.
const REBOOT_WITHIN_MS: i64 = 600_000;

/// Stops the server. Once it was observed as stopped, a third party that starts it is reported, not overruled.
pub(super) fn stop(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) {
    // The worker goes with its server, and is expected again when the server runs.
    if draft.agg.instance.worker.take().is_some() {
        draft.agg.instance.status = Status::Stopping;
    }
    let was_stopped = draft.agg.instance.status == Status::Stopped;
    let started = server.start_sent_at.max(server.start_intended_at);
    match &seen.state {
        ServerState::Stopped if !was_stopped && !shows_later_than(draft, started) => {
            draft.agg.instance.status = Status::Stopping;
            draft.wait("waits for an observation that cannot be older than the server's start");
        }
        ServerState::Stopped => stopped(draft, was_stopped, seen),
        ServerState::Running | ServerState::Starting | ServerState::Stopping | ServerState::StoppedInPlace
            if was_stopped && server.stop_sent_at.is_some() =>
        {
            if seen.state == ServerState::Stopping || !shows_later_than(draft, server.stop_sent_at) {
                draft.wait("waits for a newer observation of the stopped server");
            } else {
                draft.wait_because(
                    NoteCode::ActionNeeded,
                    "a third party started the server, which costs money; start the instance, or stop the server in \
                     the provider's console",
                );
            }
        }
        // Of a stopped instance without a stop of ours, it may be our own start that takes effect late.
        ServerState::Running | ServerState::StoppedInPlace => {
            draft.agg.instance.status = Status::Stopping;
            if draft.try_or_wait("stopping the server", server.retry_of_end()) {
                power_off(draft, server, seen);
            }
        }
        ServerState::Starting | ServerState::Stopping => {
            draft.agg.instance.status = Status::Stopping;
            let since = server.stop_sent_at.or(server.start_sent_at).unwrap_or(server.intended_at);
            let text = format!("waits: the server is {}", seen.state.text());
            draft.wait_for(Change::ServerStopped, Shows::Server(seen.id.clone()), since, text);
        }
        ServerState::Locked => locked(draft),
        ServerState::Other(word) => draft.wait(format!("waits: the server is {word}")),
    }
}

fn stopped(draft: &mut Draft<'_, '_>, was_stopped: bool, seen: &ObservedServer) {
    let instance = &mut draft.agg.instance;
    instance.status = Status::Stopped;
    if seen.addresses.is_empty() {
        // Its dynamic address is released with the stop.
        instance.ip_address = None;
        instance.addresses.clear();
    }
    if !was_stopped {
        draft.emit(EventKind::InstanceStopped, Some(seen.id.clone()), "stopped; its volumes still cost money");
    }
}

fn locked(draft: &mut Draft<'_, '_>) {
    draft.wait_because(NoteCode::ActionNeeded, "the cloud has locked the server; ask the provider's support");
}

/// Whether the observation cannot show the state before a time: reads may be stale by the consistency window.
pub(super) fn shows_later_than(draft: &Draft<'_, '_>, at: Option<Timestamp>) -> bool {
    at.is_none_or(|at| draft.seen.began_at > at.plus_ms(draft.cx.rules.stale_ms))
}

/// Prepares the start of a server that was stopped on request. `false`: it must stop first.
pub(super) fn start_again(draft: &mut Draft<'_, '_>, server: &mut Server, seen: &ObservedServer) -> bool {
    if !matches!(draft.agg.instance.status, Status::Stopping | Status::Stopped) {
        return true;
    }
    let off = matches!(seen.state, ServerState::Stopped | ServerState::StoppedInPlace);
    let runs_on = seen.state == ServerState::Running && shows_later_than(draft, server.stop_sent_at);
    if seen.state == ServerState::Locked {
        locked(draft);
        return false;
    }
    if !(off || runs_on) {
        draft.wait("waits for the server to stop before it is started again");
        return false;
    }
    draft.agg.instance.status = Status::Booting;
    if off {
        // It may have run before: the intent stays set. So does the time of the stop: until the server runs, a stale
        // read may show it as it was before.
        server.start_intended_at = Some(draft.cx.now);
        (server.start_sent_at, server.starts) = (None, 0);
    }
    if let Some(row) = draft.agg.server_mut(&server.id) {
        *row = server.clone();
    }
    true
}

/// Reboots the server if that was requested after its last start or reboot, and not long ago.
pub(super) fn reboot(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) {
    let now = draft.cx.now;
    let asked = draft.agg.instance.reboot_requested_at.filter(|t| now.ms_since(*t) < REBOOT_WITHIN_MS);
    let due = asked.is_some_and(|t| server.start_sent_at.is_none_or(|started| t > started));
    if !due || !draft.agg.instance.is_up() || seen.state != ServerState::Running {
        return;
    }
    if !seen.allowed.contains(&Allowed::Reboot) {
        draft.wait("waits until the cloud allows the server to be rebooted");
    } else if draft.try_or_wait("rebooting the server", server.retry.as_ref()) {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::Reboot));
    }
}
