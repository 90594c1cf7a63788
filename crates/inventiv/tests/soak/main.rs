//! The real executable, killed with `kill -9` at random moments while instances come and go, on both databases; and
//! several replicas on one PostgreSQL, killed, frozen, stopped, cut off, with skewed clocks.
//!
//! `cargo xtask soak --kills N` runs more rounds. The moment of a kill is counted in requests that the cloud received.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod follow;
mod several;
mod skew;

use inventiv_testkit::{Database, Relay, database};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options, Reads, StaleReads};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The current executable.
const OURS: &str = env!("CARGO_BIN_EXE_inventiv");
/// Default number of kills (`INVENTIV_SOAK_KILLS`).
const KILLS: u32 = 25;
/// Maximum number of living instances.
const LIVING_MAX: usize = 6;
/// Maximum staleness of a read, in the cloud's time. The consistency window of the replicas is 2 s: 40 s of it.
const STALE_MS: i64 = 35_000;
/// Time-out for the termination of all instances.
const END: Duration = Duration::from_secs(240);

/// One control plane process.
struct Server {
    binary: PathBuf,
    env: Vec<(String, String)>,
    child: Child,
    /// Frozen, cut off, or not running.
    away: bool,
    /// Relays to the cloud and the database, if they are to be cut.
    lines: Option<Lines>,
}

struct Lines {
    cloud: Relay,
    database: Relay,
}

impl Server {
    fn restart(&mut self) {
        self.child.wait().unwrap();
        self.child = spawn(&self.binary, &self.env);
    }

    /// Sends it a signal by name.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success(), "kill -{name}");
    }
}

struct Soak {
    emulator: Emulator,
    servers: Vec<Server>,
    rng: fastrand::Rng,
    living: Vec<String>,
    /// How many instances were requested.
    asked: usize,
    /// How many periods of stale reads there were.
    stale: usize,
}

/// Name prefix of instances whose data volume is to be retained.
const KEEPER: &str = "keeper";

impl Drop for Soak {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.child.kill();
            let _ = server.child.wait();
        }
    }
}

fn spawn(binary: &Path, env: &[(String, String)]) -> Child {
    let mut command = Command::new(binary);
    command.arg("serve").env_clear().envs(env.iter().cloned()).stdin(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn environment(cloud: &str, url: &str, folder: &Path) -> Vec<(String, String)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    [
        ("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222".to_owned()),
        ("SCW_DEFAULT_PROJECT_ID", "11111111-1111-4111-8111-111111111111".to_owned()),
        ("SCW_API_URL", cloud.to_owned()),
        ("INVENTIV_LISTEN", format!("127.0.0.1:{port}")),
        ("INVENTIV_URL", format!("http://127.0.0.1:{port}")),
        ("INVENTIV_DATABASE_URL", url.to_owned()),
        ("INVENTIV_TOKEN_FILE", folder.join("token").display().to_string()),
        ("INVENTIV_ZONES", "fr-par-2".to_owned()),
        ("INVENTIV_CALLS_PER_SECOND", "200".to_owned()),
        // A minute of the cloud's time.
        ("INVENTIV_CREATE_GRACE_SECONDS", "3".to_owned()),
        ("INVENTIV_CONSISTENCY_WINDOW_SECONDS", "2".to_owned()),
        // Ten seconds of the cloud's time.
        ("INVENTIV_LEASE_SECONDS", "0.5".to_owned()),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .to_vec()
}

/// A value of an environment.
fn environment_of<'e>(env: &'e [(String, String)], name: &str) -> &'e str {
    env.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

impl Soak {
    /// Starts no control plane yet.
    fn new(runtime: &Runtime, folder: &Path, seed: u64) -> (Self, SocketAddr) {
        let emulator = Emulator::new(Options {
            clock: ClockMode::Scaled(20),
            seed: Some(seed),
            past_ms: STALE_MS,
            ..Options::default()
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let cloud = listener.local_addr().unwrap();
        let served = emulator.clone();
        runtime.spawn(async move { served.serve(listener, std::future::pending()).await });
        // Else each of several replicas would create its own.
        std::fs::write(folder.join("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
        std::fs::set_permissions(folder.join("token"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let rng = fastrand::Rng::with_seed(seed);
        (Self { emulator, servers: Vec::new(), rng, living: Vec::new(), asked: 0, stale: 0 }, cloud)
    }

    fn add(&mut self, binary: &Path, env: Vec<(String, String)>, lines: Option<Lines>) {
        let binary = binary.to_owned();
        self.servers.push(Server { child: spawn(&binary, &env), binary, env, away: false, lines });
    }

    /// Runs a command through any replica that is not away.
    fn run(&self, args: &[&str]) -> Output {
        let awake: Vec<&Server> = self.servers.iter().filter(|s| !s.away).collect();
        let env = awake[fastrand::usize(..awake.len())].env.iter().cloned();
        let mut command = Command::new(OURS);
        command.args(args).args(["--output", "json"]).env_clear().envs(env).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Retries a command until the control plane, which may be starting, answers.
    fn ask(&self, args: &[&str]) -> Value {
        let began = Instant::now();
        loop {
            let out = self.run(args);
            if out.status.success() {
                return serde_json::from_slice(&out.stdout).unwrap();
            }
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(began.elapsed() < Duration::from_secs(60), "{args:?}: {said}");
            std::thread::yield_now();
        }
    }

    fn wait(&self, until: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !until(self) {
            assert!(began.elapsed() < END, "{:#}", self.emulator.state());
            std::thread::yield_now();
        }
    }

    fn create(&mut self) {
        let kind = ["L40S-1-48G", "RENDER-S", "L4-1-24G"][self.rng.usize(..3)];
        let keeps = self.rng.u8(..4) == 0;
        self.asked += 1;
        let name = format!("{}-{}", if keeps { KEEPER } else { "passer" }, self.asked);
        let mut args = vec!["instance", "create", "--yes", "--zone", "fr-par-2", "--type", kind, "--name", &name];
        args.extend(["--data-volume-gb", "20"]);
        if keeps {
            args.push("--retain");
        }
        let id = self.ask(&args)["id"].as_str().unwrap().to_owned();
        self.living.push(id);
    }

    /// All instances, including those of creations that were retried after a lost response.
    fn instances(&self) -> Vec<Value> {
        self.ask(&["instance", "list", "--all"]).as_array().unwrap().clone()
    }

    /// Makes reads stale for whole periods: of one API and kind or of all, by up to the window, monotonically or not.
    fn turn_reads(&mut self) {
        let mut some = |of: &[&str]| of.get(self.rng.usize(..of.len() * 2)).map(|text| (*text).to_owned());
        let (api, kind) = (some(&["instance", "block"]), some(&["servers", "volumes"]));
        let reads = [Reads::Both, Reads::Both, Reads::Lists, Reads::Single][self.rng.usize(..4)];
        match self.rng.u8(..6) {
            0 => self.emulator.set_stale_reads(Vec::new()),
            1 | 2 => {
                self.stale += 1;
                let (lag_ms, backwards) = (self.rng.i64(1_000..=STALE_MS), self.rng.bool());
                self.emulator.set_stale_reads(vec![StaleReads { api, kind, reads, lag_ms, backwards }]);
            }
            _ => {}
        }
    }

    /// A user requests something, and the cloud receives a few requests.
    fn something_happens(&mut self) {
        self.turn_reads();
        if self.living.len() < LIVING_MAX && (self.living.is_empty() || self.rng.bool()) {
            self.create();
        } else {
            let id = self.living.swap_remove(self.rng.usize(..self.living.len()));
            self.ask(&["instance", "terminate", &id]);
        }
        let requests = || self.emulator.journal()["requests"].as_u64().unwrap();
        let (from, began) = (requests(), Instant::now());
        let more = self.rng.u64(..60);
        while requests() < from + more && began.elapsed() < Duration::from_secs(3) {
            std::thread::yield_now();
        }
    }

    /// Kills the control plane and restarts it.
    fn round(&mut self) {
        self.something_happens();
        self.servers[0].child.kill().unwrap();
        self.servers[0].restart();
    }

    /// Terminates everything; only retained volumes may remain in the cloud.
    fn end(&mut self) {
        let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
        self.emulator.set_stale_reads(Vec::new());
        let all = self.instances();
        for instance in &all {
            self.ask(&["instance", "terminate", &text(instance, "id")]);
        }
        let began = Instant::now();
        for id in all.iter().map(|i| text(i, "id")) {
            loop {
                let shown = self.ask(&["instance", "show", &id]);
                let over = matches!(shown["status"].as_str(), Some("terminated" | "provisioning_failed"));
                // A listing that is newer than the window may show what stale reads proved gone; it is then adopted.
                if over && self.ask(&["instance", "proof", &id])["certainty"] != "provisional" {
                    break;
                }
                assert!(began.elapsed() < END, "{shown:#}\n{:#}", self.emulator.state());
                std::thread::yield_now();
            }
            assert_eq!(self.ask(&["instance", "proof", &id])["clean"], true);
        }
        let ids = |items: &Value, key: &str| -> BTreeSet<String> {
            items.as_array().unwrap().iter().map(|v| v[key].as_str().unwrap().to_owned()).collect()
        };
        let listed = self.ask(&["volume", "list", "--status", "retained"]);
        for v in listed.as_array().unwrap() {
            let owner = all.iter().find(|i| i["id"] == v["instance_id"]).unwrap();
            let asked_for = text(owner, "name").starts_with(KEEPER) && v["origin"] == "ours";
            assert!(asked_for, "retained without a request: {v:#}");
        }
        let kept = ids(&listed, "provider_volume_id");
        let state = self.emulator.state();
        assert_eq!((&state["servers"], &state["ips"]), (&serde_json::json!([]), &serde_json::json!([])));
        assert_eq!(ids(&state["volumes"], "id"), kept, "{state:#}");
        let audit = self.ask(&["audit"]);
        assert_eq!(
            (&audit["verdict"], audit["retained"].as_u64()),
            (&serde_json::json!("clean"), Some(kept.len() as u64))
        );
    }
}

/// A value from the environment.
fn reported<N: std::str::FromStr>(name: &str) -> Option<N> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

fn seed() -> u64 {
    reported("INVENTIV_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..))
}

#[test]
fn killed_at_random_moments_it_leaves_exactly_what_is_kept() {
    let kills = reported("INVENTIV_SOAK_KILLS").unwrap_or(KILLS);
    let seed = seed();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Both mostly wait for the cloud: run them at once.
    std::thread::scope(|scope| {
        for kind in Database::both() {
            let runtime = &runtime;
            scope.spawn(move || {
                let (url, home) = runtime.block_on(database(kind));
                println!("{kind:?}: {kills} kills, seed {seed}");
                let (mut soak, cloud) = Soak::new(runtime, home.path(), seed);
                soak.add(Path::new(OURS), environment(&format!("http://{cloud}"), &url, home.path()), None);
                for n in 1..=kills {
                    soak.round();
                    if n % 100 == 0 {
                        println!("{kind:?}: {n} kills");
                    }
                }
                soak.end();
                let (lives, stale) = (soak.asked, soak.stale);
                println!("{kind:?}: {lives} instances, {stale} periods of stale reads, only retained volumes left");
            });
        }
    });
}
