//! The data volume: waited for, formatted once, mounted.

use crate::config::Config;
use crate::disks::{Content, LABEL, UNKNOWN};
use crate::failure::StepFailure;
use crate::files::sync_folder;
use inventiv_core::worker::Scratch;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the device may take to appear: it is attached before the server starts, or soon after.
const APPEARS_WITHIN: Duration = Duration::from_secs(120);

/// What is to be done with a data volume.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Format,
    Mount(String),
    Refuse(String),
}

/// A disk is formatted only if nothing is on it, or if its formatting was begun by this worker and did not end.
fn decide(content: &Content, formatting_began: bool) -> Decision {
    match content {
        Content::Empty => Decision::Format,
        Content::FileSystem { kind, label, uuid } if kind == "ext4" && label == LABEL => Decision::Mount(uuid.clone()),
        Content::Other(what) if formatting_began && what == UNKNOWN => Decision::Format,
        Content::FileSystem { kind, label, .. } => Decision::Refuse(format!("a file system ({kind}, label `{label}`)")),
        Content::Other(what) => Decision::Refuse(what.clone()),
    }
}

/// Mounts the data volume, and formats it before if it is empty. Returns what was done.
pub(crate) async fn prepare(config: &Config, device: &str) -> Result<String, StepFailure> {
    let device = PathBuf::from(device);
    if !appears(config, &device).await {
        let text = format!(
            "the data volume did not appear as {} within {} s; see whether it is attached in the provider's console",
            device.display(),
            APPEARS_WITHIN.as_secs()
        );
        return Err(StepFailure::passing("data_volume_missing", text));
    }
    match mount(config, &device, Some(&marker(config, &device))).await {
        Ok(told) => Ok(told),
        Err(Unmounted::Failed(e)) => {
            let text = format!("the data volume cannot be prepared: {e}");
            Err(StepFailure::passing("data_volume", text))
        }
        Err(Unmounted::Holds(what)) => {
            let text = format!(
                "the data volume holds {what}, and is left as it is; use a volume of an earlier instance (`--volume`), or \
                 create the instance without it"
            );
            Err(StepFailure::lasting("data_volume_refused", text))
        }
    }
}

/// Why a disk is not mounted.
enum Unmounted {
    /// It holds this, and is left as it is.
    Holds(String),
    /// It could not be read, formatted or mounted.
    Failed(String),
}

/// Mounts a disk, and formats it before if it is empty. `marker`: the note that its formatting has begun; without one, a disk
/// whose formatting did not end is never formatted again.
async fn mount(config: &Config, device: &Path, marker: Option<&Path>) -> Result<String, Unmounted> {
    let (disks, failed) = (&config.disks, Unmounted::Failed);
    let began = marker.is_some_and(Path::exists);
    let mut formatted = "";
    let mut content = disks.content(device).await.map_err(failed)?;
    if decide(&content, began) == Decision::Format {
        marker.map_or(Ok(()), write_marker).map_err(failed)?;
        disks.format(device).await.map_err(failed)?;
        formatted = "was empty and is formatted; ";
        content = disks.content(device).await.map_err(failed)?;
    }
    match decide(&content, false) {
        Decision::Mount(uuid) => {
            // Before anything is written to it, and for good: the note allows to format the disk.
            marker.map_or(Ok(()), remove_marker).map_err(failed)?;
            disks.mount(device, &uuid, &config.data).await.map_err(failed)?;
        }
        Decision::Format => return Err(failed("it is still empty after it was formatted".to_owned())),
        Decision::Refuse(what) => return Err(Unmounted::Holds(what)),
    }
    Ok(format!("{formatted}mounted at {}", config.data.display()))
}

/// Mounts scratch storage in the place of a data volume, if that can be done without harm. Returns the folder to keep
/// models in, and what was done. Whatever is wrong with it, the boot disk takes its place.
pub(crate) async fn prepare_scratch(config: &Config, scratch: &Scratch) -> (PathBuf, String) {
    let found = config.disks.scratch(&scratch.volume_id, scratch.size_bytes, &config.data).await;
    let why = match found {
        // The name of the device says nothing about what it is: no note is kept under it.
        Ok(device) => match mount(config, &device, None).await {
            Ok(told) => return (config.data.clone(), format!("scratch disk: {told}")),
            Err(Unmounted::Holds(what)) => format!("it holds {what} and is left as it is"),
            Err(Unmounted::Failed(why)) => why,
        },
        Err(why) => why,
    };
    let told = format!("scratch disk: not used, because {why}; the boot disk keeps the model");
    (config.without_volume.clone(), told)
}

async fn appears(config: &Config, device: &Path) -> bool {
    let wait = async {
        while !config.disks.is_there(device).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(APPEARS_WITHIN, wait).await.is_ok()
}

/// The note that formatting has begun: a crash before its end leaves a disk that is neither empty nor formatted.
fn marker(config: &Config, device: &Path) -> PathBuf {
    let name = device.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    config.state.join(format!("formatting-{name}"))
}

fn write_marker(path: &Path) -> Result<(), String> {
    let write = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        std::fs::File::create(path)?.sync_all()
    };
    write().map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn remove_marker(path: &Path) -> Result<(), String> {
    if !path.exists() {
        return Ok(());
    }
    let removed = std::fs::remove_file(path).and_then(|()| sync_folder(path.parent().unwrap_or(Path::new("/"))));
    removed.map_err(|e| format!("cannot remove {}: {e}", path.display()))
}

#[cfg(test)]
mod tests;
