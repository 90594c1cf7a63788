//! What it costs to watch workers, and how soon their news is shown.

use super::farm::Farm;
use super::*;
use async_trait::async_trait;
use inventiv_core::cloud_config::WorkerFiles;
use inventiv_core::id::InstanceId;
use inventiv_core::worker::WORKER_PORT;
use inventiv_keyring::Keyring;
use inventiv_orchestrator::{MutualTls, WorkerLink, WorkerSession};
use inventiv_worker_api::tls::{Authority, Identity, TlsError};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};

/// Where the workers are: the port of workers on an address of loopback that nobody uses.
const PLACE: &str = "127.83.12.7";
const WATCHED: usize = 1_000;
const MEASURED: Duration = Duration::from_secs(30);
/// Ticks of the processor clock per second, in /proc.
const TICKS: f64 = 100.0;

/// Every worker is at one place.
struct ToFarm(MutualTls);

#[async_trait]
impl WorkerLink for ToFarm {
    fn files(&self, instance_id: &str) -> Result<WorkerFiles, TlsError> {
        self.0.files(instance_id)
    }

    fn connect(&self, instance_id: &str, _: IpAddr) -> Box<dyn WorkerSession> {
        self.0.connect(instance_id, PLACE.parse().unwrap())
    }

    fn keyring(&self) -> &Keyring {
        self.0.keyring()
    }
}

fn link(authority: Identity) -> Arc<ToFarm> {
    let keyring = Arc::new(Keyring::generate().unwrap());
    let program = std::env::current_exe().unwrap();
    Arc::new(ToFarm(MutualTls::new(Authority::read(authority).unwrap(), keyring, program).unwrap()))
}

fn place() -> SocketAddr {
    SocketAddr::new(PLACE.parse().unwrap(), WORKER_PORT)
}

/// The farm as a process of its own: it reads the authority, serves, and ends with its input.
pub(crate) async fn serve_farm() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let read: Value = serde_json::from_str(&line).unwrap();
    let text = |key: &str| read[key].as_str().unwrap().to_owned();
    let authority = Identity { certificate_pem: text("certificate"), key_pem: text("key") };
    let farm = Farm::new(authority, Duration::ZERO);
    let listener = tokio::net::TcpListener::bind(place()).await.unwrap();
    tokio::spawn(farm.serve(listener));
    println!("ready");
    tokio::task::spawn_blocking(|| BufReader::new(std::io::stdin()).lines().last()).await.unwrap();
}

/// Seconds of the processor that this process has used, and its memory in MB.
fn used() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let memory = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = memory.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = kib.split_whitespace().next().unwrap().parse().unwrap();
    (ticks / TICKS, kib * 1_024.0 / 1e6)
}

/// The share of one core that is used in a while.
async fn share() -> f64 {
    let (before, _) = used();
    tokio::time::sleep(MEASURED).await;
    (used().0 - before) / MEASURED.as_secs_f64() * 100.0
}

fn with_model() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "model_id": "Qwen/Qwen2.5-7B-Instruct",
        "engine": {"kind": "vllm"}})
}

/// A thousand workers that serve and have no news: with them, and with the same instances and nobody who watches.
pub(crate) async fn cost_of_watching(table: &mut Table, kind: Database) {
    let authority = Authority::create().unwrap().identity();
    let mut farm = Command::new(std::env::current_exe().unwrap())
        .arg("--serve-farm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = json!({"certificate": authority.certificate_pem, "key": authority.key_pem});
    writeln!(farm.stdin.as_mut().unwrap(), "{said}").unwrap();
    let mut line = String::new();
    BufReader::new(farm.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let (url, _home) = database(kind).await;
    let emulator = Emulator::new(Options { clock: ClockMode::Instant, seed: Some(7), ..Options::default() });
    let (store, orchestrator) = replica(&url, &emulator, 1e6, 1_000, &["fr-par-2"]).await;
    orchestrator.refresh_catalogue().await.unwrap();
    let app = app(store.clone());
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let stop = stop.clone();
        async move { orchestrator.run(stop).await }
    });
    let s = Stage { emulator: emulator.clone(), app, store: store.clone(), stop, run, database: url.clone(), _home };
    let made = futures::stream::iter(0..WATCHED).map(|_| s.call("POST", "/instances", Some(with_model())));
    made.buffer_unordered(32).collect::<Vec<_>>().await;
    s.until("booting", WATCHED).await;
    let (_, memory_before) = used();
    let unwatched = share().await;
    let (_, _, _home) = s.stop().await;

    let (_, again) = replica(&url, &emulator, 1e6, 1_000, &["fr-par-2"]).await;
    again.use_workers(link(authority));
    let app = super::app(store.clone());
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let stop = stop.clone();
        async move { again.run(stop).await }
    });
    let s = Stage { emulator, app, store, stop, run, database: url, _home };
    s.until("ready", WATCHED).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let watched = share().await;
    let (_, memory) = used();
    let of = format!("{WATCHED} instances, {kind:?}");
    table.row(&format!("{of}: nobody watches their workers"), unwatched, "% of a core", "");
    table.row(&format!("{of}: their workers serve and are watched"), watched, "% of a core", "");
    table.row(&format!("{of}: cost of watching"), watched - unwatched, "% of a core", "≤ 2");
    table.row(&format!("{of}: memory for watching"), memory - memory_before, "MB", "≤ 100");
    s.stop().await;
    drop(farm.stdin.take());
    farm.wait().unwrap();
}

/// How long after a worker begins to respond it is called, and how long after a model answers its instance is `ready`.
pub(crate) async fn lag_of_news(table: &mut Table) {
    const N: usize = 20;
    let authority = Authority::create().unwrap().identity();
    let (url, _home) = database(Database::Sqlite).await;
    let emulator = Emulator::new(Options { clock: ClockMode::Instant, seed: Some(7), ..Options::default() });
    let (store, orchestrator) = replica(&url, &emulator, 1e6, 1_000, &["fr-par-2"]).await;
    orchestrator.refresh_catalogue().await.unwrap();
    orchestrator.use_workers(link(authority.clone()));
    let app = app(store.clone());
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let stop = stop.clone();
        async move { orchestrator.run(stop).await }
    });
    let s = Stage { emulator, app, store, stop, run, database: url, _home };
    let made = futures::stream::iter(0..N).map(|_| s.call("POST", "/instances", Some(with_model())));
    let made: Vec<Value> = made.buffer_unordered(32).collect().await;
    s.until("booting", N).await;
    let mut open: Vec<String> = made.iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect();
    // A server with a GPU is not looked at before it can run.
    for id in &open {
        let id = InstanceId::parse(id).unwrap();
        while s.store.instance(&id).await.unwrap().unwrap().instance.addresses.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    // Each worker is tried again and again by now, at a time of its own.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let farm = Farm::new(authority, Duration::from_secs(2));
    let began = Instant::now();
    let listener = tokio::net::TcpListener::bind(place()).await.unwrap();
    let serving = tokio::spawn(farm.clone().serve(listener));
    let (mut called, mut shown) = (Vec::new(), Vec::new());
    let mut silent = open.clone();
    while !open.is_empty() {
        silent.retain(|id| {
            !farm.is_known(id) || {
                called.push(began.elapsed());
                false
            }
        });
        let mut still = Vec::new();
        for id in open {
            let agg = s.store.instance(&InstanceId::parse(&id).unwrap()).await.unwrap().unwrap();
            match farm.serves_since(&id) {
                Some(at) if agg.instance.status == inventiv_core::status::Status::Ready => shown.push(at.elapsed()),
                _ => still.push(id),
            }
        }
        open = still;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (what, mut of) in [("worker responds → called", called), ("model answers → ready", shown)] {
        of.sort_unstable();
        let ms = |d: &Duration| d.as_secs_f64() * 1e3;
        table.row(&format!("lag, {what}: median of {N}"), ms(&of[N / 2]), "ms", "≤ 1000");
        table.row(&format!("lag, {what}: worst of {N}"), ms(&of[N - 1]), "ms", "");
    }
    s.stop().await;
    serving.abort();
    let _ = serving.await;
}
