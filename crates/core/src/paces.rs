//! The durations of changes in a cloud.

/// The shortest observed duration of each change, in milliseconds, and the usual one (the median) of the longest.
///
/// A property of the cloud, taken from recordings. Servers with GPUs take longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paces {
    /// See [`crate::plan::Change::VolumeMade`].
    pub volume_made_ms: i64,
    /// See [`crate::plan::Change::VolumeAttached`].
    pub volume_attached_ms: i64,
    /// See [`crate::plan::Change::ActionsAllowed`].
    pub actions_allowed_ms: i64,
    /// See [`crate::plan::Change::ServerRuns`].
    pub server_runs_ms: i64,
    /// The same with GPUs.
    pub gpu_server_runs_ms: i64,
    /// The usual duration until a server runs.
    pub server_usually_runs_ms: i64,
    /// The same with GPUs.
    pub gpu_server_usually_runs_ms: i64,
    /// See [`crate::plan::Change::ServerStopped`].
    pub server_stopped_ms: i64,
    /// See [`crate::plan::Change::ServerGone`].
    pub server_gone_ms: i64,
    /// The same with GPUs.
    pub gpu_server_gone_ms: i64,
    /// See [`crate::plan::Change::VolumeFree`].
    pub volume_free_ms: i64,
}

impl Default for Paces {
    /// For a cloud without recordings: every change may come at once.
    fn default() -> Self {
        Self {
            volume_made_ms: 1_000,
            volume_attached_ms: 1_000,
            actions_allowed_ms: 1_000,
            server_runs_ms: 1_000,
            gpu_server_runs_ms: 1_000,
            server_usually_runs_ms: 1_000,
            gpu_server_usually_runs_ms: 1_000,
            server_stopped_ms: 1_000,
            server_gone_ms: 1_000,
            gpu_server_gone_ms: 1_000,
            volume_free_ms: 1_000,
        }
    }
}
