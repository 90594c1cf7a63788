//! Tests of `data_volume.rs`.

use super::*;

#[test]
fn only_an_empty_disk_is_formatted() {
    let fs = |kind: &str, label: &str| Content::FileSystem { kind: kind.into(), label: label.into(), uuid: "u".into() };
    let refused = |text: &str| Decision::Refuse(text.to_owned());
    for (content, began, decision) in [
        (Content::Empty, false, Decision::Format),
        (Content::Empty, true, Decision::Format),
        (fs("ext4", "inventiv-data"), false, Decision::Mount("u".into())),
        (fs("ext4", "inventiv-data"), true, Decision::Mount("u".into())),
        (fs("ext4", "other"), false, refused("a file system (ext4, label `other`)")),
        (fs("ext4", "other"), true, refused("a file system (ext4, label `other`)")),
        (fs("xfs", "inventiv-data"), false, refused("a file system (xfs, label `inventiv-data`)")),
        (Content::Other("a partition table (gpt)".into()), false, refused("a partition table (gpt)")),
        (Content::Other("a partition table (gpt)".into()), true, refused("a partition table (gpt)")),
        (Content::Other(UNKNOWN.into()), false, refused(UNKNOWN)),
        (Content::Other(UNKNOWN.into()), true, Decision::Format),
    ] {
        assert_eq!(decide(&content, began), decision, "{content:?} {began}");
    }
}
