//! Retention of the history: rows and proofs are kept for ever, other lines of the action log for the retention time, and
//! requests with an `Idempotency-Key` and plans for a day.

use crate::Orchestrator;
use inventiv_store::Error;
use tokio_util::sync::CancellationToken;

impl Orchestrator {
    /// Deletes requests, plans and lines of the action log that are older than they are kept: lines a page at a time, until
    /// `stop` is cancelled.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_old_history(&self, stop: &CancellationToken) -> Result<(), Error> {
        let now = self.inner.clock.now();
        self.inner.store.forget_old_requests(now).await?;
        self.inner.store.forget_old_plans(now).await?;
        let Some(retention_ms) = self.inner.config.action_log_retention_ms else { return Ok(()) };
        let before = now.plus_ms(-retention_ms);
        let mut next = Some(String::new());
        while let Some(after) = next.filter(|_| !stop.is_cancelled()) {
            next = self.inner.store.prune_action_logs(before, &after).await?;
        }
        Ok(())
    }
}
