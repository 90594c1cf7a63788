//! What a cloud is like, as data that its driver gives: the planner and the API know clouds only by this.

use crate::money::StoragePrices;
use crate::observed::{Attachment, ObservedServer, ObservedVolume};
use crate::plan::Paces;
use crate::status::VolumeKind;

/// A volume's kind, and the cloud's own word for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VolumeType {
    /// What the kind means for the volume's life.
    pub kind: VolumeKind,
    /// The cloud's word, shown to people and given back to the driver.
    pub name: String,
}

impl VolumeType {
    /// A kind with the cloud's word for it.
    #[must_use]
    pub fn new(kind: VolumeKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// A kind that nobody has described.
    #[must_use]
    pub fn unknown() -> Self {
        Self::new(VolumeKind::Unknown, "unknown")
    }

    /// Lives on block storage, so that it survives every operation on the server.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.kind == VolumeKind::Network
    }
}

impl std::fmt::Display for VolumeType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// A name that the cloud gives to a volume that it makes with a server. It is the only trace of who made the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutomaticName {
    /// The kind of volume; `None`: every kind that no other entry names.
    pub volume_type: Option<String>,
    /// At which index of the server; `None`: at any.
    pub index: Option<u32>,
    /// The text, in which [`AutomaticName::IMAGE`] stands for the name of the server's image.
    pub pattern: String,
}

impl AutomaticName {
    /// Stands for the name of the server's image.
    pub const IMAGE: &'static str = "{image}";

    fn matches(&self, attachment: &Attachment, image: &str, name: &str) -> bool {
        let index = self.index.is_none_or(|index| index == attachment.index);
        index && (!image.is_empty() || !self.pattern.contains(Self::IMAGE)) && {
            name == self.pattern.replace(Self::IMAGE, image)
        }
    }

    /// Whether the pattern's own text is in a name, whatever the image is. A pattern that is the image's name alone tells
    /// nothing without the server.
    fn may_match(&self, name: &str) -> bool {
        match self.pattern.split_once(Self::IMAGE) {
            Some(("", "")) => false,
            Some((before, after)) => name.starts_with(before) && name.ends_with(after),
            None => name == self.pattern,
        }
    }
}

/// A cloud, as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudProfile {
    /// Which cloud, for instance `scaleway`: the first part of an account's id.
    pub provider: String,
    /// The zones in which it can make all that an instance needs.
    pub zones: Vec<String>,
    /// How old the state may be that any read shows, in milliseconds: longer than anybody has seen.
    pub consistency_window_ms: i64,
    /// How soon each change of its own was seen at the earliest.
    pub paces: Paces,
    /// The kind of volume that is made for data.
    pub data_volume: VolumeType,
    /// The speeds that a data volume may have, in operations per second; empty: no choice.
    pub volume_iops: Vec<i64>,
    /// Where a server finds a data volume, in which [`CloudProfile::VOLUME_ID`] stands for the volume's id.
    pub device_path: String,
    /// How volumes are named that the cloud makes with a server.
    pub automatic_names: Vec<AutomaticName>,
    /// What storage costs where the catalogue does not say.
    pub storage_prices: StoragePrices,
}

impl CloudProfile {
    /// Stands for the volume's id in [`CloudProfile::device_path`].
    pub const VOLUME_ID: &'static str = "{volume_id}";

    /// Whether a volume on a server came with it, judged by its `name`.
    #[must_use]
    pub fn came_with(&self, server: &ObservedServer, attachment: &Attachment, name: &str) -> bool {
        let image = server.image_name.as_deref().unwrap_or_default();
        self.names_of(&attachment.volume_type.name).any(|n| n.matches(attachment, image, name))
    }

    /// Whether a volume may be one that the cloud made with a server and that nothing ties to it any more.
    #[must_use]
    pub fn looks_automatic(&self, v: &ObservedVolume) -> bool {
        v.server_id.is_none() && self.names_of(&v.volume_type.name).any(|n| n.may_match(&v.name))
    }

    /// Where a server finds a data volume.
    #[must_use]
    pub fn device_of(&self, volume_id: &str) -> String {
        self.device_path.replace(Self::VOLUME_ID, volume_id)
    }

    fn names_of(&self, volume_type: &str) -> impl Iterator<Item = &AutomaticName> {
        let named = self.automatic_names.iter().any(|n| n.volume_type.as_deref() == Some(volume_type));
        self.automatic_names.iter().filter(move |n| match n.volume_type.as_deref() {
            Some(other) => other == volume_type,
            None => !named,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::ServerState;
    use crate::plan::tests::{attachment, observed_server, observed_volume, profile};

    #[test]
    fn a_volume_that_came_with_a_server_is_known_by_the_name_that_the_cloud_gives() {
        let profile = profile();
        let server = observed_server("s", "n", ServerState::Stopped);
        let nameless = ObservedServer { image_name: None, ..server.clone() };
        let cases = [
            ("sbs_volume", 0, "img_sbs_volume_0", true),
            ("sbs_volume", 1, "img_sbs_volume_0", false),
            ("sbs_volume", 0, "db_sbs_volume_0", false),
            ("sbs_volume", 0, "_sbs_volume_0", false),
            ("scratch", 1, "autogenerated scratch volume", true),
            ("scratch", 1, "img", false),
            ("l_ssd", 0, "img", true),
            ("l_ssd", 1, "img", false),
            ("l_ssd", 0, "db", false),
            ("l_ssd", 0, "", false),
        ];
        for (kind, index, name, came) in cases {
            let a = attachment(index, "v", kind);
            assert_eq!(profile.came_with(&server, &a, name), came, "{kind} {index} {name:?}");
            // Without an image's name, only scratch can be recognised.
            let expected = came && kind == "scratch";
            assert_eq!(profile.came_with(&nameless, &a, name), expected, "{kind} {index} {name:?}");
        }
    }

    #[test]
    fn a_volume_on_no_server_may_be_automatic_if_its_name_holds_the_clouds_own_text() {
        for (kind, name, on, looks) in [
            ("sbs_volume", "anything_sbs_volume_0", None, true),
            ("sbs_volume", "anything_sbs_volume_0", Some("s"), false),
            ("sbs_volume", "autogenerated scratch volume", None, false),
            ("scratch", "autogenerated scratch volume", None, true),
            ("scratch", "anything_sbs_volume_0", None, false),
            ("l_ssd", "Ubuntu 24.04", None, false),
        ] {
            let volume = observed_volume("v", name, kind, on);
            assert_eq!(profile().looks_automatic(&volume), looks, "{kind} {name}");
        }
    }
}
