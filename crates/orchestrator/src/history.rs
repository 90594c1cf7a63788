//! What is kept of lives that are over: rows and proofs for ever, the rest of the action log for as long as is asked for.

use crate::Orchestrator;
use inventiv_core::month::begin_of_month;
use inventiv_core::time::Timestamp;
use inventiv_store::Error;
use tokio_util::sync::CancellationToken;

impl Orchestrator {
    /// Makes the parts of the action log that the coming months need, and lets go of the lines of months that are wholly older
    /// than is asked for, until `stop` is cancelled: of whole parts where nothing in them is kept, else a page at a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_history_in_order(&self, stop: &CancellationToken) -> Result<(), Error> {
        let now = self.inner.clock.now();
        let before = self.inner.config.action_log_retention_ms.map(|ms| begin_of_month(now.plus_ms(-ms)));
        let arranged = self.arrange_history(now, before).await;
        // Pages go even if no part could.
        if let Some(before) = before {
            let mut next = Some(String::new());
            while let Some(after) = next.filter(|_| !stop.is_cancelled()) {
                next = self.inner.store.prune_action_logs(before, &after).await?;
            }
        }
        arranged
    }

    async fn arrange_history(&self, now: Timestamp, before: Option<Timestamp>) -> Result<(), Error> {
        let arranged = self.inner.store.arrange_action_logs(now, before).await?;
        if arranged.left_to_owner {
            tracing::debug!(
                "the action log belongs to another role: `inventiv migrate` makes its months, with that role"
            );
        }
        Ok(())
    }
}
