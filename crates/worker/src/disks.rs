//! The disks of a machine: what is on them, formatting, mounting.

use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The label of the file system on a data volume.
pub const LABEL: &str = "inventiv-data";
/// How much of a disk without a known signature must be zero to count as empty, in bytes.
const CHECKED: usize = 1 << 16;

/// The vendor of SCSI disks on block storage. Data volumes are found by their ids, and never by their sizes.
const BLOCK_STORAGE: &str = "SCW";
/// A scratch disk may differ from the size that the API shows by this part of it: disks have whole blocks.
const TOLERANCE: u64 = 100;

/// What a disk without a known signature holds.
pub const UNKNOWN: &str = "data without a known file system";

/// What is on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Empty,
    /// A file system.
    FileSystem {
        /// Its kind, for instance `ext4`.
        kind: String,
        /// Its label.
        label: String,
        /// Its id.
        uuid: String,
    },
    /// Something else, in words.
    Other(String),
}

/// The disks of a machine.
#[async_trait]
pub trait Disks: Send + Sync {
    /// Whether the device is there.
    async fn is_there(&self, device: &Path) -> bool;
    /// The device of a scratch volume, by its id in the cloud and its size; or why it is none that may be used.
    async fn scratch(&self, volume_id: &str, size_bytes: i64, mounted_at: &Path) -> Result<PathBuf, String>;
    /// What is on a device.
    async fn content(&self, device: &Path) -> Result<Content, String>;
    /// Makes a file system on a device, with [`LABEL`]. Everything on it is lost.
    async fn format(&self, device: &Path) -> Result<(), String>;
    /// Checks the file system, mounts it, and grows it to the size of its device. Mounted already: only grows it.
    async fn mount(&self, device: &Path, uuid: &str, at: &Path) -> Result<(), String>;
}

/// The disks of a Linux server. Needs root, `blkid`, `mkfs.ext4`, `e2fsck`, `resize2fs`, `lsblk` and `mount`.
#[derive(Debug, Clone, Copy)]
pub struct SystemDisks;

async fn run(program: &str, args: &[&str]) -> Result<(i32, String), String> {
    let run = Command::new(program).args(args).stdin(Stdio::null()).output().await;
    let output = run.map_err(|e| format!("`{program}` cannot be run: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let code = output.status.code().unwrap_or(-1);
    let out = text(&output.stdout);
    Ok((code, if code == 0 || !out.is_empty() { out } else { text(&output.stderr) }))
}

async fn must(program: &str, args: &[&str]) -> Result<(), String> {
    match run(program, args).await? {
        (0, _) => Ok(()),
        (code, text) => Err(format!("`{program}` ended with {code}: {text}")),
    }
}

/// What `blkid -p -o export` says: exit code 2 means that it knows nothing on the device.
fn read_blkid(code: i32, text: &str) -> Result<Option<Content>, String> {
    let value = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')));
        line.unwrap_or_default().replace('\\', "")
    };
    match code {
        0 if !value("TYPE").is_empty() => {
            Ok(Some(Content::FileSystem { kind: value("TYPE"), label: value("LABEL"), uuid: value("UUID") }))
        }
        0 if !value("PTTYPE").is_empty() => {
            Ok(Some(Content::Other(format!("a partition table ({})", value("PTTYPE")))))
        }
        0 => Ok(Some(Content::Other("something that has no name".to_owned()))),
        2 => Ok(None),
        8 => Ok(Some(Content::Other("the signatures of several file systems".to_owned()))),
        _ => Err(format!("`blkid` ended with {code}: {text}")),
    }
}

/// Whether the beginning of a device is zero.
fn begins_with_zeros(device: &Path) -> Result<bool, String> {
    let failed = |e| format!("cannot read {}: {e}", device.display());
    let file = std::fs::File::open(device).map_err(failed)?;
    let mut begin = vec![0; CHECKED];
    let read = file.read_at(&mut begin, 0).map_err(failed)?;
    Ok(begin.iter().take(read).all(|b| *b == 0))
}

/// A scratch volume in the output of `lsblk --json`. No source says how its device is named, so it is told by what it is:
/// the only whole disk of about that size that is not block storage, has no partitions, can be written, and is mounted nowhere but
/// for models. `block`: the devices of block storage.
fn scratch_in(listed: &str, size_bytes: i64, mounted_at: &str, block: &BTreeSet<PathBuf>) -> Result<PathBuf, String> {
    let listed: Value =
        serde_json::from_str(listed).map_err(|e| format!("the output of `lsblk` is unreadable: {e}"))?;
    let fits = |disk: &&Value| {
        let text = |key: &str| disk.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        // Older versions write numbers and truth values as text.
        let size = disk.get("size").and_then(|s| s.as_i64().or_else(|| s.as_str()?.parse().ok())).unwrap_or_default();
        let is_no = |key: &str| disk.get(key).is_some_and(|v| *v == Value::Bool(false) || v.as_str() == Some("0"));
        let is_ours =
            |at: &str| at.strip_prefix(mounted_at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let mounts = disk.get("mountpoints").and_then(Value::as_array);
        text("type") == "disk"
            && text("vendor") != BLOCK_STORAGE
            && !block.contains(Path::new(&text("path")))
            && is_no("ro")
            && is_no("rm")
            && size.abs_diff(size_bytes) <= size_bytes.unsigned_abs() / TOLERANCE
            && disk.get("children").is_none()
            && mounts.is_some_and(|all| all.iter().all(|at| at.is_null() || at.as_str().is_some_and(is_ours)))
    };
    let disks = listed.get("blockdevices").and_then(Value::as_array).into_iter().flatten();
    match disks.filter(fits).collect::<Vec<_>>().as_slice() {
        [disk] => {
            let path = disk.get("path").and_then(Value::as_str).ok_or("`lsblk` gives no path")?;
            Ok(PathBuf::from(path))
        }
        [] => Err(format!("no unused disk of {size_bytes} bytes is there")),
        several => Err(format!("{} unused disks of {size_bytes} bytes are there", several.len())),
    }
}

/// The devices that links by id call block storage.
fn block_devices(links: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(links).into_iter().flatten().flatten();
    let named = entries.filter(|e| e.file_name().to_string_lossy().contains(BLOCK_STORAGE));
    named.filter_map(|e| std::fs::canonicalize(e.path()).ok()).collect()
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

#[async_trait]
impl Disks for SystemDisks {
    async fn is_there(&self, device: &Path) -> bool {
        tokio::fs::metadata(device).await.is_ok()
    }

    async fn scratch(&self, _volume_id: &str, size_bytes: i64, mounted_at: &Path) -> Result<PathBuf, String> {
        let columns = "PATH,SIZE,TYPE,VENDOR,RO,RM,MOUNTPOINTS";
        let block = block_devices(Path::new("/dev/disk/by-id"));
        match run("lsblk", &["--json", "--bytes", "--output", columns]).await? {
            (0, listed) => scratch_in(&listed, size_bytes, &text_of(mounted_at), &block),
            (code, text) => Err(format!("`lsblk` ended with {code}: {text}")),
        }
    }

    async fn content(&self, device: &Path) -> Result<Content, String> {
        let (code, text) = run("blkid", &["-p", "-o", "export", &text_of(device)]).await?;
        if let Some(found) = read_blkid(code, &text)? {
            return Ok(found);
        }
        let zero = begins_with_zeros(device)?;
        Ok(if zero { Content::Empty } else { Content::Other(UNKNOWN.to_owned()) })
    }

    async fn format(&self, device: &Path) -> Result<(), String> {
        // Not in this future: it may be dropped, and a second one must not begin while the first one writes.
        let device = text_of(device);
        let format =
            tokio::spawn(async move { must("mkfs.ext4", &["-q", "-F", "-m", "0", "-L", LABEL, &device]).await });
        format.await.map_err(|e| e.to_string())?
    }

    async fn mount(&self, device: &Path, uuid: &str, at: &Path) -> Result<(), String> {
        let (device, at) = (text_of(device), text_of(at));
        let mounted = run("findmnt", &["-n", "-o", "UUID", "--mountpoint", &at]).await?;
        if mounted.0 != 0 {
            // 1: errors were corrected.
            let (code, text) = run("e2fsck", &["-p", &device]).await?;
            if code > 1 {
                return Err(format!("the file system is damaged: `e2fsck` ended with {code}: {text}"));
            }
            tokio::fs::create_dir_all(&at).await.map_err(|e| format!("cannot create {at}: {e}"))?;
            // The device, not the id: a copy of the volume may be attached, too.
            must("mount", &["-o", "noatime", &device, &at]).await?;
        } else if mounted.1 != uuid {
            return Err(format!("another file system ({}) is mounted at {at}", mounted.1));
        }
        must("resize2fs", &[&device]).await
    }
}

/// The disks of an emulated server: a folder with one file per volume, named by the volume's id. A mounted file system is
/// the folder `<file>.d`. Nothing here needs root or other programs.
#[derive(Debug, Clone)]
pub struct FileDisks {
    /// The folder with the volumes.
    pub volumes: PathBuf,
}

/// How a formatted file begins.
const HEADER: &str = "emulated file system\n";

impl FileDisks {
    /// The file of a device such as `…/scsi-0SCW_sbs_volume-<id>`.
    fn file(&self, device: &Path) -> Option<PathBuf> {
        let name = device.file_name()?.to_str()?;
        let (_, id) = name.split_once("volume-")?;
        std::fs::canonicalize(self.volumes.join(id)).ok()
    }

    fn found(&self, device: &Path) -> Result<PathBuf, String> {
        self.file(device).ok_or_else(|| format!("{} is not there", device.display()))
    }
}

#[async_trait]
impl Disks for FileDisks {
    async fn is_there(&self, device: &Path) -> bool {
        self.file(device).is_some()
    }

    async fn scratch(&self, volume_id: &str, _size_bytes: i64, _mounted_at: &Path) -> Result<PathBuf, String> {
        let device = PathBuf::from(format!("volume-{volume_id}"));
        self.found(&device).map(|_| device)
    }

    async fn content(&self, device: &Path) -> Result<Content, String> {
        let path = self.found(device)?;
        if begins_with_zeros(&path)? {
            return Ok(Content::Empty);
        }
        let file = std::fs::File::open(&path).map_err(|e| e.to_string())?;
        let mut begin = [0; 256];
        let read = file.read_at(&mut begin, 0).map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(begin.get(..read).unwrap_or_default()).into_owned();
        let Some(rest) = text.strip_prefix(HEADER) else {
            return Ok(Content::Other(UNKNOWN.to_owned()));
        };
        let mut lines = rest.lines();
        let (label, uuid) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        Ok(Content::FileSystem { kind: "ext4".to_owned(), label: label.to_owned(), uuid: uuid.to_owned() })
    }

    async fn format(&self, device: &Path) -> Result<(), String> {
        let path = self.found(device)?;
        let folder = path.with_extension("d");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let file = std::fs::OpenOptions::new().write(true).open(&path).map_err(|e| e.to_string())?;
        let header = format!("{HEADER}{LABEL}\n{}\n", uuid::Uuid::new_v4());
        file.write_all_at(header.as_bytes(), 0).map_err(|e| e.to_string())
    }

    async fn mount(&self, device: &Path, _uuid: &str, at: &Path) -> Result<(), String> {
        let folder = self.found(device)?.with_extension("d");
        let _ = std::fs::remove_file(at);
        std::os::unix::fs::symlink(folder, at).map_err(|e| format!("cannot mount at {}: {e}", at.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_output_of_blkid_is_read() {
        let ours = "DEVNAME=/dev/sdb\nLABEL=inventiv-data\nUUID=abc\nVERSION=1.0\nTYPE=ext4\nUSAGE=filesystem";
        let fs = |kind: &str, label: &str, uuid: &str| {
            Ok(Some(Content::FileSystem { kind: kind.into(), label: label.into(), uuid: uuid.into() }))
        };
        let other = |text: &str| Ok(Some(Content::Other(text.into())));
        for (code, text, read) in [
            (0, ours, fs("ext4", "inventiv-data", "abc")),
            (0, "DEVNAME=/dev/sdb\nUUID=x\nTYPE=crypto_LUKS", fs("crypto_LUKS", "", "x")),
            (0, "DEVNAME=/dev/sdb\nLABEL=my\\ disk\nTYPE=xfs", fs("xfs", "my disk", "")),
            (0, "DEVNAME=/dev/sda\nPTUUID=1\nPTTYPE=gpt", other("a partition table (gpt)")),
            (0, "DEVNAME=/dev/sda", other("something that has no name")),
            (2, "", Ok(None)),
            (8, "", other("the signatures of several file systems")),
            (4, "usage", Err("`blkid` ended with 4: usage".to_owned())),
        ] {
            assert_eq!(read_blkid(code, text), read, "{text}");
        }
    }

    #[test]
    fn a_scratch_disk_is_the_only_unused_disk_of_its_size() {
        const TB: i64 = 1_000_000_000_000;
        let disk = |path: &str, size: i64, more: Value| {
            let mut all = json!({"path": path, "size": size, "type": "disk", "vendor": null, "ro": false,
                "rm": "0", "mountpoints": [null]});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let plain = |path: &str, size: i64| disk(path, size, json!({}));
        let boot = disk("/dev/sda", 3 * TB, json!({"vendor": "SCW     ", "children": [{"path": "/dev/sda1"}]}));
        let found = |path: &str| Ok(PathBuf::from(path));
        let block = BTreeSet::from([PathBuf::from("/dev/block")]);
        let none = || Err("no unused disk of 3000000000000 bytes is there".to_owned());
        for (disks, is) in [
            (json!([boot, plain("/dev/vdb", 3 * TB)]), found("/dev/vdb")),
            (json!([boot, plain("/dev/nvme0n1", 3 * TB + 4_194_304)]), found("/dev/nvme0n1")),
            (json!([disk("/dev/vdb", 0, json!({"size": "3000000000000"}))]), found("/dev/vdb")),
            (json!([disk("/dev/vdb", 3 * TB, json!({"mountpoints": ["/data", "/data/docker/x"]}))]), found("/dev/vdb")),
            (json!([boot]), none()),
            (json!([disk("/dev/vdb", 3 * TB, json!({"mountpoints": ["/home"]}))]), none()),
            (json!([disk("/dev/vdb", 3 * TB, json!({"children": [{"path": "/dev/vdb1"}]}))]), none()),
            (json!([disk("/dev/sdb", 3 * TB, json!({"vendor": "SCW     "}))]), none()),
            (json!([disk("/dev/loop0", 3 * TB, json!({"type": "loop"}))]), none()),
            (json!([plain("/dev/vdb", 2 * TB)]), none()),
            (json!([plain("/dev/block", 3 * TB)]), none()),
            (json!([disk("/dev/vdb", 3 * TB, json!({"mountpoints": ["/database"]}))]), none()),
            (json!([disk("/dev/vdb", 3 * TB, json!({"mountpoints": null}))]), none()),
            (json!([disk("/dev/vdb", 3 * TB, json!({"ro": true}))]), none()),
            (json!([disk("/dev/vdb", 3 * TB, json!({"rm": "1"}))]), none()),
            (json!([plain("/dev/vdb", i64::MIN)]), none()),
            (
                json!([plain("/dev/vdb", 3 * TB), plain("/dev/vdc", 3 * TB)]),
                Err("2 unused disks of 3000000000000 bytes are there".to_owned()),
            ),
        ] {
            let listed = json!({"blockdevices": disks}).to_string();
            assert_eq!(scratch_in(&listed, 3 * TB, "/data", &block), is, "{listed}");
        }
        assert!(scratch_in("lsblk: not JSON", 3 * TB, "/data", &block).is_err());
    }

    #[test]
    fn block_storage_is_known_by_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| std::fs::canonicalize(folder.path()).unwrap().join(name);
        for (link, device) in [("scsi-0SCW_sbs_volume-1", "sda"), ("nvme-uuid.1", "nvme0n1")] {
            std::fs::write(at(device), "").unwrap();
            std::os::unix::fs::symlink(at(device), at(link)).unwrap();
        }
        assert_eq!(block_devices(folder.path()), BTreeSet::from([at("sda")]));
        assert_eq!(block_devices(Path::new("/nowhere")), BTreeSet::new());
    }

    #[tokio::test]
    async fn an_emulated_disk_is_formatted_and_mounted_like_a_real_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1234");
        std::fs::File::create(&file).unwrap().set_len(1_000_000).unwrap();
        let disks = FileDisks { volumes: folder.path().to_owned() };
        let device = Path::new("/dev/disk/by-id/scsi-0SCW_sbs_volume-1234");
        assert!(!disks.is_there(Path::new("/dev/disk/by-id/scsi-0SCW_sbs_volume-9")).await);
        assert_eq!(disks.content(device).await, Ok(Content::Empty));
        disks.format(device).await.unwrap();
        let Content::FileSystem { label, uuid, .. } = disks.content(device).await.unwrap() else { panic!() };
        assert_eq!(label, LABEL);
        let at = folder.path().join("data");
        disks.mount(device, &uuid, &at).await.unwrap();
        std::fs::write(at.join("marker"), "here").unwrap();
        disks.mount(device, &uuid, &at).await.unwrap();
        assert_eq!(std::fs::read_to_string(at.join("marker")).unwrap(), "here");
        std::fs::write(&file, "somebody's data").unwrap();
        assert!(matches!(disks.content(device).await, Ok(Content::Other(_))));
    }
}
