//! Complete test environments: a real store, the emulator, the orchestrator and the API, on manual clocks.
//!
//! [`World::settle`] runs ticks and advances time until nothing is left to do, so no test sleeps. The database is
//! SQLite in a temporary folder, or PostgreSQL if `TEST_DATABASE_URL` is set ([`Database::both`]).

#![expect(clippy::expect_used, clippy::panic, reason = "a test environment that cannot be built should stop its test")]

mod backup;
pub mod cores;
mod database;
mod faulty;
mod fleet;
mod hooked;
mod in_process;
pub mod matrix;
pub mod past;
mod process;
mod relay;
pub mod simulate;
mod wiring;

pub use backup::Backup;
pub use database::{Database, Home, database};
pub use faulty::{Fault, Faulty, Heard, Injection};
pub use fleet::{Fleet, WorkerFault};
pub use hooked::dies_at;
pub use in_process::InProcess;
pub use relay::{Line, Relay, Target};
pub use wiring::account;

use wiring::{app, config, configured, orchestrator, settings};

use futures::StreamExt;
use inventiv_api::{App, Settings};
use inventiv_core::plan::Rules;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::clock::{ManualClock, UuidIds};
use inventiv_orchestrator::{Config, Orchestrator};
use inventiv_store::Store;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::Value;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tower::ServiceExt;

/// The token of every test API.
pub const TOKEN: &str = "test-token";
/// The project of every test account.
pub const PROJECT: &str = "11111111-1111-4111-8111-111111111111";
const SECRET: &str = "22222222-2222-4222-8222-222222222222";
/// The time between two ticks, in milliseconds.
const STEP_MS: i64 = 1_000;

/// A complete test environment.
pub struct World {
    /// The emulated cloud.
    pub emulator: Emulator,
    /// The transport between us and it, which can inject faults.
    pub wire: Arc<Faulty>,
    /// The store.
    pub store: Store,
    /// The orchestrator.
    pub orchestrator: Orchestrator,
    /// Our clock. Advance it with [`World::advance_ms`].
    pub clock: Arc<ManualClock>,
    /// The API.
    pub api: axum::Router,
    /// The URL of the database.
    pub database_url: String,
    /// Keeps the temporary folder alive.
    pub home: Home,
}

/// The parameters of a [`World`].
#[derive(Default)]
pub struct Setup {
    /// The emulator's options; its clock is always manual.
    pub emulator: Options,
    /// The time limits of the planner.
    pub rules: Rules,
    /// `WORKER_DATA_VOLUME_GB`.
    pub forced_data_volume_gb: Option<i64>,
}

impl World {
    /// A world with default parameters, whose catalogue has been read.
    pub async fn new(database: Database) -> Self {
        Self::with(database, Setup::default()).await
    }

    /// A world with the given parameters.
    ///
    /// # Panics
    /// It cannot be built.
    pub async fn with(kind: Database, setup: Setup) -> Self {
        let (url, home) = database(kind).await;
        let options = Options { clock: ClockMode::Manual, ..setup.emulator };
        let emulator = Emulator::new(options);
        let world = Self::over(url, home, emulator, setup.rules, setup.forced_data_volume_gb).await;
        world.orchestrator.refresh_catalogue().await.expect("the database answers");
        world
    }

    /// A world with default parameters on an existing database.
    ///
    /// # Panics
    /// It cannot be built.
    pub async fn at(url: String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let emulator = Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() });
        let world = Self::over(url, Home { folder }, emulator, Rules::default(), None).await;
        world.orchestrator.refresh_catalogue().await.expect("the database answers");
        world
    }

    /// Another replica of the control plane.
    ///
    /// # Panics
    /// The database does not open.
    pub async fn replica(&self, url: &str) -> Orchestrator {
        let store = Store::open(url).await.expect("the database opens");
        orchestrator(store, self.wire.clone(), self.clock.clone(), Rules::default(), Arc::new(UuidIds))
    }

    /// A replica that deletes old lines of the action log.
    #[must_use]
    pub fn forgetful(&self, action_log_retention_ms: i64) -> Orchestrator {
        let config = Config { action_log_retention_ms: Some(action_log_retention_ms), ..config(Rules::default()) };
        configured(self.store.clone(), self.wire.clone(), self.clock.clone(), Arc::new(UuidIds), config)
    }

    /// The API of another replica on the same database.
    ///
    /// # Panics
    /// The database does not open.
    pub async fn another_api(&self) -> App {
        let store = Store::open(&self.database_url).await.expect("the database opens");
        app(store, self.clock.clone(), Arc::new(UuidIds), None)
    }

    /// The settings of this world's API, as a base for another API with changed settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        settings(self.store.clone(), self.clock.clone(), Arc::new(UuidIds), None)
    }

    async fn over(url: String, home: Home, emulator: Emulator, rules: Rules, forced: Option<i64>) -> Self {
        let store = Store::open(&url).await.expect("the database opens");
        let wire = Arc::new(Faulty::new(Arc::new(InProcess::new(emulator.router()))));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let clock =
            Arc::new(ManualClock::new(Timestamp(i64::try_from(since.as_micros()).expect("it is not the far future"))));
        let orchestrator = orchestrator(store.clone(), wire.clone(), clock.clone(), rules, Arc::new(UuidIds));
        orchestrator.register().await.expect("the account is recorded");
        let app = app(store.clone(), clock.clone(), Arc::new(UuidIds), forced);
        Self { emulator, wire, store, orchestrator, clock, api: app.router(), database_url: url, home }
    }

    /// A new process on the same database and cloud, as after a crash: it knows only what was recorded.
    pub async fn restarted(self) -> Self {
        let Self { emulator, database_url, home, clock, .. } = self;
        Self::resumed(database_url, home, emulator, clock).await
    }

    /// A process on an existing database, cloud and clock.
    ///
    /// # Panics
    /// The database does not open.
    pub async fn resumed(database_url: String, home: Home, emulator: Emulator, clock: Arc<ManualClock>) -> Self {
        let store = Store::open(&database_url).await.expect("the database opens");
        let mut next = Box::pin(Self::over(database_url, home, emulator, Rules::default(), None)).await;
        next.clock = clock.clone();
        next.api = app(store.clone(), clock.clone(), Arc::new(UuidIds), None).router();
        next.orchestrator = orchestrator(store.clone(), next.wire.clone(), clock, Rules::default(), Arc::new(UuidIds));
        next.store = store;
        next
    }

    /// Advances our clock and that of the cloud.
    pub fn advance_ms(&self, ms: i64) {
        self.clock.advance_ms(ms);
        self.emulator.advance_ms(ms);
    }

    /// Runs one tick and advances time by a second.
    pub async fn tick(&self) {
        self.orchestrator.tick(false).await.expect("the database answers");
        self.advance_ms(STEP_MS);
    }

    /// Runs one tick with a listing of every zone and advances time by a second.
    pub async fn resync(&self) {
        self.orchestrator.tick(true).await.expect("the database answers");
        self.advance_ms(STEP_MS);
    }

    /// Runs ticks until `done` returns true, for at most `minutes` of the world's time.
    ///
    /// # Panics
    /// `done` is still false after `minutes`.
    pub async fn until(&self, minutes: i64, what: &str, mut done: impl AsyncFnMut(&Self) -> bool) {
        for _ in 0..minutes * 60 {
            if done(self).await {
                return;
            }
            self.tick().await;
        }
        panic!("not within {minutes} minutes: {what}\n{}", self.instances().await);
    }

    /// Runs ticks until every instance is settled.
    pub async fn settle(&self) {
        self.until(60, "every instance is settled", async |w: &Self| {
            let all = w.store.next_wake(&format!("scaleway:{PROJECT}")).await.expect("the database answers");
            all.is_none()
        })
        .await;
    }

    /// Runs ticks until an instance has a status.
    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(60, &format!("{id} is {status}"), async |w: &Self| w.show(id).await["status"] == status).await;
        self.show(id).await
    }

    /// Sends one request to the API; returns status and body.
    ///
    /// # Panics
    /// The answer cannot be read.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request =
            axum::http::Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(axum::body::Body::empty, |b| axum::body::Body::from(b.to_string()));
        let answer = self.api.clone().oneshot(request.body(body).expect("a request")).await.expect("never fails");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 16 << 20).await.expect("the answer is complete");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A stream of changes that has already reported all existing objects.
    ///
    /// # Panics
    /// The stream ends before that.
    pub async fn live_stream(&self) -> axum::body::BodyDataStream {
        let request = axum::http::Request::builder().uri("/events").header("authorization", format!("Bearer {TOKEN}"));
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let answer = self.api.clone().oneshot(request).await.expect("never fails");
        let (mut stream, mut reported) = (answer.into_body().into_data_stream(), String::new());
        while !reported.contains("event: live") {
            let piece = stream.next().await.expect("the stream goes on").expect("the piece is complete");
            reported.push_str(&String::from_utf8_lossy(&piece));
        }
        stream
    }

    /// Requests an instance and returns its id.
    ///
    /// # Panics
    /// The request is refused.
    pub async fn create(&self, request: Value) -> String {
        let (status, body) = self.call("POST", "/instances", Some(request)).await;
        assert_eq!(status, 202, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// An instance as the API shows it.
    pub async fn show(&self, id: &str) -> Value {
        self.call("GET", &format!("/instances/{id}"), None).await.1
    }

    /// Terminates an instance.
    pub async fn terminate(&self, id: &str) {
        let (status, body) = self.call("DELETE", &format!("/instances/{id}"), None).await;
        assert_eq!(status, 202, "{body}");
    }

    /// All instances, for messages.
    pub async fn instances(&self) -> String {
        let (_, page) = self.call("GET", "/instances", None).await;
        let mut text = String::new();
        for item in page["items"].as_array().into_iter().flatten() {
            let shown = self.show(item["id"].as_str().unwrap_or_default()).await;
            text.push_str(&format!("{shown:#}\n"));
        }
        text
    }

    /// The actions in an instance's action log, oldest first.
    pub async fn actions(&self, id: &str) -> Vec<String> {
        let (_, page) = self.call("GET", &format!("/action_logs?limit=500&instance_id={id}"), None).await;
        page["items"].as_array().into_iter().flatten().filter_map(|l| l["action"].as_str().map(str::to_owned)).collect()
    }

    /// Sends one request of a third party directly to the cloud.
    ///
    /// # Panics
    /// The request is refused.
    pub fn third_party(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-token", SECRET)
            .body(bytes::Bytes::from(body))
            .expect("a request");
        let answer = self.emulator.handle(&request);
        assert!(answer.status().is_success(), "{method} {path}: {:?}", answer.body());
        serde_json::from_slice(answer.body()).unwrap_or(Value::Null)
    }

    /// The number of servers, volumes and addresses in the cloud.
    #[must_use]
    pub fn left(&self) -> (usize, usize, usize) {
        let state = self.emulator.state();
        let count = |key: &str| state[key].as_array().map_or(0, Vec::len);
        (count("servers"), count("volumes"), count("ips"))
    }

    /// How many requests with this method and with `part` in their path the cloud got.
    #[must_use]
    pub fn requests(&self, method: &str, part: &str) -> usize {
        let journal = self.emulator.journal();
        let entries = journal["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().filter(|e| e["method"] == method && e["path"].as_str().is_some_and(|p| p.contains(part))).count()
    }
}
