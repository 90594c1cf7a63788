//! A control plane with one service of two replicas, and clients that ask it all the time.

#[path = "../cli/server.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
pub(crate) mod server;

use crate::judge::{Ended, Totals, of_response};
use parking_lot::{Mutex, MutexGuard};
use scaleway_emulator::{Boot, Machines};
use serde_json::{Value, json};
use server::{Cloud, Server, text};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";
const PROGRAM: &str = env!("CARGO_BIN_EXE_inventiv");
/// How many clients ask at the same time. Half of them want streams.
const CLIENTS: usize = 8;
/// No request may take longer, with its wait for a replica.
const LIMIT: Duration = Duration::from_secs(60);

/// Repeats until there is an answer; `None`: there was none in time.
pub(crate) fn until<T>(seconds: u64, mut what: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = what() {
            return Some(found);
        }
        if began.elapsed() > Duration::from_secs(seconds) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Machines are processes of this one: a stage must not kill those of another.
static ONE_AT_A_TIME: Mutex<()> = parking_lot::const_mutex(());

pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) cloud: Cloud,
    pub(crate) runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    _machines: Machines,
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) fn start(engine: &[&str]) -> Self {
        let alone = ONE_AT_A_TIME.lock();
        let cloud = Cloud::start();
        let command = format!("exec {PROGRAM} emulated-server");
        let machines = cloud.emulator.boot(&Boot { command, state_dir: None }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let connections = [("INVENTIV_MAX_CONNECTIONS", "8000"), ("INVENTIV_MAX_CONNECTIONS_PER_ADDRESS", "8000")];
        let server = Server::start_with(folder.path(), &cloud.url, &connections);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // A client that tries again by itself would hide a request that was answered twice.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(LIMIT).build().unwrap();
        let stage = Self { server, cloud, runtime, client, _machines: machines, _folder: folder, _alone: alone };
        let create = ["service", "create", MODEL, "--name", "qwen", "--yes", "--min", "2", "--max", "3"];
        let command = ["--engine", "command", "--", PROGRAM, "stand-in-engine", "--port", "{port}", "--model"];
        stage.run(&[&create[..], &command, &["{model}"], engine].concat());
        stage.wait_until_whole();
        stage
    }

    pub(crate) fn run(&self, args: &[&str]) -> String {
        let out = self.server.run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        text(&out.stdout).trim().to_owned()
    }

    pub(crate) fn key(&self, name: &str) -> String {
        self.run(&["key", "create", name, "-o", "name"])
    }

    pub(crate) fn show(&self) -> Value {
        serde_json::from_str(&self.run(&["service", "show", "qwen", "-o", "json"])).unwrap()
    }

    /// How many replicas are ready, and how many there are; `None`: nobody answers at the moment.
    pub(crate) fn replicas(&self) -> Option<(u64, usize)> {
        let out = self.server.run(&["service", "show", "qwen", "-o", "json"]);
        let shown: Value = serde_json::from_slice(&out.stdout).ok()?;
        Some((shown["ready_replicas"].as_u64()?, shown["replicas"].as_array()?.len()))
    }

    /// Waits until there are two replicas, and both are ready.
    pub(crate) fn wait_until_whole(&self) {
        let whole = until(120, || self.replicas().filter(|r| *r == (2, 2)));
        assert!(whole.is_some(), "{:#}", self.show());
    }

    /// Deletes the service: nothing may be left.
    pub(crate) fn ends_clean(&self) {
        self.run(&["service", "delete", "qwen", "--wait", "--timeout", "90"]);
        assert_eq!(self.cloud.left(), 0);
        let audit = self.server.run(&["audit"]);
        assert!(audit.status.success(), "{}{}", text(&audit.stdout), text(&audit.stderr));
    }

    /// What was recorded.
    pub(crate) fn usage(&self) -> Totals {
        let rows: Value = serde_json::from_str(&self.run(&["service", "usage", "qwen", "-o", "json"])).unwrap();
        let sum = |field: &str| rows.as_array().unwrap().iter().map(|r| r[field].as_i64().unwrap()).sum::<i64>();
        let failed = sum("errors");
        Totals {
            complete: sum("requests") - failed,
            failed,
            prompt: sum("prompt_tokens"),
            completion: sum("completion_tokens"),
            ..Totals::default()
        }
    }

    /// The same once it has not changed for two seconds.
    pub(crate) fn settled_usage(&self) -> Totals {
        let (mut last, mut since) = (self.usage(), Instant::now());
        while since.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(100));
            let now = self.usage();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    /// How many requests of the service are under way, by the metrics.
    pub(crate) fn outstanding(&self) -> Option<u64> {
        let token = std::fs::read_to_string(self.server.folder.join("token")).unwrap();
        let request = self.client.get(format!("{}/metrics", self.server.url)).bearer_auth(token.trim());
        let shown = self.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() });
        let line = shown.lines().find(|l| l.starts_with("inventiv_gateway_requests{") && l.contains("outstanding"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.url.trim_start_matches("http://").parse().unwrap()
    }

    /// A question whose answer is a stream with its usage, or not a stream.
    pub(crate) fn question(is_stream: bool) -> Value {
        let mut body = json!({"model": "qwen", "messages": [{"role": "user", "content": "Who are you?"}]});
        if is_stream {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }

    pub(crate) fn request(&self, key: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}/v1/chat/completions", self.server.url)).bearer_auth(key);
        request.header("content-type", "application/json").header("prefer", "wait=45").body(body.to_string())
    }

    /// Clients that ask until they are stopped.
    pub(crate) fn traffic(&self, key: &str) -> Traffic {
        let (stop, totals) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Totals::default())));
        let clients = (0..CLIENTS).map(|n| {
            let request = self.request(key, &Self::question(n % 2 == 0));
            let (stop, totals) = (stop.clone(), totals.clone());
            self.runtime.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let this = ask(request.try_clone().unwrap(), n % 2 == 0).await;
                    let is_broken = this == Ended::Broken;
                    totals.lock().count(&this);
                    if is_broken {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        });
        Traffic { runtime: self.runtime.handle().clone(), clients: clients.collect(), stop, totals }
    }
}

/// Sends a request and judges its end.
async fn ask(request: reqwest::RequestBuilder, is_stream: bool) -> Ended {
    let of_error = |e: &reqwest::Error| {
        if e.is_timeout() { Ended::Wrong(format!("no end within {LIMIT:?}: {e:?}")) } else { Ended::Broken }
    };
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(e) => return of_error(&e),
    };
    let status = answer.status().as_u16();
    match answer.text().await {
        Ok(body) => of_response(status, is_stream, &body),
        Err(e) => of_error(&e),
    }
}

pub(crate) struct Traffic {
    runtime: tokio::runtime::Handle,
    clients: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    totals: Arc<Mutex<Totals>>,
}

impl Traffic {
    /// Waits until so many more requests were answered.
    pub(crate) fn wait_for_answers(&self, requests: i64) {
        let now = self.totals.lock().complete;
        let more = until(120, || (self.totals.lock().complete >= now + requests).then_some(()));
        assert!(more.is_some(), "no {requests} more answers: {:?}", self.totals.lock());
    }

    /// How the requests ended that have ended.
    pub(crate) fn so_far(&self) -> Totals {
        self.totals.lock().clone()
    }

    /// Lets every request end.
    pub(crate) fn stop(self) -> Totals {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            self.runtime.block_on(client).unwrap();
        }
        self.totals.lock().clone()
    }
}
