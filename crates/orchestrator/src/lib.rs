//! Reconciles every instance in a loop: observe, plan, act, record.
//!
//! A [`tick`](Orchestrator::tick) takes the due instances, observes the cloud once for all of them, and runs their
//! steps. There is no code for recovery after a crash: the next tick continues from the records.

mod act;
mod audit;
mod background;
mod catalogue;
pub mod clock;
mod engine;
mod expiry;
mod history;
mod lease;
mod ledger;
mod limits;
mod observe;
mod park;
mod prices;
mod record;
mod recover;
mod services;
mod snapshots;
mod step;
mod sweep;
mod tick;
mod workers;

pub use clock::{Clock, Ids};
pub use engine::{Engine, EngineAccount};
pub use recover::ZoneRecovery;
pub use tick::TickReport;
pub use workers::{MutualTls, WorkerLink, WorkerSession};

use background::{Audits, Catalogue, Expiry, Retention, Services, Settling, keep_running};
use tick::Resync;

use inventiv_core::id::InstanceId;
use inventiv_core::lease::Terms;
use inventiv_core::plan::Rules;
use inventiv_core::sweep::Policy;
use inventiv_core::time::Timestamp;
use inventiv_providers::CloudProvider;
use inventiv_store::{Error, Store};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many times per resync interval the due zones are determined.
const RESYNC_LOOKS: i64 = 6;

/// The configuration of an orchestrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This control plane's id: part of every name in the cloud. Configuration, not a row.
    pub control_plane: String,
    /// Time limits and intervals of the planner.
    pub rules: Rules,
    /// The zones whose catalogue is read.
    pub zones: Vec<String>,
    /// How often the catalogue is read, in milliseconds.
    pub catalogue_ms: i64,
    /// How often each zone is audited, in milliseconds.
    pub audit_ms: i64,
    /// The default policy for orphans.
    pub orphan_policy: Policy,
    /// The durations of leases, where several replicas share a database.
    pub lease: Terms,
    /// How long lines of the action log that are no evidence are kept, in milliseconds; `None`: for ever.
    pub action_log_retention_ms: Option<i64>,
    /// The maximum number of concurrent steps.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            control_plane: "main".to_owned(),
            rules: Rules::default(),
            zones: Vec::new(),
            catalogue_ms: 300_000,
            audit_ms: 600_000,
            orphan_policy: Policy::Report,
            lease: Terms::default(),
            action_log_retention_ms: None,
            concurrency: 256,
        }
    }
}

/// Reconciles the instances of one account. Clones share their state.
#[derive(Clone)]
pub struct Orchestrator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    provider: Arc<dyn CloudProvider>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    config: Config,
    account: String,
    /// Instances for which this process runs a step.
    in_flight: Mutex<HashSet<InstanceId>>,
    zones: Mutex<HashMap<String, ZoneState>>,
    parked: park::Parked,
    leases: lease::Leases,
    steps: tokio::sync::Semaphore,
    /// The way to the workers; unset: there is none.
    workers: OnceLock<Arc<dyn WorkerLink>>,
    /// When this process first planned a service.
    watching_since: OnceLock<Timestamp>,
    /// Instances as they were at the last contact with their workers, and whether it went by an older one: for tests.
    kept: tokio::sync::Mutex<HashMap<InstanceId, (Option<inventiv_core::recorded::Aggregate>, bool)>>,
}

/// What this process remembers of a zone.
#[derive(Debug, Default, Clone)]
struct ZoneState {
    /// How many requests the last complete listing took.
    pages: usize,
    /// When the last complete listing began, and in which history of the database.
    listed_at: Option<(Timestamp, u64)>,
    /// When the last listing began that every instance of the zone was checked against.
    resynced_at: Option<Timestamp>,
    /// A listing is in progress.
    busy: bool,
}

impl Orchestrator {
    /// Nothing starts until [`Orchestrator::run`] or [`Orchestrator::tick`].
    #[must_use]
    pub fn new(
        store: Store,
        provider: Arc<dyn CloudProvider>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        mut config: Config,
    ) -> Self {
        config.rules.paces = provider.profile().paces.clone();
        let account = provider.account().id();
        let steps = tokio::sync::Semaphore::new(config.concurrency.max(1));
        let leases = lease::Leases::new(format!("{:032x}", ids.draw()), config.lease);
        let inner = Inner {
            store,
            provider,
            clock,
            ids,
            account,
            config,
            in_flight: Mutex::default(),
            zones: Mutex::default(),
            parked: park::Parked::default(),
            leases,
            steps,
            workers: OnceLock::new(),
            watching_since: OnceLock::new(),
            kept: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Records the account, so that instances can be created in it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn register(&self) -> Result<(), inventiv_store::Error> {
        let inner = &self.inner;
        self.record_account().await?;
        inner.store.expect_catalogues(&inner.account, &inner.config.zones).await?;
        inner.store.expect_audits(&inner.account, &inner.config.zones).await
    }

    async fn record_account(&self) -> Result<(), inventiv_store::Error> {
        let (inner, account) = (&self.inner, self.inner.provider.account());
        let now = inner.clock.now();
        inner.store.remember_account(&inner.account, &account.provider, &account.project_id, now).await
    }

    /// Runs until `stop` is cancelled; then finishes the calls that are in progress.
    pub async fn run(&self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let mut keepers = tokio::task::JoinSet::new();
        keepers.spawn(keep_running(Catalogue { of: self.clone(), tried: HashMap::new() }, stop.clone()));
        keepers.spawn(keep_running(Audits { of: self.clone() }, stop.clone()));
        keepers.spawn(keep_running(Retention { of: self.clone() }, stop.clone()));
        keepers.spawn(keep_running(Services { of: self.clone() }, stop.clone()));
        keepers.spawn(keep_running(Expiry { of: self.clone() }, stop.clone()));
        keepers.spawn(keep_running(Settling { of: self.clone() }, stop.clone()));
        keepers.spawn(self.clone().watch_workers(stop.clone()));
        let mut hints = self.inner.store.hints();
        let mut resync_at = self.inner.clock.now();
        let mut hinted = false;
        if self.inner.store.is_shared() {
            self.work_by_lease();
        }
        while !stop.is_cancelled() {
            if let Err(e) = self.work_once(&tasks, std::mem::take(&mut hinted), &mut resync_at).await {
                tracing::error!(error = %e, "the database did not respond; retries");
            }
            let pause_ms = self.inner.pause_ms().min(self.lease_round_ms());
            tokio::select! {
                () = stop.cancelled() => {}
                () = hints.next() => hinted = true,
                () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
                Some(ended) = keepers.join_next() => {
                    if stop.is_cancelled() {
                        continue;
                    }
                    // None of them ends before it is stopped. Without the task, an old audit would look like a new one.
                    tracing::error!(?ended, "a background task (catalogue, audit, retention, settling, services or workers) ended unexpectedly; stops");
                    stop.cancel();
                    return;
                }
            }
        }
        self.release_leases().await;
        tasks.close();
        // An audit may be running steps: the calls that are in progress are finished, as far as time allows.
        let ended = async { while keepers.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(10), ended).await.is_err() {
            tracing::warn!("an audit was still in progress at shutdown; the next start begins a new one");
        }
        if tokio::time::timeout(Duration::from_secs(15), tasks.wait()).await.is_err() {
            tracing::warn!("calls were still in progress at shutdown; the next start finds their outcome");
        }
    }

    async fn work_once(&self, tasks: &TaskTracker, hinted: bool, resync_at: &mut Timestamp) -> Result<(), Error> {
        // A zone whose lease was just taken is listed.
        let taken = self.keep_leases(hinted).await?;
        let now = self.inner.clock.now();
        let resync = if taken {
            Resync::Every
        } else if now >= *resync_at {
            Resync::Due
        } else {
            Resync::No
        };
        self.tick_into(tasks, resync).await?;
        if resync != Resync::No {
            *resync_at = now.plus_ms(self.inner.config.rules.resync_ms / RESYNC_LOOKS);
        }
        Ok(())
    }

    fn claim(&self, id: &InstanceId) -> Option<Claim> {
        let mut held = self.inner.in_flight.lock();
        held.insert(id.clone()).then(|| Claim { orchestrator: self.clone(), id: id.clone() })
    }

    fn zone_state(&self, zone: &str, change: impl FnOnce(&mut ZoneState)) -> ZoneState {
        let mut zones = self.inner.zones.lock();
        let state = zones.entry(zone.to_owned()).or_default();
        change(state);
        state.clone()
    }

    /// When the last complete listing of a zone began, if the history of the database is still the same.
    fn listed_at(&self, zone: &str) -> Option<Timestamp> {
        let listed = self.zone_state(zone, |_| {}).listed_at;
        listed.filter(|(_, epoch)| *epoch == self.inner.store.epoch()).map(|(at, _)| at)
    }
}

/// While it exists, no other task of this process runs a step for the instance.
struct Claim {
    orchestrator: Orchestrator,
    id: InstanceId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.orchestrator.inner.in_flight.lock();
        held.remove(&self.id);
    }
}
