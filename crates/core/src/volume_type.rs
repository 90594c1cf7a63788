//! Kinds of volumes.

use crate::status::VolumeKind;

/// A volume's kind, and the cloud's name for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VolumeType {
    /// What the kind means when the server is removed.
    pub kind: VolumeKind,
    /// The cloud's name, shown to users and passed to the driver.
    pub name: String,
}

impl VolumeType {
    /// A kind with the cloud's name for it.
    #[must_use]
    pub fn new(kind: VolumeKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// An unknown kind.
    #[must_use]
    pub fn unknown() -> Self {
        Self::new(VolumeKind::Unknown, "unknown")
    }

    /// Whether it is on block storage, so that it survives every operation on the server.
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
