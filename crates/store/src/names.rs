//! Names of instances: unique among what lives, so that people can say them instead of ids.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Instance;

const TAKE: &str = "INSERT INTO instance_names (account_id, name, instance_id) VALUES ($1, $2, $3)";
const TAKE_IF_FREE: &str = "INSERT INTO instance_names (account_id, name, instance_id) VALUES ($1, $2, $3) \
    ON CONFLICT (account_id, name) DO NOTHING";
const FREE: &str = "DELETE FROM instance_names WHERE instance_id = $1";
const HOLDER: &str = "SELECT instance_id AS id FROM instance_names WHERE account_id = $1 AND name = $2";
const LAST_WITH: &str = "SELECT id FROM instances WHERE account_id = $1 AND name = $2 ORDER BY id DESC LIMIT 1";
const BETWEEN: &str = "SELECT id FROM instances WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
/// Comes after every character of an id.
const AFTER_ALL: char = '~';

impl Store {
    /// The instance of an account with that name: the one that lives, else the last that had it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instance_named(&self, account_id: &str, name: &str) -> Result<Option<InstanceId>, Error> {
        for sql in [HOLDER, LAST_WITH] {
            let mut a = Args::new();
            a.text(account_id).text(name);
            if let Some(row) = self.db.read(a.statement(sql)).await?.first() {
                return Columns(row).word("id", InstanceId::parse).map(Some);
            }
        }
        Ok(None)
    }

    /// The ids of at most `limit` instances that begin with that text.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instance_ids_from(&self, begins: &str, limit: u32) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(begins).text(&format!("{begins}{AFTER_ALL}")).int(limit.into());
        let rows = self.db.read(a.statement(BETWEEN)).await?;
        rows.iter().map(|r| Columns(r).word("id", InstanceId::parse)).collect()
    }
}

/// Takes the name of an instance; if it must be free, the write fails with [`Error::Duplicate`] when it is not.
pub(crate) fn take(instance: &Instance, must_be_free: bool) -> Statement {
    let mut a = Args::new();
    a.text(&instance.account_id).text(&instance.name).text(instance.id.as_str());
    a.statement(if must_be_free { TAKE } else { TAKE_IF_FREE })
}

/// Gives the name of an instance back.
pub(crate) fn free(id: &InstanceId) -> Statement {
    let mut a = Args::new();
    a.text(id.as_str());
    a.statement(FREE)
}
