//! What Inventiv-Agents remembers: one SQL text, on SQLite and on PostgreSQL.
//!
//! `db` is the only file that knows there are two. An instance with its servers and volumes is read and written as one
//! [`Aggregate`](inventiv_core::recorded::Aggregate); every write is guarded by its version.

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

pub use aggregates::{InstanceFilter, Saved};
pub use audits::{Unfinished, ZoneAudit};
pub use catalogue::Catalogue;
pub use error::Error;
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

    /// Remembers an account, once.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remember_account(&self, id: &str, provider: &str, project: &str, now: Timestamp) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO provider_accounts (id, provider, project_id, created_at) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (id) DO NOTHING";
        let mut args = args::Args::new();
        args.text(id).text(provider).text(project).int(now.0);
        self.db.write(vec![args.statement(SQL)]).await.map(|_| ())
    }

    /// Whether an account is known.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn account_exists(&self, id: &str) -> Result<bool, Error> {
        let mut args = args::Args::new();
        args.text(id);
        Ok(!self.db.read(args.statement("SELECT id FROM provider_accounts WHERE id = $1")).await?.is_empty())
    }
}
