//! The actions of the action log, in words.

use inventiv_core::event_kind::EventKind;

/// An action of the action log, as people call it; one that is not a step of a life cycle, as it is written.
#[must_use]
pub fn action_words(action: &str) -> &str {
    let words = EventKind::parse(action)
        .and_then(|kind| STEPS.iter().find_map(|(step, words)| (*step == kind).then_some(*words)));
    words.unwrap_or(action)
}

/// The steps of a life cycle, in words.
const STEPS: &[(EventKind, &str)] = &[
    (EventKind::RequestCreate, "requested"),
    (EventKind::RequestTerminate, "end requested"),
    (EventKind::RequestStop, "stop requested"),
    (EventKind::RequestStart, "start requested"),
    (EventKind::RequestReboot, "reboot requested"),
    (EventKind::RequestReuseVolume, "reuse requested"),
    (EventKind::RequestRetainVolume, "retention requested"),
    (EventKind::RequestReleaseVolume, "release requested"),
    (EventKind::ProviderCreate, "make the server"),
    (EventKind::ProviderCreateVolume, "make the data volume"),
    (EventKind::ProviderTagVolume, "name the volume"),
    (EventKind::ProviderTagServer, "name the server"),
    (EventKind::ProviderVolumeResize, "grow the volume"),
    (EventKind::ProviderAttachVolume, "attach the volume"),
    (EventKind::ProviderDetachVolume, "detach the volume"),
    (EventKind::ProviderSetUserData, "set up the first boot"),
    (EventKind::ProviderStart, "start the server"),
    (EventKind::ProviderStop, "stop the server"),
    (EventKind::ProviderReboot, "reboot the server"),
    (EventKind::ProviderDelete, "delete the server"),
    (EventKind::ProviderDeleteVolume, "delete the volume"),
    (EventKind::ProviderProveServerGone, "prove the server gone"),
    (EventKind::ProviderProveVolumeGone, "prove the volume gone"),
    (EventKind::ProviderGetIp, "address"),
    (EventKind::VolumeFound, "volume found"),
    (EventKind::VolumeAdopted, "volume adopted"),
    (EventKind::VolumeRetained, "volume retained"),
    (EventKind::ServerAdopted, "server adopted"),
    (EventKind::WorkerBootstrap, "install the worker"),
    (EventKind::WorkerRestarted, "worker restarted"),
    (EventKind::WorkerDataVolume, "mount the data volume"),
    (EventKind::EngineImagePull, "fetch the engine's image"),
    (EventKind::ModelDownload, "download the model"),
    (EventKind::EngineStart, "start the engine"),
    (EventKind::EngineProbe, "ask the model"),
    (EventKind::InstanceUnavailable, "unavailable"),
    (EventKind::InstanceDraining, "drain"),
    (EventKind::InstanceStartupFailed, "the model will not answer"),
    (EventKind::RequestExtend, "extended"),
    (EventKind::InstanceExpiresSoon, "ends soon"),
    (EventKind::InstanceReady, "ready"),
    (EventKind::InstanceStopped, "stopped"),
    (EventKind::InstanceTerminated, "terminated"),
    (EventKind::InstanceFailed, "failed"),
];
