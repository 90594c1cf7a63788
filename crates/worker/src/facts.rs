//! Measurements of the server, taken from time to time.

use crate::config::Config;
use crate::gpu;
use crate::state::State;
use inventiv_core::worker::report::DiskFacts;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often the server is measured.
const EVERY: Duration = Duration::from_secs(15);

/// Measures for ever.
pub(crate) async fn keep_measuring(state: Arc<State>, config: Config) {
    let mut had_gpus = 0;
    loop {
        let gpus = gpu::gpus().await;
        let mut disks: Vec<DiskFacts> = disk(Path::new("/")).into_iter().collect();
        if is_mounted(&config.data) {
            disks.extend(disk(&config.data));
        }
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let news = gpus.len() != had_gpus;
        had_gpus = gpus.len();
        let set = |r: &mut inventiv_core::worker::report::Report| {
            (r.gpus, r.disks) = (gpus, disks);
            r.memory_bytes = of_meminfo(&memory, "MemTotal");
            r.memory_free_bytes = of_meminfo(&memory, "MemAvailable");
        };
        if news {
            state.change(set)
        } else {
            state.measure(set)
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Whether a folder is on another disk than the folder around it. A link leads to an emulated disk.
fn is_mounted(folder: &Path) -> bool {
    let (Ok(own), Some(parent)) = (std::fs::symlink_metadata(folder), folder.parent()) else { return false };
    own.is_symlink() || std::fs::metadata(parent).is_ok_and(|parent| parent.dev() != own.dev())
}

fn disk(at: &Path) -> Option<DiskFacts> {
    let found = rustix::fs::statvfs(at).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(found.f_frsize)).unwrap_or(i64::MAX);
    Some(DiskFacts {
        mounted_at: at.display().to_string(),
        total_bytes: bytes(found.f_blocks),
        free_bytes: bytes(found.f_bavail),
    })
}

/// The bytes that can still be written in a folder; `None`: not known.
pub(crate) fn free_bytes(folder: &Path) -> Option<i64> {
    disk(folder).map(|d| d.free_bytes)
}

/// A value of `/proc/meminfo`, which is in KiB.
fn of_meminfo(text: &str, key: &str) -> Option<i64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key).and_then(|rest| rest.strip_prefix(':')))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_the_disk_of_its_parent_is_no_data_volume() {
        let place = tempfile::tempdir().unwrap();
        let (folder, link) = (place.path().join("data"), place.path().join("link"));
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(!is_mounted(&folder) && is_mounted(&link) && is_mounted(Path::new("/proc")));
        assert!(!is_mounted(&place.path().join("none")));
    }

    #[test]
    fn the_memory_is_read() {
        let text = "MemTotal:       16384000 kB\nMemFree: 1 kB\nMemAvailable:    8192000 kB\n";
        assert_eq!(of_meminfo(text, "MemTotal"), Some(16_384_000 << 10));
        assert_eq!(of_meminfo(text, "MemAvailable"), Some(8_192_000 << 10));
        assert_eq!(of_meminfo(text, "SwapFree"), None);
        assert!(disk(Path::new("/")).is_some_and(|d| d.total_bytes >= d.free_bytes));
    }
}
