//! A control plane with three services, each beside an engine of the same kind that is asked directly.

use super::clients::Target;
use super::others::{litellm, nginx};
use scaleway_emulator::options::{ClockMode, Options};
use scaleway_emulator::{Boot, Emulator, Machines};
use serde_json::Value;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The model that all engines are said to serve.
const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";

/// What was measured of one target.
pub(super) struct Measured {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) events_per_second: f64,
}

/// Kinds of engines: the name of the service, how long a word takes in milliseconds, and the number of replicas. A
/// worker serves 4,096 connections.
pub(super) const KINDS: [(&str, &str, &str); 3] =
    [("at-once", "0", "1"), ("slow", "10", "1"), ("waiting", "30000", "2")];

/// Everything that is measured.
pub(super) struct Rig {
    /// Targets whose engine answers at once.
    pub(super) at_once: Vec<Target>,
    /// Targets whose engine takes 10 ms for each word.
    pub(super) slow: Vec<Target>,
    /// Targets whose engine takes half a minute for each word, with the ids of their processes.
    pub(super) waiting: Vec<(Target, Vec<u32>)>,
    _processes: Vec<Running>,
    _machines: Machines,
    _folder: tempfile::TempDir,
}

pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) fn on_loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Waits until a port is open.
pub(super) async fn listens(address: SocketAddr, within: Duration) -> bool {
    let began = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if began.elapsed() > within {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

/// The memory that processes take, in KB (1,000 bytes).
pub(super) fn memory_kb(processes: &[u32]) -> f64 {
    let of = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() * 1.024
    };
    processes.iter().map(of).sum()
}

/// Commands of `inventiv`, as a user runs them.
struct Cli<'a> {
    binary: &'a OsStr,
    url: String,
    token: std::path::PathBuf,
}

impl Cli<'_> {
    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new(self.binary);
        command.args(args).env("INVENTIV_URL", &self.url).env("INVENTIV_TOKEN_FILE", &self.token);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[args, &["--output", "json"]].concat())).unwrap()
    }

    fn create(&self, (name, token_ms, replicas): (&str, &str, &str)) {
        let binary = self.binary.to_str().unwrap();
        let create =
            ["service", "create", MODEL, "--name", name, "--yes", "--no-wait", "--min", replicas, "--max", replicas];
        let engine = ["--engine", "command", "--", binary, "stand-in-engine", "--port", "{port}", "--model", "{model}"];
        self.run(&[&create[..], &engine, &["--token-ms", token_ms]].concat());
    }

    async fn wait_until_ready(&self, (name, _, replicas): (&str, &str, &str)) {
        let wanted: u64 = replicas.parse().unwrap();
        while self.json(&["service", "show", name])["ready_replicas"].as_u64() != Some(wanted) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A process that ends with this value.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM: it ends its own processes.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn serve(binary: &OsStr, cloud: &str, folder: &Path, port: u16) -> Running {
    let mut command = Command::new(binary);
    command
        .args(["serve", "--listen", &on_loopback(port).to_string(), "--zones", "fr-par-2"])
        .args(["--max-connections", "12000", "--max-connections-per-address", "12000"])
        .arg("--database")
        .arg(format!("sqlite:{}", folder.join("bench.db").display()))
        .arg("--token-file")
        .arg(folder.join("token"))
        .env("SCW_SECRET_KEY", crate::SECRET)
        .env("SCW_DEFAULT_PROJECT_ID", inventiv_testkit::PROJECT)
        .env("SCW_API_URL", cloud)
        .env("INVENTIV_LOG", "error")
        .stdin(Stdio::null());
    Running(command.spawn().unwrap())
}

impl Rig {
    pub(super) async fn start(binary: &OsStr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::new(Options { clock: ClockMode::Scaled(50), ..Options::default() });
        let cloud = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cloud_url = format!("http://{}", cloud.local_addr().unwrap());
        let serving = emulator.clone();
        tokio::spawn(async move { serving.serve(cloud, std::future::pending()).await });
        let command = format!("exec '{}' emulated-server", binary.display());
        let machines = emulator.boot(&Boot { command, state_dir: None }).unwrap();
        let gateway = on_loopback(free_port());
        let control_plane = serve(binary, &cloud_url, folder.path(), gateway.port());
        assert!(listens(gateway, Duration::from_secs(60)).await);
        let cli = Cli { binary, url: format!("http://{gateway}"), token: folder.path().join("token") };
        while cli.json(&["offer", "list"]).as_array().is_none_or(Vec::is_empty) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        KINDS.iter().for_each(|kind| cli.create(*kind));
        for kind in KINDS {
            cli.wait_until_ready(kind).await;
        }
        let key = cli.run(&["key", "create", "bench", "--output", "name"]);
        let target = |name: &str, address: SocketAddr, model: &str| Target {
            name: name.to_owned(),
            address,
            model: model.to_owned(),
            key: key.clone(),
        };
        let mut running = vec![control_plane];
        let mut direct = Vec::new();
        for (_, token_ms, _) in KINDS {
            let port = free_port();
            let mut engine = Command::new(binary);
            engine.args(["stand-in-engine", "--model", MODEL, "--token-ms", token_ms, "--port", &port.to_string()]);
            running.push(Running(engine.stdout(Stdio::null()).spawn().unwrap()));
            assert!(listens(on_loopback(port), Duration::from_secs(30)).await);
            direct.push(on_loopback(port));
        }
        let mut targets: [Vec<Target>; 3] = Default::default();
        for ((all, address), (service, _, _)) in targets.iter_mut().zip(&direct).zip(KINDS) {
            all.push(target("engine", *address, MODEL));
            all.push(target("gateway", gateway, service));
        }
        let mut processes = vec![("gateway", vec![running[0].0.id()])];
        if let Some((nginx, proxies)) = nginx(folder.path(), &direct).await {
            for (all, address) in targets.iter_mut().zip(&proxies.plain) {
                all.push(target("nginx", *address, MODEL));
            }
            for (all, address) in targets.iter_mut().zip(&proxies.over_tls) {
                all.push(target("nginx over TLS", *address, MODEL));
            }
            processes.push(("nginx", workers_of(&nginx)));
            running.push(nginx);
        }
        if let Some((proxy, address)) = litellm(folder.path(), &direct, MODEL, &key).await {
            for (all, (service, _, _)) in targets.iter_mut().zip(KINDS) {
                all.push(target("LiteLLM", address, service));
            }
            running.push(proxy);
        }
        let [at_once, slow, waiting] = targets;
        let of = |t: &Target| processes.iter().find(|(name, _)| *name == t.name).map(|(_, ids)| ids.clone());
        let waiting = waiting.into_iter().filter_map(|t| of(&t).map(|ids| (t, ids))).collect();
        Self { at_once, slow, waiting, _processes: running, _machines: machines, _folder: folder }
    }
}

/// The processes of nginx that serve.
fn workers_of(nginx: &Running) -> Vec<u32> {
    let id = nginx.0.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|c| c.parse().ok()).collect()
}
