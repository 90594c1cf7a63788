//! A virtual machine: QEMU without KVM, with the disks, the network and the console of one server.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// How long a machine may take to power off.
const OFF_WITHIN: Duration = Duration::from_secs(120);
/// How many lines of the console a failure shows.
const CONSOLE_LINES: usize = 60;

/// A volume of a machine: an image file, attached as the cloud attaches its block volumes, or as a local disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) file: PathBuf,
    /// The cloud's id of the volume.
    pub(crate) volume_id: String,
    /// Whether it is scratch: a local disk whose name says nothing.
    pub(crate) is_scratch: bool,
}

impl Disk {
    /// A blank disk.
    pub(crate) fn blank(folder: &Path, size_bytes: u64) -> Result<Self, String> {
        let volume_id = uuid::Uuid::new_v4().to_string();
        let file = folder.join(format!("volume-{volume_id}.img"));
        let disk = Self { file, volume_id, is_scratch: false };
        std::fs::File::create(&disk.file).map_err(|e| format!("{}: {e}", disk.file.display()))?;
        disk.resize(size_bytes)?;
        Ok(disk)
    }

    /// Changes its size. No machine may run with it.
    pub(crate) fn resize(&self, size_bytes: u64) -> Result<(), String> {
        let file = std::fs::OpenOptions::new().write(true).open(&self.file);
        file.and_then(|f| f.set_len(size_bytes)).map_err(|e| format!("{}: {e}", self.file.display()))
    }

    /// Its size, in bytes.
    pub(crate) fn size(&self) -> Result<u64, String> {
        std::fs::metadata(&self.file).map(|m| m.len()).map_err(|e| format!("{}: {e}", self.file.display()))
    }

    /// The SHA-256 of all of it.
    pub(crate) fn sha256(&self) -> Result<String, String> {
        sha256(&self.file)
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String, String> {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    let read = std::fs::File::open(path).and_then(|mut f| std::io::copy(&mut f, &mut hash));
    read.map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(inventiv_worker_api::message::hex(&hash.finalize()))
}

/// What a machine consists of. Its boot disk is a layer over the image, so that the image never changes.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The folder with `base.img`, `vmlinuz` and `initrd.img`.
    image: PathBuf,
    /// The folder of its own files.
    folder: PathBuf,
    /// The port of this host that leads to the worker's port.
    pub(crate) port: u16,
    /// Its main memory, in MiB.
    memory_mib: u32,
    /// What is started at boot besides what the image starts.
    wants: &'static str,
}

impl Machine {
    /// A machine that has never been started, and gets this user data.
    pub(crate) async fn new(image: &Path, folder: PathBuf, id: &str, user_data: &str) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        std::fs::write(folder.join("user-data"), user_data).map_err(failed)?;
        std::fs::write(folder.join("meta-data"), format!("instance-id: {id}\nlocal-hostname: vm\n")).map_err(failed)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map_err(failed)?.port();
        let base = image.join("base.img").display().to_string();
        let layer = ["create", "-q", "-f", "qcow2", "-b", &base, "-F", "raw", "boot.qcow2"];
        must(Command::new("qemu-img").args(layer).current_dir(&folder)).await?;
        let seed = ["-quiet", "-o", "seed.iso", "-V", "cidata", "-J", "-r", "user-data", "meta-data"];
        must(Command::new("genisoimage").args(seed).current_dir(&folder)).await?;
        Ok(Self { image: image.to_owned(), folder, port, memory_mib: 1_024, wants: "" })
    }

    /// The same machine with Docker, which starts at boot, as it does in images of clouds for GPUs.
    pub(crate) fn with_docker(self) -> Self {
        Self { memory_mib: 2_048, wants: " systemd.wants=docker.service", ..self }
    }

    /// Starts it with these volumes.
    pub(crate) fn start(&self, disks: &[Disk]) -> Result<Running, String> {
        let text = |path: PathBuf| path.display().to_string();
        // Two processors emulated in two threads. No five-level page tables: emulating them is slow.
        let mut args: Vec<String> = "-accel tcg,thread=multi -cpu max,la57=off -smp 2 -display none -nodefaults \
             -device virtio-rng-pci -device virtio-net-pci,netdev=net -device virtio-scsi-pci -append"
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        args.push(format!("root=/dev/vda rw console=ttyS0 net.ifnames=0{}", self.wants));
        for (flag, value) in [
            ("-m", self.memory_mib.to_string()),
            ("-kernel", text(self.image.join("vmlinuz"))),
            ("-initrd", text(self.image.join("initrd.img"))),
            ("-drive", "file=boot.qcow2,if=virtio,format=qcow2,cache=writeback".to_owned()),
            ("-drive", "file=seed.iso,if=virtio,format=raw,readonly=on".to_owned()),
            ("-netdev", format!("user,id=net,hostfwd=tcp:127.0.0.1:{}-:8443", self.port)),
            ("-chardev", "file,id=console,path=console.log,append=on".to_owned()),
            ("-serial", "chardev:console".to_owned()),
            ("-monitor", "unix:monitor,server,nowait".to_owned()),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        for (n, disk) in disks.iter().enumerate() {
            let (file, id) = (disk.file.display(), &disk.volume_id);
            if disk.is_scratch {
                args.extend(["-drive".to_owned(), format!("file={file},if=virtio,format=raw")]);
                continue;
            }
            args.extend(["-drive".to_owned(), format!("file={file},if=none,id=d{n},format=raw")]);
            let device = format!("scsi-hd,drive=d{n},vendor=SCW,product=sbs,device_id=volume-{id}");
            args.extend(["-device".to_owned(), device]);
        }
        let mut command = Command::new("qemu-system-x86_64");
        command.args(&args).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().map_err(|e| format!("qemu-system-x86_64: {e}"))?;
        Ok(Running { child, folder: self.folder.clone() })
    }

    /// What it wrote to its console.
    pub(crate) fn whole_console(&self) -> String {
        let bytes = std::fs::read(self.folder.join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of what it wrote to its console.
    pub(crate) fn console(&self) -> String {
        let text = self.whole_console();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(CONSOLE_LINES)).map(|l| format!("  {l}\n")).collect()
    }
}

/// A machine that runs. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    async fn tell(&self, command: &str) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("QEMU's monitor: {e}");
        let mut monitor = UnixStream::connect(self.folder.join("monitor")).await.map_err(failed)?;
        monitor.write_all(format!("{command}\n").as_bytes()).await.map_err(failed)?;
        // It executes what it has read when its prompt comes.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    /// Resets it, as if its power had failed: what was not written to a disk is lost.
    pub(crate) async fn reset(&self) -> Result<(), String> {
        self.tell("system_reset").await
    }

    /// Presses its power button, and waits for it to be off.
    pub(crate) async fn power_off(mut self) -> Result<(), String> {
        self.tell("system_powerdown").await?;
        match tokio::time::timeout(OFF_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(ended) => Err(format!("QEMU ended: {ended:?}")),
            Err(_) => Err(format!("the machine did not power off within {} s", OFF_WITHIN.as_secs())),
        }
    }

    /// An error if QEMU has ended.
    pub(crate) fn must_run(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("QEMU ended: {ended:?}")),
        }
    }
}

/// Runs a program that must succeed.
pub(crate) async fn must(command: &mut Command) -> Result<(), String> {
    let output = command.output().await.map_err(|e| format!("{:?}: {e}", command.as_std().get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{:?}: {}", command.as_std(), String::from_utf8_lossy(&output.stderr).trim()))
}
