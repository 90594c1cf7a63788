//! Sums of the ledger.
//!
//! A row of the ledger is cut at the borders of the period, of the days, and of the times at which its price changed. Each
//! piece is rounded once, half up, to a millionth of the currency. Rows that ended some time ago are added up beforehand
//! (`settle`).

mod busy;
mod by_day;
mod counted;
mod focus;
mod names;
mod rates;
mod settle;

pub use focus::ChargePiece;
pub use names::Unpriced;
pub use rates::CostRate;

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::calendar::{DAY_US, day_of};
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

/// The price of a piece from `lo` to `hi`, and how much of it has this price.
const PRICED: &str = "p.hourly_nanos, p.currency, CASE WHEN p.since > lo THEN p.since ELSE lo END AS from_us, \
    CASE WHEN p.until IS NULL OR p.until > hi THEN hi ELSE p.until END AS to_us";

/// What a piece costs, in millionths, rounded half up, and how long it is.
const AMOUNT: &str = "(hourly_nanos * quantity * ((to_us - from_us) / 1000000) + 1800000) / 3600000";

/// The pieces of rows of the ledger, each in one day or in the whole period, with one price. `$6`: the length of a piece of
/// the period.
fn pieces(charges: &str) -> String {
    format!(
        "days (day) AS (SELECT CAST($1 AS BIGINT) UNION ALL \
        SELECT day + CAST($6 AS BIGINT) FROM days WHERE day + CAST($6 AS BIGINT) < CAST($2 AS BIGINT)), \
        bounds AS (SELECT day, CASE WHEN day + CAST($6 AS BIGINT) < CAST($2 AS BIGINT) THEN day + CAST($6 AS BIGINT) \
        ELSE CAST($2 AS BIGINT) END AS day_end FROM days), \
        cut AS (SELECT c.*, b.day, CASE WHEN starts_at > b.day THEN starts_at ELSE b.day END AS lo, \
        CASE WHEN ends_at IS NULL OR ends_at > b.day_end THEN b.day_end ELSE ends_at END AS hi \
        FROM {charges} c JOIN bounds b ON starts_at < b.day_end AND (ends_at IS NULL OR ends_at > b.day) \
        WHERE {WITHIN}), \
        priced AS (SELECT c.*, {PRICED} \
        FROM cut c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku \
        AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo)"
    )
}

/// Rows of the ledger within the period, each with one price. Each part of `charges` is joined with the prices on its own: a
/// planner knows little of a union, and would sort all rows to group them.
fn priced(charges: &[String]) -> String {
    let parts = charges.iter().map(|charges| {
        format!(
            "SELECT c.*, {PRICED} FROM \
            (SELECT c.*, CASE WHEN starts_at > CAST($1 AS BIGINT) THEN starts_at ELSE CAST($1 AS BIGINT) END AS lo, \
            CASE WHEN ends_at IS NULL OR ends_at > CAST($2 AS BIGINT) THEN CAST($2 AS BIGINT) ELSE ends_at END AS hi \
            FROM {charges} c WHERE {WITHIN}) AS c \
            JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku \
            AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo"
        )
    });
    format!("priced AS ({})", parts.collect::<Vec<_>>().join(" UNION ALL "))
}

/// The rows that are not read from `settled_costs`: those that are not settled, and those that do not lie between the first
/// midnight of the period, `$6`, and the last one, `$7`, as a whole. Which days these lie in is read from `settled_costs`:
/// there are few such days, and far more rows. `more`: a column besides those that every sum needs; every column is in the
/// index `charges_counting`.
fn not_whole(more: &str) -> [String; 2] {
    let columns = counting("c.starts_at", more);
    [
        format!("(SELECT {columns} FROM charges c WHERE settled <= 0)"),
        format!(
            "(SELECT {columns} FROM (SELECT DISTINCT start_day / 86400000000 AS first, end_day / 86400000000 AS last \
            FROM settled_costs WHERE end_day + 86400000000 > CAST($1 AS BIGINT) AND start_day < CAST($2 AS BIGINT) \
            AND (end_day >= CAST($7 AS BIGINT) OR start_day < CAST($6 AS BIGINT))) AS d \
            CROSS JOIN charges c WHERE c.settled > 0 AND c.starts_at / 86400000000 = d.first \
            AND c.ends_at / 86400000000 = d.last)"
        ),
    ]
}

/// The columns that every sum needs, and more. `starts_at`: where a row begins to count.
fn counting(starts_at: &str, more: &str) -> String {
    format!(
        "{starts_at}, c.ends_at, c.class, c.sku, c.quantity, c.account_id, c.zone, c.instance_id, c.service_id{more}"
    )
}

static SUMS: LazyLock<HashMap<Option<CostGroup>, &'static str>> =
    LazyLock::new(|| CostGroup::ALL.iter().copied().map(Some).chain([None]).map(|g| (g, sums(g))).collect());

fn sums(group: Option<CostGroup>) -> &'static str {
    if group == Some(CostGroup::Day) {
        return by_day::sums().leak();
    }
    let column = group.map_or("''", column);
    let amounts = format!(
        "SELECT {column} AS label, class, currency, {AMOUNT} AS micros, (to_us - from_us) / 1000000 AS seconds FROM priced"
    );
    let sum = "CAST(SUM(micros) AS BIGINT) AS micros, CAST(SUM(seconds) AS BIGINT) AS seconds";
    if !is_settled(group) {
        let priced = priced(&["charges".to_owned()]);
        return format!(
            "WITH {priced} SELECT label, class, currency, {sum} FROM ({amounts}) AS t GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        .leak();
    }
    let more = match group {
        Some(CostGroup::Model) => ", c.model_id",
        Some(CostGroup::Kind) => ", c.kind",
        _ => "",
    };
    let priced = priced(&not_whole(more));
    format!(
        "WITH {priced} SELECT label, class, currency, {sum} FROM ({amounts} UNION ALL \
        SELECT {column} AS label, class, currency, micros, seconds FROM settled_costs \
        WHERE start_day >= CAST($6 AS BIGINT) AND end_day < CAST($7 AS BIGINT) \
        AND ($3 = '' OR account_id = $3) AND ($5 = '' OR service_id = $5)) AS t GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    .leak()
}

/// Whether `settled_costs` knows a group.
const fn is_settled(group: Option<CostGroup>) -> bool {
    match group {
        Some(CostGroup::Instance | CostGroup::Tag | CostGroup::Resource) => false,
        None
        | Some(
            CostGroup::Service
            | CostGroup::Model
            | CostGroup::Zone
            | CostGroup::Sku
            | CostGroup::Kind
            | CostGroup::Class
            | CostGroup::Day,
        ) => true,
    }
}

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
        // `by_day`
        CostGroup::Day => "''",
    }
}

impl Store {
    /// The sums of a period; by tag, those of instances; by day (UTC), of a period that begins at midnight. Rows that still
    /// cost money count until `to`: it should not be after now.
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
        let mut a = within((from, to), filter);
        if is_settled(group) {
            // What is settled is not known by instance.
            let (first, last) = (day_of(Timestamp(from.0.saturating_add(DAY_US - 1))), day_of(to));
            let none = filter.instance_id.is_empty();
            a.time(if none { first } else { Timestamp(i64::MAX) }).time(if none { last } else { Timestamp(i64::MIN) });
        }
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
