//! Secrets that users set. Only sealed texts are stored: the keys are not in the database.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::time::Timestamp;

/// A secret, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name.
    pub name: String,
    /// The sealed value.
    pub sealed: String,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When its value was last set. Sealing the same value again does not count.
    pub updated_at: Timestamp,
}

const ADD: &str = "INSERT INTO secrets (name, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (name) DO NOTHING";
const SET: &str = "UPDATE secrets SET sealed = $1, updated_at = $2 WHERE name = $3";
const RESEAL: &str = "UPDATE secrets SET sealed = $1 WHERE name = $2 AND sealed = $3";
const DROP: &str = "DELETE FROM secrets WHERE name = $1";

impl Store {
    /// All secrets, in the order of their names.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn secrets(&self) -> Result<Vec<SecretRow>, Error> {
        let rows = self.db.read(Args::new().statement("SELECT * FROM secrets")).await?;
        let mut secrets = rows.iter().map(|r| read(&Columns(r))).collect::<Result<Vec<_>, _>>()?;
        // Sorted here: the order of texts in PostgreSQL depends on its locale.
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(secrets)
    }

    /// One secret.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn secret(&self, name: &str) -> Result<Option<SecretRow>, Error> {
        let mut a = Args::new();
        a.text(name);
        let rows = self.db.read(a.statement("SELECT * FROM secrets WHERE name = $1")).await?;
        rows.first().map(|r| read(&Columns(r))).transpose()
    }

    /// Sets a secret, whatever its value was; `true`: there was none of this name.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_secret(&self, name: &str, sealed: &str, now: Timestamp) -> Result<bool, Error> {
        // Ends as soon as nobody creates or deletes the same secret in between.
        loop {
            let mut a = Args::new();
            a.text(name).text(sealed).time(now).time(now);
            if self.db.write(vec![a.guarded(ADD)]).await? == Written::Done {
                return Ok(true);
            }
            a.text(sealed).time(now).text(name);
            if self.db.write(vec![a.guarded(SET)]).await? == Written::Done {
                return Ok(false);
            }
        }
    }

    /// Replaces a sealed text by another one of the same value. `false`: the secret has changed since it was read.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn reseal_secret(&self, name: &str, from_sealed: &str, to_sealed: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(to_sealed).text(name).text(from_sealed);
        Ok(self.db.write(vec![a.guarded(RESEAL)]).await? == Written::Done)
    }

    /// Deletes a secret. `false`: there is none of this name.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn delete_secret(&self, name: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(name);
        Ok(self.db.write(vec![a.guarded(DROP)]).await? == Written::Done)
    }
}

fn read(c: &Columns<'_>) -> Result<SecretRow, Error> {
    Ok(SecretRow {
        name: c.text("name")?,
        sealed: c.text("sealed")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    })
}
