//! Drives an instance towards *ready*: server, names of its volumes, data volume, start.

use super::attempt::{self, Last, Next};
use super::data_volume::{Data, is_reused_volume_free, want_data_volume, want_data_volume_first};
use super::remove_server::remove_server;
use super::remove_volume::remove_strays;
use super::start::run;
use super::{Change, Draft, evidence, power, vanished};
use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::cloud::UserData;
use crate::error::ErrorKind;
use crate::id::ServerId;
use crate::name::{CloudName, Role};
use crate::observed::VolumeState;
use crate::recorded::{Retry, Server, Volume};
use crate::status::{CreateState, Desired, NoteCode, Origin};

pub(super) fn drive(draft: &mut Draft<'_, '_>) {
    for extra in
        draft.agg.servers.iter().filter(|s| !s.is_primary && s.is_live()).map(|s| s.id.clone()).collect::<Vec<_>>()
    {
        remove_server(draft, &extra);
    }
    let Some(mut server) = draft.agg.server().cloned() else {
        // Its name shows from the beginning whose it is now.
        name_volumes(draft);
        let known = draft.cx.profile.user_data == UserData::AfterCreation || want_data_volume_first(draft);
        if known && is_reused_volume_free(draft) {
            want_server(draft);
        }
        return;
    };
    remove_strays(draft);
    let Some(seen) = server.provider_id.as_deref().and_then(|id| draft.seen.server(id)).cloned() else {
        unseen(draft, &server);
        return;
    };
    if server.tagged_at.is_none() && draft.try_or_wait("setting the name and tags of the server", server.retry.as_ref())
    {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::Tag));
    }
    name_volumes(draft);
    vanished::check_live(draft, &seen);
    grow_boot_volume(draft);
    if draft.agg.instance.desired == Desired::Stopped {
        power::stop(draft, &server, &seen);
        return;
    }
    if !power::start_again(draft, &mut server, &seen) {
        return;
    }
    let data = want_data_volume(draft, &server, &seen);
    let data_known =
        draft.agg.instance.spec.data_volume.is_none() || draft.agg.data_volume().is_some_and(|v| v.is_live());
    if data_known && server.user_data_at.is_none() && draft.try_or_wait("setting the user data", server.retry.as_ref())
    {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::SetUserData));
    }
    if data != Data::Missing && server.user_data_at.is_some() {
        run(draft, &server, &seen, data);
    }
    power::reboot(draft, &server, &seen);
    check_refusals(draft);
}

fn want_server(draft: &mut Draft<'_, '_>) {
    let last = draft.agg.servers.iter().rfind(|s| s.is_primary).map(|s| Last {
        attempt: s.attempt,
        abandoned: draft.agg.servers.iter().filter(|s| s.create_state == CreateState::Abandoned).count(),
        state: s.create_state,
        error: s.create_error.as_ref(),
        retry: s.retry.as_ref(),
        intended_at: s.intended_at,
        answered_at: s.answered_at,
    });
    match attempt::next("server", last.as_ref(), draft.cx.rules, draft.cx.now) {
        Next::Make(_) => {
            // Duplicates count too, so that a name is never used twice.
            let attempt = draft.agg.servers.iter().map(|s| s.attempt).max().unwrap_or(0) + 1;
            let row = new_server(draft, attempt);
            draft.actions.push(Action::Create(Creation::Server(Box::new(row))));
        }
        Next::Doubt(until) => {
            draft.wait_until(
                NoteCode::Waiting,
                "waits to learn whether the creation of the server, whose response was lost, took effect",
                until,
            );
        }
        Next::Later(retry) => {
            draft.try_or_wait("creating the server", Some(&retry));
        }
        Next::Never(code, message) => draft.fail(&code, message),
    }
}

fn new_server(draft: &mut Draft<'_, '_>, attempt: u32) -> Server {
    let name = CloudName {
        control_plane: draft.cx.control_plane.to_owned(),
        instance: draft.agg.instance.id.clone(),
        role: Role::Server,
        attempt,
        delete: true,
        policy_version: 0,
    };
    Server::intended(ServerId::new((draft.cx.ids)()), attempt, name.text(), draft.cx.now)
}

fn unseen(draft: &mut Draft<'_, '_>, server: &Server) {
    let known_since = server.answered_at.unwrap_or(server.intended_at);
    if draft.seen.listed && draft.seen.began_at > known_since {
        if evidence::ask_or_wait(draft, "the server", server.pending_observation.as_ref())
            && draft.try_or_wait("checking whether the server is gone", server.retry.as_ref())
        {
            draft.actions.push(Action::Server(server.id.clone(), ServerCall::ProveGone));
        }
    } else if let Some(hidden) = draft.seen.hidden.clone() {
        draft.wait_because(NoteCode::Credentials, hidden);
    } else if !draft.agg.instance.is_up() || draft.agg.instance.desired == Desired::Stopped {
        draft.wait("waits for the cloud to show the server");
    }
}

/// Sets our names and tags on volumes that the cloud created by itself: they carry neither.
fn name_volumes(draft: &mut Draft<'_, '_>) {
    let rows: Vec<Volume> = draft.agg.volumes.iter().filter(|v| v.is_live()).cloned().collect();
    for row in rows.iter().filter(|v| v.origin != Origin::Foreign && v.tagged_at.is_none()) {
        let creating = row
            .provider_id
            .as_deref()
            .and_then(|id| draft.seen.volume(id))
            .is_some_and(|v| v.state == VolumeState::Creating);
        // The first try is made at once. If it is refused, the next one waits until the volume is created.
        if creating && row.retry.is_some() {
            let text = "waits for a volume to be created before its name is set";
            draft.wait_for_volume(Change::VolumeMade, row, row.created_at, text);
        } else if draft.try_or_wait("setting the name and tags of a volume", row.retry.as_ref()) {
            draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::Tag));
        }
    }
}

fn grow_boot_volume(draft: &mut Draft<'_, '_>) {
    let Some(want) = draft.agg.instance.spec.boot_volume_bytes else { return };
    let Some(row) = draft.agg.volumes.iter().find(|v| v.is_boot && v.is_live()).cloned() else { return };
    if !row.is_block() || row.size_bytes.is_none_or(|have| have >= want) {
        return;
    }
    let state = row.provider_id.as_deref().and_then(|id| draft.seen.volume(id)).map(|v| v.state.clone());
    match state {
        Some(VolumeState::Available | VolumeState::InUse)
            if row.changed_at.is_none_or(|t| t.plus_ms(draft.cx.rules.stale_ms) < draft.seen.began_at) =>
        {
            if draft.try_or_wait("growing the boot volume", row.retry.as_ref()) {
                draft.actions.push(Action::Volume(row.id, VolumeCall::Resize(want)));
            }
        }
        _ => draft.wait("waits for the boot volume to show its new size"),
    }
}

/// Fails an instance whose calls are refused for good, or too often, before it was ever ready.
fn check_refusals(draft: &mut Draft<'_, '_>) {
    if draft.agg.instance.up_at.is_some() {
        return;
    }
    let rules = draft.cx.rules;
    let server = draft.agg.servers.iter().filter(|s| s.is_primary).filter_map(|s| s.retry.clone());
    let data = draft.agg.volumes.iter().filter(|v| v.origin == Origin::Ours).filter_map(|v| v.retry.clone());
    // For a moment, a new id may be unknown to another API.
    let young = |r: &Retry| r.error.kind == ErrorKind::NotFound && r.count < 3;
    let hopeless =
        server.chain(data).find(|r| (!r.error.kind.is_retryable() && !young(r)) || attempt::is_worn_out(r, rules));
    if let Some(retry) = hopeless {
        let message = format!(
            "the provider refused a call: {}; correct the request and create a new instance",
            retry.error.message
        );
        draft.fail(retry.error.kind.text(), message);
    }
}
