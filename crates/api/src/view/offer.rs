//! The representations of offers and images.

use inventiv_core::offer::{self, ImageOffer};
use inventiv_types::{Image, Offer};

pub(crate) fn offer(o: &offer::Offer) -> Offer {
    Offer {
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
        availability: o.availability,
        boot_storage: o.boot_storage,
        local_storage_bytes: o.local_max_bytes,
        scratch_bytes: o.scratch_bytes,
    }
}

pub(crate) fn image(i: ImageOffer, zone: &str) -> Image {
    Image { label: i.label, name: i.name, zone: zone.to_owned(), instance_types: i.instance_types }
}
