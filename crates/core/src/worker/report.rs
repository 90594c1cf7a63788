//! What a worker tells about itself, its server, its engine and its model.

use crate::event_kind::EventKind;
use crate::words::words;
use serde::{Deserialize, Serialize};

words!(
    /// What a worker is doing.
    Phase {
        /// It waits for its desired state.
        Waiting = "waiting",
        /// It prepares the data volume.
        DataVolume = "data_volume",
        /// It fetches the image of the engine.
        EngineImage = "engine_image",
        /// It downloads the model.
        ModelDownload = "model_download",
        /// The engine starts, and loads the model.
        EngineStart = "engine_start",
        /// The model answered the last probe.
        Serving = "serving",
        /// The engine runs, and the model did not answer the last probes.
        NotAnswering = "not_answering",
        /// Something failed that may pass: it tries again after a while.
        Retrying = "retrying",
        /// Something failed that does not pass by itself.
        Failed = "failed",
    }
);

words!(
    /// One step on the way to a model that answers.
    StepKind {
        /// The data volume is found, formatted if it is empty, and mounted.
        DataVolume = "data_volume",
        /// The image of the engine is fetched.
        EngineImage = "engine_image",
        /// The model is downloaded.
        ModelDownload = "model_download",
        /// The engine starts, and loads the model.
        EngineStart = "engine_start",
        /// The model answers a request.
        EngineProbe = "engine_probe",
    }
);

impl StepKind {
    /// Its kind in the action log.
    #[must_use]
    pub const fn event(self) -> EventKind {
        match self {
            Self::DataVolume => EventKind::WorkerDataVolume,
            Self::EngineImage => EventKind::EngineImagePull,
            Self::ModelDownload => EventKind::ModelDownload,
            Self::EngineStart => EventKind::EngineStart,
            Self::EngineProbe => EventKind::EngineProbe,
        }
    }
}

/// A step that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Counts the ended steps of a worker's run, from 1.
    pub number: u64,
    /// What it did.
    pub kind: StepKind,
    /// How long it took, in milliseconds.
    pub lasted_ms: i64,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// What came out, in one sentence.
    pub text: String,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes that are there.
    pub done_bytes: i64,
    /// Bytes of the whole; `None`: not known.
    pub total_bytes: Option<i64>,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFailure {
    /// A stable word, for instance `model_gated` or `disk_full`.
    pub code: String,
    /// What happened and what to do, in one or two sentences.
    pub message: String,
}

/// The last probe of the model: a real request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whether the model answered.
    pub answered: bool,
    /// How many probes in a row have failed.
    pub failures: u32,
    /// How long the answer took, in milliseconds.
    pub latency_ms: i64,
    /// How long ago it was sent when the report was made, in milliseconds.
    pub age_ms: i64,
    /// Why it failed.
    pub error: Option<String>,
}

/// The process or container of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Whether it runs.
    pub running: bool,
    /// How many times it was started again after it had ended.
    pub restarts: u32,
    /// How its last run ended, in one sentence.
    pub last_exit: Option<String>,
}

/// A GPU as its driver shows it. What the driver does not show is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuFacts {
    /// Its name, for instance `NVIDIA L40S`.
    pub name: String,
    /// Its memory in bytes.
    pub memory_bytes: Option<i64>,
    /// The memory that is in use, in bytes.
    pub memory_used_bytes: Option<i64>,
    /// How busy it was over the last moments, in percent.
    pub busy_percent: Option<i64>,
    /// Its temperature in degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// The power that it draws, in milliwatts.
    pub power_milliwatts: Option<i64>,
    /// Memory errors that could not be corrected, since the driver was loaded.
    pub ecc_errors: Option<i64>,
    /// The last errors of the driver (Xid) in the kernel's log, newest last.
    #[serde(default)]
    pub xid_errors: Vec<String>,
}

/// A file system of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// Where it is mounted.
    pub mounted_at: String,
    /// Its size in bytes.
    pub total_bytes: i64,
    /// The bytes that can still be written.
    pub free_bytes: i64,
}

/// The most items of a list in a report that are read.
const ITEMS_MAX: usize = 64;
/// The longest text in a report that is read, in characters.
const TEXT_MAX: usize = 1_000;

fn clean(text: &mut String) {
    if text.chars().count() > TEXT_MAX || text.chars().any(char::is_control) {
        *text = text.chars().take(TEXT_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
}

/// What a worker tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the worker's program.
    pub version: String,
    /// Drawn when the worker started: another value tells of a restart.
    pub run_id: String,
    /// Goes up whenever something changed that is worth telling at once.
    pub sequence: u64,
    /// The id of the desired state that the worker works on; `None`: it has none.
    pub desired_id: Option<String>,
    /// What it is doing.
    pub phase: Phase,
    /// How far the current step is, where it can be measured.
    pub progress: Option<Progress>,
    /// The last steps that have ended, oldest first.
    pub steps: Vec<Step>,
    /// Why it is in [`Phase::Failed`] or [`Phase::Retrying`].
    pub failure: Option<WorkerFailure>,
    /// The engine.
    pub engine: EngineFacts,
    /// The last probe.
    pub probe: Option<Probe>,
    /// Requests for the model that are being answered.
    pub in_flight: u32,
    /// How long nobody has asked for the model, in milliseconds; `None`: an older version, which does not know.
    #[serde(default)]
    pub idle_ms: Option<i64>,
    /// Whether it refuses new requests.
    pub draining: bool,
    /// The GPUs.
    pub gpus: Vec<GpuFacts>,
    /// The file systems: the boot disk, and the data volume where there is one.
    pub disks: Vec<DiskFacts>,
    /// The main memory in bytes.
    pub memory_bytes: Option<i64>,
    /// The main memory that can still be used, in bytes.
    pub memory_free_bytes: Option<i64>,
}

impl Report {
    /// The number of the last step that has ended.
    #[must_use]
    pub fn last_step(&self) -> u64 {
        self.steps.last().map_or(0, |s| s.number)
    }

    /// The report with texts and lists of limited length and without control characters: what a server sends is not
    /// trusted.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        let excess = self.steps.len().saturating_sub(ITEMS_MAX);
        self.steps.drain(..excess);
        self.gpus.truncate(ITEMS_MAX);
        self.disks.truncate(ITEMS_MAX);
        for gpu in &mut self.gpus {
            gpu.xid_errors.truncate(ITEMS_MAX);
            gpu.xid_errors.iter_mut().chain([&mut gpu.name]).for_each(clean);
        }
        self.disks.iter_mut().for_each(|d| clean(&mut d.mounted_at));
        self.steps.iter_mut().for_each(|s| clean(&mut s.text));
        if let Some(failure) = &mut self.failure {
            clean(&mut failure.code);
            clean(&mut failure.message);
        }
        let error = self.probe.as_mut().and_then(|p| p.error.as_mut());
        error.into_iter().chain(&mut self.engine.last_exit).chain(&mut self.desired_id).for_each(clean);
        clean(&mut self.version);
        clean(&mut self.run_id);
        self
    }

    /// Whether two reports differ in more than measurements.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        let answered = |r: &Self| r.probe.as_ref().map(|p| p.answered);
        (&self.run_id, &self.desired_id, self.phase, &self.failure, self.last_step(), self.draining)
            != (&other.run_id, &other.desired_id, other.phase, &other.failure, other.last_step(), other.draining)
            || answered(self) != answered(other)
            || self.engine != other.engine
            || self.gpus.len() != other.gpus.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends_is_limited() {
        let step = |number| Step {
            number,
            kind: StepKind::EngineStart,
            lasted_ms: 1,
            succeeded: false,
            text: "a\0b\n".repeat(1_000),
        };
        let json = serde_json::json!({"version": "1", "run_id": "r", "sequence": 1, "desired_id": null, "phase": "waiting",
            "progress": null, "steps": (1..=1_000).map(step).collect::<Vec<_>>(), "failure": null,
            "engine": {"running": false, "restarts": 0, "last_exit": "x\u{1b}[0m"}, "probe": null, "in_flight": 0,
            "draining": false, "gpus": [], "disks": [], "memory_bytes": null, "memory_free_bytes": null});
        let report: Report = serde_json::from_value(json).unwrap();
        let cleaned = report.cleaned();
        assert_eq!((cleaned.steps.len(), cleaned.last_step()), (ITEMS_MAX, 1_000), "the last ones are kept");
        assert!(cleaned.steps.iter().all(|s| s.text.chars().count() == TEXT_MAX && s.text.starts_with("a b ")));
        assert_eq!(cleaned.engine.last_exit.as_deref(), Some("x [0m"));
    }
}
