//! The files of a worker: its desired state without secrets, and secrets in memory.

use crate::config::Config;
use crate::failure::StepFailure;
use inventiv_worker_api::message::DesiredRequest;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

fn desired_file(config: &Config) -> PathBuf {
    config.state.join("desired.json")
}

/// Keeps a desired state without its secrets, so that the worker takes it up after a reboot.
pub(crate) fn keep_desired(config: &Config, request: &DesiredRequest) -> Result<(), StepFailure> {
    let kept = DesiredRequest { secret_env: BTreeMap::new(), ..request.clone() };
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    let (file, new) = (desired_file(config), config.state.join("desired.json.new"));
    let write = || {
        make_folder(&config.state)?;
        let mut written = private_file(&new)?;
        written.write_all(&text)?;
        // Without this, a reset within half a minute leaves an empty file.
        written.sync_all()?;
        fs::rename(&new, &file)?;
        sync_folder(&config.state)
    };
    write().map_err(|e| StepFailure::passing("disk", format!("cannot write {}: {e}", file.display())))
}

/// The desired state of the time before a restart.
pub(crate) fn read_desired(config: &Config) -> Option<DesiredRequest> {
    serde_json::from_slice(&fs::read(desired_file(config)).ok()?).ok()
}

/// Writes the environment of a container into memory; the file is only for this user, and goes when it is dropped.
pub(crate) fn env_file(config: &Config, env: &BTreeMap<String, String>) -> Result<EnvFile, StepFailure> {
    let path = config.run.join("engine.env");
    let text: String = env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let write = || {
        make_folder(&config.run)?;
        private_file(&path)?.write_all(text.as_bytes())
    };
    write().map_err(|e| StepFailure::passing("disk", format!("cannot write {}: {e}", path.display())))?;
    Ok(EnvFile { path })
}

/// Writes an empty file.
pub(crate) fn write_note(path: &Path) -> std::io::Result<()> {
    make_folder(path.parent().unwrap_or(Path::new("/")))?;
    fs::write(path, "")
}

/// A file that goes when it is dropped.
pub(crate) struct EnvFile {
    pub(crate) path: PathBuf,
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes changes of names in a folder survive a loss of power.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn private_file(path: &Path) -> std::io::Result<fs::File> {
    // An older file may have other permissions.
    let _ = fs::remove_file(path);
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
