//! `cargo xtask browser`: walks through the console in a real Chromium, against an emulated cloud.
//!
//! The driver comes from the Python package index, the browser from Debian. Where they cannot be had, the walk is skipped,
//! unless `--require` is given.

use crate::vm::{is_root, is_there, quietly};
use crate::{USAGE, programs, root, run as succeed};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of the browser.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The picture in the documentation.
const PICTURE: &str = "docs/console.png";

/// Runs the walk.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut is_required, mut keeps_picture) = (false, false);
    for arg in args {
        match arg.as_str() {
            "--require" => is_required = true,
            "--picture" => keeps_picture = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let target = programs::target();
    let prepared = browser().and_then(|browser| Ok((browser, python(&target.join("browser-python"))?)));
    let (browser, python) = match prepared {
        Ok(prepared) => prepared,
        Err(why) if is_required => return Err(why),
        Err(why) => {
            println!("skipped: the walk in a browser: {why}");
            return Ok(());
        }
    };
    let built = programs::build()?;
    let pictures = target.join("browser");
    let mut walk = Command::new(python);
    walk.arg("-B").arg(folder().join("walk.py")).args([&built, &pictures]).arg(browser);
    succeed(&mut walk)?;
    println!("pictures of every page: {}", pictures.display());
    if keeps_picture {
        let (from, to) = (pictures.join("console.png"), root().join(PICTURE));
        std::fs::copy(&from, &to).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("crates/console/browser")
}

/// The browser, installed if that is possible.
fn browser() -> Result<&'static str, String> {
    let found =
        || BROWSERS.into_iter().find(|name| is_there(name) && quietly(Command::new(name).arg("--version")).is_ok());
    if let Some(browser) = found() {
        return Ok(browser);
    }
    if !is_root() || !is_there("apt-get") {
        return Err("there is no Chromium (Debian: apt-get install chromium)".to_owned());
    }
    println!("installing chromium with apt-get");
    quietly(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]);
    quietly(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    found().ok_or_else(|| "there is no Chromium after its installation".to_owned())
}

/// The interpreter of a virtual environment with the driver, made once for each list of packages.
fn python(venv: &Path) -> Result<PathBuf, String> {
    let list = folder().join("requirements.txt");
    let wanted = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let (mark, python) = (venv.join("installed.txt"), venv.join("bin/python"));
    let works = || quietly(Command::new(&python).args(["-c", "import playwright, axe_playwright_python"])).is_ok();
    if std::fs::read_to_string(&mark).is_ok_and(|text| text == wanted) && works() {
        return Ok(python);
    }
    println!("making {} with {}", venv.display(), wanted.split_whitespace().collect::<Vec<_>>().join(" "));
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    quietly(pip.arg(&list))?;
    std::fs::write(&mark, wanted).map_err(|e| format!("{}: {e}", mark.display()))?;
    Ok(python)
}
