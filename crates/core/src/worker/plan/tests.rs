//! The statuses of an instance, by what its worker tells, one contact after the other.

use super::*;
use crate::engine::Serving;
use crate::plan::tests::instance;
use crate::request::Request;
use crate::worker::report::{EngineFacts, Probe, Progress, Step, StepKind};

/// Minutes and seconds in the tables, as milliseconds.
const S: i64 = 1_000;
const MIN: i64 = 60_000;

/// An instance whose server is up, and the facts about its worker one after the other.
struct Story {
    agg: Aggregate,
    rules: WorkerRules,
    now: Timestamp,
    watched_since: Timestamp,
}

impl Story {
    fn begin() -> Self {
        let mut agg = instance();
        let now = Timestamp(1_000_000_000_000);
        agg.instance.spec.serving = Some(Serving::default());
        agg.instance.status = Status::Booting;
        agg.instance.up_at = Some(now);
        agg.instance.worker = Some(Box::new(WorkerRecord::expected(now)));
        agg.instance.settled = true;
        Self { agg, rules: WorkerRules::default(), now, watched_since: now }
    }

    /// The contact, so long after the one before; returns the status and the kinds of events.
    fn after(&mut self, ms: i64, contact: Contact) -> String {
        self.now = self.now.plus_ms(ms);
        let seen = ObservedWorker { at: self.now, watched_since: self.watched_since, contact };
        let planned = plan(&self.agg, &seen, &self.rules);
        self.agg = planned.recorded;
        let again = plan(&self.agg, &seen, &self.rules);
        assert!(again.only_waits(&self.agg), "the same facts again change something: {:?}", again.events);
        let events: Vec<&str> = planned.events.iter().map(|e| e.kind.text()).collect();
        format!("{} {}", self.agg.instance.status, events.join(" ")).trim_end().to_owned()
    }

    fn lost(&mut self, ms: i64) -> String {
        self.after(ms, Contact::None("connection refused".to_owned()))
    }

    fn tells(&mut self, ms: i64, report: &Report) -> String {
        self.after(ms, Contact::Worker { report: Box::new(report.clone()), current: true, refusal: None })
    }

    fn record(&self) -> &WorkerRecord {
        self.agg.instance.worker.as_ref().unwrap()
    }
}

fn report(phase: Phase) -> Report {
    Report {
        version: "0.1.0".into(),
        run_id: "a".into(),
        sequence: 1,
        desired_id: Some("d".into()),
        phase,
        progress: None,
        steps: Vec::new(),
        failure: None,
        engine: EngineFacts::default(),
        probe: None,
        in_flight: 0,
        idle_ms: None,
        draining: false,
        gpus: Vec::new(),
        disks: Vec::new(),
        memory_bytes: None,
        memory_free_bytes: None,
    }
}

fn serving() -> Report {
    let probe = Probe { answered: true, failures: 0, latency_ms: 120, age_ms: 0, error: None };
    Report { probe: Some(probe), ..report(Phase::Serving) }
}

fn failed(code: &str) -> Report {
    let failure = WorkerFailure { code: code.into(), message: format!("{code} happened; do something") };
    Report { failure: Some(failure), ..report(Phase::Failed) }
}

fn step(number: u64, kind: StepKind, succeeded: bool) -> Step {
    Step { number, kind, lasted_ms: 1_500, succeeded, text: "done".into() }
}

#[test]
fn an_instance_is_ready_when_its_model_has_answered() {
    let mut story = Story::begin();
    assert_eq!(story.lost(S), "booting");
    assert_eq!(story.after(S, Contact::Bootstrap(None)), "installing");
    let mut told = report(Phase::DataVolume);
    assert_eq!(story.tells(S, &told), "installing WORKER_BOOTSTRAP");
    told.steps.push(step(1, StepKind::DataVolume, true));
    told.phase = Phase::EngineImage;
    assert_eq!(story.tells(S, &told), "installing WORKER_DATA_VOLUME");
    told.steps.push(step(2, StepKind::EngineImage, true));
    told.phase = Phase::ModelDownload;
    assert_eq!(story.tells(S, &told), "starting ENGINE_IMAGE_PULL");
    told.steps.push(step(3, StepKind::ModelDownload, true));
    told.phase = Phase::EngineStart;
    assert_eq!(story.tells(S, &told), "starting MODEL_DOWNLOAD");
    assert_eq!(story.agg.instance.ready_at, None);
    let steps = [told.steps, vec![step(4, StepKind::EngineStart, true), step(5, StepKind::EngineProbe, true)]].concat();
    let told = Report { steps, ..serving() };
    assert_eq!(story.tells(S, &told), "ready ENGINE_START ENGINE_PROBE INSTANCE_READY");
    assert_eq!(story.agg.instance.ready_at, Some(story.now));
    assert_eq!(story.tells(5 * S, &told), "ready", "nothing new");
    assert!(story.agg.instance.settled, "the cloud's part is not touched");
}

#[test]
fn an_event_says_how_long_its_step_took_and_whether_it_failed() {
    let story = Story::begin();
    let told = Report { steps: vec![step(1, StepKind::DataVolume, false)], ..report(Phase::Retrying) };
    let seen = ObservedWorker {
        at: story.now.plus_ms(5 * S),
        watched_since: story.now,
        contact: Contact::Worker { report: Box::new(told), current: true, refusal: None },
    };
    let events = plan(&story.agg, &seen, &story.rules).events;
    let shown: Vec<_> = events.iter().map(|e| (e.kind, e.lasted_ms, e.failed)).collect();
    assert_eq!(shown, [(EventKind::WorkerBootstrap, Some(0), false), (EventKind::WorkerDataVolume, Some(1_500), true)]);
}

#[test]
fn a_ready_instance_becomes_unavailable_and_ready_again() {
    let cases: [(&str, Contact); 5] = [
        ("not answering", worker(report(Phase::NotAnswering))),
        ("its engine starts again", worker(report(Phase::EngineStart))),
        ("it tries again", worker(report(Phase::Retrying))),
        ("it failed", worker(failed("gpu_memory"))),
        ("its program is installed again", Contact::Bootstrap(None)),
    ];
    for (what, contact) in cases {
        let mut story = Story::begin();
        story.tells(S, &serving());
        assert_eq!(story.after(S, contact), "unavailable INSTANCE_UNAVAILABLE", "{what}");
        assert!(story.agg.instance.failure.is_none(), "{what}: an instance that was ready never ends by itself");
        assert_eq!(story.tells(60 * MIN, &serving()), "ready INSTANCE_READY", "{what}");
    }
}

fn worker(report: Report) -> Contact {
    Contact::Worker { report: Box::new(report), current: true, refusal: None }
}

#[test]
fn a_silent_worker_makes_a_ready_instance_unavailable_after_the_limit() {
    let mut story = Story::begin();
    story.tells(S, &serving());
    let limit = story.rules.silence_ms;
    assert_eq!(story.lost(S), "ready", "once");
    assert_eq!(story.lost(limit - 1), "ready", "just below the limit");
    assert_eq!(story.lost(1), "unavailable INSTANCE_UNAVAILABLE");
    assert_eq!(story.lost(24 * 60 * MIN), "unavailable", "it never ends by itself");
    assert_eq!(story.tells(S, &serving()), "ready INSTANCE_READY");
    assert_eq!(story.record().lost, None);
    assert_eq!(story.lost(limit * 2), "ready", "the silence counts from its first failed contact");
}

#[test]
fn a_restart_of_the_worker_is_told_once() {
    let mut story = Story::begin();
    story.tells(S, &serving());
    let again = Report { run_id: "b".into(), ..report(Phase::EngineStart) };
    assert_eq!(story.tells(S, &again), "unavailable WORKER_RESTARTED INSTANCE_UNAVAILABLE");
    assert_eq!(story.tells(S, &again), "unavailable");
    let steps = vec![step(1, StepKind::EngineStart, true)];
    assert_eq!(story.tells(S, &Report { run_id: "b".into(), steps, ..serving() }), "ready ENGINE_START INSTANCE_READY");
}

#[test]
fn a_lasting_failure_ends_the_instance_after_a_while() {
    let mut story = Story::begin();
    assert_eq!(story.tells(S, &failed("model_gated")), "startup_failed WORKER_BOOTSTRAP INSTANCE_STARTUP_FAILED");
    let ttl = story.rules.startup_failure_ttl_ms;
    assert_eq!(story.tells(ttl - 1, &failed("model_gated")), "startup_failed");
    assert!(story.agg.instance.failure.is_none() && story.agg.instance.settled);
    assert_eq!(story.tells(1, &failed("model_gated")), "startup_failed INSTANCE_FAILED");
    let i = &story.agg.instance;
    assert_eq!(i.failure.as_ref().map(|f| f.code.as_str()), Some("model_gated"));
    assert!(!i.settled && i.wake_at == story.now && i.terminate_requested_at == Some(story.now));
    assert_eq!(story.tells(S, &serving()), "startup_failed", "its end has begun");
}

#[test]
fn a_failure_that_is_kept_or_mended_does_not_end_the_instance() {
    let mut kept = Story::begin();
    kept.agg.instance.spec.serving = Some(Serving { keep_failed: true, ..Serving::default() });
    kept.tells(S, &failed("gpu_memory"));
    assert_eq!(kept.tells(60 * MIN, &failed("gpu_memory")), "startup_failed");
    assert!(kept.agg.instance.failure.is_none());
    let mut mended = Story::begin();
    mended.tells(S, &failed("model_gated"));
    assert_eq!(mended.tells(MIN, &report(Phase::ModelDownload)), "startup_failed", "it tries the same again");
    let other = Report { desired_id: Some("other".into()), ..report(Phase::ModelDownload) };
    assert_eq!(mended.tells(9 * MIN, &other), "starting", "with another secret");
    assert_eq!(mended.record().failure, None);
    assert_eq!(mended.tells(10 * MIN, &serving()), "ready INSTANCE_READY");
}

#[test]
fn what_makes_no_progress_fails_with_the_reason() {
    let refused = |why: &str| Contact::Worker {
        report: Box::new(report(Phase::Waiting)),
        current: false,
        refusal: Some(why.to_owned()),
    };
    let cases: [(&str, Contact, i64, &str); 6] = [
        ("never any contact", Contact::None("no route".into()), 15 * MIN, "worker_unreachable"),
        ("the program is not taken", Contact::Bootstrap(Some("disk full".into())), 30 * MIN, "startup_timeout"),
        ("a secret is missing", refused("the secret `x` does not exist"), 30 * MIN, "startup_timeout"),
        ("the engine loads for ever", worker(report(Phase::EngineStart)), 30 * MIN, "startup_timeout"),
        ("the download stands still", worker(report(Phase::ModelDownload)), 30 * MIN, "startup_timeout"),
        ("it tries again and again", worker(report(Phase::Retrying)), 30 * MIN, "startup_timeout"),
    ];
    for (what, contact, limit, code) in cases {
        let mut story = Story::begin();
        story.after(0, contact.clone());
        story.after(limit, contact.clone());
        assert_eq!(story.record().failure, None, "{what}: at the limit");
        story.after(1, contact);
        let failure = story.record().failure.as_ref().map(|f| f.why.code.as_str());
        assert_eq!(failure, Some(code), "{what}");
        assert_eq!(story.agg.instance.status, Status::StartupFailed, "{what}");
    }
}

#[test]
fn a_step_that_fails_again_and_again_is_no_progress() {
    let mut story = Story::begin();
    let mut number = 0;
    let mut again = |run: &str| {
        number += 1;
        Report {
            run_id: run.to_owned(),
            steps: vec![step(1, StepKind::DataVolume, true), step(number + 1, StepKind::ModelDownload, false)],
            ..report(Phase::Retrying)
        }
    };
    for n in 0..30 {
        let told = again(if n < 15 { "a" } else { "b" });
        story.tells(MIN, &told);
        assert_eq!(story.record().failure, None, "minute {n}");
    }
    for _ in 0..3 {
        story.tells(MIN, &again("c"));
    }
    assert_eq!(story.record().failure.as_ref().map(|f| f.why.code.as_str()), Some("startup_timeout"));
}

#[test]
fn an_instance_that_was_ready_never_ends_by_itself_not_even_after_a_stop() {
    let mut story = Story::begin();
    story.tells(S, &serving());
    // A stop and a start: the worker is expected again.
    story.agg.instance.status = Status::Booting;
    story.agg.instance.worker = Some(Box::new(WorkerRecord::expected(story.now)));
    assert_eq!(story.lost(S), "booting");
    assert_eq!(story.lost(60 * MIN), "unavailable INSTANCE_UNAVAILABLE");
    assert_eq!(story.lost(60 * MIN), "unavailable");
    assert!(story.agg.instance.failure.is_none());
}

#[test]
fn time_in_which_nobody_watched_is_no_silence() {
    let mut story = Story::begin();
    story.tells(S, &report(Phase::ModelDownload));
    story.lost(S);
    // The control plane slept for a day.
    story.watched_since = story.now.plus_ms(24 * 60 * MIN);
    assert_eq!(story.lost(24 * 60 * MIN), "starting");
    assert_eq!(story.tells(29 * MIN, &report(Phase::ModelDownload)), "starting");
    let mut failed_before = Story::begin();
    failed_before.tells(S, &failed("gpu_memory"));
    failed_before.watched_since = failed_before.now.plus_ms(60 * MIN);
    failed_before.lost(60 * MIN);
    assert!(failed_before.agg.instance.failure.is_none(), "it may have been mended meanwhile");
    failed_before.lost(MIN);
    assert!(failed_before.agg.instance.failure.is_some());
}

#[test]
fn a_ready_instance_whose_worker_cannot_take_its_desired_state_is_not_ready_if_its_model_is_silent() {
    let mut story = Story::begin();
    story.tells(S, &serving());
    let stale = |phase| Contact::Worker {
        report: Box::new(report(phase)),
        current: false,
        refusal: Some("the secret `x` does not exist".into()),
    };
    assert_eq!(story.after(S, stale(Phase::Serving)), "ready");
    assert_eq!(story.after(S, stale(Phase::Waiting)), "unavailable INSTANCE_UNAVAILABLE");
}

#[test]
fn a_worker_that_is_lost_before_its_model_answered_fails() {
    let mut story = Story::begin();
    story.tells(S, &report(Phase::ModelDownload));
    story.lost(S);
    assert_eq!(story.lost(30 * MIN), "starting");
    assert_eq!(story.lost(1), "startup_failed INSTANCE_STARTUP_FAILED");
    assert_eq!(story.record().failure.as_ref().map(|f| f.why.code.as_str()), Some("worker_lost"));
}

#[test]
fn the_progress_of_a_download_is_recorded_and_counts_as_progress() {
    let mut story = Story::begin();
    let at = |done_bytes| {
        let progress = Some(Progress { done_bytes, total_bytes: Some(100) });
        Report { progress, ..report(Phase::ModelDownload) }
    };
    story.tells(S, &at(1));
    let shown = |s: &Story| s.record().report.as_ref().and_then(|r| r.progress).map(|p| p.done_bytes);
    story.tells(999, &at(2));
    assert_eq!(shown(&story), Some(1), "at most once a second");
    story.tells(1, &at(3));
    assert_eq!(shown(&story), Some(3));
    for n in 4..10 {
        assert_eq!(story.tells(20 * MIN, &at(n)), "starting", "a slow download goes on");
    }
}

#[test]
fn measurements_are_recorded_from_time_to_time() {
    let mut story = Story::begin();
    story.tells(S, &serving());
    let busy = Report { in_flight: 7, memory_free_bytes: Some(1), ..serving() };
    let refresh = story.rules.refresh_ms;
    story.tells(refresh - 1, &busy);
    assert_eq!(story.record().report.as_ref().map(|r| r.in_flight), Some(0));
    story.tells(1, &busy);
    assert_eq!(story.record().report.as_ref().map(|r| r.in_flight), Some(7));
}

#[test]
fn what_a_worker_tells_about_an_older_desired_state_makes_nothing_ready() {
    let mut story = Story::begin();
    let old = Contact::Worker { report: Box::new(serving()), current: false, refusal: None };
    assert_eq!(story.after(S, old.clone()), "installing WORKER_BOOTSTRAP");
    story.tells(S, &serving());
    assert_eq!(story.after(S, old), "ready", "a new desired state is on its way");
}

#[test]
fn nothing_is_decided_about_an_instance_that_ends_or_is_stopped() {
    for (desired, status) in [
        (Desired::Absent, Status::Terminating),
        (Desired::Absent, Status::Ready),
        (Desired::Stopped, Status::Ready),
        (Desired::Stopped, Status::Stopping),
        (Desired::Present, Status::Stopped),
        (Desired::Present, Status::Provisioning),
        (Desired::Absent, Status::Terminated),
    ] {
        let mut story = Story::begin();
        (story.agg.instance.desired, story.agg.instance.status) = (desired, status);
        let before = story.agg.clone();
        for contact in [Contact::None("x".into()), Contact::Bootstrap(None), worker(serving()), worker(failed("x"))] {
            story.after(20 * MIN, contact);
            assert_eq!(story.agg, before, "{desired} {status}");
        }
    }
    let mut without = Story::begin();
    without.agg.instance.worker = None;
    let before = without.agg.clone();
    without.tells(S, &serving());
    assert_eq!(without.agg, before, "no worker is expected");
}

#[test]
fn the_end_of_a_ready_instance_waits_for_what_its_model_is_answering() {
    let begin = || {
        let mut story = Story::begin();
        story.tells(S, &serving());
        assert_eq!(Request::Terminate.apply(&mut story.agg.instance, story.now), Ok(true));
        assert_eq!(story.agg.instance.status, Status::Draining);
        // The cloud's part waits, and has planned when to look again.
        story.agg.instance.settled = false;
        story.agg.instance.wake_at = story.now.plus_ms(2 * MIN);
        story
    };
    let drains = |in_flight| Report { draining: true, in_flight, ..serving() };
    let mut story = begin();
    assert_eq!(story.tells(S, &Report { in_flight: 2, ..serving() }), "draining", "it was not told yet");
    assert_eq!(story.tells(S, &drains(2)), "draining INSTANCE_DRAINING");
    assert_eq!(story.tells(S, &drains(1)), "draining");
    assert_eq!(story.tells(S, &drains(0)), "terminating");
    assert!(story.agg.instance.wake_at == story.now && !story.agg.instance.settled);
    assert_eq!(begin().tells(S, &drains(0)), "terminating", "nothing is being answered");
    let mut silent = begin();
    assert_eq!(silent.lost(S), "draining", "one contact failed");
    assert_eq!(silent.lost(9_999), "draining");
    assert_eq!(silent.lost(1), "terminating", "nothing can be known about it");
    assert_eq!(begin().after(S, Contact::Bootstrap(None)), "terminating");
}
