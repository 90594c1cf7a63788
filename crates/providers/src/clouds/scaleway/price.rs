//! The prices of block storage from the product catalogue.
//!
//! No recording shows these rows. Three public programs that read them agree on the names (2026-09):
//! `/storage/block/volume-low-latency-5k/fr-par-1`, `/storage/block/volume-low-latency-15k/fr-par-1` and
//! `/storage/block/snapshot/fr-par-1`, each with the unit `gigabyte` and a price that is meant per hour. What does not
//! look like that is not used: what is known holds instead.

use super::Scaleway;
use super::lenient::{self, Field};
use super::wire::Amount;
use crate::error::Error;
use crate::http::encode;
use inventiv_core::error::Effect;
use inventiv_core::ledger::block_sku;
use inventiv_core::snapshots::SnapshotKind;
use inventiv_core::storage_prices::{CATALOGUE, StoragePrices, UnitPrice, snapshot_sku};
use serde::Deserialize;
use serde_json::Value;
use std::ops::RangeInclusive;

/// How many rows a page has.
const PAGE: usize = 100;
/// The price per GB and hour that is believed, in billionths: one per month is far above it, one per minute far below.
const BELIEVED_NANOS: RangeInclusive<i64> = 10_000..=5_000_000;

#[derive(Debug, Deserialize)]
struct Page {
    products: Vec<Value>,
    total_count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    sku: Field<String>,
    status: Field<String>,
    price: Field<Price>,
    unit_of_measure: Field<Unit>,
}

#[derive(Debug, Deserialize)]
struct Price {
    retail_price: Amount,
}

#[derive(Debug, Deserialize)]
struct Unit {
    unit: String,
    #[serde(default)]
    size: i64,
}

impl Scaleway {
    /// What is known, with every price that the product catalogue shows for the zone.
    pub(super) async fn list_storage_prices(&self, zone: &str, known: &StoragePrices) -> Result<StoragePrices, Error> {
        let mut prices = known.clone();
        let mut rows = 0;
        for page in 1..=100 {
            let path = format!(
                "/product-catalog/v2alpha1/public-catalog/products?product_types=block_storage&zone={}&page={page}&page_size={PAGE}",
                encode(zone)
            );
            let read: Page = self.read(path).await?.decode()?;
            rows += read.products.len() as u64;
            for row in &read.products {
                if let Some((sku, currency, nanos)) = listed(row, zone) {
                    prices.set(&sku, &currency, UnitPrice { nanos, source: CATALOGUE.to_owned() });
                }
            }
            if rows >= read.total_count {
                return Ok(prices);
            }
            if read.products.is_empty() {
                break;
            }
        }
        Err(Error::unavailable(Effect::None, format!("product catalogue of {zone}: fewer rows than its total")))
    }
}

/// A row as a name in the ledger, a currency, and billionths per GB and hour; `None`: it is about something else, or
/// cannot be believed.
fn listed(row: &Value, zone: &str) -> Option<(String, String, i64)> {
    let row: Row = lenient::row(row)?;
    let sku = row.sku.known()?;
    let name = sku.strip_prefix("/storage/block/")?.strip_suffix(zone)?.strip_suffix('/')?;
    let sku = match name {
        "snapshot" => snapshot_sku(SnapshotKind::Block).to_owned(),
        _ => {
            let thousands: i64 = name.strip_prefix("volume-low-latency-")?.strip_suffix('k')?.parse().ok()?;
            block_sku(Some(thousands.checked_mul(1_000).filter(|iops| *iops > 0)?))
        }
    };
    let unit = row.unit_of_measure.known()?;
    let is_hourly = matches!(unit.unit.as_str(), "gigabyte" | "gigabyte_hour") && unit.size == 1;
    if !is_hourly || row.status.known().as_deref() == Some("retired") {
        return None;
    }
    let Amount { currency_code, units, nanos } = row.price.known()?.retail_price;
    let nanos = units.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    BELIEVED_NANOS.contains(&nanos).then_some((sku, currency_code, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(sku: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut row = json!({
            "sku": sku, "status": "general_availability", "locality": {"zone": "fr-par-2"},
            "price": {"retail_price": {"currency_code": "EUR", "units": 0, "nanos": 129_999}},
            "unit_of_measure": {"unit": "gigabyte", "size": 1},
        });
        change(&mut row);
        row
    }

    #[test]
    fn rows_of_block_storage_are_prices_by_speed() {
        let told =
            |row: Value| listed(&row, "fr-par-2").map(|(sku, currency, nanos)| format!("{sku} {nanos} {currency}"));
        for (name, wanted) in [
            ("/storage/block/volume-low-latency-5k/fr-par-2", Some("block/5000 129999 EUR")),
            ("/storage/block/volume-low-latency-15k/fr-par-2", Some("block/15000 129999 EUR")),
            ("/storage/block/snapshot/fr-par-2", Some("snapshot/block 129999 EUR")),
            // The older class, other zones, other products, and what only looks like a name.
            ("/storage/block/volume-bssd/fr-par-2", None),
            ("/storage/block/volume-low-latency-5k/fr-par-1", None),
            ("/storage/block/volume-low-latency-k/fr-par-2", None),
            ("/storage/block/volume-low-latency-0k/fr-par-2", None),
            ("/storage/block/volume-low-latency-99999999999999999999k/fr-par-2", None),
            ("/storage/block/volume-low-latency-9999999999999999k/fr-par-2", None),
            ("/storage/block/fr-par-2", None),
            ("/compute/l4_1_24g/run_par2", None),
        ] {
            assert_eq!(told(row(name, |_| ())).as_deref(), wanted, "{name}");
        }
    }

    #[test]
    fn a_price_that_cannot_be_per_gb_and_hour_is_not_used() {
        let five = "/storage/block/volume-low-latency-5k/fr-par-2";
        for (what, change) in [
            ("a price per month", json!({"price": {"retail_price": {"currency_code": "EUR", "nanos": 94_900_000}}})),
            ("a price per minute", json!({"price": {"retail_price": {"currency_code": "EUR", "nanos": 2_166}}})),
            ("0", json!({"price": {"retail_price": {"currency_code": "EUR", "nanos": 0}}})),
            ("less than 0", json!({"price": {"retail_price": {"currency_code": "EUR", "nanos": -5}}})),
            ("whole euros", json!({"price": {"retail_price": {"currency_code": "EUR", "units": 1}}})),
            ("too large a number", json!({"price": {"retail_price": {"currency_code": "EUR", "units": i64::MAX}}})),
            ("no price", json!({"price": null})),
            ("text", json!({"price": "0.00013"})),
            ("per minute", json!({"unit_of_measure": {"unit": "minute", "size": 1}})),
            ("per 1000 GB", json!({"unit_of_measure": {"unit": "gigabyte", "size": 1_000}})),
            ("per -1 GB", json!({"unit_of_measure": {"unit": "gigabyte", "size": -1}})),
            ("of no size", json!({"unit_of_measure": {"unit": "gigabyte"}})),
            ("no unit", json!({"unit_of_measure": null})),
            ("retired", json!({"status": "retired"})),
        ] {
            let changed = row(five, |row| {
                for (key, value) in change.as_object().into_iter().flatten() {
                    row[key] = value.clone();
                }
            });
            assert_eq!(listed(&changed, "fr-par-2"), None, "{what}");
        }
    }
}
