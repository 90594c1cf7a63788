//! Certificate authorities of the control plane. Their private keys are stored sealed: the key that seals them is not in
//! the database.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::{Error, corrupt};
use inventiv_core::time::Timestamp;

/// A certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityRow {
    /// What it certifies: `worker`.
    pub id: String,
    /// Its certificate.
    pub certificate_pem: String,
    /// Its private key, sealed.
    pub sealed_key: String,
    /// When it was created.
    pub created_at: Timestamp,
}

const ADD: &str = "INSERT INTO authorities (id, certificate_pem, sealed_key, created_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (id) DO NOTHING";
const RESEAL: &str = "UPDATE authorities SET sealed_key = $1 WHERE id = $2 AND sealed_key = $3";

impl Store {
    /// One certificate authority.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn authority(&self, id: &str) -> Result<Option<AuthorityRow>, Error> {
        let mut a = Args::new();
        a.text(id);
        let rows = self.db.read(a.statement("SELECT * FROM authorities WHERE id = $1")).await?;
        rows.first().map(|r| read(&Columns(r))).transpose()
    }

    /// Stores a certificate authority if there is none of its id, and returns the one that is stored: of several
    /// replicas that begin at once, all get the same.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn begin_authority(&self, row: &AuthorityRow) -> Result<AuthorityRow, Error> {
        let mut a = Args::new();
        a.text(&row.id).text(&row.certificate_pem).text(&row.sealed_key).time(row.created_at);
        self.db.write(vec![a.statement(ADD)]).await?;
        // Rows are never deleted.
        self.authority(&row.id).await?.ok_or_else(|| corrupt("a certificate authority that was stored is missing"))
    }

    /// Replaces a sealed private key by another sealed text of the same key. `false`: it has changed since it was read.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn reseal_authority(&self, id: &str, from_sealed: &str, to_sealed: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(to_sealed).text(id).text(from_sealed);
        Ok(self.db.write(vec![a.guarded(RESEAL)]).await? == Written::Done)
    }
}

fn read(c: &Columns<'_>) -> Result<AuthorityRow, Error> {
    Ok(AuthorityRow {
        id: c.text("id")?,
        certificate_pem: c.text("certificate_pem")?,
        sealed_key: c.text("sealed_key")?,
        created_at: c.time("created_at")?,
    })
}
