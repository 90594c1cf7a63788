//! What an instance will be made of, and what that costs, before it is requested. Pure.

use crate::offer::{BootStorage, Offer};
use crate::recorded::Spec;
use crate::size::gb_ceil;
use crate::storage_prices::StoragePrices;
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
    let block = |gb, iops| prices.of_block(iops).map(|p| p.hourly_micros(gb));
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
    all.push(part(PartKind::Address, None, prices.address.as_ref().map(|p| p.hourly_micros(1))));
    all
}

/// The sum of what is known, per hour, in millionths.
#[must_use]
pub fn hourly_micros(parts: &[Part]) -> i64 {
    parts.iter().filter_map(|p| p.hourly_micros).fold(0, i64::saturating_add)
}

/// What the first hour costs, in millionths, as far as it is known.
#[must_use]
pub fn first_hour_micros(parts: &[Part], prices: &StoragePrices) -> i64 {
    let of = |p: &Part| match (p.kind, p.hourly_micros) {
        (PartKind::Address, Some(micros)) => micros.max(prices.address_minimum_micros),
        (_, micros) => micros.unwrap_or_default(),
    };
    parts.iter().map(of).fold(0, i64::saturating_add)
}

/// What stays after the end costs per hour, in millionths, as far as it is known.
#[must_use]
pub fn staying_hourly_micros(parts: &[Part]) -> i64 {
    parts.iter().filter(|p| p.stays).filter_map(|p| p.hourly_micros).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests;
