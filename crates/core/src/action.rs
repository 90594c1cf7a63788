//! Actions: what a plan asks for, one provider call each, with their kinds in the action log.

use crate::cloud::Spares;
use crate::event_kind::EventKind;
use crate::id::{ServerId, VolumeId};
use crate::recorded::{Server, Volume};

/// One provider call to make now. Nothing is left to decide when it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create something. The row is committed first; such a call is never sent twice for one intent.
    Create(Creation),
    /// Call about a server.
    Server(ServerId, ServerCall),
    /// Call about a volume.
    Volume(VolumeId, VolumeCall),
}

/// What is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// A server.
    Server(Box<Server>),
    /// A data volume.
    Volume(Box<Volume>),
}

/// A call about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCall {
    /// Set our name and tags again.
    Tag,
    /// Set its first-boot instructions.
    SetUserData,
    /// Start it.
    Start,
    /// Power it off.
    Stop,
    /// Reboot it.
    Reboot,
    /// Remove it while it runs; its local volumes are deleted.
    Terminate,
    /// Remove it while it is stopped; its volumes stay.
    Delete,
    /// Read it, to prove that it is gone.
    ProveGone,
}

/// A call about a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeCall {
    /// Set our name and tags.
    Tag,
    /// Grow it to so many bytes.
    Resize(i64),
    /// Attach it to a server.
    Attach(ServerId),
    /// Detach it from a server.
    Detach(ServerId),
    /// Delete it.
    Delete,
    /// Read it, to prove that it is gone.
    ProveGone,
}

impl Action {
    /// Its kind in the action log.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Create(Creation::Server(_)) => EventKind::ProviderCreate,
            Self::Create(Creation::Volume(_)) => EventKind::ProviderCreateVolume,
            Self::Server(_, call) => match call {
                ServerCall::Tag => EventKind::ProviderTagServer,
                ServerCall::SetUserData => EventKind::ProviderSetUserData,
                ServerCall::Start => EventKind::ProviderStart,
                ServerCall::Stop => EventKind::ProviderStop,
                ServerCall::Reboot => EventKind::ProviderReboot,
                ServerCall::Terminate | ServerCall::Delete => EventKind::ProviderDelete,
                ServerCall::ProveGone => EventKind::ProviderProveServerGone,
            },
            Self::Volume(_, call) => match call {
                VolumeCall::Tag => EventKind::ProviderTagVolume,
                VolumeCall::Resize(_) => EventKind::ProviderVolumeResize,
                VolumeCall::Attach(_) => EventKind::ProviderAttachVolume,
                VolumeCall::Detach(_) => EventKind::ProviderDetachVolume,
                VolumeCall::Delete => EventKind::ProviderDeleteVolume,
                VolumeCall::ProveGone => EventKind::ProviderProveVolumeGone,
            },
        }
    }

    /// The removal method of a server, in a cloud whose removal of a running server spares these volumes. One kind in the
    /// action log stands for both methods.
    #[must_use]
    pub const fn removal_method(&self, while_running: Spares) -> Option<&'static str> {
        match self {
            Self::Server(_, ServerCall::Terminate) => Some(match while_running {
                Spares::BlockVolumes => "terminate: local volumes are deleted with the server, block volumes stay",
                Spares::EveryVolume => "terminate: every volume stays",
            }),
            Self::Server(_, ServerCall::Delete) => Some("delete: every volume stays"),
            Self::Create(_) | Self::Server(..) | Self::Volume(..) => None,
        }
    }

    /// The volume that it is about.
    #[must_use]
    pub fn volume_id(&self) -> Option<&VolumeId> {
        match self {
            Self::Create(Creation::Volume(row)) => Some(&row.id),
            Self::Volume(id, _) => Some(id),
            Self::Create(Creation::Server(_)) | Self::Server(..) => None,
        }
    }

    /// The server that it is about.
    #[must_use]
    pub fn server_id(&self) -> Option<&ServerId> {
        match self {
            Self::Create(Creation::Server(row)) => Some(&row.id),
            Self::Server(id, _) | Self::Volume(_, VolumeCall::Attach(id) | VolumeCall::Detach(id)) => Some(id),
            Self::Create(Creation::Volume(_)) | Self::Volume(..) => None,
        }
    }

    /// Whether the call creates something: such a call is never sent twice for one intent.
    #[must_use]
    pub const fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    /// Whether the call only reads.
    #[must_use]
    pub const fn reads(&self) -> bool {
        matches!(self, Self::Server(_, ServerCall::ProveGone) | Self::Volume(_, VolumeCall::ProveGone))
    }
}

/// Something worth reporting that is not a provider call: it becomes a closed line of the action log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its kind in the action log.
    pub kind: EventKind,
    /// Which volume it is about.
    pub volume_id: Option<VolumeId>,
    /// The cloud's id of the resource.
    pub resource_id: Option<String>,
    /// One sentence.
    pub text: String,
    /// How long it took until now, in milliseconds; `None`: it happened at once.
    pub lasted_ms: Option<i64>,
    /// Whether it is about something that did not succeed.
    pub failed: bool,
}

impl Event {
    /// An event about the whole instance.
    #[must_use]
    pub fn told(kind: EventKind, text: impl Into<String>) -> Self {
        Self { kind, volume_id: None, resource_id: None, text: text.into(), lasted_ms: None, failed: false }
    }
}

#[cfg(test)]
mod tests;
