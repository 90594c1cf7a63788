//! Runs the machines of servers: a thread compares what should run with what runs, 20 times a second and at each change.
//!
//! The thread also advances the account, so that a server starts when its time has come, without a request. It holds
//! the account's lock only to read it: processes and files never delay a request.

use crate::boot::{self, Boot, Machine, Wanted};
use crate::disks::Disks;
use crate::process::{Process, Start};
use crate::world::World;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often the machines are compared with the account.
const TICK: Duration = Duration::from_millis(50);
/// The same while a process ends.
const TICK_ENDING: Duration = Duration::from_millis(5);
/// How long killed processes may take to be gone when the emulator ends.
const KILL_MAX: Duration = Duration::from_secs(2);

/// Wakes the thread, if there is one.
pub(crate) type Bell = Arc<Mutex<Option<Thread>>>;

/// The machines of an emulator's servers. When it is dropped, all their processes are killed, and a temporary folder of
/// disks is deleted.
#[must_use = "the machines are killed when this is dropped"]
pub struct Machines {
    world: Arc<Mutex<World>>,
    bell: Bell,
    state_dir: PathBuf,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Deleted last.
    _temporary: Option<TempDir>,
}

impl Machines {
    pub(crate) fn start(world: &Arc<Mutex<World>>, bell: &Bell, boot: &Boot) -> io::Result<Self> {
        let mut thread = bell.lock();
        if thread.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the servers have machines already"));
        }
        let temporary = if boot.state_dir.is_none() { Some(TempDir::with_prefix("emulated-vms-")?) } else { None };
        let given = boot.state_dir.as_deref().or(temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
        let state_dir = std::path::absolute(given)?;
        let mut runner = Runner {
            command: boot.command.clone(),
            disks: Disks::new(&state_dir)?,
            processes: BTreeMap::new(),
            told: None,
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let (account, over) = (world.clone(), is_over.clone());
        let run = move || {
            while !over.load(Ordering::Acquire) {
                let wanted = {
                    let mut world = account.lock();
                    world.settle();
                    boot::wanted(&world.held)
                };
                runner.tick(&wanted);
                std::thread::park_timeout(runner.pause());
            }
            runner.kill_all();
        };
        let handle = std::thread::Builder::new().name("machines".to_owned()).spawn(run)?;
        *thread = Some(handle.thread().clone());
        world.lock().has_machines = true;
        let (world, bell) = (world.clone(), bell.clone());
        drop(thread);
        Ok(Self { world, bell, state_dir, is_over, thread: Some(handle), _temporary: temporary })
    }

    /// The folder of all disks: `servers/<id>` and `volumes/<id>`.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing left to say if it panicked.
            let _ = thread.join();
        }
        *self.bell.lock() = None;
        self.world.lock().has_machines = false;
    }
}

/// Compares what should run with what runs.
struct Runner {
    command: String,
    disks: Disks,
    /// By server. A process whose command ended by itself stays until the server's next boot or end.
    processes: BTreeMap<String, Process>,
    /// The last reported problem, which is not reported again.
    told: Option<String>,
}

impl Runner {
    fn tick(&mut self, wanted: &Wanted) {
        let mut done = Ok(());
        for (server, process) in &mut self.processes {
            if let Some(status) = process.observe() {
                done = done.and(self.disks.note(server, &format!("the command ended: {status}")));
            }
            direct(process, wanted.machines.get(server));
        }
        self.processes.retain(|server, p| {
            let is_wanted = wanted.machines.get(server).is_some_and(|m| m.generation == p.generation);
            is_wanted || !p.is_gone()
        });
        for (server, machine) in &wanted.machines {
            done = done.and(match self.processes.get(server) {
                Some(_) => self.disks.attach(server, machine, wanted),
                None if machine.is_killed => Ok(()),
                None => self.boot(server, machine, wanted),
            });
        }
        done = done.and(self.disks.update_volumes(wanted));
        let processes = &self.processes;
        done = done.and(self.disks.update_servers(wanted, |server| processes.contains_key(server)));
        self.report(done.err().map(|e| e.to_string()));
    }

    fn boot(&mut self, server: &str, machine: &Machine, wanted: &Wanted) -> io::Result<()> {
        self.disks.prepare(server, machine, wanted)?;
        let user_data = machine.user_data.as_ref().map(|_| self.disks.user_data(server).into_os_string());
        let variables = [
            ("EMULATED_VM_ID", Some(OsString::from(server))),
            ("EMULATED_VM_SERVER_TYPE", Some(OsString::from(&machine.server_type))),
            ("EMULATED_VM_DIR", Some(self.disks.folder(server).into_os_string())),
            ("EMULATED_VM_VOLUMES", Some(self.disks.links(server).into_os_string())),
            ("EMULATED_VM_USER_DATA", user_data),
            ("EMULATED_VM_ADDRESS", machine.address.as_ref().map(OsString::from)),
        ];
        let process = Process::start(Start {
            command: &self.command,
            variables: &variables,
            console: self.disks.console(server)?,
            generation: machine.generation,
        })?;
        self.processes.insert(server.to_owned(), process);
        Ok(())
    }

    fn pause(&self) -> Duration {
        if self.processes.values().any(|p| p.is_ending() && !p.is_gone()) { TICK_ENDING } else { TICK }
    }

    /// What fails is tried again with every tick, and reported once.
    fn report(&mut self, problem: Option<String>) {
        if problem.is_some() && problem != self.told {
            eprintln!("scaleway-emulator: machines: {}", problem.as_deref().unwrap_or_default());
        }
        self.told = problem;
    }

    fn kill_all(&mut self) {
        let until = Instant::now() + KILL_MAX;
        for process in self.processes.values_mut() {
            process.kill();
        }
        while !self.processes.is_empty() && Instant::now() < until {
            self.processes.retain(|_, process| {
                process.observe();
                !process.is_gone()
            });
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Makes a process follow its machine.
fn direct(process: &mut Process, machine: Option<&Machine>) {
    match machine {
        Some(machine) if machine.generation == process.generation => {
            if machine.is_killed {
                process.kill();
            }
            process.set_frozen(machine.is_frozen);
        }
        // The control API restarts a machine like its reset button would.
        Some(machine) if machine.generation.boots == process.generation.boots => process.kill(),
        Some(_) | None => process.end(),
    }
}
