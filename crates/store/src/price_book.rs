//! The prices of storage and addresses by zone, as the database has them: shared by everything in one process.

use crate::Store;
use crate::error::Error;
use crate::prices::Price;
use inventiv_core::storage_prices::{CATALOGUE, StoragePrices, UnitPrice};
use inventiv_core::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The prices of each account.
#[derive(Debug, Default)]
pub(crate) struct PriceBook(Mutex<HashMap<String, Known>>);

/// What is known of an account.
#[derive(Debug, Default)]
struct Known {
    /// When the catalogue of each zone was last read.
    as_of: BTreeMap<String, Timestamp>,
    zones: HashMap<String, Arc<StoragePrices>>,
}

impl Store {
    /// The prices of storage and addresses in a zone, as [`Store::refresh_storage_prices`] last read them. `None`: none are
    /// recorded there.
    #[must_use]
    pub fn storage_prices(&self, account: &str, zone: &str) -> Option<Arc<StoragePrices>> {
        let book = self.price_book.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.get(account)?.zones.get(zone).cloned()
    }

    /// Reads the recorded prices of storage and addresses of an account again if the catalogue of a zone was read since.
    /// `list` has the prices of what no catalogue has shown.
    ///
    /// # Errors
    /// If the database fails; the prices stay as they were.
    pub async fn refresh_storage_prices(&self, account: &str, list: &StoragePrices) -> Result<(), Error> {
        let read = self.catalogues(account).await?;
        let as_of: BTreeMap<String, Timestamp> =
            read.into_iter().filter_map(|c| Some((c.zone, c.refreshed_at?))).collect();
        let is_known = {
            let book = self.price_book.0.lock().unwrap_or_else(PoisonError::into_inner);
            book.get(account).is_some_and(|known| known.as_of == as_of)
        };
        if is_known {
            return Ok(());
        }
        // What is recorded after this was read makes `as_of` another one.
        let zones = by_zone(list, &self.prices(account, false).await?);
        let mut book = self.price_book.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.insert(account.to_owned(), Known { as_of, zones });
        Ok(())
    }
}

/// What the program lists, with what catalogues have shown. Other recorded rows are copies of an older list.
fn by_zone(list: &StoragePrices, recorded: &[Price]) -> HashMap<String, Arc<StoragePrices>> {
    let mut zones: HashMap<&str, StoragePrices> = HashMap::new();
    for Price { price: p, .. } in recorded.iter().filter(|p| p.price.source == CATALOGUE) {
        let zone = zones.entry(p.zone.as_str()).or_insert_with(|| list.clone());
        zone.set(&p.sku, &p.currency, UnitPrice { nanos: p.hourly_nanos, source: p.source.clone() });
    }
    zones.into_iter().map(|(zone, prices)| (zone.to_owned(), Arc::new(prices))).collect()
}
