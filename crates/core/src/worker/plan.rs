//! Decides from the facts of a worker what the status of its instance is. Pure.

use super::idle::end_if_idle;
use super::record::{Lost, StartupFailure, WorkerRecord};
use super::report::{Phase, Report, WorkerFailure};
use crate::action::Event;
use crate::event_kind::EventKind;
use crate::plan::Plan;
use crate::recorded::{Aggregate, Failure, Instance};
use crate::status::{Desired, Status};
use crate::time::Timestamp;

/// Time limits about workers, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRules {
    /// How long after its server ran a worker may take to respond for the first time.
    pub first_contact_ms: i64,
    /// How long a worker of a ready instance may be silent.
    pub silence_ms: i64,
    /// How long a worker may be silent, or make no progress, before its model has ever answered.
    pub no_progress_ms: i64,
    /// How long an instance whose model will not answer is left for inspection.
    pub startup_failure_ttl_ms: i64,
    /// How old the recorded measurements of a worker may become.
    pub refresh_ms: i64,
    /// How often the progress of a download is recorded.
    pub progress_ms: i64,
    /// How long the end of an instance may be delayed by requests that its model is answering.
    pub drain_ms: i64,
}

impl Default for WorkerRules {
    fn default() -> Self {
        Self {
            first_contact_ms: 900_000,
            silence_ms: 20_000,
            no_progress_ms: 1_800_000,
            startup_failure_ttl_ms: 900_000,
            refresh_ms: 120_000,
            progress_ms: 1_000,
            drain_ms: 120_000,
        }
    }
}

/// The result of an attempt to reach a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// Nothing responded, or not with the certificate of this instance. The reason, in one sentence.
    None(String),
    /// The bootstrap program responded: it waits for the worker's program. If it was sent in vain, the reason.
    Bootstrap(Option<String>),
    /// The worker responded.
    Worker {
        /// What it told.
        report: Box<Report>,
        /// Whether it works on the newest desired state.
        current: bool,
        /// Why it does not, if it refused it.
        refusal: Option<String>,
    },
}

/// A worker as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedWorker {
    /// When the attempt ended.
    pub at: Timestamp,
    /// Since when the worker was contacted without a pause. Time in which nobody tried is no silence of the worker.
    pub watched_since: Timestamp,
    /// Its result.
    pub contact: Contact,
}

/// How long a worker may be silent while its model finishes, in milliseconds.
const DRAIN_SILENCE_MS: i64 = 10_000;
/// How long a silent worker was watched before its instance may end, in milliseconds.
const WATCHED_BEFORE_END_MS: i64 = 60_000;
/// The codes of failures to reach a worker: any contact mends them.
const UNREACHABLE: [&str; 2] = ["worker_unreachable", "worker_lost"];
/// The code of a failure because nothing moved for long.
const STALLED: &str = "startup_timeout";
/// What an instance waits for while its model finishes.
const DRAINS: &str = "waits for the requests that its model is answering";
/// What an instance whose model will not answer waits for.
const FAILED: &str = "the model will not answer: waits for its end, or for somebody to mend it";

/// Whether the worker decides about the status of the instance now.
fn decides(i: &Instance) -> bool {
    let by_worker = match i.status {
        Status::Booting
        | Status::Installing
        | Status::Starting
        | Status::Ready
        | Status::Unavailable
        | Status::StartupFailed => true,
        Status::Provisioning
        | Status::Stopping
        | Status::Stopped
        | Status::Draining
        | Status::Terminating
        | Status::Terminated
        | Status::ProvisioningFailed => false,
    };
    by_worker && i.worker.is_some() && i.desired == Desired::Present && i.failure.is_none()
}

/// Decides what to record about an instance after its worker was observed. There are no actions.
///
/// Idempotent: the same facts again change nothing.
#[must_use]
pub fn plan(agg: &Aggregate, seen: &ObservedWorker, rules: &WorkerRules) -> Plan {
    let mut next = agg.clone();
    let mut events = Vec::new();
    if next.instance.status == Status::Draining && next.instance.worker.is_some() {
        drain(&mut next.instance, seen, &mut events);
    }
    if decides(&next.instance)
        && let Some(record) = next.instance.worker.take()
    {
        let watched_ms = seen.at.ms_since(seen.watched_since);
        let mut draft = Draft { record: *record, events: &mut events, rules, now: seen.at, watched_ms };
        match &seen.contact {
            Contact::None(reason) => draft.lost(&mut next.instance, reason),
            Contact::Bootstrap(refusal) => draft.bootstrap(&mut next.instance, refusal.as_deref()),
            Contact::Worker { report, current, refusal } => {
                draft.reported(&mut next.instance, report, *current, refusal.as_deref());
            }
        }
        let silent = matches!(seen.contact, Contact::None(_)) && watched_ms < WATCHED_BEFORE_END_MS;
        draft.end_if_failed(&mut next.instance, silent);
        next.instance.worker = Some(Box::new(draft.record));
        if let Contact::Worker { report, current: true, .. } = &seen.contact {
            end_if_idle(&mut next.instance, report, seen.at, &mut events);
        }
    }
    Plan { recorded: next, events, actions: Vec::new(), awaits: Vec::new() }
}

/// Lets the removal begin once no request is being answered, or nothing can be known about them.
fn drain(i: &mut Instance, seen: &ObservedWorker, events: &mut Vec<Event>) {
    let left = match &seen.contact {
        Contact::Worker { report, .. } if report.draining => report.in_flight,
        // It was not told yet.
        Contact::Worker { .. } => return,
        Contact::Bootstrap(_) => 0,
        Contact::None(reason) => {
            let Some(record) = i.worker.as_mut() else { return };
            let lost = record.lost.get_or_insert(Lost { since: seen.at, reason: reason.clone() });
            if seen.at.ms_since(lost.since) < DRAIN_SILENCE_MS {
                return;
            }
            0
        }
    };
    if left > 0 {
        let record = i.worker.as_mut();
        if let Some(record) = record.filter(|r| r.waits_for.as_deref() != Some(DRAINS)) {
            record.waits_for = Some(DRAINS.to_owned());
            let text = format!("{left} requests are being answered; new ones are refused");
            events.push(Event::told(EventKind::InstanceDraining, text));
        }
        return;
    }
    i.status = Status::Terminating;
    (i.settled, i.wake_at) = (false, seen.at);
}

struct Draft<'a> {
    record: WorkerRecord,
    events: &'a mut Vec<Event>,
    rules: &'a WorkerRules,
    now: Timestamp,
    /// How long the worker was contacted without a pause.
    watched_ms: i64,
}

impl Draft<'_> {
    /// How long ago a time was, but not longer than the worker was watched.
    fn watched_since(&self, at: Timestamp) -> i64 {
        self.now.ms_since(at).min(self.watched_ms)
    }

    fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    fn waits(&mut self, text: impl Into<String>) {
        self.record.waits_for = Some(text.into());
    }

    fn lost(&mut self, i: &mut Instance, reason: &str) {
        let now = self.now;
        if self.record.handshake_at.is_none() {
            self.waits(format!("waits for the server to boot and to respond to a handshake ({reason})"));
            if self.watched_since(self.record.expected_since) > self.rules.first_contact_ms {
                let minutes = self.rules.first_contact_ms / 60_000;
                let message = format!(
                    "nothing on the server responded within {minutes} minutes ({reason}); check that the security group \
                     lets port {} in, and the server's console in the provider's console",
                    super::WORKER_PORT
                );
                self.fail(i, UNREACHABLE[0], message);
            }
            return;
        }
        let since = self.record.lost.as_ref().map_or(now, |l| l.since);
        if self.record.lost.is_none() {
            self.record.lost = Some(Lost { since, reason: reason.to_owned() });
        }
        self.waits(format!("the worker does not respond: {reason}"));
        if i.status == Status::Ready && now.ms_since(since) >= self.rules.silence_ms {
            self.unavailable(i, format!("the worker does not respond: {reason}"));
        }
        if i.ready_at.is_none() && self.watched_since(since) > self.rules.no_progress_ms {
            let minutes = self.rules.no_progress_ms / 60_000;
            let message = format!(
                "the worker stopped responding {minutes} minutes ago ({reason}); create the instance again, or look at \
                 the server's console in the provider's console"
            );
            self.fail(i, UNREACHABLE[1], message);
        }
    }

    fn contact(&mut self) {
        if self.record.handshake_at.is_none() {
            self.record.progressed_at = self.now;
        }
        self.record.handshake_at.get_or_insert(self.now);
        self.record.lost = None;
    }

    fn bootstrap(&mut self, i: &mut Instance, refusal: Option<&str>) {
        self.contact();
        let why = refusal.map_or_else(String::new, |r| format!(": {r}"));
        self.waits(format!("waits for the worker's program to be installed{why}"));
        if i.ready_at.is_some() {
            self.unavailable(i, "the worker's program is being installed again".to_owned());
        } else if i.status != Status::StartupFailed {
            i.status = Status::Installing;
            self.fail_without_progress(i, &format!("the worker's program was not installed{why}"));
        }
    }

    /// Fails an instance whose worker has not come further for long.
    fn fail_without_progress(&mut self, i: &mut Instance, text: &str) {
        if self.watched_since(self.record.progressed_at) > self.rules.no_progress_ms {
            let minutes = self.rules.no_progress_ms / 60_000;
            let message = format!("no progress for {minutes} minutes: {text}; look at `inventiv instance logs`");
            self.fail(i, STALLED, message);
        }
    }

    fn reported(&mut self, i: &mut Instance, report: &Report, current: bool, refusal: Option<&str>) {
        self.contact();
        self.log_steps(report);
        self.keep(report);
        if let (false, Some(refusal)) = (current, refusal) {
            self.waits(format!("the worker refused its desired state: {refusal}"));
        } else if !current {
            self.waits("waits for the worker to take its desired state");
        }
        if !current {
            // What it tells is about an older desired state.
            if i.ready_at.is_some() && report.phase != Phase::Serving {
                let why = self.record.waits_for.clone().unwrap_or_default();
                self.unavailable(i, why);
            }
            if i.ready_at.is_none() && i.status != Status::StartupFailed {
                i.status = Status::Installing;
                self.fail_without_progress(i, refusal.unwrap_or("the worker did not take its desired state"));
            }
            return;
        }
        match report.phase {
            Phase::Serving => self.ready(i, report),
            Phase::Failed => self.failed(i, report),
            Phase::Waiting | Phase::DataVolume | Phase::EngineImage => self.under_way(i, Status::Installing, report),
            Phase::ModelDownload | Phase::EngineStart | Phase::NotAnswering | Phase::Retrying => {
                self.under_way(i, Status::Starting, report);
            }
        }
    }

    /// Each step that has ended becomes a line of the action log, once.
    fn log_steps(&mut self, report: &Report) {
        if self.record.logged.0 != report.run_id {
            let first = self.record.report.is_none();
            let kind = if first { EventKind::WorkerBootstrap } else { EventKind::WorkerRestarted };
            let since = self.record.handshake_at.unwrap_or(self.now);
            let lasted_ms = if first { Some(self.now.ms_since(since)) } else { None };
            self.emit(Event { lasted_ms, ..Event::told(kind, format!("worker {} runs", report.version)) });
            self.record.logged = (report.run_id.clone(), 0);
        }
        for step in report.steps.iter().filter(|s| s.number > self.record.logged.1) {
            self.events.push(Event {
                lasted_ms: Some(step.lasted_ms),
                failed: !step.succeeded,
                ..Event::told(step.kind.event(), step.text.clone())
            });
        }
        self.record.logged.1 = self.record.logged.1.max(report.last_step());
        // Only what was never achieved before is progress: a step that fails again and again is none.
        for step in report.steps.iter().filter(|s| s.succeeded) {
            if !self.record.achieved.contains(&step.kind) {
                self.record.achieved.push(step.kind);
                self.record.progressed_at = self.now;
            }
        }
    }

    /// Records the report if it tells something new, and its measurements from time to time.
    fn keep(&mut self, report: &Report) {
        let age_ms = self.record.reported_at.map_or(i64::MAX, |t| self.now.ms_since(t));
        let before = self.record.report.as_ref();
        let differs = before.is_none_or(|b| b.differs(report));
        let moved = before.and_then(|b| b.progress) != report.progress;
        let done = report.progress.map_or(0, |p| p.done_bytes);
        if done > self.record.downloaded_bytes && (differs || age_ms >= self.rules.progress_ms) {
            self.record.downloaded_bytes = done;
            self.record.progressed_at = self.now;
        }
        if differs || (moved && age_ms >= self.rules.progress_ms) || age_ms >= self.rules.refresh_ms {
            self.record.report = Some(report.clone());
            self.record.reported_at = Some(self.now);
        }
    }

    fn ready(&mut self, i: &mut Instance, report: &Report) {
        self.record.failure = None;
        self.record.waits_for = None;
        if i.status != Status::Ready {
            i.status = Status::Ready;
            i.ready_at.get_or_insert(self.now);
            let took = report.probe.as_ref().map_or_else(String::new, |p| format!(" in {} ms", p.latency_ms));
            self.emit(Event::told(EventKind::InstanceReady, format!("the model answered a request{took}")));
        }
    }

    fn failed(&mut self, i: &mut Instance, report: &Report) {
        let why = report.failure.clone().unwrap_or_else(|| WorkerFailure {
            code: "unknown".to_owned(),
            message: "the worker failed and does not say why; look at its log".to_owned(),
        });
        if i.ready_at.is_some() {
            self.waits(format!("the model does not answer: {}", why.message));
            self.unavailable(i, why.message);
        } else {
            self.fail(i, &why.code, why.message);
        }
    }

    fn under_way(&mut self, i: &mut Instance, status: Status, report: &Report) {
        let text = match report.phase {
            Phase::DataVolume => "waits for the data volume to be mounted",
            Phase::EngineImage => "waits for the image of the engine",
            Phase::ModelDownload => "waits for the model to be downloaded",
            Phase::EngineStart => "waits for the engine to load the model",
            Phase::Waiting | Phase::Serving | Phase::Failed => "waits for the worker to begin",
            Phase::NotAnswering => "waits for the model to answer",
            Phase::Retrying => "waits for the next attempt",
        };
        let failure = report.failure.as_ref().map(|f| f.message.clone());
        let error = failure.or_else(|| report.probe.as_ref().and_then(|p| p.error.clone()));
        self.waits(error.as_ref().map_or_else(|| text.to_owned(), |e| format!("{text}: {e}")));
        if i.ready_at.is_some() {
            self.unavailable(i, error.unwrap_or_else(|| text.to_owned()));
            return;
        }
        if self.record.failure.is_some() {
            if !self.is_mended(report) {
                return;
            }
            if self.record.failure.take().is_some_and(|f| f.why.code != STALLED) {
                self.record.progressed_at = self.now;
            }
        }
        i.status = status;
        self.fail_without_progress(i, text);
    }

    /// Whether what had failed may succeed now: with another desired state, for instance with another secret.
    fn is_mended(&self, report: &Report) -> bool {
        self.record.failure.as_ref().is_none_or(|f| match f.why.code.as_str() {
            STALLED => self.record.progressed_at > f.at,
            code if UNREACHABLE.contains(&code) => true,
            _ => f.desired_id != report.desired_id,
        })
    }

    fn unavailable(&mut self, i: &mut Instance, reason: String) {
        if i.status != Status::Unavailable {
            i.status = Status::Unavailable;
            self.emit(Event { failed: true, ..Event::told(EventKind::InstanceUnavailable, reason) });
        }
    }

    /// Never fails an instance that was ready: it has data.
    fn fail(&mut self, i: &mut Instance, code: &str, message: String) {
        if i.ready_at.is_some() {
            return self.unavailable(i, message);
        }
        let why = WorkerFailure { code: code.to_owned(), message };
        if self.record.failure.as_ref().is_none_or(|f| f.why.code != why.code) {
            self.emit(Event { failed: true, ..Event::told(EventKind::InstanceStartupFailed, why.message.clone()) });
            let keep = i.spec.serving.as_ref().is_some_and(|s| s.keep_failed);
            let ends_at = (!keep).then_some(self.now.plus_ms(self.rules.startup_failure_ttl_ms));
            let desired_id = self.record.report.as_ref().and_then(|r| r.desired_id.clone());
            self.record.failure = Some(StartupFailure { at: self.now, desired_id, ends_at, why });
        }
        i.status = Status::StartupFailed;
    }

    /// An instance whose model will not answer costs money for nothing.
    /// With `silent`, nobody knows yet whether it has been mended meanwhile.
    fn end_if_failed(&mut self, i: &mut Instance, silent: bool) {
        if i.status == Status::StartupFailed {
            self.waits(FAILED);
        }
        let failed = self.record.failure.as_ref().filter(|_| i.status == Status::StartupFailed && !silent);
        let Some(failure) = failed.filter(|f| f.ends_at.is_some_and(|at| self.now >= at)) else { return };
        let why = failure.why.clone();
        self.emit(Event::told(EventKind::InstanceFailed, why.message.clone()));
        i.failure = Some(Failure { code: why.code, message: why.message });
        i.terminate_requested_at.get_or_insert(self.now);
        i.settled = false;
        i.wake_at = self.now;
    }
}

#[cfg(test)]
mod tests;
