//! What Inventiv-Agents remembers: one SQL text, on SQLite and on PostgreSQL.
//!
//! `db` is the only file that knows there are two. An instance with its servers and volumes is read and written as one
//! [`Aggregate`](inventiv_core::recorded::Aggregate); every write is guarded by its version.

mod accounts;
mod aggregates;
mod args;
mod audits;
mod catalogue;
mod db;
mod error;
mod instance_rows;
mod logs;
mod models;
mod server_rows;
mod settings;
mod volume_rows;

pub use accounts::Account;
pub use aggregates::{InstanceFilter, Saved};
pub use audits::{AuditDone, FixRequest, Unfinished, ZoneAudit};
pub use catalogue::Catalogue;
pub use db::{Gate, Moment};
pub use error::Error;
pub use logs::{ActionLog, LogClose, LogStatus, LogWrite, StateChange};
pub use models::Model;
pub use settings::ProviderSettings;
pub use volume_rows::{VolumeFilter, VolumeWithOwner};

use db::Db;
use std::sync::Arc;
use tokio::sync::Notify;

/// The memory; clones share it.
#[derive(Clone)]
pub struct Store {
    db: Db,
    changed: Arc<Notify>,
}

impl Store {
    /// Opens a database and brings its schema up to date.
    ///
    /// `sqlite:FILE` (made if it is not there) or `postgres://…`.
    ///
    /// # Errors
    /// When it cannot be reached, read or written, or comes from a newer version.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Ok(Self { db: Db::open(url).await?, changed: Arc::new(Notify::new()) })
    }

    /// The same memory; every exchange with the database happens on the runtime that it was opened on, while the asking
    /// thread stands still: for trials that must go the same way each time.
    #[must_use]
    pub fn in_one_order(mut self, opened_on: tokio::runtime::Handle) -> Self {
        self.db.elsewhere = Some(opened_on);
        self
    }

    /// The same memory, with a gate before and after every write.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.db.gate = Some(gate);
        self
    }

    /// Waits until somebody in this process wants something else. A hint: polling is the truth.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells whoever waits in [`Store::changed`].
    pub fn tell_change(&self) {
        self.changed.notify_one();
    }

    /// Whether the database answers and can be written.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> Result<(), Error> {
        self.db.check().await
    }
}
