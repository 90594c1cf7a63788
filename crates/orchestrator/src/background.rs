//! Periodic tasks beside the work on instances: the catalogue, audits, retention.
//!
//! Leases are not among them: their heartbeat is part of the main loop, so that a replica whose loop hangs loses its zones.

use crate::Orchestrator;
use async_trait::async_trait;
use inventiv_core::time::Timestamp;
use inventiv_store::Error;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A task that runs once per period until it is stopped. Runs never overlap.
#[async_trait]
pub(crate) trait BackgroundTask: Send {
    /// Its name in the log.
    fn name(&self) -> &'static str;

    /// The pause between two runs.
    fn period(&self) -> Duration;

    /// One run. It reads from clock and database what is due, so that a run may be late or repeated.
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), Error>;
}

/// Runs a task until `stop` is cancelled. A failed run is logged, and retried after the period.
pub(crate) async fn keep_running(mut task: impl BackgroundTask, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(e) = task.run(&stop).await {
            metrics::counter!("inventiv_background_task_failures_total", "task" => task.name()).increment(1);
            tracing::error!(task = task.name(), error = %e, "a background task failed; retries");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(task.period()) => {}
        }
    }
}

/// Reads the catalogues that are old.
pub(crate) struct Catalogue {
    pub(crate) of: Orchestrator,
    /// When the read of each zone's catalogue was last tried.
    pub(crate) tried: HashMap<String, Timestamp>,
}

#[async_trait]
impl BackgroundTask for Catalogue {
    fn name(&self) -> &'static str {
        "catalogue"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&mut self, _stop: &CancellationToken) -> Result<(), Error> {
        self.of.refresh_old(&mut self.tried).await
    }
}

/// Audits the zones that are due, or for which an audit was requested.
pub(crate) struct Audits {
    pub(crate) of: Orchestrator,
}

#[async_trait]
impl BackgroundTask for Audits {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&mut self, _stop: &CancellationToken) -> Result<(), Error> {
        self.of.audit_due().await.map(drop)
    }
}

/// Deletes what is older than the retention of the action log. A run reads past every line that is kept as evidence, a
/// second for 400,000 of them, so that it runs a few times a day.
pub(crate) struct Retention {
    pub(crate) of: Orchestrator,
}

#[async_trait]
impl BackgroundTask for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(6 * 3_600)
    }

    async fn run(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        self.of.delete_old_history(stop).await
    }
}

/// Ends instances whose time is over, or because a limit says so.
pub(crate) struct Expiry {
    pub(crate) of: Orchestrator,
}

#[async_trait]
impl BackgroundTask for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&mut self, _stop: &CancellationToken) -> Result<(), Error> {
        let expired = self.of.end_expired().await;
        self.of.drain_by_limit().await.and(expired).map(drop)
    }
}

/// Adds rows of the ledger that have ended to the sums.
pub(crate) struct Settling {
    pub(crate) of: Orchestrator,
}

#[async_trait]
impl BackgroundTask for Settling {
    fn name(&self) -> &'static str {
        "settling"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn run(&mut self, _stop: &CancellationToken) -> Result<(), Error> {
        self.of.settle_costs().await
    }
}

/// Plans services, and carries the plans out.
pub(crate) struct Services {
    pub(crate) of: Orchestrator,
}

#[async_trait]
impl BackgroundTask for Services {
    fn name(&self) -> &'static str {
        "services"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&mut self, _stop: &CancellationToken) -> Result<(), Error> {
        self.of.reconcile_services().await.map(drop)
    }
}

#[cfg(test)]
mod tests;
