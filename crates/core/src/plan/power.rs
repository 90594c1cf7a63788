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

/// Stops the server. Once it was observed as stopped, a third party that starts it is reported, not overruled.
pub(super) fn stop(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) {
    let was_stopped = draft.agg.instance.status == Status::Stopped;
    match &seen.state {
        ServerState::Stopped => {
            if !was_stopped {
                draft.agg.instance.status = Status::Stopped;
                // Its dynamic address is released with the stop.
                draft.agg.instance.ip_address = None;
                draft.agg.instance.addresses.clear();
                draft.emit(EventKind::InstanceStopped, Some(seen.id.clone()), "stopped; its volumes still cost money");
            }
        }
        // Without a stop of ours, it may be our own start that takes effect late: then it is stopped below.
        ServerState::Running | ServerState::Starting | ServerState::StoppedInPlace
            if was_stopped && server.stop_sent_at.is_some() =>
        {
            draft.wait_because(
                NoteCode::ActionNeeded,
                "a third party started the server, which costs money; start the instance, or stop the server in the \
                 provider's console",
            );
        }
        ServerState::Running | ServerState::StoppedInPlace => {
            draft.agg.instance.status = Status::Stopping;
            if draft.try_or_wait("stopping the server", server.retry.as_ref()) {
                power_off(draft, server, seen);
            }
        }
        ServerState::Starting | ServerState::Stopping => {
            draft.agg.instance.status = Status::Stopping;
            let since = server.stop_sent_at.or(server.start_sent_at).unwrap_or(server.intended_at);
            let text = format!("waits: the server is {}", seen.state.text());
            draft.wait_for(Change::ServerStopped, Shows::Server(seen.id.clone()), since, text);
        }
        ServerState::Locked => {
            draft.wait_because(NoteCode::ActionNeeded, "the cloud has locked the server; ask the provider's support");
        }
        ServerState::Other(word) => draft.wait(format!("waits: the server is {word}")),
    }
}

/// Prepares the start of a server that was stopped on request. `false`: it must stop first.
pub(super) fn start_again(draft: &mut Draft<'_, '_>, server: &mut Server, seen: &ObservedServer) -> bool {
    if !matches!(draft.agg.instance.status, Status::Stopping | Status::Stopped) {
        return true;
    }
    let off = matches!(seen.state, ServerState::Stopped | ServerState::StoppedInPlace);
    // For the length of the window after the stop, a stale read may show the server as running.
    let window_ms = draft.cx.rules.stale_ms;
    let is_sure = server.stop_sent_at.is_none_or(|t| draft.seen.began_at > t.plus_ms(window_ms));
    let runs_on = seen.state == ServerState::Running && is_sure;
    if !(off || runs_on) {
        draft.wait("waits for the server to stop before it is started again");
        return false;
    }
    draft.agg.instance.status = Status::Booting;
    if off {
        // It may have run before: the intent stays set.
        server.start_intended_at = Some(draft.cx.now);
        (server.start_sent_at, server.starts) = (None, 0);
    }
    server.stop_sent_at = None;
    if let Some(row) = draft.agg.server_mut(&server.id) {
        *row = server.clone();
    }
    true
}

/// Reboots the server if that was requested after its last start or reboot.
pub(super) fn reboot(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) {
    let asked = draft.agg.instance.reboot_requested_at;
    let due = asked.is_some_and(|t| server.start_sent_at.is_none_or(|started| t > started));
    if !due || draft.agg.instance.status != Status::Ready || seen.state != ServerState::Running {
        return;
    }
    if !seen.allowed.contains(&Allowed::Reboot) {
        draft.wait("waits until the cloud allows the server to be rebooted");
    } else if draft.try_or_wait("rebooting the server", server.retry.as_ref()) {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::Reboot));
    }
}
