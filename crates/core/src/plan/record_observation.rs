//! Records what the cloud shows: adoptions, every attached volume whatever its kind, metadata, states.
//!
//! It decides nothing else. A volume on our server is ours if the cloud created it with the server (its automatic name,
//! or index 0 when the server is adopted) or if it carries our name. Otherwise it is foreign.

use super::{Draft, drift, evidence, frozen};
use crate::action::Event;
use crate::event_kind::EventKind;
use crate::id::{ServerId, VolumeId};
use crate::name::{CloudName, Role};
use crate::observed::{Attachment, ObservedServer, ObservedVolume, ServerState, VolumeState};
use crate::recorded::{Server, Volume};
use crate::status::{CreateState, Desired, Origin, VolumeStatus};

pub(super) fn record_observation(draft: &mut Draft<'_, '_>) {
    adopt_servers(draft);
    adopt_volumes(draft);
    record_attachments(draft);
    abandon_expired_creations(draft);
    frozen::check(draft);
    evidence::weigh(draft);
    drift::notice(draft);
    refresh_servers(draft);
    refresh_volumes(draft);
}

/// Adopts servers that carry the name of one of our attempts.
fn adopt_servers(draft: &mut Draft<'_, '_>) {
    let names: Vec<String> = draft.agg.servers.iter().map(|s| s.name.clone()).collect();
    for name in names {
        let mut found: Vec<&ObservedServer> = draft.seen.servers.iter().filter(|s| s.name == name).collect();
        // Several servers carry one name if a request was duplicated on its way. The oldest is kept.
        found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        for seen in found {
            if draft.agg.servers.iter().any(|s| s.provider_id.as_deref() == Some(&seen.id)) {
                continue;
            }
            adopt_server(draft, &name, seen);
        }
    }
    adopt_unrecorded(draft);
}

/// Adopts a server whose name carries an attempt that was never recorded, so that the records are older than the
/// server. It happens only if the instance has no server. Otherwise the server is left alone, and the audit reports it.
fn adopt_unrecorded(draft: &mut Draft<'_, '_>) {
    let instance = &draft.agg.instance;
    let wanted = instance.desired != Desired::Absent && instance.failure.is_none();
    if !wanted || draft.agg.servers.iter().any(|s| s.is_primary && (s.is_live() || s.create_state.is_open())) {
        return;
    }
    let unrecorded = |s: &&ObservedServer| {
        let named = CloudName::parse(&s.name).is_some_and(|n| n.is_confirmed_by(&s.tags));
        named && ours_by_name(draft, &s.name) && !draft.agg.servers.iter().any(|r| r.name == s.name)
    };
    let mut found: Vec<&ObservedServer> = draft.seen.servers.iter().filter(unrecorded).collect();
    found.sort_by_key(|s| (s.state != ServerState::Running, s.created_at, s.id.clone()));
    let Some(seen) = found.first().copied() else { return };
    let (id, attempt) = (ServerId::new((draft.cx.ids)()), draft.agg.attempt_of(&seen.name));
    draft.agg.servers.push(Server::found(id, attempt, seen, draft.cx.now));
    draft.emit(
        EventKind::ServerAdopted,
        Some(seen.id.clone()),
        "it carries our name and was not recorded; the records may be older than the cloud",
    );
}

fn adopt_server(draft: &mut Draft<'_, '_>, name: &str, seen: &ObservedServer) {
    let kept_elsewhere = draft.agg.servers.iter().any(|s| s.is_primary && s.is_live());
    let now = draft.cx.now;
    let Some(slot) = draft.agg.servers.iter().position(|s| s.name == name) else { return };
    if draft.agg.servers[slot].provider_id.is_none() {
        let row = &mut draft.agg.servers[slot];
        // Refused, but it exists: it becomes the primary server if there is no other.
        row.is_primary &= !kept_elsewhere && (row.create_state.is_open() || row.create_state == CreateState::Refused);
        row.created(seen, draft.cx.profile.user_data, now);
        // It exists, whatever the response to its creation was.
        (row.create_error, row.retry) = (None, None);
    } else {
        let attempt = draft.agg.servers.iter().map(|s| s.attempt).max().unwrap_or(0) + 1;
        let duplicate = Server {
            id: ServerId::new((draft.cx.ids)()),
            attempt,
            provider_id: Some(seen.id.clone()),
            intended_at: now,
            ..duplicate_of(&draft.agg.servers[slot])
        };
        draft.agg.servers.push(duplicate);
    }
    let kept = draft.agg.servers.iter().any(|s| s.is_primary && s.provider_id.as_deref() == Some(&seen.id));
    let text = if kept {
        "the response to its creation was lost; found by its name"
    } else {
        "a duplicate or late arrival, to be removed"
    };
    draft.emit(EventKind::ServerAdopted, Some(seen.id.clone()), text);
    record_server_volumes(draft, seen, true);
}

/// A row for another server with the name of an attempt, without that attempt's history.
fn duplicate_of(row: &Server) -> Server {
    Server {
        is_primary: false,
        create_state: CreateState::Created,
        provider_id: row.provider_id.clone(),
        answered_at: row.answered_at,
        tagged_at: Some(row.intended_at),
        ..Server::intended(row.id.clone(), row.attempt, row.name.clone(), row.intended_at)
    }
}

/// Adopts volumes that carry the name of one of our attempts.
fn adopt_volumes(draft: &mut Draft<'_, '_>) {
    let (seen, now) = (draft.seen, draft.cx.now);
    for volume in &seen.volumes {
        if draft.agg.volumes.iter().any(|v| v.provider_id.as_deref() == Some(&volume.id)) {
            continue;
        }
        let row = draft.agg.volumes.iter_mut().find(|v| v.provider_id.is_none() && v.name == volume.name);
        if let Some(row) = row {
            let late = !row.create_state.is_open();
            row.provider_id = Some(volume.id.clone());
            row.create_state = CreateState::Created;
            row.status = VolumeStatus::Available;
            row.answered_at = Some(now);
            (row.create_error, row.retry) = (None, None);
            // Its attempt was abandoned and perhaps replaced: the volume is empty.
            if late && !row.delete_on_terminate {
                row.set_policy(true);
            }
            let (id, text) = (row.id.clone(), if late { "a late arrival, to be removed" } else { "found by its name" });
            emit_volume(draft, EventKind::VolumeAdopted, &id, &volume.id, text);
        } else if ours_by_name(draft, &volume.name) && is_confirmed(draft, volume) {
            adopt_by_role(draft, volume);
        }
    }
}

/// Adopts a volume that carries our name and is not recorded: the name contains its role.
fn adopt_by_role(draft: &mut Draft<'_, '_>, volume: &ObservedVolume) {
    let Some(name) = CloudName::parse(&volume.name) else { return };
    let duplicate = draft.agg.volumes.iter().any(|v| v.origin == Origin::Ours && v.name == volume.name);
    let origin = match name.role {
        Role::Data => Origin::Ours,
        Role::Server | Role::Boot | Role::Extra => Origin::Cloud,
    };
    let row = new_row(draft, volume.id.clone(), origin, None, Some(volume));
    let id = row.id.clone();
    draft.agg.volumes.push(Volume {
        // The request was duplicated on its way. Attempt 0 is older than any other, so the empty volume is deleted.
        attempt: if duplicate { 0 } else { name.attempt },
        delete_on_terminate: name.delete,
        policy_version: name.policy_version,
        is_boot: name.role == Role::Boot,
        tagged_at: Some(draft.cx.now),
        ..row
    });
    if duplicate && !name.delete {
        on_volume(draft, &id, |v| v.set_policy(true));
    }
    let text = if duplicate { "a duplicate, to be removed" } else { "carries our name and was not recorded" };
    emit_volume(draft, EventKind::VolumeFound, &id, &volume.id, text);
}

/// Whether a volume that was never recorded is ours: by its tags as well as its name, or because it is on our server.
fn is_confirmed(draft: &Draft<'_, '_>, volume: &ObservedVolume) -> bool {
    let on_ours = draft.agg.servers.iter().filter_map(|s| draft.seen.server(s.provider_id.as_deref()?));
    CloudName::parse(&volume.name).is_some_and(|n| n.is_confirmed_by(&volume.tags))
        || on_ours.into_iter().any(|s| s.has(&volume.id))
}

fn on_volume(draft: &mut Draft<'_, '_>, id: &VolumeId, change: impl FnOnce(&mut Volume)) {
    if let Some(v) = draft.agg.volume_mut(id) {
        change(v);
    }
}

fn ours_by_name(draft: &Draft<'_, '_>, name: &str) -> bool {
    CloudName::parse(name)
        .is_some_and(|n| n.control_plane == draft.cx.control_plane && n.instance == draft.agg.instance.id)
}

/// Records every volume on every server of ours that is not recorded yet.
fn record_attachments(draft: &mut Draft<'_, '_>) {
    let seen = draft.seen;
    for server in &seen.servers {
        if draft.agg.servers.iter().any(|s| s.provider_id.as_deref() == Some(&server.id)) {
            record_server_volumes(draft, server, false);
        }
    }
}

fn record_server_volumes(draft: &mut Draft<'_, '_>, server: &ObservedServer, adopting: bool) {
    for attachment in &server.attachments {
        if draft.agg.volumes.iter().any(|v| v.provider_id.as_deref() == Some(&attachment.volume_id)) {
            continue;
        }
        let seen = draft.seen.volume(&attachment.volume_id);
        let name = attachment.name.as_deref().or(seen.map(|v| v.name.as_str()));
        if name.is_none() && !draft.seen.complete && !(adopting && attachment.index == 0) {
            let text = format!("waits to learn the name of volume {}, which shows who owns it", attachment.volume_id);
            draft.wait(text);
            continue;
        }
        let name = name.unwrap_or_default();
        let origin = if ours_by_name(draft, name) {
            Origin::Ours
        } else if draft.cx.profile.came_with(server, attachment, name) || (adopting && attachment.index == 0) {
            Origin::Cloud
        } else {
            Origin::Foreign
        };
        let boots = server.boot_volume_id() == Some(&attachment.volume_id);
        let row = new_row(draft, attachment.volume_id.clone(), origin, Some(attachment), seen);
        let (id, foreign) = (row.id.clone(), origin == Origin::Foreign);
        let owner = draft.agg.servers.iter().find(|s| s.provider_id.as_deref() == Some(&server.id));
        let server_id = owner.map(|s| s.id.clone());
        let policy = CloudName::parse(name).filter(|_| origin == Origin::Ours);
        draft.agg.volumes.push(Volume {
            server_id,
            is_boot: boots && !foreign,
            delete_on_terminate: policy.as_ref().map_or(!foreign, |p| p.delete),
            policy_version: policy.map_or(0, |p| p.policy_version),
            ..row
        });
        let text = if foreign {
            "a third party's volume on our server: it will not be deleted"
        } else {
            "came with the server"
        };
        emit_volume(
            draft,
            if foreign { EventKind::ForeignVolumeFound } else { EventKind::VolumeFound },
            &id,
            &attachment.volume_id,
            text,
        );
    }
}

/// A row for a volume that exists.
pub(crate) fn new_row(
    draft: &mut Draft<'_, '_>,
    provider_id: String,
    origin: Origin,
    attachment: Option<&Attachment>,
    seen: Option<&ObservedVolume>,
) -> Volume {
    let id = VolumeId::new((draft.cx.ids)());
    let mut row = Volume::found(id, provider_id, draft.cx.now);
    row.origin = origin;
    if let Some(a) = attachment {
        describe(&mut row, a);
    }
    if let Some(v) = seen {
        row.name.clone_from(&v.name);
        row.volume_type.clone_from(&v.volume_type);
    }
    row
}

/// Records what a server shows of a volume.
pub(crate) fn describe(row: &mut Volume, attachment: &Attachment) {
    row.volume_type.clone_from(&attachment.volume_type);
    row.name = attachment.name.clone().unwrap_or_default();
    row.size_bytes = attachment.size_bytes;
    row.status = VolumeStatus::Attached;
    row.attached_at = Some(row.created_at);
}

/// Abandons creations that do not appear in a complete listing begun after their grace.
fn abandon_expired_creations(draft: &mut Draft<'_, '_>) {
    let (seen, rules) = (draft.seen, draft.cx.rules);
    if !seen.complete {
        return;
    }
    let mut abandoned = Vec::new();
    for s in draft.agg.servers.iter_mut().filter(|s| s.create_state.is_open()) {
        let grace = super::attempt::grace_ms(s.create_error.as_ref(), rules);
        if seen.began_at > s.answered_at.unwrap_or(s.intended_at).plus_ms(grace) {
            s.create_state = CreateState::Abandoned;
            abandoned.push(("server", s.name.clone()));
        }
    }
    for v in draft.agg.volumes.iter_mut().filter(|v| v.create_state.is_open()) {
        let grace = super::attempt::grace_ms(v.create_error.as_ref(), rules);
        if seen.began_at > v.answered_at.unwrap_or(v.created_at).plus_ms(grace) {
            v.create_state = CreateState::Abandoned;
            v.status = VolumeStatus::Failed;
            abandoned.push(("volume", v.name.clone()));
        }
    }
    for (kind, name) in abandoned {
        draft.emit(EventKind::AttemptAbandoned, None, format!("{kind} {name} never appeared; its name stays watched"));
    }
}

fn refresh_servers(draft: &mut Draft<'_, '_>) {
    for row in draft.agg.servers.iter_mut().filter(|s| s.is_live()) {
        let Some(seen) = row.provider_id.as_deref().and_then(|id| draft.seen.server(id)) else { continue };
        row.state = Some(seen.state.text().to_owned());
        if seen.state != ServerState::Stopped {
            row.start_intended_at.get_or_insert(draft.cx.now);
        }
        if row.is_primary && !seen.addresses.is_empty() {
            draft.agg.instance.ip_address = seen.ip_address().map(str::to_owned);
            draft.agg.instance.addresses.clone_from(&seen.addresses);
        }
    }
}

fn refresh_volumes(draft: &mut Draft<'_, '_>) {
    let ours: Vec<String> = draft.agg.servers.iter().filter_map(|s| s.provider_id.clone()).collect();
    let ours_shown: Vec<&ObservedServer> = draft.seen.servers.iter().filter(|s| ours.contains(&s.id)).collect();
    let now = draft.cx.now;
    for row in draft.agg.volumes.iter_mut().filter(|v| v.is_live() || v.is_kept()) {
        let Some(seen) = row.provider_id.as_deref().and_then(|id| draft.seen.volume(id)) else { continue };
        take_over(row, seen);
        if row.is_kept() {
            continue;
        }
        let here = seen.server_id.as_ref().is_some_and(|id| ours.contains(id));
        let status = match (&seen.state, here) {
            _ if row.delete_sent_at.is_some() || row.delete_intended_at.is_some() => VolumeStatus::Deleting,
            (VolumeState::Creating, false) => VolumeStatus::Creating,
            (_, true) if row.detach_sent_at.is_some() => VolumeStatus::Detaching,
            (_, true) if seen.attachment_settled => VolumeStatus::Attached,
            (_, true) => VolumeStatus::Attaching,
            // The server lists a volume before the Block API shows it as in use.
            (VolumeState::Available, false)
                if row.attach_sent_at.is_some()
                    && row.detach_sent_at.is_none()
                    && ours_shown.iter().any(|s| s.has(&seen.id)) =>
            {
                if row.status == VolumeStatus::Attached {
                    row.status
                } else {
                    VolumeStatus::Attaching
                }
            }
            (VolumeState::Available, false) => VolumeStatus::Available,
            (_, false) => row.status,
        };
        if status == VolumeStatus::Attached {
            row.attached_at.get_or_insert(now);
            if row.status != VolumeStatus::Attached {
                // It is attached, whatever the response to the call was.
                row.retry = None;
            }
        }
        row.status = status;
    }
}

/// Records what the volume's own API shows.
pub(crate) fn take_over(row: &mut Volume, seen: &ObservedVolume) {
    row.name.clone_from(&seen.name);
    row.volume_type.clone_from(&seen.volume_type);
    row.size_bytes = seen.size_bytes.or(row.size_bytes);
    row.perf_iops = seen.perf_iops.or(row.perf_iops);
}

fn emit_volume(draft: &mut Draft<'_, '_>, kind: EventKind, id: &VolumeId, resource: &str, text: &str) {
    draft.events.push(Event {
        lasted_ms: None,
        failed: false,
        kind,
        volume_id: Some(id.clone()),
        resource_id: Some(resource.to_owned()),
        text: text.to_owned(),
    });
}
