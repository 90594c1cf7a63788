//! The workspace's programs, as tests and trials use them.

use crate::{cargo, root};
use std::path::PathBuf;
use std::process::Command;

/// The Cargo profile for tests and trials.
pub(crate) const PROFILE: &str = "trial";

/// Cargo's folder for what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Cargo, as it is when somebody types it.
///
/// Cargo tells xtask about its own package in variables. Some build scripts (ring's) run again when these change, and with
/// them everything that depends on their packages is compiled again.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new("cargo");
    let own = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|p| name.starts_with(p));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(own)) {
        command.env_remove(name);
    }
    command
}

/// Builds every program, and returns their folder.
///
/// Always the whole workspace with its tests: a build of one package selects other features of the dependencies, and
/// compiles them once more.
pub(crate) fn build() -> Result<PathBuf, String> {
    cargo(&["build", "--profile", PROFILE, "--quiet", "--workspace", "--bins", "--tests"])?;
    Ok(target().join(PROFILE))
}

/// Builds every program and runs one, in the caller's current directory: an argument may be a relative path.
pub(crate) fn start(name: &str, args: &[String], what: &str) -> Result<(), String> {
    let mut command = Command::new(build()?.join(name));
    let status = command.args(args).status().map_err(|e| format!("{command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed: {status}")) }
}
