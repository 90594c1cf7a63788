//! What a cloud rents out: server types with their price and their storage habits.

use crate::money::HourlyPrice;
use serde::{Deserialize, Serialize};

/// Whether a type can be had now, as the catalogue says. It warns; it does not promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// In stock.
    Available,
    /// Nearly out of stock.
    Scarce,
    /// Out of stock.
    Shortage,
    /// The catalogue does not say.
    Unknown,
}

/// Where a type's boot volume lives when nobody asks for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootStorage {
    /// On the machine's own disk, of the size the type comes with, if an image for it exists; else on block storage.
    Local,
    /// On block storage, of the image's size unless asked.
    Block,
}

/// One server type in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The type's name at the cloud.
    pub instance_type: String,
    /// Where.
    pub zone: String,
    /// How many GPUs; 0 for none.
    pub gpu_count: i64,
    /// The GPU's name at the cloud.
    pub gpu_name: Option<String>,
    /// Memory of one GPU, in bytes.
    pub gpu_memory_bytes: Option<i64>,
    /// Virtual CPUs.
    pub vcpus: i64,
    /// Main memory in bytes.
    pub ram_bytes: i64,
    /// What an hour costs, volumes on block storage not included.
    pub price: HourlyPrice,
    /// Whether it can be had now.
    pub availability: Availability,
    /// Where it boots.
    pub boot_storage: BootStorage,
    /// Least and most local storage of all volumes together, in bytes.
    pub local_min_bytes: i64,
    /// See `local_min_bytes`.
    pub local_max_bytes: i64,
    /// Size of the scratch volume that comes by itself, in bytes; 0: none.
    pub scratch_bytes: i64,
    /// `x86_64` or `arm64`.
    pub arch: String,
    /// The cloud says that it is on its way out.
    #[serde(default)]
    pub end_of_service: bool,
}

/// An image that servers can be made from, by its label, in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOffer {
    /// What a request calls it.
    pub label: String,
    /// Its name for people.
    pub name: String,
    /// The server types that it fits, by name.
    pub instance_types: Vec<String>,
}
