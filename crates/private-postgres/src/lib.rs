//! A private PostgreSQL for tests, with its own folder and a Unix socket. Dropping [`Postgres`] stops and removes it.
//!
//! It searches for binaries in `PG_BIN`, then Debian's folders, then `PATH`. If there are none and we are root on
//! Debian, it installs the package and prints a line. Tests can kill it, start it again and attach a standby. It opens
//! a TCP port only if the settings ask for one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Start time-out.
const START_MAX: Duration = Duration::from_secs(60);

/// The port number in the socket's file name, unless the settings give another one.
const PORT: u16 = 5432;

/// The programs of PostgreSQL.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    installed: bool,
}

impl Binaries {
    /// Finds installed binaries.
    #[must_use]
    pub fn find() -> Option<Self> {
        find_binaries().map(|folder| Self { folder, installed: false })
    }

    /// Finds installed binaries, or installs them.
    ///
    /// # Errors
    /// No binaries were found; the message says what to install.
    pub fn find_or_install() -> Result<Self, String> {
        Self::find().map_or_else(|| Ok(Self { folder: install()?, installed: true }), Ok)
    }

    /// The folder of the binaries.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Describes them for people.
    #[must_use]
    pub fn about(&self) -> String {
        let how = if self.installed { ", installed just now" } else { "" };
        format!("a private PostgreSQL from {}{how}", self.folder.display())
    }
}

/// A PostgreSQL, running or stopped.
#[derive(Debug)]
pub struct Postgres {
    binaries: Binaries,
    folder: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    settings: Vec<String>,
    server: Option<Child>,
}

impl Postgres {
    /// Creates an empty database cluster and starts it; `settings` are lines such as `max_connections=300`.
    ///
    /// # Errors
    /// The cluster cannot be created or does not start.
    pub fn start(binaries: &Binaries, settings: &[&str]) -> Result<Self, String> {
        let new = Self::prepare(binaries, settings)?;
        let made = new
            .command("initdb")
            .args(["--no-sync", "--locale=C", "--encoding=UTF8", "-A", "trust", "-U", "postgres", "-D"])
            .arg(new.data())
            .status();
        if !made.is_ok_and(|s| s.success()) {
            return Err(format!(
                "initdb in {} failed; look at {}",
                new.binaries.folder.display(),
                new.folder.display()
            ));
        }
        new.running()
    }

    /// Creates and starts a standby of the PostgreSQL that listens on `port`.
    ///
    /// # Errors
    /// The standby cannot be created or does not start.
    pub fn follow(binaries: &Binaries, port: u16, settings: &[&str]) -> Result<Self, String> {
        let new = Self::prepare(binaries, settings)?;
        let (port, data) = (port.to_string(), new.data());
        let mut command = new.command("pg_basebackup");
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "-p", &port, "-D"]);
        if !command.arg(data).status().is_ok_and(|s| s.success()) {
            return Err("pg_basebackup failed".to_owned());
        }
        new.running()
    }

    fn prepare(binaries: &Binaries, settings: &[&str]) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        // A socket's path must be short.
        let folder = PathBuf::from(format!("/tmp/inventiv-pg-{}-{number}", std::process::id()));
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let owner = is_root().then(nobody).transpose()?;
        let new = Self {
            binaries: binaries.clone(),
            folder,
            owner,
            port: settings.iter().find_map(|s| s.strip_prefix("port=")?.parse().ok()).unwrap_or(PORT),
            settings: settings.iter().map(|&s| s.to_owned()).collect(),
            server: None,
        };
        new.give(&new.folder)?;
        Ok(new)
    }

    fn running(mut self) -> Result<Self, String> {
        self.resume()?;
        Ok(self)
    }

    fn give(&self, path: &Path) -> Result<(), String> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.folder.join(name));
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The folder of its socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The URL of its first database, through the socket.
    #[must_use]
    pub fn url(&self) -> String {
        let port = if self.port == PORT { String::new() } else { format!("&port={}", self.port) };
        format!("postgres://postgres@localhost/postgres?host={}{port}", self.folder.display())
    }

    /// The path of its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Writes a file that only PostgreSQL may read, such as a private key, and returns its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, private).map_err(|e| format!("{}: {e}", path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Runs one statement as superuser, through the socket.
    ///
    /// # Errors
    /// PostgreSQL's error message.
    pub fn sql(&self, statement: &str) -> Result<(), String> {
        let mut command = self.command("psql");
        command.args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-p"]);
        command.arg(self.port.to_string()).arg("-h").arg(&self.folder).args(["-c", statement]).stderr(Stdio::piped());
        let done = command.output().map_err(|e| format!("psql: {e}"))?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
    }

    /// Starts it again after [`Postgres::kill`].
    ///
    /// # Errors
    /// It does not answer within a minute.
    pub fn resume(&mut self) -> Result<(), String> {
        self.kill();
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.server = Some(command.spawn().map_err(|e| format!("postgres: {e}"))?);
        self.wait_until_it_answers()
    }

    /// Stops it at once, as a crash does.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // An immediate shutdown also ends its child processes; SIGKILL would not.
        let asked = Command::new("kill").arg("-QUIT").arg(server.id().to_string()).status();
        if !asked.is_ok_and(|s| s.success()) {
            let _ = server.kill();
        }
        let _ = server.wait();
    }

    /// Promotes a standby.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub fn promote(&self) -> Result<(), String> {
        let done = self.command("pg_ctl").args(["promote", "-w", "-D"]).arg(self.data()).status();
        if done.is_ok_and(|s| s.success()) { Ok(()) } else { Err("pg_ctl promote failed".to_owned()) }
    }

    fn wait_until_it_answers(&self) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            let ready =
                self.command("pg_isready").args(["-q", "-p", &self.port.to_string(), "-h"]).arg(&self.folder).status();
            if ready.is_ok_and(|s| s.success()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("the private PostgreSQL did not start within {} seconds", START_MAX.as_secs()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn find_binaries() -> Option<PathBuf> {
    let named = std::env::var_os("PG_BIN").map(PathBuf::from);
    let on_path = std::env::var_os("PATH").map(|p| std::env::split_paths(&p).collect::<Vec<_>>()).unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|e| e.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    debian.reverse();
    // A folder counts only if it has every binary we need.
    let needed = ["initdb", "postgres", "pg_isready", "pg_ctl", "pg_basebackup", "psql"];
    let whole = |f: &PathBuf| needed.iter().all(|b| f.join(b).is_file());
    named.into_iter().chain(debian).chain(on_path).find(whole)
}

fn install() -> Result<PathBuf, String> {
    let hint = "the tests need PostgreSQL: install Debian's package `postgresql`, or set PG_BIN or TEST_DATABASE_URL";
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(hint.to_owned());
    }
    println!("PostgreSQL is not installed: installing Debian's package `postgresql`");
    for args in [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", "postgresql"][..]] {
        let status = Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").status();
        if !status.is_ok_and(|s| s.success()) {
            return Err(format!("apt-get {} failed. {hint}", args.join(" ")));
        }
    }
    find_binaries().ok_or_else(|| hint.to_owned())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

/// PostgreSQL refuses to run as root.
fn nobody() -> Result<(u32, u32), String> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(|e| format!("/etc/passwd: {e}"))?;
    let line = passwd.lines().find(|l| l.starts_with("nobody:")).ok_or("there is no user `nobody`")?;
    let fields: Vec<&str> = line.split(':').collect();
    let number = |n: usize| fields.get(n).and_then(|f| f.parse::<u32>().ok());
    number(2).zip(number(3)).ok_or_else(|| "cannot parse the line of `nobody` in /etc/passwd".to_owned())
}
