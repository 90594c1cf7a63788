//! Instances that are ready because a model answered: real control planes, workers, engines and handshakes.

use crate::server::{Cloud, Server, text};
use scaleway_emulator::{Boot, Machines};
use serde_json::{Value, json};
use std::process::Output;
use std::time::{Duration, Instant};

const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";
const PROGRAM: &str = env!("CARGO_BIN_EXE_inventiv");

/// A cloud whose servers boot, and a control plane.
struct Stage {
    server: Server,
    cloud: Cloud,
    _machines: Machines,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn start(more: &[(&str, &str)]) -> Self {
        Self::start_with(&format!("exec {PROGRAM} emulated-server"), more)
    }

    fn start_with(command: &str, more: &[(&str, &str)]) -> Self {
        let cloud = Cloud::start();
        let machines = cloud.emulator.boot(&Boot { command: command.to_owned(), state_dir: None }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_with(folder.path(), &cloud.url, more);
        Self { server, cloud, _machines: machines, _folder: folder }
    }

    /// Creates an instance that serves with a stand-in, and more options.
    fn create(&self, name: &str, options: &[&str], stand_in: &[&str]) -> Output {
        let create = ["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L40S-1-48G", "--model", MODEL];
        let named = ["--name", name, "--engine", "command", "-o", "json"];
        let command = ["--", PROGRAM, "stand-in-engine", "--port", "{port}", "--model", "{model}"];
        self.server.run(&[&create[..], &named, options, &command, stand_in].concat())
    }

    fn show(&self, name: &str) -> Value {
        let out = self.server.run(&["instance", "show", name, "-o", "json"]);
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out.stderr)))
    }

    fn until(&self, name: &str, what: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let shown = self.show(name);
            if what(&shown) {
                return shown;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{shown:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks the model through the control plane.
    fn ask(&self, name: &str, path: &str, question: &Value) -> (u16, String) {
        let token = std::fs::read_to_string(self.server.folder.join("token")).unwrap();
        let url = format!("{}/instances/{name}/v1/{path}", self.server.url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.post(url).bearer_auth(token.trim()).header("content-type", "application/json");
            let answer = request.body(question.to_string()).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    fn machine(&self, server: &Value, action: &str) {
        let path = format!("/_emulator/servers/{}/vm", server.as_str().unwrap());
        let body = json!({"action": action}).to_string();
        let request = http::Request::post(path).header("content-type", "application/json");
        let answer = self.cloud.emulator.handle(&request.body(body.into()).unwrap());
        assert!(answer.status().is_success(), "{action}: {}", text(answer.body()));
    }

    fn log_of(&self, name: &str) -> Vec<Value> {
        let id = self.show(name)["id"].as_str().unwrap().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let token = std::fs::read_to_string(self.server.folder.join("token")).unwrap();
        let url = format!("{}/action_logs?instance_id={id}&limit=500", self.server.url);
        let page: Value = runtime.block_on(async {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(url).bearer_auth(token.trim()).send().await.unwrap();
            serde_json::from_str(&answer.text().await.unwrap()).unwrap()
        });
        page["items"].as_array().unwrap().clone()
    }

    fn ends_clean(&self, name: &str) {
        let out = self.server.run(&["instance", "terminate", name, "--wait"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert_eq!(self.cloud.left(), 0);
        let audit = self.server.run(&["audit"]);
        assert!(audit.status.success(), "{}{}", text(&audit.stdout), text(&audit.stderr));
    }
}

fn question() -> Value {
    json!({"model": MODEL, "messages": [{"role": "user", "content": "Who are you?"}]})
}

#[test]
fn an_instance_is_ready_when_its_model_has_answered_and_survives_what_happens_to_its_server() {
    let stage = Stage::start(&[]);
    let made = stage.create("qwen", &["--wait"], &["--load-ms", "300"]);
    let steps = text(&made.stderr);
    assert!(made.status.success(), "{steps}");
    for step in ["install the worker", "mount the data volume", "start the engine", "ask the model", "ready"] {
        assert!(steps.contains(step), "{step} is missing in {steps}");
    }
    let shown: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&shown["status"], &shown["worker"]["phase"]), (&json!("ready"), &json!("serving")));
    let (status, answer) = stage.ask("qwen", "chat/completions", &question());
    assert!(status == 200 && answer.contains("stand-in for Qwen"), "{status} {answer}");
    let mut streamed = question();
    streamed["stream"] = json!(true);
    let (status, answer) = stage.ask("qwen", "chat/completions", &streamed);
    assert!(status == 200 && answer.ends_with("data: [DONE]\n\n"), "{status} {answer}");
    for path in ["../pause", "load_lora_adapter", "models/x"] {
        assert_eq!(stage.ask("qwen", path, &json!({})).0, 404, "{path}");
    }
    let log = text(&stage.server.run(&["instance", "logs", "qwen", "--source", "engine"]).stdout);
    assert!(log.contains("a stand-in for Qwen/Qwen2.5-7B-Instruct: no model is loaded"), "{log}");
    let lines = stage.log_of("qwen");
    let line = |action: &str| lines.iter().find(|l| l["action"] == action).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(line("ENGINE_START")["duration_ms"].as_i64().unwrap() >= 200, "{lines:#?}");
    assert_eq!(line("WORKER_DATA_VOLUME")["status"], "completed");
    // The machine dies, and comes back: the data volume is not formatted again.
    let server = shown["provider_instance_id"].clone();
    stage.machine(&server, "kill");
    stage.until("qwen", |i| i["status"] == "unavailable" && i["worker"]["unreachable_since"].is_string());
    assert_eq!(stage.ask("qwen", "chat/completions", &question()).0, 503);
    stage.machine(&server, "restart");
    stage.until("qwen", |i| i["status"] == "ready");
    let formatted = |lines: &[Value]| {
        lines.iter().filter(|l| l["details"].as_str().is_some_and(|d| d.contains("is formatted"))).count()
    };
    assert_eq!(formatted(&stage.log_of("qwen")), 1);
    // A stop and a start: the worker comes back by itself.
    assert!(stage.server.run(&["instance", "stop", "qwen", "--wait"]).status.success());
    let stopped = stage.show("qwen");
    assert_eq!((&stopped["status"], &stopped["worker"]), (&json!("stopped"), &Value::Null));
    let started = stage.server.run(&["instance", "start", "qwen", "--wait"]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    assert_eq!(stage.ask("qwen", "chat/completions", &question()).0, 200);
    assert_eq!(formatted(&stage.log_of("qwen")), 1);
    stage.ends_clean("qwen");
}

#[test]
fn a_model_that_will_not_answer_ends_its_instance_with_the_reason_and_its_last_lines() {
    let stage = Stage::start(&[("INVENTIV_STARTUP_FAILURE_TTL_SECONDS", "2")]);
    let made = stage.create("small", &["--wait"], &["--fault", "out-of-memory"]);
    let said = text(&made.stderr);
    assert_eq!(made.status.code(), Some(6), "{said}");
    assert!(said.contains("does not have enough memory") && said.contains("it ends at"), "{said}");
    let ended = stage.until("small", |i| i["status"] == "terminated");
    assert_eq!(ended["error_code"], "gpu_memory");
    assert_eq!(stage.cloud.left(), 0);
    let log = stage.server.run(&["instance", "logs", "small"]);
    assert!(text(&log.stdout).contains("CUDA out of memory"), "{}", text(&log.stderr));
    // One that is kept stays until somebody ends it.
    let made = stage.create("kept", &["--wait", "--keep-failed"], &["--fault", "out-of-memory"]);
    assert!(text(&made.stderr).contains("it is kept and costs money"), "{}", text(&made.stderr));
    let failure = stage.show("kept")["worker"]["failure"].clone();
    assert_eq!((&failure["code"], &failure["ends_at"]), (&json!("gpu_memory"), &Value::Null));
    let explained = text(&stage.server.run(&["explain", "kept"]).stdout);
    assert!(explained.contains("startup_failed") && explained.contains("enough memory"), "{explained}");
    stage.ends_clean("kept");
}

#[test]
fn a_server_gets_the_program_over_mutual_tls_and_secrets_are_nowhere_but_in_the_engine() {
    let stage = Stage::start_with(&format!("exec {PROGRAM} emulated-server --bootstrap"), &[]);
    let value = "hf_verysecretvalue";
    let set = std::process::Command::new(PROGRAM)
        .args(["secret", "set", "my-token", "--from-env", "VALUE"])
        .env_clear()
        .envs(stage.server.env.iter().cloned())
        .env("VALUE", value)
        .output()
        .unwrap();
    assert!(set.status.success(), "{}", text(&set.stderr));
    let missing = stage.create("none", &["--secret", "TOKEN=absent"], &[]);
    assert!(text(&missing.stderr).contains("inventiv secret set absent"), "{}", text(&missing.stderr));
    let made = stage.create("boot", &["--wait", "--secret", "TOKEN=my-token"], &[]);
    let steps = text(&made.stderr);
    assert!(made.status.success(), "{steps}");
    let shown: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(shown["history"].to_string().contains("installing"), "{shown:#}");
    assert_eq!(stage.ask("boot", "chat/completions", &question()).0, 200);
    let user_data = stage.cloud.user_data(shown["provider_instance_id"].as_str().unwrap());
    assert!(user_data.contains("BEGIN CERTIFICATE") && !user_data.contains("verysecret"));
    assert!(!steps.contains("verysecret") && !shown.to_string().contains("verysecret"));
    for file in std::fs::read_dir(&stage.server.folder).unwrap().flatten() {
        let content = std::fs::read(file.path()).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains("verysecret"), "{}", file.path().display());
    }
    // A reboot: it waits for its secrets, and gets them again.
    let server = shown["provider_instance_id"].clone();
    stage.machine(&server, "restart");
    stage.until("boot", |i| i["status"] == "unavailable");
    stage.until("boot", |i| i["status"] == "ready");
    stage.ends_clean("boot");
}

#[test]
fn scratch_keeps_the_model_where_nobody_asked_for_a_data_volume() {
    let stage = Stage::start(&[]);
    let made = stage.create("scratch", &["--wait", "--data-volume-gb", "0"], &[]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let formatted = |stage: &Stage| {
        let log = stage.log_of("scratch");
        let steps = log.iter().filter(|l| l["action"] == "WORKER_DATA_VOLUME");
        steps.filter(|l| l.to_string().contains("scratch disk: was empty and is formatted")).count()
    };
    assert_eq!(formatted(&stage), 1, "{:#?}", stage.log_of("scratch"));
    // A power-off erases it, so the second start begins with an empty disk.
    for action in ["stop", "start"] {
        let out = stage.server.run(&["instance", action, "scratch", "--wait"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    stage.until("scratch", |i| i["status"] == "ready");
    assert_eq!(formatted(&stage), 2, "{:#?}", stage.log_of("scratch"));
    stage.ends_clean("scratch");
}

#[test]
fn a_frozen_server_and_a_model_that_hangs_do_not_stay_ready() {
    let stage = Stage::start(&[]);
    let made = stage.create("frozen", &["--wait"], &[]);
    let shown: Value = serde_json::from_slice(&made.stdout).unwrap();
    stage.machine(&shown["provider_instance_id"], "freeze");
    stage.until("frozen", |i| i["status"] == "unavailable");
    stage.machine(&shown["provider_instance_id"], "thaw");
    stage.until("frozen", |i| i["status"] == "ready");
    stage.ends_clean("frozen");
    let made = stage.create("hangs", &["--wait"], &["--fault", "hang"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let hangs = stage.until("hangs", |i| i["status"] == "unavailable");
    assert_eq!(hangs["worker"]["phase"], "not_answering");
    stage.ends_clean("hangs");
}
