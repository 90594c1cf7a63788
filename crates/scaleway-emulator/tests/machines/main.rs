//! Tests of machines: real processes that run while their servers do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod disks;
mod faults;
mod life;
mod program;

use bytes::Bytes;
use http::Request;
use scaleway_emulator::options::{ClockMode, Options};
use scaleway_emulator::{Boot, Emulator, Machines};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const INSTANCE: &str = "/instance/v1/zones/fr-par-2/servers";
const BLOCK: &str = "/block/v1/zones/fr-par-2/volumes";
const GB: u64 = 1_000_000_000;

/// Writes its number and how it was started, then a line every 10 ms until it is killed.
const SYSTEM: &str = r#"
    echo "$$" >> "$EMULATED_VM_DIR/pids"
    { echo "$EMULATED_VM_ID $EMULATED_VM_SERVER_TYPE $EMULATED_VM_ADDRESS"; cat "$EMULATED_VM_USER_DATA"; } > "$EMULATED_VM_DIR/new"
    mv "$EMULATED_VM_DIR/new" "$EMULATED_VM_DIR/booted"
    echo hello from the system
    while sleep 0.01; do echo . >> "$EMULATED_VM_DIR/beats"; done
"#;

/// An emulator whose servers run a command, on a clock that only the test moves.
struct Stage {
    emulator: Emulator,
    machines: Option<Machines>,
    folder: PathBuf,
}

impl Stage {
    fn new(command: &str) -> Self {
        Self::on(ClockMode::Manual, command)
    }

    fn on(clock: ClockMode, command: &str) -> Self {
        let emulator = Emulator::new(Options { clock, ..Options::default() });
        let machines = emulator.boot(&Boot { command: command.to_owned(), state_dir: None }).unwrap();
        let folder = machines.state_dir().to_owned();
        Self { emulator, machines: Some(machines), folder }
    }

    fn raw(&self, method: &str, path: &str, body: impl Into<Bytes>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("x-auth-token", "t").body(body.into());
        let answer = self.emulator.handle(&request.unwrap());
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
    }

    fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.raw(method, path, body.to_string());
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A stopped server.
    fn server(&self) -> String {
        let image = image(|path| self.ask("GET", path, Value::Null));
        let body = json!({"name": "s", "commercial_type": "PLAY2-PICO", "image": image});
        self.ask("POST", INSTANCE, body)["server"]["id"].as_str().unwrap().to_owned()
    }

    /// A server that runs, with its boot noticed.
    fn running(&self) -> String {
        let id = self.server();
        self.act(&id, "poweron");
        self.eventually("the system is up", || self.disk(&id).join("beats").exists());
        id
    }

    /// Lets an action complete.
    fn act(&self, id: &str, action: &str) {
        self.ask("POST", &format!("{INSTANCE}/{id}/action"), json!({"action": action}));
        self.emulator.advance_ms(120_000);
    }

    fn order(&self, id: &str, action: &str) {
        self.ask("POST", &format!("/_emulator/servers/{id}/vm"), json!({"action": action}));
    }

    fn show(&self, id: &str) -> Value {
        self.ask("GET", &format!("{INSTANCE}/{id}"), Value::Null)["server"].clone()
    }

    fn volume(&self, gb: u64) -> String {
        let made = self.ask("POST", BLOCK, json!({"name": "v", "from_empty": {"size": gb * GB}}));
        self.emulator.advance_ms(10_000);
        made["id"].as_str().unwrap().to_owned()
    }

    fn attach(&self, id: &str, volume: &str) {
        self.ask("POST", &format!("{INSTANCE}/{id}/attach-volume"), json!({"volume_id": volume}));
        self.emulator.advance_ms(10_000);
    }

    fn detach(&self, id: &str, volume: &str) {
        self.ask("POST", &format!("{INSTANCE}/{id}/detach-volume"), json!({"volume_id": volume}));
        self.emulator.advance_ms(100_000);
    }

    /// A server's folder.
    fn disk(&self, id: &str) -> PathBuf {
        self.folder.join("servers").join(id)
    }

    /// The process numbers of all boots of a server.
    fn pids(&self, id: &str) -> Vec<String> {
        read(&self.disk(id).join("pids")).lines().map(str::to_owned).collect()
    }

    fn beats(&self, id: &str) -> usize {
        read(&self.disk(id).join("beats")).len()
    }

    fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < until, "not within 20 s: {what}\n{}", self.emulator.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The id of an image for the servers of these tests.
fn image(get: impl Fn(&str) -> Value) -> Value {
    let list = get("/marketplace/v2/local-images?image_label=ubuntu_noble&zone=fr-par-2&type=instance_sbs");
    let fits = |i: &&Value| i["compatible_commercial_types"].as_array().unwrap().contains(&json!("PLAY2-PICO"));
    list["local_images"].as_array().unwrap().iter().find(fits).unwrap()["id"].clone()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Whether a process exists and is no zombie.
fn runs(pid: &str) -> bool {
    let stat = read(&Path::new("/proc").join(pid).join("stat"));
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The processes of a group that exist and are no zombies.
fn group_of(pid: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().into_string().ok()).filter(|n| n.parse::<u32>().is_ok());
    let in_group = |n: &String| {
        let stat = read(&Path::new("/proc").join(n).join("stat"));
        // After the name: state, parent, group.
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.split_whitespace().nth(2) == Some(pid)) && runs(n)
    };
    pids.filter(in_group).count()
}
