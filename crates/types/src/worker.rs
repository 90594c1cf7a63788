//! Workers: the program on a server that runs the engine and tells whether the model answers.

use crate::Time;
use inventiv_core::worker::report::Phase;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The worker of an instance, as it was last recorded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Worker {
    /// The version of its program; `null` before its first report.
    pub version: Option<String>,
    /// What it is doing; `null` before its first report.
    pub phase: Option<Phase>,
    /// What the instance waits for, as a sentence. The wording may change at any time.
    pub waits_for: Option<String>,
    /// How far the current download is.
    pub progress: Option<DownloadProgress>,
    /// When it first responded.
    pub first_contact_at: Option<Time>,
    /// Since when it does not respond; `null`: it responds.
    pub unreachable_since: Option<Time>,
    /// When the following facts were recorded. A change of them is recorded at once, measurements every two minutes.
    pub reported_at: Option<Time>,
    /// The engine.
    pub engine: Option<EngineState>,
    /// The last probe: a real request to the model.
    pub probe: Option<ProbeResult>,
    /// Requests for the model that were being answered.
    pub requests_in_flight: Option<u32>,
    /// The GPUs.
    pub gpus: Vec<Gpu>,
    /// The file systems: the boot disk, and the data volume where there is one.
    pub disks: Vec<Disk>,
    /// The main memory in bytes.
    pub memory_bytes: Option<i64>,
    /// The main memory that can still be used, in bytes.
    pub memory_free_bytes: Option<i64>,
    /// Why the model will not answer; `null` unless the status is `startup_failed`.
    pub failure: Option<ServingFailure>,
}

/// How far a download is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DownloadProgress {
    /// Bytes that are there.
    pub done_bytes: i64,
    /// Bytes of the whole; `null`: not known.
    pub total_bytes: Option<i64>,
}

/// The process or container of an engine.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EngineState {
    /// Whether it runs.
    pub running: bool,
    /// How many times it was started again after it had ended.
    pub restarts: u32,
    /// How its last run ended.
    pub last_exit: Option<String>,
}

/// The result of a probe.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProbeResult {
    /// Whether the model answered.
    pub answered: bool,
    /// How many probes in a row have failed.
    pub failures: u32,
    /// How long the answer took, in milliseconds.
    pub latency_ms: i64,
    /// Why it failed.
    pub error: Option<String>,
}

/// A GPU as its driver shows it; `null` for what the driver does not show.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Gpu {
    /// Its name, for instance `NVIDIA L40S`.
    pub name: String,
    /// Its memory in bytes.
    pub memory_bytes: Option<i64>,
    /// The memory that is in use, in bytes.
    pub memory_used_bytes: Option<i64>,
    /// How busy it was, in percent.
    pub busy_percent: Option<i64>,
    /// Its temperature in degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// The power that it draws, in milliwatts.
    pub power_milliwatts: Option<i64>,
    /// Memory errors that could not be corrected.
    pub ecc_errors: Option<i64>,
    /// The last errors of the driver (Xid).
    pub xid_errors: Vec<String>,
}

/// A file system of a server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// Where it is mounted.
    pub mounted_at: String,
    /// Its size in bytes.
    pub total_bytes: i64,
    /// The bytes that can still be written.
    pub free_bytes: i64,
}

/// Why a model will not answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServingFailure {
    /// A stable word for programs, for instance `gpu_memory` or `model_gated`.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// When it was first seen.
    pub at: Time,
    /// When the instance ends because of it; `null`: it is kept.
    pub ends_at: Option<Time>,
}

/// Which lines of an instance's log.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListLogLines {
    /// The account, by name or id, if an instance is named and several accounts have one of that name.
    pub account: Option<String>,
    /// Whether the response goes on with new lines, as server-sent events.
    pub follow: Option<bool>,
    /// Only lines from `engine`, `worker` or `install` (disks, images, downloads).
    pub source: Option<String>,
    /// At most so many of the last lines. The default is 200; a worker keeps 2000.
    #[param(minimum = 1, maximum = 2000)]
    pub tail: Option<u32>,
}

/// A line of an instance's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceLogLine {
    /// When it was written, by the server's clock; `null` for lines that were kept of an instance that failed.
    pub at: Option<Time>,
    /// `engine`, `worker` or `install`; `null` for lines that were kept of an instance that failed.
    pub source: Option<String>,
    /// The line.
    pub text: String,
}
