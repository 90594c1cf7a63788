//! The prices of a zone, from its catalogue and from the list in the provider's profile.

use inventiv_core::ledger::{self, ADDRESS_SKU};
use inventiv_core::money::StoragePrices;
use inventiv_core::offer::Offer;
use inventiv_store::NewPrice;
use std::collections::BTreeSet;

/// The source of prices that the provider's API shows.
const CATALOGUE: &str = "the provider's catalogue of server types";
/// The largest price per hour that is believed, in millionths: sums over a year of it fit 64 bits.
const HOURLY_MICROS_MAX: i64 = 250_000_000;
/// A billionth of a unit, in millionths.
const NANOS_PER_MICRO: i64 = 1_000;

/// The prices of a zone: of every server type, and of storage and addresses as far as the list knows them.
///
/// `charged` are the names of what costs money there now: a volume may have a speed that is not in the list.
pub(crate) fn of_zone<'a>(
    zone: &str,
    offers: &[Offer],
    list: &StoragePrices,
    charged: impl Iterator<Item = &'a str>,
) -> Vec<NewPrice> {
    let price = |sku: String, micros: i64, currency: &str, source: &str| NewPrice {
        zone: zone.to_owned(),
        sku,
        hourly_nanos: micros.saturating_mul(NANOS_PER_MICRO),
        currency: currency.to_owned(),
        source: source.to_owned(),
    };
    let server = |o: &Offer| price(ledger::server_sku(&o.instance_type), o.price.micros, &o.price.currency, CATALOGUE);
    let is_sane = |o: &&Offer| (0..=HOURLY_MICROS_MAX).contains(&o.price.micros);
    let mut prices: Vec<NewPrice> = offers.iter().filter(is_sane).map(server).collect();
    if list.block.is_empty() {
        // Not known, which is not 0.
        return prices;
    }
    let speeds: BTreeSet<Option<i64>> = list
        .block
        .iter()
        .map(|b| Some(b.perf_iops))
        .chain([None])
        .chain(charged.filter_map(ledger::block_iops))
        .collect();
    let block = |iops| price(ledger::block_sku(iops), list.block_hourly_micros(1, iops), &list.currency, &list.source);
    prices.extend(speeds.into_iter().map(block));
    prices.push(price(ADDRESS_SKU.to_owned(), list.address_hourly_micros, &list.currency, &list.source));
    prices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_speed_that_is_charged_has_the_price_of_its_class() {
        let mut list = StoragePrices::unknown();
        assert_eq!(of_zone("z", &[], &list, ["block/7000"].into_iter()), [], "what is not known has no price");
        let block = |perf_iops, gb_hour_micros| inventiv_core::money::BlockPrice { perf_iops, gb_hour_micros };
        list.block = vec![block(5_000, 130), block(15_000, 177)];
        list.address_hourly_micros = 5_000;
        let charged = ["block/7000", "server/L4-1-24G", "address/ipv4"];
        let prices = of_zone("z", &[], &list, charged.into_iter());
        let told: Vec<(&str, i64)> = prices.iter().map(|p| (p.sku.as_str(), p.hourly_nanos)).collect();
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
