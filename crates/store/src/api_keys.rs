//! Keys of the gateway. Only their hashes are stored.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::id::KeyId;
use inventiv_core::time::Timestamp;

/// A key of the gateway, without its secret part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id, which is a part of the key.
    pub id: KeyId,
    /// What the operator calls it.
    pub name: String,
    /// The hash of the whole key, in hexadecimal.
    pub hash: String,
    /// The services and models that it may use; empty: all.
    pub scopes: Vec<String>,
    /// The maximum number of requests a minute; `None`: no limit.
    pub requests_per_minute: Option<i64>,
    /// The maximum number of tokens a minute, of prompts and answers together; `None`: no limit.
    pub tokens_per_minute: Option<i64>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it stops being valid; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKeyRow {
    /// Whether it opens anything at a time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

const REPLACE: &str = "UPDATE api_keys SET hash = $1 WHERE id = $2 AND revoked_at IS NULL";
const ADD: &str = "INSERT INTO api_keys (id, name, hash, scopes_json, requests_per_minute, tokens_per_minute, \
    created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const CHANGE: &str = "UPDATE api_keys SET name = $1, scopes_json = $2, requests_per_minute = $3, tokens_per_minute = $4, \
    expires_at = $5 WHERE id = $6 AND revoked_at IS NULL";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
const VALID: &str = "SELECT * FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)";

impl Store {
    /// Adds a key.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn add_api_key(&self, key: &ApiKeyRow) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(key.id.as_str()).text(&key.name).text(&key.hash).json(&key.scopes);
        a.opt_int(key.requests_per_minute).opt_int(key.tokens_per_minute).time(key.created_at).opt_time(key.expires_at);
        self.db.write(vec![a.statement(ADD)]).await.map(|_| ())
    }

    /// Replaces the value of a key, whose former value was in a response that was lost. `false`: it is revoked.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn replace_api_key(&self, key: &ApiKeyRow) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(&key.hash).text(key.id.as_str());
        Ok(self.db.write(vec![a.guarded(REPLACE)]).await? == Written::Done)
    }

    /// Changes everything of a key but its value. `false`: it is revoked.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn change_api_key(&self, key: &ApiKeyRow) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(&key.name).json(&key.scopes).opt_int(key.requests_per_minute).opt_int(key.tokens_per_minute);
        a.opt_time(key.expires_at).text(key.id.as_str());
        Ok(self.db.write(vec![a.guarded(CHANGE)]).await? == Written::Done)
    }

    /// All keys, oldest first, whether they are valid or not.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, Error> {
        let rows = self.db.read(Args::new().statement("SELECT * FROM api_keys ORDER BY id")).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// The keys that are valid at a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn valid_api_keys(&self, now: Timestamp) -> Result<Vec<ApiKeyRow>, Error> {
        let mut a = Args::new();
        a.time(now);
        let rows = self.db.read(a.statement(VALID)).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// One key.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn api_key(&self, id: &KeyId) -> Result<Option<ApiKeyRow>, Error> {
        let mut a = Args::new();
        a.text(id.as_str());
        let rows = self.db.read(a.statement("SELECT * FROM api_keys WHERE id = $1")).await?;
        rows.first().map(|r| read(&Columns(r))).transpose()
    }

    /// Revokes a key. `false`: there is none, or it was revoked before.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn revoke_api_key(&self, id: &KeyId, now: Timestamp) -> Result<bool, Error> {
        let mut a = Args::new();
        a.time(now).text(id.as_str());
        Ok(self.db.write(vec![a.guarded(REVOKE)]).await? == Written::Done)
    }
}

fn read(c: &Columns<'_>) -> Result<ApiKeyRow, Error> {
    Ok(ApiKeyRow {
        id: c.word("id", KeyId::parse)?,
        name: c.text("name")?,
        hash: c.text("hash")?,
        scopes: c.json("scopes_json")?,
        requests_per_minute: c.opt_int("requests_per_minute")?,
        tokens_per_minute: c.opt_int("tokens_per_minute")?,
        created_at: c.time("created_at")?,
        expires_at: c.opt_time("expires_at")?,
        revoked_at: c.opt_time("revoked_at")?,
        last_used_at: c.opt_time("last_used_at")?,
    })
}
