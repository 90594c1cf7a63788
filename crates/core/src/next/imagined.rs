//! A cloud that carries out every call at once and agrees with the records.

use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::cloud::{AutomaticName, CloudProfile, Spares};
use crate::name::CloudName;
use crate::observed::{Allowed, Attachment, Observed, ObservedServer, ObservedVolume, ServerState, VolumeState};
use crate::offer::BootStorage;
use crate::plan::IMAGINED;
use crate::progress::CallResult;
use crate::recorded::{Aggregate, Proof, Server, Volume};
use crate::status::{Origin, Status};
use crate::time::Timestamp;
use crate::volume_type::VolumeType;

/// The name of every image.
const IMAGE: &str = "image";
/// The address of every server that runs.
const ADDRESS: &str = "address";

/// The cloud's servers and volumes.
pub(super) struct Imagined {
    servers: Vec<ObservedServer>,
    volumes: Vec<ObservedVolume>,
    born_running: bool,
    removal_while_running: Spares,
    /// The kind and name of the volume that a new server boots from, if it is on block storage.
    boots_from: Option<(VolumeType, String)>,
}

impl Imagined {
    /// A cloud that shows what is recorded. What is being removed is gone already.
    pub(super) fn of(agg: &Aggregate, profile: &CloudProfile, now: Timestamp) -> Self {
        let boots_from = (agg.instance.spec.boot_storage == BootStorage::Block).then(|| {
            let kind = profile.data_volume.clone();
            let automatic = profile.automatic_names.iter().find(|n| n.volume_type.as_deref() == Some(&kind.name));
            let name = automatic.map_or_else(String::new, |n| n.pattern.replace(AutomaticName::IMAGE, IMAGE));
            (kind, name)
        });
        let live = |v: &&Volume| (v.is_live() || v.is_kept()) && v.delete_sent_at.is_none();
        let removed = |s: &Server| s.delete_sent_at.is_some();
        let mut cloud = Self {
            servers: agg.servers.iter().filter(|s| s.is_live() && !removed(s)).filter_map(|s| server(agg, s)).collect(),
            volumes: agg.volumes.iter().filter(live).filter_map(|v| volume(agg, v, now)).collect(),
            boots_from,
            born_running: profile.born_running,
            removal_while_running: profile.removal_while_running,
        };
        for s in agg.servers.iter().filter(|s| removed(s)) {
            let spared = |v: &Volume| {
                v.is_block() || v.detach_sent_at.is_some() || profile.removal_while_running == Spares::EveryVolume
            };
            let went = |v: &Volume| !spared(v) && v.server_id.as_ref() == Some(&s.id);
            let ids: Vec<&str> =
                agg.volumes.iter().filter(|v| went(v)).filter_map(|v| v.provider_id.as_deref()).collect();
            cloud.volumes.retain(|v| !ids.contains(&v.id.as_str()));
        }
        cloud.settle();
        cloud
    }

    /// A complete listing.
    pub(super) fn observe(&self, now: Timestamp) -> Observed {
        Observed {
            complete: true,
            listed: true,
            servers: self.servers.clone(),
            volumes: self.volumes.clone(),
            ..Observed::nothing(now)
        }
    }

    /// Carries a call out.
    pub(super) fn carry_out(&mut self, action: &Action, agg: &Aggregate, now: Timestamp) -> CallResult {
        let result = match action {
            Action::Create(Creation::Server(row)) => self.create_server(row, now),
            Action::Create(Creation::Volume(row)) => match volume(agg, row, now) {
                Some(new) => {
                    self.volumes.push(new.clone());
                    CallResult::Volume(Box::new(new))
                }
                None => CallResult::Accepted,
            },
            Action::Server(id, call) => {
                let id = agg.server_by_id(id).and_then(|s| s.provider_id.clone()).unwrap_or_default();
                self.on_server(&id, *call, now)
            }
            Action::Volume(id, call) => match agg.volume(id) {
                Some(row) => self.on_volume(agg, row, call, now),
                None => CallResult::Accepted,
            },
        };
        self.settle();
        result
    }

    fn create_server(&mut self, row: &Server, now: Timestamp) -> CallResult {
        let mut new = ObservedServer {
            id: format!("{IMAGINED}{}", row.name),
            name: row.name.clone(),
            state: if self.born_running { ServerState::Running } else { ServerState::Stopped },
            allowed: Vec::new(),
            attachments: Vec::new(),
            addresses: Vec::new(),
            foreign_addresses: Vec::new(),
            image_name: Some(IMAGE.to_owned()),
            instance_type: None,
            tags: tags(&row.name),
            created_at: Some(now),
        };
        if let Some((volume_type, name)) = self.boots_from.clone() {
            let id = format!("{IMAGINED}boot of {}", row.name);
            new.attachments.push(attachment(0, &id, &volume_type));
            self.volumes.push(ObservedVolume {
                id,
                name,
                volume_type,
                size_bytes: None,
                perf_iops: None,
                state: VolumeState::Available,
                server_id: None,
                attachment_settled: true,
                tags: Vec::new(),
                created_at: Some(now),
            });
        }
        self.servers.push(new.clone());
        CallResult::Server(Box::new(new))
    }

    fn on_server(&mut self, id: &str, call: ServerCall, now: Timestamp) -> CallResult {
        let Some(at) = self.servers.iter().position(|s| s.id == id) else { return gone(id, now) };
        let state = |state: ServerState, servers: &mut Vec<ObservedServer>| {
            if let Some(server) = servers.get_mut(at) {
                server.state = state;
            }
        };
        match call {
            ServerCall::Start => state(ServerState::Running, &mut self.servers),
            ServerCall::Stop => state(ServerState::Stopped, &mut self.servers),
            ServerCall::Tag => {
                if let Some(server) = self.servers.get_mut(at) {
                    server.tags = tags(&server.name);
                }
            }
            ServerCall::Terminate => {
                let on_it = self.servers.remove(at).attachments;
                let spared =
                    |a: &Attachment| a.volume_type.is_block() || self.removal_while_running == Spares::EveryVolume;
                let goes = |id: &str| on_it.iter().any(|a| a.volume_id == id && !spared(a));
                self.volumes.retain(|v| !goes(&v.id));
            }
            ServerCall::Delete => drop(self.servers.remove(at)),
            ServerCall::SetUserData | ServerCall::Reboot => {}
            ServerCall::ProveGone => return CallResult::StillThere,
        }
        CallResult::Accepted
    }

    fn on_volume(&mut self, agg: &Aggregate, row: &Volume, call: &VolumeCall, now: Timestamp) -> CallResult {
        let id = row.provider_id.clone().unwrap_or_default();
        let server_id = |id| agg.server_by_id(id).and_then(|s| s.provider_id.as_deref());
        let Some(volume) = self.volumes.iter_mut().find(|v| v.id == id) else { return gone(&id, now) };
        match call {
            VolumeCall::Tag => (volume.name, volume.tags) = named(agg, row),
            VolumeCall::Resize(bytes) => volume.size_bytes = Some(*bytes),
            VolumeCall::Attach(to) => {
                let kind = volume.volume_type.clone();
                if let Some(server) = self.servers.iter_mut().find(|s| Some(s.id.as_str()) == server_id(to)) {
                    let index = server.attachments.iter().map(|a| a.index + 1).max().unwrap_or(0);
                    server.attachments.push(attachment(index, &id, &kind));
                }
            }
            VolumeCall::Detach(_) => {
                self.servers.iter_mut().for_each(|s| s.attachments.retain(|a| a.volume_id != id));
            }
            VolumeCall::Delete => self.volumes.retain(|v| v.id != id),
            VolumeCall::ProveGone => return CallResult::StillThere,
        }
        CallResult::Accepted
    }

    /// Derives what follows from states and attachments.
    fn settle(&mut self) {
        for server in &mut self.servers {
            let runs = server.state == ServerState::Running;
            server.allowed = match server.state {
                ServerState::Running => vec![Allowed::Stop, Allowed::Terminate, Allowed::Reboot],
                ServerState::StoppedInPlace => vec![Allowed::Start, Allowed::Terminate],
                ServerState::Stopped => vec![Allowed::Start],
                ServerState::Starting | ServerState::Stopping | ServerState::Locked | ServerState::Other(_) => {
                    Vec::new()
                }
            };
            if runs && server.addresses.is_empty() {
                server.addresses.push(ADDRESS.to_owned());
            }
        }
        for volume in &mut self.volumes {
            let holder = self.servers.iter().find(|s| s.has(&volume.id));
            volume.server_id = holder.map(|s| s.id.clone());
            volume.state = if holder.is_some() { VolumeState::InUse } else { VolumeState::Available };
        }
    }
}

/// The server of a row; `None` if its id is not known.
fn server(agg: &Aggregate, row: &Server) -> Option<ObservedServer> {
    let id = row.provider_id.clone()?;
    let with_it = |v: &Volume| v.server_id.as_ref() == Some(&row.id);
    let attached_later = |v: &Volume| row.is_primary && v.server_id.is_none() && v.attach_sent_at.is_some();
    let on_it = |v: &&Volume| v.is_live() && (with_it(v) || attached_later(v)) && v.detach_sent_at.is_none();
    let mut volumes: Vec<&Volume> = agg.volumes.iter().filter(on_it).collect();
    volumes.sort_by_key(|v| !v.is_boot);
    let attachments =
        (0..).zip(volumes).filter_map(|(n, v)| Some(attachment(n, v.provider_id.as_deref()?, &v.volume_type)));
    Some(ObservedServer {
        id,
        name: row.name.clone(),
        state: state(agg, row),
        allowed: Vec::new(),
        attachments: attachments.collect(),
        addresses: agg.instance.addresses.clone(),
        foreign_addresses: Vec::new(),
        image_name: Some(IMAGE.to_owned()),
        instance_type: None,
        tags: tags(&row.name),
        created_at: row.answered_at,
    })
}

/// The state of a server once what was requested has taken effect.
fn state(agg: &Aggregate, row: &Server) -> ServerState {
    let recorded = row.state.as_deref();
    let is = |state: ServerState| recorded == Some(state.text());
    let starts = row.start_sent_at.is_some() && matches!(agg.instance.status, Status::Provisioning | Status::Booting);
    let starts = starts && !agg.is_ending();
    if is(ServerState::Locked) {
        ServerState::Locked
    } else if starts || is(ServerState::Running) || is(ServerState::Starting) {
        if row.stop_sent_at.is_some() { ServerState::Stopped } else { ServerState::Running }
    } else if is(ServerState::StoppedInPlace) {
        ServerState::StoppedInPlace
    } else {
        ServerState::Stopped
    }
}

/// The volume of a row.
fn volume(agg: &Aggregate, row: &Volume, now: Timestamp) -> Option<ObservedVolume> {
    let is_new = row.create_state.is_open();
    let id = if is_new { Some(format!("{IMAGINED}{}", row.name)) } else { row.provider_id.clone() }?;
    let (name, tags) = match row.tagged_at {
        // The name of a volume with a newer policy in the cloud says so.
        Some(_) | None if row.cloud_policy.is_some() => {
            let policy = row.cloud_policy?;
            let of_row = agg.volume_name(row, &super::control_plane(agg));
            let name = CloudName { delete: policy.delete, policy_version: policy.version, ..of_row };
            (name.text(), name.tags())
        }
        None if !is_new => (String::new(), Vec::new()),
        Some(_) | None => (row.name.clone(), self::tags(&row.name)),
    };
    Some(ObservedVolume {
        id,
        name,
        volume_type: row.volume_type.clone(),
        size_bytes: row.size_bytes,
        perf_iops: row.perf_iops,
        state: VolumeState::Available,
        server_id: None,
        attachment_settled: true,
        tags,
        created_at: Some(now),
    })
}

/// The name and tags that a call gives a volume.
fn named(agg: &Aggregate, row: &Volume) -> (String, Vec<String>) {
    if row.origin == Origin::Foreign {
        return (row.name.clone(), Vec::new());
    }
    let name = agg.volume_name(row, &super::control_plane(agg));
    (name.text(), name.tags())
}

fn tags(name: &str) -> Vec<String> {
    CloudName::parse(name).map(|n| n.tags()).unwrap_or_default()
}

fn attachment(index: u32, volume_id: &str, volume_type: &VolumeType) -> Attachment {
    Attachment {
        index,
        volume_id: volume_id.to_owned(),
        volume_type: volume_type.clone(),
        boot: false,
        name: None,
        size_bytes: None,
    }
}

fn gone(id: &str, now: Timestamp) -> CallResult {
    CallResult::Gone(Box::new(Proof {
        resource_id: id.to_owned(),
        asked: String::new(),
        asked_at: now,
        answer: String::new(),
        request_id: None,
        absent_from_listing_begun_at: Some(now),
        confirm_after: None,
        confirmed_at: None,
    }))
}
