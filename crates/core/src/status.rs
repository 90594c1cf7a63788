//! Statuses of instances and volumes, and the states of creations.

use crate::words::words;

words!(
    /// The status of an instance.
    Status {
        /// The server and the volumes are being created.
        Provisioning = "provisioning",
        /// The start of the server was requested.
        Booting = "booting",
        /// The worker prepares the data volume and the engine.
        Installing = "installing",
        /// The model is downloaded, and the engine loads it.
        Starting = "starting",
        /// The model answers. Without a model: the server runs, and every requested volume is attached.
        Ready = "ready",
        /// It was ready, and the model does not answer now.
        Unavailable = "unavailable",
        /// The model will not answer. It still costs money, and ends soon unless it is kept.
        StartupFailed = "startup_failed",
        /// Its server is being stopped on request.
        Stopping = "stopping",
        /// Its server is stopped on request. Its volumes stay, and cost money.
        Stopped = "stopped",
        /// Its end was requested, and the requests that its model is answering are finished first.
        Draining = "draining",
        /// Being removed: on request, or because it failed (then `error` says why).
        Terminating = "terminating",
        /// Everything that should be deleted is proven gone.
        Terminated = "terminated",
        /// It could not be created, and everything that was created is proven gone.
        ProvisioningFailed = "provisioning_failed",
    }
);

impl Status {
    /// Whether the instance has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Terminated | Self::ProvisioningFailed => true,
            Self::Provisioning
            | Self::Booting
            | Self::Installing
            | Self::Starting
            | Self::Ready
            | Self::Unavailable
            | Self::StartupFailed
            | Self::Draining
            | Self::Stopping
            | Self::Stopped
            | Self::Terminating => false,
        }
    }
}

words!(
    /// The desired state of an instance.
    Desired {
        /// It should exist and run.
        Present = "present",
        /// It should exist, with its server stopped.
        Stopped = "stopped",
        /// It should be gone.
        Absent = "absent",
    }
);

words!(
    /// The state of the creation of a resource.
    CreateState {
        /// The intent is committed; the call may or may not have been sent.
        Intended = "intended",
        /// The call was sent and its response was lost. The resource may exist.
        Unconfirmed = "unconfirmed",
        /// The resource exists or existed, and its id is known.
        Created = "created",
        /// Certainly nothing was created.
        Refused = "refused",
        /// The attempt was given up after the grace. Its name stays watched: a late arrival is removed.
        Abandoned = "abandoned",
    }
);

impl CreateState {
    /// Whether the outcome of the creation is still unknown.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Intended | Self::Unconfirmed => true,
            Self::Created | Self::Refused | Self::Abandoned => false,
        }
    }
}

words!(
    /// The status of a volume.
    VolumeStatus {
        /// Requested, and not observed yet.
        Creating = "creating",
        /// Exists, not attached.
        Available = "available",
        /// Being attached.
        Attaching = "attaching",
        /// Attached to the instance's server.
        Attached = "attached",
        /// Being detached.
        Detaching = "detaching",
        /// Its deletion was requested and is not proven yet.
        Deleting = "deleting",
        /// Proven gone.
        Deleted = "deleted",
        /// Kept on purpose after its instance ended. It still costs money.
        Retained = "retained",
        /// Retained, and then given to another instance, which has a row of its own for it.
        Reused = "reused",
        /// A third party's volume that was found on our server. It was left alone.
        Released = "released",
        /// Its creation was refused or abandoned.
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
            Self::Deleted | Self::Retained | Self::Reused | Self::Released | Self::Failed => false,
        }
    }
}

words!(
    /// What happens to a volume when its server is removed.
    VolumeKind {
        /// On block storage: it survives every operation on the server.
        Network = "network",
        /// On the server's host: deleted when the server is terminated, detachable while the server is stopped.
        LocalDetachable = "local_detachable",
        /// On the server's host, and always deleted with the server.
        LocalWithServer = "local_with_server",
        /// The driver does not know the cloud's word: treated as local, and searched for in every API.
        Unknown = "unknown",
    }
);

words!(
    /// Why nothing more is done now, as a word for programs.
    NoteCode {
        /// It waits for the cloud, or for time to pass.
        Waiting = "waiting",
        /// The provider refused a call, which is retried.
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
    /// Who created a volume.
    Origin {
        /// The cloud, by itself, with the server.
        Cloud = "cloud",
        /// We did.
        Ours = "ours",
        /// A third party: detached, reported, never deleted.
        Foreign = "foreign",
        /// We did, for a short time: its presence shows that the credentials can see Block Storage.
        Witness = "witness",
    }
);

words!(
    /// The kind of a resource in the cloud.
    ResourceKind {
        /// A server.
        Server = "server",
        /// A volume.
        Volume = "volume",
    }
);

words!(
    /// The status of a line of the action log.
    LogStatus {
        /// The call may have been sent. Its process may have stopped since.
        InProgress = "in_progress",
        /// It succeeded.
        Completed = "completed",
        /// It certainly had no effect.
        Failed = "failed",
        /// Its response was lost, so it may have had an effect.
        Unknown = "unknown",
    }
);

#[cfg(test)]
mod tests;
