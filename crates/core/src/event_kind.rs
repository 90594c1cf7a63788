//! The kinds of lines in the action log.

use crate::words::words;

words!(
    /// What a line of the action log is about: a request, a provider call or an observation.
    EventKind {
        /// A user requested an instance.
        RequestCreate = "REQUEST_CREATE",
        /// A user requested the end of an instance.
        RequestTerminate = "REQUEST_TERMINATE",
        /// A user requested that an instance is stopped.
        RequestStop = "REQUEST_STOP",
        /// A user requested that a stopped instance is started.
        RequestStart = "REQUEST_START",
        /// A user requested a reboot.
        RequestReboot = "REQUEST_REBOOT",
        /// A user changed when an instance ends by itself.
        RequestExtend = "REQUEST_EXTEND",
        /// An instance ends by itself soon.
        InstanceExpiresSoon = "INSTANCE_EXPIRES_SOON",
        /// A user renamed an instance.
        RequestRename = "REQUEST_RENAME",
        /// A user requested that a volume is retained after its instance's end.
        RequestRetainVolume = "REQUEST_RETAIN_VOLUME",
        /// A user requested an instance with this retained volume.
        RequestReuseVolume = "REQUEST_REUSE_VOLUME",
        /// A user requested that a volume is deleted with its instance, or now.
        RequestReleaseVolume = "REQUEST_RELEASE_VOLUME",
        /// Call: create a server.
        ProviderCreate = "PROVIDER_CREATE",
        /// Call: create a volume.
        ProviderCreateVolume = "PROVIDER_CREATE_VOLUME",
        /// Call: set the name and tags of a server.
        ProviderTagServer = "PROVIDER_TAG_SERVER",
        /// Call: set the name and tags of a volume.
        ProviderTagVolume = "PROVIDER_TAG_VOLUME",
        /// Call: grow a volume.
        ProviderVolumeResize = "PROVIDER_VOLUME_RESIZE",
        /// Call: attach a volume.
        ProviderAttachVolume = "PROVIDER_ATTACH_VOLUME",
        /// Call: detach a volume.
        ProviderDetachVolume = "PROVIDER_DETACH_VOLUME",
        /// Call: set the first-boot instructions of a server.
        ProviderSetUserData = "PROVIDER_SET_USER_DATA",
        /// Call: start a server.
        ProviderStart = "PROVIDER_START",
        /// Call: power a server off.
        ProviderStop = "PROVIDER_STOP",
        /// Call: reboot a server.
        ProviderReboot = "PROVIDER_REBOOT",
        /// Call: remove a server, by either method.
        ProviderDelete = "PROVIDER_DELETE",
        /// Call: delete a volume.
        ProviderDeleteVolume = "PROVIDER_DELETE_VOLUME",
        /// Call: read a server, to prove that it is gone.
        ProviderProveServerGone = "PROVIDER_PROVE_SERVER_GONE",
        /// Call: read a volume, to prove that it is gone.
        ProviderProveVolumeGone = "PROVIDER_PROVE_VOLUME_GONE",
        /// The server shows its public address.
        ProviderGetIp = "PROVIDER_GET_IP",
        /// An instance became ready.
        InstanceReady = "INSTANCE_READY",
        /// The worker's program was installed, and runs.
        WorkerBootstrap = "WORKER_BOOTSTRAP",
        /// The worker's program started again.
        WorkerRestarted = "WORKER_RESTARTED",
        /// The worker prepared the data volume.
        WorkerDataVolume = "WORKER_DATA_VOLUME",
        /// The worker fetched the image of the engine.
        EngineImagePull = "ENGINE_IMAGE_PULL",
        /// The worker downloaded the model.
        ModelDownload = "MODEL_DOWNLOAD",
        /// The engine started and loaded the model.
        EngineStart = "ENGINE_START",
        /// The model answered a request of the worker.
        EngineProbe = "ENGINE_PROBE",
        /// The model of an instance that was ready does not answer.
        InstanceUnavailable = "INSTANCE_UNAVAILABLE",
        /// The requests that a model is answering are finished before its instance ends.
        InstanceDraining = "INSTANCE_DRAINING",
        /// The model of an instance will not answer.
        InstanceStartupFailed = "INSTANCE_STARTUP_FAILED",
        /// An instance was stopped on request.
        InstanceStopped = "INSTANCE_STOPPED",
        /// An instance failed, and is removed.
        InstanceFailed = "INSTANCE_FAILED",
        /// Everything of an instance that should be deleted is proven gone.
        InstanceTerminated = "INSTANCE_TERMINATED",
        /// An instance was rebuilt from what the cloud shows.
        InstanceRecovered = "INSTANCE_RECOVERED",
        /// A server that was not recorded is ours by its name.
        ServerAdopted = "SERVER_ADOPTED",
        /// A third party removed a server.
        ServerDisappeared = "SERVER_DISAPPEARED",
        /// A third party renamed a server.
        ServerRenamed = "SERVER_RENAMED",
        /// A third party removed our tags from a server.
        ServerUntagged = "SERVER_UNTAGGED",
        /// A third party stopped a server.
        ServerStopped = "SERVER_STOPPED",
        /// A volume that was not recorded is ours by its name.
        VolumeAdopted = "VOLUME_ADOPTED",
        /// A volume came with a server.
        VolumeFound = "VOLUME_FOUND",
        /// A third party deleted a volume.
        VolumeDisappeared = "VOLUME_DISAPPEARED",
        /// A third party renamed a volume.
        VolumeRenamed = "VOLUME_RENAMED",
        /// A third party removed our tags from a volume.
        VolumeUntagged = "VOLUME_UNTAGGED",
        /// A third party changed the size of a volume.
        VolumeResized = "VOLUME_RESIZED",
        /// A third party detached a volume.
        VolumeDetached = "VOLUME_DETACHED",
        /// A volume was retained on purpose after its instance's end.
        VolumeRetained = "VOLUME_RETAINED",
        /// A third party's volume is on our server.
        ForeignVolumeFound = "FOREIGN_VOLUME_FOUND",
        /// A third party's volume stays after our server's end.
        ForeignVolumeReleased = "FOREIGN_VOLUME_RELEASED",
        /// A third party's address stays after our server's end.
        ForeignAddressLeft = "FOREIGN_ADDRESS_LEFT",
        /// The resource of an unconfirmed creation never appeared.
        AttemptAbandoned = "ATTEMPT_ABANDONED",
        /// A resource that was proven gone is shown again.
        ResourceReappeared = "RESOURCE_REAPPEARED",
        /// The cloud shows a newer policy than the records.
        RecordsOlderThanCloud = "RECORDS_OLDER_THAN_CLOUD",
        /// The cloud's newer policy was recorded.
        PolicyRecovered = "POLICY_RECOVERED",
        /// The sweep handed an orphan to its instance, which deletes it.
        OrphanTaken = "ORPHAN_TAKEN",
        /// A volume is needed to show that the credentials can see Block Storage.
        WitnessNeeded = "WITNESS_NEEDED",
    }
);

impl EventKind {
    /// Whether a line shows how a resource was created or removed: such lines are evidence, and are never deleted.
    #[must_use]
    pub const fn is_evidence(self) -> bool {
        match self {
            Self::ProviderCreate
            | Self::ProviderCreateVolume
            | Self::ProviderDelete
            | Self::ProviderDeleteVolume
            | Self::ProviderProveServerGone
            | Self::ProviderProveVolumeGone
            | Self::InstanceRecovered
            | Self::ServerAdopted
            | Self::ServerDisappeared
            | Self::VolumeAdopted
            | Self::VolumeFound
            | Self::VolumeDisappeared
            | Self::VolumeRetained
            | Self::RequestReuseVolume
            | Self::ForeignVolumeFound
            | Self::ForeignVolumeReleased
            | Self::ForeignAddressLeft
            | Self::AttemptAbandoned
            | Self::ResourceReappeared
            | Self::RecordsOlderThanCloud
            | Self::PolicyRecovered
            | Self::OrphanTaken => true,
            Self::RequestCreate
            | Self::RequestTerminate
            | Self::RequestStop
            | Self::RequestStart
            | Self::RequestReboot
            | Self::ProviderReboot
            | Self::InstanceStopped
            | Self::RequestRename
            | Self::RequestExtend
            | Self::InstanceExpiresSoon
            | Self::RequestRetainVolume
            | Self::RequestReleaseVolume
            | Self::ProviderTagServer
            | Self::ProviderTagVolume
            | Self::ProviderVolumeResize
            | Self::ProviderAttachVolume
            | Self::ProviderDetachVolume
            | Self::ProviderSetUserData
            | Self::ProviderStart
            | Self::ProviderStop
            | Self::ProviderGetIp
            | Self::InstanceReady
            | Self::WorkerBootstrap
            | Self::WorkerRestarted
            | Self::WorkerDataVolume
            | Self::EngineImagePull
            | Self::ModelDownload
            | Self::EngineStart
            | Self::EngineProbe
            | Self::InstanceUnavailable
            | Self::InstanceDraining
            | Self::InstanceStartupFailed
            | Self::InstanceFailed
            | Self::InstanceTerminated
            | Self::ServerRenamed
            | Self::ServerUntagged
            | Self::ServerStopped
            | Self::VolumeRenamed
            | Self::VolumeUntagged
            | Self::VolumeResized
            | Self::VolumeDetached
            | Self::WitnessNeeded => false,
        }
    }
}

#[cfg(test)]
mod tests;
