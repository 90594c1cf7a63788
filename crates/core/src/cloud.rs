//! The properties of a cloud, as data from its driver: the planner and the API know clouds only by this.

use crate::observed::{Attachment, ObservedServer, ObservedVolume};
use crate::paces::Paces;
use crate::status::VolumeKind;
use crate::storage_prices::StoragePrices;
use crate::volume_type::VolumeType;

/// A name that the cloud gives to a volume that it creates with a server. Nothing else shows who created the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutomaticName {
    /// The kind of volume; `None`: every kind that no other entry names.
    pub volume_type: Option<String>,
    /// The index on the server; `None`: any.
    pub index: Option<u32>,
    /// The name, with [`AutomaticName::IMAGE`] as the placeholder for the name of the server's image.
    pub pattern: String,
}

impl AutomaticName {
    /// The placeholder for the name of the server's image.
    pub const IMAGE: &'static str = "{image}";

    fn matches(&self, attachment: &Attachment, image: &str, name: &str) -> bool {
        let index = self.index.is_none_or(|index| index == attachment.index);
        index && (!image.is_empty() || !self.pattern.contains(Self::IMAGE)) && {
            name == self.pattern.replace(Self::IMAGE, image)
        }
    }

    /// Whether a name matches the pattern with any image. A pattern that consists of only the image's name never
    /// matches, because it shows nothing without the server.
    fn may_match(&self, name: &str) -> bool {
        match self.pattern.split_once(Self::IMAGE) {
            Some(("", "")) => false,
            Some((before, after)) => name.starts_with(before) && name.ends_with(after),
            None => name == self.pattern,
        }
    }
}

/// When a server gets its user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserData {
    /// By a call after the creation, before the first start.
    AfterCreation,
    /// With the creation. The data volume is created first, because the user data contains its id.
    WithCreation,
}

/// The volumes that survive a method of removing a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spares {
    /// All of them.
    EveryVolume,
    /// Those on block storage; local ones are deleted with the server.
    BlockVolumes,
}

/// The properties of a cloud, as its driver describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudProfile {
    /// The provider, for instance `scaleway`: the first part of an account's id.
    pub provider: String,
    /// The zones in which it can create everything that an instance needs.
    pub zones: Vec<String>,
    /// The maximum age of the state that a read shows, in milliseconds: longer than any observed one.
    pub consistency_window_ms: i64,
    /// The shortest observed duration of each change in the cloud.
    pub paces: Paces,
    /// The kind of volume that is created for data.
    pub data_volume: VolumeType,
    /// The speeds that a data volume may have, in operations per second; empty: there is no choice.
    pub volume_iops: Vec<i64>,
    /// The device path of a data volume, with [`CloudProfile::VOLUME_ID`] as the placeholder for the volume's id.
    pub device_path: String,
    /// Whether a server runs as soon as it is created. Otherwise it is stopped, and started by a call.
    pub born_running: bool,
    /// When a server gets its user data.
    pub user_data: UserData,
    /// The volumes that survive the removal of a server that runs; a stopped server's all do.
    pub removal_while_running: Spares,
    /// The names of volumes that the cloud creates with a server.
    pub automatic_names: Vec<AutomaticName>,
    /// The prices of storage and addresses that hold where the provider's catalogue shows none.
    pub storage_prices: StoragePrices,
}

impl CloudProfile {
    /// The placeholder for the volume's id in [`CloudProfile::device_path`].
    pub const VOLUME_ID: &'static str = "{volume_id}";

    /// Whether a volume on a server came with it, according to its `name`.
    #[must_use]
    pub fn came_with(&self, server: &ObservedServer, attachment: &Attachment, name: &str) -> bool {
        let image = server.image_name.as_deref().unwrap_or_default();
        self.names_of(&attachment.volume_type.name).any(|n| n.matches(attachment, image, name))
    }

    /// Whether the cloud may have created a volume with a server that it is no longer attached to.
    #[must_use]
    pub fn looks_automatic(&self, v: &ObservedVolume) -> bool {
        // Of a kind that cannot be read, the name alone tells.
        let any =
            v.volume_type.kind == VolumeKind::Unknown && self.automatic_names.iter().any(|n| n.may_match(&v.name));
        v.server_id.is_none() && (any || self.names_of(&v.volume_type.name).any(|n| n.may_match(&v.name)))
    }

    /// The device path of a data volume on its server.
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
mod tests;
