//! The prices of a zone, as they are recorded.

use inventiv_core::ledger;
use inventiv_core::offer::Offer;
use inventiv_core::storage_prices::{StoragePrices, UnitPrice};
use inventiv_store::NewPrice;

/// The source of prices that the provider's API shows.
const CATALOGUE: &str = "the provider's catalogue of server types";
/// The largest price per hour that is believed, in millionths: sums over a year of it fit 64 bits.
const HOURLY_MICROS_MAX: i64 = 250_000_000;
/// A billionth of a unit, in millionths.
const NANOS_PER_MICRO: i64 = 1_000;

/// The prices of the server types in a zone.
pub(crate) fn of_servers(zone: &str, offers: &[Offer]) -> Vec<NewPrice> {
    let server = |o: &Offer| NewPrice {
        zone: zone.to_owned(),
        sku: ledger::server_sku(&o.instance_type),
        hourly_nanos: o.price.micros.saturating_mul(NANOS_PER_MICRO),
        currency: o.price.currency.clone(),
        source: CATALOGUE.to_owned(),
    };
    let is_sane = |o: &&Offer| (0..=HOURLY_MICROS_MAX).contains(&o.price.micros);
    offers.iter().filter(is_sane).map(server).collect()
}

/// The prices of storage and addresses in a zone, as far as they are known.
///
/// `charged` are the names of what costs money there now: a volume may have a speed that is not in the list.
pub(crate) fn of_storage<'a>(
    zone: &str,
    prices: &StoragePrices,
    charged: impl Iterator<Item = &'a str>,
) -> Vec<NewPrice> {
    let listed = prices.listed(charged.filter_map(ledger::block_iops));
    let new = |(sku, price): (String, UnitPrice)| NewPrice {
        zone: zone.to_owned(),
        sku,
        hourly_nanos: price.nanos,
        currency: prices.currency.clone(),
        source: price.source,
    };
    listed.into_iter().map(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventiv_core::ledger::ADDRESS_SKU;

    #[test]
    fn every_speed_that_is_charged_has_the_price_of_its_class() {
        let mut prices = StoragePrices::default();
        let charged = || ["block/7000", "server/L4-1-24G", "address/ipv4"].into_iter();
        assert_eq!(of_storage("z", &prices, charged()), [], "what is not known has no price");
        for (sku, nanos) in [("block/5000", 130_000), ("block/15000", 177_000), (ADDRESS_SKU, 5_000_000)] {
            prices.set(sku, "EUR", UnitPrice { nanos, source: String::new() });
        }
        let recorded = of_storage("z", &prices, charged());
        let told: Vec<(&str, i64)> = recorded.iter().map(|p| (p.sku.as_str(), p.hourly_nanos)).collect();
        let wanted = [
            ("block/0", 130_000),
            ("block/5000", 130_000),
            ("block/7000", 177_000),
            ("block/15000", 177_000),
            ("address/ipv4", 5_000_000),
        ];
        assert_eq!(told, wanted);
    }
}
