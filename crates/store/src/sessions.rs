//! Sessions: tokens that expire. Only the hash of a token is stored.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::id::SessionId;
use inventiv_core::role::Role;
use inventiv_core::time::Timestamp;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The hash of its token.
    pub hash: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// From when on the token is refused.
    pub expires_at: Timestamp,
}

const ADD: &str = "INSERT INTO sessions (id, name, role, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
const REPLACE: &str = "UPDATE sessions SET hash = $1 WHERE id = $2";
const DROP_EXPIRED: &str = "DELETE FROM sessions WHERE expires_at <= $1";
const ALL: &str = "SELECT * FROM sessions WHERE expires_at > $1 ORDER BY id";
const BY_HASH: &str = "SELECT * FROM sessions WHERE hash = $1 AND expires_at > $2";

impl Store {
    /// Adds a session, and deletes those that have expired.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if there is one with that id, and when the database refuses.
    pub async fn add_session(&self, s: &SessionRow) -> Result<(), Error> {
        let (mut add, mut drop_expired) = (Args::new(), Args::new());
        drop_expired.time(s.created_at);
        add.text(s.id.as_str()).text(&s.name).text(s.role.text()).text(&s.hash).time(s.created_at).time(s.expires_at);
        self.db.write(vec![drop_expired.statement(DROP_EXPIRED), add.statement(ADD)]).await.map(drop)
    }

    /// Replaces the token of a session. `false`: it has ended.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn replace_session(&self, id: &SessionId, hash: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(hash).text(id.as_str());
        Ok(self.db.write(vec![a.guarded(REPLACE)]).await? == Written::Done)
    }

    /// The session with a token of this hash, unless it has expired.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn session(&self, hash: &str, now: Timestamp) -> Result<Option<SessionRow>, Error> {
        let mut a = Args::new();
        a.text(hash).time(now);
        let rows = self.db.read(a.statement(BY_HASH)).await?;
        rows.first().map(|r| read(&Columns(r))).transpose()
    }

    /// Every session that has not expired, oldest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn sessions(&self, now: Timestamp) -> Result<Vec<SessionRow>, Error> {
        let mut a = Args::new();
        a.time(now);
        let rows = self.db.read(a.statement(ALL)).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// Ends a session. `false`: there is none with this id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_session(&self, id: &SessionId) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(id.as_str());
        Ok(self.db.write(vec![a.guarded("DELETE FROM sessions WHERE id = $1")]).await? == Written::Done)
    }

    /// Ends every session.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_sessions(&self) -> Result<(), Error> {
        self.db.write(vec![Args::new().statement("DELETE FROM sessions")]).await.map(drop)
    }
}

fn read(c: &Columns<'_>) -> Result<SessionRow, Error> {
    Ok(SessionRow {
        id: c.word("id", SessionId::parse)?,
        name: c.text("name")?,
        role: c.word("role", Role::parse)?,
        hash: c.text("hash")?,
        created_at: c.time("created_at")?,
        expires_at: c.time("expires_at")?,
    })
}
