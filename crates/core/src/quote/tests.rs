//! Tests of `quote.rs`.

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
    assert_eq!(first_hour_micros(&of, &prices), 1_505_916, "an address costs a cent at least");
    let data = spec.data_volume.as_mut().unwrap();
    (data.delete_on_terminate, data.perf_iops) = (false, Some(15_000));
    spec.boot_volume_bytes = Some(100 * GB);
    offer.scratch_bytes = 0;
    let all = ["server 1469916", "boot_volume 100 GB 13000", "data_volume 200 GB 35400 stays", "address 5000"];
    assert_eq!(told(&spec, &offer, &prices), all);
    assert_eq!(staying_hourly_micros(&parts(&spec, &offer, &prices, false)), 35_400);
    (spec.data_volume, spec.boot_storage, offer.local_max_bytes) = (None, BootStorage::Local, 400 * GB);
    assert_eq!(told(&spec, &offer, &prices), ["server 1469916", "boot_volume 400 GB 0", "address 5000"]);
    let unknown = StoragePrices::default();
    assert_eq!(told(&spec, &offer, &unknown), ["server 1469916", "boot_volume 400 GB 0", "address ?"]);
}
