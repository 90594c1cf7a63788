//! The key file: who may read it, what it holds, and how it is written.
//!
//! A file is written beside its place, synchronised to the disk, and then put there in one step: no process ever reads
//! a half-written key file, and no key that has sealed anything is lost by a power failure.

use crate::{Key, KeyBytes, KeyError, hex, random_key};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The maximum length of a key file, in bytes.
const LENGTH_MAX: u64 = 64 * 1024;

/// Reads the keys of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Key>, KeyError> {
    keys(path, &text(path)?)
}

/// Creates a file with one random key; a file that another process created at the same time stays.
pub(crate) fn create(path: &Path) -> Result<(), KeyError> {
    let line = new_line()?;
    let new = beside(path, &format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    write_new(&new, &line).map_err(|e| cannot_write(path, &e))?;
    // A link never replaces a file.
    let linked = fs::hard_link(&new, path);
    let _ = fs::remove_file(&new);
    match linked {
        Ok(()) => synchronise_folder(path),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(cannot_write(path, &e)),
    }
}

/// Writes a new random key before the others.
pub(crate) fn add_first(path: &Path) -> Result<(), KeyError> {
    let old = text(path)?;
    keys(path, &old)?;
    let mut changed = new_line()?;
    changed.reserve_exact(old.len());
    changed.push_str(&old);
    // One name for every process: two rotations at once would lose a key.
    let new = beside(path, "new");
    match write_new(&new, &changed) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(KeyError::File(format!(
                "{} exists: another process changes the key file, or was interrupted; if none does, delete this file",
                new.display()
            )));
        }
        Err(e) => return Err(cannot_write(path, &e)),
    }
    if let Err(e) = fs::rename(&new, path) {
        let _ = fs::remove_file(&new);
        return Err(cannot_write(path, &e));
    }
    synchronise_folder(path)
}

/// A key file's text, if only its owner can read and write it.
fn text(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |e: std::io::Error| KeyError::File(format!("cannot read the key file {}: {e}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::File(format!(
            "others can read or write the key file {path} (mode {mode:04o}): run `chmod 600 {path}`",
            path = path.display()
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LENGTH_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LENGTH_MAX {
        return Err(KeyError::File(format!("{} is no key file: it is too long", path.display())));
    }
    Ok(text)
}

/// The keys of a key file's text, in its order.
fn keys(path: &Path, text: &str) -> Result<Vec<Key>, KeyError> {
    let mut keys = Vec::new();
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bytes = hex::decode(line).map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| Some(KeyBytes::new(bytes.as_slice().try_into().ok()?)));
        let bytes = bytes.ok_or_else(|| {
            KeyError::File(format!(
                "line {n} of the key file {} is no key of 64 hexadecimal characters: restore the file from a backup",
                path.display()
            ))
        })?;
        keys.push(Key::new(&bytes)?);
    }
    if keys.is_empty() {
        return Err(KeyError::File(format!(
            "the key file {} holds no key: restore it from a backup; if no secret was ever set, delete it, and \
             `inventiv serve` creates a new one",
            path.display()
        )));
    }
    Ok(keys)
}

fn new_line() -> Result<Zeroizing<String>, KeyError> {
    let mut line = Zeroizing::new(hex::encode(random_key()?.as_slice()));
    line.push('\n');
    Ok(line)
}

/// A file in the same folder, with a longer name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    path.with_file_name(name)
}

/// Writes a file that does not exist yet and that only this user can read.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Makes the new name of a file outlive a power failure.
fn synchronise_folder(path: &Path) -> Result<(), KeyError> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| cannot_write(path, &e))
}

fn cannot_write(path: &Path, e: &std::io::Error) -> KeyError {
    KeyError::File(format!("cannot write the key file {}: {e}", path.display()))
}
