//! What the server and the loop of a worker share.

use crate::failure::StepFailure;
use crate::log::Log;
use inventiv_core::worker::report::{EngineFacts, Phase, Probe, Progress, Report, Step, StepKind};
use inventiv_worker_api::message::{DesiredRequest, LogSource};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many ended steps a report shows.
const STEPS: usize = 40;

/// A desired state, and whether the values of its secrets are known.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) request: Arc<DesiredRequest>,
    /// After a restart, they are not until the control plane sends them again.
    pub(crate) has_secrets: bool,
}

impl Wanted {
    /// Whether everything is known that the engine needs.
    pub(crate) fn is_complete(&self) -> bool {
        self.has_secrets || self.request.desired.secrets.is_empty()
    }
}

/// What the server and the loop share.
pub(crate) struct State {
    report: Mutex<Report>,
    probed_at: Mutex<Option<Instant>>,
    sequence: watch::Sender<u64>,
    wanted: watch::Sender<Option<Wanted>>,
    /// Where the engine listens, once its model has answered.
    target: Mutex<Option<SocketAddr>>,
    pub(crate) in_flight: AtomicU32,
    /// When somebody last asked for the model, or could ask first.
    asked_at: Mutex<Instant>,
    /// Counts the pieces of answers that the engine has sent to anybody.
    pub(crate) flow: AtomicU64,
    pub(crate) draining: AtomicBool,
    pub(crate) log: Log,
}

impl State {
    pub(crate) fn new() -> Self {
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: uuid::Uuid::new_v4().simple().to_string(),
            sequence: 1,
            desired_id: None,
            phase: Phase::Waiting,
            progress: None,
            steps: Vec::new(),
            failure: None,
            engine: EngineFacts::default(),
            probe: None,
            in_flight: 0,
            idle_ms: Some(0),
            draining: false,
            gpus: Vec::new(),
            disks: Vec::new(),
            memory_bytes: None,
            memory_free_bytes: None,
        };
        Self {
            report: Mutex::new(report),
            probed_at: Mutex::default(),
            sequence: watch::Sender::new(1),
            wanted: watch::Sender::new(None),
            target: Mutex::default(),
            in_flight: AtomicU32::new(0),
            asked_at: Mutex::new(Instant::now()),
            flow: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            log: Log::new(),
        }
    }

    /// The report, as it is now.
    pub(crate) fn report(&self) -> Report {
        let mut report = self.report.lock().clone();
        report.in_flight = self.in_flight.load(Ordering::SeqCst);
        let idle = self.asked_at.lock().elapsed();
        report.idle_ms =
            Some(if report.in_flight > 0 { 0 } else { i64::try_from(idle.as_millis()).unwrap_or(i64::MAX) });
        report.draining = self.draining.load(Ordering::SeqCst);
        let age = self.probed_at.lock().map(|at| at.elapsed());
        if let (Some(probe), Some(age)) = (&mut report.probe, age) {
            probe.age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        }
        report
    }

    /// Tells of every change that is worth telling at once.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.sequence.subscribe()
    }

    /// Changes the report, and tells of it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Report)) {
        let mut report = self.report.lock();
        change(&mut report);
        report.sequence += 1;
        let sequence = report.sequence;
        drop(report);
        self.sequence.send_replace(sequence);
    }

    /// Changes measurements, which nobody waits for.
    pub(crate) fn measure(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock());
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.change(|r| {
            (r.phase, r.progress) = (phase, None);
            if !matches!(phase, Phase::Failed | Phase::Retrying) {
                r.failure = None;
            }
        });
    }

    pub(crate) fn fail(&self, failure: &StepFailure) {
        self.log.add(LogSource::Worker, &format!("{}: {}", failure.code, failure.message));
        let phase = if failure.passes { Phase::Retrying } else { Phase::Failed };
        self.change(|r| (r.phase, r.progress, r.failure) = (phase, None, Some(failure.told())));
    }

    pub(crate) fn progress(&self, done_bytes: i64, total_bytes: Option<i64>) {
        self.change(|r| r.progress = Some(Progress { done_bytes, total_bytes }));
    }

    pub(crate) fn step_ended(&self, kind: StepKind, lasted: Duration, result: Result<&str, &str>) {
        let lasted_ms = i64::try_from(lasted.as_millis()).unwrap_or(i64::MAX);
        let (succeeded, text) = (result.is_ok(), result.unwrap_or_else(|e| e).to_owned());
        self.log.add(LogSource::Worker, &format!("{kind}: {text}"));
        self.change(|r| {
            let number = r.last_step() + 1;
            r.steps.push(Step { number, kind, lasted_ms, succeeded, text });
            let excess = r.steps.len().saturating_sub(STEPS);
            r.steps.drain(..excess);
        });
    }

    /// Records a probe. Only a change of its result is told at once.
    pub(crate) fn probed(&self, probe: Probe) {
        *self.probed_at.lock() = Some(Instant::now());
        let same = self.report.lock().probe.as_ref().is_some_and(|p| p.answered == probe.answered);
        let set = |r: &mut Report| r.probe = Some(probe);
        if same { self.measure(set) } else { self.change(set) }
    }

    /// How many pieces of answers the engine has sent so far.
    pub(crate) fn flow(&self) -> u64 {
        self.flow.load(Ordering::Relaxed)
    }

    /// Where requests for the model go; `None`: nowhere.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        *self.target.lock()
    }

    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        let before = std::mem::replace(&mut *self.target.lock(), target);
        if before.is_none() && target.is_some() {
            self.asked();
        }
    }

    /// Somebody asks for the model, or has got the answer.
    pub(crate) fn asked(&self) {
        *self.asked_at.lock() = Instant::now();
    }

    /// Takes a desired state from the control plane. The same one again changes nothing.
    pub(crate) fn want(&self, request: DesiredRequest) {
        let known = self.wanted.borrow().as_ref().is_some_and(|w| w.has_secrets && w.request.id == request.id);
        if known {
            return;
        }
        self.change(|r| r.desired_id = Some(request.id.clone()));
        self.wanted.send_replace(Some(Wanted { request: Arc::new(request), has_secrets: true }));
    }

    /// Takes up the desired state of the time before a restart. Its id is not told before its secrets are known, so that
    /// the control plane sends it again.
    pub(crate) fn resume(&self, request: DesiredRequest) {
        let wanted = Wanted { request: Arc::new(request), has_secrets: false };
        if wanted.is_complete() {
            self.change(|r| r.desired_id = Some(wanted.request.id.clone()));
        }
        self.wanted.send_replace(Some(wanted));
    }

    pub(crate) fn wanted(&self) -> watch::Receiver<Option<Wanted>> {
        self.wanted.subscribe()
    }
}
