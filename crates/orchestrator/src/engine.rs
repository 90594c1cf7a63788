//! Runs several accounts in one process, each with its own driver, rate budget and zones.

use crate::{Clock, Config, Ids, Orchestrator, WorkerLink};
use inventiv_providers::CloudProvider;
use inventiv_store::{Error, Store};
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// One account with its driver.
pub struct EngineAccount {
    /// Its driver.
    pub provider: Arc<dyn CloudProvider>,
    /// Its configuration.
    pub config: Config,
}

/// Every account of a control plane.
pub struct Engine {
    orchestrators: Vec<Orchestrator>,
}

impl Engine {
    /// Nothing starts until [`Engine::run`]. The retention of the action log is common to all accounts, and is run by
    /// the first one.
    #[must_use]
    pub fn new(
        store: &Store,
        clock: &Arc<dyn Clock>,
        ids: &Arc<dyn Ids>,
        workers: &Arc<dyn WorkerLink>,
        accounts: Vec<EngineAccount>,
    ) -> Self {
        let one = |(n, account): (usize, EngineAccount)| {
            let retention = account.config.action_log_retention_ms.filter(|_| n == 0);
            let config = Config { action_log_retention_ms: retention, ..account.config };
            let orchestrator = Orchestrator::new(store.clone(), account.provider, clock.clone(), ids.clone(), config);
            orchestrator.use_workers(workers.clone());
            orchestrator
        };
        Self { orchestrators: accounts.into_iter().enumerate().map(one).collect() }
    }

    /// Records the accounts, so that instances can be created in them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn register(&self) -> Result<(), Error> {
        for orchestrator in &self.orchestrators {
            orchestrator.register().await?;
        }
        Ok(())
    }

    /// Runs until `stop` is cancelled, then finishes the calls that are in progress. If the work on one account ends
    /// unexpectedly, all stop: otherwise nobody would notice that the account is unattended.
    ///
    /// # Errors
    /// When the work on an account panicked.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), JoinError> {
        let mut running = JoinSet::new();
        for orchestrator in &self.orchestrators {
            let (orchestrator, stop) = (orchestrator.clone(), stop.clone());
            running.spawn(async move { orchestrator.run(stop).await });
        }
        let mut failed = None;
        while let Some(ended) = running.join_next().await {
            if let Err(e) = ended {
                tracing::error!(error = %e, "the work on an account failed");
                failed.get_or_insert(e);
            } else if !stop.is_cancelled() {
                tracing::error!("the work on an account ended unexpectedly; stops");
            }
            stop.cancel();
        }
        failed.map_or(Ok(()), Err)
    }
}
