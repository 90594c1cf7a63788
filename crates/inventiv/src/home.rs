//! The state folder of the control plane, and its token.

use crate::failure::Failure;
use inventiv_keyring::Keyring;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The state folder: `$XDG_STATE_HOME/inventiv`, else `~/.local/state/inventiv`.
pub(crate) fn state_folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".local/state")));
    let base = base
        .ok_or_else(|| Failure::general("neither XDG_STATE_HOME nor HOME is set: give --database and --token-file"))?;
    Ok(base.join("inventiv"))
}

/// The database: the given one, or a SQLite file in the state folder.
pub(crate) fn database(named: Option<String>) -> Result<String, Failure> {
    if let Some(url) = named {
        return Ok(url);
    }
    let folder = state_folder()?;
    make_folder(&folder)?;
    Ok(format!("sqlite:{}", folder.join("inventiv.db").display()))
}

/// A database's address for logs: without user, password and settings.
pub(crate) fn described(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

/// The token file: the given one, or one in the state folder.
pub(crate) fn token_file(named: Option<&Path>) -> Result<PathBuf, Failure> {
    named.map_or_else(|| state_folder().map(|f| f.join("token")), |p| Ok(p.to_owned()))
}

/// The key file: the given one, or one beside the token file.
pub(crate) fn key_file(named: Option<&Path>, token: Option<&Path>) -> Result<PathBuf, Failure> {
    named.map_or_else(|| token_file(token).map(|t| t.with_file_name("key")), |p| Ok(p.to_owned()))
}

/// Reads the key file, or creates one that only this user can read.
pub(crate) fn keyring(path: &Path) -> Result<Keyring, Failure> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    Keyring::read_or_create(path).map_err(|e| Failure::general(e.to_string()))
}

/// Reads the token of the control plane.
pub(crate) fn read_token(path: &Path) -> Result<String, Failure> {
    let mode = std::fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode & 0o077 != 0
    {
        let text = format!(
            "others can read or write the token file {path} (mode {mode:04o}): run `chmod 600 {path}`",
            path = path.display()
        );
        return Err(Failure::general(text));
    }
    let text = std::fs::read_to_string(path).map_err(|e| {
        let text = format!(
            "cannot read the token file {}: {e}; start `inventiv serve`, or set INVENTIV_TOKEN",
            path.display()
        );
        Failure::general(text)
    })?;
    let token = text.trim().to_owned();
    if token.len() < 16 || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let text = format!("{} holds no token: delete it; `inventiv serve` then creates a new one", path.display());
        return Err(Failure::general(text));
    }
    Ok(token)
}

/// Reads the token, or creates one that only this user can read.
pub(crate) fn token(path: &Path) -> Result<String, Failure> {
    if path.exists() {
        return read_token(path);
    }
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{token}\n").as_bytes()));
    match written {
        Ok(()) => Ok(token),
        // Another process was faster.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => read_token(path),
        Err(e) => Err(Failure::general(format!("cannot write the token file {}: {e}", path.display()))),
    }
}

/// Creates a folder that only this user can read.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| Failure::general(format!("cannot create the folder {}: {e}", folder.display())))
}

#[cfg(test)]
mod tests;
