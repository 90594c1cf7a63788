//! Actions: what a plan asks for, one provider call each, and the names they have in the action log.

use crate::id::{ServerId, VolumeId};
use crate::recorded::{Server, Volume};

/// One thing to do now. Whoever carries it out has no choices left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a server; the row is written first.
    CreateServer(Box<Server>),
    /// Make a data volume; the row is written first.
    CreateVolume(Box<Volume>),
    /// Give a volume our name and tags.
    TagVolume(VolumeId),
    /// Give a server our name and tags again.
    TagServer(ServerId),
    /// Grow a volume to so many bytes.
    ResizeVolume(VolumeId, i64),
    /// Attach a volume to a server.
    AttachVolume(VolumeId, ServerId),
    /// Detach a volume from a server.
    DetachVolume(VolumeId, ServerId),
    /// Give a server its first-boot instructions.
    SetUserData(ServerId),
    /// Start a server.
    StartServer(ServerId),
    /// Power a server off.
    StopServer(ServerId),
    /// Take a running server away, its local volumes with it.
    TerminateServer(ServerId),
    /// Take a stopped server away, its volumes stay.
    DeleteServer(ServerId),
    /// Delete a volume.
    DeleteVolume(VolumeId),
    /// Ask for a server until the cloud says that it is gone.
    ProveServerGone(ServerId),
    /// Ask for a volume until the cloud says that it is gone.
    ProveVolumeGone(VolumeId),
}

impl Action {
    /// Its name in the action log.
    #[must_use]
    pub const fn log_name(&self) -> &'static str {
        match self {
            Self::CreateServer(_) => "PROVIDER_CREATE",
            Self::CreateVolume(_) => "PROVIDER_CREATE_VOLUME",
            Self::TagVolume(_) => "PROVIDER_TAG_VOLUME",
            Self::TagServer(_) => "PROVIDER_TAG_SERVER",
            Self::ResizeVolume(..) => "PROVIDER_VOLUME_RESIZE",
            Self::AttachVolume(..) => "PROVIDER_ATTACH_VOLUME",
            Self::DetachVolume(..) => "PROVIDER_DETACH_VOLUME",
            Self::SetUserData(_) => "PROVIDER_SET_USER_DATA",
            Self::StartServer(_) => "PROVIDER_START",
            Self::StopServer(_) => "PROVIDER_STOP",
            Self::TerminateServer(_) | Self::DeleteServer(_) => "PROVIDER_DELETE",
            Self::DeleteVolume(_) => "PROVIDER_DELETE_VOLUME",
            Self::ProveServerGone(_) => "PROVIDER_PROVE_SERVER_GONE",
            Self::ProveVolumeGone(_) => "PROVIDER_PROVE_VOLUME_GONE",
        }
    }

    /// Which of two calls a name stands for, where it stands for two.
    #[must_use]
    pub const fn removal_method(&self) -> Option<&'static str> {
        if matches!(self, Self::TerminateServer(_)) {
            Some("terminate: local volumes go with the server, block volumes stay")
        } else if matches!(self, Self::DeleteServer(_)) {
            Some("delete: every volume stays")
        } else {
            None
        }
    }

    /// The volume it is about.
    #[must_use]
    pub fn volume_id(&self) -> Option<&VolumeId> {
        match self {
            Self::CreateVolume(row) => Some(&row.id),
            Self::TagVolume(id)
            | Self::ResizeVolume(id, _)
            | Self::AttachVolume(id, _)
            | Self::DetachVolume(id, _)
            | Self::DeleteVolume(id)
            | Self::ProveVolumeGone(id) => Some(id),
            Self::CreateServer(_)
            | Self::TagServer(_)
            | Self::SetUserData(_)
            | Self::StartServer(_)
            | Self::StopServer(_)
            | Self::TerminateServer(_)
            | Self::DeleteServer(_)
            | Self::ProveServerGone(_) => None,
        }
    }

    /// The server it is about.
    #[must_use]
    pub fn server_id(&self) -> Option<&ServerId> {
        match self {
            Self::CreateServer(row) => Some(&row.id),
            Self::AttachVolume(_, id)
            | Self::DetachVolume(_, id)
            | Self::TagServer(id)
            | Self::SetUserData(id)
            | Self::StartServer(id)
            | Self::StopServer(id)
            | Self::TerminateServer(id)
            | Self::DeleteServer(id)
            | Self::ProveServerGone(id) => Some(id),
            Self::CreateVolume(_)
            | Self::TagVolume(_)
            | Self::ResizeVolume(..)
            | Self::DeleteVolume(_)
            | Self::ProveVolumeGone(_) => None,
        }
    }

    /// Whether the call makes something: such a call is never sent twice for one intent.
    #[must_use]
    pub const fn creates(&self) -> bool {
        matches!(self, Self::CreateServer(_) | Self::CreateVolume(_))
    }

    /// Whether the call only reads.
    #[must_use]
    pub const fn reads(&self) -> bool {
        matches!(self, Self::ProveServerGone(_) | Self::ProveVolumeGone(_))
    }
}

/// Something worth telling that is not a provider call: it becomes a closed line of the action log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name in the action log.
    pub name: &'static str,
    /// Which volume it is about.
    pub volume_id: Option<VolumeId>,
    /// The cloud's id of the resource.
    pub resource_id: Option<String>,
    /// One sentence.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{gone_server, owned_volume, proof_of};

    #[test]
    fn each_action_says_what_it_is_about() {
        let (v, s) = (owned_volume().id, ServerId::new(8));
        let server = gone_server(proof_of("s-1"));
        // Action; its name; volume, server; makes something, only reads.
        let cases: Vec<(Action, &str, bool, bool, &str)> = vec![
            (Action::CreateServer(Box::new(server)), "CREATE", false, true, "makes"),
            (Action::CreateVolume(Box::new(owned_volume())), "CREATE_VOLUME", true, false, "makes"),
            (Action::TagVolume(v.clone()), "TAG_VOLUME", true, false, ""),
            (Action::TagServer(s.clone()), "TAG_SERVER", false, true, ""),
            (Action::ResizeVolume(v.clone(), 1), "VOLUME_RESIZE", true, false, ""),
            (Action::AttachVolume(v.clone(), s.clone()), "ATTACH_VOLUME", true, true, ""),
            (Action::DetachVolume(v.clone(), s.clone()), "DETACH_VOLUME", true, true, ""),
            (Action::SetUserData(s.clone()), "SET_USER_DATA", false, true, ""),
            (Action::StartServer(s.clone()), "START", false, true, ""),
            (Action::StopServer(s.clone()), "STOP", false, true, ""),
            (Action::TerminateServer(s.clone()), "DELETE", false, true, ""),
            (Action::DeleteServer(s.clone()), "DELETE", false, true, ""),
            (Action::DeleteVolume(v.clone()), "DELETE_VOLUME", true, false, ""),
            (Action::ProveServerGone(s.clone()), "PROVE_SERVER_GONE", false, true, "reads"),
            (Action::ProveVolumeGone(v.clone()), "PROVE_VOLUME_GONE", true, false, "reads"),
        ];
        for (action, name, of_volume, of_server, kind) in cases {
            assert_eq!(action.log_name(), format!("PROVIDER_{name}"));
            assert_eq!(action.volume_id(), of_volume.then_some(&v), "{name}");
            assert_eq!(action.server_id(), of_server.then_some(&s), "{name}");
            assert_eq!((action.creates(), action.reads()), (kind == "makes", kind == "reads"), "{name}");
            let removal_method = action.removal_method().and_then(|r| r.split(':').next());
            let expected = if matches!(action, Action::TerminateServer(_)) {
                Some("terminate")
            } else {
                matches!(action, Action::DeleteServer(_)).then_some("delete")
            };
            assert_eq!(removal_method, expected, "{name}");
        }
    }
}
