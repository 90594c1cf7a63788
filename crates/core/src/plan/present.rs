//! Drives an instance towards *ready*: server, names of its volumes, data volume, start.

use super::attempt::{self, Last, Next};
use super::{Change, Draft, Shows, absent, evidence};
use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::error::ErrorKind;
use crate::event_kind::EventKind;
use crate::id::{ServerId, VolumeId};
use crate::name::{CloudName, Role};
use crate::observed::{Allowed, ObservedServer, ServerState, VolumeState};
use crate::recorded::{DataVolumeSpec, Retry, Server, Volume};
use crate::status::{CreateState, NoteCode, Origin, Status, VolumeStatus};

pub(super) fn drive(draft: &mut Draft<'_, '_>) {
    for extra in
        draft.agg.servers.iter().filter(|s| !s.is_primary && s.is_live()).map(|s| s.id.clone()).collect::<Vec<_>>()
    {
        absent::remove_server(draft, &extra);
    }
    let Some(server) = draft.agg.server().cloned() else {
        want_server(draft);
        return;
    };
    absent::remove_strays(draft);
    let Some(seen) = server.provider_id.as_deref().and_then(|id| draft.seen.server(id)).cloned() else {
        unseen(draft, &server);
        return;
    };
    if server.tagged_at.is_none() && draft.may_try("setting the name and tags of the server", server.retry.as_ref()) {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::Tag));
    }
    name_volumes(draft);
    grow_boot_volume(draft);
    let data = want_data_volume(draft, &server, &seen);
    let data_known =
        draft.agg.instance.spec.data_volume.is_none() || draft.agg.data_volume().is_some_and(|v| v.is_live());
    if data_known && server.user_data_at.is_none() && draft.may_try("setting the user data", server.retry.as_ref()) {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::SetUserData));
    }
    if data != Data::Missing && server.user_data_at.is_some() {
        run(draft, &server, &seen, data);
    }
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
                "waits to learn whether the server's creation, whose answer was lost, took effect",
                until,
            );
        }
        Next::Later(retry) => {
            draft.may_try("creating the server", Some(&retry));
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
    Server {
        id: ServerId::new((draft.cx.ids)()),
        attempt,
        name: name.text(),
        is_primary: true,
        create_state: CreateState::Intended,
        create_error: None,
        provider_id: None,
        state: None,
        intended_at: draft.cx.now,
        answered_at: None,
        tagged_at: None,
        tags_shown: false,
        user_data_at: None,
        starts: 0,
        start_intended_at: None,
        start_sent_at: None,
        stop_sent_at: None,
        delete_intended_at: None,
        delete_sent_at: None,
        gone_at: None,
        proof: None,
        retry: None,
        pending_observation: None,
    }
}

fn unseen(draft: &mut Draft<'_, '_>, server: &Server) {
    let known_since = server.answered_at.unwrap_or(server.intended_at);
    if draft.seen.listed && draft.seen.began_at > known_since {
        if evidence::may_ask(draft, "the server", server.pending_observation.as_ref())
            && draft.may_try("checking whether the server is gone", server.retry.as_ref())
        {
            draft.actions.push(Action::Server(server.id.clone(), ServerCall::ProveGone));
        }
    } else if let Some(hidden) = draft.seen.hidden.clone() {
        draft.wait_because(NoteCode::Credentials, hidden);
    } else if draft.agg.instance.status != Status::Ready {
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
        } else if draft.may_try("setting the name and tags of a volume", row.retry.as_ref()) {
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
            if draft.may_try("growing the boot volume", row.retry.as_ref()) {
                draft.actions.push(Action::Volume(row.id, VolumeCall::Resize(want)));
            }
        }
        _ => draft.wait("waits for the boot volume to show its new size"),
    }
}

/// The progress of the data volume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    /// It is not attached. The server must not be started before it is.
    Missing,
    /// The server shows it, and the cloud is still attaching it. The server may be started meanwhile.
    Attaching,
    /// Nothing is left to wait for.
    Settled,
}

/// Creates and attaches the data volume.
fn want_data_volume(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer) -> Data {
    let Some(spec) = draft.agg.instance.spec.data_volume.clone() else { return Data::Settled };
    let row = draft.agg.data_volume().cloned();
    if let Some(row) = row.as_ref().filter(|v| v.is_live()) {
        return attach(draft, row, server, seen);
    }
    if server.may_have_run() && row.is_some() {
        // It existed and is gone with its data: reported, not created again.
        draft.wait_because(
            NoteCode::ActionNeeded,
            "the data volume disappeared; terminate the instance and create a new one",
        );
        return Data::Settled;
    }
    let last = row.as_ref().map(|v| Last {
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
            let row = new_data_volume(draft, &spec, attempt);
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
            draft.may_try("creating the data volume", Some(&retry));
        }
        Next::Never(code, message) => draft.fail(&code, message),
    }
    Data::Missing
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
    Volume {
        attempt,
        name: name.text(),
        origin: Origin::Ours,
        volume_type: draft.cx.profile.data_volume.clone(),
        size_bytes: Some(spec.size_bytes),
        perf_iops: spec.perf_iops,
        delete_on_terminate: spec.delete_on_terminate,
        status: VolumeStatus::Creating,
        create_state: CreateState::Intended,
        provider_id: None,
        answered_at: None,
        ..super::record_observation::found_volume(id, String::new(), draft.cx.now)
    }
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
            return if server.may_have_run() { Data::Settled } else { Data::Missing };
        }
        Some((VolumeState::Available, None, _)) if server.may_have_run() && row.attached_at.is_some() => {
            // For the length of the window after that, a stale read may show it as detached.
            if row.attached_at.is_some_and(|t| draft.seen.began_at > t.plus_ms(draft.cx.rules.stale_ms)) {
                draft
                    .wait_because(NoteCode::ActionNeeded, "the data volume was detached outside of this control plane");
            }
            return Data::Settled;
        }
        Some((VolumeState::Available, None, _)) => {
            // For the length of the window, a stale read may show it as detached. A second attachment would be refused, and the
            // instance would fail.
            let patience_ms = draft.cx.rules.poll_ms.max(draft.cx.rules.stale_ms);
            let again = row.attach_sent_at.is_none_or(|t| draft.seen.began_at > t.plus_ms(patience_ms));
            if !again {
                attaching(draft, row);
            } else if draft.may_try("attaching the data volume", row.retry.as_ref()) {
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
        None if draft.seen.listed && draft.seen.began_at > row.answered_at.unwrap_or(row.created_at) => {
            if evidence::may_ask(draft, "the data volume", row.pending_observation.as_ref())
                && draft.may_try("checking whether the data volume is gone", row.retry.as_ref())
            {
                draft.actions.push(Action::Volume(row.id.clone(), VolumeCall::ProveGone));
            }
        }
        None => draft.wait("waits for the cloud to show the data volume"),
    }
    Data::Missing
}

/// A server that holds our volume, for people: its name, its id, and who created it.
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

fn attaching(draft: &mut Draft<'_, '_>, row: &Volume) {
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

/// Starts the server and waits until it runs.
fn run(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer, data: Data) {
    let now = draft.cx.now;
    let ready = draft.agg.instance.status == Status::Ready;
    let fresh = server.start_sent_at.is_none_or(|t| draft.seen.began_at > t);
    match &seen.state {
        ServerState::Running => running(draft, server, seen, data),
        ServerState::Stopped | ServerState::StoppedInPlace if ready => {
            draft.wait_because(
                NoteCode::ActionNeeded,
                "a third party stopped the server; start it in the provider's console, or terminate the instance",
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
            } else {
                let text =
                    "the server stopped again after every start; the zone is probably out of stock: try another zone";
                draft.fail("boot_failed", text);
            }
        }
        ServerState::Locked => {
            draft.wait_because(NoteCode::ActionNeeded, "the cloud has locked the server; ask its support")
        }
        ServerState::Starting | ServerState::Stopped | ServerState::StoppedInPlace => {
            runs(draft, server, seen, "waits for the server to run");
        }
        ServerState::Stopping | ServerState::Other(_) => {
            draft.wait(format!("waits: the server is {}", seen.state.text()));
        }
    }
    let ready = ready || draft.agg.instance.status == Status::Ready;
    let started = server.start_sent_at.or(server.start_intended_at);
    // What is shown then may be older by the consistency window.
    let patience_ms = draft.cx.rules.boot_deadline_ms.saturating_add(draft.cx.rules.stale_ms);
    let deadline = started.map(|t| t.plus_ms(patience_ms));
    if !ready && deadline.is_some_and(|d| now > d) {
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
    } else if draft.may_try("starting the server", server.retry.as_ref()) {
        draft.actions.push(Action::Server(server.id.clone(), ServerCall::Start));
    }
}

fn runs(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer, text: &str) {
    let since = server.start_sent_at.or(server.start_intended_at).unwrap_or(server.intended_at);
    draft.wait_for(Change::ServerRuns, Shows::Server(seen.id.clone()), since, text);
}

fn running(draft: &mut Draft<'_, '_>, server: &Server, seen: &ObservedServer, data: Data) {
    if draft.agg.instance.status == Status::Ready {
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
    draft.agg.instance.status = Status::Ready;
    draft.agg.instance.ready_at = Some(draft.cx.now);
    draft.emit(EventKind::ProviderGetIp, Some(seen.id.clone()), format!("{ip}, as the server shows it"));
    draft.emit(EventKind::InstanceReady, Some(seen.id.clone()), "running, every requested volume attached");
}

/// Fails an instance whose calls are refused for good, or too often, before it was ever ready.
fn check_refusals(draft: &mut Draft<'_, '_>) {
    if draft.agg.instance.status == Status::Ready {
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
