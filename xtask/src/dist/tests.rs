//! Tests of `dist.rs`.

use super::*;

fn json_of(file: &Path) -> Value {
    serde_json::from_slice(&read(file).unwrap_or_default()).unwrap_or_default()
}

#[test]
fn the_digests_and_paths_in_an_image_match_its_files() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    lay_out(folder.path(), b"a layer")?;
    let blob = |of: &Value| -> Vec<u8> {
        let digest = of["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned();
        let bytes = read(&folder.path().join("blobs/sha256").join(&digest)).unwrap_or_default();
        assert_eq!((hex(&bytes), Some(bytes.len() as u64)), (digest, of["size"].as_u64()), "{of}");
        bytes
    };
    assert_eq!(json_of(&folder.path().join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let manifest: Value =
        serde_json::from_slice(&blob(&json_of(&folder.path().join("index.json"))["manifests"][0])).unwrap_or_default();
    assert_eq!(blob(&manifest["layers"][0]), b"a layer");
    let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap_or_default();
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    assert_eq!(config["config"]["Entrypoint"][0], "/inventiv");
    Ok(())
}

#[test]
fn an_executable_with_a_dynamic_linker_is_not_static() {
    let mut elf = vec![0; 64 + 2 * 56];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (elf[32], elf[54], elf[56]) = (64, 56, 2);
    elf[64] = 1;
    assert!(is_static(&elf));
    elf[64 + 56] = 3;
    assert!(!is_static(&elf));
    assert!(!is_static(b"#!/bin/sh") && !is_static(&elf[..100]));
    let this = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
    assert!(!is_static(&this), "a test executable is linked dynamically");
}

#[test]
fn systemd_rates_the_unit_file_as_well_hardened() {
    let unit = root().join("packaging/inventiv.service");
    let judged =
        Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15"]).arg(unit).output();
    // Not every machine has systemd.
    if let Ok(judged) = judged {
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    }
}
