//! Keeps the catalogue of each zone fresh.

use crate::Orchestrator;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon a catalogue that could not be read is tried again.
const AGAIN_MS: u64 = 15_000;

impl Orchestrator {
    /// Reads every zone's catalogue once; `false`: some could not be read, which is noted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn refresh_catalogue(&self) -> Result<bool, inventiv_store::Error> {
        let inner = &self.inner;
        let mut all_read = true;
        for zone in &inner.config.zones {
            match inner.provider.offers(zone).await {
                Ok(offers) => inner.store.replace_offers(&inner.account, zone, &offers, inner.clock.now()).await?,
                Err(e) => {
                    all_read = false;
                    tracing::warn!(zone, kind = e.kind.text(), error = %e, "a catalogue could not be read");
                    inner.store.mark_catalogue_error(&inner.account, zone, &e.message).await?;
                }
            }
        }
        Ok(all_read)
    }

    pub(crate) async fn keep_catalogue(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.refresh_catalogue().await {
                Ok(true) => self.inner.config.catalogue_ms,
                Ok(false) => AGAIN_MS.min(self.inner.config.catalogue_ms),
                Err(e) => {
                    tracing::error!(error = %e, "the database did not answer; tries again");
                    AGAIN_MS
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
    }
}
