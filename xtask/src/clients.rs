//! `cargo xtask clients`: runs Scaleway's official clients against the emulator's executable, a client generated from
//! openapi.json against the control plane, and the official OpenAI client through the gateway.

use crate::{programs, root};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The emulator's executable on a free port, with its clock a hundred times faster.
struct Emulator {
    child: Child,
    url: String,
}

impl Emulator {
    /// `more`: more arguments.
    fn start(built: &Path, more: &[&str]) -> Result<Self, String> {
        let mut child = Command::new(built.join("scaleway-emulator"))
            .args(["--listen", "127.0.0.1:0", "--clock", "x100", "--seed", "1"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("scaleway-emulator: {e}"))?;
        let mut first = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut first).map_err(|e| e.to_string())?;
        }
        let url = first.split_whitespace().find(|w| w.starts_with("http://")).map(str::to_owned);
        match url {
            Some(url) => Ok(Self { child, url }),
            None => Err(format!("the emulator did not print its address: {first}")),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It holds no state worth saving, so a kill is enough.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the clients. Without Python, fails in CI and prints a line elsewhere.
pub(crate) fn run() -> Result<(), String> {
    let can = Command::new("python3").args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|s| s.success()) {
        let help = "python3 with its venv module is missing (Debian: apt-get install python3-venv)";
        if std::env::var_os("CI").is_some() {
            return Err(help.to_owned());
        }
        println!("skipped: {help}");
        return Ok(());
    }
    let target = programs::target();
    let sdk = python(&target, "clients-python", "crates/scaleway-emulator/clients/python/requirements.txt")?;
    let built = programs::build()?;
    let emulator = Emulator::start(&built, &[])?;
    for script in ["suite.py", "samples.py"] {
        official(&sdk, script, &emulator.url)?;
    }
    drop(emulator);
    generated(&target, &built)?;
    through_gateway(&target, &built)
}

/// Runs a script that uses the official SDK against the emulator.
fn official(sdk: &Path, script: &str, cloud: &str) -> Result<(), String> {
    let project = "11111111-1111-4111-8111-111111111111";
    let done = Command::new(sdk)
        .arg(root().join("crates/scaleway-emulator/clients/python").join(script))
        .env("SCW_API_URL", cloud)
        .env("SCW_ACCESS_KEY", "SCW00000000000000000")
        .env("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222")
        .env("SCW_DEFAULT_PROJECT_ID", project)
        .env("SCW_DEFAULT_ORGANIZATION_ID", project)
        .env("SCW_DEFAULT_ZONE", "fr-par-2")
        .env("SCW_DEFAULT_REGION", "fr-par")
        .status()
        .map_err(|e| format!("python: {e}"))?;
    if done.success() { Ok(()) } else { Err(format!("the Python SDK failed against the emulator: {script}")) }
}

/// A client generated from openapi.json runs one instance life cycle against the real control plane.
fn generated(target: &Path, built: &Path) -> Result<(), String> {
    let python = python(target, "clients-openapi", "crates/api/clients/python/requirements.txt")?;
    let document = root().join("openapi.json");
    succeed(Command::new(&python).args(["-m", "openapi_spec_validator"]).arg(&document))?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "post_hooks: []\n").map_err(|e| e.to_string())?;
    let generator = python.with_file_name("openapi-python-client");
    succeed(
        Command::new(generator)
            .args(["generate", "--meta", "none", "--fail-on-warning", "--path"])
            .arg(&document)
            .arg("--config")
            .arg(&config)
            .arg("--output-path")
            .arg(folder.path().join("inventiv_client")),
    )?;
    let emulator = Emulator::start(built, &[])?;
    let server = Server::start(built, &emulator.url, folder.path())?;
    succeed(
        Command::new(python)
            .arg(root().join("crates/api/clients/python/life.py"))
            .arg(&server.url)
            .arg(folder.path().join("token"))
            .arg(&document)
            .env("PYTHONPATH", folder.path()),
    )
}

/// The official OpenAI client asks models through the gateway; stand-ins answer.
fn through_gateway(target: &Path, built: &Path) -> Result<(), String> {
    let clients = "crates/gateway/clients/python";
    let python = python(target, "clients-openai", &format!("{clients}/requirements.txt"))?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let inventiv = built.join("inventiv");
    let emulator = Emulator::start(built, &["--boot", &format!("exec '{}' emulated-server", inventiv.display())])?;
    let server = Server::start(built, &emulator.url, folder.path())?;
    succeed(
        Command::new(python)
            .arg("-B")
            .arg(root().join(clients).join("through_gateway.py"))
            .args([inventiv.as_os_str(), server.url.as_ref()])
            .env("INVENTIV_URL", &server.url)
            .env("INVENTIV_TOKEN_FILE", folder.path().join("token")),
    )
}

/// `inventiv serve` on a free port.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(built: &Path, cloud: &str, folder: &Path) -> Result<Self, String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let address = listener.map_err(|e| e.to_string())?.to_string();
        let child = Command::new(built.join("inventiv"))
            .args(["serve", "--listen", &address, "--zones", "fr-par-2"])
            .arg("--database")
            .arg(format!("sqlite:{}", folder.join("clients.db").display()))
            .arg("--token-file")
            .arg(folder.join("token"))
            .env("SCW_API_URL", cloud)
            .env("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222")
            .env("SCW_DEFAULT_PROJECT_ID", "11111111-1111-4111-8111-111111111111")
            .env("INVENTIV_LOG", "warn")
            .spawn()
            .map_err(|e| format!("inventiv serve: {e}"))?;
        let server = Self { child, url: format!("http://{address}") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&address).is_err() {
            if Instant::now() > deadline {
                return Err("inventiv serve did not start to listen within 30 seconds".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its database is removed with the folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(e) => Err(format!("{command:?}: {e}")),
    }
}

/// The interpreter of a virtual environment with the given packages, created once for each list of packages.
fn python(target: &Path, name: &str, wanted: &str) -> Result<PathBuf, String> {
    let wanted = root().join(wanted);
    let wanted_text = std::fs::read_to_string(&wanted).map_err(|e| format!("{}: {e}", wanted.display()))?;
    let folder = target.join(name);
    let mark = folder.join("installed.txt");
    let python = folder.join("bin/python");
    if std::fs::read_to_string(&mark).is_ok_and(|text| text == wanted_text) {
        return Ok(python);
    }
    println!("making {} with {}", folder.display(), wanted_text.trim());
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    succeed(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&wanted),
    )?;
    std::fs::write(&mark, wanted_text).map_err(|e| format!("{}: {e}", mark.display()))?;
    Ok(python)
}
