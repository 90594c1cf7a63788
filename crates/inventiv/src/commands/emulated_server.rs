//! `inventiv emulated-server`: behaves like a server that boots, as a process of the emulator.
//!
//! It does what cloud-init does with our user data: it writes the files. Then it starts the worker, or with
//! `--bootstrap` the bootstrap program, which receives the worker's program from the control plane.

use super::worker::until_stopped;
use crate::args::EmulatedServer;
use crate::failure::Failure;
use inventiv_worker::Config;
use inventiv_worker::disks::FileDisks;
use inventiv_worker_api::bootstrap::{PROGRAM, TLS_FOLDER};
use serde::Deserialize;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// What is read of the user data.
#[derive(Deserialize)]
struct CloudConfig {
    #[serde(default)]
    write_files: Vec<WrittenFile>,
}

#[derive(Deserialize)]
struct WrittenFile {
    path: String,
    permissions: String,
    content: String,
}

/// The server, from the environment that the emulator sets.
struct Server {
    disk: PathBuf,
    volumes: PathBuf,
    address: IpAddr,
    user_data: Option<PathBuf>,
}

fn variable(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| Failure::refused(format!("{name} is not set: `scaleway-emulator --boot` sets it")))
}

impl Server {
    fn of_environment() -> Result<Self, Failure> {
        let address = variable("EMULATED_VM_ADDRESS")?;
        let address = address.parse().map_err(|_| Failure::refused("EMULATED_VM_ADDRESS is not an address"))?;
        Ok(Self {
            disk: variable("EMULATED_VM_DIR")?.into(),
            volumes: variable("EMULATED_VM_VOLUMES")?.into(),
            address,
            user_data: std::env::var_os("EMULATED_VM_USER_DATA").map(PathBuf::from),
        })
    }

    /// A path of the server, on the emulated boot disk.
    fn at(&self, path: &str) -> PathBuf {
        self.disk.join("root").join(path.trim_start_matches('/'))
    }

    /// Writes the files of the user data, at the first boot only.
    fn first_boot(&self) -> Result<(), String> {
        let done = self.disk.join("booted");
        let Some(user_data) = self.user_data.as_deref().filter(|_| !done.exists()) else { return Ok(()) };
        let text = fs::read_to_string(user_data).map_err(|e| e.to_string())?;
        let config: CloudConfig = serde_yaml_ng::from_str(own_part(&text)).map_err(|e| e.to_string())?;
        for file in &config.write_files {
            let path = self.at(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(|e| e.to_string())?;
            fs::write(&path, &file.content).map_err(|e| e.to_string())?;
            let mode = u32::from_str_radix(&file.permissions, 8).map_err(|e| e.to_string())?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())?;
        }
        fs::write(done, "").map_err(|e| e.to_string())
    }

    fn worker(&self) -> Config {
        Config {
            tls: self.at(TLS_FOLDER),
            listen: self.address,
            state: self.at("/var/lib/inventiv"),
            run: self.at("/run/inventiv"),
            data: self.at("/data"),
            without_volume: self.at("/var/lib/inventiv/data"),
            disks: Arc::new(FileDisks { volumes: self.volumes.clone() }),
            probe_every: Duration::from_millis(500),
            probe_limit: Duration::from_secs(2),
            first_pause: Duration::from_millis(200),
            move_images: false,
            stand_in: std::env::current_exe().ok(),
            ..Config::of_server()
        }
    }
}

/// The last part of a MIME archive is ours; without an archive, all of it is.
fn own_part(text: &str) -> &str {
    if !text.starts_with("Content-Type: multipart/mixed") {
        return text;
    }
    let part = text.rfind("Content-Type: text/cloud-config").and_then(|at| text.get(at..)).unwrap_or(text);
    let body = part.split_once("\n\n").map_or(part, |(_, body)| body);
    body.rfind("\n--==").and_then(|end| body.get(..end)).unwrap_or(body)
}

pub(crate) async fn run(args: EmulatedServer) -> Result<(), Failure> {
    let server = Server::of_environment()?;
    server.first_boot().map_err(|e| Failure::general(format!("the user data cannot be carried out: {e}")))?;
    if !server.at(TLS_FOLDER).join("key.pem").exists() {
        // Nothing of ours runs on this server.
        println!("booted without a worker");
        std::future::pending::<()>().await;
    }
    if !args.bootstrap {
        println!("booted; the worker begins");
        return until_stopped(server.worker()).await;
    }
    let program = server.at(PROGRAM);
    if !program.exists() {
        println!("booted; waits for the program");
        let status = Command::new("python3")
            .arg(server.at("/usr/local/lib/inventiv/bootstrap.py"))
            .args(["--listen", &server.address.to_string(), "--then", "true", "--tls"])
            .arg(server.at(TLS_FOLDER))
            .arg("--program")
            .arg(&program)
            .status();
        let ok = status.map_err(|e| Failure::general(format!("python3 cannot be run: {e}")))?.success();
        if !ok {
            return Err(Failure::general("the bootstrap program failed"));
        }
    }
    println!("booted; the worker begins");
    let error = Command::new(&program).arg("emulated-server").exec();
    Err(Failure::general(format!("{} cannot be run: {error}", program.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_part_of_the_user_data_is_found() {
        let own = "#cloud-config\nwrite_files: []\n";
        assert_eq!(own_part(own), own);
        let archive = format!(
            "Content-Type: multipart/mixed; boundary=\"==ins-1==\"\nMIME-Version: 1.0\n\n--==ins-1==\n\
             Content-Type: text/cloud-config; charset=\"utf-8\"\n\n#cloud-config\npackages: [htop]\n\n--==ins-1==\n\
             Content-Type: text/cloud-config; charset=\"utf-8\"\nMIME-Version: 1.0\n\n{own}\n--==ins-1==--\n"
        );
        assert_eq!(own_part(&archive).trim_end(), own.trim_end());
    }
}
