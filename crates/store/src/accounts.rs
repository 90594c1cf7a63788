//! Provider accounts: which rows belong to which, and which accounts still own something.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use crate::orphan_charges;
use inventiv_core::name::CloudName;
use inventiv_core::time::Timestamp;

/// A provider account that rows belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id on every row: provider and project.
    pub id: String,
    /// The provider.
    pub provider: String,
    /// The project that everything is created in.
    pub project_id: String,
    /// When it was first used.
    pub created_at: Timestamp,
    /// Living instances.
    pub instances: i64,
    /// Servers, including unconfirmed ones, that are not proven gone.
    pub servers: i64,
    /// The same for volumes, including retained ones.
    pub volumes: i64,
}

impl Account {
    /// Whether anything of it still exists, or may exist.
    #[must_use]
    pub const fn owns_something(&self) -> bool {
        self.instances + self.servers + self.volumes > 0
    }
}

const REMEMBER: &str = "INSERT INTO provider_accounts (id, provider, project_id, created_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (id) DO UPDATE SET removed_at = NULL";
const LIST: &str = "SELECT * FROM (SELECT a.id, a.provider, a.project_id, a.created_at, a.removed_at, \
    (SELECT COUNT(*) FROM instances i WHERE i.account_id = a.id AND i.status IN \
    ('provisioning', 'booting', 'installing', 'starting', 'ready', 'unavailable', \
    'startup_failed', 'stopping', 'stopped', 'draining', 'terminating')) AS instances, \
    (SELECT COUNT(*) FROM instance_servers s WHERE s.account_id = a.id AND s.gone_at IS NULL AND s.create_state IN \
    ('intended', 'unconfirmed', 'created')) AS servers, \
    (SELECT COUNT(*) FROM instance_volumes v WHERE v.account_id = a.id AND v.deleted_at IS NULL AND v.create_state IN \
    ('intended', 'unconfirmed', 'created') AND v.status NOT IN ('deleted', 'released', 'failed')) AS volumes \
    FROM provider_accounts a) AS listed WHERE removed_at IS NULL OR instances + servers + volumes > 0 ORDER BY id";
/// Only if nothing of it is left, checked in the same statement.
const REMOVE: &str = "UPDATE provider_accounts SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.account_id = $1 AND i.status IN \
    ('provisioning', 'booting', 'installing', 'starting', 'ready', 'unavailable', \
    'startup_failed', 'stopping', 'stopped', 'draining', 'terminating')) \
    AND NOT EXISTS (SELECT 1 FROM instance_servers s WHERE s.account_id = $1 AND s.gone_at IS NULL \
    AND s.create_state IN ('intended', 'unconfirmed', 'created')) \
    AND NOT EXISTS (SELECT 1 FROM instance_volumes v WHERE v.account_id = $1 AND v.deleted_at IS NULL \
    AND v.create_state IN ('intended', 'unconfirmed', 'created') AND v.status NOT IN ('deleted', 'released', 'failed'))";
const NEWEST_NAME: &str = "SELECT name FROM instance_servers WHERE name LIKE 'iva-%' ORDER BY id DESC LIMIT 1";

impl Store {
    /// The control plane that created the newest server; `None`: no server yet.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn control_plane(&self) -> Result<Option<String>, Error> {
        let rows = self.db.read(Args::new().statement(NEWEST_NAME)).await?;
        let name = rows.first().map(|r| Columns(r).text("name")).transpose()?;
        Ok(name.as_deref().and_then(CloudName::parse).map(|n| n.control_plane))
    }

    /// Records an account; one that was removed from the list is listed again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remember_account(&self, id: &str, provider: &str, project: &str, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(id).text(provider).text(project).int(now.0);
        self.db.write(vec![a.statement(REMEMBER)]).await.map(|_| ())
    }

    /// The accounts on the list.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let one = |r| {
            let c = Columns(r);
            Ok(Account {
                id: c.text("id")?,
                provider: c.text("provider")?,
                project_id: c.text("project_id")?,
                created_at: c.time("created_at")?,
                instances: c.int("instances")?,
                servers: c.int("servers")?,
                volumes: c.int("volumes")?,
            })
        };
        self.db.read(Args::new().statement(LIST)).await?.iter().map(one).collect()
    }

    /// Removes an account from the list; `false`: it is not on it, or something of it is left. Its rows stay.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remove_account(&self, id: &str, now: Timestamp) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(id).time(now);
        // Nobody looks for its orphans any more.
        Ok(self.db.write(vec![a.guarded(REMOVE), orphan_charges::end_all(id, now)]).await? == Written::Done)
    }
}
