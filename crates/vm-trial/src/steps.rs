//! The steps of the trial, in order. Each prints one line when it has succeeded.

use crate::life::{Life, MODEL, Serves};
use crate::machine::{Disk, Machine, must, sha256};
use http::Method;
use inventiv_core::worker::report::{Phase, Report, StepKind};
use inventiv_worker_api::client::{Binary, ContactError, Responder, WorkerClient};
use inventiv_worker_api::tls::{Authority, client_config};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::process::Command;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 256 * MIB;
const GROWN: u64 = 512 * MIB;
const FIRST: &str = "first-life";
const SECOND: &str = "second-life";
/// A user's own part of the user data, for the second life: the product sends both as a MIME archive.
const USER_PART: &str = "#cloud-config\nwrite_files:\n  - path: /etc/user-part\n    content: \"written\\n\"\nruncmd:\n  - \
                         \"echo and run >> /etc/user-part\"\n";

/// Where the trial finds and keeps its files.
pub(crate) struct Places {
    /// The folder with the image of the machines.
    pub(crate) image: PathBuf,
    /// The worker's program.
    pub(crate) program: PathBuf,
    /// The folder of this run.
    pub(crate) run: PathBuf,
}

/// The trial, as far as it is.
pub(crate) struct Trial {
    pub(crate) places: Places,
    authority: Authority,
    began: Instant,
    step_began: Instant,
    /// The machine that was started last.
    pub(crate) machine: Option<Machine>,
}

impl Trial {
    pub(crate) fn new(places: Places) -> Result<Self, String> {
        let authority = Authority::create().map_err(|e| e.to_string())?;
        let now = Instant::now();
        Ok(Self { places, authority, began: now, step_began: now, machine: None })
    }

    pub(crate) fn done(&mut self, what: &str) {
        let (step, all) = (self.step_began.elapsed().as_secs_f32(), self.began.elapsed().as_secs_f32());
        println!("{all:5.0} s (+{step:.0}) {what}");
        self.step_began = Instant::now();
    }

    /// Runs the steps of the first two lives.
    pub(crate) async fn run(&mut self) -> Result<(), String> {
        let mut data = Disk::blank(&self.places.run, SIZE)?;
        let filesystem = self.first_life(&mut data).await?;
        self.second_life(&data, &filesystem).await
    }

    async fn life(&mut self, name: &str, disk: &Disk, user_data: Option<&str>) -> Result<Life, String> {
        self.life_of(name, disk, (user_data, Serves::stand_in(name))).await
    }

    pub(crate) async fn life_of(
        &mut self,
        name: &str,
        disk: &Disk,
        about: (Option<&str>, Serves),
    ) -> Result<Life, String> {
        let life = Life::new(&self.authority, (&self.places.image, &self.places.run), name, disk, about).await?;
        self.machine = Some(life.machine.clone());
        Ok(life)
    }

    /// A blank disk, a reset, and a volume that grew. Returns the id, kind and label of its file system.
    async fn first_life(&mut self, data: &mut Disk) -> Result<String, String> {
        let mut life = self.life(FIRST, data, None).await?;
        let mut running = life.machine.start(std::slice::from_ref(data))?;
        self.done("the user data is on its seed, and the machine is started with a blank data volume");

        life.until_bootstrap(&mut running).await?;
        self.done("booted: cloud-init wrote the files, and the bootstrap program completed a handshake");
        let refused = self.impostors(&life).await?;
        self.done(&format!("the bootstrap program refuses {refused}"));

        self.install(&mut life).await?;
        let report = life.until(&mut running, "the worker responds", |r| r.phase == Phase::Waiting).await?;
        self.done(&format!("the program was sent and checked, and the worker {} responds", report.version));

        life.want(data).await?;
        let report = life.until_serving(&mut running).await?;
        let told = step_text(&report, StepKind::DataVolume)?;
        expect(told == "was empty and is formatted; mounted at /data", || format!("data volume: {told}"))?;
        let filesystem = self.on_disk(&mut life, FIRST).await?;
        self.done(&format!("serving: the data volume {told} ({filesystem})"));

        running.reset().await?;
        let before = report.run_id;
        let report =
            life.until(&mut running, "the worker is back", |r| r.run_id != before && r.phase == Phase::Serving);
        let report = report.await?;
        mounted_only(&report, "")?;
        let same = self.on_disk(&mut life, FIRST).await?;
        expect(same == filesystem, || format!("the file system was {filesystem} and is {same}"))?;
        self.done(
            "reset without warning right then: worker, desired state, disk and marker are back, nothing was sent again",
        );

        answers(&mut life).await?;
        closed(&mut life).await?;
        let listens = life.line("listens:").await?;
        let address = listens.split_whitespace().nth(3).unwrap_or_default();
        let only = listens.matches("LISTEN").count() == 1 && address.starts_with("127.0.0.1:");
        expect(only, || format!("the engine listens on: {listens}"))?;
        let refused = self.impostors(&life).await?;
        self.done(&format!(
            "a question is answered; /invocations, /pause: 404; the engine listens on {address} only; {refused} refused"
        ));

        let report = life.until(&mut running, "the file system is measured", |r| size_of_data(r).is_some()).await?;
        let old = size_of_data(&report);
        expect(fits(old, SIZE), || format!("the report says that the data volume has {} MiB", mib(old)))?;
        running.power_off().await?;
        self.done("powered off by its power button");
        self.grown(&mut life, data, &filesystem, old).await?;
        Ok(filesystem)
    }

    /// The volume grows while its machine is off.
    async fn grown(&mut self, life: &mut Life, data: &Disk, filesystem: &str, old: Option<i64>) -> Result<(), String> {
        data.resize(GROWN)?;
        let mut running = life.machine.start(std::slice::from_ref(data))?;
        life.until_serving(&mut running).await?;
        let report = life.until(&mut running, "the file system is measured", |r| size_of_data(r).is_some()).await?;
        mounted_only(&report, "")?;
        let new = size_of_data(&report);
        expect(fits(new, GROWN), || format!("the report says that the data volume has {} MiB", mib(new)))?;
        expect(self.on_disk(life, FIRST).await? == filesystem, || "another file system".to_owned())?;
        self.done(&format!(
            "volume grown from {} to {} MiB: file system from {} to {} MiB, marker kept",
            SIZE / MIB,
            GROWN / MIB,
            mib(old),
            mib(new)
        ));
        running.power_off().await?;
        self.done("powered off");
        Ok(())
    }

    /// Another instance gets the retained volume, and then one that holds something else.
    async fn second_life(&mut self, data: &Disk, filesystem: &str) -> Result<(), String> {
        let foreign = Disk::blank(&self.places.run, 64 * MIB)?;
        must(Command::new("mkfs.ext4").args(["-q", "-F", "-L", "photos"]).arg(&foreign.file)).await?;
        let before = foreign.sha256()?;
        let mut life = self.life(SECOND, data, Some(USER_PART)).await?;
        let mut running = life.machine.start(&[data.clone(), foreign.clone()])?;
        life.until_bootstrap(&mut running).await?;
        self.install(&mut life).await?;
        life.until(&mut running, "the worker responds", |r| r.phase == Phase::Waiting).await?;
        self.done(
            "another instance with a new boot disk and certificate, and the retained volume: the worker responds",
        );

        life.want(data).await?;
        let report = life.until_serving(&mut running).await?;
        mounted_only(&report, "")?;
        let same = self.on_disk(&mut life, FIRST).await?;
        expect(same == filesystem, || format!("the file system was {filesystem} and is {same}"))?;
        let user = life.line("user part:").await?;
        expect(user == "written and run", || format!("the user's part of the user data wrote: {user}"))?;
        answers(&mut life).await?;
        self.done(
            "the retained volume still holds the marker of the first life; the user's part of the user data ran, too",
        );

        life.want(&foreign).await?;
        let report = life.until(&mut running, "the foreign disk is refused", |r| r.phase == Phase::Failed).await?;
        let failure = report.failure.ok_or("a failed worker tells no failure")?;
        expect(failure.code == "data_volume_refused", || format!("{}: {}", failure.code, failure.message))?;
        running.power_off().await?;
        expect(foreign.sha256()? == before, || "the foreign disk was changed".to_owned())?;
        self.done("a disk with somebody's ext4 is refused (data_volume_refused), and none of its bytes changed");
        Ok(())
    }

    pub(crate) async fn install(&self, life: &mut Life) -> Result<(), String> {
        let path = self.places.program.clone();
        let length = std::fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.len();
        let binary = Binary { sha256: sha256(&path)?, path, length };
        life.client().install(&binary).await.map_err(|e| format!("the program was not installed: {e}"))
    }

    /// Clients that must not get in, while the right one does; returns who was refused.
    async fn impostors(&self, life: &Life) -> Result<&'static str, String> {
        let text = |e: inventiv_worker_api::tls::TlsError| e.to_string();
        let ours = self.authority.certificate_pem();
        let other = Authority::create().map_err(text)?.for_control_plane().map_err(text)?;
        let worker = self.authority.for_worker(&life.id).map_err(text)?;
        let cases = [
            ("no certificate", client_config(ours, None), life.id.as_str()),
            ("a certificate of another authority", client_config(ours, Some(&other)), life.id.as_str()),
            ("the certificate of a worker", client_config(ours, Some(&worker)), life.id.as_str()),
            ("the id of another instance", self.authority.client_config(), "ins-another"),
        ];
        for (who, tls, name) in cases {
            let tls = tls.map_err(text)?;
            let mut client = WorkerClient::new(IpAddr::V4(Ipv4Addr::LOCALHOST), life.machine.port, name, tls);
            let answer = client.status(None, Duration::ZERO).await;
            // A refusal in words, or an answer, would mean that the handshake was completed.
            if !matches!(&answer, Err(ContactError::NotTheWorker(_) | ContactError::Unreachable(_))) {
                return Err(format!("a client with {who} got an answer: {answer:?}"));
            }
        }
        let tls = self.authority.client_config().map_err(text)?;
        let mut right = WorkerClient::new(IpAddr::V4(Ipv4Addr::LOCALHOST), life.machine.port, &life.id, tls);
        right.status(None, Duration::ZERO).await.map_err(|e| format!("the right client was refused: {e}"))?;
        Ok("no certificate, another authority's, a worker's, and another instance's name")
    }

    /// The file system with the marker of this life on the data volume.
    async fn on_disk(&self, life: &mut Life, marker: &str) -> Result<String, String> {
        let found = life.line("marker:").await?;
        expect(found == marker, || format!("the marker on the data volume is `{found}`, not `{marker}`"))?;
        life.line("disk:").await
    }
}

pub(crate) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

pub(crate) fn step_text(report: &Report, kind: StepKind) -> Result<String, String> {
    let step = report.steps.iter().rev().find(|s| s.kind == kind && s.succeeded);
    step.map(|s| s.text.clone()).ok_or_else(|| format!("no step {kind:?} has succeeded: {:?}", report.steps))
}

/// The data volume, or what its text begins with, was mounted and not formatted.
pub(crate) fn mounted_only(report: &Report, begin: &str) -> Result<(), String> {
    let told = step_text(report, StepKind::DataVolume)?;
    expect(told == format!("{begin}mounted at /data"), || format!("data volume: {told}"))
}

fn size_of_data(report: &Report) -> Option<i64> {
    report.disks.iter().find(|d| d.mounted_at == "/data").map(|d| d.total_bytes)
}

/// Whether a file system has the size of its device, less what it needs for itself.
fn fits(bytes: Option<i64>, device: u64) -> bool {
    bytes.and_then(|b| u64::try_from(b).ok()).is_some_and(|b| b <= device && b > device / 10 * 8)
}

fn mib(bytes: Option<i64>) -> i64 {
    bytes.unwrap_or_default() >> 20
}

async fn answers(life: &mut Life) -> Result<(), String> {
    let body = format!(r#"{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hello"}}]}}"#);
    let (status, answer) = life.ask(Method::POST, "/v1/chat/completions", &body).await?;
    expect(status == 200 && answer.contains("You asked: Hello"), || format!("the model answered {status}: {answer}"))
}

/// Paths of engines that stay closed.
async fn closed(life: &mut Life) -> Result<(), String> {
    for path in ["/invocations", "/pause"] {
        let (status, answer) = life.ask(Method::POST, path, "{}").await?;
        expect(status == 404, || format!("{path} answers {status}: {answer}"))?;
    }
    match life.status().await {
        Ok(Responder::Worker(_)) => Ok(()),
        other => Err(format!("the worker is not there any more: {other:?}")),
    }
}
