//! Models that people serve, with their own volume size if they set one.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::time::Timestamp;

/// A model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its id, as on the hub: `Qwen/Qwen2.5-7B-Instruct`.
    pub id: String,
    /// The data volume for it in GB; 0: none; `None`: as recommended.
    pub data_volume_gb: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const ADD: &str = "INSERT INTO models (id, data_volume_gb, created_at, updated_at) VALUES ($1, $2, $3, $4)";
const SET: &str = "UPDATE models SET data_volume_gb = $1, updated_at = $2 WHERE id = $3";
const DROP: &str = "DELETE FROM models WHERE id = $1";
const LIST: &str = "SELECT * FROM models WHERE id > $1 ORDER BY id LIMIT $2";

impl Store {
    /// Adds a model.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when it is there already.
    pub async fn add_model(&self, model: &Model) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&model.id).opt_int(model.data_volume_gb).time(model.created_at).time(model.updated_at);
        self.db.write(vec![a.statement(ADD)]).await.map(|_| ())
    }

    /// Changes a model. `false`: there is none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_model(&self, id: &str, data_volume_gb: Option<i64>, now: Timestamp) -> Result<bool, Error> {
        let mut a = Args::new();
        a.opt_int(data_volume_gb).time(now).text(id);
        Ok(self.db.write(vec![a.guarded(SET)]).await? == Written::Done)
    }

    /// Removes a model. `false`: there is none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn drop_model(&self, id: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(id);
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
