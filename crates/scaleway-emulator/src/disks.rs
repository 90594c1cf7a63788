//! The files of machines: a folder for each server, and a sparse file for each block volume.
//!
//! Only what this emulator's account has had is ever deleted: a folder may be shared with other files, or be used again.

use crate::boot::{Machine, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub(crate) struct Disks {
    servers: PathBuf,
    volumes: PathBuf,
    /// Servers that the account has or had, until their folders are deleted.
    known_servers: BTreeSet<String>,
    /// The same for volumes, with the sizes of their files; `None`: no file.
    known_volumes: BTreeMap<String, Option<u64>>,
}

impl Disks {
    pub(crate) fn new(state_dir: &Path) -> io::Result<Self> {
        // Symbolic links and the command need absolute paths.
        let state_dir = std::path::absolute(state_dir)?;
        let (servers, volumes) = (state_dir.join("servers"), state_dir.join("volumes"));
        fs::create_dir_all(&servers)?;
        fs::create_dir_all(&volumes)?;
        Ok(Self { servers, volumes, known_servers: BTreeSet::new(), known_volumes: BTreeMap::new() })
    }

    /// A server's folder.
    pub(crate) fn folder(&self, server: &str) -> PathBuf {
        self.servers.join(server)
    }

    /// The folder with the volumes of a server.
    pub(crate) fn links(&self, server: &str) -> PathBuf {
        self.folder(server).join("volumes")
    }

    /// The file with a server's user data.
    pub(crate) fn user_data(&self, server: &str) -> PathBuf {
        self.folder(server).join("user-data")
    }

    /// A server's console, to append to.
    pub(crate) fn console(&self, server: &str) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.folder(server).join("console.log"))
    }

    /// Adds a line of the emulator to a server's console.
    pub(crate) fn note(&self, server: &str, text: &str) -> io::Result<()> {
        self.console(server)?.write_all(format!("[emulator] {text}\n").as_bytes())
    }

    /// Prepares what a machine boots with.
    pub(crate) fn prepare(&mut self, server: &str, machine: &Machine, wanted: &Wanted) -> io::Result<()> {
        fs::create_dir_all(self.links(server))?;
        let user_data = self.user_data(server);
        match &machine.user_data {
            Some(content) => fs::write(user_data, content)?,
            None => ignore_missing(fs::remove_file(user_data))?,
        }
        self.attach(server, machine, wanted)
    }

    /// Shows exactly the attached volumes in a server's folder.
    pub(crate) fn attach(&mut self, server: &str, machine: &Machine, wanted: &Wanted) -> io::Result<()> {
        let links = self.links(server);
        let mut missing = machine.volumes.clone();
        for entry in fs::read_dir(&links)? {
            let entry = entry?;
            // The file of a scratch volume is deleted when its server is powered off, and its link is left.
            let has_file = entry.path().exists();
            let is_shown = has_file && entry.file_name().to_str().is_some_and(|name| missing.remove(name));
            if !is_shown && entry.file_type()?.is_symlink() {
                fs::remove_file(entry.path())?;
            }
        }
        for volume in missing {
            self.ensure(&volume, wanted.volumes.get(&volume).copied().unwrap_or(0))?;
            symlink(self.volumes.join(&volume), links.join(&volume))?;
        }
        Ok(())
    }

    /// Creates a volume's file, or grows it. It never shrinks.
    fn ensure(&mut self, volume: &str, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.volumes.join(volume))?;
        if file.metadata()?.len() < bytes {
            file.set_len(bytes)?;
        }
        self.known_volumes.insert(volume.to_owned(), Some(bytes));
        Ok(())
    }

    /// Grows the files of resized volumes, and deletes the files of deleted ones.
    pub(crate) fn update_volumes(&mut self, wanted: &Wanted) -> io::Result<()> {
        for (volume, bytes) in &wanted.volumes {
            match self.known_volumes.get(volume) {
                Some(Some(known)) if known < bytes => self.ensure(volume, *bytes)?,
                Some(_) => {}
                None => {
                    // The folder may have been used before.
                    let file = fs::metadata(self.volumes.join(volume));
                    self.known_volumes.insert(volume.clone(), file.ok().map(|m| m.len()));
                }
            }
        }
        let deleted = self.known_volumes.keys().filter(|v| !wanted.volumes.contains_key(*v));
        for volume in deleted.cloned().collect::<Vec<_>>() {
            ignore_missing(fs::remove_file(self.volumes.join(&volume)))?;
            ignore_missing(fs::remove_dir_all(self.volumes.join(format!("{volume}.d"))))?;
            self.known_volumes.remove(&volume);
        }
        Ok(())
    }

    /// Deletes the folders of deleted servers, but not while their machines still run.
    pub(crate) fn update_servers(&mut self, wanted: &Wanted, runs: impl Fn(&str) -> bool) -> io::Result<()> {
        self.known_servers.extend(wanted.servers.iter().cloned());
        let deleted = self.known_servers.iter().filter(|s| !wanted.servers.contains(*s) && !runs(s));
        for server in deleted.cloned().collect::<Vec<_>>() {
            ignore_missing(fs::remove_dir_all(self.folder(&server)))?;
            self.known_servers.remove(&server);
        }
        Ok(())
    }
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
