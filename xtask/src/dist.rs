//! `cargo xtask dist`: makes the release files: a static executable with its unit file, manual page and completions, a
//! container image of it (OCI layout), and checksums.

use crate::{cargo, programs, root, run};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-musl";
/// The certificate authorities that the image trusts, from the build machine (Debian: ca-certificates).
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The image's user id, which no host assigns.
const USER: &str = "65532";

pub(crate) fn make() -> Result<(), String> {
    tools()?;
    cargo(&["build", "--release", "--locked", "--target", TARGET, "--package", "inventiv"])?;
    let target = programs::target();
    let binary = target.join(TARGET).join("release/inventiv");
    if !is_static(&read(&binary)?) {
        return Err(format!("{} needs a dynamic linker", binary.display()));
    }
    let folder = target.join("dist");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let name = format!("inventiv-{}-x86_64-linux", env!("CARGO_PKG_VERSION"));
    archive(&binary, &folder, &name)?;
    image(&binary, &folder, &format!("{name}-image"))?;
    sums(&folder)
}

fn tools() -> Result<(), String> {
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let libraries = libraries.map_err(|e| format!("rustc: {e}"))?;
    if !Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
        return Err(format!("the target is missing: rustup target add {TARGET}"));
    }
    let compiler = Command::new("musl-gcc").arg("--version").output();
    if !compiler.is_ok_and(|o| o.status.success()) {
        return Err("musl-gcc is missing (Debian: apt-get install musl-tools)".to_owned());
    }
    Ok(())
}

/// Packs the executable and its files; the same sources give the same bytes.
fn archive(binary: &Path, folder: &Path, name: &str) -> Result<(), String> {
    let inside = folder.join(name);
    write(&inside.join("inventiv"), &read(binary)?)?;
    run(Command::new("chmod").arg("755").arg(inside.join("inventiv")))?;
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "packaging/inventiv.service"] {
        let from = root().join(file);
        write(&inside.join(from.file_name().unwrap_or_default()), &read(&from)?)?;
    }
    write(&inside.join("inventiv.1"), &said(binary, &["man"])?)?;
    for shell in ["bash", "zsh", "fish"] {
        write(&inside.join(format!("completions/inventiv.{shell}")), &said(binary, &["completions", shell])?)?;
    }
    tar(folder, &folder.join(format!("{name}.tar.gz")), &["--use-compress-program=gzip -n", name])
}

fn said(binary: &Path, args: &[&str]) -> Result<Vec<u8>, String> {
    let out = Command::new(binary).args(args).output().map_err(|e| format!("{}: {e}", binary.display()))?;
    if out.status.success() { Ok(out.stdout) } else { Err(format!("inventiv {}: {}", args.join(" "), out.status)) }
}

/// A container image of the executable alone, as an OCI layout in one file.
fn image(binary: &Path, folder: &Path, name: &str) -> Result<(), String> {
    let rootfs = folder.join("rootfs");
    write(&rootfs.join("inventiv"), &read(binary)?)?;
    run(Command::new("chmod").arg("755").arg(rootfs.join("inventiv")))?;
    // The control plane needs them to verify the provider's certificate.
    write(&rootfs.join(AUTHORITIES.trim_start_matches('/')), &read(Path::new(AUTHORITIES))?)?;
    std::fs::create_dir_all(rootfs.join("data")).map_err(|e| e.to_string())?;
    run(Command::new("chmod").arg("700").arg(rootfs.join("data")))?;
    tar(&rootfs, &folder.join("layer.tar"), &["--owner", USER, "--group", USER, "data", "etc", "inventiv"])?;
    let layout = folder.join(name);
    lay_out(&layout, &read(&folder.join("layer.tar"))?)?;
    tar(&layout, &folder.join(format!("{name}.tar")), &["oci-layout", "index.json", "blobs"])?;
    for scaffold in [&rootfs, &layout] {
        std::fs::remove_dir_all(scaffold).map_err(|e| e.to_string())?;
    }
    std::fs::remove_file(folder.join("layer.tar")).map_err(|e| e.to_string())
}

/// The files of an OCI image layout with one layer.
fn lay_out(folder: &Path, layer: &[u8]) -> Result<(), String> {
    let blob = |kind: &str, bytes: &[u8]| -> Result<Value, String> {
        let digest = hex(bytes);
        write(&folder.join("blobs/sha256").join(&digest), bytes)?;
        Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
    };
    let layer_of = blob("application/vnd.oci.image.layer.v1.tar", layer)?;
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": format!("{USER}:{USER}"), "Entrypoint": ["/inventiv"], "Cmd": ["serve"], "WorkingDir": "/data",
            "Env": ["HOME=/data", "TMPDIR=/data", "INVENTIV_LISTEN=0.0.0.0:8080", "INVENTIV_DATABASE_URL=sqlite:/data/inventiv.db",
                "INVENTIV_TOKEN_FILE=/data/token"],
            "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/data": {}},
            "Labels": {"org.opencontainers.image.version": env!("CARGO_PKG_VERSION"), "org.opencontainers.image.licenses": "Apache-2.0"},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_of["digest"]]},
    });
    let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer_of],
    });
    let mut manifest = blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes())?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION")});
    let index =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]});
    write(&folder.join("index.json"), index.to_string().as_bytes())?;
    write(&folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes())
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn sums(folder: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_file()).collect();
    files.sort();
    let mut text = String::new();
    for file in &files {
        let bytes = read(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        text.push_str(&format!("{}  {name}\n", hex(&bytes)));
        println!("{:>9} kB  {}", bytes.len() / 1_000, file.display());
    }
    write(&folder.join("SHA256SUMS"), text.as_bytes())
}

/// Packs a folder: sorted, without timestamps and owners of the build machine.
fn tar(folder: &Path, archive: &Path, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("tar");
    command.args([
        "--create",
        "--sort=name",
        "--mtime=@0",
        "--numeric-owner",
        "--owner=0",
        "--group=0",
        "--format=ustar",
    ]);
    command.arg("--file").arg(archive).arg("--directory").arg(folder);
    run(command.args(args))
}

/// Whether a 64-bit ELF file names no dynamic linker.
fn is_static(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = elf.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    };
    let headers = || -> Option<Vec<u64>> {
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|n| number(usize::try_from(first + n * size).ok()?, 4)).collect()
    };
    elf.starts_with(b"\x7fELF\x02\x01") && headers().is_some_and(|kinds| !kinds.contains(&u64::from(INTERPRETER)))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    std::fs::write(file, bytes).map_err(|e| format!("{}: {e}", file.display()))
}

#[cfg(test)]
mod tests;
