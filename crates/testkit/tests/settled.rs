//! Sums of the ledger are those of its pieces, and the same whether its rows are settled or not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::cost_group::CostGroup;
use inventiv_core::time::Timestamp;
use inventiv_store::{CostFilter, CostRow, Store};
use inventiv_testkit::{Database, World};
use sqlx::{AnyPool, Row};
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000_000;
/// A midnight.
const BASE: i64 = 20_600 * DAY;
const DAYS: i64 = 5;
const SKUS: [&str; 4] = ["server/A", "server/B", "block/5000", "server/UNPRICED"];
const CLASSES: [&str; 6] = ["used", "retained", "ending", "unconfirmed", "third_party", "orphan"];

async fn pool(w: &World) -> AnyPool {
    sqlx::any::install_default_drivers();
    AnyPool::connect(&w.database_url).await.unwrap()
}

/// A price; one that still holds has no `until`.
async fn price(pool: &AnyPool, sku: &str, since: i64, until: Option<i64>, nanos: i64) {
    let sql = "INSERT INTO prices (account_id, zone, sku, since, until, hourly_nanos, currency, source, read_at) \
        VALUES ('acc', 'z', $1, $2, $3, $4, 'EUR', 'test', 0)";
    sqlx::query(sql).bind(sku).bind(since).bind(until).bind(nanos).execute(pool).await.unwrap();
}

async fn charge(pool: &AnyPool, n: usize, random: &mut fastrand::Rng) {
    let starts = BASE + random.i64(0..DAYS * DAY);
    // Short ones, ones over midnight, ones until exactly midnight, ones of no length, and ones that go on.
    let ends = match random.u8(0..10) {
        0 => None,
        1 => Some(starts - starts % DAY + DAY),
        2 => Some(starts),
        3..=5 => Some(starts + random.i64(0..2 * DAY)),
        _ => Some(starts + random.i64(0..10_000_000_000)),
    };
    let ends = ends.filter(|at| *at <= BASE + DAYS * DAY);
    let sql = "INSERT INTO charges (resource_id, kind, starts_at, ends_at, class, sku, quantity, account_id, zone, \
        instance_id, service_id, model_id) VALUES ($1, 'server', $2, $3, $4, $5, $6, 'acc', 'z', $7, $8, $9)";
    let service = random.bool().then(|| format!("svc-{}", random.u8(0..3)));
    let model = random.bool().then(|| format!("m/{}", random.u8(0..3)));
    let (sku, class) = (random.choice(SKUS).unwrap(), random.choice(CLASSES).unwrap());
    let query = sqlx::query(sql).bind(format!("srv-{n}")).bind(starts).bind(ends).bind(class).bind(sku);
    let query = query.bind(random.i64(1..400)).bind(format!("ins-{}", random.u8(0..20)));
    query.bind(service).bind(model).execute(pool).await.unwrap();
}

/// A ledger of some days, with a price that changed twice in the middle of days, and one that nobody knows.
async fn filled(w: &World, random: &mut fastrand::Rng) -> AnyPool {
    let pool = pool(w).await;
    let (first, second) = (BASE + DAY + 7_777_777_777, BASE + 3 * DAY + 123_456_789);
    price(&pool, "server/A", 0, Some(first), 1_469_916_000).await;
    price(&pool, "server/A", first, Some(second), 1_500_000_001).await;
    price(&pool, "server/A", second, None, 333_333_333).await;
    price(&pool, "server/B", 0, None, 787_500_000).await;
    price(&pool, "block/5000", 0, None, 130_000).await;
    for n in 0..400 {
        charge(&pool, n, random).await;
    }
    pool
}

fn period(random: &mut fastrand::Rng) -> (Timestamp, Timestamp) {
    let mut at = || {
        let at = BASE + random.i64(-DAY..(DAYS + 1) * DAY);
        if random.bool() { at - at.rem_euclid(DAY) } else { at }
    };
    let (a, b) = (at(), at());
    (Timestamp(a.min(b)), Timestamp(a.max(b) + 1))
}

/// All sums of a period.
async fn sums(store: &Store, period: (Timestamp, Timestamp), filter: &CostFilter) -> Vec<Vec<CostRow>> {
    let mut all = Vec::new();
    for group in CostGroup::ALL.iter().copied().map(Some).chain([None]) {
        let (from, to) = period;
        let from = if group == Some(CostGroup::Day) { Timestamp(from.0 - from.0.rem_euclid(DAY)) } else { from };
        all.push(store.costs((from, to), group, filter).await.unwrap());
    }
    all
}

async fn count(pool: &AnyPool, condition: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM charges WHERE {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn settled_rows_change_no_sum_of_any_period_and_are_added_once() {
    for db in Database::both() {
        for seed in 0..4 {
            let mut random = fastrand::Rng::with_seed(seed);
            let w = World::new(db).await;
            let pool = filled(&w, &mut random).await;
            let filter = |instance: &str, service: &str, account: &str| CostFilter {
                account_id: account.to_owned(),
                instance_id: instance.to_owned(),
                service_id: service.to_owned(),
            };
            let filters = [
                filter("", "", ""),
                filter("ins-3", "", ""),
                filter("", "svc-1", ""),
                filter("", "", "acc"),
                filter("", "", "other"),
            ];
            let asked: Vec<_> = (0..12).map(|n| (period(&mut random), &filters[n % filters.len()])).collect();
            let mut before = Vec::new();
            for (period, filter) in &asked {
                before.push((sums(&w.store, *period, filter).await, w.store.unpriced(*period, filter).await.unwrap()));
            }
            assert!(before.iter().any(|(sums, _)| !sums[0].is_empty()), "there is something to sum");
            // Some rows ended too short a time ago; two replicas settle the others at the same moment.
            let now = Timestamp(BASE + (DAYS - 1) * DAY + 600_000_000);
            let other = Store::open(&w.database_url).await.unwrap();
            let (a, b) = tokio::join!(w.store.settle_charges(1, now), other.settle_charges(u128::MAX, now));
            a.and(b).unwrap();
            w.store.settle_charges(2, now).await.unwrap();
            let due = format!("ends_at < {} AND sku <> 'server/UNPRICED'", BASE + (DAYS - 1) * DAY);
            let is_due = count(&pool, &due).await;
            assert!(is_due > 100 && count(&pool, "settled = 2").await == is_due);
            assert_eq!(count(&pool, &format!("settled = 2 AND {due}")).await, is_due);
            for ((period, filter), (sums_before, unpriced)) in asked.iter().zip(&before) {
                assert_eq!(&sums(&w.store, *period, filter).await, sums_before, "{period:?} {filter:?}");
                assert_eq!(&w.store.unpriced(*period, filter).await.unwrap(), unpriced);
            }
            // A price that becomes known counts for the past, and then for the settled sums.
            price(&pool, "server/UNPRICED", 0, None, 1_000_000_000).await;
            let known = sums(&w.store, asked[0].0, &filters[0]).await;
            w.store.settle_charges(3, now).await.unwrap();
            assert_eq!(sums(&w.store, asked[0].0, &filters[0]).await, known);
            assert_eq!(count(&pool, "settled < 0").await, 0);
        }
    }
}

/// Prices that change several times, between any two moments, and vanish for a while.
async fn changing_prices(pool: &AnyPool, random: &mut fastrand::Rng) {
    for sku in ["server/A", "server/B", "block/5000"] {
        let mut borders: Vec<i64> = (0..random.usize(2..7)).map(|_| BASE + random.i64(-DAY..DAYS * DAY)).collect();
        borders.sort_unstable();
        borders.dedup();
        for pair in borders.windows(2) {
            if random.u8(0..5) == 0 {
                continue;
            }
            price(pool, sku, pair[0], Some(pair[1]), random.i64(1..5_000_000_000)).await;
        }
        price(pool, sku, *borders.last().unwrap(), None, random.i64(1..5_000_000_000)).await;
    }
}

/// Millionths and seconds, by the value of a group, class and currency.
type Sums = BTreeMap<(String, String, String), (i128, i128)>;

/// The sums as docs/COSTS.md says: every row is cut at the borders of the period, of its prices and, by day, at midnight; each
/// piece is cut to whole seconds, and rounded once.
async fn by_hand(pool: &AnyPool, (from, to): (Timestamp, Timestamp), group: Option<CostGroup>, f: &CostFilter) -> Sums {
    let column = match group {
        None | Some(CostGroup::Day) => "''",
        Some(CostGroup::Instance | CostGroup::Tag) => "instance_id",
        Some(CostGroup::Service) => "COALESCE(service_id, '')",
        Some(CostGroup::Model) => "COALESCE(model_id, '')",
        Some(CostGroup::Zone) => "zone",
        Some(CostGroup::Sku) => "sku",
        Some(CostGroup::Kind) => "kind",
        Some(CostGroup::Class) => "class",
        Some(CostGroup::Resource) => "resource_id",
    };
    let rows = format!(
        "SELECT {column} AS label, starts_at, ends_at, class, sku, quantity FROM charges WHERE ($1 = '' OR account_id = $1) \
        AND ($2 = '' OR instance_id = $2) AND ($3 = '' OR service_id = $3)"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(rows)).bind(&f.account_id).bind(&f.instance_id).bind(&f.service_id);
    let rows = rows.fetch_all(pool).await.unwrap();
    let prices = sqlx::query(
        "SELECT sku, since, until, hourly_nanos, currency FROM prices WHERE account_id = 'acc' AND zone = 'z'",
    )
    .fetch_all(pool);
    let prices = prices.await.unwrap();
    let mut sums = Sums::new();
    for row in &rows {
        let ends = row.get::<Option<i64>, _>("ends_at").unwrap_or(i64::MAX).min(to.0);
        let begins = row.get::<i64, _>("starts_at").max(from.0);
        for price in prices.iter().filter(|p| p.get::<&str, _>("sku") == row.get::<&str, _>("sku")) {
            let until = price.get::<Option<i64>, _>("until").unwrap_or(i64::MAX).min(ends);
            let mut at = price.get::<i64, _>("since").max(begins);
            while at < until {
                let midnight = at - at.rem_euclid(DAY) + DAY;
                let next = if group == Some(CostGroup::Day) { until.min(midnight) } else { until };
                let seconds = i128::from((next - at) / 1_000_000);
                let nanos = i128::from(price.get::<i64, _>("hourly_nanos")) * i128::from(row.get::<i64, _>("quantity"));
                // Nanos per hour, times seconds, in twice the millionths.
                let doubled = nanos * seconds * 2 / (3_600 * 1_000);
                let label = if group == Some(CostGroup::Day) { (midnight - DAY).to_string() } else { row.get("label") };
                let sum = sums.entry((label, row.get("class"), price.get("currency"))).or_default();
                *sum = (sum.0 + (doubled + 1) / 2, sum.1 + seconds);
                at = next;
            }
        }
    }
    sums
}

/// A version that does not know `settled_days` settles rows without it.
async fn as_settled_by_an_older_version(pool: &AnyPool) {
    assert!(sqlx::query("DELETE FROM settled_days").execute(pool).await.unwrap().rows_affected() > 0);
    set_settled(pool, 2, 1).await;
}

async fn set_settled(pool: &AnyPool, from: i64, to: i64) {
    let update = sqlx::query("UPDATE charges SET settled = $2 WHERE settled = $1").bind(from).bind(to);
    assert!(update.execute(pool).await.unwrap().rows_affected() > 0, "{from} to {to}");
}

#[tokio::test]
async fn sums_are_those_of_the_pieces_whatever_the_prices_did() {
    for db in Database::both() {
        for seed in 0..6 {
            let mut random = fastrand::Rng::with_seed(seed);
            let w = World::new(db).await;
            let pool = pool(&w).await;
            changing_prices(&pool, &mut random).await;
            for n in 0..300 {
                charge(&pool, n, &mut random).await;
            }
            for turn in 0..4_i64 {
                for _ in 0..6 {
                    let (from, to) = period(&mut random);
                    let some =
                        |random: &mut fastrand::Rng, id: String| if random.u8(0..4) == 0 { id } else { "".into() };
                    let instance_id = some(&mut random, "ins-3".into());
                    let service_id = some(&mut random, "svc-1".into());
                    let filter = CostFilter { account_id: String::new(), instance_id, service_id };
                    for group in CostGroup::ALL.iter().copied().map(Some).chain([None]) {
                        // A period by day begins at midnight.
                        let by_day = group == Some(CostGroup::Day);
                        let from = if by_day { Timestamp(from.0 - from.0.rem_euclid(DAY)) } else { from };
                        let rows = w.store.costs((from, to), group, &filter).await.unwrap();
                        let key = |r: &CostRow| (r.key.clone(), r.class.text().to_owned(), r.currency.clone());
                        let found: Sums = rows.iter().map(|r| (key(r), (r.micros.into(), r.seconds.into()))).collect();
                        let wanted = by_hand(&pool, (from, to), group, &filter).await;
                        assert_eq!(found, wanted, "{db:?} {seed} {turn} {group:?} {from:?} {to:?} {filter:?}");
                    }
                }
                let now = Timestamp(BASE + (turn + DAYS - 3) * DAY);
                match turn {
                    0 => {
                        w.store.settle_charges(1, now).await.unwrap();
                        as_settled_by_an_older_version(&pool).await;
                    }
                    1 => {
                        // Both versions are at work: some rows are settled by the one, some by the other.
                        set_settled(&pool, 1, 9).await;
                        w.store.settle_charges(2, now).await.unwrap();
                        set_settled(&pool, 9, 1).await;
                    }
                    _ => {
                        let other = Store::open(&w.database_url).await.unwrap();
                        let (a, b) = tokio::join!(w.store.settle_charges(3, now), other.settle_charges(u128::MAX, now));
                        a.and(b).unwrap();
                    }
                }
            }
            assert_eq!(count(&pool, "settled NOT IN (0, 2)").await, 0);
        }
    }
}
