//! Keeps the catalogue of each zone up to date.

use crate::{Orchestrator, prices};
use inventiv_core::time::Timestamp;
use inventiv_store::Error;
use std::collections::HashMap;

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
                inner.store.replace_offers(&inner.account, zone, &offers, now).await?;
                let charged = inner.store.charged_skus(&inner.account).await?;
                let charged = charged.iter().filter(|(of, _)| of == zone).map(|(_, sku)| sku.as_str());
                let prices = prices::of_zone(zone, &offers, &inner.provider.profile().storage_prices, charged);
                inner.store.record_prices(&inner.account, &prices, now).await?;
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

    /// Reads the catalogues that are old, or could not be read, of zones that this replica works in.
    pub(crate) async fn refresh_old(&self, tried: &mut HashMap<String, Timestamp>) -> Result<(), Error> {
        let inner = &self.inner;
        let now = inner.clock.now();
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
