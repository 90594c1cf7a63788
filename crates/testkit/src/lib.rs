//! Stages whole worlds for tests: a real store, the emulator, the orchestrator and the API, on clocks moved by hand.
//!
//! [`World::settle`] ticks and moves time until nothing is left to do: no test sleeps. The database is SQLite in a
//! temporary folder, or PostgreSQL where `TEST_DATABASE_URL` names a server ([`Database::both`]).

#![expect(clippy::expect_used, clippy::panic, reason = "a stage that cannot be built should stop its test")]

mod backup;
mod faulty;
mod in_process;
pub mod matrix;

pub mod past;
mod process;
mod relay;
pub mod simulate;

pub use backup::Backup;
pub use faulty::{Fault, Faulty, Heard, Injection};
pub use in_process::InProcess;
pub use relay::{Line, Relay, Target};

use futures::StreamExt;
use inventiv_api::{App, Settings};
use inventiv_core::plan::Rules;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::clock::{ManualClock, UuidIds};
use inventiv_orchestrator::{Clock, Config, Ids, Orchestrator};
use inventiv_providers::credentials;
use inventiv_providers::scaleway::Scaleway;
use inventiv_providers::transport::Transport;
use inventiv_store::Store;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::Value;
use sqlx::{Connection, Executor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tower::ServiceExt;

/// The token of every staged API.
pub const TOKEN: &str = "test-token";
/// The project of every staged account.
pub const PROJECT: &str = "11111111-1111-4111-8111-111111111111";
const SECRET: &str = "22222222-2222-4222-8222-222222222222";
/// How much time passes between two ticks, in milliseconds.
const STEP_MS: i64 = 1_000;

/// Which database a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file in a temporary folder.
    Sqlite,
    /// A database of its own on the server of `TEST_DATABASE_URL`.
    Postgres,
}

impl Database {
    /// SQLite, and PostgreSQL where there is one. `INVENTIV_TEST_POSTGRES=required` makes its absence an error.
    ///
    /// # Panics
    /// When PostgreSQL is required and there is none.
    #[must_use]
    pub fn both() -> Vec<Self> {
        if std::env::var_os("TEST_DATABASE_URL").is_some() {
            return vec![Self::Sqlite, Self::Postgres];
        }
        let required = std::env::var("INVENTIV_TEST_POSTGRES").is_ok_and(|v| v == "required");
        assert!(!required, "PostgreSQL is required and TEST_DATABASE_URL is not set; `cargo xtask test` sets it");
        eprintln!("no TEST_DATABASE_URL: PostgreSQL is left out; `cargo xtask test` starts one");
        vec![Self::Sqlite]
    }
}

/// A folder that goes when its test does.
pub struct Home {
    folder: tempfile::TempDir,
}

/// Opens an empty database.
///
/// # Panics
/// When it cannot be made.
pub async fn database(kind: Database) -> (String, Home) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    if kind == Database::Sqlite {
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        return (url, Home { folder });
    }
    let server = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names the test server");
    let name = format!("t_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let mut admin = sqlx::PgConnection::connect(&server).await.expect("the test server answers");
    let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    admin.execute(sqlx::raw_sql(sql)).await.expect("a database can be made");
    admin.close().await.expect("the connection closes");
    let (before, query) =
        server.split_once('?').map_or((server.as_str(), String::new()), |(b, q)| (b, format!("?{q}")));
    let base = before.rsplit_once('/').map_or(before, |(b, _)| b);
    (format!("{base}/{name}{query}"), Home { folder })
}

impl Home {
    /// A folder in main memory where the system has one: what is written there is gone with the machine.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn in_memory() -> Self {
        // The random part may follow from a run's seed, and one told twice must not meet the database that its first
        // telling is still closing.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("inventiv-{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut named = tempfile::Builder::new();
        let named = named.prefix(&prefix);
        let folder = named.tempdir_in("/dev/shm").or_else(|_| named.tempdir());
        Self { folder: folder.expect("a temporary folder can be made") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// A whole world.
pub struct World {
    /// The emulated cloud.
    pub emulator: Emulator,
    /// The wire between us and it, which can be told to fail.
    pub wire: Arc<Faulty>,
    /// The memory.
    pub store: Store,
    /// The driver.
    pub orchestrator: Orchestrator,
    /// Our clock. Move it through [`World::advance_ms`].
    pub clock: Arc<ManualClock>,
    /// The API.
    pub api: axum::Router,
    /// The address of the database.
    pub database_url: String,
    /// Keeps the folder.
    pub home: Home,
}

/// What a world can be given.
#[derive(Default)]
pub struct Setup {
    /// The emulator's options; the clock is always moved by hand.
    pub emulator: Options,
    /// How patient the planner is.
    pub rules: Rules,
    /// `WORKER_DATA_VOLUME_GB`.
    pub forced_data_volume_gb: Option<i64>,
}

impl World {
    /// A world with everything as usual, its catalogue read.
    pub async fn new(database: Database) -> Self {
        Self::with(database, Setup::default()).await
    }

    /// A world with something special.
    ///
    /// # Panics
    /// When it cannot be staged.
    pub async fn with(kind: Database, setup: Setup) -> Self {
        let (url, home) = database(kind).await;
        let options = Options { clock: ClockMode::Manual, ..setup.emulator };
        let emulator = Emulator::new(options);
        let world = Self::over(url, home, emulator, setup.rules, setup.forced_data_volume_gb).await;
        world.orchestrator.refresh_catalogue().await.expect("the database answers");
        world
    }

    /// A world with everything as usual, on a database that is there.
    ///
    /// # Panics
    /// When it cannot be staged.
    pub async fn at(url: String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let emulator = Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() });
        let world = Self::over(url, Home { folder }, emulator, Rules::default(), None).await;
        world.orchestrator.refresh_catalogue().await.expect("the database answers");
        world
    }

    /// Another server of ours, at the same time.
    ///
    /// # Panics
    /// When the database does not open.
    pub async fn replica(&self, url: &str) -> Orchestrator {
        let store = Store::open(url).await.expect("the database opens");
        orchestrator(store, self.wire.clone(), self.clock.clone(), Rules::default(), Arc::new(UuidIds))
    }

    /// A server of ours that lets old lines of the action log go.
    #[must_use]
    pub fn forgetful(&self, action_log_retention_ms: i64) -> Orchestrator {
        let config = Config { action_log_retention_ms: Some(action_log_retention_ms), ..config(Rules::default()) };
        configured(self.store.clone(), self.wire.clone(), self.clock.clone(), Arc::new(UuidIds), config)
    }

    /// The API of another server of ours, on the same database.
    ///
    /// # Panics
    /// When the database does not open.
    pub async fn another_api(&self) -> App {
        let store = Store::open(&self.database_url).await.expect("the database opens");
        app(store, self.clock.clone(), Arc::new(UuidIds), None)
    }

    /// What this world's API was made with, to make another one that differs in something.
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
        orchestrator.register().await.expect("the account is written down");
        let app = app(store.clone(), clock.clone(), Arc::new(UuidIds), forced);
        Self { emulator, wire, store, orchestrator, clock, api: app.router(), database_url: url, home }
    }

    /// Another process on the same database and cloud, as after a crash: nothing is remembered but what was written.
    pub async fn restarted(self) -> Self {
        let Self { emulator, database_url, home, clock, .. } = self;
        Self::resumed(database_url, home, emulator, clock).await
    }

    /// A process on a database, a cloud and a clock that are there.
    ///
    /// # Panics
    /// When the database does not open.
    pub async fn resumed(database_url: String, home: Home, emulator: Emulator, clock: Arc<ManualClock>) -> Self {
        let store = Store::open(&database_url).await.expect("the database opens");
        let mut next = Self::over(database_url, home, emulator, Rules::default(), None).await;
        next.clock = clock.clone();
        next.orchestrator = orchestrator(store.clone(), next.wire.clone(), clock, Rules::default(), Arc::new(UuidIds));
        next.store = store;
        next
    }

    /// Lets time pass, everywhere.
    pub fn advance_ms(&self, ms: i64) {
        self.clock.advance_ms(ms);
        self.emulator.advance_ms(ms);
    }

    /// One tick, then a second passes.
    pub async fn tick(&self) {
        self.orchestrator.tick(false).await.expect("the database answers");
        self.advance_ms(STEP_MS);
    }

    /// One tick with a listing of every zone, then a second passes.
    pub async fn resync(&self) {
        self.orchestrator.tick(true).await.expect("the database answers");
        self.advance_ms(STEP_MS);
    }

    /// Ticks until `done` says so, for at most `minutes` of the world's time.
    ///
    /// # Panics
    /// When it is not done by then.
    pub async fn until(&self, minutes: i64, what: &str, mut done: impl AsyncFnMut(&Self) -> bool) {
        for _ in 0..minutes * 60 {
            if done(self).await {
                return;
            }
            self.tick().await;
        }
        panic!("after {minutes} minutes it is still not so: {what}\n{}", self.instances().await);
    }

    /// Ticks until every instance is settled.
    pub async fn settle(&self) {
        self.until(60, "every instance is settled", async |w: &Self| {
            let all = w.store.next_wake(&format!("scaleway:{PROJECT}")).await.expect("the database answers");
            all.is_none()
        })
        .await;
    }

    /// Ticks until an instance has a status.
    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(60, &format!("{id} is {status}"), async |w: &Self| w.show(id).await["status"] == status).await;
        self.show(id).await
    }

    /// One request to the API. Gives status and body.
    ///
    /// # Panics
    /// When the answer cannot be read.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request =
            axum::http::Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(axum::body::Body::empty, |b| axum::body::Body::from(b.to_string()));
        let answer = self.api.clone().oneshot(request.body(body).expect("a request")).await.expect("never fails");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 16 << 20).await.expect("the answer is whole");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A stream of changes that has told everything that is there.
    ///
    /// # Panics
    /// When it ends before.
    pub async fn live_stream(&self) -> axum::body::BodyDataStream {
        let request = axum::http::Request::builder().uri("/events").header("authorization", format!("Bearer {TOKEN}"));
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let answer = self.api.clone().oneshot(request).await.expect("never fails");
        let (mut stream, mut reported) = (answer.into_body().into_data_stream(), String::new());
        while !reported.contains("event: live") {
            let piece = stream.next().await.expect("it goes on").expect("it is whole");
            reported.push_str(&String::from_utf8_lossy(&piece));
        }
        stream
    }

    /// Asks for an instance and gives its id.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn create(&self, request: Value) -> String {
        let (status, body) = self.call("POST", "/instances", Some(request)).await;
        assert_eq!(status, 202, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// An instance as the API shows it.
    pub async fn show(&self, id: &str) -> Value {
        self.call("GET", &format!("/instances/{id}"), None).await.1
    }

    /// Takes an instance away.
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

    /// The names of an instance's action log, in the order of time.
    pub async fn actions(&self, id: &str) -> Vec<String> {
        let (_, page) = self.call("GET", &format!("/action_logs?limit=500&instance_id={id}"), None).await;
        page["items"].as_array().into_iter().flatten().filter_map(|l| l["action"].as_str().map(str::to_owned)).collect()
    }

    /// One request of a third party, straight to the cloud.
    ///
    /// # Panics
    /// When the answer cannot be read.
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

    /// What the cloud holds: servers, volumes, addresses.
    #[must_use]
    pub fn left(&self) -> (usize, usize, usize) {
        let state = self.emulator.state();
        let count = |key: &str| state[key].as_array().map_or(0, Vec::len);
        (count("servers"), count("volumes"), count("ips"))
    }

    /// How many requests the cloud got, by method and path, for those that contain `part`.
    #[must_use]
    pub fn requests(&self, method: &str, part: &str) -> usize {
        let journal = self.emulator.journal();
        let entries = journal["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().filter(|e| e["method"] == method && e["path"].as_str().is_some_and(|p| p.contains(part))).count()
    }
}

fn app(store: Store, clock: Arc<ManualClock>, ids: Arc<dyn Ids>, forced: Option<i64>) -> App {
    App::new(settings(store, clock, ids, forced))
}

fn settings(store: Store, clock: Arc<ManualClock>, ids: Arc<dyn Ids>, forced: Option<i64>) -> Settings {
    Settings {
        store,
        provider_zones: Vec::new(),
        images: None,
        policy_wait: std::time::Duration::ZERO,
        account_id: format!("scaleway:{PROJECT}"),
        provider: "scaleway".to_owned(),
        limits: inventiv_api::Limits::default(),
        hosts: None,
        token: TOKEN.to_owned(),
        forced_data_volume_gb: forced,
        now: Box::new(move || clock.now()),
        ids: Box::new(move || ids.draw()),
        metrics: Box::new(String::new),
    }
}

fn orchestrator(
    store: Store,
    wire: Arc<Faulty>,
    clock: Arc<ManualClock>,
    rules: Rules,
    ids: Arc<dyn Ids>,
) -> Orchestrator {
    configured(store, wire, clock, ids, config(rules))
}

fn config(rules: Rules) -> Config {
    Config { control_plane: "test".to_owned(), rules, ..Config::default() }
}

fn configured(
    store: Store,
    wire: Arc<Faulty>,
    clock: Arc<ManualClock>,
    ids: Arc<dyn Ids>,
    config: Config,
) -> Orchestrator {
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some(SECRET.to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some(PROJECT.to_owned()),
        "SCW_API_URL" => Some("http://emulator".to_owned()),
        _ => None,
    };
    let credentials = credentials::read(&env).expect("these credentials are well-formed");
    let provider_clock = clock.clone();
    let transport: Arc<dyn Transport> = wire;
    let provider = Scaleway::new(&credentials, transport, 1e6, Arc::new(move || provider_clock.now()));
    Orchestrator::new(store, Arc::new(provider), clock, ids, config)
}
