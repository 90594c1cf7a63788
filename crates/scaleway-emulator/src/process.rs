//! One booted machine: a process group of its own, which is ended with a grace.
//!
//! A guard process in the group kills the group when the emulator dies without a chance to do so: it reads from a pipe
//! that the emulator holds open.

use crate::boot::Generation;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long killed processes may take to be gone. What the kernel shows after that, nobody can end.
const KILL_MAX: Duration = Duration::from_secs(1);

/// Starts the guard, detached so that the command has no child that it does not know, and becomes the command (`$0`).
const GUARDED: &str = "exec 3<&0 </dev/null; ( { read -r _ <&3; kill -KILL 0; } & ); exec 3<&-; exec /bin/sh -c \"$0\"";

/// What a process is started with.
pub(crate) struct Start<'a> {
    pub(crate) command: &'a str,
    /// Variables to set, or to remove.
    pub(crate) variables: &'a [(&'static str, Option<OsString>)],
    /// Receives the output.
    pub(crate) console: File,
    pub(crate) generation: Generation,
}

pub(crate) struct Process {
    /// Its standard input is the guard's pipe.
    child: Child,
    group: Pid,
    pub(crate) generation: Generation,
    is_frozen: bool,
    /// The command has ended, with or without its children.
    has_ended: bool,
    killed_at: Option<Instant>,
    is_gone: bool,
    /// Set once it was told to end.
    kill_at: Option<Instant>,
}

impl Process {
    pub(crate) fn start(start: Start<'_>) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARDED, start.command]).process_group(0);
        for (name, value) in start.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let errors = start.console.try_clone()?;
        let child = command.stdin(Stdio::piped()).stdout(start.console).stderr(errors).spawn()?;
        Ok(Self {
            group: Pid::from_child(&child),
            child,
            generation: start.generation,
            is_frozen: false,
            has_ended: false,
            killed_at: None,
            is_gone: false,
            kill_at: None,
        })
    }

    /// Stops or continues the whole group.
    pub(crate) fn set_frozen(&mut self, is_frozen: bool) {
        if self.is_frozen != is_frozen {
            self.is_frozen = is_frozen;
            self.signal(if is_frozen { Signal::STOP } else { Signal::CONT });
        }
    }

    /// Tells the group to end; it is killed after the grace.
    pub(crate) fn end(&mut self) {
        if self.kill_at.is_none() {
            self.kill_at = Some(Instant::now() + GRACE);
            self.signal(Signal::TERM);
        }
    }

    /// Kills the group at once.
    pub(crate) fn kill(&mut self) {
        if self.killed_at.is_none() {
            self.killed_at = Some(Instant::now());
            self.signal(Signal::KILL);
        }
    }

    /// Looks at what has become of it. Returns the command's status once, if it ended by itself.
    pub(crate) fn observe(&mut self) -> Option<ExitStatus> {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.kill();
        }
        let mut by_itself = None;
        if !self.has_ended
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.has_ended = true;
            by_itself = Some(status).filter(|_| !self.is_ending());
        }
        // A group is unknown to the kernel once all its processes are gone.
        self.is_gone |= self.has_ended && self.is_empty();
        by_itself
    }

    /// Whether no process of the group is left, without its leader.
    fn is_empty(&self) -> bool {
        let is_over = self.killed_at.is_some_and(|at| at.elapsed() > KILL_MAX);
        is_over || test_kill_process_group(self.group).is_err() || (self.is_ending() && has_only_zombies(self.group))
    }

    /// Whether no process of the group runs any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether it was told to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.kill_at.is_some() || self.killed_at.is_some()
    }

    fn signal(&self, signal: Signal) {
        // The number of a group that is gone may belong to another one.
        if !self.is_gone {
            // It may just have gone.
            let _ = kill_process_group(self.group, signal);
        }
    }
}

/// Whether all processes of a group have ended, and only wait for their new parent to notice. Only Linux tells.
fn has_only_zombies(group: Pid) -> bool {
    let group = group.to_string();
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let mut members = entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        // After the name in parentheses: state, parent, group.
        .filter_map(|stat| stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()))
        .filter(|rest| rest.split_whitespace().nth(2) == Some(&group))
        .peekable();
    members.peek().is_some() && members.all(|rest| rest.trim_start().starts_with(['Z', 'X']))
}
