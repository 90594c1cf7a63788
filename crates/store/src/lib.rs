//! The store of Inventiv-Agents: the same SQL on SQLite and PostgreSQL.
//!
//! Only `db` distinguishes the two. An instance with its servers and volumes is read and written as one
//! [`Aggregate`](inventiv_core::recorded::Aggregate); every write is guarded by its version.

/// The statuses of living instances, exactly as in the partial index: both databases match the index by this text.
macro_rules! living {
    () => {
        "status IN ('provisioning', 'booting', 'installing', 'starting', 'ready', 'unavailable', 'startup_failed', 'stopping', 'stopped', 'draining', 'terminating')"
    };
}

mod accounts;
mod aggregates;
mod alerts;
mod api_keys;
mod args;
mod audits;
mod authorities;
mod catalogue;
mod changes;
mod charges;
mod costs;
mod db;
mod deliveries;
mod difference;
mod error;
mod filtered;
mod idempotency;
mod instance_rows;
mod leases;
mod limits;
mod logs;
mod models;
mod names;
mod of_ids;
mod orphan_charges;
mod plans;
mod price_book;
mod prices;
mod replays;
mod saved;
mod secrets;
mod server_rows;
mod services;
mod sessions;
mod settings;
mod usage;
mod volume_rows;
mod webhooks;
mod workers;

pub use accounts::Account;
pub use aggregates::InstanceFilter;
pub use alerts::{AlertRow, AlertToOpen};
pub use api_keys::ApiKeyRow;
pub use audits::{AuditDone, FixRequest, Unfinished, ZoneAudit};
pub use authorities::AuthorityRow;
pub use catalogue::Catalogue;
pub use changes::{Change, Cursor};
pub use charges::OpenCharge;
pub use costs::{ChargePiece, CostFilter, CostRate, CostRow, Unpriced};
pub use db::{Moved, Schema, WriteHook, WritePhase};
pub use deliveries::{Attempt, DeliveryRow, DueDelivery};
pub use difference::Giver;
pub use error::Error;
pub use idempotency::IdempotencyKey;
pub use logs::{ActionLog, LogClose, LogWrite, StateChange};
pub use models::Model;
pub use names::Named;
pub use plans::PlanRow;
pub use prices::{NewPrice, Price};
pub use replays::{Claimed, REMEMBERED_MS, RequestClaim};
pub use saved::Saved;
pub use secrets::SecretRow;
pub use services::Target;
pub use sessions::SessionRow;
pub use settings::ProviderSettings;
pub use usage::{Counted, MinuteUse, Usage, UsageKey};
pub use volume_rows::{VolumeFilter, VolumeWithOwner};
pub use webhooks::WebhookRow;
pub use workers::{EngineLog, WatchedInstance};

use db::Db;
use inventiv_core::time::Timestamp;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// The store; clones share it.
#[derive(Clone)]
pub struct Store {
    db: Db,
    changed: watch::Sender<()>,
    /// What was spent, as it was last summed up.
    spent: Arc<Mutex<limits::Sums>>,
    price_book: Arc<price_book::PriceBook>,
    /// Listens to the other replicas as long as any clone exists.
    _ears: Option<Arc<Listener>>,
}

struct Listener(tokio::task::AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hints that the desired state of something has changed; every reader gets each of them, several at once as one.
pub struct Hints(watch::Receiver<()>);

impl Hints {
    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The database is closed: nothing will change any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Store {
    /// Opens a database and brings its schema up to date.
    ///
    /// `sqlite:FILE` (created if missing) or `postgres://…`.
    ///
    /// # Errors
    /// When it cannot be reached, read or written, or comes from a newer version.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let (db, changed) = (Db::open(url).await?, watch::Sender::new(()));
        let reported = changed.clone();
        let ears = db.shared().cloned().map(|server| {
            Arc::new(Listener(
                tokio::spawn(async move { server.listen(move || reported.send_replace(())).await }).abort_handle(),
            ))
        });
        Ok(Self { db, changed, spent: Arc::default(), price_book: Arc::default(), _ears: ears })
    }

    /// The state of a database's schema; nothing is changed.
    ///
    /// # Errors
    /// When it cannot be read, or comes from a newer version.
    pub async fn schema(url: &str) -> Result<Schema, Error> {
        Db::schema(url).await
    }

    /// Moves every row of a SQLite file to PostgreSQL, compares the rows there, and closes the file for good. After any
    /// interruption it can be started again. Calls `reported` for each table.
    ///
    /// # Errors
    /// When either cannot be opened, or a row differs between the sides: then the file is unchanged.
    pub async fn move_rows(
        from: &str,
        to: &str,
        now: Timestamp,
        reported: &mut (dyn FnMut(&Moved) + Send),
    ) -> Result<(), Error> {
        db::move_all(from, to, now, reported).await
    }

    /// Whether other machines can use the same database.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.db.shared().is_some()
    }

    /// Changes when another database server answers, or the same one after a restart: the last writes may then be lost,
    /// and the cloud may be newer than these rows.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.db.epoch()
    }

    /// The database's clock, which all replicas share; `None`: the database runs on this machine.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn now(&self) -> Result<Option<Timestamp>, Error> {
        self.db.now().await
    }

    /// The same store; every exchange with the database runs on the runtime that opened it, while the calling thread
    /// blocks: for deterministic tests.
    #[must_use]
    pub fn in_one_order(mut self, opened_on: tokio::runtime::Handle) -> Self {
        self.db.elsewhere = Some(opened_on);
        self
    }

    /// The same store, with a hook before and after every write.
    #[must_use]
    pub fn with_write_hook(mut self, write_hook: WriteHook) -> Self {
        self.db.write_hook = Some(write_hook);
        self
    }

    /// Hints, from now on, that desired state has changed, here or through another replica. Polling is authoritative.
    #[must_use]
    pub fn hints(&self) -> Hints {
        Hints(self.changed.subscribe())
    }

    /// Wakes the waiters of [`Store::hints`], in the background.
    pub fn tell_change(&self) {
        self.changed.send_replace(());
        if self.is_shared() {
            let db = self.db.clone();
            tokio::spawn(async move { notify(&db).await });
        }
    }

    /// The same, but returns after the other replicas are notified: for a process that is about to end.
    pub async fn tell_last_change(&self) {
        self.changed.send_replace(());
        if self.is_shared() {
            notify(&self.db).await;
        }
    }

    /// Checks that the database answers and accepts writes.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> Result<(), Error> {
        self.db.check().await
    }
}

async fn notify(db: &Db) {
    if let Err(e) = db.notify().await {
        tracing::debug!(error = %e, "the other replicas were not told of a change; they look by themselves");
    }
}

#[cfg(test)]
mod tests;
