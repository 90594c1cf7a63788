//! `GET /costs` for a month with 10,000 instances and 100,000 ended ones, of three charges each.

use super::*;
use inventiv_core::calendar::month_of;
use inventiv_core::cost_group::CostGroup;
use inventiv_store::CostFilter;
use sqlx::AnyPool;

const LIVING: i64 = 10_000;
const ENDED: i64 = 100_000;
/// How often each sum is asked for.
const ASKED: usize = 60;

/// How many instances end until their charges are settled.
const AT_ONCE: i64 = 5_000;

async fn prices(pool: &AnyPool) {
    for sku in ["server/A", "block/5000", "address/ipv4"] {
        let price = "INSERT INTO prices (account_id, zone, sku, since, hourly_nanos, currency, source, read_at) \
            VALUES ('acc', 'fr-par-2', $1, 0, 1469916000, 'EUR', 'bench', 0)";
        sqlx::query(price).bind(sku).execute(pool).await.unwrap();
    }
}

/// Charges of some instances that begin anywhere in the last 29 days; those that have ended lasted up to 12 hours.
async fn fill(pool: &AnyPool, kind: Database, now: i64, numbers: std::ops::Range<i64>) {
    let (first, last) = (numbers.start, numbers.end - 1);
    let numbers = match kind {
        Database::Sqlite => {
            "(WITH RECURSIVE n (i) AS (SELECT $3 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n)"
        }
        Database::Postgres => "generate_series($3, $1) AS numbers (i)",
    };
    for (prefix, kind, sku, quantity) in
        [("srv", "server", "server/A", 1), ("vol", "volume", "block/5000", 200), ("adr", "address", "address/ipv4", 1)]
    {
        let from = "$2 - (i * 7919 % 2505600) * 1000000";
        let ends =
            format!("CASE WHEN i < {LIVING} THEN NULL ELSE {from} + 1000000000 + (i * 104729 % 42000) * 1000000 END");
        let ends = format!("CASE WHEN i >= {LIVING} AND {ends} > $2 THEN $2 - 1 ELSE {ends} END");
        let sql = format!(
            "INSERT INTO charges (resource_id, kind, starts_at, ends_at, class, sku, quantity, account_id, zone, \
            instance_id, service_id, model_id) SELECT '{prefix}-' || i, '{kind}', {from}, {ends}, 'used', '{sku}', \
            {quantity}, 'acc', 'fr-par-2', 'ins-' || i, CASE WHEN i % 2 = 0 THEN NULL ELSE 'svc-' || (i % 50) END, \
            'model/' || (i % 20) FROM {numbers}"
        );
        let insert = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(last).bind(now).bind(first);
        insert.execute(pool).await.unwrap();
    }
}

pub(crate) async fn of_a_month(table: &mut Table, kind: Database) {
    let (url, _home) = database(kind).await;
    let store = Store::open(&url).await.unwrap();
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(&url).await.unwrap();
    let now = SystemClock.now();
    prices(&pool).await;
    fill(&pool, kind, now.0, 0..LIVING).await;
    let vacuum = if matches!(kind, Database::Postgres) { "VACUUM ANALYZE" } else { "ANALYZE" };
    let mut settling = Duration::ZERO;
    // As in a month: what has ended is settled little by little, and PostgreSQL removes dead rows meanwhile.
    for first in (LIVING..LIVING + ENDED).step_by(usize::try_from(AT_ONCE).unwrap()) {
        fill(&pool, kind, now.0, first..first + AT_ONCE).await;
        let began = Instant::now();
        store.settle_charges(u128::from(first.unsigned_abs()) << 66, now).await.unwrap();
        settling += began.elapsed();
        sqlx::query(vacuum).execute(&pool).await.unwrap();
    }
    table.row(&format!("{kind:?}: 300,000 charges are settled"), settling.as_secs_f64(), "s", "");
    ask(table, kind, &store, (Timestamp(now.0 - (now.0 - month_of(now).0.0).max(29 * 86_400_000_000)), now)).await;
}

/// The month that ended now is asked for, so that a first of a month has as many rows.
async fn ask(table: &mut Table, kind: Database, store: &Store, period: (Timestamp, Timestamp)) {
    for group in [None, Some(CostGroup::Service), Some(CostGroup::Model), Some(CostGroup::Day)] {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let began = Instant::now();
            let sums = store.costs(period, group, &CostFilter::default()).await.unwrap();
            store.unpriced(period, &CostFilter::default()).await.unwrap();
            assert!(!sums.is_empty());
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let by = group.map_or("in all".to_owned(), |g| format!("by {}", g.text()));
        let p99 = took[(took.len() * 99).div_ceil(100) - 1];
        table.row(&format!("{kind:?}: costs of a month, {by}: median"), took[took.len() / 2], "ms", "");
        table.row(&format!("{kind:?}: costs of a month, {by}: p99"), p99, "ms", "≤ 100 on PostgreSQL");
    }
}
