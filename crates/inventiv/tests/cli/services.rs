//! Services behind the gateway: real control planes, workers, engines, keys and clients.

use crate::server::{Cloud, Server, text};
use inventiv_testkit::{Database, database};
use scaleway_emulator::{Boot, Machines};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";
const PROGRAM: &str = env!("CARGO_BIN_EXE_inventiv");

struct Stage {
    server: Server,
    cloud: Cloud,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    _machines: Machines,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[(&str, &str)]) -> Self {
        let cloud = Cloud::start();
        let command = format!("exec {PROGRAM} emulated-server");
        let machines = cloud.emulator.boot(&Boot { command, state_dir: None }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_with(folder.path(), &cloud.url, more);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, cloud, runtime, client, _machines: machines, _folder: folder }
    }

    fn run(&self, args: &[&str]) -> String {
        let out = self.server.run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        text(&out.stdout).trim().to_owned()
    }

    fn create(&self, options: &[&str], stand_in: &[&str]) -> Value {
        let create = ["service", "create", MODEL, "--name", "qwen", "--yes", "-o", "json", "--engine", "command"];
        let command = ["--", PROGRAM, "stand-in-engine", "--port", "{port}", "--model", "{model}"];
        serde_json::from_str(&self.run(&[&create[..], options, &command, stand_in].concat())).unwrap()
    }

    fn show(&self) -> Value {
        serde_json::from_str(&self.run(&["service", "show", "qwen", "-o", "json"])).unwrap()
    }

    fn until(&self, what: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let shown = self.show();
            if what(&shown) {
                return shown;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "{shown:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn request(&self, key: &str, body: &Value) -> reqwest::RequestBuilder {
        self.request_to(&self.server.url, key, body)
    }

    fn request_to(&self, server: &str, key: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{server}/v1/chat/completions")).bearer_auth(key);
        // What `curl -d` says of everything.
        request.header("content-type", "application/x-www-form-urlencoded").body(body.to_string())
    }

    fn ask(&self, key: &str, body: &Value) -> (u16, String) {
        self.runtime.block_on(async {
            let answer = self.request(key, body).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    fn status_at(&self, server: &str, key: &str) -> u16 {
        let request = self.request_to(server, key, &question(false));
        self.runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
    }

    /// Kills or restarts the machine of an instance.
    fn machine(&self, instance: &Value, action: &str) {
        let id = instance.as_str().unwrap();
        let shown: Value = serde_json::from_str(&self.run(&["instance", "show", id, "-o", "json"])).unwrap();
        let path = format!("/_emulator/servers/{}/vm", shown["provider_instance_id"].as_str().unwrap());
        let request = http::Request::post(path).header("content-type", "application/json");
        let done = self.cloud.emulator.handle(&request.body(json!({"action": action}).to_string().into()).unwrap());
        assert!(done.status().is_success(), "{action}");
    }

    fn ends_clean(&self) {
        self.run(&["service", "delete", "qwen", "--wait", "--timeout", "90"]);
        assert_eq!(self.cloud.left(), 0);
        let audit = self.server.run(&["audit"]);
        assert!(audit.status.success(), "{}{}", text(&audit.stdout), text(&audit.stderr));
    }
}

fn question(stream: bool) -> Value {
    json!({"model": "qwen", "messages": [{"role": "user", "content": "Who are you?"}], "stream": stream})
}

/// The sum of a field of all usage.
fn used(stage: &Stage, field: &str) -> i64 {
    let rows: Value = serde_json::from_str(&stage.run(&["service", "usage", "qwen", "-o", "json"])).unwrap();
    rows.as_array().unwrap().iter().map(|r| r[field].as_i64().unwrap()).sum()
}

#[test]
fn a_service_answers_scales_with_its_load_sleeps_and_wakes() {
    let stage = Stage::start();
    let refused = stage.server.run(&["service", "create", MODEL]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(text(&refused.stderr).contains("costs at most") && text(&refused.stderr).contains("--yes"));
    let scaling = ["--max", "2", "--concurrency", "2", "--idle", "6s", "--scale-down", "1s"];
    let made = stage.create(&scaling, &["--token-ms", "40"]);
    assert_eq!((&made["status"], &made["ready_replicas"]), (&json!("ready"), &json!(1)));
    let key = stage.run(&["key", "create", "app", "-o", "name"]);
    // The answer, by the name of the service and by the id of the model.
    let (status, answer) = stage.ask(&key, &question(false));
    assert!(status == 200 && answer.contains("stand-in for Qwen"), "{status} {answer}");
    let mut by_model = question(false);
    by_model["model"] = json!(MODEL);
    assert_eq!(stage.ask(&key, &by_model).0, 200);
    // A stream, with its usage only if it was asked for.
    let (status, streamed) = stage.ask(&key, &question(true));
    assert!(
        status == 200 && streamed.ends_with("data: [DONE]\n\n") && !streamed.contains("prompt_tokens"),
        "{streamed}"
    );
    let mut with_usage = question(true);
    with_usage["stream_options"] = json!({"include_usage": true});
    assert!(stage.ask(&key, &with_usage).1.contains("prompt_tokens"));
    // Who has no key, or a wrong one, and what does not exist.
    assert_eq!(stage.ask("x", &question(false)).0, 401);
    let token = std::fs::read_to_string(stage.server.folder.join("token")).unwrap();
    assert_eq!(stage.ask(token.trim(), &question(false)).0, 401, "the operator's token is not a key");
    let mut unknown = question(false);
    unknown["model"] = json!("none");
    let (status, answer) = stage.ask(&key, &unknown);
    assert!(status == 404 && answer.contains("model_not_found"), "{answer}");
    let listed = stage.runtime.block_on(async {
        let url = format!("{}/instances", stage.server.url);
        stage.client.get(url).bearer_auth(&key).send().await.unwrap().status().as_u16()
    });
    assert_eq!(listed, 401, "a key opens nothing but /v1");
    // Load: another replica, and back.
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (request, stop) = (stage.request(&key, &question(true)), stop.clone());
            stage.runtime.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    assert_eq!(answer.status().as_u16(), 200);
                    assert!(answer.text().await.unwrap().ends_with("[DONE]\n\n"));
                }
            })
        })
        .collect();
    stage.until(|s| s["ready_replicas"] == 2);
    stop.store(true, Ordering::SeqCst);
    for task in load {
        stage.runtime.block_on(task).unwrap();
    }
    stage.until(|s| s["ready_replicas"] == 1);
    // Nobody asks: none is left. The next request wakes it.
    let idle = stage.until(|s| s["status"] == "idle" && s["replicas"].as_array().unwrap().is_empty());
    assert_eq!(idle["hourly_micros"], 0);
    assert_eq!(stage.cloud.left(), 0);
    let (status, answer) = stage.ask(&key, &question(false));
    assert!(status == 503 && answer.contains("no_replica_ready"), "{answer}");
    let woken = stage.runtime.block_on(async {
        let answer = stage.request(&key, &question(false)).header("prefer", "wait=60").send().await.unwrap();
        answer.status().as_u16()
    });
    assert_eq!(woken, 200);
    let began = Instant::now();
    while used(&stage, "requests") < 6 {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(used(&stage, "errors"), 0);
    assert_eq!(used(&stage, "prompt_tokens") % 3, 0, "each question has three words");
    stage.ends_clean();
    let (status, _) = stage.ask(&key, &question(false));
    assert_eq!(status, 404);
}

#[test]
fn a_change_of_settings_replaces_replicas_without_losing_a_request() {
    let stage = Stage::start();
    stage.create(&["--min", "1", "--max", "2"], &["--token-ms", "5"]);
    let key = stage.run(&["key", "create", "app", "--scope", "qwen", "-o", "name"]);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let load: Vec<_> = (0..3)
        .map(|n| {
            let (request, stop, asked) = (stage.request(&key, &question(n % 2 == 0)), stop.clone(), asked.clone());
            stage.runtime.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    let status = answer.status().as_u16();
                    let body = answer.text().await.unwrap();
                    assert!(status == 200 && !body.contains("\"error\""), "{status} {body}");
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let before = stage.show()["replicas"][0]["instance_id"].clone();
    let update = ["service", "update", "qwen", "--yes", "--engine", "command", "--engine-env", "A=b"];
    stage.run(&[&update[..], &["--", PROGRAM, "stand-in-engine", "--port", "{port}", "--model", "{model}"]].concat());
    let after = stage.until(|s| {
        let replicas = s["replicas"].as_array().unwrap();
        assert!(replicas.len() <= 2, "a surge of one: {s:#}");
        s["status"] == "ready" && replicas.len() == 1 && replicas[0]["is_current"] == true
    });
    assert_ne!(after["replicas"][0]["instance_id"], before);
    stop.store(true, Ordering::SeqCst);
    for task in load {
        stage.runtime.block_on(task).unwrap();
    }
    assert!(asked.load(Ordering::SeqCst) > 10);
    stage.ends_clean();
}

#[test]
fn an_engine_that_dies_and_a_key_that_is_revoked_end_a_stream_with_one_error() {
    let stage = Stage::start();
    let made = stage.create(&["--min", "1"], &["--token-ms", "300"]);
    let key = stage.run(&["key", "create", "app", "-o", "name"]);
    let begin = |key: &str| {
        let request = stage.request(key, &question(true));
        stage.runtime.block_on(async {
            let mut answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
            assert!(answer.chunk().await.unwrap().is_some(), "it has begun");
            answer
        })
    };
    let rest = |answer: reqwest::Response| stage.runtime.block_on(answer.text()).unwrap();
    let errors = |text: &str| text.matches("\"error\"").count();
    // The key is revoked in the middle.
    let other = stage.run(&["key", "create", "other", "-o", "name"]);
    let answer = begin(&other);
    stage.run(&["key", "revoke", "other"]);
    let said = rest(answer);
    assert!(errors(&said) == 1 && said.contains("revoked") && !said.contains("[DONE]"), "{said}");
    assert_eq!(stage.ask(&other, &question(false)).0, 401);
    // The machine dies in the middle.
    let answer = begin(&key);
    stage.machine(&made["replicas"][0]["instance_id"], "kill");
    let said = rest(answer);
    assert!(errors(&said) == 1 && said.contains("stopped in the middle") && !said.contains("[DONE]"), "{said}");
    stage.ends_clean();
}

#[test]
fn two_control_planes_on_one_database_answer_alike_and_one_may_die() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if !Database::both().contains(&Database::Postgres) {
        return;
    }
    let (url, _home) = runtime.block_on(database(Database::Postgres));
    let mut stage = Stage::start_with(&[("INVENTIV_DATABASE_URL", &url)]);
    // The same folder: both have the same token and the same key file.
    let folder = stage.server.folder.clone();
    let other = Server::start_with(&folder, &stage.cloud.url, &[("INVENTIV_DATABASE_URL", &url)]);
    let made = stage.create(&["--min", "1"], &[]);
    let key = stage.run(&["key", "create", "app", "-o", "name"]);
    assert_eq!(stage.status_at(&other.url, &key), 200, "the other one knows key and replica at once");
    assert_eq!(stage.status_at(&stage.server.url, &key), 200);
    // A limit that was used up at one is used up at the other.
    let limited = stage.run(&["key", "create", "limited", "--requests-per-minute", "5", "-o", "name"]);
    let accepted = (0..10).filter(|_| stage.status_at(&stage.server.url, &limited) == 200).count();
    assert_eq!(accepted, 5);
    let began = Instant::now();
    while stage.status_at(&other.url, &limited) != 429 {
        assert!(began.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(200));
    }
    // The first one dies. The other one watches the workers, reconciles the service, and answers.
    stage.server.child.kill().unwrap();
    stage.server.child.wait().unwrap();
    stage.server = other;
    assert_eq!(stage.status_at(&stage.server.url, &key), 200);
    let replica = made["replicas"][0]["instance_id"].clone();
    stage.machine(&replica, "kill");
    stage.until(|s| s["ready_replicas"] == 0);
    assert_eq!(stage.status_at(&stage.server.url, &key), 503);
    stage.machine(&replica, "restart");
    stage.until(|s| s["ready_replicas"] == 1);
    assert_eq!(stage.status_at(&stage.server.url, &key), 200);
    stage.ends_clean();
}
