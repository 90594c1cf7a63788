//! The action log's parts on PostgreSQL: one for each month, made before it begins, gone as a whole when nothing of it is kept.
//!
//! Nothing depends on it being done: a line without a part of its month is in the part for all others, and old lines are
//! let go one by one as well. Whoever does not own the tables leaves it to whoever does.

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

/// How many months have a part before they begin.
const AHEAD: usize = 2;
/// For how long after its end an empty month keeps its part, in milliseconds: servers whose clocks are behind still write to it.
const LATE_MS: i64 = 86_400_000;
/// How many lines move at most into the part of a month that had none: whoever reads the log waits for that.
const MOVED_MAX: u64 = 100_000;
/// What the name of every part begins with.
const PREFIX: &str = "action_logs_";

/// Whether the tables may be changed; in which schema they are, and whose.
const MAY: &str = "SELECT CAST(CASE WHEN r.rolname = current_user OR s.rolsuper THEN 1 ELSE 0 END AS BIGINT) AS may, \
    CAST(quote_ident(n.nspname) AS TEXT) AS place, CAST(quote_ident(r.rolname) AS TEXT) AS owner \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner \
    JOIN pg_roles s ON s.rolname = current_user WHERE c.oid = to_regclass('action_logs_others')";
const PARTS: &str = "SELECT CAST(c.relname AS TEXT) AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
    WHERE i.inhparent = to_regclass('action_logs_others')";
/// The first line, from an id on, whose month has no part.
const UNSORTED: &str = "SELECT MIN(id) AS id FROM action_logs_unsorted WHERE id >= $1";
/// One at a time is enough, and two would wait for each other.
const ALONE: &str = "SELECT CAST(CASE WHEN pg_try_advisory_xact_lock(4961740213) THEN 1 ELSE 0 END AS BIGINT)";
/// Before any lock on a part: whoever waited for a part alone would have counted the parts already, and then miss the lines
/// that moved to a new one. Behind one who waits for this lock everybody waits: not for long, and it is not held for long.
const LOCK: &str = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'; \
    LOCK TABLE ONLY action_logs_others IN ACCESS EXCLUSIVE MODE";

/// What was done to the parts of the action log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arranged {
    /// Months that have a part now and had none.
    pub made: Vec<Month>,
    /// Months whose part is gone, with how many lines went with it.
    pub gone: Vec<(Month, u64)>,
    /// The tables belong to another role, which has to do it.
    pub left_to_owner: bool,
}

/// The months that have a part, in their order.
pub(super) async fn parts(pool: &AnyPool) -> Result<Vec<Month>, Error> {
    let rows = postgres::read(pool, None, Args::new().statement(PARTS)).await?;
    let mut months = BTreeSet::new();
    for row in &rows {
        months.extend(Columns(row).text("name")?.strip_prefix(PREFIX).and_then(Month::parse));
    }
    Ok(months.into_iter().collect())
}

/// Where the parts are, and whose.
struct Site {
    place: String,
    owner: String,
}

impl Site {
    fn part(&self, month: Month) -> String {
        format!("{}.{PREFIX}{}", self.place, month.suffix())
    }
}

/// Makes the parts that are missing, and lets go of the empty ones of months that are over; with `before`, also of those that
/// are wholly older and of which nothing is to be kept.
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

/// The months that should have a part: this one, the next ones, and those of lines that are in none.
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
        // What a wrong clock wrote into a far future stays where it is. And always forward, whatever the database says.
        let month = month.filter(|month| Some(*month) <= last && Some(*month) > latest);
        months.extend(month);
        latest = month;
        from = month.and_then(Month::next).map(Month::first_log);
    }
    Ok(months)
}

/// Makes the part of a month, with the lines of that month that are there already. `false`: another one is at it, or there
/// are too many of them; they go one by one then.
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
        // What moves stays in sight of whoever began to read before, a backup for instance: nothing is truncated.
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

/// Lets go of a month's part with all lines in it, unless one of them is to be kept. Gives how many went.
async fn release(pool: &AnyPool, site: &Site, month: Month, before: Option<Timestamp>) -> Result<Option<u64>, Error> {
    let part = site.part(month);
    let kept = match before {
        Some(before) => format!("{part} AS line WHERE NOT ({})", may_go("line", &before.0.to_string())),
        None => part.clone(),
    };
    let kept = count(&format!("(SELECT 1 FROM {kept} LIMIT 1) AS kept"));
    // How many lines there are, which, and how they stand.
    let contents = format!(
        "SELECT CAST(COUNT(*) AS TEXT) || ' ' || CAST(COALESCE(SUM(hashtextextended(id || status, 0)), 0) AS TEXT) FROM {part}"
    );
    in_one(pool, move |c| {
        Box::pin(async move {
            let mut tx = c.begin().await?;
            if number(&mut tx, ALONE).await? == 0 || number(&mut tx, &kept).await? > 0 {
                return tx.rollback().await.map(|()| None);
            }
            // What may go once may go for ever. But lines may have come since that was asked: it is asked again of those that
            // were seen, and the same must be there when no more can come.
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

/// Several texts at once are one exchange.
async fn run(c: &mut AnyConnection, sql: String) -> Result<(), sqlx::Error> {
    c.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
}
