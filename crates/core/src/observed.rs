//! Observed: what a cloud shows, in our words, as its provider saw it.

use crate::recorded::BLOCK_KIND;
use crate::time::Timestamp;

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
    /// The cloud's word for its kind.
    pub volume_type: String,
    /// The wire's flag; `false` even on the default boot volume.
    pub boot: bool,
    /// Its name, where the server shows it (never for block volumes).
    pub name: Option<String>,
    /// Its size in bytes, where the server shows it.
    pub size_bytes: Option<i64>,
}

/// A server as the cloud shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenServer {
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
    /// Its public IPv4 address.
    pub ip_address: Option<String>,
    /// Flexible addresses on it: we make none.
    pub foreign_addresses: Vec<String>,
    /// The name of the image it was made from.
    pub image_name: Option<String>,
    /// When the cloud says that it was made.
    pub created_at: Option<Timestamp>,
}

impl SeenServer {
    /// The volume that it boots on: the one with the flag, else the one at index 0.
    #[must_use]
    pub fn boot_volume_id(&self) -> Option<&str> {
        let flagged = self.attachments.iter().find(|a| a.boot);
        flagged.or_else(|| self.attachments.iter().find(|a| a.index == 0)).map(|a| a.volume_id.as_str())
    }

    /// Whether the volume is on this server.
    #[must_use]
    pub fn has(&self, volume_id: &str) -> bool {
        self.attachments.iter().any(|a| a.volume_id == volume_id)
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
pub struct SeenVolume {
    /// The cloud's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The cloud's word for its kind, as a server would show it.
    pub volume_type: String,
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
    /// When the cloud says that it was made.
    pub created_at: Option<Timestamp>,
}

impl SeenVolume {
    /// Lives on block storage.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.volume_type == BLOCK_KIND
    }
}

/// Everything that a zone shows, in one listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// When the listing began: whatever happened later may be missing.
    pub began_at: Timestamp,
    /// Nothing can be missing: no page shifted while the next was read. What is shown is there in any case.
    pub complete: bool,
    /// All servers.
    pub servers: Vec<SeenServer>,
    /// All volumes, of both APIs.
    pub volumes: Vec<SeenVolume>,
}

/// What is shown of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// When the look began.
    pub began_at: Timestamp,
    /// Every name and id of the instance was looked for: a creation that is not shown had not turned up by then.
    pub complete: bool,
    /// It is cut out of a complete listing of the zone: absence is a hint (no more) that a resource is gone.
    pub listed: bool,
    /// Servers of the instance: by id, or by a name of ours.
    pub servers: Vec<SeenServer>,
    /// Volumes of the instance: by id, by a name of ours, or attached to its servers.
    pub volumes: Vec<SeenVolume>,
}

impl Observed {
    /// Nothing was looked at.
    #[must_use]
    pub const fn nothing(at: Timestamp) -> Self {
        Self { began_at: at, complete: false, listed: false, servers: Vec::new(), volumes: Vec::new() }
    }

    /// The server with that id.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&SeenServer> {
        self.servers.iter().find(|s| s.id == id)
    }

    /// The volume with that id.
    #[must_use]
    pub fn volume(&self, id: &str) -> Option<&SeenVolume> {
        self.volumes.iter().find(|v| v.id == id)
    }

    /// Replaces what was known of a server by what a call has just shown.
    pub fn refresh_server(&mut self, seen: SeenServer) {
        self.servers.retain(|s| s.id != seen.id);
        self.servers.push(seen);
    }

    /// Replaces what was known of a volume by what a call has just shown.
    pub fn refresh_volume(&mut self, seen: SeenVolume) {
        self.volumes.retain(|v| v.id != seen.id);
        self.volumes.push(seen);
    }
}
