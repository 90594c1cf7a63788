//! The removal of a server: its method, and what must be done first.

use super::listing::wait_for_listing;
use super::{Change, Draft, Shows};
use crate::action::{Action, ServerCall, VolumeCall};
use crate::cloud::Spares;
use crate::event_kind::EventKind;
use crate::id::ServerId;
use crate::observed::{Allowed, ObservedServer, ServerState};
use crate::recorded::{Server, Volume};
use crate::status::{NoteCode, Origin};

/// Removes one server. Its volumes were recorded from the observation of this plan.
pub(super) fn remove_server(draft: &mut Draft<'_, '_>, id: &ServerId) {
    let Some(row) = draft.agg.server_by_id(id).cloned() else { return };
    let Some(seen) = row.provider_id.as_deref().and_then(|p| draft.seen.server(p)).cloned() else {
        // A stale read may not show a server that was just created. Without a removal, it must not be taken as gone.
        let known_since = row.answered_at.unwrap_or(row.intended_at);
        let since = row.delete_sent_at.unwrap_or_else(|| known_since.plus_ms(draft.cx.rules.stale_ms));
        if !(draft.seen.listed && draft.seen.began_at > since) {
            wait_for_listing(draft, "to see whether the server is gone");
        } else if draft.try_or_wait("checking whether the server is gone", row.retry_of_end()) {
            draft.actions.push(Action::Server(id.clone(), ServerCall::ProveGone));
        }
        return;
    };
    let asked = draft.agg.instance.terminate_requested_at;
    if row.is_primary && asked.is_some_and(|t| draft.seen.began_at < t) {
        draft.wait("waits for a new observation of the server's volumes before it is removed");
        return;
    }
    if let Some(unknown) = seen.attachments.iter().find(|a| !is_recorded(draft, &a.volume_id)) {
        let text = format!("waits to learn who owns volume {} before the server is removed", unknown.volume_id);
        draft.wait(text);
        return;
    }
    if let Some(sent) = row.delete_sent_at {
        let patience_ms = draft.cx.rules.removal_patience_ms.max(draft.cx.rules.stale_ms);
        let overdue = draft.seen.began_at > sent.plus_ms(patience_ms);
        let asked_again = row.retry_of_end().is_some();
        if !overdue && !asked_again {
            let text = format!("waits for the server, {}, to be gone", seen.state.text());
            draft.wait_for(Change::ServerGone, Shows::Server(seen.id.clone()), sent, text);
            return;
        }
    }
    if draft.try_or_wait("removing the server", row.retry_of_end()) {
        choose_removal_method(draft, &row, &seen);
    }
}

fn is_recorded(draft: &Draft<'_, '_>, provider_id: &str) -> bool {
    draft.agg.volumes.iter().any(|v| v.provider_id.as_deref() == Some(provider_id))
}

fn choose_removal_method(draft: &mut Draft<'_, '_>, row: &Server, seen: &ObservedServer) {
    let on_it: Vec<Volume> = seen
        .attachments
        .iter()
        .filter_map(|a| draft.agg.volumes.iter().find(|v| v.provider_id.as_deref() == Some(&a.volume_id)).cloned())
        .collect();
    let local_survivors: Vec<&Volume> = on_it.iter().filter(|v| !v.is_block() && !v.is_to_delete()).collect();
    let foreign_block: Vec<&Volume> = on_it.iter().filter(|v| v.is_block() && v.origin == Origin::Foreign).collect();
    match &seen.state {
        ServerState::Running | ServerState::StoppedInPlace => {
            if detach_all(draft, &foreign_block, row) {
                return;
            }
            if draft.cx.profile.removal_while_running == Spares::BlockVolumes && !local_survivors.is_empty() {
                // The removal would delete a local volume that must survive: stop, detach, delete instead.
                power_off(draft, row, seen);
            } else if seen.allowed.contains(&Allowed::Terminate) {
                report_foreign_addresses(draft, seen);
                draft.actions.push(Action::Server(row.id.clone(), ServerCall::Terminate));
            } else {
                draft.wait("waits until the cloud allows the server to be terminated");
            }
        }
        ServerState::Stopped => {
            let blocks_wait = detach_all(draft, &foreign_block, row);
            if !detach_all(draft, &local_survivors, row) && !blocks_wait {
                report_foreign_addresses(draft, seen);
                draft.actions.push(Action::Server(row.id.clone(), ServerCall::Delete));
            }
        }
        ServerState::Locked => {
            draft.wait_because(NoteCode::ActionNeeded, "the cloud has locked the server; ask the provider's support")
        }
        ServerState::Starting | ServerState::Stopping | ServerState::Other(_) => {
            draft.wait(format!(
                "waits: the server is {}, and can only be removed while it runs or is stopped",
                seen.state.text()
            ));
        }
    }
}

/// Flexible addresses survive their server. We create none, so they belong to a third party: reported, and left alone.
fn report_foreign_addresses(draft: &mut Draft<'_, '_>, seen: &ObservedServer) {
    for address in &seen.foreign_addresses {
        let text = format!("flexible address {address} of a third party was on our server: it is left alone");
        draft.emit(EventKind::ForeignAddressLeft, Some(seen.id.clone()), text);
    }
}

pub(super) fn power_off(draft: &mut Draft<'_, '_>, row: &Server, seen: &ObservedServer) {
    if row.stop_sent_at.is_some_and(|t| draft.seen.began_at < t.plus_ms(draft.cx.rules.removal_patience_ms)) {
        let since = row.stop_sent_at.unwrap_or(row.intended_at);
        draft.wait_for(Change::ServerStopped, Shows::Server(seen.id.clone()), since, "waits for the server to stop");
    } else if seen.allowed.contains(&Allowed::Stop) {
        draft.actions.push(Action::Server(row.id.clone(), ServerCall::Stop));
    } else {
        draft.wait("waits until the cloud allows the server to be stopped");
    }
}

/// Detaches volumes that must outlive the server. `true`: the server has to wait for one of them.
fn detach_all(draft: &mut Draft<'_, '_>, volumes: &[&Volume], server: &Server) -> bool {
    let mut waits = false;
    for volume in volumes {
        waits |= detach(draft, volume, server);
    }
    waits
}

/// Detaches a volume that must survive the server. `true`: the server has to wait for it.
fn detach(draft: &mut Draft<'_, '_>, volume: &Volume, server: &Server) -> bool {
    let name = volume.provider_id.clone().unwrap_or_default();
    let patience_ms = draft.cx.rules.detach_patience_ms;
    let asked = draft.agg.instance.terminate_requested_at.or(volume.detach_sent_at);
    // A block volume survives the removal of the server in any case: it does not delay it for longer than this.
    if volume.is_block() && asked.is_some_and(|t| draft.cx.now > t.plus_ms(patience_ms)) {
        return false;
    }
    if volume.detach_sent_at.is_some_and(|t| draft.cx.now <= t.plus_ms(patience_ms)) {
        draft.wait(format!("waits for volume {name} to be detached"));
        return true;
    }
    if draft.try_or_wait("detaching a volume", volume.retry.as_ref()) {
        draft.actions.push(Action::Volume(volume.id.clone(), VolumeCall::Detach(server.id.clone())));
    }
    true
}
