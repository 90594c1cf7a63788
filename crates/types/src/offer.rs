//! Server types and images.

use inventiv_core::offer::{Availability, BootStorage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A server type in a zone, with its price and availability.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// The name of the server type.
    pub instance_type: String,
    /// The zone.
    pub zone: String,
    /// The number of GPUs.
    pub gpu_count: i64,
    /// The GPU model.
    pub gpu_name: Option<String>,
    /// The memory of one GPU, in bytes.
    pub gpu_memory_bytes: Option<i64>,
    /// The number of virtual CPUs.
    pub vcpus: i64,
    /// The main memory, in bytes.
    pub ram_bytes: i64,
    /// The price per hour, in millionths of `currency`.
    pub hourly_micros: i64,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// Whether the provider has announced the type's end of service.
    pub end_of_service: bool,
    /// `available`; `scarce`: few are left; `shortage`: out of stock, requests are refused; `unknown`.
    pub availability: Availability,
    /// Where the boot volume is: on the server's own disk (`local`) or on block storage (`block`).
    pub boot_storage: BootStorage,
    /// The local storage that is included, in bytes; 0 for types that boot from block storage.
    pub local_storage_bytes: i64,
    /// The size of the scratch volume that the provider adds, in bytes; 0 for none.
    pub scratch_bytes: i64,
}

/// The filters of a list of offers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListOffers {
    /// The account, by name or id. Required only if the control plane works in several accounts.
    pub account: Option<String>,
    /// Only offers in this zone.
    pub zone: Option<String>,
    /// `true`: only types with GPUs. `false`: only types without GPUs.
    pub gpu: Option<bool>,
}

/// An image that servers can be created from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// The label, for `image` in a request.
    #[schema(example = "ubuntu_jammy_gpu_os_12")]
    pub label: String,
    /// The provider's display name.
    pub name: String,
    /// The zone.
    pub zone: String,
    /// The server types that the image fits.
    pub instance_types: Vec<String>,
}

/// The filters of a list of images.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListImages {
    /// The account, by name or id. Required only if the control plane works in several accounts.
    pub account: Option<String>,
    /// The zone.
    #[param(example = "fr-par-2")]
    pub zone: String,
    /// Only images that fit this server type.
    #[param(example = "L40S-1-48G")]
    pub instance_type: Option<String>,
}
