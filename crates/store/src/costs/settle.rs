//! Settled rows of the ledger: their amounts are added up once, so that sums over months read few rows.
//!
//! A row that ended some minutes ago never changes: what begins later is another row, and a price that changes counts from
//! then on. So its amount can be added to `settled_costs`, as a whole, and to `settled_days`, day by day. Sums by day read
//! the whole days of the period from `settled_days`; sums by service, model, zone and the like read rows that lie between two
//! midnights of the period from `settled_costs`. The rest, and all of what is summed by instance, resource or tag, is read from
//! the ledger. All ways give the same numbers.

use super::{AMOUNT, PRICED};
use crate::Store;
use crate::args::Args;
use crate::error::Error;
use inventiv_core::calendar::DAY_US;
use inventiv_core::time::Timestamp;
use std::sync::LazyLock;

/// After this time, in milliseconds, a row that has ended is settled. Clocks of replicas differ by less.
const SETTLED_AFTER_MS: i64 = 600_000;
/// How many rows are settled at once.
const AT_ONCE: i64 = 20_000;

// Marks are negative: an index finds them. Nobody sees them: they are removed in the same commit. Two replicas never mark
// the same row, and write sums in the same order, so that neither waits for the other for ever.

/// A row without a known price waits for it.
const MARK: &str = "UPDATE charges SET settled = CAST($1 AS BIGINT) WHERE settled = 0 \
    AND ends_at < CAST($2 AS BIGINT) AND (resource_id, kind, starts_at) IN \
    (SELECT c.resource_id, c.kind, c.starts_at FROM charges c WHERE c.settled = 0 AND c.ends_at < CAST($2 AS BIGINT) \
    AND EXISTS (SELECT 1 FROM prices p WHERE p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku) LIMIT $3)";
/// Rows that a version without `settled_days` settled.
const MARK_OLD: &str = "UPDATE charges SET settled = CAST($1 AS BIGINT) WHERE settled = 1 \
    AND (resource_id, kind, starts_at) IN \
    (SELECT c.resource_id, c.kind, c.starts_at FROM charges c WHERE c.settled = 1 LIMIT $2)";

/// The pieces of marked rows, each with one price.
fn marked() -> String {
    format!(
        "(SELECT c.*, {PRICED} FROM (SELECT c.*, starts_at AS lo, ends_at AS hi FROM charges c \
        WHERE settled <= 0 AND settled = CAST($1 AS BIGINT)) c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone \
        AND p.sku = c.sku AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo) AS pieces"
    )
}
static ADD: LazyLock<&'static str> = LazyLock::new(|| {
    let marked = marked();
    format!(
        "INSERT INTO settled_costs (start_day, end_day, account_id, zone, service_id, model_id, kind, class, sku, \
        currency, micros, seconds) SELECT starts_at - starts_at % CAST($2 AS BIGINT), ends_at - ends_at % CAST($2 AS BIGINT), \
        account_id, zone, COALESCE(service_id, ''), COALESCE(model_id, ''), kind, class, sku, currency, \
        CAST(SUM({AMOUNT}) AS BIGINT), CAST(SUM((to_us - from_us) / 1000000) AS BIGINT) \
        FROM {marked} WHERE TRUE GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 \
        ON CONFLICT (start_day, end_day, account_id, zone, service_id, model_id, kind, class, sku, currency) \
        DO UPDATE SET micros = settled_costs.micros + excluded.micros, seconds = settled_costs.seconds + excluded.seconds"
    )
    .leak()
});
/// `cut` cuts each piece at every midnight: `from_us` is a midnight in all but the first of them.
static ADD_DAYS: LazyLock<&'static str> = LazyLock::new(|| {
    let marked = marked();
    let midnight = "from_us - from_us % CAST($2 AS BIGINT) + CAST($2 AS BIGINT)";
    format!(
        "INSERT INTO settled_days (day, account_id, service_id, class, currency, micros, seconds) \
        WITH RECURSIVE cut AS (SELECT account_id, COALESCE(service_id, '') AS service_id, class, currency, hourly_nanos, \
        quantity, from_us, to_us AS until FROM {marked} UNION ALL \
        SELECT account_id, service_id, class, currency, hourly_nanos, quantity, {midnight}, until FROM cut \
        WHERE {midnight} < until), \
        days AS (SELECT c.*, CASE WHEN {midnight} < until THEN {midnight} ELSE until END AS to_us FROM cut c) \
        SELECT from_us - from_us % CAST($2 AS BIGINT), account_id, service_id, class, currency, \
        CAST(SUM({AMOUNT}) AS BIGINT), CAST(SUM((to_us - from_us) / 1000000) AS BIGINT) \
        FROM days WHERE to_us > from_us GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 \
        ON CONFLICT (day, account_id, service_id, class, currency) \
        DO UPDATE SET micros = settled_days.micros + excluded.micros, seconds = settled_days.seconds + excluded.seconds"
    )
    .leak()
});
const FINISH: &str = "UPDATE charges SET settled = 2 WHERE settled <= 0 AND settled = CAST($1 AS BIGINT)";

impl Store {
    /// Settles rows of the ledger that ended some minutes ago, thousands at once. `draw`: random bits, to mark them.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn settle_charges(&self, draw: u128, now: Timestamp) -> Result<(), Error> {
        // Half of the positive numbers, negative.
        let batch = -1 - i64::try_from(draw >> 66).unwrap_or_default();
        let mut a = Args::new();
        let mark = a.int(batch).time(now.plus_ms(-SETTLED_AFTER_MS)).int(AT_ONCE).statement(MARK);
        let add = a.int(batch).int(DAY_US).statement(&ADD);
        let add_days = a.int(batch).int(DAY_US).statement(&ADD_DAYS);
        let finish = a.int(batch).statement(FINISH);
        self.db.write(vec![mark, add, add_days, finish]).await?;
        let mark = a.int(batch).int(AT_ONCE).statement(MARK_OLD);
        let add_days = a.int(batch).int(DAY_US).statement(&ADD_DAYS);
        let finish = a.int(batch).statement(FINISH);
        self.db.write(vec![mark, add_days, finish]).await.map(drop)
    }
}
