//! The representations of offers and images.

use inventiv_core::offer::{Availability, ImageOffer, Offer};
use serde::Serialize;
use utoipa::ToSchema;

/// A server type in a zone, with its price and availability.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct OfferView {
    /// The name of the server type.
    pub(crate) instance_type: String,
    /// The zone.
    pub(crate) zone: String,
    /// The number of GPUs.
    pub(crate) gpu_count: i64,
    /// The GPU model.
    pub(crate) gpu_name: Option<String>,
    /// The memory of one GPU, in bytes.
    pub(crate) gpu_memory_bytes: Option<i64>,
    /// The number of virtual CPUs.
    pub(crate) vcpus: i64,
    /// The main memory, in bytes.
    pub(crate) ram_bytes: i64,
    /// The price per hour, in millionths of `currency`.
    pub(crate) hourly_micros: i64,
    /// The currency, as an ISO 4217 code.
    pub(crate) currency: String,
    /// Whether the provider has announced the type's end of service.
    pub(crate) end_of_service: bool,
    /// `available`; `scarce`: few are left; `shortage`: out of stock, requests are refused; `unknown`.
    pub(crate) availability: String,
    /// The local storage that is included, in bytes; 0 for types that boot from block storage.
    pub(crate) local_storage_bytes: i64,
    /// The size of the scratch volume that the provider adds, in bytes; 0 for none.
    pub(crate) scratch_bytes: i64,
}

impl OfferView {
    pub(crate) fn of(o: &Offer) -> Self {
        let availability = match o.availability {
            Availability::Available => "available",
            Availability::Scarce => "scarce",
            Availability::Shortage => "shortage",
            Availability::Unknown => "unknown",
        };
        Self {
            instance_type: o.instance_type.clone(),
            zone: o.zone.clone(),
            gpu_count: o.gpu_count,
            gpu_name: o.gpu_name.clone(),
            gpu_memory_bytes: o.gpu_memory_bytes,
            vcpus: o.vcpus,
            ram_bytes: o.ram_bytes,
            hourly_micros: o.price.micros,
            currency: o.price.currency.clone(),
            end_of_service: o.end_of_service,
            availability: availability.to_owned(),
            local_storage_bytes: o.local_max_bytes,
            scratch_bytes: o.scratch_bytes,
        }
    }
}

/// An image that servers can be created from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ImageView {
    /// The label, for `image` in a request.
    #[schema(example = "ubuntu_jammy_gpu_os_12")]
    pub(crate) label: String,
    /// The provider's display name.
    pub(crate) name: String,
    /// The zone.
    pub(crate) zone: String,
    /// The server types that the image fits.
    pub(crate) instance_types: Vec<String>,
}

impl ImageView {
    pub(crate) fn of(i: ImageOffer, zone: &str) -> Self {
        Self { label: i.label, name: i.name, zone: zone.to_owned(), instance_types: i.instance_types }
    }
}
