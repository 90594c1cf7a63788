//! Idempotency keys: which instance a request created, in case it is sent again.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::{Error, corrupt};
use inventiv_core::id::InstanceId;
use inventiv_core::time::Timestamp;

/// A key whose request was carried out. It is kept as long as its instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The account.
    pub account_id: String,
    /// The key as sent.
    pub key: String,
    /// Identifies the request: a different request with the same key is an error.
    pub fingerprint: String,
    /// The instance that the request created.
    pub instance_id: InstanceId,
    /// When it was used.
    pub created_at: Timestamp,
}

const ADD: &str = "INSERT INTO idempotency_keys (account_id, idempotency_key, fingerprint, instance_id, created_at) \
    VALUES ($1, $2, $3, $4, $5)";
const FIND: &str = "SELECT * FROM idempotency_keys WHERE account_id = $1 AND idempotency_key = $2";

impl Store {
    /// The use of a key.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn idempotency_key(&self, account_id: &str, key: &str) -> Result<Option<IdempotencyKey>, Error> {
        let mut a = Args::new();
        a.text(account_id).text(key);
        self.db.read(a.statement(FIND)).await?.first().map(|r| read(&Columns(r))).transpose()
    }
}

pub(crate) fn insert(key: &IdempotencyKey) -> Statement {
    let mut a = Args::new();
    a.text(&key.account_id).text(&key.key).text(&key.fingerprint).text(key.instance_id.as_str()).time(key.created_at);
    a.statement(ADD)
}

fn read(c: &Columns<'_>) -> Result<IdempotencyKey, Error> {
    Ok(IdempotencyKey {
        account_id: c.text("account_id")?,
        key: c.text("idempotency_key")?,
        fingerprint: c.text("fingerprint")?,
        instance_id: InstanceId::parse(&c.text("instance_id")?).ok_or_else(|| corrupt("instance_id"))?,
        created_at: c.time("created_at")?,
    })
}
