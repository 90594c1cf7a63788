//! Creates and attaches the data volume of an instance.

use super::attempt::{Last, Next};
use super::{Change, Draft, attempt, evidence};
use crate::action::{Action, Creation, VolumeCall};
use crate::id::VolumeId;
use crate::name::{CloudName, Role};
use crate::observed::{ObservedServer, ServerState, VolumeState};
use crate::recorded::{DataVolumeSpec, Server, Volume};
use crate::status::{CreateState, NoteCode, Status};

/// The progress of the data volume.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// It is not attached. The server must not be started before it is.
    Missing,
    /// The server shows it, and the cloud is still attaching it. The server may be started meanwhile.
    Attaching,
    /// Nothing is left to wait for.
    Settled,
}

/// Creates and attaches the data volume.
pub(super) fn want_data_volume(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) -> Data {
    let Some(spec) = draft.agg.instance.spec.data_volume.clone() else { return Data::Settled };
    let row = draft.agg.data_volume().cloned();
    if let Some(row) = row.as_ref().filter(|v| v.is_live()) {
        return attach(draft, row, server, seen);
    }
    if row.as_ref().is_some_and(|v| v.reused_from.is_some()) && !server.may_have_run() {
        reused_is_gone(draft);
        return Data::Missing;
    }
    // A server that is to be started again stays off until its data volume is there.
    let goes_on = if starts_again(draft, seen) { Data::Missing } else { Data::Settled };
    if server.may_have_run() && row.is_some() {
        // It existed and is gone with its data: reported, not created again.
        draft.wait_because(
            NoteCode::ActionNeeded,
            "the data volume disappeared; terminate the instance and create a new one",
        );
        return goes_on;
    }
    create(draft, &spec, row.as_ref());
    Data::Missing
}

/// Whether the data volume that was given to the instance is there and free. Until then, nothing is rented for it.
pub(super) fn is_reused_volume_free(draft: &mut Draft<'_, '_>) -> bool {
    let Some(row) = draft.agg.data_volume().filter(|v| v.reused_from.is_some()).cloned() else { return true };
    if !row.is_live() {
        reused_is_gone(draft);
        return false;
    }
    let id = row.provider_id.clone().unwrap_or_default();
    match draft.seen.volume(&id).map(|v| (v.state.clone(), v.server_id.clone())) {
        Some((VolumeState::Available, None)) => return true,
        Some((VolumeState::Error, _)) => broken(draft, &row),
        Some((_, Some(on))) => {
            let owner = described(draft, &on);
            let text = format!("the volume to be reused is attached to {owner}; detach it there");
            draft.wait_because(NoteCode::ActionNeeded, text);
        }
        Some((VolumeState::Creating | VolumeState::InUse | VolumeState::Updating, None)) => {
            draft.wait("waits for the volume to be reused to become available");
        }
        Some((VolumeState::Other(word), None)) => draft.wait(format!("waits: the volume to be reused is {word}")),
        None => unseen(draft, &row),
    }
    false
}

fn reused_is_gone(draft: &mut Draft<'_, '_>) {
    draft.fail("data_volume_disappeared", "the volume to be reused is not found; create an instance with a new one");
}

/// Creates the data volume before its server, whose user data contains its id. `true`: it exists.
pub(super) fn want_data_volume_first(draft: &mut Draft<'_, '_>) -> bool {
    let Some(spec) = draft.agg.instance.spec.data_volume.clone() else { return true };
    let row = draft.agg.data_volume().cloned();
    let exists = row.as_ref().is_some_and(Volume::is_live);
    if !exists {
        create(draft, &spec, row.as_ref());
    }
    exists
}

fn create(draft: &mut Draft<'_, '_>, spec: &DataVolumeSpec, row: Option<&Volume>) {
    let last = row.map(|v| Last {
        attempt: v.attempt,
        abandoned: draft.agg.volumes.iter().filter(|v| v.create_state == CreateState::Abandoned).count(),
        state: v.create_state,
        error: v.create_error.as_ref(),
        retry: v.retry.as_ref(),
        intended_at: v.created_at,
        answered_at: v.answered_at,
    });
    match attempt::next("data volume", last.as_ref(), draft.cx.rules, draft.cx.now) {
        Next::Make(attempt) => {
            let row = new_data_volume(draft, spec, attempt);
            draft.actions.push(Action::Create(Creation::Volume(Box::new(row))));
        }
        Next::Doubt(until) => {
            draft.wait_until(
                NoteCode::Waiting,
                "waits to learn whether the creation of the data volume, whose response was lost, took effect",
                until,
            );
        }
        Next::Later(retry) => {
            draft.try_or_wait("creating the data volume", Some(&retry));
        }
        Next::Never(code, message) => draft.fail(&code, message),
    }
}

pub(super) fn new_data_volume(draft: &mut Draft<'_, '_>, spec: &DataVolumeSpec, attempt: u32) -> Volume {
    let name = CloudName {
        control_plane: draft.cx.control_plane.to_owned(),
        instance: draft.agg.instance.id.clone(),
        role: Role::Data,
        attempt,
        delete: spec.delete_on_terminate,
        policy_version: 0,
    };
    let id = VolumeId::new((draft.cx.ids)());
    Volume::intended(id, &name, draft.cx.profile.data_volume.clone(), spec, draft.cx.now)
}

fn attach(draft: &mut Draft<'_, '_>, row: &Volume, server: &Server, seen: &ObservedServer) -> Data {
    let Some(id) = row.provider_id.as_deref() else { return Data::Missing };
    let shown = draft.seen.volume(id).cloned();
    match shown.map(|v| (v.state, v.server_id, v.attachment_settled)) {
        Some((_, Some(on), true)) if on == seen.id => return Data::Settled,
        Some((VolumeState::Error, ..)) => broken(draft, row),
        // The server lists a volume before the Block API shows it as in use.
        Some((_, on, _)) if seen.has(id) && on.as_ref().is_none_or(|on| *on == seen.id) => return Data::Attaching,
        Some((_, Some(on), false)) if on == seen.id => attaching(draft, row),
        Some((_, Some(on), _)) => {
            let owner = described(draft, &on);
            draft.wait_because(
                NoteCode::ActionNeeded,
                format!("the data volume is attached to {owner}; detach it there"),
            );
            return if server.may_have_run() && !starts_again(draft, seen) { Data::Settled } else { Data::Missing };
        }
        Some((VolumeState::Available, None, _))
            if server.may_have_run() && row.attached_at.is_some() && !starts_again(draft, seen) =>
        {
            // For the length of the window after that, a stale read may show it as detached.
            if row.attached_at.is_some_and(|t| draft.seen.began_at > t.plus_ms(draft.cx.rules.stale_ms)) {
                draft.wait_because(
                    NoteCode::ActionNeeded,
                    "a third party detached the data volume; attach it again, or terminate the instance",
                );
            }
            return Data::Settled;
        }
        Some((VolumeState::Available, None, _)) => {
            // For the length of the window, a stale read may show it as detached. A second attachment would be refused,
            // and the instance would fail.
            let patience_ms = draft.cx.rules.poll_ms.max(draft.cx.rules.stale_ms);
            let again = row.attach_sent_at.is_none_or(|t| draft.seen.began_at > t.plus_ms(patience_ms));
            if !again {
                attaching(draft, row);
            } else if draft.try_or_wait("attaching the data volume", row.retry.as_ref()) {
                draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Attach(server.id.clone())));
            }
        }
        Some((VolumeState::Creating, ..)) => {
            let since = row.answered_at.unwrap_or(row.created_at);
            draft.wait_for_volume(Change::VolumeMade, row, since, "waits for the data volume to be created");
        }
        Some((VolumeState::InUse | VolumeState::Updating | VolumeState::Other(_), None, _)) => {
            draft.wait("waits for the data volume to become available");
        }
        None => unseen(draft, row),
    }
    Data::Missing
}

/// A data volume that an observation does not show: asked for by its id, once the observation is new enough.
fn unseen(draft: &mut Draft<'_, '_>, row: &Volume) {
    if !draft.seen.listed || draft.seen.began_at <= row.answered_at.unwrap_or(row.created_at) {
        draft.wait("waits for the cloud to show the data volume");
    } else if evidence::ask_or_wait(draft, "the data volume", row.pending_observation.as_ref())
        && draft.try_or_wait("checking whether the data volume is gone", row.retry.as_ref())
    {
        draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::ProveGone));
    }
}

/// Whether the server is off and about to be started again.
fn starts_again(draft: &Draft<'_, '_>, seen: &ObservedServer) -> bool {
    let off = matches!(seen.state, ServerState::Stopped | ServerState::StoppedInPlace);
    off && draft.agg.instance.status == Status::Booting && draft.agg.instance.up_at.is_some()
}

/// A text for operators about a server that holds our volume: its name, its id, and who created it.
fn described(draft: &Draft<'_, '_>, id: &str) -> String {
    let holder = draft.seen.servers.iter().chain(&draft.seen.holders).find(|s| s.id == id);
    let Some(holder) = holder else { return format!("server {id}") };
    let owner = match CloudName::parse(&holder.name) {
        Some(name) if name.control_plane == draft.cx.control_plane => format!("of instance {}", name.instance),
        Some(name) => format!("of control plane `{}`", name.control_plane),
        None => "which a third party created".to_owned(),
    };
    format!("server `{}` ({id}), {owner}", holder.name)
}

pub(super) fn attaching(draft: &mut Draft<'_, '_>, row: &Volume) {
    let since = row.attach_sent_at.unwrap_or(row.created_at);
    draft.wait_for_volume(Change::VolumeAttached, row, since, "waits for the data volume to be attached");
}

fn broken(draft: &mut Draft<'_, '_>, row: &Volume) {
    let text = "the cloud reports the data volume as broken";
    if evidence::is_broken(draft, row.pending_observation.as_ref()) {
        draft.fail("volume_error", format!("{text}; create a new instance"));
    } else {
        draft.wait(format!("{text}; waits for a second observation after the consistency window"));
    }
}
