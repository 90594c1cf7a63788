//! Models that users serve, with their own data volume size if set.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::time::Timestamp;

/// A model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its id, as on the Hugging Face Hub: `Qwen/Qwen2.5-7B-Instruct`.
    pub id: String,
    /// The size of its data volume in GB; 0: no data volume; `None`: as recommended.
    pub data_volume_gb: Option<i64>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const ADD: &str = "INSERT INTO models (id, data_volume_gb, created_at, updated_at) VALUES ($1, $2, $3, $4)";
const SET: &str = "UPDATE models SET data_volume_gb = $1, updated_at = $2 WHERE id = $3 AND updated_at = $4";
const DROP: &str = "DELETE FROM models WHERE id = $1 AND updated_at = $2";
const LIST: &str = "SELECT * FROM models WHERE id > $1 ORDER BY id LIMIT $2";

impl Store {
    /// Adds a model.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when it exists already.
    pub async fn add_model(&self, model: &Model) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&model.id).opt_int(model.data_volume_gb).time(model.created_at).time(model.updated_at);
        self.db.write(vec![a.statement(ADD)]).await.map(|_| ())
    }

    /// Reads and changes a model; retries if another write came in between. `None`: no such model.
    ///
    /// # Errors
    /// When the database refuses, or `change` does.
    pub async fn change_model<E: From<Error>>(
        &self,
        id: &str,
        now: Timestamp,
        change: impl Fn(&mut Model) -> Result<(), E>,
    ) -> Result<Option<Model>, E> {
        loop {
            let Some(before) = self.model(id).await? else { return Ok(None) };
            let mut after = before.clone();
            change(&mut after)?;
            // The time distinguishes one write from the next.
            after.updated_at = Timestamp(now.0.max(before.updated_at.0 + 1));
            let mut a = Args::new();
            a.opt_int(after.data_volume_gb).time(after.updated_at).text(id).time(before.updated_at);
            if self.db.write(vec![a.guarded(SET)]).await? == Written::Done {
                return Ok(Some(after));
            }
        }
    }

    /// Removes a model as it was read. `false`: it has changed since.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn drop_model(&self, read: &Model) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(&read.id).time(read.updated_at);
        Ok(self.db.write(vec![a.guarded(DROP)]).await? == Written::Done)
    }

    /// One model.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn model(&self, id: &str) -> Result<Option<Model>, Error> {
        let mut a = Args::new();
        a.text(id);
        let rows = self.db.read(a.statement("SELECT * FROM models WHERE id = $1")).await?;
        rows.first().map(|r| read(&Columns(r))).transpose()
    }

    /// Models in the order of their ids.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn models(&self, after: Option<&str>, limit: u32) -> Result<Vec<Model>, Error> {
        let mut a = Args::new();
        a.text(after.unwrap_or_default()).int(limit.into());
        self.db.read(a.statement(LIST)).await?.iter().map(|r| read(&Columns(r))).collect()
    }
}

fn read(c: &Columns<'_>) -> Result<Model, Error> {
    Ok(Model {
        id: c.text("id")?,
        data_volume_gb: c.opt_int("data_volume_gb")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    })
}
