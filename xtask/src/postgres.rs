//! A private PostgreSQL for tests: its own folder, a Unix socket only, gone when the tests are.
//!
//! `TEST_DATABASE_URL` names another server instead. Binaries are looked for in `PG_BIN`, then `PATH`, then Debian's
//! folders; where there are none and this is a Debian machine's root, the package is installed, and that is said.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Postgres {
    pub(crate) url: String,
    pub(crate) about: String,
    server: Option<(Child, PathBuf)>,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, String> {
        if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            return Ok(Self { url, about: "the server that TEST_DATABASE_URL names".to_owned(), server: None });
        }
        let (bin, about) = match find_binaries() {
            Some(bin) => (bin.clone(), format!("a private server from {}", bin.display())),
            None => install()?,
        };
        let folder = PathBuf::from(format!("/tmp/inventiv-pg-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let owner = is_root().then(nobody).transpose()?;
        if let Some((uid, gid)) = owner {
            chown(&folder, Some(uid), Some(gid)).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let data = folder.join("data");
        let command = |name: &str| {
            let mut c = Command::new(bin.join(name));
            c.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((uid, gid)) = owner {
                c.uid(uid).gid(gid);
            }
            c
        };
        let made = command("initdb")
            .args(["--no-sync", "--locale=C", "--encoding=UTF8", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&data)
            .status();
        if !made.is_ok_and(|s| s.success()) {
            return Err(format!("initdb in {} failed; look at {}", bin.display(), folder.display()));
        }
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off"])
            .args(["-c", "full_page_writes=off", "-c", "max_connections=300"])
            .spawn()
            .map_err(|e| format!("postgres: {e}"))?;
        let url = format!("postgres://postgres@localhost/postgres?host={}", folder.display());
        let started = Self { url, about, server: Some((server, folder.clone())) };
        wait_for_socket(&folder, &bin)?;
        Ok(started)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some((mut server, folder)) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn wait_for_socket(folder: &Path, bin: &Path) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let ready = Command::new(bin.join("pg_isready")).arg("-q").arg("-h").arg(folder).status();
        if ready.is_ok_and(|s| s.success()) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the private PostgreSQL did not start within 30 seconds".to_owned())
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
    let whole = |f: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|b| f.join(b).is_file());
    named.into_iter().chain(debian).chain(on_path).find(whole)
}

fn install() -> Result<(PathBuf, String), String> {
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
    let bin = find_binaries().ok_or(hint)?;
    let about = format!("a private server from {}, installed just now", bin.display());
    Ok((bin, about))
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
