//! Block volumes are files, which the machine sees while they are attached.

use crate::{BLOCK, GB, INSTANCE, Stage};
use serde_json::{Value, json};
use std::path::PathBuf;

const IDLE: &str =
    r#"echo $$ >> "$EMULATED_VM_DIR/pids"; ls "$EMULATED_VM_VOLUMES" > "$EMULATED_VM_DIR/beats"; exec sleep 1000"#;

impl Stage {
    /// A volume's file.
    fn file(&self, volume: &str) -> PathBuf {
        self.folder.join("volumes").join(volume)
    }

    /// The volume as a server's machine sees it.
    fn seen(&self, id: &str, volume: &str) -> PathBuf {
        self.disk(id).join("volumes").join(volume)
    }

    fn size(&self, volume: &str) -> u64 {
        self.file(volume).metadata().map_or(0, |m| m.len())
    }
}

#[test]
fn a_volume_is_a_sparse_file_that_the_system_finds_when_it_boots() {
    use std::os::unix::fs::MetadataExt;
    let stage = Stage::new(IDLE);
    let (id, volume) = (stage.server(), stage.volume(500));
    stage.attach(&id, &volume);
    assert!(!stage.file(&volume).exists(), "nothing needs it yet");
    stage.act(&id, "poweron");
    stage.eventually("booted", || crate::read(&stage.disk(&id).join("beats")).contains(&volume));
    let file = stage.seen(&id, &volume).metadata().unwrap();
    assert_eq!((file.len(), file.blocks()), (500 * GB, 0));
    let root = stage.show(&id)["volumes"]["0"]["id"].as_str().unwrap().to_owned();
    assert!(stage.seen(&id, &root).exists(), "its boot volume is a block volume too");
}

#[test]
fn scratch_is_a_disk_that_a_power_off_erases_and_a_reboot_keeps() {
    let stage = Stage::new(IDLE);
    let images = "/marketplace/v2/local-images?image_label=ubuntu_jammy_gpu_os_12&zone=fr-par-2&type=instance_sbs";
    let image = stage.ask("GET", images, Value::Null)["local_images"][0]["id"].clone();
    let body = json!({"name": "s", "commercial_type": "L40S-1-48G", "image": image});
    let made = stage.ask("POST", INSTANCE, body)["server"].clone();
    let (id, scratch) = (made["id"].as_str().unwrap(), made["volumes"]["1"]["id"].as_str().unwrap());
    assert_eq!(made["volumes"]["1"]["volume_type"], "scratch");
    stage.act(id, "poweron");
    stage.eventually("it runs", || stage.pids(id).len() == 1);
    stage.eventually("the disk is there", || stage.size(scratch) == 1_600 * GB && stage.seen(id, scratch).exists());
    let note = stage.folder.join("volumes").join(format!("{scratch}.d"));
    std::fs::create_dir(&note).unwrap();
    stage.act(id, "reboot");
    stage.eventually("it runs again", || stage.pids(id).len() == 2);
    assert!(note.exists() && stage.file(scratch).exists());
    stage.act(id, "poweroff");
    stage.eventually("it is erased", || !stage.file(scratch).exists() && !note.exists());
    stage.act(id, "poweron");
    stage.eventually("a blank disk is there", || stage.size(scratch) == 1_600 * GB);
    stage.act(id, "terminate");
    stage.eventually("nothing is left", || !stage.file(scratch).exists());
}

#[test]
fn attachments_and_detachments_show_at_once_on_a_running_server() {
    let stage = Stage::new(IDLE);
    let (id, volume) = (stage.running(), stage.volume(1));
    stage.ask("POST", &format!("{INSTANCE}/{id}/attach-volume"), json!({"volume_id": volume}));
    stage.eventually("the link is there", || stage.seen(&id, &volume).exists());
    stage.emulator.advance_ms(10_000);
    stage.ask("POST", &format!("{INSTANCE}/{id}/detach-volume"), json!({"volume_id": volume}));
    stage.eventually("the link is gone", || stage.seen(&id, &volume).symlink_metadata().is_err());
    assert!(stage.file(&volume).exists());
    assert_eq!(stage.pids(&id).len(), 1, "the machine did not boot again");
}

#[test]
fn a_volume_grows_attached_or_not() {
    let stage = Stage::new(IDLE);
    let (id, volume) = (stage.running(), stage.volume(1));
    let grow = |gb: u64| {
        stage.ask("PATCH", &format!("{BLOCK}/{volume}"), json!({"size": gb * GB}));
        stage.emulator.advance_ms(10_000);
        stage.eventually("it is as large", || stage.size(&volume) == gb * GB);
    };
    stage.attach(&id, &volume);
    stage.eventually("it has a file", || stage.size(&volume) == GB);
    grow(3);
    stage.detach(&id, &volume);
    grow(5);
}

#[test]
fn a_detached_volume_keeps_its_content_for_another_server() {
    use std::os::unix::fs::FileExt;
    let stage = Stage::new(IDLE);
    let (one, two, volume) = (stage.running(), stage.running(), stage.volume(1));
    stage.attach(&one, &volume);
    stage.eventually("the first sees it", || stage.seen(&one, &volume).exists());
    let file = std::fs::OpenOptions::new().write(true).open(stage.seen(&one, &volume)).unwrap();
    file.write_all_at(b"weights", GB - 7).unwrap();
    stage.act(&one, "terminate");
    stage.emulator.advance_ms(60_000);
    stage.attach(&two, &volume);
    stage.eventually("the second sees it", || stage.seen(&two, &volume).exists());
    let mut end = [0_u8; 7];
    std::fs::File::open(stage.seen(&two, &volume)).unwrap().read_exact_at(&mut end, GB - 7).unwrap();
    assert_eq!((&end, stage.size(&volume)), (b"weights", GB));
}

#[test]
fn a_deleted_volume_leaves_no_file_and_no_folder() {
    let stage = Stage::new(IDLE);
    let (id, volume, kept) = (stage.running(), stage.volume(1), stage.volume(1));
    stage.attach(&id, &volume);
    stage.attach(&id, &kept);
    stage.eventually("both have files", || stage.size(&volume) == GB && stage.size(&kept) == GB);
    for volume in [&volume, &kept] {
        let folder = stage.folder.join("volumes").join(format!("{volume}.d"));
        std::fs::create_dir_all(folder.join("models")).unwrap();
        std::fs::write(folder.join("models/one"), "x").unwrap();
    }
    stage.detach(&id, &volume);
    let (status, answer) = stage.raw("DELETE", &format!("{BLOCK}/{volume}"), "");
    assert_eq!((status, answer), (204, Value::Null));
    stage.eventually("both are gone", || {
        !stage.file(&volume).exists() && !stage.folder.join("volumes").join(format!("{volume}.d")).exists()
    });
    assert!(stage.folder.join("volumes").join(format!("{kept}.d/models/one")).exists());
    stage.act(&id, "terminate");
    stage.eventually("the server's disk is gone", || !stage.disk(&id).exists());
    assert_eq!(stage.size(&kept), GB, "a block volume survives its server");
}
