//! The observed state: what a cloud shows, in our terms.

use crate::time::Timestamp;
use crate::volume_type::VolumeType;

/// A server's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// Off, and its hypervisor is released.
    Stopped,
    /// Off, and its hypervisor stays reserved.
    StoppedInPlace,
    /// Being started.
    Starting,
    /// The virtual machine runs. Its system may not have booted yet.
    Running,
    /// Being stopped or removed.
    Stopping,
    /// Locked by the cloud.
    Locked,
    /// An unknown state, in the cloud's word. No decision is based on it.
    Other(String),
}

impl ServerState {
    /// The cloud's word.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Stopped => "stopped",
            Self::StoppedInPlace => "stopped in place",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Locked => "locked",
            Self::Other(text) => text,
        }
    }
}

/// An action that the cloud allows on a server now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Start it.
    Start,
    /// Power it off.
    Stop,
    /// Reboot it.
    Reboot,
    /// Remove it while it runs.
    Terminate,
}

/// A volume as its server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its index on the server.
    pub index: u32,
    /// The cloud's id of the volume.
    pub volume_id: String,
    /// Its kind.
    pub volume_type: VolumeType,
    /// The flag in the API; `false` even for the default boot volume.
    pub boot: bool,
    /// Its name, where the server shows it (never for block volumes).
    pub name: Option<String>,
    /// Its size in bytes, where the server shows it.
    pub size_bytes: Option<i64>,
}

/// A server as the cloud shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedServer {
    /// The cloud's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ServerState,
    /// The allowed actions; empty means "none at the moment".
    pub allowed: Vec<Allowed>,
    /// Its volumes, by index.
    pub attachments: Vec<Attachment>,
    /// Its public addresses: IPv4 before IPv6, and the dynamic one of each family, which came with the server, first.
    pub addresses: Vec<String>,
    /// Flexible addresses on it: they belong to third parties, because we create none.
    pub foreign_addresses: Vec<String>,
    /// The name of the image that it was created from.
    pub image_name: Option<String>,
    /// The cloud's word for its type, for instance `L40S-1-48G`.
    pub instance_type: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was created, according to the cloud.
    pub created_at: Option<Timestamp>,
}

impl ObservedServer {
    /// Its main public address.
    #[must_use]
    pub fn ip_address(&self) -> Option<&str> {
        self.addresses.first().map(String::as_str)
    }

    /// The volume that it boots from: the one with the flag, otherwise the one at index 0.
    #[must_use]
    pub fn boot_volume_id(&self) -> Option<&str> {
        let flagged = self.attachments.iter().find(|a| a.boot);
        flagged.or_else(|| self.attachments.iter().find(|a| a.index == 0)).map(|a| a.volume_id.as_str())
    }

    /// Why its row is unreadable, so that no decision is based on it; `None`: it is readable.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        unreadable(&self.id, if let ServerState::Other(word) = &self.state { word } else { "" })
    }

    /// Whether the volume is on this server.
    #[must_use]
    pub fn has(&self, volume_id: &str) -> bool {
        self.attachments.iter().any(|a| a.volume_id == volume_id)
    }
}

/// The prefix of the id that a row without an id is given.
pub const WITHOUT_ID: &str = "unreadable-";
/// The prefix of the state of a row whose state, or a field that it depends on, is unreadable.
pub const SHOWN_WITHOUT: &str = "shown without";

fn unreadable<'a>(id: &str, word: &'a str) -> Option<&'a str> {
    if id.starts_with(WITHOUT_ID) {
        Some("shown without an id")
    } else {
        Some(word).filter(|w| w.starts_with(SHOWN_WITHOUT))
    }
}

/// A volume's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeState {
    /// Being created.
    Creating,
    /// It exists and is not attached.
    Available,
    /// It exists and is attached or being detached.
    InUse,
    /// Its size or speed is being changed.
    Updating,
    /// The cloud reports it as broken.
    Error,
    /// An unknown state, in the cloud's word. No decision is based on it.
    Other(String),
}

/// A volume as the cloud shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    /// The cloud's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind, as a server would show it.
    pub volume_type: VolumeType,
    /// In bytes.
    pub size_bytes: Option<i64>,
    /// Operations per second, where the kind has them.
    pub perf_iops: Option<i64>,
    /// Its state.
    pub state: VolumeState,
    /// The server it is attached to.
    pub server_id: Option<String>,
    /// Whether the attachment is complete (neither attaching nor detaching).
    pub attachment_settled: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was created, according to the cloud.
    pub created_at: Option<Timestamp>,
}

impl ObservedVolume {
    /// Why its row is unreadable, so that no decision is based on it; `None`: it is readable.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        unreadable(&self.id, if let VolumeState::Other(word) = &self.state { word } else { "" })
    }

    /// Whether it is on block storage.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.volume_type.is_block()
    }
}

/// The result of one listing of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneInventory {
    /// When the listing began. Later changes may be missing.
    pub began_at: Timestamp,
    /// Whether no page shifted while the next was read, so that nothing is missing. What is shown exists in any case.
    pub complete: bool,
    /// Why an absence is no evidence although the listing is complete: nothing of the account's project is shown, so
    /// that the credentials may not see it.
    pub hidden: Option<String>,
    /// The same for block volumes, whose API has separate permissions: none is shown.
    pub blocks_hidden: Option<String>,
    /// All servers.
    pub servers: Vec<ObservedServer>,
    /// All volumes, of both APIs.
    pub volumes: Vec<ObservedVolume>,
}

/// The observed state of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// When the observation began.
    pub began_at: Timestamp,
    /// Whether every name and id of the instance was searched for: a creation that is not shown had not taken effect.
    pub complete: bool,
    /// Whether it comes from a complete listing of the zone, by credentials that see the project. Then an absence is a
    /// hint, but no proof, that a resource is gone.
    pub listed: bool,
    /// When a newer complete listing of only the block volumes began. An absence from it is the same hint.
    pub blocks_listed_at: Option<Timestamp>,
    /// Whether the complete listing showed no block volume at all: then one that it does not show cannot be proven gone.
    pub blocks_hidden: bool,
    /// [`ZoneInventory::hidden`] of that listing.
    pub hidden: Option<String>,
    /// Servers of the instance: by id, or by a name of ours.
    pub servers: Vec<ObservedServer>,
    /// Other servers that hold volumes of the instance.
    pub holders: Vec<ObservedServer>,
    /// Volumes of the instance: by id, by a name of ours, or attached to its servers.
    pub volumes: Vec<ObservedVolume>,
}

impl Observed {
    /// An observation without any read.
    #[must_use]
    pub const fn nothing(at: Timestamp) -> Self {
        Self {
            began_at: at,
            complete: false,
            listed: false,
            blocks_listed_at: None,
            blocks_hidden: false,
            hidden: None,
            servers: Vec::new(),
            holders: Vec::new(),
            volumes: Vec::new(),
        }
    }

    /// When the complete listing began that would show a resource; `None`: there was none.
    #[must_use]
    pub fn listed_at(&self, is_block: bool) -> Option<Timestamp> {
        let whole = self.listed.then_some(self.began_at);
        if is_block { whole.max(self.blocks_listed_at) } else { whole }
    }

    /// The server with that id.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&ObservedServer> {
        self.servers.iter().find(|s| s.id == id)
    }

    /// The volume with that id.
    #[must_use]
    pub fn volume(&self, id: &str) -> Option<&ObservedVolume> {
        self.volumes.iter().find(|v| v.id == id)
    }

    /// Replaces a server by what a call has just shown.
    pub fn refresh_server(&mut self, seen: ObservedServer) {
        self.servers.retain(|s| s.id != seen.id);
        self.servers.push(seen);
    }

    /// Replaces a volume by what a call has just shown.
    pub fn refresh_volume(&mut self, seen: ObservedVolume) {
        self.volumes.retain(|v| v.id != seen.id);
        self.volumes.push(seen);
    }
}

#[cfg(test)]
mod tests;
