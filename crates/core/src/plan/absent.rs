//! Towards *proven gone*: when is a server removed, when is a volume deleted, when is it over.
//!
//! The road of a server follows its state and the policy of its volumes. Running: *terminate* (local volumes go with it,
//! block volumes stay). Stopped: *delete* (every volume stays). A local volume that must survive is detached while
//! the server is off. A volume is deleted only once it is off its server, and it counts as deleted only with a proof.

use super::{Change, Draft, Shows, evidence, present};
use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::error::ErrorKind;
use crate::event_kind::EventKind;
use crate::id::{ServerId, VolumeId};
use crate::name::CloudName;
use crate::observed::{Allowed, ObservedServer, ServerState, VolumeState};
use crate::recorded::{DataVolumeSpec, Server, Volume};
use crate::status::{CreateState, NoteCode, Origin, Status, VolumeStatus};
use crate::time::Timestamp;

pub(super) fn drive(draft: &mut Draft<'_, '_>) {
    if !draft.agg.instance.status.is_final() {
        draft.agg.instance.status = Status::Terminating;
    }
    forgive_unwritten_data(draft);
    wait_for_open_creations(draft);
    let live: Vec<ServerId> = draft.agg.servers.iter().filter(|s| s.is_live()).map(|s| s.id.clone()).collect();
    for id in &live {
        remove_server(draft, id);
    }
    let volumes: Vec<VolumeId> = draft.agg.volumes.iter().filter(|v| v.is_live()).map(|v| v.id.clone()).collect();
    for id in &volumes {
        remove_volume(draft, id);
    }
    witness(draft);
    name_kept(draft);
    complete_end(draft);
}

/// Gives volumes that are kept their names (again): whoever rebuilds from the cloud finds them by these.
fn name_kept(draft: &mut Draft<'_, '_>) {
    let nameless: Vec<Volume> =
        draft.agg.volumes.iter().filter(|v| v.is_kept() && v.tagged_at.is_none()).cloned().collect();
    for row in nameless {
        // One that is not shown may have been deleted by hand: the audit tells of it.
        let shown = row.provider_id.as_deref().is_some_and(|id| draft.seen.volume(id).is_some());
        if shown && draft.may_try("naming a volume", row.retry.as_ref()) {
            draft.actions.push(Action::Volume(row.id, VolumeCall::Tag));
        }
    }
}

/// A data volume of an instance that never ran holds nothing: whatever its policy, a failure leaves nothing behind.
fn forgive_unwritten_data(draft: &mut Draft<'_, '_>) {
    let ran = draft.agg.instance.ready_at.is_some() || draft.agg.servers.iter().any(Server::may_have_run);
    if draft.agg.instance.failure.is_some() && !ran {
        let kept = |v: &&mut Volume| v.origin == Origin::Ours && v.is_live() && !v.delete_on_terminate;
        for v in draft.agg.volumes.iter_mut().filter(kept) {
            v.set_policy(true);
        }
    }
}

fn wait_for_open_creations(draft: &mut Draft<'_, '_>) {
    let rules = draft.cx.rules;
    let servers = draft.agg.servers.iter().filter(|s| s.create_state.is_open()).map(|s| {
        (
            "server",
            s.answered_at.unwrap_or(s.intended_at).plus_ms(super::attempt::grace_ms(s.create_error.as_ref(), rules)),
        )
    });
    let volumes = draft.agg.volumes.iter().filter(|v| v.create_state.is_open()).map(|v| {
        (
            "data volume",
            v.answered_at.unwrap_or(v.created_at).plus_ms(super::attempt::grace_ms(v.create_error.as_ref(), rules)),
        )
    });
    for (what, until) in servers.chain(volumes).collect::<Vec<_>>() {
        draft.wait_until(
            NoteCode::Waiting,
            format!("waits to learn whether the {what}'s creation, whose answer was lost, took effect"),
            until,
        );
    }
}

/// Absence counts only in a complete listing of a project that the credentials see.
fn wait_for_listing(draft: &mut Draft<'_, '_>, why: &str) {
    match draft.seen.hidden.clone() {
        Some(hidden) => draft.wait_because(NoteCode::Credentials, format!("{hidden}, {why}")),
        None => draft.wait(format!("waits for a complete listing, {why}")),
    }
}

/// The same for one volume: block volumes are listed apart from the rest.
fn wait_for_listing_of(draft: &mut Draft<'_, '_>, row: &Volume, since: Timestamp, why: &str) {
    if row.is_block() && draft.seen.hidden.is_none() {
        let text = format!("waits for a complete listing, {why}");
        draft.wait_for(Change::VolumeGone, Shows::BlockListing, since, text);
    } else {
        wait_for_listing(draft, why);
    }
}

/// Takes one server away. Its volumes were recorded by the look that this plan is made upon.
pub(super) fn remove_server(draft: &mut Draft<'_, '_>, id: &ServerId) {
    let Some(row) = draft.agg.server_by_id(id).cloned() else { return };
    let Some(seen) = row.provider_id.as_deref().and_then(|p| draft.seen.server(p)).cloned() else {
        // One that was just made and was never told to go is not gone because a stale read does not show it.
        let known_since = row.answered_at.unwrap_or(row.intended_at);
        let since = row.delete_sent_at.unwrap_or_else(|| known_since.plus_ms(draft.cx.rules.stale_ms));
        if !(draft.seen.listed && draft.seen.began_at > since) {
            wait_for_listing(draft, "to see whether the server is still there");
        } else if draft.may_try("asking for the server", row.retry.as_ref()) {
            draft.actions.push(Action::Server(id.clone(), ServerCall::ProveGone));
        }
        return;
    };
    let asked = draft.agg.instance.terminate_requested_at;
    if row.is_primary && asked.is_some_and(|t| draft.seen.began_at < t) {
        draft.wait("waits for a fresh look at the server's volumes before it goes");
        return;
    }
    if let Some(unknown) = seen.attachments.iter().find(|a| !is_recorded(draft, &a.volume_id)) {
        let text = format!("waits to learn whose volume {} is before the server goes", unknown.volume_id);
        draft.wait(text);
        return;
    }
    if let Some(sent) = row.delete_sent_at {
        let patience_ms = draft.cx.rules.removal_patience_ms.max(draft.cx.rules.stale_ms);
        let overdue = draft.seen.began_at > sent.plus_ms(patience_ms);
        let asked_again = row.retry.is_some();
        if !overdue && !asked_again {
            let text = format!("waits for the server, {}, to be gone", seen.state.text());
            draft.wait_for(Change::ServerGone, Shows::Server(seen.id.clone()), sent, text);
            return;
        }
    }
    if draft.may_try("the server's removal", row.retry.as_ref()) {
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
    let foreign_block = on_it.iter().filter(|v| v.is_block() && v.origin == Origin::Foreign);
    match &seen.state {
        ServerState::Running | ServerState::StoppedInPlace => {
            if foreign_block.filter(|v| detach(draft, v, row)).count() > 0 {
                return;
            }
            if !local_survivors.is_empty() {
                // Terminate would delete a local volume that must survive: off, detach, delete instead.
                power_off(draft, row, seen);
            } else if seen.allowed.contains(&Allowed::Terminate) {
                tell_foreign_addresses(draft, seen);
                draft.actions.push(Action::Server(row.id.clone(), ServerCall::Terminate));
            } else {
                draft.wait("waits until the cloud allows the server to be terminated");
            }
        }
        ServerState::Stopped => {
            let mut waiting = foreign_block.filter(|v| detach(draft, v, row)).count();
            waiting += local_survivors.into_iter().filter(|v| detach(draft, v, row)).count();
            if waiting == 0 {
                tell_foreign_addresses(draft, seen);
                draft.actions.push(Action::Server(row.id.clone(), ServerCall::Delete));
            }
        }
        ServerState::Locked => {
            draft.wait_because(NoteCode::ActionNeeded, "the cloud has locked the server; ask its support")
        }
        ServerState::Starting | ServerState::Stopping | ServerState::Other(_) => {
            draft.wait(format!(
                "waits: the server is {}, and can be removed once it runs or is stopped",
                seen.state.text()
            ));
        }
    }
}

/// Flexible addresses outlive servers. We make none, so they are somebody else's: told, and left alone.
fn tell_foreign_addresses(draft: &mut Draft<'_, '_>, seen: &ObservedServer) {
    for address in &seen.foreign_addresses {
        let text = format!("flexible address {address} is on our server, made by somebody else: it stays");
        draft.emit(EventKind::ForeignAddressLeft, Some(seen.id.clone()), text);
    }
}

fn power_off(draft: &mut Draft<'_, '_>, row: &Server, seen: &ObservedServer) {
    if row.stop_sent_at.is_some_and(|t| draft.seen.began_at < t.plus_ms(draft.cx.rules.removal_patience_ms)) {
        let since = row.stop_sent_at.unwrap_or(row.intended_at);
        draft.wait_for(Change::ServerStopped, Shows::Server(seen.id.clone()), since, "waits for the server to stop");
    } else if seen.allowed.contains(&Allowed::Stop) {
        draft.actions.push(Action::Server(row.id.clone(), ServerCall::Stop));
    } else {
        draft.wait("waits until the cloud allows the server to be stopped");
    }
}

/// Detaches a volume that must outlive the server. `true`: the server has to wait for it.
fn detach(draft: &mut Draft<'_, '_>, volume: &Volume, server: &Server) -> bool {
    let name = volume.provider_id.clone().unwrap_or_default();
    let patience_ms = draft.cx.rules.detach_patience_ms;
    let asked = draft.agg.instance.terminate_requested_at.or(volume.detach_sent_at);
    // A block volume survives the server's end in any case: refused or hanging, it does not keep a server running.
    if volume.is_block() && asked.is_some_and(|t| draft.cx.now > t.plus_ms(patience_ms)) {
        return false;
    }
    if volume.detach_sent_at.is_some_and(|t| draft.cx.now <= t.plus_ms(patience_ms)) {
        draft.wait(format!("waits for volume {name} to be detached"));
        return true;
    }
    if draft.may_try("detaching a volume", volume.retry.as_ref()) {
        draft.actions.push(Action::Volume(volume.id.clone(), VolumeCall::Detach(server.id.clone())));
    }
    true
}

/// Deletes, keeps or lets go of one volume, once its server is out of the way.
fn remove_volume(draft: &mut Draft<'_, '_>, id: &VolumeId) {
    let Some(row) = draft.agg.volume(id).cloned() else { return };
    let seen = row.provider_id.as_deref().and_then(|p| draft.seen.volume(p)).cloned();
    let holder = row.provider_id.as_deref().and_then(|p| draft.seen.servers.iter().find(|s| s.has(p)));
    let held = holder
        .is_some_and(|s| draft.agg.servers.iter().any(|r| r.is_live() && r.provider_id.as_deref() == Some(&s.id)));
    let servers_left = draft.agg.servers.iter().any(Server::is_live);
    let waits = servers_left && row.status != VolumeStatus::Available && row.delete_sent_at.is_none();
    if held || (waits && !went_with_server(draft, &row, seen.is_some())) {
        // The server's own note says what is waited for.
        return;
    }
    let needs_it = |v: &&Volume| v.id != row.id && is_unwitnessed(v);
    if row.origin == Origin::Witness
        && row.delete_intended_at.is_none()
        && seen.is_some()
        && let Some(waits) = draft.agg.volumes.iter().find(needs_it).and_then(|v| v.provider_id.clone())
    {
        draft.wait(format!("stays until the absence of volume {waits} is proven, for which it is the witness"));
        return;
    }
    if !row.is_to_delete() {
        if !servers_left {
            keep_volume(draft, &row, seen.is_some());
        }
        return;
    }
    delete_volume(draft, &row, seen.map(|v| (v.state, v.server_id)));
}

/// Whether a listing shows neither a local volume nor any server that was told to go: both are asked for at once.
fn went_with_server(draft: &Draft<'_, '_>, row: &Volume, shown: bool) -> bool {
    let Some(listed_at) = draft.seen.listed_at(false).filter(|_| !shown && !row.is_block()) else { return false };
    let went = |s: &Server| {
        let shown = s.provider_id.as_deref().is_some_and(|id| draft.seen.server(id).is_some());
        !shown && s.delete_sent_at.is_some_and(|t| listed_at > t)
    };
    draft.agg.servers.iter().filter(|s| s.is_live()).all(went)
}

/// Removes volumes that do not belong to a living instance: late arrivals of attempts that were given up, doubled data
/// volumes, and what came with a server that was a duplicate.
pub(super) fn remove_strays(draft: &mut Draft<'_, '_>) {
    let newest = draft.agg.volumes.iter().filter(|v| v.origin == Origin::Ours).map(|v| v.attempt).max().unwrap_or(0);
    let strays: Vec<Volume> = draft
        .agg
        .volumes
        .iter()
        .filter(|v| v.is_live() && (is_stray_data(v, newest) || came_with_a_twin(draft, v)))
        .cloned()
        .collect();
    for row in strays {
        let seen = row.provider_id.as_deref().and_then(|p| draft.seen.volume(p)).cloned();
        delete_volume(draft, &row, seen.map(|v| (v.state, v.server_id)));
    }
}

fn is_stray_data(v: &Volume, newest: u32) -> bool {
    v.origin == Origin::Ours && !v.is_boot && v.attempt < newest && v.attached_at.is_none()
}

fn came_with_a_twin(draft: &Draft<'_, '_>, v: &Volume) -> bool {
    let server = v.server_id.as_ref().and_then(|id| draft.agg.server_by_id(id));
    v.origin == Origin::Cloud && v.delete_on_terminate && server.is_some_and(|s| !s.is_primary && s.gone_at.is_some())
}

fn delete_volume(draft: &mut Draft<'_, '_>, row: &Volume, seen: Option<(VolumeState, Option<String>)>) {
    let id = row.provider_id.clone().unwrap_or_default();
    let Some((state, on)) = seen else {
        // Its own deletion, or that of the server that it went with.
        let with_server = draft.agg.servers.iter().filter_map(|s| s.delete_sent_at).max();
        let fresh = || row.created_at.plus_ms(draft.cx.rules.stale_ms);
        let since = row.delete_sent_at.or(with_server).unwrap_or_else(fresh);
        if draft.seen.listed_at(row.is_block()).is_none_or(|at| at <= since) {
            wait_for_listing_of(draft, row, since, &format!("to see whether volume {id} is still there"));
        } else if !draft.agg.is_volume_going(row)
            && !evidence::may_ask(draft, &format!("volume {id}"), row.pending_observation.as_ref())
        {
            // Nobody asked for its end: it waits for a second look.
        } else if draft.may_try("asking for a volume", row.retry.as_ref()) {
            draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::ProveGone));
        }
        return;
    };
    let patience = draft.cx.rules.poll_ms.saturating_mul(10);
    if let Some(sent) = row.delete_sent_at.filter(|t| draft.seen.began_at < t.plus_ms(patience)) {
        let text = format!("waits for volume {id} to be gone");
        if row.is_block() {
            draft.wait_for(Change::VolumeGone, Shows::BlockListing, sent, text);
        } else {
            draft.wait(text);
        }
        return;
    }
    match state {
        VolumeState::Available | VolumeState::Error => {
            if !draft.may_try("deleting a volume", row.retry.as_ref()) {
                return;
            }
            if must_be_marked(draft, row) {
                draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Tag));
            } else {
                draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Delete));
            }
        }
        VolumeState::InUse => {
            // It leaves with its server, whose end may have been noticed late.
            let left = draft.agg.servers.iter().filter_map(|s| s.gone_at).max();
            let since = left.or(row.detach_sent_at).unwrap_or(row.created_at);
            let text = match on {
                Some(server) => format!("waits for volume {id} to leave server {server}"),
                None => format!("waits for volume {id}, still in use, to become available"),
            };
            draft.wait_for_volume(Change::VolumeFree, row, since, text);
        }
        VolumeState::Creating | VolumeState::Updating => draft.wait(format!("waits for volume {id} to come to rest")),
        VolumeState::Other(word) => draft.wait(format!("waits: volume {id} is {word}")),
    }
}

/// Whether the cloud says that it is gone, and nothing shows that the credentials see block storage.
fn is_unwitnessed(v: &Volume) -> bool {
    let unwitnessed = v.retry.as_ref().is_some_and(|r| r.error.kind == ErrorKind::Unwitnessed);
    v.is_live() && v.is_block() && unwitnessed
}

/// Makes the smallest volume there is, where the absence of another cannot be proven without it.
///
/// It happens when the answer to the deletion of the last block volume in a zone was lost: it is not found any more, and
/// credentials that lost block storage would get the same answer. They could not make a volume.
fn witness(draft: &mut Draft<'_, '_>) {
    /// How often the absence was asked for in vain: until then, another instance's volume may turn up.
    const TRIES: u32 = 4;
    const BYTES: i64 = 1_000_000_000;
    let waits = |v: &Volume| is_unwitnessed(v) && v.retry.as_ref().is_some_and(|r| r.count >= TRIES);
    let Some(waits) = draft.agg.volumes.iter().find(|v| waits(v)).and_then(|v| v.provider_id.clone()) else { return };
    let witnesses = || draft.agg.volumes.iter().filter(|v| v.origin == Origin::Witness);
    // One that is on its way out is none any more: the answer to its own deletion may have been lost, too.
    let seen = draft.seen;
    let stale_ms = draft.cx.rules.stale_ms;
    let shown = |v: &Volume| v.provider_id.as_deref().is_some_and(|id| seen.volume(id).is_some());
    // Somebody else may have deleted it.
    let stands = |v: &Volume| shown(v) || seen.began_at <= v.created_at.plus_ms(stale_ms);
    if witnesses().any(|v| v.create_state.is_open() || (v.is_live() && v.delete_intended_at.is_none() && stands(v))) {
        return;
    }
    let refused = witnesses().filter(|v| v.create_state == CreateState::Refused).max_by_key(|v| v.attempt);
    let retry = refused.and_then(|v| v.retry.clone());
    if !draft.may_try("making a volume that shows whether the credentials see block storage", retry.as_ref()) {
        return;
    }
    let attempt = draft.agg.volumes.iter().map(|v| v.attempt).max().unwrap_or(0) + 1;
    let spec =
        DataVolumeSpec { size_bytes: BYTES, perf_iops: None, delete_on_terminate: true, size_reason: String::new() };
    let row = Volume { origin: Origin::Witness, ..present::new_data_volume(draft, &spec, attempt) };
    let text =
        "nothing shows that the credentials see block storage: a volume is made that shows it, and deleted again";
    draft.emit(EventKind::WitnessNeeded, Some(waits), text);
    draft.actions.push(Action::Create(Creation::Volume(Box::new(row))));
}

/// Whether the cloud still says *keep* of a volume that is to be deleted. Its name says *delete* before it goes: whoever has
/// only the cloud to read must not believe that it was kept and lost. A name that is refused again and again keeps
/// nothing from being deleted.
fn must_be_marked(draft: &Draft<'_, '_>, row: &Volume) -> bool {
    const TRIES: u32 = 5;
    let shown = row.provider_id.as_deref().and_then(|id| draft.seen.volume(id));
    let says_keep = shown.and_then(|v| CloudName::parse(&v.name)).is_some_and(|n| !n.delete);
    says_keep && row.tagged_at.is_none() && row.retry.as_ref().is_none_or(|r| r.count < TRIES)
}

/// Lets go of a volume that stays, once it was seen to be there after its server's end.
fn keep_volume(draft: &mut Draft<'_, '_>, row: &Volume, seen: bool) {
    let gone_at = draft.agg.servers.iter().filter_map(|s| s.gone_at).max().unwrap_or(row.created_at);
    if seen && row.origin != Origin::Foreign && row.tagged_at.is_none() && row.retry.is_none() {
        // The name says the policy; whoever rebuilds from the cloud reads it there.
        draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Tag));
    } else if seen {
        release(draft, row);
    } else if !(draft.seen.listed && draft.seen.began_at > gone_at) {
        let id = row.provider_id.clone().unwrap_or_default();
        wait_for_listing(draft, &format!("to see volume {id} that is to be kept"));
    } else {
        let what = format!("volume {}, which is to be kept,", row.provider_id.as_deref().unwrap_or(&row.name));
        let old = draft.agg.is_volume_going(row) || evidence::may_ask(draft, &what, row.pending_observation.as_ref());
        if old && draft.may_try("asking for a volume", row.retry.as_ref()) {
            draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::ProveGone));
        }
    }
}

fn release(draft: &mut Draft<'_, '_>, row: &Volume) {
    let foreign = row.origin == Origin::Foreign;
    let status = if foreign { VolumeStatus::Released } else { VolumeStatus::Retained };
    if let Some(v) = draft.agg.volume_mut(&row.id) {
        v.status = status;
    }
    let (kind, text) = if foreign {
        (EventKind::ForeignVolumeReleased, "made by somebody else: left alone, and still there")
    } else {
        (EventKind::VolumeRetained, "kept on purpose; it costs money until it is released")
    };
    draft.events.push(crate::action::Event {
        kind,
        volume_id: Some(row.id.clone()),
        resource_id: row.provider_id.clone(),
        text: text.to_owned(),
    });
}

fn complete_end(draft: &mut Draft<'_, '_>) {
    let open = draft.agg.servers.iter().any(|s| s.is_live() || s.create_state.is_open())
        || draft.agg.volumes.iter().any(|v| v.is_live() || v.create_state.is_open());
    if open && draft.actions.is_empty() && draft.notes.is_empty() {
        draft.wait("waits for the next look at the cloud");
    }
    if open || draft.agg.instance.status.is_final() {
        return;
    }
    let failed = draft.agg.instance.failure.is_some() && draft.agg.instance.ready_at.is_none();
    draft.agg.instance.status = if failed { Status::ProvisioningFailed } else { Status::Terminated };
    draft.agg.instance.terminated_at = Some(draft.cx.now);
    draft.emit(EventKind::InstanceTerminated, None, "everything that should go is proven gone");
    debug_assert!(draft.agg.servers.iter().all(|s| s.create_state != CreateState::Created || s.proof.is_some()));
}
