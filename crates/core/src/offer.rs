//! What a cloud rents out: server types with their price and their storage.

use crate::money::HourlyPrice;
use serde::{Deserialize, Serialize};

/// Whether a type is available now, according to the catalogue. It is not a guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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

/// The default storage of a type's boot volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BootStorage {
    /// On the host's disk, with the size of the type, if an image for that exists; otherwise on block storage.
    Local,
    /// On block storage, with the size of the image unless requested otherwise.
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
    /// The price per hour, without volumes on block storage.
    pub price: HourlyPrice,
    /// Whether it is available now.
    pub availability: Availability,
    /// Where it boots.
    pub boot_storage: BootStorage,
    /// Least and most local storage of all volumes together, in bytes.
    pub local_min_bytes: i64,
    /// See `local_min_bytes`.
    pub local_max_bytes: i64,
    /// Size of the scratch volume that the cloud adds, in bytes; 0: none.
    pub scratch_bytes: i64,
    /// `x86_64` or `arm64`.
    pub arch: String,
    /// The cloud has announced the end of its service.
    #[serde(default)]
    pub end_of_service: bool,
}

/// An image that servers can be created from, by its label, in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOffer {
    /// Its label, used in requests.
    pub label: String,
    /// Its name for users.
    pub name: String,
    /// The names of the server types that it fits.
    pub instance_types: Vec<String>,
}
