//! One run: drawn from a seed, executed step by step, then checked.

mod check;
mod ledger;
mod services;
mod tick;

use super::cloud::{Cloud, STALE_MS, START_US, ZONE};
use super::counts::{Counts, Failed};
use crate::process::{Commits, Drawn, Environment, Process};
use crate::{Faulty, Fleet, Home, InProcess, WorkerFault};
use inventiv_core::plan::Rules;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::clock::ManualClock;
use serde_json::{Value, json};
use services::Served;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The most steps in which faults and requests happen.
const STEPS_MAX: usize = 140;
/// The most ticks until everything is terminated.
const END_MAX: usize = 4_000;
/// The length of the trace, in lines.
const TRACE_LEN: usize = 400;
/// Shorter than in production, in the same proportions: lists lag for a quarter of the grace period.
const GRACE_MS: i64 = 60_000;
/// How late a call that got no answer may arrive.
const LATE_MAX_MS: i64 = 25_000;

struct Run {
    rng: fastrand::Rng,
    cloud: Cloud,
    environment: Environment,
    commits: Arc<Commits>,
    /// Late calls, and when they arrive.
    late: Vec<(Timestamp, http::Request<bytes::Bytes>)>,
    _home: Home,
    instances: BTreeSet<String>,
    services: Vec<Served>,
    /// How many of the instances are replicas.
    replicas: usize,
    /// Cloud ids of volumes that must survive, with our ids.
    kept: BTreeMap<String, String>,
    /// By our volume id, the last requested `delete_on_terminate`.
    said: BTreeMap<String, bool>,
    /// Instances requested with a data volume to be kept.
    keepers: BTreeSet<String>,
    /// Cloud ids of volumes that are lost with a server that a third party deletes.
    expected_lost: BTreeSet<String>,
    /// Whether reads are stale during parts of this run.
    stale: bool,
    /// Whether there are services in this run.
    serves: bool,
    /// When the project becomes visible again.
    sees_at: Option<Timestamp>,
    counts: Counts,
    trace: VecDeque<String>,
}

/// Executes the run of a seed.
///
/// # Errors
/// The control plane violated a check.
pub fn run(seed: u64) -> Result<Counts, Box<Failed>> {
    fastrand::seed(seed);
    let mut run = Run::new(seed).map_err(|why| Box::new(Failed { seed, why, trace: Vec::new() }))?;
    let reported = run.play();
    let Run { counts, trace, .. } = run;
    reported.map(|()| counts).map_err(|why| Box::new(Failed { seed, why, trace: trace.into() }))
}

type Step<T> = Result<T, String>;

impl Run {
    fn new(seed: u64) -> Step<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (stale, serves) = (rng.u8(..3) == 0, rng.u8(..5) == 0);
        let cloud = Cloud::drawn(&mut rng, stale);
        let home = Home::in_memory();
        let clock = Arc::new(ManualClock::new(Timestamp(START_US)));
        let environment = Environment {
            fleet: Fleet::new(&cloud.emulator, &clock),
            url: format!("sqlite:{}", home.path().join("run.db").display()),
            wire: Arc::new(Faulty::new(Arc::new(InProcess::new(cloud.emulator.router())))),
            clock,
            ids: Arc::new(Drawn::new(seed << 20, rng.fork())),
            rules: Rules { create_grace_ms: GRACE_MS, stale_ms: STALE_MS, ..Rules::default() },
            write_hook: None,
        };
        let commits = Arc::new(Commits::default());
        let environment = Environment { write_hook: Some(commits.write_hook(&environment.wire)), ..environment };
        environment.wire.listen();
        Ok(Self {
            commits,
            late: Vec::new(),
            rng,
            cloud,
            environment,
            _home: home,
            instances: BTreeSet::new(),
            services: Vec::new(),
            replicas: 0,
            kept: BTreeMap::new(),
            said: BTreeMap::new(),
            keepers: BTreeSet::new(),
            expected_lost: BTreeSet::new(),
            stale,
            serves,
            sees_at: None,
            counts: Counts::default(),
            trace: VecDeque::new(),
        })
    }

    fn note(&mut self, line: impl Into<String>) {
        if self.trace.len() == TRACE_LEN {
            self.trace.pop_front();
        }
        let at = (inventiv_orchestrator::Clock::now(&*self.environment.clock).0 - START_US) / 1_000;
        self.trace.push_back(format!("{at:>9} ms  {}", line.into()));
    }

    fn play(&mut self) -> Step<()> {
        let mut process = Process::start(&self.environment)?;
        process.runtime.block_on(process.orchestrator.refresh_catalogue()).map_err(|e| e.to_string())?;
        if self.stale {
            self.counts.stale += 1;
            self.make_reads_stale();
        }
        let steps = self.rng.usize(STEPS_MAX / 3..STEPS_MAX);
        let wildness = self.rng.u8(2..30);
        for _ in 0..steps {
            self.happen(&process, wildness)?;
            if self.tick(&process)? {
                self.services_were_planned();
            } else {
                drop(process);
                process = Process::start(&self.environment)?;
            }
            if self.rng.u8(..6) == 0 {
                for id in self.instances.clone() {
                    self.remember_what_is_kept(&process, &id)?;
                }
            }
            self.check_meanwhile()?;
            self.check_services(&process)?;
            if self.rng.u8(..30) == 0 {
                self.audit_meanwhile(&process)?;
            }
            let ms = [50, 500, 1_000, 2_000, 6_000][self.rng.usize(..5)];
            self.pass(ms);
        }
        self.end(&process)
    }

    fn pass(&mut self, ms: i64) {
        self.environment.clock.advance_ms(ms);
        self.cloud.emulator.advance_ms(ms);
        let now = inventiv_orchestrator::Clock::now(&*self.environment.clock);
        for request in self.environment.wire.late() {
            self.counts.late += 1;
            self.late.push((now.plus_ms(self.rng.i64(1_000..LATE_MAX_MS)), request));
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, request) in due {
            self.note(format!("arrives late: {} {}", request.method(), request.uri()));
            // The answer is ignored: no caller waits for it.
            let _ = self.cloud.emulator.handle(&request);
        }
    }

    fn make_reads_stale(&mut self) {
        let what = self.cloud.make_reads_stale(&mut self.rng);
        self.note(format!("stale reads: {what}"));
    }

    /// Begins and ends lasting faults: stale reads, and lost visibility of the project.
    fn turn(&mut self, wildness: u8) -> Step<()> {
        if self.stale && self.rng.u8(..15) == 0 {
            if self.rng.u8(..3) == 0 {
                self.cloud.refresh_reads();
                self.note("reads are fresh");
            } else {
                self.make_reads_stale();
            }
        }
        let now = inventiv_orchestrator::Clock::now(&*self.environment.clock);
        if self.sees_at.is_some_and(|at| at <= now) {
            self.sees_at = None;
            self.cloud.see_again();
            self.note("the project is visible again");
        } else if self.sees_at.is_none() && self.rng.u16(..600) < u16::from(wildness) {
            let what = self.cloud.hidden(&mut self.rng)?;
            self.sees_at = Some(now.plus_ms(self.rng.i64(5_000..90_000)));
            self.counts.hidden += 1;
            self.note(format!("the credentials lose the project: {what}"));
        }
        Ok(())
    }

    /// Draws what happens before a tick.
    fn happen(&mut self, process: &Process, wildness: u8) -> Step<()> {
        let own = self.instances.len() - self.replicas;
        if own == 0 || (own < 4 && self.rng.u8(..20) == 0) {
            self.ask_for_an_instance(process)?;
        }
        if self.serves {
            self.services_happen(process)?;
        }
        self.turn(wildness)?;
        if self.rng.u8(..100) < wildness {
            let what = self.cloud.break_something(&mut self.rng)?;
            self.note(format!("fault: {what}"));
        }
        if self.rng.u8(..100) < wildness {
            let fault = WorkerFault::ALL[self.rng.usize(..WorkerFault::ALL.len())];
            self.environment.fleet.inject(self.rng.usize(..4), fault);
            self.note(format!("fault of a worker: {fault:?}"));
        }
        if self.rng.u8(..40) == 0 {
            let what = self.cloud.stranger_makes(&mut self.rng);
            self.note(what);
        }
        if self.rng.u8(..25) == 0 {
            self.user_acts(process)?;
        }
        if self.rng.u8(..200) < wildness {
            self.stranger_acts(process)?;
        }
        Ok(())
    }

    fn call(&self, process: &Process, method: &str, path: &str, body: Option<Value>) -> Step<(u16, Value)> {
        process.call(&self.environment, method, path, body)?.ok_or_else(|| "killed during a user's request".to_owned())
    }

    fn ask_for_an_instance(&mut self, process: &Process) -> Step<()> {
        let kind = ["L40S-1-48G", "RENDER-S", "L4-1-24G", "H100-1-80G", "PLAY2-PICO"][self.rng.usize(..5)];
        let data_gb = [0, 10, 50][self.rng.usize(..3)];
        let mut request = json!({"instance_type": kind, "zone": ZONE, "data_volume_gb": data_gb});
        if kind == "PLAY2-PICO" {
            request["image"] = json!("ubuntu_noble");
        }
        if self.rng.u8(..4) == 0 {
            request["delete_on_terminate"] = json!(false);
        }
        if self.rng.u8(..6) == 0 && kind != "RENDER-S" {
            request["boot_volume_gb"] = json!(40);
        }
        if kind != "PLAY2-PICO" && self.rng.u8(..3) != 0 {
            let (_, retained) = self.call(process, "GET", "/volumes?status=retained", None)?;
            let all = retained["items"].as_array().cloned().unwrap_or_default();
            if let Some(volume) = all.get(self.rng.usize(..all.len().max(1))) {
                let kind = request["instance_type"].clone();
                request = json!({"instance_type": kind, "zone": ZONE, "volume_id": volume["id"]});
            }
        }
        if self.rng.bool() {
            let command = json!({"kind": "command", "command": ["serve", "{port}"]});
            request["model_id"] = json!("Qwen/Qwen2.5-0.5B-Instruct");
            (request["engine"], request["force"]) = (command, json!(true));
        }
        let (status, made) = self.call(process, "POST", "/instances", Some(request.clone()))?;
        self.note(format!("user: {request} → {status} {}", made["id"]));
        self.remember_what_is_reused(&made);
        if let Some(id) = made["id"].as_str() {
            self.instances.insert(id.to_owned());
            self.counts.instances += 1;
            self.counts.served += usize::from(request["model_id"].is_string());
            if request["delete_on_terminate"] == false {
                self.keepers.insert(id.to_owned());
            }
        }
        Ok(())
    }

    /// A volume that was given to an instance must survive it, whether the instance becomes ready or not.
    fn remember_what_is_reused(&mut self, made: &Value) {
        for v in made["storages"].as_array().into_iter().flatten().filter(|v| v["reused_from"].is_string()) {
            let text = |key: &str| v[key].as_str().unwrap_or_default().to_owned();
            self.said.insert(text("id"), false);
            self.counts.reused += 1;
            // A third party may have deleted it since.
            if self.cloud.held().iter().any(|(_, id, ..)| *id == text("provider_volume_id")) {
                self.kept.insert(text("provider_volume_id"), text("id"));
            }
        }
    }

    fn any_instance(&mut self) -> Option<String> {
        let n = self.rng.usize(..self.instances.len().max(1));
        self.instances.iter().nth(n).cloned()
    }

    fn user_acts(&mut self, process: &Process) -> Step<()> {
        let Some(id) = self.any_instance() else { return Ok(()) };
        self.remember_what_is_kept(process, &id)?;
        if self.rng.bool() {
            let (status, _) = self.call(process, "DELETE", &format!("/instances/{id}"), None)?;
            self.note(format!("user: terminate {id} → {status}"));
            return Ok(());
        }
        if self.rng.bool() {
            let power = ["stop", "start", "reboot"][self.rng.usize(..3)];
            let (status, _) = self.call(process, "POST", &format!("/instances/{id}/{power}"), None)?;
            self.note(format!("user: {power} {id} → {status}"));
            return Ok(());
        }
        let (_, shown) = self.call(process, "GET", &format!("/instances/{id}"), None)?;
        let volumes = shown["storages"].as_array().cloned().unwrap_or_default();
        let Some(volume) = volumes.get(self.rng.usize(..volumes.len().max(1))) else { return Ok(()) };
        let (here, delete) = (volume["id"].as_str().unwrap_or_default(), self.rng.bool());
        let path = format!("/volumes/{here}");
        let (status, _) = self.call(process, "PATCH", &path, Some(json!({"delete_on_terminate": delete})))?;
        self.note(format!("user: {here} delete_on_terminate={delete} → {status}"));
        if status < 300 {
            self.said.insert(here.to_owned(), delete);
        }
        if delete && status < 300 {
            self.kept.retain(|_, volume| volume != here);
        }
        Ok(())
    }

    /// A third party acts on one of our resources that we already know.
    fn stranger_acts(&mut self, process: &Process) -> Step<()> {
        let Some(id) = self.any_instance() else { return Ok(()) };
        let (_, shown) = self.call(process, "GET", &format!("/instances/{id}"), None)?;
        let Some(server) = shown["provider_instance_id"].as_str() else { return Ok(()) };
        let server = format!("/instance/v1/zones/{ZONE}/servers/{server}");
        let volumes = shown["storages"].as_array().cloned().unwrap_or_default();
        let volume = volumes.get(self.rng.usize(..volumes.len().max(1))).cloned().unwrap_or_default();
        let cloud_id = volume["provider_volume_id"].as_str().unwrap_or_default().to_owned();
        let action = |word: &str| ("POST", format!("{server}/action"), Some(json!({"action": word})));
        let attach = |id: &str| Some(json!({"volume_id": id, "volume_type": "sbs_volume"}));
        let (method, path, body) = match self.rng.u8(..7) {
            0 => action("poweroff"),
            1 => action("terminate"),
            2 => ("DELETE", server.clone(), None),
            3 => ("POST", format!("{server}/detach-volume"), Some(json!({"volume_id": cloud_id}))),
            4 => match self.cloud.third_parties.iter().next() {
                Some(foreign) => ("POST", format!("{server}/attach-volume"), attach(foreign)),
                None => return Ok(()),
            },
            5 => ("DELETE", format!("/block/v1/zones/{ZONE}/volumes/{cloud_id}"), None),
            _ => (
                "PATCH",
                format!("/block/v1/zones/{ZONE}/volumes/{cloud_id}"),
                Some(json!({"name": "renamed by hand"})),
            ),
        };
        let (status, _) = self.cloud.ask(method, &path, body.clone());
        self.note(format!("third party: {method} {path} {} → {status}", body.unwrap_or_default()));
        self.counts.third_parties += usize::from(status < 300);
        // A 5xx may have taken effect, for third parties as for us.
        if !(300..500).contains(&status) {
            // What a third party deleted is not our fault, nor is what was deleted with a server.
            let there: BTreeSet<String> = self.cloud.held().into_iter().map(|(_, id, ..)| id).collect();
            self.cloud.third_parties.retain(|id| there.contains(id));
            let terminates = path.ends_with("/action") || method == "DELETE";
            self.kept.retain(|id, _| there.contains(id) && !(terminates && id == &cloud_id));
            if terminates {
                let local = |v: &&Value| v["volume_type"] != "sbs_volume";
                for v in volumes.iter().filter(local) {
                    let id = v["provider_volume_id"].as_str().unwrap_or_default();
                    self.kept.remove(id);
                    self.expected_lost.insert(id.to_owned());
                }
            }
        }
        Ok(())
    }
}
