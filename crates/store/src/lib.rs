//! What Inventiv-Agents remembers: one SQL text, on SQLite and on PostgreSQL.
//!
//! `db` is the only file that knows there are two. An instance with its servers and volumes is read and written as one
//! [`Aggregate`](inventiv_core::recorded::Aggregate); every write is guarded by its version.

/// The statuses of a life that is not over, as they stand in the index of these: both databases know it by this very text.
macro_rules! living {
    () => {
        "status IN ('provisioning', 'booting', 'ready', 'terminating')"
    };
}

mod accounts;
mod aggregates;
mod args;
mod audits;
mod catalogue;
mod changes;
mod db;
mod error;
mod filtered;
mod idempotency;
mod instance_rows;
mod leases;
mod logs;
mod models;
mod names;
mod server_rows;
mod settings;
mod volume_rows;

pub use accounts::Account;
pub use aggregates::{InstanceFilter, Saved};
pub use audits::{AuditDone, FixRequest, Unfinished, ZoneAudit};
pub use catalogue::Catalogue;
pub use changes::{Change, Cursor};
pub use db::{Arranged, Moved, Schema, WriteHook, WritePhase};
pub use error::Error;
pub use idempotency::IdempotencyKey;
pub use logs::{ActionLog, LogClose, LogStatus, LogWrite, StateChange};
pub use models::Model;
pub use settings::ProviderSettings;
pub use volume_rows::{VolumeFilter, VolumeWithOwner};

use db::Db;
use inventiv_core::time::Timestamp;
use std::sync::Arc;
use tokio::sync::Notify;

/// The memory; clones share it.
#[derive(Clone)]
pub struct Store {
    db: Db,
    changed: Arc<Notify>,
    /// Listens to the other replicas for as long as any clone lives.
    _ears: Option<Arc<Listener>>,
}

struct Listener(tokio::task::AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Store {
    /// Opens a database and brings its schema up to date.
    ///
    /// `sqlite:FILE` (made if it is not there) or `postgres://…`.
    ///
    /// # Errors
    /// When it cannot be reached, read or written, or comes from a newer version.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let (db, changed) = (Db::open(url).await?, Arc::new(Notify::new()));
        let reported = changed.clone();
        let ears = db.shared().cloned().map(|server| {
            Arc::new(Listener(
                tokio::spawn(async move { server.listen(move || reported.notify_one()).await }).abort_handle(),
            ))
        });
        Ok(Self { db, changed, _ears: ears })
    }

    /// How the schema of a database stands; nothing of it is changed.
    ///
    /// # Errors
    /// When it cannot be read, or comes from a newer version.
    pub async fn schema(url: &str) -> Result<Schema, Error> {
        Db::schema(url).await
    }

    /// Moves every row of a SQLite file to PostgreSQL, compares them there, and closes the file for good. It can be begun
    /// again after whatever stopped it. `reported` hears of each table.
    ///
    /// # Errors
    /// When either cannot be opened, or a row is not the same on both sides: then the file is as it was.
    pub async fn move_rows(
        from: &str,
        to: &str,
        now: Timestamp,
        reported: &mut (dyn FnMut(&Moved) + Send),
    ) -> Result<(), Error> {
        db::move_all(from, to, now, reported).await
    }

    /// Whether other machines may use the same database.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.db.shared().is_some()
    }

    /// Changes when another server answers than before, or the same after a restart: what was written last may be lost then,
    /// and the cloud may know more than these rows.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.db.epoch()
    }

    /// The database's own clock, for which all replicas are the same distance from the truth; `None`: it runs on this machine.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn now(&self) -> Result<Option<Timestamp>, Error> {
        self.db.now().await
    }

    /// The same memory; every exchange with the database happens on the runtime that it was opened on, while the asking
    /// thread stands still: for trials that must go the same way each time.
    #[must_use]
    pub fn in_one_order(mut self, opened_on: tokio::runtime::Handle) -> Self {
        self.db.elsewhere = Some(opened_on);
        self
    }

    /// The same memory, with a write_hook before and after every write.
    #[must_use]
    pub fn with_write_hook(mut self, write_hook: WriteHook) -> Self {
        self.db.write_hook = Some(write_hook);
        self
    }

    /// Waits until somebody wants something else, here or through another replica. A hint: polling is the truth.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells whoever waits in [`Store::changed`]. Nobody waits for that.
    pub fn tell_change(&self) {
        self.changed.notify_one();
        if self.is_shared() {
            let db = self.db.clone();
            tokio::spawn(async move { notify(&db).await });
        }
    }

    /// The same; the others have been told when this returns: for a process that is about to end.
    pub async fn tell_last_change(&self) {
        self.changed.notify_one();
        if self.is_shared() {
            notify(&self.db).await;
        }
    }

    /// Whether the database answers and can be written.
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
mod tests {
    use inventiv_core::status::Status;

    #[test]
    fn the_text_names_every_status_of_a_life_that_is_not_over() {
        let named: Vec<String> =
            Status::ALL.iter().filter(|s| !s.is_final()).map(|s| format!("'{}'", s.text())).collect();
        assert_eq!(living!(), format!("status IN ({})", named.join(", ")));
        let migration = include_str!("../migrations/0005_history.sql");
        assert!(migration.contains(concat!("WHERE ", living!())), "the index is known by the same text");
    }
}
