//! Sums of the ledger.
//!
//! A row of the ledger is cut at the borders of the period, of the days, and of the times at which its price changed. Each
//! piece is rounded once, half up, to a millionth of the currency.

mod focus;
mod names;
mod rates;

pub use focus::ChargePiece;
pub use names::Unpriced;
pub use rates::CostRate;

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::calendar::DAY_US;
use inventiv_core::cost_group::CostGroup;
use inventiv_core::ledger::ChargeClass;
use inventiv_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Which rows of the ledger to sum.
#[derive(Debug, Clone, Default)]
pub struct CostFilter {
    /// Only of this account; empty: of all.
    pub account_id: String,
    /// Only of this instance; empty: of all.
    pub instance_id: String,
    /// Only of this service; empty: of all.
    pub service_id: String,
}

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// The value of what it is grouped by.
    pub key: String,
    /// Why it is charged.
    pub class: ChargeClass,
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency.
    pub micros: i64,
    /// How long the resources were charged, added up, in seconds.
    pub seconds: i64,
}

/// The rows of the ledger within a period: `$1` to `$2`; of an account `$3`, an instance `$4`, a service `$5`.
const WITHIN: &str = "starts_at < CAST($2 AS BIGINT) AND (ends_at IS NULL OR ends_at > CAST($1 AS BIGINT)) \
    AND ($3 = '' OR c.account_id = $3) AND ($4 = '' OR instance_id = $4) AND ($5 = '' OR service_id = $5)";

/// The pieces of these rows, each in one day or in the whole period, with one price. `$6`: the length of a piece of the
/// period.
const PIECES: &str = "days (day) AS (SELECT CAST($1 AS BIGINT) UNION ALL \
    SELECT day + CAST($6 AS BIGINT) FROM days WHERE day + CAST($6 AS BIGINT) < CAST($2 AS BIGINT)), \
    bounds AS (SELECT day, CASE WHEN day + CAST($6 AS BIGINT) < CAST($2 AS BIGINT) THEN day + CAST($6 AS BIGINT) \
    ELSE CAST($2 AS BIGINT) END AS day_end FROM days), \
    cut AS (SELECT c.*, b.day, CASE WHEN starts_at > b.day THEN starts_at ELSE b.day END AS lo, \
    CASE WHEN ends_at IS NULL OR ends_at > b.day_end THEN b.day_end ELSE ends_at END AS hi \
    FROM charges c JOIN bounds b ON starts_at < b.day_end AND (ends_at IS NULL OR ends_at > b.day) \
    WHERE {WITHIN}), \
    priced AS (SELECT c.*, p.hourly_nanos, p.currency, CASE WHEN p.since > lo THEN p.since ELSE lo END AS from_us, \
    CASE WHEN p.until IS NULL OR p.until > hi THEN hi ELSE p.until END AS to_us \
    FROM cut c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku \
    AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo)";

/// What a piece costs, in millionths, rounded half up, and how long it is.
const AMOUNT: &str = "(hourly_nanos * quantity * ((to_us - from_us) / 1000000) + 1800000) / 3600000";

static SUMS: LazyLock<HashMap<Option<CostGroup>, &'static str>> = LazyLock::new(|| {
    let of = |group: Option<CostGroup>| {
        let column = group.map_or("''", column);
        let pieces = PIECES.replace("{WITHIN}", WITHIN);
        let text: &'static str = format!(
            "WITH RECURSIVE {pieces} SELECT {column} AS label, class, currency, CAST(SUM({AMOUNT}) AS BIGINT) AS micros, \
            CAST(SUM((to_us - from_us) / 1000000) AS BIGINT) AS seconds FROM priced GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        .leak();
        (group, text)
    };
    CostGroup::ALL.iter().copied().map(Some).chain([None]).map(of).collect()
});

/// What a group is in the ledger. Tags are those of the instance.
const fn column(group: CostGroup) -> &'static str {
    match group {
        CostGroup::Instance | CostGroup::Tag => "instance_id",
        CostGroup::Service => "COALESCE(service_id, '')",
        CostGroup::Model => "COALESCE(model_id, '')",
        CostGroup::Zone => "zone",
        CostGroup::Sku => "sku",
        CostGroup::Kind => "kind",
        CostGroup::Class => "class",
        CostGroup::Resource => "resource_id",
        CostGroup::Day => "CAST(day AS TEXT)",
    }
}

impl Store {
    /// The sums of a period; by tag, those of instances. Rows that still cost money count until `to`: it should not be after now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn costs(
        &self,
        (from, to): (Timestamp, Timestamp),
        group: Option<CostGroup>,
        filter: &CostFilter,
    ) -> Result<Vec<CostRow>, Error> {
        let Some(sql) = SUMS.get(&group).filter(|_| from < to) else { return Ok(Vec::new()) };
        let piece = if group == Some(CostGroup::Day) { DAY_US } else { to.0 - from.0 };
        let mut a = within((from, to), filter);
        a.int(piece);
        let rows = self.db.read(a.statement(sql)).await?;
        let row = |c: Columns<'_>| {
            Ok(CostRow {
                key: c.text("label")?,
                class: c.word("class", ChargeClass::parse)?,
                currency: c.text("currency")?,
                micros: c.int("micros")?,
                seconds: c.int("seconds")?,
            })
        };
        rows.iter().map(|r| row(Columns(r))).collect()
    }
}

fn within((from, to): (Timestamp, Timestamp), filter: &CostFilter) -> Args {
    let mut a = Args::new();
    a.time(from).time(to).text(&filter.account_id).text(&filter.instance_id).text(&filter.service_id);
    a
}
