//! Tests of storage prices.

use super::*;
use crate::plan::tests::profile;

fn listed(nanos: i64) -> UnitPrice {
    UnitPrice { nanos, source: "catalogue".to_owned() }
}

#[test]
fn block_storage_is_priced_by_its_speed() {
    for (gb, iops, micros) in [
        (0, None, 0),
        (1, None, 130),
        (200, Some(5_000), 26_000),
        (200, Some(15_000), 35_400),
        (1, Some(0), 130),
        (1, Some(10_000), 177),
        (1, Some(30_000), 177),
        (-5, None, 0),
        (i64::MAX, Some(5_000), i64::MAX),
    ] {
        assert_eq!(profile().storage_prices.block_hourly_micros(gb, iops), micros, "{gb} GB, {iops:?}");
    }
    assert_eq!(StoragePrices::default().of_block(None), None, "what is not known has no price");
}

#[test]
fn what_the_catalogue_shows_replaces_the_checked_in_list() {
    let mut prices = profile().storage_prices;
    for (sku, currency, nanos) in [
        ("block/5000", "EUR", 129_999),
        ("block/60000", "EUR", 400_000),
        ("snapshot/block", "EUR", 43_000),
        // None of these changes anything: another currency, the name for an unknown speed, a server, nonsense.
        ("block/15000", "USD", 1),
        ("block/0", "EUR", 1),
        ("server/L4-1-24G", "EUR", 1),
        ("block/fast", "EUR", 1),
        ("", "EUR", 1),
    ] {
        prices.set(sku, currency, listed(nanos));
    }
    let told: Vec<String> = prices
        .listed([Some(7_000)].into_iter())
        .iter()
        .map(|(sku, p)| format!("{sku} {} {}", p.nanos, p.source))
        .collect();
    let wanted = [
        "block/0 129999 catalogue, the price of its class",
        "block/5000 129999 catalogue",
        "block/7000 177000 test, the price of its class",
        "block/15000 177000 test",
        "block/60000 400000 catalogue",
        "snapshot/block 43000 catalogue",
        "snapshot/local 49000 test",
        "address/ipv4 5000000 test",
    ];
    assert_eq!(told, wanted);
    assert_eq!(prices.sources(), "catalogue; test");
    // 200 GB at 0.000129999 EUR: rounded once, of the product.
    assert_eq!(prices.block_hourly_micros(200, None), 26_000);
    assert_eq!(prices.block_hourly_micros(1_000_000, None), 129_999_000);
}
