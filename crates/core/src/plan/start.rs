//! Starts a server, and waits until the instance is ready.

use super::data_volume::{Data, attaching};
use super::power::shows_later_than;
use super::{Change, Draft, Shows};
use crate::action::{Action, ServerCall};
use crate::event_kind::EventKind;
use crate::observed::{Allowed, ObservedServer, ServerState};
use crate::recorded::Server;
use crate::status::{NoteCode, Status};
use crate::worker::record::WorkerRecord;

/// How long a server that was ready once stays stopped before its start is tried again, in milliseconds.
const START_AGAIN_MS: i64 = 600_000;

/// Starts the server and waits until it runs.
pub(super) fn run(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer, data: Data) {
    let now = draft.cx.now;
    let ready = draft.agg.instance.is_up();
    let fresh = server.start_sent_at.is_none_or(|t| draft.seen.began_at > t);
    match &seen.state {
        ServerState::Running => running(draft, server, seen, data),
        ServerState::Stopped | ServerState::StoppedInPlace if ready => {
            draft.wait_because(
                NoteCode::ActionNeeded,
                "a third party stopped the server; stop and start the instance to run it again, or terminate it",
            );
            return;
        }
        ServerState::Stopped | ServerState::StoppedInPlace if server.start_sent_at.is_none() => {
            start(draft, server, seen)
        }
        ServerState::Stopped | ServerState::StoppedInPlace if fresh => {
            let since = server.start_sent_at.map_or(0, |t| now.ms_since(t));
            if since < draft.cx.rules.stale_ms.max(30_000) {
                runs(draft, server, seen, "waits for the cloud to show the start of the server");
            } else if server.starts < draft.cx.rules.starts_max {
                start(draft, server, seen);
            } else if draft.agg.instance.up_at.is_some() {
                // It has data: it never fails for this.
                let again = server.start_sent_at.unwrap_or(now).plus_ms(START_AGAIN_MS);
                if now >= again {
                    start(draft, server, seen);
                } else {
                    draft.wake = Some(again);
                    let text = "the server stopped again after every start; the zone is probably out of stock; to give \
                                up, stop or terminate the instance; waits for the next start";
                    draft.wait_until(NoteCode::ActionNeeded, text, again);
                }
            } else {
                let text =
                    "the server stopped again after every start; the zone is probably out of stock: try another zone";
                draft.fail("boot_failed", text);
            }
        }
        ServerState::Locked => {
            draft.wait_because(NoteCode::ActionNeeded, "the cloud has locked the server; ask the provider's support")
        }
        ServerState::Starting | ServerState::Stopped | ServerState::StoppedInPlace => {
            runs(draft, server, seen, "waits for the server to run");
        }
        ServerState::Stopping | ServerState::Other(_) => {
            draft.wait(format!("waits: the server is {}", seen.state.text()));
        }
    }
    let ready = ready || draft.agg.instance.is_up();
    let started = server.start_sent_at.or(server.start_intended_at);
    // What is shown then may be older by the consistency window.
    let patience_ms = draft.cx.rules.boot_deadline_ms.saturating_add(draft.cx.rules.stale_ms);
    let deadline = started.map(|t| t.plus_ms(patience_ms));
    if !ready && draft.agg.instance.up_at.is_none() && deadline.is_some_and(|d| now > d) {
        let what = if seen.state == ServerState::Running && !seen.addresses.is_empty() {
            "its data volume was not attached"
        } else {
            "the server did not run, with an address,"
        };
        draft.fail("boot_failed", format!("{what} within 20 minutes of the server's start; try another zone"));
    }
}

fn start(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) {
    if !seen.allowed.contains(&Allowed::Start) {
        // For a moment after an attachment, the cloud allows no action.
        let attached = draft.agg.data_volume().and_then(|v| v.attach_sent_at);
        let since = attached.or(server.answered_at).unwrap_or(server.intended_at);
        let text = "waits until the cloud allows the server to be started";
        draft.wait_for(Change::ActionsAllowed, Shows::Server(seen.id.clone()), since, text);
    } else if draft.try_or_wait("starting the server", server.retry.as_ref()) {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::Start));
    }
}

fn runs(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer, text: &str) {
    let since = server.start_sent_at.or(server.start_intended_at).unwrap_or(server.intended_at);
    draft.wait_for(Change::ServerRuns, Shows::Server(seen.id.clone()), since, text);
}

fn running(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer, data: Data) {
    if draft.agg.instance.is_up() {
        return;
    }
    if !shows_later_than(draft, server.stop_sent_at) {
        draft.wait("waits for an observation that cannot be older than the server's stop");
        return;
    }
    let Some(ip) = seen.ip_address() else {
        draft.agg.instance.status = Status::Booting;
        let since = server.start_sent_at.or(server.start_intended_at).unwrap_or(server.intended_at);
        let text = "waits for the address of the server";
        draft.wait_for(Change::AddressShown, Shows::Server(seen.id.clone()), since, text);
        return;
    };
    if data == Data::Attaching {
        if let Some(row) = draft.agg.data_volume().cloned() {
            attaching(draft, &row);
        }
        return;
    }
    if let Some(row) = draft.agg.server_mut(&server.id) {
        row.stop_sent_at = None;
    }
    let (now, instance) = (draft.cx.now, &mut draft.agg.instance);
    instance.up_at.get_or_insert(now);
    let serves = instance.spec.serving.is_some() && instance.model_id.is_some();
    if serves {
        // From here on, its worker decides about its status.
        instance.status = Status::Booting;
        instance.worker = Some(Box::new(WorkerRecord::expected(now)));
    } else {
        instance.status = Status::Ready;
        instance.ready_at.get_or_insert(now);
    }
    draft.emit(EventKind::ProviderGetIp, Some(seen.id.clone()), format!("{ip}, as the server shows it"));
    if serves {
        return;
    }
    draft.emit(EventKind::InstanceReady, Some(seen.id.clone()), "running, every requested volume attached");
}
