//! Offers as they are shown.

use inventiv_core::offer::{Availability, ImageOffer, Offer};
use serde::Serialize;
use utoipa::ToSchema;

/// A server type in a zone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct OfferView {
    /// The type's name.
    pub(crate) instance_type: String,
    /// Where.
    pub(crate) zone: String,
    /// How many GPUs.
    pub(crate) gpu_count: i64,
    /// Which.
    pub(crate) gpu_name: Option<String>,
    /// Memory of one GPU in bytes.
    pub(crate) gpu_memory_bytes: Option<i64>,
    /// Virtual CPUs.
    pub(crate) vcpus: i64,
    /// Main memory in bytes.
    pub(crate) ram_bytes: i64,
    /// What an hour costs, in millionths of `currency`.
    pub(crate) hourly_micros: i64,
    /// ISO 4217.
    pub(crate) currency: String,
    /// The cloud says that the type is on its way out.
    pub(crate) end_of_service: bool,
    /// `available`, `scarce`, `shortage` or `unknown`.
    pub(crate) availability: String,
    /// Local storage that comes with it, in bytes.
    pub(crate) local_storage_bytes: i64,
    /// The scratch volume that comes by itself, in bytes.
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

/// An image that servers can be made from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ImageView {
    /// What a request calls it.
    #[schema(example = "ubuntu_jammy_gpu_os_12")]
    pub(crate) label: String,
    /// Its name for people.
    pub(crate) name: String,
    /// Where.
    pub(crate) zone: String,
    /// The server types that it fits.
    pub(crate) instance_types: Vec<String>,
}

impl ImageView {
    pub(crate) fn of(i: ImageOffer, zone: &str) -> Self {
        Self { label: i.label, name: i.name, zone: zone.to_owned(), instance_types: i.instance_types }
    }
}
