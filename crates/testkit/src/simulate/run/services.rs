//! Services in a run: users who create, change and delete them, and a load that rises and falls.
//!
//! A service has no more replicas than it may, and one more only while settings change or a replica does not answer. When all
//! faults have ended, it follows its load up to its maximum, stays as it is while the load does, and goes back to its minimum.

use super::{Run, Step};
use crate::process::Process;
use inventiv_core::id::ServiceId;
use inventiv_core::service::Load;
use inventiv_store::Counted;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many services a run has.
const SERVICES_MAX: usize = 2;
/// How many requests at once are meant for one replica.
const CONCURRENCY: u32 = 4;
/// How long a service may take to follow its load once all faults have ended, in milliseconds: a model that never answers ends
/// its instance after fifteen minutes, which may happen to each of three replicas, and candidates that were out of stock are not
/// tried for ten minutes.
const FOLLOWS_WITHIN_MS: i64 = 3_600_000;
/// How long the load stays as it is, in milliseconds.
const STEADY_MS: i64 = 300_000;
/// How long nothing is checked after the faults, in milliseconds: what third parties did to replicas is found, and replicas that
/// do not answer are replaced.
const CALM_MS: i64 = 300_000;
/// After so many completed ticks, a smaller maximum holds: another process may have been faster, or a plan too old.
const PLANNED_TICKS: u32 = 3;
/// The length of a step while a service follows its load, in milliseconds.
const STEP_MS: i64 = 10_000;
/// One step in so many observes everything.
const RESYNC_EVERY: usize = 6;

/// A service of a run.
pub(super) struct Served {
    id: ServiceId,
    name: String,
    min: u32,
    max: u32,
    /// What `max` was before it was reduced: what is beyond it ends with the next plan.
    most: u32,
    /// How many ticks were completed since `max` was changed.
    ticks: u32,
    load: Load,
    /// How many replicas it has had.
    created: usize,
    deleted: bool,
}

/// The statuses of replicas that answer or may still do so.
const LIVING: [&str; 6] = ["provisioning", "booting", "installing", "starting", "ready", "unavailable"];

/// The replicas of a shown service that answer or may still do so.
fn living(shown: &Value) -> BTreeSet<String> {
    let all = shown["replicas"].as_array().into_iter().flatten();
    let alive = all.filter(|r| r["error"].is_null() && r["status"].as_str().is_some_and(|s| LIVING.contains(&s)));
    alive.filter_map(|r| r["instance_id"].as_str().map(str::to_owned)).collect()
}

impl Run {
    /// Draws what happens to services before a tick.
    pub(super) fn services_happen(&mut self, process: &Process) -> Step<()> {
        if self.services.len() < SERVICES_MAX && self.rng.u8(..50) == 0 {
            self.create_service(process)?;
        }
        if self.services.is_empty() {
            return Ok(());
        }
        let at = self.rng.usize(..self.services.len());
        if self.rng.u8(..12) == 0 {
            let most = CONCURRENCY * (self.services[at].max + 2);
            let (outstanding, queued) = match self.rng.u8(..3) {
                0 => (0, 0),
                1 => (self.rng.u32(..most), 0),
                _ => (self.rng.u32(..most), self.rng.u32(..most)),
            };
            self.note(format!("load of {}: {outstanding} under way, {queued} waiting", self.services[at].name));
            let load = &mut self.services[at].load;
            (load.outstanding, load.queued) = (outstanding, queued);
        }
        if self.rng.u8(..40) == 0 && !self.services[at].deleted {
            self.change_service(process, at)?;
        }
        self.report_loads(process)
    }

    fn create_service(&mut self, process: &Process) -> Step<()> {
        let (min, more) = (self.rng.u32(..2), self.rng.u32(..3));
        let max = (min + more).max(1);
        let name = format!("chat-{}", self.services.len());
        let command = json!({"kind": "command", "command": ["serve", "{port}"]});
        let request = json!({"model_id": "Qwen/Qwen2.5-7B-Instruct", "name": name, "min_replicas": min,
            "max_replicas": max, "target_concurrency": CONCURRENCY, "idle_seconds": self.rng.u32(20..120),
            "scale_down_seconds": self.rng.u32(10..60), "zones": [super::ZONE],
            "instance_types": ["L4-1-24G", "L40S-1-48G"], "engine": command});
        let (status, made) = self.call(process, "POST", "/services", Some(request))?;
        self.note(format!("user: creates service {name}, {min} to {max} replicas → {status}"));
        if status != 201 {
            return Err(format!("a service is refused: {made}"));
        }
        let id = made["id"].as_str().and_then(ServiceId::parse).ok_or("a service without an id")?;
        self.counts.services += 1;
        self.services.push(Served {
            id,
            name,
            min,
            max,
            most: max,
            ticks: 0,
            load: Load::default(),
            created: 0,
            deleted: false,
        });
        Ok(())
    }

    fn change_service(&mut self, process: &Process, at: usize) -> Step<()> {
        let (path, service) = (format!("/services/{}", self.services[at].name), &mut self.services[at]);
        let (method, path, body) = match self.rng.u8(..6) {
            more @ (0 | 1) => {
                service.max = service.min + 1 + u32::from(more);
                (service.most, service.ticks) = (service.most.max(service.max), 0);
                ("PATCH", path, Some(json!({"max_replicas": service.max})))
            }
            2 | 3 => {
                let command =
                    ["serve".to_owned(), "--seed".to_owned(), self.rng.u8(..).to_string(), "{port}".to_owned()];
                ("PATCH", path, Some(json!({"engine": {"kind": "command", "command": command}})))
            }
            4 => ("POST", format!("{path}/warm"), Some(json!({"seconds": self.rng.u32(1..300)}))),
            _ => {
                service.deleted = true;
                ("DELETE", path, None)
            }
        };
        let (status, answer) = self.call(process, method, &path, body.clone())?;
        self.note(format!("user: {method} {path} {} → {status}", body.unwrap_or_default()));
        if status >= 300 { Err(format!("a change of a service is refused: {answer}")) } else { Ok(()) }
    }

    /// Reports the load, as a gateway does.
    fn report_loads(&mut self, process: &Process) -> Step<()> {
        let now = inventiv_orchestrator::Clock::now(&*self.environment.clock);
        let mut counted = Counted::default();
        for service in self.services.iter_mut().filter(|s| !s.deleted) {
            if service.load.outstanding + service.load.queued > 0 {
                service.load.last_request_at = Some(now);
            }
            counted.loads.push((service.id.clone(), service.load));
        }
        let written = process.runtime.block_on(process.store.add_counted("gateway", &counted, now));
        written.map(drop).map_err(|e| e.to_string())
    }

    /// After a completed tick: services were planned with their present settings.
    pub(super) fn services_were_planned(&mut self) {
        for service in &mut self.services {
            service.ticks += 1;
            if service.ticks >= PLANNED_TICKS {
                service.most = service.max;
            }
        }
    }

    /// Checks how many replicas there are, and remembers which.
    pub(super) fn check_services(&mut self, process: &Process) -> Step<()> {
        for at in 0..self.services.len() {
            self.check_service(process, at)?;
        }
        Ok(())
    }

    /// Returns the service as it is shown.
    fn check_service(&mut self, process: &Process, at: usize) -> Step<Value> {
        let (status, shown) = self.call(process, "GET", &format!("/services/{}", self.services[at].name), None)?;
        if status != 200 {
            return Err(format!("{} is not shown: {shown}", self.services[at].name));
        }
        for replica in shown["replicas"].as_array().into_iter().flatten() {
            let id = replica["instance_id"].as_str().unwrap_or_default();
            if self.instances.insert(id.to_owned()) {
                self.counts.instances += 1;
                self.counts.replicas += 1;
                self.replicas += 1;
                self.services[at].created += 1;
            }
        }
        let (living, service) = (living(&shown), &self.services[at]);
        let replicas = shown["replicas"].as_array().into_iter().flatten();
        let is_one_more = replicas.into_iter().any(|r| r["is_current"] == false || r["status"] == "unavailable");
        let most = service.most + u32::from(is_one_more);
        if living.len() > most as usize {
            return Err(format!("{} may have {most} replicas, and has {}: {shown:#}", service.name, living.len()));
        }
        Ok(shown)
    }

    /// Every service follows its load, once all faults have ended. Then it is deleted.
    pub(super) fn settle_services(&mut self, process: &Process) -> Step<()> {
        for _ in 0..if self.services.is_empty() { 0 } else { CALM_MS / STEP_MS } {
            self.step(process)?;
        }
        for at in 0..self.services.len() {
            if !self.services[at].deleted {
                self.follow(process, at)?;
            }
        }
        for at in 0..self.services.len() {
            self.until(process, at, "no replicas", |shown| {
                shown["status"] == "deleted" && shown["replicas"] == json!([])
            })?;
        }
        Ok(())
    }

    /// A service follows its load to the maximum and back. Then it is deleted.
    fn follow(&mut self, process: &Process, at: usize) -> Step<()> {
        let service = &mut self.services[at];
        let (name, min, max) = (service.name.clone(), service.min as usize, service.max as usize);
        let is_at = |shown: &Value, n: usize| {
            let all = shown["replicas"].as_array().map_or(0, Vec::len);
            all == n && shown["ready_replicas"] == n && (n == 0 || shown["status"] == "ready")
        };
        service.load = Load { outstanding: CONCURRENCY * service.max, ..Load::default() };
        let given_up = |shown: &Value| shown["reason"].as_str().is_some_and(|why| why.contains("in a row failed"));
        let what = format!("{max} replicas");
        let mut shown = self.until(process, at, &what, |shown| is_at(shown, max) || given_up(shown))?;
        if given_up(&shown) {
            // Its replicas failed during the faults. Somebody has to ask for more.
            let (path, warm) = (format!("/services/{name}/warm"), json!({"seconds": 1}));
            let (status, answer) = self.call(process, "POST", &path, Some(warm))?;
            if status >= 300 {
                return Err(format!("{name} is not warmed: {answer}"));
            }
            self.counts.warmed += 1;
            shown = self.until(process, at, &what, |shown| is_at(shown, max))?;
        }
        let (before, created) = (living(&shown), self.services[at].created);
        for _ in 0..STEADY_MS / STEP_MS {
            self.step(process)?;
            let now = living(&self.check_service(process, at)?);
            if now != before || self.services[at].created != created {
                return Err(format!("{name} changes while its load does not: {before:?}, {now:?}"));
            }
        }
        self.services[at].load.outstanding = 0;
        self.until(process, at, &format!("{min} replicas"), |shown| is_at(shown, min))?;
        self.counts.followed += 1;
        self.call(process, "DELETE", &format!("/services/{name}"), None)?;
        self.services[at].deleted = true;
        Ok(())
    }

    fn until(&mut self, process: &Process, at: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Step<Value> {
        let mut shown = Value::Null;
        for _ in 0..FOLLOWS_WITHIN_MS / STEP_MS {
            self.step(process)?;
            shown = self.check_service(process, at)?;
            if is_so(&shown) {
                return Ok(shown);
            }
        }
        Err(format!("{} should have {what}, and has not: {shown:#}", self.services[at].name))
    }

    /// A few seconds without faults.
    fn step(&mut self, process: &Process) -> Step<()> {
        self.counts.ticks += 1;
        self.report_loads(process)?;
        let resync = self.counts.ticks.is_multiple_of(RESYNC_EVERY);
        let all = async {
            process.orchestrator.reconcile_services().await?;
            process.orchestrator.tick(resync).await?;
            process.orchestrator.contact_workers().await
        };
        process.runtime.block_on(all).map_err(|e| format!("a tick at the end: {e}"))?;
        self.services_were_planned();
        self.check_meanwhile()?;
        self.check_services(process)?;
        self.pass(STEP_MS);
        Ok(())
    }
}
