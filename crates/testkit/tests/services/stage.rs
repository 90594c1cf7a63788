//! A world with workers and one service, `chat`. In every turn, it is checked that there are not too many replicas.

use inventiv_core::service::Load;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_store::{Counted, Store, WriteHook};
use inventiv_testkit::{Database, Fleet, Home, World};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";
pub(crate) const ZONE: &str = "fr-par-2";
pub(crate) const CHEAP: &str = "L4-1-24G";
pub(crate) const LARGE: &str = "L40S-1-48G";

/// 2026-07-25T17:20:00Z: when both clocks start.
const START_US: i64 = 1_785_000_000_000_000;

pub(crate) struct Stage {
    pub(crate) w: World,
    pub(crate) fleet: Fleet,
    /// The database as the gateway uses it: another process.
    pub(crate) gateway: Store,
    /// What the gateway reports in each turn.
    pub(crate) load: Option<(u32, u32)>,
    last_request_at: Option<Timestamp>,
    /// How many seconds a turn is.
    pub(crate) pace_s: i64,
    /// How many replicas may live.
    pub(crate) most: usize,
    /// The instances that were ever shown as replicas.
    pub(crate) seen: BTreeSet<String>,
}

/// A service in one zone, whose engine is a command.
pub(crate) fn request(min: u32, max: u32) -> Value {
    let command = json!({"kind": "command", "command": ["serve", "{port}"]});
    json!({"model_id": MODEL, "name": "chat", "min_replicas": min, "max_replicas": max, "target_concurrency": 4,
        "idle_seconds": 120, "scale_down_seconds": 60, "zones": [ZONE], "instance_types": [CHEAP, LARGE],
        "engine": command})
}

/// The statuses of replicas that answer or may still do so.
const LIVING: [&str; 6] = ["provisioning", "booting", "installing", "starting", "ready", "unavailable"];

/// The replicas of a shown service that answer or may still do so.
pub(crate) fn living(service: &Value) -> Vec<&Value> {
    let all = service["replicas"].as_array().unwrap().iter();
    all.filter(|r| LIVING.contains(&r["status"].as_str().unwrap()) && r["error"].is_null()).collect()
}

/// The id of its nth living replica.
pub(crate) fn replica(service: &Value, n: usize) -> String {
    living(service)[n]["instance_id"].as_str().unwrap().to_owned()
}

/// Whether a shown service is ready with so many replicas and nothing else.
pub(crate) fn is_ready_with(service: &Value, n: usize) -> bool {
    let all = service["replicas"].as_array().unwrap().len();
    (&service["status"], &service["ready_replicas"], all) == (&json!("ready"), &json!(n), n)
}

impl Stage {
    pub(crate) async fn new(database: Database) -> Self {
        Self::with(database, Options::default()).await
    }

    pub(crate) async fn with(database: Database, emulator: Options) -> Self {
        let (url, home) = match database {
            Database::Sqlite => {
                let home = Home::in_memory();
                (format!("sqlite:{}", home.path().join("test.db").display()), home)
            }
            Database::Postgres => inventiv_testkit::database(database).await,
        };
        let options = Options { clock: ClockMode::Manual, start_us: Some(START_US), ..emulator };
        let clock = Arc::new(ManualClock::new(Timestamp(START_US)));
        let world = World::resumed(url, home, Emulator::new(options), clock).await;
        world.orchestrator.refresh_catalogue().await.unwrap();
        Self::on(world.with_ids_of_its_clock())
    }

    fn on(w: World) -> Self {
        let fleet = Fleet::new(&w.emulator, &w.clock);
        w.orchestrator.use_workers(Arc::new(fleet.clone()));
        let gateway = w.store.clone();
        Self { w, fleet, gateway, load: None, last_request_at: None, pace_s: 1, most: 0, seen: BTreeSet::new() }
    }

    /// Runs a hook around the writes from now on.
    pub(crate) fn with_write_hook(self, hook: WriteHook) -> Self {
        let stage = Self { w: self.w.with_write_hook(hook), ..self };
        stage.w.orchestrator.use_workers(Arc::new(stage.fleet.clone()));
        stage
    }

    /// A new process, as after a crash.
    pub(crate) async fn restarted(self) -> Self {
        let stage = Self { w: self.w.restarted().await.with_ids_of_its_clock(), ..self };
        stage.w.orchestrator.use_workers(Arc::new(stage.fleet.clone()));
        stage
    }

    pub(crate) async fn create(&mut self, body: Value) -> Value {
        let (status, made) = self.w.call("POST", "/services", Some(body)).await;
        assert_eq!(status, 201, "{made}");
        self.most = usize::try_from(made["max_replicas"].as_u64().unwrap()).unwrap();
        made
    }

    pub(crate) async fn change(&self, body: Value) -> Value {
        let (status, changed) = self.w.call("PATCH", "/services/chat", Some(body)).await;
        assert_eq!(status, 200, "{changed}");
        changed
    }

    pub(crate) async fn show(&self) -> Value {
        let (status, shown) = self.w.call("GET", "/services/chat", None).await;
        assert_eq!(status, 200, "{shown}");
        shown
    }

    /// Asks so much of the service from now on.
    pub(crate) fn ask(&mut self, outstanding: u32, queued: u32) {
        self.load = Some((outstanding, queued));
    }

    async fn report(&mut self) {
        let Some((outstanding, queued)) = self.load else { return };
        let Some(service) = self.gateway.service("chat").await.unwrap() else { return };
        let now = self.w.clock.now();
        if outstanding + queued > 0 {
            self.last_request_at = Some(now);
        }
        let load = Load { outstanding, queued, last_request_at: self.last_request_at };
        let counted = Counted { loads: vec![(service.id, load)], ..Counted::default() };
        self.gateway.add_counted("gateway", &counted, now).await.unwrap();
    }

    /// One second, or as many as the pace says, of everything that a process does.
    pub(crate) async fn turn(&mut self) {
        self.report().await;
        self.w.orchestrator.reconcile_services().await.unwrap();
        self.w.tick().await;
        self.w.orchestrator.contact_workers().await.unwrap();
        self.w.advance_ms((self.pace_s - 1) * 1_000);
    }

    /// Checks that there are not too many replicas, and remembers which there are.
    pub(crate) fn check(&mut self, shown: &Value) {
        assert!(living(shown).len() <= self.most, "more than {}: {shown:#}", self.most);
        let ids = shown["replicas"].as_array().unwrap().iter().filter_map(|r| r["instance_id"].as_str());
        self.seen.extend(ids.map(str::to_owned));
    }

    /// Turns until the shown service is as it should be.
    pub(crate) async fn until(&mut self, minutes: i64, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut shown = self.show().await;
        for _ in 0..minutes * 60 {
            if is_so(&shown) {
                return shown;
            }
            self.turn().await;
            shown = self.show().await;
            self.check(&shown);
        }
        panic!("not within {minutes} minutes: {what}\n{shown:#}\n{}", self.w.instances().await);
    }

    /// Turns for so many seconds, in which the service must be as it should be.
    pub(crate) async fn stays(&mut self, seconds: u32, what: &str, is_so: impl Fn(&Value) -> bool) {
        for _ in 0..seconds {
            self.turn().await;
            let shown = self.show().await;
            self.check(&shown);
            assert!(is_so(&shown), "{what}: {shown:#}");
        }
    }

    /// Deletes the service. At the end, nothing is left in the cloud, and each replica has a proof of it.
    pub(crate) async fn end(&mut self) {
        let (status, shown) = self.w.call("DELETE", "/services/chat", None).await;
        assert_eq!((status, &shown["status"]), (202, &json!("deleting")), "{shown}");
        self.ends().await;
    }

    /// The same by a process that does not know whether another one has done it.
    pub(crate) async fn end_again(&mut self) {
        let (status, shown) = self.w.call("DELETE", "/services/chat", None).await;
        assert_eq!(status, 202, "{shown}");
        self.ends().await;
    }

    /// Turns until a service whose end was requested has ended.
    async fn ends(&mut self) {
        let ended = self.until(60, "the service is deleted", |s| s["status"] == "deleted").await;
        assert!(ended["deleted_at"].is_string() && ended["replicas"] == json!([]), "{ended:#}");
        assert_eq!(self.w.left(), (0, 0, 0));
        for id in &self.seen {
            let (_, proof) = self.w.call("GET", &format!("/instances/{id}/proof"), None).await;
            assert_eq!(proof["clean"], true, "{id}: {proof:#}");
        }
        assert_eq!(self.w.call("GET", "/services", None).await.1["items"], json!([]));
    }

    /// The server of an instance, as a path of the cloud's API.
    pub(crate) async fn server(&self, id: &str) -> Option<String> {
        let server = self.w.show(id).await["provider_instance_id"].as_str()?.to_owned();
        Some(format!("/instance/v1/zones/{ZONE}/servers/{server}"))
    }
}
