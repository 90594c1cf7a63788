//! Keeps the catalogue of each zone up to date.

use crate::{Orchestrator, prices};
use inventiv_core::storage_prices::StoragePrices;
use inventiv_core::time::Timestamp;
use inventiv_store::Error;
use std::collections::HashMap;
use std::sync::Arc;

/// How long after a failed read a catalogue is read again, in milliseconds.
const AGAIN_MS: i64 = 15_000;

impl Orchestrator {
    /// Reads every zone's catalogue once; `false`: some could not be read, which is recorded.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn refresh_catalogue(&self) -> Result<bool, Error> {
        let mut all_read = true;
        for zone in &self.inner.config.zones {
            all_read &= self.refresh_zone(zone).await?;
        }
        Ok(all_read)
    }

    async fn refresh_zone(&self, zone: &str) -> Result<bool, Error> {
        let inner = &self.inner;
        match inner.provider.offers(zone).await {
            Ok(offers) => {
                let now = inner.clock.now();
                inner.store.record_prices(&inner.account, &prices::of_servers(zone, &offers), now).await?;
                self.record_storage_prices(zone).await?;
                // Last: other replicas read the prices again when they see this.
                inner.store.replace_offers(&inner.account, zone, &offers, now).await?;
                self.know_prices().await?;
                inner.repair_ledger(zone).await?;
                Ok(true)
            }
            Err(e) => {
                tracing::warn!(zone, kind = e.kind.text(), error = %e, "a catalogue could not be read; retries");
                inner.store.mark_catalogue_error(&inner.account, zone, &e.message).await?;
                Ok(false)
            }
        }
    }

    /// Without an answer of the provider, the recorded prices hold, and those of the checked-in list where none is recorded.
    async fn record_storage_prices(&self, zone: &str) -> Result<(), Error> {
        let inner = &self.inner;
        self.know_prices().await?;
        let known = self.storage_prices(zone);
        let read = inner.provider.storage_prices(zone, &known).await;
        let now = inner.clock.now();
        let charged = inner.store.charged_skus(&inner.account).await?;
        let charged = charged.iter().filter(|(of, _)| of == zone).map(|(_, sku)| sku.as_str());
        let new = match read {
            Ok(prices) => prices::of_storage(zone, &prices, charged),
            Err(e) => {
                tracing::warn!(zone, kind = e.kind.text(), error = %e, "the prices of storage could not be read");
                let recorded = inner.store.prices(&inner.account, false).await?;
                let is_recorded = |sku: &str| recorded.iter().any(|p| p.price.zone == zone && p.price.sku == sku);
                let mut missing = prices::of_storage(zone, &known, charged);
                missing.retain(|p| !is_recorded(&p.sku));
                missing
            }
        };
        inner.store.record_prices(&inner.account, &new, now).await
    }

    /// Takes over the recorded prices, if there are new ones.
    async fn know_prices(&self) -> Result<(), Error> {
        let inner = &self.inner;
        inner.store.refresh_storage_prices(&inner.account, &inner.provider.profile().storage_prices).await
    }

    /// The prices of storage and addresses in a zone.
    pub(crate) fn storage_prices(&self, zone: &str) -> Arc<StoragePrices> {
        let inner = &self.inner;
        let list = || Arc::new(inner.provider.profile().storage_prices.clone());
        inner.store.storage_prices(&inner.account, zone).unwrap_or_else(list)
    }

    /// Reads the catalogues that are old, or could not be read, of zones that this replica works in.
    pub(crate) async fn refresh_old(&self, tried: &mut HashMap<String, Timestamp>) -> Result<(), Error> {
        let inner = &self.inner;
        let now = inner.clock.now();
        // Another replica may have read a catalogue.
        self.know_prices().await?;
        for c in inner.store.catalogues(&inner.account).await? {
            let young = c.refreshed_at.is_some_and(|at| now.ms_since(at) < inner.config.catalogue_ms);
            let lately = tried.get(&c.zone).is_some_and(|at| now.ms_since(*at) < AGAIN_MS);
            let ours = inner.config.zones.contains(&c.zone) && self.claim_zone(&c.zone);
            if (young && c.error.is_none()) || lately || !ours {
                continue;
            }
            tried.insert(c.zone.clone(), now);
            self.refresh_zone(&c.zone).await?;
        }
        Ok(())
    }
}
