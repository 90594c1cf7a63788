//! Makes the desired state true: data volume, image, model, engine, probe; and goes on for as long as it is desired.

use crate::config::Config;
use crate::engine::{self, Engine, environment};
use crate::failure::{StepFailure, from_lines};
use crate::hub::{self, Downloaded};
use crate::probe::{self, Answer, Question};
use crate::state::{State, Wanted};
use crate::{container, data_volume, files};
use inventiv_core::worker::report::{Phase, Probe, StepKind};
use inventiv_worker_api::message::LogSource;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The longest pause before something is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often an engine that does not answer yet is asked.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How long a loading engine may take to answer one question.
const FIRST_ANSWER: Duration = Duration::from_secs(180);
/// How many failed probes in a row mean that the model does not answer.
const FAILURES: u32 = 3;
/// After so many failed probes, the engine is started again.
const GIVE_UP: u32 = 60;
/// After so many starts without any answer, starting again does not help.
const STARTS: u32 = 5;
/// How many of the last lines are searched for the reason of an end.
const LINES: usize = 200;

/// Works until `stop` is cancelled.
pub(crate) async fn work(state: Arc<State>, config: Config, stop: CancellationToken) {
    let mut wanted = state.wanted();
    let mut pause = config.first_pause;
    loop {
        let current = wanted.borrow_and_update().clone();
        let Some(current) = current.filter(Wanted::is_complete) else {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = wanted.changed() => continue,
            }
        };
        let mut work = Work { state: &state, config: &config, wanted: &current, running: None, answered: false };
        let outcome = tokio::select! {
            failure = work.serve() => Some(failure),
            _ = wanted.changed() => None,
            () = stop.cancelled() => None,
        };
        let answered = work.answered;
        state.set_target(None);
        if let Some(engine) = work.running.take() {
            engine.stop().await;
        }
        state.change(|r| r.engine.running = false);
        if stop.is_cancelled() {
            return;
        }
        let Some(failure) = outcome else {
            pause = config.first_pause;
            continue;
        };
        state.fail(&failure);
        pause = if answered { config.first_pause } else { pause };
        let wait = async {
            if failure.passes {
                tokio::time::sleep(pause).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = wanted.changed() => pause = config.first_pause,
            () = wait => pause = (pause * 2).min(PAUSE_MAX),
        }
    }
}

struct Work<'a> {
    state: &'a Arc<State>,
    config: &'a Config,
    wanted: &'a Wanted,
    running: Option<Engine>,
    /// Whether the model has answered since this began.
    answered: bool,
}

impl Work<'_> {
    /// Runs a step, and tells how it ended.
    async fn step<T>(
        &self,
        kind: StepKind,
        phase: Phase,
        work: impl Future<Output = Result<(T, String), StepFailure>>,
    ) -> Result<T, StepFailure> {
        self.state.phase(phase);
        let began = Instant::now();
        match work.await {
            Ok((value, told)) => {
                self.state.step_ended(kind, began.elapsed(), Ok(&told));
                Ok(value)
            }
            Err(failure) => {
                self.state.step_ended(kind, began.elapsed(), Err(&failure.message));
                Err(failure)
            }
        }
    }

    /// Serves the model; returns why it cannot.
    async fn serve(&mut self) -> StepFailure {
        match self.prepare().await {
            Ok((data, model)) => self.keep_running(&data, model.as_ref()).await,
            Err(failure) => failure,
        }
    }

    async fn prepare(&self) -> Result<(PathBuf, Option<Downloaded>), StepFailure> {
        let (state, config, request) = (self.state, self.config, &self.wanted.request);
        let desired = &request.desired;
        files::keep_desired(config, request)?;
        let data = match (&desired.data_device, &desired.scratch) {
            (Some(device), _) => {
                let prepare = async { data_volume::prepare(config, device).await.map(|told| ((), told)) };
                self.step(StepKind::DataVolume, Phase::DataVolume, prepare).await?;
                config.data.clone()
            }
            (None, Some(scratch)) => {
                let prepare = async { Ok(data_volume::prepare_scratch(config, scratch).await) };
                self.step(StepKind::DataVolume, Phase::DataVolume, prepare).await?
            }
            (None, None) => config.without_volume.clone(),
        };
        let made = std::fs::create_dir_all(&data);
        made.map_err(|e| StepFailure::passing("disk", format!("cannot create {}: {e}", data.display())))?;
        if engine::is_stood_in(config, desired) {
            let told = "an emulated server fetches no image and no model: a stand-in serves";
            for (kind, phase) in
                [(StepKind::EngineImage, Phase::EngineImage), (StepKind::ModelDownload, Phase::ModelDownload)]
            {
                self.step(kind, phase, async { Ok(((), told.to_owned())) }).await?;
            }
            return Ok((data, None));
        }
        let image = container::image(desired.engine, desired.image.as_deref());
        if let Some(image) = image.filter(|_| desired.engine != inventiv_core::engine::EngineKind::Command) {
            let pull = async {
                if data == config.data {
                    container::move_images(config, &data).await?;
                }
                container::pull(state, &image).await.map(|told| ((), told))
            };
            self.step(StepKind::EngineImage, Phase::EngineImage, pull).await?;
        }
        if !engine::needs_model(desired) {
            return Ok((data, None));
        }
        let download = async {
            let env = environment(request);
            let model = hub::download(state, &desired.model_id, desired.engine, &data, &env).await?;
            let told = model.told.clone();
            Ok((model, told))
        };
        let model = self.step(StepKind::ModelDownload, Phase::ModelDownload, download).await?;
        Ok((data, Some(model)))
    }

    /// Starts the engine again and again; returns when that cannot help.
    async fn keep_running(&mut self, data: &Path, model: Option<&Downloaded>) -> StepFailure {
        let mut in_vain = 0;
        let mut pause = self.config.first_pause;
        loop {
            let (began, logged) = (Instant::now(), self.state.log.last());
            self.state.phase(Phase::EngineStart);
            let request = Arc::clone(&self.wanted.request);
            match Engine::start(self.state, self.config, &request, model, data).await {
                Ok(engine) => self.running = Some(engine),
                Err(failure) => {
                    self.state.step_ended(StepKind::EngineStart, began.elapsed(), Err(&failure.message));
                    return failure;
                }
            }
            self.state.change(|r| r.engine.running = true);
            let (answered, why) = self.watch(began).await;
            self.state.set_target(None);
            self.state.change(|r| {
                r.engine.running = false;
                // To end it completely may take a while.
                r.phase = if answered { Phase::NotAnswering } else { r.phase };
            });
            if let Some(engine) = self.running.take() {
                engine.stop().await;
            }
            // What it wrote last may still be on its way.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let sign = from_lines(&self.state.log.engine_tail(logged, LINES));
            self.state.log.add(LogSource::Worker, &why);
            in_vain = if answered { 0 } else { in_vain + 1 };
            let passes = in_vain < STARTS && sign.is_none() || answered;
            let failure = match sign {
                Some((code, text)) => StepFailure { code, message: text, passes },
                None if passes => StepFailure::passing("engine_ended", format!("{why}; it is started again")),
                None => StepFailure::lasting(
                    "engine_exits",
                    format!("{why}, {STARTS} times before the model answered; look at `inventiv instance logs`"),
                ),
            };
            if !answered {
                self.state.step_ended(StepKind::EngineStart, began.elapsed(), Err(&failure.message));
            }
            if !passes {
                return failure;
            }
            self.state.change(|r| {
                r.engine.restarts += 1;
                r.engine.last_exit = Some(why);
            });
            self.state.fail(&failure);
            pause = if answered { self.config.first_pause } else { (pause * 2).min(PAUSE_MAX) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Watches an engine until it ends, or until it is to be started again. Returns whether its model has answered.
    async fn watch(&mut self, began: Instant) -> (bool, String) {
        let (state, config, model) = (self.state, self.config, &self.wanted.request.desired.model_id);
        let Some(engine) = self.running.as_mut() else { return (false, "the engine did not start".to_owned()) };
        let target = engine.target;
        let mut answered = false;
        let why = tokio::select! {
            why = engine.ended() => why,
            why = keep_probing(state, config, target, model, began, &mut answered) => why,
        };
        self.answered |= answered;
        (answered, why)
    }
}

/// Asks the model for ever; returns when the engine is to be started again.
async fn keep_probing(
    state: &State,
    config: &Config,
    target: std::net::SocketAddr,
    model: &str,
    began: Instant,
    answered: &mut bool,
) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
    let mut known: Option<Question> = None;
    let (mut failures, mut only_late, mut flowed) = (0, true, 0);
    loop {
        let limit = if *answered { config.probe_limit } else { FIRST_ANSWER };
        match probe::ask(&client, target, model, known, limit).await {
            Answer::Answered(question, latency) => {
                (known, failures, only_late) = (Some(question), 0, true);
                let latency_ms = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
                state.probed(Probe { answered: true, failures: 0, latency_ms, age_ms: 0, error: None });
                state.set_target(Some(target));
                if !std::mem::replace(answered, true) {
                    state.step_ended(
                        StepKind::EngineStart,
                        began.elapsed().saturating_sub(latency),
                        Ok("the engine runs"),
                    );
                    state.step_ended(StepKind::EngineProbe, latency, Ok("the model answered a request"));
                }
                if state.report().phase != Phase::Serving {
                    state.phase(Phase::Serving);
                }
            }
            // It answers others: it is busy, not dead.
            Answer::Late(_) if state.flow() != flowed => {}
            answer @ (Answer::NotYet(_) | Answer::Late(_) | Answer::Refused(_)) => {
                only_late &= matches!(answer, Answer::Late(_));
                let error = answer.error();
                failures += 1;
                state.probed(Probe { answered: false, failures, latency_ms: 0, age_ms: 0, error: Some(error.clone()) });
                if *answered && failures == FAILURES {
                    if !only_late {
                        state.set_target(None);
                    }
                    state.phase(Phase::NotAnswering);
                }
                if *answered && failures >= GIVE_UP {
                    return format!("the model did not answer {GIVE_UP} times in a row: {error}");
                }
            }
        }
        flowed = state.flow();
        tokio::time::sleep(if *answered { config.probe_every } else { ASK_EVERY }).await;
    }
}
