//! Statuses: the words people see, and the words we keep about creations.

use crate::words::words;

words!(
    /// Where an instance is in its life.
    Status {
        /// Server and volumes are being made.
        Provisioning = "provisioning",
        /// The server was told to start.
        Booting = "booting",
        /// Running, every wanted volume attached.
        Ready = "ready",
        /// Being taken away: asked for, or because it failed (then `error` says why).
        Terminating = "terminating",
        /// Everything that should go is proven gone.
        Terminated = "terminated",
        /// It could not be made, and everything that was made is proven gone.
        ProvisioningFailed = "provisioning_failed",
    }
);

impl Status {
    /// Whether the life is over.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Terminated | Self::ProvisioningFailed => true,
            Self::Provisioning | Self::Booting | Self::Ready | Self::Terminating => false,
        }
    }
}

words!(
    /// What people want of an instance.
    Desired {
        /// It should exist and run.
        Present = "present",
        /// It should be gone.
        Absent = "absent",
    }
);

words!(
    /// What is known of the creation of a resource.
    CreateState {
        /// The intent is committed; the call may or may not have been sent.
        Intended = "intended",
        /// Sent, and the answer was lost: it exists or will, or not.
        Unconfirmed = "unconfirmed",
        /// It exists (or existed) and is ours; its id is known.
        Created = "created",
        /// Surely nothing was made.
        Refused = "refused",
        /// Given up after the grace. Watched for ever: a late arrival is removed.
        Abandoned = "abandoned",
    }
);

impl CreateState {
    /// Whether it is still open what became of the creation.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Intended | Self::Unconfirmed => true,
            Self::Created | Self::Refused | Self::Abandoned => false,
        }
    }
}

words!(
    /// Where a volume is in its life.
    VolumeStatus {
        /// Asked for; not seen yet.
        Creating = "creating",
        /// Exists, not attached.
        Available = "available",
        /// Being attached.
        Attaching = "attaching",
        /// Attached to the instance's server.
        Attached = "attached",
        /// Being detached.
        Detaching = "detaching",
        /// Its deletion is under way and not proven yet.
        Deleting = "deleting",
        /// Proven gone.
        Deleted = "deleted",
        /// Kept on purpose after its instance ended. It still costs money.
        Retained = "retained",
        /// Not ours: found on our server, let go, never deleted.
        Released = "released",
        /// Its creation was refused, or given up.
        Failed = "failed",
    }
);

impl VolumeStatus {
    /// Whether such a volume exists and belongs to the instance: what `storage_count` counts.
    #[must_use]
    pub const fn counts(self) -> bool {
        match self {
            Self::Available | Self::Attaching | Self::Attached | Self::Detaching | Self::Deleting | Self::Creating => {
                true
            }
            Self::Deleted | Self::Retained | Self::Released | Self::Failed => false,
        }
    }
}

words!(
    /// What the end of a server means for a volume on it.
    VolumeKind {
        /// On block storage: it survives every operation on the server.
        Network = "network",
        /// On the server's host: it goes with a server that is terminated, and can be detached from one that is off.
        LocalDetachable = "local_detachable",
        /// On the server's host, and never without the server.
        LocalWithServer = "local_with_server",
        /// The driver does not know the cloud's word: treated as local, and looked for in every API.
        Unknown = "unknown",
    }
);

words!(
    /// Why nothing more is done now, as a word for programs.
    NoteCode {
        /// It waits for the cloud, or for time to pass.
        Waiting = "waiting",
        /// The provider refused a call, which is tried again.
        Refused = "refused",
        /// The provider refuses the credentials, or they do not see the project.
        Credentials = "credentials",
        /// The records look older than the cloud: nothing is done until an operator decides.
        Frozen = "frozen",
        /// An operator has to act; what to do is in the note.
        ActionNeeded = "action_needed",
    }
);

words!(
    /// Who made a volume.
    Origin {
        /// The cloud, by itself, with the server.
        Cloud = "cloud",
        /// We did.
        Ours = "ours",
        /// Somebody else: detached, reported, never deleted.
        Foreign = "foreign",
        /// We did, for a moment: its presence shows that the credentials see block storage, so that an absence counts.
        Witness = "witness",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for s in Status::ALL {
            assert_eq!(Status::parse(s.text()), Some(*s));
        }
        for s in VolumeStatus::ALL {
            assert_eq!(VolumeStatus::parse(s.text()), Some(*s));
        }
        assert_eq!(Status::parse("gone"), None);
    }

    #[test]
    fn what_exists_and_belongs_to_the_instance_counts() {
        let counted: Vec<VolumeStatus> = VolumeStatus::ALL.iter().copied().filter(|s| s.counts()).collect();
        let wanted = [
            VolumeStatus::Creating,
            VolumeStatus::Available,
            VolumeStatus::Attaching,
            VolumeStatus::Attached,
            VolumeStatus::Detaching,
            VolumeStatus::Deleting,
        ];
        assert_eq!(counted, wanted);
        let open: Vec<CreateState> = CreateState::ALL.iter().copied().filter(|s| s.is_open()).collect();
        assert_eq!(open, [CreateState::Intended, CreateState::Unconfirmed]);
        let last: Vec<Status> = Status::ALL.iter().copied().filter(|s| s.is_final()).collect();
        assert_eq!(last, [Status::Terminated, Status::ProvisioningFailed]);
    }
}
