//! What replicas cost in the hours in which requests to them began: the rest is idle.

use super::{AMOUNT, CostFilter};
use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use crate::usage::UsageKey;
use inventiv_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Every replica in every hour in which a request to it began, cut like other pieces of the ledger.
static BUSY: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "WITH busy AS (SELECT DISTINCT instance_id, hour FROM usage_hours \
        WHERE hour >= $3 AND hour < $2 AND service_id <> '' AND instance_id <> '' AND requests > 0), \
        cut AS (SELECT c.*, CASE WHEN c.starts_at > b.hour THEN \
        CASE WHEN c.starts_at > CAST($1 AS BIGINT) THEN c.starts_at ELSE CAST($1 AS BIGINT) END ELSE \
        CASE WHEN b.hour > CAST($1 AS BIGINT) THEN b.hour ELSE CAST($1 AS BIGINT) END END AS lo, \
        CASE WHEN c.ends_at IS NULL OR c.ends_at > b.hour + 3600000000 THEN \
        CASE WHEN b.hour + 3600000000 < CAST($2 AS BIGINT) THEN b.hour + 3600000000 ELSE CAST($2 AS BIGINT) END ELSE \
        CASE WHEN c.ends_at < CAST($2 AS BIGINT) THEN c.ends_at ELSE CAST($2 AS BIGINT) END END AS hi \
        FROM busy b JOIN charges c ON c.instance_id = b.instance_id AND c.starts_at < b.hour + 3600000000 \
        AND (c.ends_at IS NULL OR c.ends_at > b.hour) WHERE c.class IN ('used', 'ending', 'retained') \
        AND ($4 = '' OR c.account_id = $4) AND ($5 = '' OR c.instance_id = $5) AND ($6 = '' OR c.service_id = $6)), \
        priced AS (SELECT c.*, {} FROM cut c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone \
        AND p.sku = c.sku AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo) \
        SELECT COALESCE(service_id, '') AS id, currency, CAST(SUM({AMOUNT}) AS BIGINT) AS micros FROM priced GROUP BY 1, 2",
        super::PRICED
    )
    .leak()
});

impl Store {
    /// What the replicas of each service cost in the hours (UTC) in which requests to them began, in millionths, by the service's id
    /// and the currency.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service_busy(
        &self,
        (from, to): (Timestamp, Timestamp),
        filter: &CostFilter,
    ) -> Result<HashMap<(String, String), i64>, Error> {
        let mut a = Args::new();
        a.time(from).time(to).int(UsageKey::hour_of(from));
        a.text(&filter.account_id).text(&filter.instance_id).text(&filter.service_id);
        let rows = self.db.read(a.statement(&BUSY)).await?;
        let row = |c: Columns<'_>| Ok(((c.text("id")?, c.text("currency")?), c.int("micros")?));
        rows.iter().map(|r| row(Columns(r))).collect()
    }
}
