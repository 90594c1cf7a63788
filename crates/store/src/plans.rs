//! Plans that a request may name.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use crate::replays::REMEMBERED_MS;
use inventiv_core::agreed::Agreed;
use inventiv_core::id::PlanId;
use inventiv_core::time::Timestamp;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Its id.
    pub id: PlanId,
    /// Identifies the request that was planned.
    pub fingerprint: String,
    /// What it promised.
    pub agreed: Agreed,
    /// When it was made. It can be named for 24 hours.
    pub created_at: Timestamp,
}

const ADD: &str = "INSERT INTO plans (id, fingerprint, agreed_json, created_at) VALUES ($1, $2, $3, $4)";
const GET: &str = "SELECT * FROM plans WHERE id = $1 AND created_at >= $2";
const FORGET_OLD: &str = "DELETE FROM plans WHERE created_at < $1";

impl Store {
    /// Records a plan.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn add_plan(&self, plan: &PlanRow) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(plan.id.as_str()).text(&plan.fingerprint).json(&plan.agreed).time(plan.created_at);
        self.db.write(vec![a.statement(ADD)]).await.map(drop)
    }

    /// A plan that can still be named.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn plan(&self, id: &PlanId, now: Timestamp) -> Result<Option<PlanRow>, Error> {
        let mut a = Args::new();
        a.text(id.as_str()).time(now.plus_ms(-REMEMBERED_MS));
        let rows = self.db.read(a.statement(GET)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let c = Columns(row);
        Ok(Some(PlanRow {
            id: id.clone(),
            fingerprint: c.text("fingerprint")?,
            agreed: c.json("agreed_json")?,
            created_at: c.time("created_at")?,
        }))
    }

    /// Deletes plans that can no longer be named.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_old_plans(&self, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.time(now.plus_ms(-REMEMBERED_MS));
        self.db.write(vec![a.statement(FORGET_OLD)]).await.map(drop)
    }
}
