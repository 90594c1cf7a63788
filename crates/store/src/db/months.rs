//! The partitions of the action log on PostgreSQL: one per month, created before the month begins, and dropped as a
//! whole once nothing in it must be kept.
//!
//! Missing partitions do no harm: lines of such a month are in the default partition, and old lines are also deleted
//! one by one. A replica that does not own the tables leaves this to their owner.

use super::Error;
use super::postgres::{self, in_one};
use crate::args::{Args, Columns};
use crate::error::corrupt;
use crate::logs::may_go;
use inventiv_core::id::LogId;
use inventiv_core::month::Month;
use inventiv_core::time::Timestamp;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row};
use std::collections::BTreeSet;

/// How many months get a partition in advance.
const AHEAD: usize = 2;
/// How long after its end an empty month keeps its partition, in milliseconds: replicas whose clocks are behind still
/// write to it.
const LATE_MS: i64 = 86_400_000;
/// Maximum lines to move into a new partition: readers of the log wait for that.
const MOVED_MAX: u64 = 100_000;
/// Prefix of the partition names.
const PREFIX: &str = "action_logs_";

/// Whether this role may change the tables, their schema, and their owner.
const MAY: &str = "SELECT CAST(CASE WHEN r.rolname = current_user OR s.rolsuper THEN 1 ELSE 0 END AS BIGINT) AS may, \
    CAST(quote_ident(n.nspname) AS TEXT) AS place, CAST(quote_ident(r.rolname) AS TEXT) AS owner \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner \
    JOIN pg_roles s ON s.rolname = current_user WHERE c.oid = to_regclass('action_logs_others')";
const PARTS: &str = "SELECT CAST(c.relname AS TEXT) AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
    WHERE i.inhparent = to_regclass('action_logs_others')";
/// The first line, from an id on, whose month has no partition.
const UNSORTED: &str = "SELECT MIN(id) AS id FROM action_logs_unsorted WHERE id >= $1";
/// Only one replica at a time: two would wait for each other.
const ALONE: &str = "SELECT CAST(CASE WHEN pg_try_advisory_xact_lock(4961740213) THEN 1 ELSE 0 END AS BIGINT)";
/// Locks the parent table before any partition. A transaction that waited only for a partition would have read the list
/// of partitions already and miss lines that moved to a new one. Everyone queues behind a waiter for this lock, so both
/// the wait and the hold are short.
const LOCK: &str = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'; \
    LOCK TABLE ONLY action_logs_others IN ACCESS EXCLUSIVE MODE";

/// What was done to the partitions of the action log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arranged {
    /// Months that got a partition.
    pub made: Vec<Month>,
    /// Months whose partition was dropped, with the number of its lines.
    pub gone: Vec<(Month, u64)>,
    /// Another role owns the tables and must do it.
    pub left_to_owner: bool,
}

/// The months with a partition, in order.
pub(super) async fn parts(pool: &AnyPool) -> Result<Vec<Month>, Error> {
    let rows = postgres::read(pool, None, Args::new().statement(PARTS)).await?;
    let mut months = BTreeSet::new();
    for row in &rows {
        months.extend(Columns(row).text("name")?.strip_prefix(PREFIX).and_then(Month::parse));
    }
    Ok(months.into_iter().collect())
}

/// The schema and the owner of the partitions.
struct Site {
    place: String,
    owner: String,
}

impl Site {
    fn part(&self, month: Month) -> String {
        format!("{}.{PREFIX}{}", self.place, month.suffix())
    }
}

/// Creates missing partitions, and drops empty ones of past months; with `before`, also those that are entirely older
/// and hold nothing that must be kept.
pub(super) async fn arrange(pool: &AnyPool, now: Timestamp, before: Option<Timestamp>) -> Result<Arranged, Error> {
    let mut arranged = Arranged::default();
    let rows = postgres::read(pool, None, Args::new().statement(MAY)).await?;
    let Some(row) = rows.first().map(Columns) else { return Err(corrupt("the action log has no parts")) };
    if !row.flag("may")? {
        arranged.left_to_owner = true;
        return Ok(arranged);
    }
    let site = Site { place: row.text("place")?, owner: row.text("owner")? };
    let there = parts(pool).await?;
    for month in wanted(pool, now).await?.into_iter().filter(|month| !there.contains(month)) {
        if make(pool, &site, month).await? {
            tracing::info!(%month, "the action log has a part for this month");
            arranged.made.push(month);
        }
    }
    for month in there.into_iter().chain(arranged.made.clone()) {
        let Some(ended) = month.next().map(Month::begins).filter(|ended| *ended <= now.plus_ms(-LATE_MS)) else {
            continue;
        };
        if let Some(lines) = release(pool, &site, month, before.filter(|before| ended <= *before)).await? {
            tracing::info!(%month, lines, "this month's part of the action log is gone; what proofs are made of stays");
            arranged.gone.push((month, lines));
        }
    }
    Ok(arranged)
}

/// The months that need a partition: this one, the next ones, and those of lines in the default partition.
async fn wanted(pool: &AnyPool, now: Timestamp) -> Result<BTreeSet<Month>, Error> {
    let coming = std::iter::successors(Month::of(now), |month| month.next()).take(1 + AHEAD);
    let mut months: BTreeSet<Month> = coming.collect();
    let last = months.last().copied();
    let (mut from, mut latest) = (Some(LogId::first_at(0)), None::<Month>);
    while let Some(id) = from.take() {
        let mut a = Args::new();
        a.text(id.as_str());
        let rows = postgres::read(pool, None, a.statement(UNSORTED)).await?;
        let first = rows.first().map(|row| Columns(row).opt_text("id")).transpose()?.flatten();
        let month = first.as_deref().and_then(LogId::parse).and_then(|id| Month::of_log(&id));
        // Lines that a wrong clock dated into the far future stay. The loop must advance, whatever the database
        // returns.
        let month = month.filter(|month| Some(*month) <= last && Some(*month) > latest);
        months.extend(month);
        latest = month;
        from = month.and_then(Month::next).map(Month::first_log);
    }
    Ok(months)
}

/// Creates the partition of a month and moves its existing lines there. `false`: another replica is doing it, or there
/// are too many lines; they are then deleted one by one.
async fn make(pool: &AnyPool, site: &Site, month: Month) -> Result<bool, Error> {
    let Some(next) = month.next() else { return Ok(false) };
    let (part, owner) = (site.part(month), &site.owner);
    let (from, to) = (month.first_log(), next.first_log());
    let lines = format!("action_logs_unsorted WHERE id >= '{from}' AND id < '{to}'");
    let texts = [
        LOCK.to_owned(),
        "LOCK TABLE action_logs_unsorted IN ACCESS EXCLUSIVE MODE".to_owned(),
        format!("CREATE TABLE {part} (LIKE action_logs_others INCLUDING ALL)"),
        format!("ALTER TABLE {part} OWNER TO {owner}"),
        // Moved lines stay visible to readers that began before, such as a backup: nothing is truncated.
        format!("WITH moved AS (DELETE FROM {lines} RETURNING *) INSERT INTO {part} SELECT * FROM moved"),
        format!("ALTER TABLE action_logs_others ATTACH PARTITION {part} FOR VALUES FROM ('{from}') TO ('{to}')"),
    ];
    let few = format!("(SELECT 1 FROM {lines} LIMIT {}) AS few", MOVED_MAX + 1);
    in_one(pool, move |c| {
        Box::pin(async move {
            let mut tx = c.begin().await?;
            let there = format!("pg_class WHERE oid = to_regclass('{part}')");
            if number(&mut tx, ALONE).await? == 0
                || number(&mut tx, &count(&there)).await? > 0
                || number(&mut tx, &count(&few)).await? > MOVED_MAX
            {
                return tx.rollback().await.map(|()| false);
            }
            for text in texts {
                run(&mut tx, text).await?;
            }
            tx.commit().await.map(|()| true)
        })
    })
    .await
}

/// Drops a month's partition with all its lines, unless one of them must be kept. Returns the number of lines.
async fn release(pool: &AnyPool, site: &Site, month: Month, before: Option<Timestamp>) -> Result<Option<u64>, Error> {
    let part = site.part(month);
    let kept = match before {
        Some(before) => format!("{part} AS line WHERE NOT ({})", may_go("line", &before.0.to_string())),
        None => part.clone(),
    };
    let kept = count(&format!("(SELECT 1 FROM {kept} LIMIT 1) AS kept"));
    // The number of lines, and a checksum over their ids and statuses.
    let contents = format!(
        "SELECT CAST(COUNT(*) AS TEXT) || ' ' || CAST(COALESCE(SUM(hashtextextended(id || status, 0)), 0) AS TEXT) FROM {part}"
    );
    in_one(pool, move |c| {
        Box::pin(async move {
            let mut tx = c.begin().await?;
            if number(&mut tx, ALONE).await? == 0 || number(&mut tx, &kept).await? > 0 {
                return tx.rollback().await.map(|()| None);
            }
            // A line that may be deleted always may. But new lines may have arrived since the check: check again those
            // in the checksum, and require the same checksum under the lock.
            let seen = text(&mut tx, &contents).await?;
            if number(&mut tx, &kept).await? > 0 {
                return tx.rollback().await.map(|()| None);
            }
            run(&mut tx, LOCK.to_owned()).await?;
            if text(&mut tx, &contents).await? != seen {
                return tx.rollback().await.map(|()| None);
            }
            run(&mut tx, format!("DROP TABLE {part}")).await?;
            tx.commit().await?;
            Ok(seen.split(' ').next().and_then(|lines| lines.parse().ok()))
        })
    })
    .await
}

fn count(rows: &str) -> String {
    format!("SELECT COUNT(*) FROM {rows}")
}

async fn number(c: &mut AnyConnection, sql: &str) -> Result<u64, sqlx::Error> {
    let row = c.fetch_one(AssertSqlSafe(sql.to_owned())).await?;
    Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
}

async fn text(c: &mut AnyConnection, sql: &str) -> Result<String, sqlx::Error> {
    c.fetch_one(AssertSqlSafe(sql.to_owned())).await?.try_get(0)
}

/// Several statements at once are one round trip.
async fn run(c: &mut AnyConnection, sql: String) -> Result<(), sqlx::Error> {
    c.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
}
