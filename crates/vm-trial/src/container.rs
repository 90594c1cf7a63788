//! The third life: a real engine, llama.cpp's server, in a container, with a real model.
//!
//! Docker comes from Debian, the image from a real registry on the host, the model from a stand-in for the hub.

use crate::life::{Life, Serves, TOO_SLOW};
use crate::machine::Disk;
use crate::steps::{Trial, expect, mounted_only, step_text};
use http::Method;
use inventiv_core::engine::{EngineKind, Serving};
use inventiv_core::worker::report::{Phase, Report, StepKind};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// This host, as its virtual machines reach it, and another name of it in the third life's machine.
const HOST: &str = "10.0.2.2";
const OTHER_HOST: &str = "files.hub.test";
/// The model of the stand-in for the hub, and its token there.
const MODEL: &str = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1";
const TOKEN: &str = "hf_standin";
/// The image, the model, and the 2 GB that a download leaves free.
const SIZE: u64 = 4 << 30;
const LIFE: &str = "third-life";
/// Writes to the console, again and again: Docker's folder, what it keeps elsewhere, containers and listeners.
const WATCH: &str = "#cloud-config\nwrite_files:\n  - path: /usr/local/sbin/watch-docker\n    permissions: \"0755\"\n    \
    content: |\n      #!/bin/sh\n      while sleep 5; do\n        echo \"seen: root $(docker info -f '{{.DockerRootDir}}') \
    images $(docker images -q | wc -l) elsewhere $(ls /var/lib/docker/image/overlay2/imagedb/content/sha256 2>/dev/null | \
    wc -l) containers $(docker ps -q | wc -l) \
    runs $(pgrep -c -f '^docker run') token $(cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -v '^grep' | \
    grep -c '^.*hf_[s]tandin') listens $(ss -H -l -t -n | grep -v -c -e 127.0.0 -e :8443)\" > /dev/ttyS0\n      done\n\
    runcmd:\n  - echo 10.0.2.2 files.hub.test >> /etc/hosts\n  - systemd-run --collect /usr/local/sbin/watch-docker\n";

/// Where the engine is.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The settings of a registry that has the image.
    pub(crate) registry: PathBuf,
    /// A Python interpreter, the stand-in for the hub, and the model's file.
    pub(crate) hub: [PathBuf; 3],
}

/// The registry and the hub, as long as this lives.
struct Served {
    _registry: Child,
    hub: Child,
    registry_port: u16,
    hub_port: u16,
}

impl Places {
    async fn serve(&self) -> Result<Served, String> {
        let registry_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
        let registry_port = registry_port.map_err(|e| e.to_string())?.port();
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(&self.registry)
            .env("REGISTRY_HTTP_ADDR", format!("127.0.0.1:{registry_port}"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("docker-registry: {e}"))?;
        let [python, program, weights] = &self.hub;
        let mut hub = Command::new(python)
            .arg("-B")
            .args([program, weights])
            .arg(OTHER_HOST)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{}: {e}", python.display()))?;
        let output = hub.stdout.take().ok_or("the stand-in for the hub has no output")?;
        let line = BufReader::new(output).lines().next_line().await.map_err(|e| e.to_string())?.unwrap_or_default();
        let hub_port = line.parse().map_err(|_| format!("the stand-in for the hub did not start: {line}"))?;
        Ok(Served { _registry: registry, hub, registry_port, hub_port })
    }
}

impl Served {
    /// Ends the stand-in for the hub, which fails if it saw something that it must not see.
    async fn end(mut self) -> Result<(), String> {
        drop(self.hub.stdin.take());
        let status = self.hub.wait().await.map_err(|e| e.to_string())?;
        expect(status.success(), || format!("the stand-in for the hub complains, see above ({status})"))
    }
}

fn serves(served: &Served) -> Serves {
    let serving = Serving {
        image: Some(format!("{HOST}:{}/trial/llama-cpp:1", served.registry_port)),
        env: BTreeMap::from([("HF_ENDPOINT".to_owned(), format!("http://{HOST}:{}", served.hub_port))]),
        ..Serving::default()
    };
    let secrets = BTreeMap::from([("HF_TOKEN".to_owned(), TOKEN.to_owned())]);
    Serves { model: MODEL.to_owned(), kind: EngineKind::Llamacpp, serving, secrets }
}

impl Trial {
    /// An image that is pulled to a scratch disk, a model that is downloaded, an answer, and the same after a reset.
    pub(crate) async fn third_life(&mut self, engine: &Places) -> Result<(), String> {
        let served = engine.serve().await?;
        let lived = self.life_with(&served).await;
        if lived.as_ref().is_err_and(|e| !e.starts_with(TOO_SLOW)) {
            return lived;
        }
        // What the hub saw is wrong on a slow host, too.
        served.end().await?;
        lived?;
        self.done("powered off; the hub's token went to no other host");
        Ok(())
    }

    async fn life_with(&mut self, served: &Served) -> Result<(), String> {
        let data = Disk { is_scratch: true, ..Disk::blank(&self.places.run, SIZE)? };
        let mut life = self.life_of(LIFE, &data, (Some(WATCH), serves(served))).await?;
        life.machine = life.machine.clone().with_docker();
        let mut running = life.machine.start(std::slice::from_ref(&data))?;
        life.until_bootstrap(&mut running).await?;
        self.install(&mut life).await?;
        life.until(&mut running, "the worker responds", |r| r.phase == Phase::Waiting).await?;
        self.done("an instance whose image starts Docker at boot: the worker responds");

        life.want(&data).await?;
        let report = life.until_serving(&mut running).await?;
        let scratch = step_text(&report, StepKind::DataVolume)?;
        expect(scratch == "scratch disk: was empty and is formatted; mounted at /data", || {
            format!("scratch: {scratch}")
        })?;
        let (image, model) = (step_text(&report, StepKind::EngineImage)?, step_text(&report, StepKind::ModelDownload)?);
        expect(image.ends_with("was fetched"), || format!("image: {image}"))?;
        self.done(&format!("a container of llama.cpp's server serves a real model: {image}; {model}"));
        self.real_answer(&mut life).await?;
        seen(&life, "seen: root /data/docker images 1 elsewhere 0 containers 1 runs 1 token 0 listens 0").await?;
        self.done(
            "Docker keeps its images on the scratch disk; the token is no argument; only the worker's port is open",
        );

        running.reset().await?;
        let before = report.run_id;
        let back = |r: &Report| r.run_id != before && (r.phase == Phase::Serving || r.failure.is_some());
        let report = life.until(&mut running, "the worker is back", back).await?;
        mounted_only(&report, "scratch disk: ")?;
        let image = step_text(&report, StepKind::EngineImage)?;
        expect(image.ends_with("is there already"), || format!("image after a reset: {image}"))?;
        // It serves because the model has answered its worker: on an emulated processor, one more answer takes two minutes.
        self.done(&format!("reset without warning: the container of before is replaced; {image}; it serves again"));
        running.power_off().await
    }

    /// A question, to which nobody knows the answer in advance. It begins like the worker's own, which the engine remembers: on
    /// an emulated processor, each token that is new takes many seconds.
    async fn real_answer(&mut self, life: &mut Life) -> Result<(), String> {
        let question = r#"[{"role": "user", "content": "Hi"}]"#;
        let body = format!(r#"{{"model": "{MODEL}", "messages": {question}, "max_tokens": 2}}"#);
        let (status, answer) = life.ask(Method::POST, "/v1/chat/completions", &body).await?;
        let read: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let text = read["choices"][0]["message"]["content"].as_str().unwrap_or_default().trim().to_owned();
        expect(status == 200 && !text.is_empty(), || format!("the model answered {status}: {answer}"))?;
        self.done(&format!("it answers: {text:?}"));
        Ok(())
    }
}

/// Waits for a line on the console.
async fn seen(life: &Life, line: &str) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let console = life.machine.whole_console();
        if console.contains(line) {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(180) {
            let last = console.lines().rev().find(|l| l.contains("seen:")).unwrap_or_default();
            return Err(format!("the console does not show `{line}`; last: `{last}`"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
