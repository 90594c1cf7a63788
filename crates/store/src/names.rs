//! Names of instances: unique among living instances, so that they can be used instead of ids.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Instance;

/// Affects no row if another living instance has the name, even if an older version did not record the name here. Older
/// versions kept the names of ended instances, so an ended holder is replaced. That it has ended must be visible:
/// PostgreSQL shows a holder that another write has just committed, but not yet that holder's instance.
const TAKE: &str = concat!(
    "INSERT INTO instance_names (account_id, name, instance_id) SELECT $1, $2, $3 \
    WHERE NOT EXISTS (SELECT 1 FROM instances WHERE account_id = $1 AND name = $2 AND id <> $3 AND ",
    living!(),
    ") ON CONFLICT (account_id, name) DO UPDATE SET instance_id = excluded.instance_id \
    WHERE EXISTS (SELECT 1 FROM instances WHERE id = instance_names.instance_id AND NOT ",
    living!(),
    ")"
);
const FREE: &str = "DELETE FROM instance_names WHERE instance_id = $1";
const LIVING_WITH: &str =
    concat!("SELECT id FROM instances WHERE account_id = $1 AND name = $2 AND ", living!(), " ORDER BY id LIMIT $3");
const LAST_WITH: &str = "SELECT id FROM instances WHERE account_id = $1 AND name = $2 ORDER BY id DESC LIMIT 1";
const BETWEEN: &str = "SELECT id FROM instances WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3";
/// Sorts after every character of an id, in any collation.
const LAST: &str = "z";
/// At least as long as an id.
const ID_LENGTH: usize = 32;

/// Who has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Instances that live.
    Living(Vec<InstanceId>),
    /// None that lives; the last one that had the name, if any had.
    Ended(Option<InstanceId>),
}

impl Store {
    /// The living instances of an account with that name (one, unless an older version created more), else the last one
    /// that had it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instances_named(&self, account_id: &str, name: &str, limit: u32) -> Result<Named, Error> {
        let id = |r| Columns(r).word("id", InstanceId::parse);
        let mut a = Args::new();
        a.text(account_id).text(name).int(limit.into());
        let living = self.db.read(a.statement(LIVING_WITH)).await?;
        if !living.is_empty() {
            return Ok(Named::Living(living.iter().map(id).collect::<Result<_, _>>()?));
        }
        let mut a = Args::new();
        a.text(account_id).text(name);
        let ended = self.db.read(a.statement(LAST_WITH)).await?;
        Ok(Named::Ended(ended.first().map(id).transpose()?))
    }

    /// At most `limit` instance ids that begin with this prefix.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instance_ids_from(&self, begins: &str, limit: u32) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(begins).text(&format!("{begins}{}", LAST.repeat(ID_LENGTH))).int(limit.into());
        let rows = self.db.read(a.statement(BETWEEN)).await?;
        rows.iter().map(|r| Columns(r).word("id", InstanceId::parse)).collect()
    }
}

/// Takes the name of an instance. If it must be free and is not, the write is undone.
pub(crate) fn take(instance: &Instance, must_be_free: bool) -> Statement {
    let mut a = Args::new();
    a.text(&instance.account_id).text(&instance.name).text(instance.id.as_str());
    if must_be_free { a.guarded(TAKE) } else { a.statement(TAKE) }
}

/// Releases the name of an instance.
pub(crate) fn free(id: &InstanceId) -> Statement {
    let mut a = Args::new();
    a.text(id.as_str());
    a.statement(FREE)
}
