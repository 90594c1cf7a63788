//! When a volume is deleted, retained or released.

use super::listing::{wait_for_listing, wait_for_listing_of};
use super::{Change, Draft, Shows, evidence};
use crate::action::{Action, VolumeCall};
use crate::event_kind::EventKind;
use crate::id::VolumeId;
use crate::name::CloudName;
use crate::observed::VolumeState;
use crate::recorded::{Server, Volume};
use crate::status::{Origin, VolumeStatus};

/// Deletes, retains or releases one volume, once its server no longer holds it.
pub(super) fn remove_volume(draft: &mut Draft<'_, '_>, id: &VolumeId) {
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
    let needs_it = |v: &&Volume| v.id != row.id && evidence::is_unwitnessed(v);
    if row.origin == Origin::Witness
        && row.delete_intended_at.is_none()
        && seen.is_some()
        && let Some(waits) = draft.agg.volumes.iter().find(needs_it).and_then(|v| v.provider_id.clone())
    {
        draft.wait(format!("the witness volume stays until the absence of volume {waits} is proven"));
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

/// Whether a listing shows neither a local volume nor any server whose removal was requested: then the proofs of both
/// are requested at once.
fn went_with_server(draft: &Draft<'_, '_>, row: &Volume, shown: bool) -> bool {
    let Some(listed_at) = draft.seen.listed_at(false).filter(|_| !shown && !row.is_block()) else { return false };
    let went = |s: &Server| {
        let shown = s.provider_id.as_deref().is_some_and(|id| draft.seen.server(id).is_some());
        !shown && s.delete_sent_at.is_some_and(|t| listed_at > t)
    };
    draft.agg.servers.iter().filter(|s| s.is_live()).all(went)
}

/// Deletes volumes that a living instance does not need: late arrivals of abandoned attempts, duplicate data volumes,
/// and volumes that came with a duplicate server.
pub(super) fn remove_strays(draft: &mut Draft<'_, '_>) {
    let newest = draft.agg.volumes.iter().filter(|v| v.origin == Origin::Ours).map(|v| v.attempt).max().unwrap_or(0);
    let strays: Vec<Volume> = draft
        .agg
        .volumes
        .iter()
        .filter(|v| v.is_live() && (is_stray_data(v, newest) || came_with_a_duplicate(draft, v)))
        .cloned()
        .collect();
    for row in strays {
        let seen = row.provider_id.as_deref().and_then(|p| draft.seen.volume(p)).cloned();
        delete_volume(draft, &row, seen.map(|v| (v.state, v.server_id)));
    }
}

fn is_stray_data(v: &Volume, newest: u32) -> bool {
    let unused = v.attempt < newest && v.attached_at.is_none();
    v.origin == Origin::Ours && !v.is_boot && unused && v.reused_from.is_none()
}

fn came_with_a_duplicate(draft: &Draft<'_, '_>, v: &Volume) -> bool {
    let server = v.server_id.as_ref().and_then(|id| draft.agg.server_by_id(id));
    v.origin == Origin::Cloud && v.delete_on_terminate && server.is_some_and(|s| !s.is_primary && s.gone_at.is_some())
}

fn delete_volume(draft: &mut Draft<'_, '_>, row: &Volume, seen: Option<(VolumeState, Option<String>)>) {
    let id = row.provider_id.clone().unwrap_or_default();
    let Some((state, on)) = seen else {
        // The deletion of the volume, or that of the server that it was on.
        let with_server = draft.agg.servers.iter().filter_map(|s| s.delete_sent_at).max();
        let fresh = || row.created_at.plus_ms(draft.cx.rules.stale_ms);
        let since = row.delete_sent_at.or(with_server).unwrap_or_else(fresh);
        if draft.seen.listed_at(row.is_block()).is_none_or(|at| at <= since) {
            wait_for_listing_of(draft, row, since, &format!("to see whether volume {id} is gone"));
        } else if !draft.agg.is_volume_going(row)
            && !evidence::ask_or_wait(draft, &format!("volume {id}"), row.pending_observation.as_ref())
        {
            // Nobody requested its deletion: wait for a second observation.
        } else if draft.try_or_wait("checking whether a volume is gone", row.retry.as_ref()) {
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
            if !draft.try_or_wait("deleting a volume", row.retry.as_ref()) {
                return;
            }
            if must_be_marked(draft, row) {
                draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Tag));
            } else {
                draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Delete));
            }
        }
        VolumeState::InUse => {
            // It is detached with the end of its server, which may have been observed late.
            let left = draft.agg.servers.iter().filter_map(|s| s.gone_at).max();
            let since = left.or(row.detach_sent_at).unwrap_or(row.created_at);
            let text = match on {
                Some(server) => format!("waits for volume {id} to be detached from server {server}"),
                None => format!("waits for volume {id}, still in use, to become available"),
            };
            draft.wait_for_volume(Change::VolumeFree, row, since, text);
        }
        VolumeState::Creating | VolumeState::Updating => {
            draft.wait(format!("waits: volume {id} is being changed by the cloud"))
        }
        VolumeState::Other(word) => draft.wait(format!("waits: volume {id} is {word}")),
    }
}

/// Whether the name in the cloud still says *keep* for a volume that is to be deleted. The name is changed to *delete*
/// first: a recovery from the cloud must not take the volume for a retained one that was lost. A rename that is refused
/// again and again does not prevent the deletion.
fn must_be_marked(draft: &Draft<'_, '_>, row: &Volume) -> bool {
    const TRIES: u32 = 5;
    let shown = row.provider_id.as_deref().and_then(|id| draft.seen.volume(id));
    let says_keep = shown.and_then(|v| CloudName::parse(&v.name)).is_some_and(|n| !n.delete);
    says_keep && row.tagged_at.is_none() && row.retry.as_ref().is_none_or(|r| r.count < TRIES)
}

/// Retains or releases a volume that stays, once it was observed after the end of its server.
fn keep_volume(draft: &mut Draft<'_, '_>, row: &Volume, seen: bool) {
    let gone_at = draft.agg.servers.iter().filter_map(|s| s.gone_at).max().unwrap_or(row.created_at);
    if seen && row.origin != Origin::Foreign && row.tagged_at.is_none() && row.retry.is_none() {
        // The name contains the policy: `inventiv recover` reads it there.
        draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Tag));
    } else if seen {
        release(draft, row);
    } else if !(draft.seen.listed && draft.seen.began_at > gone_at) {
        let id = row.provider_id.clone().unwrap_or_default();
        wait_for_listing(draft, &format!("to see volume {id}, which is to be retained"));
    } else {
        let what = format!("volume {}, which is to be retained,", row.provider_id.as_deref().unwrap_or(&row.name));
        let old =
            draft.agg.is_volume_going(row) || evidence::ask_or_wait(draft, &what, row.pending_observation.as_ref());
        if old && draft.try_or_wait("checking whether a volume is gone", row.retry.as_ref()) {
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
        (EventKind::ForeignVolumeReleased, "it belongs to a third party: left alone, and still there")
    } else {
        (EventKind::VolumeRetained, "retained on purpose; it costs money until it is released")
    };
    draft.events.push(crate::action::Event {
        lasted_ms: None,
        failed: false,
        kind,
        volume_id: Some(row.id.clone()),
        resource_id: row.provider_id.clone(),
        text: text.to_owned(),
    });
}
