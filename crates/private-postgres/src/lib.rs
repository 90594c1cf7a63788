//! A private PostgreSQL for tests: its own folder, a Unix socket, a port only if asked for; gone when its owner is dropped.
//!
//! Binaries are looked for in `PG_BIN`, then Debian's folders, then `PATH`; where there are none and this is a Debian
//! machine's root, the package is installed, and that is said. It can be killed, started again, and followed by a standby.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long it may take until it answers.
const START_MAX: Duration = Duration::from_secs(60);

/// Which port's name its socket bears, where the settings say nothing.
const PORT: u16 = 5432;

/// The programs of PostgreSQL.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    installed: bool,
}

impl Binaries {
    /// Those that are there.
    #[must_use]
    pub fn find() -> Option<Self> {
        find_binaries().map(|folder| Self { folder, installed: false })
    }

    /// Those that are there, or that can be installed.
    ///
    /// # Errors
    /// When there are none: what to install.
    pub fn find_or_install() -> Result<Self, String> {
        Self::find().map_or_else(|| Ok(Self { folder: install()?, installed: true }), Ok)
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// In words.
    #[must_use]
    pub fn about(&self) -> String {
        let how = if self.installed { ", installed just now" } else { "" };
        format!("a private server from {}{how}", self.folder.display())
    }
}

/// A running server, or one that was stopped.
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
    /// Makes an empty one and starts it; `settings` are lines such as `max_connections=300`.
    ///
    /// # Errors
    /// When it cannot be made or does not start: what went wrong.
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

    /// Makes one that follows another one, which listens on `port`, and starts it.
    ///
    /// # Errors
    /// When it cannot be made or does not start: what went wrong.
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

    /// Where its socket is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its files are.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The address of its first database, through its socket.
    #[must_use]
    pub fn url(&self) -> String {
        let port = if self.port == PORT { String::new() } else { format!("&port={}", self.port) };
        format!("postgres://postgres@localhost/postgres?host={}{port}", self.folder.display())
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Writes a file that only the server may read, such as a key, and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, private).map_err(|e| format!("{}: {e}", path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Runs one statement as its superuser, through its socket.
    ///
    /// # Errors
    /// What it says against it.
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
    /// When it does not answer within a minute.
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

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // An immediate shutdown: its children end, too, which they do not when it is killed outright.
        let asked = Command::new("kill").arg("-QUIT").arg(server.id().to_string()).status();
        if !asked.is_ok_and(|s| s.success()) {
            let _ = server.kill();
        }
        let _ = server.wait();
    }

    /// Lets one that followed another go on by itself.
    ///
    /// # Errors
    /// When it refuses.
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
    // A folder counts only if it has all that is needed.
    let needed = ["initdb", "postgres", "pg_isready", "pg_ctl", "pg_basebackup", "psql"];
    let whole = |f: &PathBuf| needed.iter().all(|b| f.join(b).is_file());
    named.into_iter().chain(debian).chain(on_path).find(whole)
}

fn install() -> Result<PathBuf, String> {
    let hint =
        "PostgreSQL is needed for the tests: install Debian's package `postgresql`, or set PG_BIN or TEST_DATABASE_URL";
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(hint.to_owned());
    }
    println!("PostgreSQL is not there: installing Debian's package `postgresql`");
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
    number(2).zip(number(3)).ok_or_else(|| "the line of `nobody` in /etc/passwd cannot be read".to_owned())
}
