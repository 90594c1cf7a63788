//! What belongs to the sums of a period: names, tags, tokens, and what has no price.

use super::{CostFilter, WITHIN, within};
use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use crate::usage::UsageKey;
use inventiv_core::time::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Resources whose price is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpriced {
    /// The zone.
    pub zone: String,
    /// The name of the price.
    pub sku: String,
    /// How many resources.
    pub resources: i64,
}

/// Whether something has no price at all: what is settled has one. Only the names of prices are read, from the index of the
/// other rows, by a search for the next name after each.
static IS_UNPRICED: LazyLock<&'static str> = LazyLock::new(|| {
    let names = "settled, account_id, zone, sku";
    let next = |column: &str| {
        format!(
            "(SELECT c.{column} FROM charges c WHERE c.settled <= 0 AND (c.settled, c.account_id, c.zone, c.sku) > \
            (k.settled, k.account_id, k.zone, k.sku) ORDER BY c.settled, c.account_id, c.zone, c.sku LIMIT 1)"
        )
    };
    let next = names.split(", ").map(next).collect::<Vec<_>>().join(", ");
    format!(
        "WITH RECURSIVE keys ({names}) AS (SELECT * FROM \
        (SELECT {names} FROM charges WHERE settled <= 0 ORDER BY {names} LIMIT 1) AS first \
        UNION ALL SELECT {next} FROM keys k WHERE k.settled IS NOT NULL) \
        SELECT 1 AS n WHERE EXISTS (SELECT 1 FROM keys k WHERE k.settled IS NOT NULL AND NOT EXISTS \
        (SELECT 1 FROM prices p WHERE p.account_id = k.account_id AND p.zone = k.zone AND p.sku = k.sku))"
    )
    .leak()
});
static UNPRICED: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "SELECT c.zone, c.sku, COUNT(DISTINCT resource_id) AS n FROM charges c WHERE {WITHIN} AND c.settled <= 0 AND NOT EXISTS \
        (SELECT 1 FROM prices p WHERE p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku) \
        GROUP BY c.zone, c.sku ORDER BY c.zone, c.sku"
    )
    .leak()
});
static INSTANCE_NAMES: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "SELECT id, name FROM instances i WHERE EXISTS \
        (SELECT 1 FROM charges c WHERE c.instance_id = i.id AND {WITHIN})"
    )
    .leak()
});
static INSTANCE_SPECS: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "SELECT id, spec_json FROM instances i WHERE EXISTS \
        (SELECT 1 FROM charges c WHERE c.instance_id = i.id AND {WITHIN})"
    )
    .leak()
});
const SERVICE_NAMES: &str = "SELECT id, name FROM services";
const SERVICE_TOKENS: &str = "SELECT service_id AS id, CAST(SUM(prompt_tokens + completion_tokens) AS BIGINT) AS n \
    FROM usage_hours WHERE hour >= $1 AND hour < $2 GROUP BY service_id";
/// The part of a spec that tags are in.
#[derive(Deserialize)]
struct Tagged {
    tags: Vec<String>,
}

impl Store {
    /// What was charged in a period and has no price.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unpriced(&self, period: (Timestamp, Timestamp), filter: &CostFilter) -> Result<Vec<Unpriced>, Error> {
        if self.db.read(Args::new().statement(&IS_UNPRICED)).await?.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.db.read(within(period, filter).statement(&UNPRICED)).await?;
        let row = |c: Columns<'_>| Ok(Unpriced { zone: c.text("zone")?, sku: c.text("sku")?, resources: c.int("n")? });
        rows.iter().map(|r| row(Columns(r))).collect()
    }

    /// The names of the instances that were charged in a period, by id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn charged_names(
        &self,
        period: (Timestamp, Timestamp),
        filter: &CostFilter,
    ) -> Result<HashMap<String, String>, Error> {
        let rows = self.db.read(within(period, filter).statement(&INSTANCE_NAMES)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("id")?, Columns(r).text("name")?))).collect()
    }

    /// The tags of the instances that were charged in a period, by id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn charged_tags(
        &self,
        period: (Timestamp, Timestamp),
        filter: &CostFilter,
    ) -> Result<HashMap<String, Vec<String>>, Error> {
        let rows = self.db.read(within(period, filter).statement(&INSTANCE_SPECS)).await?;
        let row = |c: Columns<'_>| Ok((c.text("id")?, c.json::<Tagged>("spec_json")?.tags));
        rows.iter().map(|r| row(Columns(r))).collect()
    }

    /// The names of all services, deleted ones too, by id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service_names(&self) -> Result<HashMap<String, String>, Error> {
        let rows = self.db.read(Args::new().statement(SERVICE_NAMES)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("id")?, Columns(r).text("name")?))).collect()
    }

    /// The tokens of prompts and answers that were counted in the whole hours of a period, by service.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service_tokens(&self, (from, to): (Timestamp, Timestamp)) -> Result<HashMap<String, i64>, Error> {
        let mut a = Args::new();
        a.int(UsageKey::hour_of(from)).time(to);
        let rows = self.db.read(a.statement(SERVICE_TOKENS)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("id")?, Columns(r).int("n")?))).collect()
    }
}
