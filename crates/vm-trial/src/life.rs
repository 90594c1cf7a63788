//! An instance as the product records it, and the calls to the worker on its machine.

use crate::machine::{Disk, Machine, Running};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use inventiv_core::cloud_config;
use inventiv_core::engine::{Engine, EngineKind, Serving};
use inventiv_core::id::{InstanceId, VolumeId};
use inventiv_core::offer::BootStorage;
use inventiv_core::recorded::{Aggregate, Instance, NewInstance, Spec, Volume};
use inventiv_core::status::Origin;
use inventiv_core::time::Timestamp;
use inventiv_core::worker::report::{Phase, Report};
use inventiv_core::worker::{Scratch, WorkerDesired};
use inventiv_providers::clouds::scaleway::profile;
use inventiv_worker_api::bootstrap;
use inventiv_worker_api::client::{ContactError, Responder, WorkerClient};
use inventiv_worker_api::message::DesiredRequest;
use inventiv_worker_api::tls::Authority;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take in an emulated machine.
const LIMIT: Duration = Duration::from_secs(600);
/// How an error begins that says that an engine ran all the time, and only the answer of its model is missing.
pub(crate) const TOO_SLOW: &str = "the model did not answer within ";
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The model that the stand-in engine answers for.
pub(crate) const MODEL: &str = "stand-in/model";

/// What the engine's command does before the engine starts: it writes a file if there is none, and tells what the disk
/// holds, where the engine listens, and what the user's own part of the user data wrote.
const COMMAND: &str = "if ! test -e /data/marker; then echo {life} > /data/marker; sync /data/marker; fi; \
     echo marker: $(cat /data/marker); echo disk: $(findmnt -n -o UUID,FSTYPE,LABEL --mountpoint /data); \
     echo user part: $(cat /etc/user-part 2>&1); \
     (sleep 8; echo listens: $(ss -H -l -t -n 'sport = :{port}')) & \
     exec /usr/local/bin/inventiv stand-in-engine --port {port} --model {model}";

/// What an instance serves.
pub(crate) struct Serves {
    /// The model.
    pub(crate) model: String,
    /// The kind of its engine.
    pub(crate) kind: EngineKind,
    /// The settings of its engine.
    pub(crate) serving: Serving,
    /// Secret environment variables of its engine.
    pub(crate) secrets: BTreeMap<String, String>,
}

impl Serves {
    /// The engine that stands in for a real one, as a command that also tells about its machine.
    pub(crate) fn stand_in(life: &str) -> Self {
        let command = ["sh".to_owned(), "-c".to_owned(), COMMAND.replace("{life}", life)].to_vec();
        let serving = Serving { command, ..Serving::default() };
        Self { model: MODEL.to_owned(), kind: EngineKind::Command, serving, secrets: BTreeMap::new() }
    }
}

/// The record of an instance with a data volume.
fn record(id: &InstanceId, life: &str, volume_id: &str, user_data: Option<&str>, serves: &Serves) -> Aggregate {
    let spec = Spec {
        data_volume: None,
        boot_volume_bytes: None,
        engine: Some(Engine { kind: serves.kind, context_tokens: 2_048 }),
        serving: Some(serves.serving.clone()),
        image: "debian".to_owned(),
        boot_storage: BootStorage::Block,
        warnings: Vec::new(),
        gpu_count: 0,
        tags: Vec::new(),
        ssh_keys: Vec::new(),
        user_data: user_data.map(str::to_owned),
        hourly_micros: 1,
        currency: "EUR".to_owned(),
        recovered_at: None,
        idle_ms: None,
        replica_of: None,
    };
    let new = NewInstance {
        id: id.clone(),
        name: life.to_owned(),
        account_id: "scaleway:trial".to_owned(),
        provider: "scaleway".to_owned(),
        zone: "fr-par-2".to_owned(),
        instance_type: "virtual-machine".to_owned(),
        model_id: Some(serves.model.clone()),
        spec,
    };
    let now = Timestamp(0);
    let found = Volume::found(VolumeId::new(uuid::Uuid::now_v7().as_u128()), volume_id.to_owned(), now);
    let volume = Volume { origin: Origin::Ours, ..found };
    Aggregate { instance: Instance::requested(new, now), servers: Vec::new(), volumes: vec![volume] }
}

/// An instance of the trial.
pub(crate) struct Life {
    /// Its id.
    pub(crate) id: String,
    record: Aggregate,
    secrets: BTreeMap<String, String>,
    pub(crate) machine: Machine,
    client: WorkerClient,
}

impl Life {
    /// An instance whose server was created, and not started yet.
    pub(crate) async fn new(
        authority: &Authority,
        places: (&Path, &Path),
        life: &str,
        disk: &Disk,
        (user_data, serves): (Option<&str>, Serves),
    ) -> Result<Self, String> {
        let (image, folder) = places;
        let id = InstanceId::new(uuid::Uuid::now_v7().as_u128());
        let record = record(&id, life, &disk.volume_id, user_data, &serves);
        let identity = authority.for_worker(id.as_str()).map_err(|e| e.to_string())?;
        let files = bootstrap::files(authority.certificate_pem(), &identity);
        let user_data = cloud_config::for_instance(&record, &profile(), Some(&files));
        let machine = Machine::new(image, folder.join(life), id.as_str(), &user_data).await?;
        let tls = authority.client_config().map_err(|e| e.to_string())?;
        let client = WorkerClient::new(HOST, machine.port, id.as_str(), tls);
        Ok(Self { id: id.as_str().to_owned(), record, secrets: serves.secrets, machine, client })
    }

    /// The client of the control plane.
    pub(crate) fn client(&mut self) -> &mut WorkerClient {
        &mut self.client
    }

    /// Tells the worker to serve the model, with this data volume.
    pub(crate) async fn want(&mut self, disk: &Disk) -> Result<(), String> {
        let mut desired = WorkerDesired::of(&self.record, &profile()).ok_or("the instance has no engine")?;
        (desired.data_device, desired.scratch) = (None, None);
        if disk.is_scratch {
            let size_bytes = i64::try_from(disk.size()?).map_err(|e| e.to_string())?;
            desired.scratch = Some(Scratch { volume_id: disk.volume_id.clone(), size_bytes });
        } else {
            desired.data_device = Some(profile().device_of(&disk.volume_id));
        }
        let request = DesiredRequest::new(desired, self.secrets.clone(), &[]);
        self.client.put_desired(&request).await.map_err(|e| e.to_string())
    }

    /// What responds now.
    pub(crate) async fn status(&mut self) -> Result<Responder, ContactError> {
        self.client.status(None, Duration::ZERO).await
    }

    /// Waits for the bootstrap program to respond.
    pub(crate) async fn until_bootstrap(&mut self, running: &mut Running) -> Result<(), String> {
        let began = Instant::now();
        loop {
            running.must_run()?;
            let answer = self.status().await;
            match answer {
                Ok(Responder::Bootstrap) => return Ok(()),
                Ok(Responder::Worker(_)) => return Err("a worker responded before its program was sent".to_owned()),
                Err(e) if began.elapsed() > LIMIT => return Err(format!("the bootstrap did not respond: {e}")),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Waits for a report that `fits`.
    pub(crate) async fn until(
        &mut self,
        running: &mut Running,
        what: &str,
        fits: impl Fn(&Report) -> bool,
    ) -> Result<Report, String> {
        let began = Instant::now();
        loop {
            running.must_run()?;
            let mut only_answer_missing = false;
            let last = match self.status().await {
                Ok(Responder::Worker(report)) if fits(&report) => return Ok(*report),
                Ok(Responder::Worker(report)) => {
                    only_answer_missing =
                        report.phase == Phase::EngineStart && report.engine.running && report.failure.is_none();
                    format!("{report:?}")
                }
                Ok(Responder::Bootstrap) => "the bootstrap program responds".to_owned(),
                Err(e) => e.to_string(),
            };
            if began.elapsed() > LIMIT {
                let begin = if only_answer_missing { TOO_SLOW } else { "not within " };
                return Err(format!("{begin}{} s: {what}; last: {last}", LIMIT.as_secs()));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Waits for the model to answer the worker.
    pub(crate) async fn until_serving(&mut self, running: &mut Running) -> Result<Report, String> {
        let report = self.until(running, "the model is served", |r| r.phase == Phase::Serving || r.failure.is_some());
        let report = report.await?;
        match &report.failure {
            None => Ok(report),
            Some(f) => {
                let lines = self.client.log(40).await.unwrap_or_default();
                let lines: String = lines.iter().map(|l| format!("\n  {:?} {}", l.source, l.text)).collect();
                Err(format!("{}: {}; its log:{lines}", f.code, f.message))
            }
        }
    }

    /// Waits for a line of the log that begins with `begin`; returns the rest of it.
    pub(crate) async fn line(&mut self, begin: &str) -> Result<String, String> {
        let began = Instant::now();
        loop {
            let lines = self.client.log(500).await.map_err(|e| e.to_string())?;
            if let Some(rest) = lines.iter().rev().find_map(|l| l.text.strip_prefix(begin)) {
                return Ok(rest.trim().to_owned());
            }
            if began.elapsed() > Duration::from_secs(60) {
                let all: String = lines.iter().map(|l| format!("  {:?} {}\n", l.source, l.text)).collect();
                return Err(format!("the log has no line `{begin}`:\n{all}"));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Sends a request through the worker; returns the status and the body.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: &str) -> Result<(u16, String), String> {
        let body = Bytes::from(body.to_owned());
        let answer = self.client.forward(method, path, body, LIMIT).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
