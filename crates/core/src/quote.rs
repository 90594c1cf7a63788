//! What an instance will be made of, and what that costs, before it is requested. Pure.

use crate::money::StoragePrices;
use crate::offer::{BootStorage, Offer};
use crate::recorded::Spec;
use crate::size::gb_ceil;
use crate::words::words;

words!(
    /// What a part of an instance is.
    PartKind {
        /// The server.
        Server = "server",
        /// The volume that it boots from.
        BootVolume = "boot_volume",
        /// The local volume that the cloud adds by itself.
        ScratchVolume = "scratch_volume",
        /// The volume for the model.
        DataVolume = "data_volume",
        /// A public IPv4 address.
        Address = "address",
    }
);

/// A part of an instance that will be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The size of a volume in GB; `None`: not known before it exists.
    pub size_gb: Option<i64>,
    /// The price per hour in millionths; 0: part of the server's price. `None`: not known.
    pub hourly_micros: Option<i64>,
    /// Whether it stays after the end of the instance.
    pub stays: bool,
    /// What there is to say about it.
    pub note: Option<String>,
}

/// The parts of an instance with this spec on a server of this type, in the order in which people think of them.
#[must_use]
pub fn parts(spec: &Spec, offer: &Offer, prices: &StoragePrices, reuses: bool) -> Vec<Part> {
    let is_known = !prices.block.is_empty();
    let block = |gb, iops| is_known.then(|| prices.block_hourly_micros(gb, iops));
    let part = |kind, size_gb, hourly_micros| Part { kind, size_gb, hourly_micros, stays: false, note: None };
    let mut all = vec![part(PartKind::Server, None, Some(offer.price.micros))];
    let gb = spec.boot_volume_bytes.map(gb_ceil);
    all.push(match spec.boot_storage {
        BootStorage::Local => {
            let local = Some(gb_ceil(offer.local_max_bytes)).filter(|gb| *gb > 0);
            Part { note: Some("the server's own disk".to_owned()), ..part(PartKind::BootVolume, local, Some(0)) }
        }
        BootStorage::Block => {
            let size =
                if gb.is_some() { "at least this size; the image decides" } else { "the image decides its size" };
            let hourly = gb.and_then(|gb| block(gb, None));
            Part { note: Some(size.to_owned()), ..part(PartKind::BootVolume, gb, hourly) }
        }
    });
    if offer.scratch_bytes > 0 {
        all.push(part(PartKind::ScratchVolume, Some(gb_ceil(offer.scratch_bytes)), Some(0)));
    }
    if let Some(data) = &spec.data_volume {
        let gb = gb_ceil(data.size_bytes);
        let note =
            if reuses { "the retained volume, which costs this already".to_owned() } else { data.size_reason.clone() };
        let hourly = block(gb, data.perf_iops);
        let stays = !data.delete_on_terminate;
        all.push(Part { stays, note: Some(note), ..part(PartKind::DataVolume, Some(gb), hourly) });
    }
    all.push(part(PartKind::Address, None, is_known.then_some(prices.address_hourly_micros)));
    all
}

/// The sum of what is known, per hour, in millionths.
#[must_use]
pub fn hourly_micros(parts: &[Part]) -> i64 {
    parts.iter().filter_map(|p| p.hourly_micros).fold(0, i64::saturating_add)
}

/// What stays after the end costs per hour, in millionths, as far as it is known.
#[must_use]
pub fn staying_hourly_micros(parts: &[Part]) -> i64 {
    parts.iter().filter(|p| p.stays).filter_map(|p| p.hourly_micros).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::HourlyPrice;
    use crate::offer::Availability;
    use crate::plan::tests::{instance, profile};
    use crate::size::GB;

    fn offer() -> Offer {
        Offer {
            instance_type: "L40S-1-48G".into(),
            zone: "fr-par-2".into(),
            gpu_count: 1,
            gpu_name: None,
            gpu_memory_bytes: None,
            vcpus: 8,
            ram_bytes: GB,
            price: HourlyPrice { micros: 1_469_916, currency: "EUR".into() },
            availability: Availability::Available,
            boot_storage: BootStorage::Block,
            local_min_bytes: 0,
            local_max_bytes: 0,
            scratch_bytes: 1_600 * GB,
            arch: "x86_64".into(),
            end_of_service: false,
        }
    }

    /// The parts as text.
    fn told(spec: &Spec, offer: &Offer, prices: &StoragePrices) -> Vec<String> {
        let size = |gb: Option<i64>| gb.map_or_else(String::new, |gb| format!(" {gb} GB"));
        let price = |p: Option<i64>| p.map_or_else(|| "?".to_owned(), |p| p.to_string());
        let one = |p: &Part| {
            format!("{}{} {}{}", p.kind, size(p.size_gb), price(p.hourly_micros), if p.stays { " stays" } else { "" })
        };
        parts(spec, offer, prices, false).iter().map(one).collect()
    }

    #[test]
    fn every_part_is_named_with_its_price_and_what_is_not_known_is_not_zero() {
        let (mut spec, mut offer, prices) = (instance().instance.spec, offer(), profile().storage_prices);
        let all =
            ["server 1469916", "boot_volume ?", "scratch_volume 1600 GB 0", "data_volume 200 GB 26000", "address 5000"];
        assert_eq!(told(&spec, &offer, &prices), all);
        let of = parts(&spec, &offer, &prices, false);
        assert_eq!((hourly_micros(&of), staying_hourly_micros(&of)), (1_500_916, 0));
        let data = spec.data_volume.as_mut().unwrap();
        (data.delete_on_terminate, data.perf_iops) = (false, Some(15_000));
        spec.boot_volume_bytes = Some(100 * GB);
        offer.scratch_bytes = 0;
        let all = ["server 1469916", "boot_volume 100 GB 13000", "data_volume 200 GB 35400 stays", "address 5000"];
        assert_eq!(told(&spec, &offer, &prices), all);
        assert_eq!(staying_hourly_micros(&parts(&spec, &offer, &prices, false)), 35_400);
        (spec.data_volume, spec.boot_storage, offer.local_max_bytes) = (None, BootStorage::Local, 400 * GB);
        assert_eq!(told(&spec, &offer, &prices), ["server 1469916", "boot_volume 400 GB 0", "address 5000"]);
        let unknown = StoragePrices::unknown();
        assert_eq!(told(&spec, &offer, &unknown), ["server 1469916", "boot_volume 400 GB 0", "address ?"]);
    }
}
