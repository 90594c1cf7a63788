//! `cargo xtask clients`: runs Scaleway's official clients against the emulator's executable, a client generated from
//! openapi.json against the control plane, and the official OpenAI clients and LiteLLM through the gateway.

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

/// The official OpenAI clients for Python and JavaScript, and LiteLLM as a client, ask models through the gateway;
/// stand-ins answer.
fn through_gateway(target: &Path, built: &Path) -> Result<(), String> {
    let clients = root().join("crates/gateway/clients");
    let python = python(target, "clients-openai", "crates/gateway/clients/python/requirements.txt")?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let inventiv = built.join("inventiv");
    let emulator = Emulator::start(built, &["--boot", &format!("exec '{}' emulated-server", inventiv.display())])?;
    let server = Server::start(built, &emulator.url, folder.path())?;
    let ask = |command: &mut Command| {
        let command = command.args([inventiv.as_os_str(), server.url.as_ref()]);
        succeed(command.env("INVENTIV_URL", &server.url).env("INVENTIV_TOKEN_FILE", folder.path().join("token")))
    };
    // The first one creates the service that the others use.
    for script in ["through_gateway.py", "through_litellm.py"] {
        ask(Command::new(&python).arg("-B").arg(clients.join("python").join(script)))?;
    }
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if has_node {
        let package = javascript(target, &clients.join("javascript/openai.txt"))?;
        return ask(Command::new("node").arg(clients.join("javascript/through_gateway.mjs")).arg(package));
    }
    let help = "node is missing (Debian: apt-get install nodejs)";
    if std::env::var_os("CI").is_some() {
        return Err(help.to_owned());
    }
    println!("skipped: the client for JavaScript: {help}");
    Ok(())
}

/// The folder of a package without dependencies, downloaded once and checked. `wanted` has its address and its SHA-512.
fn javascript(target: &Path, wanted: &Path) -> Result<PathBuf, String> {
    let text = std::fs::read_to_string(wanted).map_err(|e| format!("{}: {e}", wanted.display()))?;
    let (address, sum) = text.trim().split_once(' ').ok_or_else(|| format!("{}: no checksum", wanted.display()))?;
    let folder = target.join("clients-javascript");
    let mark = folder.join("installed.txt");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == text) {
        return Ok(folder.join("package"));
    }
    println!("downloading {address}");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let archive = folder.join("package.tgz");
    succeed(Command::new("curl").args(["-sSf", "--retry", "3", "--max-time", "300", "-o"]).arg(&archive).arg(address))?;
    let summed = Command::new("sha512sum").arg(&archive).output().map_err(|e| format!("sha512sum: {e}"))?;
    if String::from_utf8_lossy(&summed.stdout).split_whitespace().next() != Some(sum) {
        return Err(format!("{address} does not have the checksum in {}", wanted.display()));
    }
    succeed(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&folder))?;
    std::fs::write(&mark, &text).map_err(|e| format!("{}: {e}", mark.display()))?;
    Ok(folder.join("package"))
}

/// The executable of the LiteLLM proxy, for the bench; `None`: it cannot be installed.
pub(crate) fn litellm(target: &Path) -> Option<PathBuf> {
    let wanted = "crates/testkit/benches/control_plane/gateway/requirements.txt";
    python(target, "bench-litellm", wanted)
        .map(|p| p.with_file_name("litellm"))
        .map_err(|e| println!("skipped: {e}"))
        .ok()
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
