//! A whole worker with real TLS, real processes and emulated disks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use inventiv_core::engine::EngineKind;
use inventiv_core::worker::report::{Phase, Report, StepKind};
use inventiv_core::worker::{Scratch, WorkerDesired};
use inventiv_worker::Config;
use inventiv_worker::disks::FileDisks;
use inventiv_worker_api::client::{ContactError, Responder, WorkerClient};
use inventiv_worker_api::message::{DesiredRequest, LogSource};
use inventiv_worker_api::tls::{Authority, client_config};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(30);
const DEVICE: &str = "/dev/disk/by-id/scsi-0SCW_sbs_volume-1234";
const NAME: &str = "ins-1";

/// A program that answers as an engine does. `{fault}` is replaced by a line of Python that runs for each request.
const ENGINE: &str = r#"
import http.server, json, os, sys, time
count = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_POST(self):
        global count
        count += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        {fault}
        if self.path != "/v1/chat/completions": return self.answer(404, {"error": "no"})
        self.answer(200, {"choices": [{"message": {"content": os.environ.get("SECRET", "-")}}], "headers": dict(self.headers)})
    do_GET = lambda self: self.answer(200, {"data": []})
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
print("the engine begins", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

/// The machine of a worker.
struct Machine {
    folder: TempDir,
    authority: Authority,
    port: u16,
    running: Option<(CancellationToken, JoinHandle<Result<(), String>>)>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create().unwrap();
        let identity = authority.for_worker(NAME).unwrap();
        let tls = folder.path().join("tls");
        std::fs::create_dir_all(&tls).unwrap();
        std::fs::write(tls.join("authority.pem"), authority.certificate_pem()).unwrap();
        std::fs::write(tls.join("certificate.pem"), identity.certificate_pem).unwrap();
        std::fs::write(tls.join("key.pem"), identity.key_pem).unwrap();
        std::fs::create_dir_all(folder.path().join("volumes")).unwrap();
        let port = std::net::TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port();
        Self { folder, authority, port, running: None }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn with_volume(self, content: &str) -> Self {
        let file = self.at("volumes/1234");
        std::fs::write(&file, content).unwrap();
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(1 << 20).unwrap();
        self
    }

    fn start(&mut self) {
        let config = Config {
            tls: self.at("tls"),
            listen: LOOPBACK,
            port: self.port,
            state: self.at("state"),
            run: self.at("run"),
            data: self.at("data"),
            without_volume: self.at("local"),
            disks: Arc::new(FileDisks { volumes: self.at("volumes") }),
            probe_every: Duration::from_millis(50),
            probe_limit: Duration::from_millis(500),
            first_pause: Duration::from_millis(20),
            move_images: false,
            stand_in: None,
        };
        let stop = CancellationToken::new();
        self.running = Some((stop.clone(), tokio::spawn(inventiv_worker::run(config, stop))));
    }

    async fn stop(&mut self) {
        let (stop, running) = self.running.take().unwrap();
        stop.cancel();
        running.await.unwrap().unwrap();
    }

    fn client(&self) -> WorkerClient {
        WorkerClient::new(LOOPBACK, self.port, NAME, self.authority.client_config().unwrap())
    }

    async fn report(&self) -> Report {
        let began = Instant::now();
        loop {
            match self.client().status(None, Duration::ZERO).await {
                Ok(Responder::Worker(report)) => return *report,
                Ok(Responder::Bootstrap) => panic!("no bootstrap program runs"),
                Err(e) => assert!(began.elapsed() < LIMIT, "{e}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for a report, by long polls.
    async fn until(&self, what: impl Fn(&Report) -> bool) -> Report {
        let (mut client, began) = (self.client(), Instant::now());
        let mut report = self.report().await;
        while !what(&report) {
            assert!(began.elapsed() < LIMIT, "{report:#?}");
            if let Ok(Responder::Worker(next)) = client.status(Some(report.sequence), Duration::from_secs(1)).await {
                report = *next;
            }
        }
        report
    }

    async fn ask(&self, path: &str, body: &str) -> (StatusCode, String) {
        let answer = self.client().forward(Method::POST, path, Bytes::from(body.to_owned()), LIMIT).await.unwrap();
        let status = answer.status();
        (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }
}

fn engine(fault: &str) -> Vec<String> {
    ["python3", "-c", &ENGINE.replace("{fault}", fault), "{port}"].map(str::to_owned).to_vec()
}

fn desired(command: Vec<String>) -> WorkerDesired {
    WorkerDesired {
        instance_id: NAME.into(),
        model_id: "a/model".into(),
        engine: EngineKind::Command,
        context_tokens: 100,
        gpu_count: 0,
        image: None,
        args: Vec::new(),
        command,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        data_device: None,
        scratch: None,
    }
}

async fn put(machine: &Machine, desired: WorkerDesired) {
    let request = DesiredRequest::new(desired, BTreeMap::new(), &[]);
    machine.report().await;
    machine.client().put_desired(&request).await.unwrap();
}

fn serving(report: &Report) -> bool {
    report.phase == Phase::Serving
}

#[tokio::test]
async fn a_model_answers_through_the_worker_and_only_its_paths_are_open() {
    let mut machine = Machine::new();
    machine.start();
    let waiting = machine.report().await;
    assert_eq!((waiting.phase, waiting.desired_id), (Phase::Waiting, None));
    let (early, _) = machine.ask("/v1/chat/completions", "{}").await;
    assert_eq!(early, StatusCode::SERVICE_UNAVAILABLE);
    put(&machine, desired(engine("pass"))).await;
    let report = machine.until(serving).await;
    let steps: Vec<(StepKind, bool)> = report.steps.iter().map(|s| (s.kind, s.succeeded)).collect();
    assert_eq!(steps, [(StepKind::EngineStart, true), (StepKind::EngineProbe, true)]);
    let (status, answer) = machine.ask("/v1/chat/completions", r#"{"messages": []}"#).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!answer.to_lowercase().contains("authorization"), "keys are not for the engine: {answer}");
    for path in ["/invocations", "/pause", "/update_weights", "/tokenize", "/v1/../pause", "/v1/load_lora_adapter"] {
        assert_eq!(machine.ask(path, "{}").await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let log = machine.client().log(100).await.unwrap();
    assert!(log.iter().any(|l| l.source == LogSource::Engine && l.text == "the engine begins"), "{log:?}");
    machine.stop().await;
}

#[tokio::test]
async fn only_the_control_plane_of_its_authority_is_let_in() {
    let mut machine = Machine::new();
    machine.start();
    machine.report().await;
    let other = Authority::create().unwrap();
    let of_worker = machine.authority.for_worker("ins-2").unwrap();
    let pem = machine.authority.certificate_pem();
    for (what, tls) in [
        ("no certificate", client_config(pem, None).unwrap()),
        ("one of another control plane", client_config(pem, Some(&other.for_control_plane().unwrap())).unwrap()),
        ("one of another worker", client_config(pem, Some(&of_worker)).unwrap()),
    ] {
        let mut client = WorkerClient::new(LOOPBACK, machine.port, NAME, tls);
        assert!(client.status(None, Duration::ZERO).await.is_err(), "{what}");
    }
    // Another machine at the address: its certificate carries another name, or is of another authority.
    for (what, name, tls) in [
        ("another instance", "ins-2", machine.authority.client_config().unwrap()),
        ("another authority", NAME, other.client_config().unwrap()),
    ] {
        let mut client = WorkerClient::new(LOOPBACK, machine.port, name, tls);
        let refused = client.status(None, Duration::ZERO).await;
        assert!(matches!(refused, Err(ContactError::NotTheWorker(_))), "{what}: {refused:?}");
    }
    machine.stop().await;
}

#[tokio::test]
async fn after_a_restart_it_serves_again_without_being_told_and_never_formats_twice() {
    let mut machine = Machine::new().with_volume("");
    machine.start();
    put(&machine, WorkerDesired { data_device: Some(DEVICE.into()), ..desired(engine("pass")) }).await;
    let first = machine.until(serving).await;
    assert!(first.steps[0].text.contains("was empty and is formatted"), "{:?}", first.steps);
    std::fs::write(machine.at("data/marker"), "here").unwrap();
    machine.stop().await;
    machine.start();
    let second = machine.until(serving).await;
    assert_ne!(first.run_id, second.run_id);
    assert_eq!(first.desired_id, second.desired_id);
    assert!(!second.steps[0].text.contains("formatted"), "{:?}", second.steps);
    assert_eq!(std::fs::read_to_string(machine.at("data/marker")).unwrap(), "here");
    machine.stop().await;
}

#[tokio::test]
async fn a_disk_that_holds_something_else_is_refused_and_stays_as_it_is() {
    let mut machine = Machine::new().with_volume("somebody's data");
    let before = std::fs::read(machine.at("volumes/1234")).unwrap();
    machine.start();
    put(&machine, WorkerDesired { data_device: Some(DEVICE.into()), ..desired(engine("pass")) }).await;
    let report = machine.until(|r| r.phase == Phase::Failed).await;
    assert_eq!(report.failure.unwrap().code, "data_volume_refused");
    assert!(std::fs::read(machine.at("volumes/1234")).unwrap() == before);
    machine.stop().await;
}

#[tokio::test]
async fn scratch_takes_the_role_of_a_missing_data_volume_and_is_left_alone_if_it_holds_something() {
    let scratch = |id: &str| Some(Scratch { volume_id: id.to_owned(), size_bytes: 1 << 20 });
    let mut machine = Machine::new().with_volume("");
    machine.start();
    put(&machine, WorkerDesired { scratch: scratch("1234"), ..desired(engine("pass")) }).await;
    let report = machine.until(serving).await;
    let told = &report.steps[0].text;
    assert!(told.contains("scratch disk: was empty and is formatted; mounted at"), "{told}");
    machine.stop().await;

    for (content, id, why) in [
        ("somebody's data", "1234", "it holds data without a known file system and is left as it is"),
        ("", "9", "is not there"),
    ] {
        let mut machine = Machine::new().with_volume(content);
        let before = std::fs::read(machine.at("volumes/1234")).unwrap();
        machine.start();
        put(&machine, WorkerDesired { scratch: scratch(id), ..desired(engine("pass")) }).await;
        let report = machine.until(serving).await;
        let told = &report.steps[0].text;
        assert!(told.contains(why) && told.ends_with("the boot disk keeps the model"), "{told}");
        assert!(std::fs::read(machine.at("volumes/1234")).unwrap() == before);
        assert!(machine.at("local").exists() && !machine.at("data").exists());
        machine.stop().await;
    }
}

#[tokio::test]
async fn secrets_reach_the_engine_and_no_file_log_or_argument() {
    let mut machine = Machine::new();
    machine.start();
    machine.report().await;
    let secrets = BTreeMap::from([("SECRET".to_owned(), "a-secret".to_owned())]);
    let wanted = WorkerDesired { secrets: secrets.clone(), ..desired(engine("pass")) };
    let value = BTreeMap::from([("SECRET".to_owned(), "hf_verysecretvalue".to_owned())]);
    let request = DesiredRequest::new(wanted.clone(), value.clone(), &[7]);
    assert!(!format!("{request:?}").contains("verysecret"));
    machine.client().put_desired(&request).await.unwrap();
    machine.until(serving).await;
    let (_, answer) = machine.ask("/v1/chat/completions", r#"{"messages": []}"#).await;
    assert!(answer.contains("hf_verysecretvalue"), "the engine has it: {answer}");
    for file in files_under(machine.folder.path()) {
        let text = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("verysecret"), "{}", file.display());
    }
    let log = format!("{:?}", machine.client().log(2_000).await.unwrap());
    assert!(!log.contains("verysecret") && !format!("{:?}", machine.report().await).contains("verysecret"));
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains("verysecret"));
    }
    // After a restart, it waits for the secrets, and does not tell an id: so they are sent again.
    machine.stop().await;
    machine.start();
    let report = machine.report().await;
    assert_eq!((report.phase, report.desired_id), (Phase::Waiting, None));
    machine.client().put_desired(&request).await.unwrap();
    machine.until(serving).await;
    // Another version of a secret is another desired state.
    let newer = DesiredRequest::new(wanted, value, &[8]);
    assert_ne!(newer.id, request.id);
    machine.stop().await;
}

fn files_under(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files_under(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[tokio::test]
async fn an_engine_that_ends_is_started_again_and_one_that_never_answers_fails_with_its_reason() {
    let mut machine = Machine::new();
    machine.start();
    // It answers the first probes, and then ends.
    put(&machine, desired(engine("if count == 4: print('it ends', flush=True); os._exit(3)"))).await;
    let report = machine.until(|r| r.engine.restarts >= 1 && r.phase == Phase::Serving).await;
    assert!(report.engine.last_exit.unwrap().contains("code 3"));
    // Another desired state replaces it.
    let ends = |text: &str| vec!["sh".to_owned(), "-c".to_owned(), format!("echo '{text}' >&2; exit 1")];
    for (command, code) in [
        (ends("CUDA out of memory"), "gpu_memory"),
        (ends("nothing that is known"), "engine_exits"),
        (vec!["/nowhere/engine".to_owned()], "wrong_arguments"),
    ] {
        put(&machine, desired(command)).await;
        let report =
            machine.until(|r| r.failure.as_ref().is_some_and(|f| f.code == code) && r.phase == Phase::Failed).await;
        assert!(!report.engine.running, "{code}");
        let (status, _) = machine.ask("/v1/chat/completions", "{}").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    put(&machine, desired(engine("pass"))).await;
    machine.until(serving).await;
    machine.stop().await;
}

#[tokio::test]
async fn a_model_that_stops_answering_is_told_at_once_and_again_when_it_answers() {
    let mut machine = Machine::new();
    machine.start();
    let gate = machine.at("gate");
    let fault = format!("while os.path.exists({:?}): time.sleep(0.05)", gate.display().to_string());
    put(&machine, desired(engine(&fault))).await;
    machine.until(serving).await;
    // A request begins the time anew in which nobody asks.
    machine.until(|r| r.idle_ms >= Some(1_000)).await;
    assert_eq!(machine.ask("/v1/chat/completions", "{}").await.0, StatusCode::OK);
    assert!(machine.report().await.idle_ms < Some(1_000));
    std::fs::write(&gate, "").unwrap();
    let report = machine.until(|r| r.phase == Phase::NotAnswering).await;
    assert_eq!(report.probe.unwrap().failures, 3);
    std::fs::remove_file(&gate).unwrap();
    machine.until(serving).await;
    machine.stop().await;
}

#[tokio::test]
async fn a_worker_that_drains_finishes_what_it_has_and_takes_nothing_new() {
    let mut machine = Machine::new();
    machine.start();
    let gate = machine.at("gate");
    let fault = format!(
        "time.sleep(0.02)\n        while b'slow' in body and os.path.exists({:?}): time.sleep(0.02)",
        gate.display().to_string()
    );
    put(&machine, desired(engine(&fault))).await;
    machine.until(serving).await;
    std::fs::write(&gate, "").unwrap();
    let mut client = machine.client();
    let slow = tokio::spawn(async move {
        let body = Bytes::from_static(b"{\"messages\": \"slow\"}");
        client.forward(Method::POST, "/v1/chat/completions", body, LIMIT).await.map(|r| r.status())
    });
    while machine.report().await.in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    machine.client().drain().await.unwrap();
    assert_eq!(machine.ask("/v1/chat/completions", "{}").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let report = machine.report().await;
    assert!(report.draining && report.in_flight == 1);
    assert_eq!(report.idle_ms, Some(0), "it is being asked");
    std::fs::remove_file(&gate).unwrap();
    assert_eq!(slow.await.unwrap().unwrap(), StatusCode::OK);
    machine.until(|r| r.in_flight == 0).await;
    machine.stop().await;
}
