//! Runs one cell: the scenario with one fault, until it settles and ends, checked against the emulator's state.

mod check;

use super::injection::{Kind, Period};
use super::{At, Cell, Scenario};
use crate::process::{Commits, Drawn, Environment, Process};
use crate::simulate::cloud::{Cloud, START_US, ZONE};
use crate::{Fault, Faulty, Fleet, Home, InProcess, Injection};
use inventiv_core::plan::Rules;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_store::WritePhase;
use scaleway_emulator::options::StaleReads;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shorter than in production; lists lag for a quarter of it, and late calls arrive within half of it.
const GRACE_MS: i64 = 60_000;
/// The consistency window; no read here is staler.
const STALE_MS: i64 = 20_000;
/// How long a lasting fault lasts.
const PERIOD_MS: i64 = 60_000;
/// How late a call that got no answer arrives.
const LATE_MS: i64 = 30_000;
/// The most ticks of a scenario before it counts as hanging.
const TICKS_MAX: usize = 3_000;
/// How often the invariants that need the API are checked, in ticks.
const LOOK_EVERY: usize = 10;

/// The result of a cell.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The fault was injected and had an effect.
    pub(super) fired: bool,
    /// Calls and commits since arming, from which cells are generated.
    pub(super) calls: Vec<(String, String)>,
    pub(super) commits: usize,
    /// Suspects in the final audit, not counted as leaks.
    pub(super) suspects: usize,
}

type Step<T> = Result<T, String>;

pub(super) struct Stage {
    cell: Cell,
    cloud: Cloud,
    environment: Environment,
    _home: Home,
    commits: Arc<Commits>,
    process: Option<Process>,
    /// Whether a fault of the emulator or an action of a third party was injected.
    injected: Arc<AtomicBool>,
    /// Late calls, and when they arrive.
    late: Vec<(Timestamp, http::Request<bytes::Bytes>)>,
    /// The volume of a third party.
    foreign: String,
    /// Cloud ids that must exist at every moment: the volume of a third party, and kept volumes.
    must_survive: BTreeSet<String>,
    /// When a lasting fault ends.
    heals_at: Option<Timestamp>,
    /// Everything is being terminated, so nothing waits for a third party any more.
    ends: bool,
    reported: Told,
}

impl Stage {
    pub(super) fn new(cell: Cell) -> Step<Self> {
        let cloud = Cloud::plain(7);
        let home = Home::in_memory();
        let wire = Arc::new(Faulty::new(Arc::new(InProcess::new(cloud.emulator.router()))));
        let commits = Arc::new(Commits::default());
        let clock = Arc::new(ManualClock::new(Timestamp(START_US)));
        let environment = Environment {
            fleet: Fleet::new(&cloud.emulator, &clock),
            url: format!("sqlite:{}", home.path().join("cell.db").display()),
            clock,
            ids: Arc::new(Drawn::new(1 << 20, fastrand::Rng::with_seed(7))),
            rules: Rules { create_grace_ms: GRACE_MS, stale_ms: STALE_MS, ..Rules::default() },
            write_hook: Some(commits.write_hook(&wire)),
            wire,
        };
        let process = Some(Process::start(&environment)?);
        Ok(Self {
            cell,
            cloud,
            environment,
            _home: home,
            commits,
            process,
            injected: Arc::default(),
            late: Vec::new(),
            foreign: String::new(),
            must_survive: BTreeSet::new(),
            heals_at: None,
            ends: false,
            reported: Told::default(),
        })
    }

    pub(super) fn play(mut self) -> Step<Told> {
        let process = self.process()?;
        process.runtime.block_on(process.orchestrator.refresh_catalogue()).map_err(|e| e.to_string())?;
        let (status, foreign) = self.cloud.ask(
            "POST",
            &format!("/block/v1/zones/{ZONE}/volumes"),
            Some(json!({"name": "theirs", "from_empty": {"size": 5_000_000_000_i64}})),
        );
        if status >= 300 {
            return Err(format!("setup: {foreign}"));
        }
        self.foreign = text(&foreign, "id");
        self.must_survive.insert(self.foreign.clone());
        self.pass(10_000);
        self.prepare()?;
        self.arm();
        self.act()?;
        self.settle("the goal")?;
        self.close_the_count();
        self.judge_goal()?;
        self.end()?;
        Ok(self.reported)
    }

    fn process(&self) -> Step<&Process> {
        self.process.as_ref().ok_or_else(|| "no process".to_owned())
    }

    fn restart(&mut self) -> Step<()> {
        self.process = None;
        self.process = Some(Process::start(&self.environment)?);
        Ok(())
    }

    fn request(&self) -> Value {
        let mut request = json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50});
        if self.cell.scenario == Scenario::Resize {
            request["boot_volume_gb"] = json!(40);
        }
        if matches!(self.cell.scenario, Scenario::Serve | Scenario::Drain) {
            request["model_id"] = json!("Qwen/Qwen2.5-0.5B-Instruct");
            request["engine"] = json!({"kind": "command", "command": ["serve", "{port}"]});
        }
        request
    }

    /// Creates the initial state, before any fault.
    fn prepare(&mut self) -> Step<()> {
        match self.cell.scenario {
            Scenario::Create | Scenario::Cancel(_) | Scenario::Resize | Scenario::Serve => Ok(()),
            Scenario::Terminate | Scenario::Retain | Scenario::Drain => {
                self.ask_for_it()?;
                self.settle("ready, before any fault")
            }
            Scenario::Release | Scenario::Reuse => {
                self.ask_for_it()?;
                self.settle("ready, before any fault")?;
                self.keep()?;
                self.terminate()?;
                self.settle("ended, before any fault")
            }
            Scenario::Adopt => {
                // The process dies in the call that creates the server; the call takes effect.
                self.ask_for_it()?;
                self.environment.wire.fail("POST", "/servers", 1, Fault::Kill);
                if !self.tick(false)? {
                    return Ok(());
                }
                Err("setup: the process was not killed in the creation".to_owned())
            }
        }
    }

    fn arm(&mut self) {
        self.environment.wire.listen();
        self.commits.arm(true);
        let kind = self.cell.kind;
        match (self.cell.at, kind) {
            (At::Nowhere, _) => {}
            (At::Commit(n), Kind::CommitCrashBefore) => self.commits.kill_at(n, WritePhase::Before),
            (At::Commit(n), _) => self.commits.kill_at(n, WritePhase::Committed),
            (At::Call(n), Kind::CrashBefore) => self.environment.wire.inject(n, Injection::Kill { after: false }),
            (At::Call(n), Kind::CrashAfterAnswer) => self.environment.wire.inject(n, Injection::Kill { after: true }),
            (At::Call(n), Kind::Twice) => self.environment.wire.inject(n, Injection::Twice),
            (At::Call(n), Kind::Late) => self.environment.wire.inject(n, Injection::Late),
            (At::Call(n), _) => {
                let injection = self.meanwhile();
                self.environment.wire.inject(n, injection);
            }
        }
    }

    /// What happens right before the call is sent: a fault is set in the emulator, or a third party acts.
    fn meanwhile(&self) -> Injection {
        let (emulator, kind, injected) = (self.cloud.emulator.clone(), self.cell.kind, self.injected.clone());
        if let Some(period) = kind.period() {
            return Injection::Meanwhile(Arc::new(move || {
                match period {
                    Period::Stale => emulator.set_stale_reads(vec![StaleReads::all(STALE_MS)]),
                    Period::Blind(path) => {
                        let rule = json!({"path": path, "effect": {"blind": true}});
                        if emulator.add_fault(&rule).is_err() {
                            return;
                        }
                    }
                }
                injected.store(true, Ordering::SeqCst);
            }));
        }
        if let Some(effect) = kind.effect() {
            let effect: Value = serde_json::from_str(effect).unwrap_or_default();
            let rule = json!({"path": "*", "times": 1, "effect": effect});
            return Injection::Meanwhile(Arc::new(move || {
                injected.store(emulator.add_fault(&rule).is_ok(), Ordering::SeqCst)
            }));
        }
        let (wire, foreign) = (self.environment.wire.clone(), self.foreign.clone());
        let cloud = self.cloud.view();
        Injection::Meanwhile(Arc::new(move || {
            let shown = wire.heard().shown;
            let did = super::third_party::acts(kind, &cloud, &foreign, &|id| shown.contains(id));
            injected.store(did, Ordering::SeqCst);
        }))
    }

    /// What users do after arming.
    fn act(&mut self) -> Step<()> {
        match self.cell.scenario {
            Scenario::Create | Scenario::Resize | Scenario::Serve => self.ask_for_it(),
            Scenario::Terminate | Scenario::Drain => self.terminate(),
            Scenario::Cancel(moment) => {
                self.ask_for_it()?;
                for _ in 0..TICKS_MAX {
                    if self.environment.wire.heard().calls.len() >= moment || self.is_settled()? {
                        break;
                    }
                    self.advance(false)?;
                }
                self.terminate()
            }
            Scenario::Retain => {
                self.keep()?;
                self.terminate()
            }
            Scenario::Release => {
                let volumes = self.user("GET", "/volumes?status=retained", None)?;
                let kept = text(&volumes["items"][0], "id");
                self.must_survive.remove(&text(&volumes["items"][0], "provider_volume_id"));
                self.user("PATCH", &format!("/volumes/{kept}"), Some(json!({"delete_on_terminate": true}))).map(|_| ())
            }
            Scenario::Reuse => self.reuse(),
            Scenario::Adopt => Ok(()),
        }
    }

    /// Requests an instance with the kept volume. A request whose process dies may have been recorded: it is repeated
    /// with the same key.
    fn reuse(&mut self) -> Step<()> {
        let volumes = self.user("GET", "/volumes?status=retained", None)?;
        let mut request = self.request();
        if let Some(fields) = request.as_object_mut() {
            fields.remove("data_volume_gb");
        }
        request["volume_id"] = volumes["items"][0]["id"].clone();
        self.user("POST", "/instances", Some(request)).map(|_| ())
    }

    fn ask_for_it(&mut self) -> Step<()> {
        let request = self.request();
        self.user("POST", "/instances", Some(request))?;
        Ok(())
    }

    /// Requests that the data volume be kept.
    fn keep(&mut self) -> Step<()> {
        for instance in self.instances()? {
            let shown = self.user("GET", &format!("/instances/{}", text(&instance, "id")), None)?;
            let data = shown["storages"].as_array().into_iter().flatten().find(|v| v["origin"] == "ours").cloned();
            let Some(data) = data else { continue };
            let path = format!("/volumes/{}", text(&data, "id"));
            let kept = self.user("PATCH", &path, Some(json!({"delete_on_terminate": false})))?;
            if kept["delete_on_terminate"] == false {
                self.must_survive.insert(text(&data, "provider_volume_id"));
            }
        }
        Ok(())
    }

    fn terminate(&mut self) -> Step<()> {
        for instance in self.instances()? {
            self.user("DELETE", &format!("/instances/{}", text(&instance, "id")), None)?;
        }
        Ok(())
    }

    fn instances(&mut self) -> Step<Vec<Value>> {
        let page = self.user("GET", "/instances?limit=500", None)?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    }

    /// A request of a user, repeated if the process dies before it answers.
    fn user(&mut self, method: &str, path: &str, body: Option<Value>) -> Step<Value> {
        for _ in 0..3 {
            match self.process()?.call(&self.environment, method, path, body.clone())? {
                Some((_, answer)) => return Ok(answer),
                None => self.restart()?,
            }
        }
        Err(format!("{method} {path}: killed three times"))
    }

    fn pass(&mut self, ms: i64) {
        self.environment.clock.advance_ms(ms);
        self.cloud.emulator.advance_ms(ms);
        let now = self.environment.clock.now();
        if self.cell.kind.period().is_some() && self.injected.load(Ordering::SeqCst) {
            let heals_at = *self.heals_at.get_or_insert(now.plus_ms(PERIOD_MS));
            if now >= heals_at && now < heals_at.plus_ms(PERIOD_MS) {
                self.cloud.heal();
            }
        }
        for request in self.environment.wire.late() {
            self.injected.store(true, Ordering::SeqCst);
            self.late.push((now.plus_ms(LATE_MS), request));
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, request) in due {
            // The answer is ignored: no caller waits for it.
            let _ = self.cloud.emulator.handle(&request);
        }
    }

    /// `false`: the process was killed.
    fn tick(&mut self, resync: bool) -> Step<bool> {
        let killed = self.environment.wire.killed();
        let process = self.process()?;
        let ticked = process.runtime.block_on(async {
            let both = async {
                process.orchestrator.tick(resync).await?;
                process.orchestrator.contact_workers().await
            };
            tokio::select! {
                biased;
                () = killed.notified() => None,
                done = both => Some(done),
            }
        });
        match ticked {
            None => self.restart().map(|()| false),
            Some(done) => done.map(|_| true).map_err(|e| format!("a tick: {e}")),
        }
    }

    /// Runs a tick and advances time to the next event.
    fn advance(&mut self, resync: bool) -> Step<()> {
        self.tick(resync)?;
        self.check_cloud()?;
        let now = self.environment.clock.now();
        let wake = self.wake()?.map_or(5_000, |wake| wake.ms_since(now));
        let next = self.cloud.emulator.next_event_in_ms().unwrap_or(i64::MAX);
        self.pass(wake.min(next).clamp(500, 10_000));
        Ok(())
    }

    fn wake(&self) -> Step<Option<Timestamp>> {
        let process = self.process()?;
        let account = format!("scaleway:{}", crate::PROJECT);
        process.runtime.block_on(process.store.next_wake(&account)).map_err(|e| e.to_string())
    }

    /// Whether no instance waits and no call is late.
    fn is_settled(&self) -> Step<bool> {
        Ok(self.wake()?.is_none() && self.late.is_empty() && !self.starts_a_model()?)
    }

    /// Whether a worker is on its way to a model that answers.
    fn starts_a_model(&self) -> Step<bool> {
        let process = self.process()?;
        let counts = process.runtime.block_on(process.store.living_counts()).map_err(|e| e.to_string())?;
        let on_the_way = ["booting", "installing", "starting"];
        Ok(counts.keys().any(|status| on_the_way.contains(&status.as_str())))
    }

    fn settle(&mut self, what: &str) -> Step<()> {
        let mut rests = 0;
        for n in 0..TICKS_MAX {
            // Only a resync finds an unexpected resource, such as a duplicate, so a settled state is resynced.
            self.advance(rests > 0 || n % 20 == 19)?;
            if n % LOOK_EVERY == 0 {
                self.check_records()?;
            }
            let waits_for_a_stranger =
                !self.ends && self.cell.kind.is_a_strangers() && n > 150 && !self.is_on_the_way()?;
            rests = if self.is_settled()? || waits_for_a_stranger { rests + 1 } else { 0 };
            if rests > 2 {
                return Ok(());
            }
        }
        let shown: Vec<String> = self.instances()?.iter().map(Value::to_string).collect();
        Err(format!("not settled: {what}: {}", shown.join("\n")))
    }

    /// Whether an instance makes progress without a third party.
    fn is_on_the_way(&mut self) -> Step<bool> {
        Ok(self.instances()?.iter().any(|i| matches!(text(i, "status").as_str(), "terminating" | "provisioning")))
    }

    fn close_the_count(&mut self) {
        self.commits.arm(false);
        let spared = self.environment.wire.spare();
        let missed = self.commits.spare();
        let kind = self.cell.kind;
        let hand = kind.is_a_strangers() || kind.effect().is_some() || kind.period().is_some();
        self.reported.fired = !spared && !missed && (!hand || self.injected.load(Ordering::SeqCst));
        self.reported.calls = self.environment.wire.heard().calls;
        self.reported.commits = self.commits.begun();
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
