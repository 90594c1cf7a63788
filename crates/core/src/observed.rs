//! Observed: what a cloud shows, in our words, as its provider saw it.

use crate::time::Timestamp;
use crate::volume_type::VolumeType;

/// A server's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// Off, its hypervisor freed.
    Stopped,
    /// Off, its hypervisor kept.
    StoppedInPlace,
    /// On its way up.
    Starting,
    /// The machine is up (not: the system has booted).
    Running,
    /// On its way down, or away.
    Stopping,
    /// Locked by the cloud.
    Locked,
    /// A state we do not know, in the cloud's word. Nothing is decided upon it.
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

/// What a cloud allows to be done to a server now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Start it.
    Start,
    /// Power it off.
    Stop,
    /// Take it away while it runs.
    Terminate,
}

/// A volume as its server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its place in the server's map.
    pub index: u32,
    /// The cloud's id of the volume.
    pub volume_id: String,
    /// Its kind.
    pub volume_type: VolumeType,
    /// The wire's flag; `false` even on the default boot volume.
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
    /// What is allowed now; empty means "nothing, for the moment".
    pub allowed: Vec<Allowed>,
    /// Its volumes, by index.
    pub attachments: Vec<Attachment>,
    /// Its public addresses: IPv4 before IPv6, and of each family the dynamic one, which came with it, first.
    pub addresses: Vec<String>,
    /// Flexible addresses on it: we make none.
    pub foreign_addresses: Vec<String>,
    /// The name of the image it was made from.
    pub image_name: Option<String>,
    /// The cloud's word for its type, for instance `L40S-1-48G`.
    pub instance_type: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When the cloud says that it was made.
    pub created_at: Option<Timestamp>,
}

impl ObservedServer {
    /// The address that people reach it at.
    #[must_use]
    pub fn ip_address(&self) -> Option<&str> {
        self.addresses.first().map(String::as_str)
    }

    /// The volume that it boots on: the one with the flag, else the one at index 0.
    #[must_use]
    pub fn boot_volume_id(&self) -> Option<&str> {
        let flagged = self.attachments.iter().find(|a| a.boot);
        flagged.or_else(|| self.attachments.iter().find(|a| a.index == 0)).map(|a| a.volume_id.as_str())
    }

    /// What of it cannot be read, so that nothing is decided upon it; `None`: everything can.
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

/// How the id begins that a row without one is given.
pub const WITHOUT_ID: &str = "unreadable-";
/// How the state begins of a row whose state, or what it depends on, cannot be read.
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
    /// Being made.
    Creating,
    /// There, and not attached.
    Available,
    /// There, and attached or about to be detached.
    InUse,
    /// Its size or speed is being changed.
    Updating,
    /// The cloud says that it is broken.
    Error,
    /// Any other word. Nothing is decided upon it.
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
    /// The attachment is complete (not on its way to or fro).
    pub attachment_settled: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// When the cloud says that it was made.
    pub created_at: Option<Timestamp>,
}

impl ObservedVolume {
    /// What of it cannot be read, so that nothing is decided upon it; `None`: everything can.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        unreadable(&self.id, if let VolumeState::Other(word) = &self.state { word } else { "" })
    }

    /// Lives on block storage.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.volume_type.is_block()
    }
}

/// Everything that a zone shows, in one listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneInventory {
    /// When the listing began: whatever happened later may be missing.
    pub began_at: Timestamp,
    /// Nothing can be missing: no page shifted while the next was read. What is shown is there in any case.
    pub complete: bool,
    /// Why absence says nothing although the listing is complete: nothing at all is shown of the account's project, so that
    /// the credentials may not see it.
    pub hidden: Option<String>,
    /// The same of block volumes alone, whose API has rights of its own: none is shown.
    pub blocks_hidden: Option<String>,
    /// All servers.
    pub servers: Vec<ObservedServer>,
    /// All volumes, of both APIs.
    pub volumes: Vec<ObservedVolume>,
}

/// What is shown of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// When the look began.
    pub began_at: Timestamp,
    /// Every name and id of the instance was looked for: a creation that is not shown had not turned up by then.
    pub complete: bool,
    /// It is cut out of a complete listing of the zone, by credentials that see the project: absence is a hint (no more)
    /// that a resource is gone.
    pub listed: bool,
    /// When a complete listing of block volumes alone began that is newer than the rest: absence from it is the same hint.
    pub blocks_listed_at: Option<Timestamp>,
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
    /// Nothing was looked at.
    #[must_use]
    pub const fn nothing(at: Timestamp) -> Self {
        Self {
            began_at: at,
            complete: false,
            listed: false,
            blocks_listed_at: None,
            hidden: None,
            servers: Vec::new(),
            holders: Vec::new(),
            volumes: Vec::new(),
        }
    }

    /// When a complete listing began that would show a resource; `None`: none was made.
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

    /// Replaces what was known of a server by what a call has just shown.
    pub fn refresh_server(&mut self, seen: ObservedServer) {
        self.servers.retain(|s| s.id != seen.id);
        self.servers.push(seen);
    }

    /// Replaces what was known of a volume by what a call has just shown.
    pub fn refresh_volume(&mut self, seen: ObservedVolume) {
        self.volumes.retain(|v| v.id != seen.id);
        self.volumes.push(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{observed_server, observed_volume};

    #[test]
    fn it_boots_on_the_volume_with_the_flag_else_on_index_0() {
        let mut server = observed_server("s", "n", ServerState::Stopped);
        assert_eq!(server.boot_volume_id(), Some("boot"));
        server.attachments[1].boot = true;
        assert_eq!(server.boot_volume_id(), Some("scr"));
        server.attachments.clear();
        assert_eq!(server.boot_volume_id(), None);
    }

    #[test]
    fn a_newer_sight_replaces_the_older_one_and_no_other() {
        let mut seen = Observed::nothing(Timestamp(1));
        seen.refresh_server(observed_server("s1", "old", ServerState::Stopped));
        seen.refresh_server(observed_server("s2", "other", ServerState::Stopped));
        seen.refresh_server(observed_server("s1", "new", ServerState::Running));
        let names = |seen: &Observed| seen.servers.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&seen), ["other", "new"]);
        assert_eq!(seen.server("s1").map(|s| s.state.text()), Some("running"));
        seen.refresh_volume(observed_volume("v1", "old", "scratch", None));
        seen.refresh_volume(observed_volume("v2", "other", "scratch", None));
        seen.refresh_volume(observed_volume("v1", "new", "scratch", None));
        assert_eq!(seen.volumes.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["other", "new"]);
        assert_eq!((seen.volume("v1").map(|v| v.name.as_str()), seen.volume("v3")), (Some("new"), None));
    }

    #[test]
    fn every_state_has_its_word() {
        use ServerState::{Locked, Other, Running, Starting, Stopped, StoppedInPlace, Stopping};
        let all = [Stopped, StoppedInPlace, Starting, Running, Stopping, Locked, Other("melting".into())];
        let words = ["stopped", "stopped in place", "starting", "running", "stopping", "locked", "melting"];
        assert_eq!(all.each_ref().map(ServerState::text), words);
    }
}
