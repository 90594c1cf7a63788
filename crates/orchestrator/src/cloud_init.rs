//! What a server is told before its first boot: where its model's data volume is, and what it is for.

use inventiv_core::recorded::Aggregate;
use inventiv_core::status::Origin;

/// Where the data volume is mounted.
const MOUNT_POINT: &str = "/data";

/// The `#cloud-config` for an instance.
pub(crate) fn for_instance(agg: &Aggregate) -> String {
    let instance = &agg.instance;
    let data = agg.volumes.iter().rfind(|v| v.origin == Origin::Ours && !v.is_boot && v.is_live());
    let device =
        data.and_then(|v| v.provider_id.as_deref()).map(|id| format!("/dev/disk/by-id/scsi-0SCW_sbs_volume-{id}"));
    let mut text = String::from("#cloud-config\n");
    if let Some(device) = &device {
        text.push_str(&format!(
            "fs_setup:\n  - device: {device}\n    filesystem: ext4\n    label: inventiv-data\n    overwrite: false\n\
             mounts:\n  - [{device}, {MOUNT_POINT}, ext4, \"defaults,nofail,x-systemd.device-timeout=60s\", \"0\", \"2\"]\n"
        ));
    }
    // JSON strings are YAML strings: whatever a name holds, it stays a string.
    let line = |key: &str, value: &str| format!("{key}={value}\n");
    let mut worker = line("INVENTIV_INSTANCE_ID", instance.id.as_str());
    worker.push_str(&line("INVENTIV_MODEL_ID", instance.model_id.as_deref().unwrap_or_default()));
    if device.is_some() {
        worker.push_str(&line("INVENTIV_DATA_DIR", MOUNT_POINT));
    }
    let content = serde_json::Value::String(worker);
    text.push_str(&format!(
        "write_files:\n  - path: /etc/inventiv/worker.env\n    permissions: \"0644\"\n    content: {content}\n"
    ));
    text
}
