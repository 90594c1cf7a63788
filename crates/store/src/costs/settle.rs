//! Settled rows of the ledger: their amounts are added up once, so that sums over months read few rows.
//!
//! A row that ended some minutes ago never changes: what begins later is another row, and a price that changes counts from
//! then on. So its amount can be added to `settled_costs`. Sums read it there if the row lies between two midnights of the
//! period as a whole, and otherwise from the ledger. Both ways give the same numbers.

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

/// Two replicas never take the same row. A row without a known price waits for it.
const MARK: &str = "UPDATE charges SET settled = CAST($1 AS BIGINT) WHERE settled = 0 \
    AND ends_at < CAST($2 AS BIGINT) AND (resource_id, kind, starts_at) IN \
    (SELECT c.resource_id, c.kind, c.starts_at FROM charges c WHERE c.settled = 0 AND c.ends_at < CAST($2 AS BIGINT) \
    AND EXISTS (SELECT 1 FROM prices p WHERE p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku) LIMIT $3)";
static ADD: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "INSERT INTO settled_costs (start_day, end_day, account_id, zone, service_id, model_id, kind, class, sku, \
        currency, micros, seconds) SELECT starts_at - starts_at % CAST($2 AS BIGINT), ends_at - ends_at % CAST($2 AS BIGINT), \
        account_id, zone, COALESCE(service_id, ''), COALESCE(model_id, ''), kind, class, sku, currency, \
        CAST(SUM({AMOUNT}) AS BIGINT), CAST(SUM((to_us - from_us) / 1000000) AS BIGINT) \
        FROM (SELECT c.*, {PRICED} FROM (SELECT c.*, starts_at AS lo, ends_at AS hi FROM charges c \
        WHERE settled = CAST($1 AS BIGINT)) c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone \
        AND p.sku = c.sku AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo) AS pieces \
        WHERE settled = CAST($1 AS BIGINT) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 \
        ON CONFLICT (start_day, end_day, account_id, zone, service_id, model_id, kind, class, sku, currency) \
        DO UPDATE SET micros = settled_costs.micros + excluded.micros, seconds = settled_costs.seconds + excluded.seconds"
    )
    .leak()
});
const FINISH: &str = "UPDATE charges SET settled = 1 WHERE settled = CAST($1 AS BIGINT)";

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
        let finish = a.int(batch).statement(FINISH);
        self.db.write(vec![mark, add, finish]).await.map(drop)
    }
}
