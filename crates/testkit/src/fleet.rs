//! Workers on virtual time: a model of what the control plane sees of them, with faults at every call.
//!
//! A machine belongs to a server of the emulator, and responds while that server runs. What a worker does with disks,
//! engines and TLS is tested with real workers elsewhere; here, the control plane is on trial.

use async_trait::async_trait;
use inventiv_core::cloud_config::WorkerFiles;
use inventiv_core::worker::report::{EngineFacts, Phase, Probe, Report, Step, StepKind, WorkerFailure};
use inventiv_keyring::Keyring;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_orchestrator::{Clock, WorkerLink, WorkerSession};
use inventiv_worker_api::client::{ContactError, Responder};
use inventiv_worker_api::message::{DesiredRequest, LogLine, LogSource};
use inventiv_worker_api::tls::TlsError;
use parking_lot::Mutex;
use scaleway_emulator::Emulator;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a server's system takes to boot, in milliseconds.
const BOOT_MS: i64 = 5_000;
/// How long a reboot or a frozen machine lasts, in milliseconds.
const AWAY_MS: i64 = 60_000;
/// How long a call takes that gets no response, in milliseconds.
const NO_RESPONSE_MS: i64 = 10_000;
/// The phases on the way to a model that answers, with the step that ends with each.
const WAY: [(Phase, Option<StepKind>); 4] = [
    (Phase::DataVolume, None),
    (Phase::ModelDownload, Some(StepKind::DataVolume)),
    (Phase::EngineStart, Some(StepKind::ModelDownload)),
    (Phase::Serving, Some(StepKind::EngineProbe)),
];

/// What goes wrong with one call to a worker, or from then on with its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerFault {
    /// The call is lost before it arrives.
    LostBefore,
    /// The call takes effect, and the response is lost.
    LostAfter,
    /// There is no response for a long time.
    Hangs,
    /// The certificate is not accepted, once.
    WrongCertificate,
    /// Another machine has the address for a while.
    AnotherMachine,
    /// The worker starts again.
    WorkerRestarted,
    /// The machine boots again.
    MachineRebooted,
    /// The machine is frozen for a while.
    MachineFrozen,
    /// The disk is full: that does not pass.
    DiskFull,
    /// The engine ends, and is started again.
    EngineCrash,
    /// The engine loads for ever.
    EngineNeverReady,
    /// The call is refused.
    Refused,
}

impl WorkerFault {
    /// Every fault.
    pub const ALL: [Self; 12] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Hangs,
        Self::WrongCertificate,
        Self::AnotherMachine,
        Self::WorkerRestarted,
        Self::MachineRebooted,
        Self::MachineFrozen,
        Self::DiskFull,
        Self::EngineCrash,
        Self::EngineNeverReady,
        Self::Refused,
    ];
}

/// A machine, by the cloud's id of its server.
#[derive(Default)]
struct Machine {
    /// When it was first found running since it was off.
    up_since: Option<i64>,
    /// The program is on its disk.
    installed: bool,
    run: u64,
    sequence: u64,
    desired: Option<String>,
    /// Index into [`WAY`].
    way: usize,
    steps: Vec<Step>,
    /// Until when it does not respond, or another machine has its address.
    away_until: i64,
    taken_until: i64,
    crashed: u32,
    never_ready: bool,
    failure: Option<WorkerFailure>,
    draining: bool,
    /// Now, and when somebody last asked for the model.
    now: i64,
    asked_at: Option<i64>,
}

#[derive(Default)]
struct Inner {
    machines: BTreeMap<String, Machine>,
    calls: Vec<&'static str>,
    fault: Option<(usize, WorkerFault)>,
}

/// The workers of an emulated cloud.
#[derive(Clone)]
pub struct Fleet {
    emulator: Emulator,
    clock: Arc<ManualClock>,
    keyring: Arc<Keyring>,
    inner: Arc<Mutex<Inner>>,
}

impl Fleet {
    /// The workers on the servers of an emulator.
    #[must_use]
    pub fn new(emulator: &Emulator, clock: &Arc<ManualClock>) -> Self {
        let (emulator, clock, keyring) = (emulator.clone(), clock.clone(), crate::wiring::keyring());
        Self { emulator, clock, keyring, inner: Arc::default() }
    }

    /// Injects a fault into the nth call from now on.
    pub fn inject(&self, n: usize, fault: WorkerFault) {
        let mut inner = self.inner.lock();
        let at = inner.calls.len() + n;
        inner.fault = Some((at, fault));
    }

    /// Whether the injected fault has not occurred; it is removed.
    #[must_use]
    pub fn spare(&self) -> bool {
        self.inner.lock().fault.take().is_some()
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.inner.lock().calls.clone()
    }

    /// Whether the model of an instance answers now.
    #[must_use]
    pub fn answers(&self, instance_id: &str) -> bool {
        let now = self.now();
        let Some((id, _)) = self.servers().into_iter().find(|(_, s)| s.instance == instance_id && s.runs) else {
            return false;
        };
        let inner = self.inner.lock();
        let machine = inner.machines.get(&id);
        machine.is_some_and(|m| m.phase() == Phase::Serving && now >= m.away_until && now >= m.taken_until)
    }

    /// Somebody asks the model of an instance.
    pub fn ask(&self, instance_id: &str) {
        let now = self.now();
        let of: Vec<String> =
            self.servers().into_iter().filter(|(_, s)| s.instance == instance_id).map(|(id, _)| id).collect();
        let mut inner = self.inner.lock();
        for id in of {
            inner.machines.entry(id).or_default().asked_at = Some(now);
        }
    }

    /// Ends every fault that lasts.
    pub fn heal(&self) {
        let mut inner = self.inner.lock();
        inner.fault = None;
        for machine in inner.machines.values_mut() {
            (machine.away_until, machine.taken_until, machine.crashed) = (0, 0, 0);
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().0 / 1_000
    }

    /// The servers of the cloud.
    fn servers(&self) -> BTreeMap<String, ShownServer> {
        let state = self.emulator.state();
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let one = |s: &serde_json::Value| {
            let name = text(&s["name"]);
            let instance = name.split('-').nth(2).map(|body| format!("ins-{body}")).unwrap_or_default();
            let addresses = s["public_ips"].as_array().into_iter().flatten().map(|ip| text(&ip["address"])).collect();
            (text(&s["id"]), ShownServer { instance, runs: s["state"] == "running", addresses })
        };
        state["servers"].as_array().into_iter().flatten().map(one).collect()
    }
}

struct ShownServer {
    instance: String,
    runs: bool,
    addresses: Vec<String>,
}

impl Machine {
    fn phase(&self) -> Phase {
        if self.failure.is_some() {
            return Phase::Failed;
        }
        if self.desired.is_none() {
            return Phase::Waiting;
        }
        if self.crashed > 0 {
            return Phase::Retrying;
        }
        WAY.get(self.way).map_or(Phase::Serving, |(phase, _)| *phase)
    }

    fn start_again(&mut self) {
        (self.run, self.sequence, self.way) = (self.run + 1, 0, 0);
        (self.desired, self.draining, self.asked_at) = (None, false, None);
        self.steps.clear();
    }

    /// One step further on the way.
    fn go_on(&mut self) {
        self.sequence += 1;
        if self.crashed > 0 {
            self.crashed -= 1;
        } else if self.desired.is_some() && self.failure.is_none() && self.way + 1 < WAY.len() {
            let stays = self.never_ready && WAY[self.way].0 == Phase::EngineStart;
            if !stays {
                self.way += 1;
                let number = self.steps.len() as u64 + 1;
                let done = |kind| Step { number, kind, lasted_ms: 1_000, succeeded: true, text: "done".to_owned() };
                self.steps.extend(WAY[self.way].1.map(done));
            }
        }
    }

    fn report(&self) -> Report {
        let serves = self.phase() == Phase::Serving;
        Report {
            version: "test".to_owned(),
            run_id: format!("run-{}", self.run),
            sequence: self.sequence,
            desired_id: self.desired.clone(),
            phase: self.phase(),
            progress: None,
            steps: self.steps.clone(),
            failure: self.failure.clone(),
            engine: EngineFacts::default(),
            probe: serves.then_some(Probe { answered: true, failures: 0, latency_ms: 1, age_ms: 0, error: None }),
            in_flight: 0,
            idle_ms: Some(self.now - self.asked_at.unwrap_or(self.now)),
            draining: self.draining,
            gpus: Vec::new(),
            disks: Vec::new(),
            memory_bytes: None,
            memory_free_bytes: None,
        }
    }

    fn suffer(&mut self, fault: WorkerFault, now: i64) {
        match fault {
            WorkerFault::AnotherMachine => self.taken_until = now + AWAY_MS,
            WorkerFault::WorkerRestarted => self.start_again(),
            WorkerFault::MachineRebooted => {
                self.start_again();
                self.away_until = now + AWAY_MS;
            }
            WorkerFault::MachineFrozen => self.away_until = now + AWAY_MS,
            WorkerFault::DiskFull => {
                let message = "the disk is full; choose a larger data volume".to_owned();
                self.failure = Some(WorkerFailure { code: "disk_full".to_owned(), message });
            }
            WorkerFault::EngineCrash => self.crashed = 3,
            WorkerFault::EngineNeverReady => {
                self.never_ready = true;
                self.way = self.way.min(2);
            }
            WorkerFault::LostBefore
            | WorkerFault::LostAfter
            | WorkerFault::Hangs
            | WorkerFault::WrongCertificate
            | WorkerFault::Refused => {}
        }
    }
}

#[async_trait]
impl WorkerLink for Fleet {
    fn files(&self, _instance_id: &str) -> Result<WorkerFiles, TlsError> {
        Ok(WorkerFiles { files: Vec::new(), commands: Vec::new() })
    }

    fn connect(&self, instance_id: &str, address: IpAddr) -> Box<dyn WorkerSession> {
        Box::new(Session { fleet: self.clone(), instance: instance_id.to_owned(), address: address.to_string() })
    }

    fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

struct Session {
    fleet: Fleet,
    instance: String,
    address: String,
}

impl Session {
    /// Makes one call, with the fault that was injected into it.
    fn call<T>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&mut Machine) -> Result<T, ContactError>,
    ) -> Result<T, ContactError> {
        let unreachable = |text: &str| Err(ContactError::Unreachable(text.to_owned()));
        let other = || Err(ContactError::NotTheWorker("the certificate is another one".to_owned()));
        let (now, servers) = (self.fleet.now(), self.fleet.servers());
        let mut inner = self.fleet.inner.lock();
        let n = inner.calls.len();
        inner.calls.push(name);
        let fault = inner.fault.take_if(|(at, _)| *at <= n).map(|(_, fault)| fault);
        for id in servers.iter().filter(|(_, s)| !s.runs).map(|(id, _)| id) {
            if let Some(machine) = inner.machines.get_mut(id)
                && machine.up_since.take().is_some()
            {
                machine.start_again();
            }
        }
        let at_address = servers.iter().find(|(_, s)| s.runs && s.addresses.contains(&self.address));
        let Some((id, server)) = at_address else { return unreachable("no route to host") };
        if server.instance != self.instance {
            return other();
        }
        let machine = inner.machines.entry(id.clone()).or_default();
        let up_since = *machine.up_since.get_or_insert(now);
        machine.now = now;
        machine.asked_at.get_or_insert(now);
        if let Some(fault) = fault {
            machine.suffer(fault, now);
        }
        match fault {
            Some(WorkerFault::LostBefore) => return unreachable("connection reset"),
            Some(WorkerFault::WrongCertificate) => return other(),
            Some(WorkerFault::Refused) => return Err(ContactError::Refused("503: not now".to_owned())),
            Some(WorkerFault::Hangs) => {
                self.fleet.clock.advance_ms(NO_RESPONSE_MS);
                return unreachable("no response within 10 s");
            }
            _ if now < machine.taken_until => return other(),
            _ if now < machine.away_until || now < up_since + BOOT_MS => return unreachable("connection refused"),
            _ => {}
        }
        let answer = effect(machine);
        if fault == Some(WorkerFault::LostAfter) { unreachable("connection reset") } else { answer }
    }
}

#[async_trait]
impl WorkerSession for Session {
    async fn status(&mut self, _after: Option<u64>, _wait: Duration) -> Result<Responder, ContactError> {
        self.call("status", |m| {
            if !m.installed {
                return Ok(Responder::Bootstrap);
            }
            m.go_on();
            Ok(Responder::Worker(Box::new(m.report())))
        })
    }

    async fn install(&mut self) -> Result<(), ContactError> {
        self.call("install", |m| {
            m.installed = true;
            m.start_again();
            Ok(())
        })
    }

    async fn put_desired(&mut self, request: &DesiredRequest) -> Result<(), ContactError> {
        let id = request.id.clone();
        self.call("put_desired", |m| {
            if m.desired.as_ref() != Some(&id) {
                (m.desired, m.way) = (Some(id), 0);
            }
            Ok(())
        })
    }

    async fn drain(&mut self) -> Result<(), ContactError> {
        self.call("drain", |m| {
            m.draining = true;
            Ok(())
        })
    }

    async fn log(&mut self, _tail: usize) -> Result<Vec<LogLine>, ContactError> {
        let line = LogLine { number: 1, at_us: 0, source: LogSource::Engine, text: "the last line".to_owned() };
        self.call("log", |_| Ok(vec![line]))
    }
}
