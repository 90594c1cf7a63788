//! The first-boot instructions of a server (cloud-init): our own part, and one from the user.
//!
//! A single part is sent as it is, two parts as a MIME archive. cloud-init reads ours last and merges it: lists are
//! appended, and what the user set stays.

use crate::cloud::CloudProfile;
use crate::recorded::Aggregate;

/// Where the data volume is mounted.
const MOUNT_POINT: &str = "/data";
/// The maximum size of the user's part, in bytes.
pub const PART_MAX: usize = 65_536;
/// The beginnings of a part, with their MIME types. cloud-init knows more kinds, which are not accepted.
const KINDS: [(&str, &str); 6] = [
    ("#cloud-config\n", "text/cloud-config"),
    ("#cloud-config\r\n", "text/cloud-config"),
    ("#!", "text/x-shellscript"),
    ("#cloud-boothook", "text/cloud-boothook"),
    ("#include", "text/x-include-url"),
    ("## template: jinja", "text/jinja2"),
];

fn kind_of(part: &str) -> Option<&'static str> {
    KINDS.iter().find(|(begins, _)| part.starts_with(begins)).map(|(_, kind)| *kind)
}

/// The mistake in a user's part, if there is one.
#[must_use]
pub fn wrong_part(part: &str) -> Option<String> {
    if part.len() > PART_MAX {
        return Some(format!("at most {PART_MAX} bytes; let it download anything larger"));
    }
    if part.contains('\0') || kind_of(part).is_none() {
        return Some("must begin with `#cloud-config` and a new line, or be a script that begins with `#!`".to_owned());
    }
    None
}

/// A file that a server gets for its worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFile {
    /// Where.
    pub path: String,
    /// Its permissions, in octal digits.
    pub mode: &'static str,
    /// Its content.
    pub content: String,
}

/// What a server gets so that a worker can be installed on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFiles {
    /// Its files.
    pub files: Vec<WorkerFile>,
    /// Commands that are run once, in order.
    pub commands: Vec<String>,
}

/// The first-boot instructions for the server of an instance. With `worker`, a worker is installed, and it prepares the
/// data volume; otherwise cloud-init does.
#[must_use]
pub fn for_instance(agg: &Aggregate, profile: &CloudProfile, worker: Option<&WorkerFiles>) -> String {
    let own = own_part(agg, profile, worker);
    let Some((part, kind)) = agg.instance.spec.user_data.as_deref().and_then(|p| kind_of(p).map(|k| (p, k))) else {
        return own;
    };
    // The user did not know the instance's id when writing the part, so it cannot contain the boundary.
    let boundary = format!("=={}==", agg.instance.id);
    let section = |kind: &str, text: &str| {
        format!(
            "--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\nMIME-Version: 1.0\n\
             Content-Transfer-Encoding: 8bit\n\n{text}\n"
        )
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n{}{}--{boundary}--\n",
        section(kind, part),
        section("text/cloud-config", &own)
    )
}

/// Our part: the mount of the data volume, the SSH keys, and the environment of the worker.
fn own_part(agg: &Aggregate, profile: &CloudProfile, files: Option<&WorkerFiles>) -> String {
    let instance = &agg.instance;
    let data = agg.data_volume().filter(|v| v.is_live());
    let device = data.and_then(|v| v.provider_id.as_deref()).map(|id| profile.device_of(id));
    let mut text = String::from("#cloud-config\n");
    if instance.spec.user_data.is_some() {
        text.push_str(
            "merge_how:\n  - {name: list, settings: [append]}\n  - {name: dict, settings: [no_replace, recurse_list]}\n",
        );
    }
    if let Some(device) = device.as_ref().filter(|_| files.is_none()) {
        text.push_str(&format!(
            "fs_setup:\n  - device: {device}\n    filesystem: ext4\n    label: inventiv-data\n    overwrite: false\n\
             mounts:\n  - [{device}, {MOUNT_POINT}, ext4, \"defaults,nofail,x-systemd.device-timeout=60s\", \"0\", \"2\"]\n"
        ));
    }
    // A JSON string is also a YAML string, whatever it contains.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    if !instance.spec.ssh_keys.is_empty() {
        text.push_str("ssh_authorized_keys:\n");
        text.extend(instance.spec.ssh_keys.iter().map(|key| format!("  - {}\n", quoted(key))));
    }
    let line = |key: &str, value: &str| format!("{key}={value}\n");
    let mut worker = line("INVENTIV_INSTANCE_ID", instance.id.as_str());
    worker.push_str(&line("INVENTIV_MODEL_ID", instance.model_id.as_deref().unwrap_or_default()));
    if device.is_some() {
        worker.push_str(&line("INVENTIV_DATA_DIR", MOUNT_POINT));
    }
    let file = |path: &str, mode: &str, content: &str| {
        format!("  - path: {path}\n    permissions: \"{mode}\"\n    content: {}\n", quoted(content))
    };
    text.push_str("write_files:\n");
    text.push_str(&file("/etc/inventiv/worker.env", "0644", &worker));
    if let Some(worker) = files {
        text.extend(worker.files.iter().map(|f| file(&f.path, f.mode, &f.content)));
        text.push_str("runcmd:\n");
        text.extend(worker.commands.iter().map(|command| format!("  - {}\n", quoted(command))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_part_follows_from_its_first_line() {
        for (part, fits) in [
            ("#cloud-config\npackages: [htop]\n", true),
            ("#cloud-config\r\npackages: [htop]\r\n", true),
            ("#!/bin/sh\necho hello\n", true),
            ("#include\nhttps://example.com/x\n", true),
            ("packages: [htop]\n", false),
            ("#cloud-configuration\n", false),
            ("", false),
            ("#!/bin/sh\n\0", false),
            ("Content-Type: multipart/mixed; boundary=x\n", false),
        ] {
            assert_eq!(wrong_part(part).is_none(), fits, "{part:?}");
        }
        assert!(wrong_part(&format!("#!{}", "x".repeat(PART_MAX - 2))).is_none());
        assert!(wrong_part(&format!("#!{}", "x".repeat(PART_MAX - 1))).is_some());
    }
}
