//! A control plane in this process, against an emulator on the real clock.

use super::*;

pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    pub(crate) app: App,
    pub(crate) store: Store,
    pub(crate) stop: CancellationToken,
    pub(crate) run: tokio::task::JoinHandle<()>,
    pub(crate) database: String,
    pub(crate) _home: inventiv_testkit::Home,
}

/// A complete control plane on the system clock, with the cloud in this process.
pub(crate) async fn stage(
    kind: Database,
    clock: ClockMode,
    calls_per_second: f64,
    poll_ms: i64,
    seed: Option<u64>,
) -> Stage {
    let (url, home) = database(kind).await;
    let emulator = Emulator::new(Options { clock, seed, ..Options::default() });
    let (store, orchestrator) = replica(&url, &emulator, calls_per_second, poll_ms, &["fr-par-2"]).await;
    orchestrator.refresh_catalogue().await.unwrap();
    let app = app(store.clone());
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let run = tokio::spawn(async move { orchestrator.run(stopping).await });
    Stage { emulator, app, store, stop, run, database: url, _home: home }
}

/// One replica on a database, in this process.
pub(crate) async fn replica(
    url: &str,
    emulator: &Emulator,
    calls_per_second: f64,
    poll_ms: i64,
    zones: &[&str],
) -> (Store, Orchestrator) {
    let store = Store::open(url).await.unwrap();
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some(SECRET.to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some(PROJECT.to_owned()),
        "SCW_API_URL" => Some("http://emulator".to_owned()),
        _ => None,
    };
    let wire: Arc<dyn Transport> = Arc::new(InProcess::in_real_time(emulator.router()));
    let now: Arc<dyn Fn() -> Timestamp + Send + Sync> = Arc::new(|| SystemClock.now());
    let provider = Scaleway::new(&scaleway::credentials::read(&env, None).unwrap(), wire, calls_per_second, now);
    let rules = Rules { poll_ms, ..Rules::default() };
    let config = Config {
        control_plane: "bench".into(),
        rules,
        zones: zones.iter().map(|z| (*z).to_owned()).collect(),
        ..Config::default()
    };
    let orchestrator =
        Orchestrator::new(store.clone(), Arc::new(provider), Arc::new(SystemClock), Arc::new(UuidIds), config);
    orchestrator.register().await.unwrap();
    (store, orchestrator)
}

pub(crate) fn app(store: Store) -> App {
    App::new(Settings {
        policy_wait: Duration::ZERO,
        store,
        accounts: vec![inventiv_testkit::account()],
        limits: inventiv_api::Limits::default(),
        hosts: None,
        token: TOKEN.into(),
        keyring: Arc::new(inventiv_keyring::Keyring::generate().unwrap()),
        workers: None,
        forced_data_volume_gb: None,
        now: Box::new(|| SystemClock.now()),
        ids: Box::new(|| UuidIds.draw()),
        metrics: Box::new(String::new),
    })
}

pub(crate) async fn call(app: &App, method: &str, path: &str, body: Option<Value>) -> Value {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.map(|b| b.to_string()).unwrap_or_default()))
        .unwrap();
    let answer = app.router().oneshot(request).await.unwrap();
    serde_json::from_slice(&axum::body::to_bytes(answer.into_body(), 64 << 20).await.unwrap()).unwrap_or(Value::Null)
}

impl Stage {
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        call(&self.app, method, path, body).await
    }

    pub(crate) async fn create(&self, kind: &str, count: usize) -> Vec<String> {
        let requests = futures::stream::iter(0..count).map(async |_| {
            let made = self.call("POST", "/instances", Some(request(kind))).await;
            made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
        });
        requests.buffer_unordered(32).collect().await
    }

    /// Waits until so many instances have a status; returns the elapsed time.
    pub(crate) async fn until(&self, status: &str, count: usize) -> Duration {
        let began = Instant::now();
        loop {
            let living = self.store.living_counts().await.unwrap();
            if living.get(status).copied().unwrap_or(0) as usize >= count {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(600), "{count} are not {status}: {living:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_none_lives(&self) {
        while !self.store.living_counts().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop(self) -> (Emulator, String, inventiv_testkit::Home) {
        self.stop.cancel();
        self.run.await.unwrap();
        (self.emulator, self.database, self._home)
    }
}
