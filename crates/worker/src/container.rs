//! Containers: where Docker keeps images, and the image of an engine.

use crate::config::Config;
use crate::failure::StepFailure;
use crate::log::read_lines;
use crate::state::State;
use inventiv_core::engine::EngineKind;
use inventiv_worker_api::message::LogSource;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The name of the container of the engine: there is one.
pub(crate) const NAME: &str = "inventiv-engine";
/// How long a short command of Docker or systemd may take.
const COMMAND: Duration = Duration::from_secs(120);
const DAEMON: &str = "/etc/docker/daemon.json";
const CONTAINERD: &str = "/etc/containerd/config.toml";

/// The image of an engine, unless the request names another one.
pub(crate) fn image(kind: EngineKind, named: Option<&str>) -> Option<String> {
    let usual = match kind {
        EngineKind::Vllm => "vllm/vllm-openai:v0.11.0",
        EngineKind::Llamacpp => "ghcr.io/ggml-org/llama.cpp:server-cuda",
        EngineKind::Command | EngineKind::None => return named.map(str::to_owned),
    };
    Some(named.unwrap_or(usual).to_owned())
}

/// Lets Docker and containerd keep images on the data volume: an image of 25 GB does not fit a boot disk of 20 GB.
pub(crate) async fn move_images(config: &Config, data: &Path) -> Result<(), StepFailure> {
    if !config.move_images {
        return Ok(());
    }
    let failed =
        |e: String| StepFailure::passing("docker", format!("Docker cannot keep its images on {}: {e}", data.display()));
    let before = std::fs::read_to_string(DAEMON).unwrap_or_default();
    let docker = with_data_root(&before, &data.join("docker")).map_err(failed)?;
    let kept = std::fs::read_to_string(CONTAINERD).unwrap_or_default();
    let containerd = with_root(&kept, &data.join("containerd"));
    // The daemons start before the data volume is mounted: after each boot, they must look again.
    let done = config.run.join("images-moved");
    if docker == before && containerd == kept && done.exists() {
        return Ok(());
    }
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(Path::new(path).parent().unwrap_or(Path::new("/")))?;
        std::fs::write(path, text)
    };
    write(CONTAINERD, &containerd).and_then(|()| write(DAEMON, &docker)).map_err(|e| failed(e.to_string()))?;
    for service in ["containerd", "docker"] {
        let mut command = Command::new("systemctl");
        command.args(["restart", service]).stdin(Stdio::null()).kill_on_drop(true);
        match within(command.status()).await {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(failed(format!("`systemctl restart {service}` ended with {status}"))),
            Err(e) => return Err(failed(e.to_string())),
        }
    }
    crate::files::write_note(&done).map_err(|e| failed(e.to_string()))
}

/// The result of a command that should take a moment; a daemon that hangs must not stop the worker for ever.
async fn within<T>(command: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let late = |_| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no end within two minutes"));
    tokio::time::timeout(COMMAND, command).await.unwrap_or_else(late)
}

/// Docker's settings with another folder; other settings stay.
fn with_data_root(settings: &str, folder: &Path) -> Result<String, String> {
    let mut all: Value = if settings.trim().is_empty() {
        json!({})
    } else {
        serde_json::from_str(settings).map_err(|e| format!("{DAEMON} is unreadable: {e}"))?
    };
    let folder = Value::from(folder.display().to_string());
    if all.get("data-root") == Some(&folder) {
        return Ok(settings.to_owned());
    }
    let object = all.as_object_mut().ok_or_else(|| format!("{DAEMON} is no object"))?;
    object.insert("data-root".to_owned(), folder);
    serde_json::to_string_pretty(&all).map_err(|e| e.to_string())
}

/// containerd's settings with another folder; other settings stay. `root` is one of the first lines, before any table.
fn with_root(settings: &str, folder: &Path) -> String {
    let line = format!("root = \"{}\"", folder.display());
    let is_root = |l: &str| l.split('=').next().is_some_and(|key| key.trim() == "root");
    let top = settings.lines().take_while(|l| !l.trim_start().starts_with('['));
    if top.clone().any(|l| l == line) {
        return settings.to_owned();
    }
    let rest: String = settings.lines().skip(top.clone().count()).map(|l| format!("{l}\n")).collect();
    let top: String = top.filter(|l| !is_root(l)).map(|l| format!("{l}\n")).collect();
    format!("{line}\n{top}{rest}")
}

/// Fetches an image, unless it is there. Returns what was done.
pub(crate) async fn pull(state: &State, image: &str) -> Result<String, StepFailure> {
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", image]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let there = within(inspect.kill_on_drop(true).status()).await.map_err(|e| {
        if e.kind() == std::io::ErrorKind::TimedOut {
            return StepFailure::passing("docker", format!("Docker does not respond: {e}"));
        }
        let text = format!("`docker` cannot be run ({e}); choose an image with Docker, for instance a GPU image");
        StepFailure::lasting("docker_missing", text)
    })?;
    if there.success() {
        return Ok(format!("{image} is there already"));
    }
    let mut child = Command::new("docker")
        .args(["pull", image])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| StepFailure::passing("docker", format!("`docker` cannot be run: {e}")))?;
    let mut last = String::new();
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, |line| {
            state.log.add(LogSource::Install, line);
            line.clone_into(&mut last);
        })
        .await;
    }
    let status = child.wait().await.map_err(|e| StepFailure::passing("docker", e.to_string()))?;
    if status.success() { Ok(format!("{image} was fetched")) } else { Err(refused(image, &last)) }
}

/// Why an image was not fetched, from the last line that Docker said.
fn refused(image: &str, said: &str) -> StepFailure {
    let small = said.to_lowercase();
    let text = format!("the image {image} cannot be fetched: {said}");
    let lasting = ["manifest unknown", "not found", "denied", "unauthorized", "invalid reference"];
    if small.contains("no space left") {
        StepFailure::lasting("disk_full", format!("{text}; create the instance with a larger data volume"))
    } else if lasting.iter().any(|s| small.contains(s)) {
        StepFailure::lasting("image_refused", format!("{text}; correct `--engine-image`"))
    } else {
        StepFailure::passing("image", text)
    }
}

/// Removes the container of an earlier run.
pub(crate) async fn remove() {
    let mut command = Command::new("docker");
    command.args(["rm", "-f", NAME]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = within(command.kill_on_drop(true).status()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_settings_of_docker_stay() {
        let data = Path::new("/data/docker");
        let nvidia =
            r#"{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "data-root": "/var/lib/docker"}"#;
        let changed = with_data_root(nvidia, data).unwrap();
        let read: Value = serde_json::from_str(&changed).unwrap();
        assert_eq!(read["data-root"], "/data/docker");
        assert_eq!(read["runtimes"]["nvidia"]["path"], "nvidia-container-runtime");
        assert_eq!(with_data_root(&changed, data).unwrap(), changed, "a second time changes nothing");
        assert_eq!(
            serde_json::from_str::<Value>(&with_data_root("", data).unwrap()).unwrap(),
            json!({"data-root": "/data/docker"})
        );
        assert!(with_data_root("[]", data).is_err() && with_data_root("{", data).is_err());
    }

    #[test]
    fn other_settings_of_containerd_stay() {
        let data = Path::new("/data/containerd");
        let settings = "version = 2\nroot = \"/var/lib/containerd\"\n[plugins]\nroot = \"x\"\n";
        let changed = with_root(settings, data);
        assert_eq!(changed, "root = \"/data/containerd\"\nversion = 2\n[plugins]\nroot = \"x\"\n");
        assert_eq!(with_root(&changed, data), changed, "a second time changes nothing");
        assert_eq!(with_root("", data), "root = \"/data/containerd\"\n");
    }

    #[test]
    fn a_refusal_of_an_image_is_told_from_a_failure_that_passes() {
        for (said, code, passes) in [
            ("Error response from daemon: manifest for x:y not found: manifest unknown", "image_refused", false),
            ("Error response from daemon: pull access denied for x", "image_refused", false),
            ("write /data/docker/x: no space left on device", "disk_full", false),
            ("Get \"https://registry-1.docker.io/v2/\": net/http: TLS handshake timeout", "image", true),
        ] {
            let failure = refused("x:y", said);
            assert_eq!((failure.code, failure.passes), (code, passes), "{said}");
        }
    }
}
