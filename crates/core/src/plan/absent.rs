//! Drives an instance towards *proven gone*: when servers are removed, when volumes are deleted, when it has ended.
//!
//! The removal method follows from the server's state and the policy of its volumes. Running: *terminate* (block volumes
//! stay, local ones only where the cloud spares them: `CloudProfile::removal_while_running`). Stopped: *delete* (every
//! volume stays). A local volume that would not survive is detached while the server is stopped. A volume is deleted only once it is detached, and it counts as
//! deleted only with a proof.

use super::remove_server::remove_server;
use super::remove_volume::remove_volume;
use super::witness::witness;
use super::{Draft, vanished};
use crate::action::{Action, VolumeCall};
use crate::event_kind::EventKind;
use crate::id::{ServerId, VolumeId};
use crate::recorded::{Server, Volume};
use crate::status::{CreateState, NoteCode, Origin, Status};

pub(super) fn drive(draft: &mut Draft<'_, '_>) {
    if !draft.agg.instance.status.is_final() {
        draft.agg.instance.status = Status::Terminating;
    }
    delete_unwritten_data(draft);
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
    vanished::check_kept(draft);
    complete_end(draft);
}

/// Sets the names of retained volumes (again): `inventiv recover` finds them by these.
fn name_kept(draft: &mut Draft<'_, '_>) {
    let nameless: Vec<Volume> =
        draft.agg.volumes.iter().filter(|v| v.is_kept() && v.tagged_at.is_none()).cloned().collect();
    for row in nameless {
        // One that is not shown may have been deleted by a third party.
        let shown = row.provider_id.as_deref().is_some_and(|id| draft.seen.volume(id).is_some());
        if shown && draft.try_or_wait("setting the name and tags of a volume", row.retry.as_ref()) {
            draft.actions.push(Action::Volume(row.id, VolumeCall::Tag));
        }
    }
}

/// The data volume of an instance that failed before it ever ran is empty: it is deleted whatever its policy. One that
/// was retained from an earlier instance is not empty.
fn delete_unwritten_data(draft: &mut Draft<'_, '_>) {
    let ran = draft.agg.instance.up_at.is_some() || draft.agg.servers.iter().any(Server::may_have_run);
    if draft.agg.instance.failure.is_some() && !ran {
        let kept = |v: &&mut Volume| {
            v.origin == Origin::Ours && v.is_live() && !v.delete_on_terminate && v.reused_from.is_none()
        };
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
            format!("waits to learn whether the creation of the {what}, whose response was lost, took effect"),
            until,
        );
    }
}

fn complete_end(draft: &mut Draft<'_, '_>) {
    let open = draft.agg.servers.iter().any(|s| s.is_live() || s.create_state.is_open())
        || draft.agg.volumes.iter().any(|v| v.is_live() || v.create_state.is_open());
    if open && draft.actions.is_empty() && draft.notes.is_empty() {
        draft.wait("waits for the next observation of the cloud");
    }
    if open || draft.agg.instance.status.is_final() {
        return;
    }
    let failed = draft.agg.instance.failure.is_some() && draft.agg.instance.up_at.is_none();
    draft.agg.instance.status = if failed { Status::ProvisioningFailed } else { Status::Terminated };
    draft.agg.instance.terminated_at = Some(draft.cx.now);
    draft.emit(EventKind::InstanceTerminated, None, "everything that should be deleted is proven gone");
    debug_assert!(draft.agg.servers.iter().all(|s| s.create_state != CreateState::Created || s.proof.is_some()));
}
