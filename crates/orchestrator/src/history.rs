//! What is kept of lives that are over: rows and proofs for ever, the rest of the action log for as long as is asked for.

use crate::Orchestrator;
use inventiv_store::Error;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often old lines are looked for.
const PRUNE: Duration = Duration::from_secs(3_600);

impl Orchestrator {
    /// Lets go of old lines again and again, if any are to go.
    pub(crate) async fn keep_history(&self, stop: CancellationToken) {
        if self.inner.config.action_log_retention_ms.is_none() {
            stop.cancelled().await;
        }
        while !stop.is_cancelled() {
            if let Err(e) = self.prune_history(&stop).await {
                tracing::warn!(error = %e, "old lines of the action log could not be deleted; tried again in an hour");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PRUNE) => {}
            }
        }
    }

    /// Lets go of the lines that are old now, a page at a time, until `stop` is cancelled.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_history(&self, stop: &CancellationToken) -> Result<(), Error> {
        let Some(retention_ms) = self.inner.config.action_log_retention_ms else { return Ok(()) };
        let before = self.inner.clock.now().plus_ms(-retention_ms);
        let mut next = Some(String::new());
        while let Some(after) = next.filter(|_| !stop.is_cancelled()) {
            next = self.inner.store.prune_action_logs(before, &after).await?;
        }
        Ok(())
    }
}
