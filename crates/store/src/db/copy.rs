//! Moves every row of a SQLite file to PostgreSQL: copies it, reads it back, compares it; then closes the file for
//! good.
//!
//! It can be interrupted and started again: existing rows are compared like new ones. A target with any other row is
//! refused before anything is written to it.

use super::{Error, schema};
use inventiv_core::time::Timestamp;
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::{AnyConnection, AnyPool, Arguments, AssertSqlSafe, Connection, Row};
use std::collections::HashMap;

/// The tables to move, in the order of their references, with their keys. Leases belong to running replicas, and
/// `changes` is derived from `instance_changes`.
const TABLES: [(&str, &[&str]); 34] = [
    ("provider_accounts", &["id"]),
    ("provider_settings", &["provider"]),
    ("models", &["id"]),
    ("catalogues", &["account_id", "zone"]),
    ("offers", &["account_id", "zone", "instance_type"]),
    ("services", &["id"]),
    ("instances", &["id"]),
    ("instance_names", &["account_id", "name"]),
    ("idempotency_keys", &["account_id", "idempotency_key"]),
    ("idempotent_requests", &["idempotency_key"]),
    ("instance_changes", &["instance_id"]),
    ("instance_servers", &["id"]),
    ("instance_volumes", &["id"]),
    ("action_logs", &["id"]),
    ("instance_state_history", &["id"]),
    ("audits", &["account_id", "zone"]),
    ("quarantine", &["account_id", "zone", "provider_id"]),
    ("plans", &["id"]),
    ("secrets", &["name"]),
    ("authorities", &["id"]),
    ("engine_logs", &["instance_id"]),
    ("api_keys", &["id"]),
    ("service_load", &["service_id", "replica"]),
    ("key_minutes", &["key_id", "minute"]),
    ("charges", &["resource_id", "kind", "starts_at"]),
    (
        "settled_costs",
        &["start_day", "end_day", "account_id", "zone", "service_id", "model_id", "kind", "class", "sku", "currency"],
    ),
    ("settled_days", &["day", "account_id", "service_id", "class", "currency"]),
    ("limits", &["scope"]),
    ("alerts", &["key"]),
    ("webhooks", &["id"]),
    ("deliveries", &["id"]),
    ("sessions", &["id"]),
    ("prices", &["account_id", "zone", "sku", "since"]),
    ("usage_hours", &["hour", "key_id", "service_id", "instance_id", "model"]),
];
/// Rows per statement: PostgreSQL limits the number of values.
const PAGE: usize = 200;

/// A table that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name.
    pub table: &'static str,
    /// The number of rows, identical on both sides.
    pub rows: u64,
}

/// A table's columns, and which of them hold numbers.
struct Shape {
    table: &'static str,
    key: &'static [&'static str],
    columns: Vec<(String, bool)>,
}

/// A row's values as text, in the order of its columns.
type Values = Vec<Option<String>>;

impl Shape {
    fn list(&self, each: impl Fn(&str) -> String) -> String {
        self.columns.iter().map(|(name, _)| each(name)).collect::<Vec<_>>().join(", ")
    }

    /// A query for whole rows, without its condition.
    fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.list(|c| format!("CAST({c} AS TEXT) AS {c}")), self.table)
    }

    /// The nth value of a statement, to be compared with a column of the key.
    fn place(&self, name: &str, n: usize) -> String {
        let is_number = self.columns.iter().any(|(c, number)| c == name && *number);
        if is_number { format!("CAST(${n} AS BIGINT)") } else { format!("${n}") }
    }

    fn key_of(&self, row: &Values) -> Vec<String> {
        let value = |name: &&str| {
            let at = self.columns.iter().position(|(c, _)| c == name)?;
            row.get(at)?.clone()
        };
        self.key.iter().map(|name| value(name).unwrap_or_default()).collect()
    }
}

/// Moves everything from `from` to `to`.
pub(crate) async fn move_all(
    from: &str,
    to: &str,
    now: Timestamp,
    reported: &mut (dyn FnMut(&Moved) + Send),
) -> Result<(), Error> {
    sqlx::any::install_default_drivers();
    let path = from.strip_prefix("sqlite:").map(|p| p.trim_start_matches("//"));
    let path = path.ok_or_else(|| Error::Open("rows move from a SQLite file, sqlite:FILE".to_owned()))?;
    if !super::is_postgres(to) {
        return Err(Error::Open("rows move to PostgreSQL, postgres://…".to_owned()));
    }
    let source = one(&format!("sqlite:{path}?mode=rw"), path).await?;
    let target = one(to, "PostgreSQL").await?;
    for pool in [&source, &target] {
        schema::bring_up_to_date(pool).await?;
    }
    for pool in [&source, &target] {
        schema::check_not_moved(pool).await?;
    }
    let mut source = source.acquire().await?;
    let mut target = target.acquire().await?;
    // Blocks other writers.
    let mut source = source.begin_with("BEGIN IMMEDIATE").await?;
    let mut shapes = Vec::with_capacity(TABLES.len());
    for (table, key) in TABLES {
        shapes.push(shape(&mut target, table, key).await?);
    }
    // A target with other rows is in use: it is left unchanged.
    for shape in &shapes {
        each_page(&mut target, &mut source, shape, async |_, _| Ok(())).await?;
    }
    for shape in &shapes {
        let copy = async |target: &mut AnyConnection, page: &[Values]| insert(target, shape, page).await;
        let rows = each_page(&mut source, &mut target, shape, copy).await?;
        let there = count(&mut target, shape.table).await?;
        if there != rows {
            return Err(differs(shape, &format!("{there} rows there, {rows} here")));
        }
        reported(&Moved { table: shape.table, rows });
    }
    // The moved rows keep their numbers: no number may be used twice.
    let last = "UPDATE changes SET last = (SELECT COALESCE(MAX(changed), 1) FROM instance_changes)";
    sqlx::query(last).execute(&mut *target).await?;
    close(&mut source, now).await?;
    Ok(source.commit().await?)
}

/// From now on no control plane starts with the file, and one that still runs with it cannot write.
async fn close(source: &mut AnyConnection, now: Timestamp) -> Result<(), Error> {
    sqlx::query("INSERT INTO moved (at) VALUES ($1)").bind(now.0).execute(&mut *source).await?;
    for (table, _) in TABLES {
        for verb in ["INSERT", "UPDATE", "DELETE"] {
            let sql = format!(
                "CREATE TRIGGER moved_{table}_{verb} BEFORE {verb} ON {table} \
                 BEGIN SELECT RAISE(ABORT, 'these rows were moved to PostgreSQL'); END"
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *source).await?;
        }
    }
    Ok(())
}

async fn one(url: &str, named: &str) -> Result<AnyPool, Error> {
    let opened = AnyPoolOptions::new().max_connections(1).connect(url).await;
    opened.map_err(|e| Error::Open(format!("{named}: {e}")))
}

fn differs(shape: &Shape, what: &str) -> Error {
    Error::Open(format!(
        "the rows of {} are not the same on both sides ({what}): take an empty database, or the one that this move was begun with",
        shape.table
    ))
}

async fn shape(target: &mut AnyConnection, table: &'static str, key: &'static [&'static str]) -> Result<Shape, Error> {
    const SQL: &str = "SELECT CAST(column_name AS TEXT), CASE WHEN data_type = 'bigint' THEN 1 ELSE 0 END \
        FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
    let rows = sqlx::query(SQL).bind(table).fetch_all(target).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        columns.push((row.try_get::<String, _>(0)?, row.try_get::<i32, _>(1)? == 1));
    }
    Ok(Shape { table, key, columns })
}

async fn count(on: &mut AnyConnection, table: &str) -> Result<u64, Error> {
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let n: i64 = sqlx::query(sql).fetch_one(on).await?.try_get(0)?;
    Ok(n.unsigned_abs())
}

/// Reads a table of one side, calls `first` with each page, and compares the rows with the other side. Returns the
/// number of rows.
async fn each_page(
    here: &mut AnyConnection,
    there: &mut AnyConnection,
    shape: &Shape,
    first: impl AsyncFn(&mut AnyConnection, &[Values]) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (mut rows, mut after) = (0, None);
    loop {
        let page = page(here, shape, after.as_deref()).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        first(there, &page).await?;
        let known = by_key(there, shape, &page).await?;
        if let Some(row) = page.iter().find(|row| known.get(&shape.key_of(row)) != Some(*row)) {
            return Err(differs(shape, &shape.key_of(row).join(" ")));
        }
        rows += u64::try_from(page.len()).unwrap_or_default();
        after = Some(shape.key_of(last));
    }
}

fn values(rows: &[AnyRow]) -> Result<Vec<Values>, Error> {
    let one = |r: &AnyRow| (0..r.len()).map(|n| r.try_get::<Option<String>, _>(n)).collect::<Result<Values, _>>();
    Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
}

async fn fetch(on: &mut AnyConnection, sql: String, args: AnyArguments) -> Result<Vec<Values>, Error> {
    // The SQL is composed only of names in this file, or of the database's own column names.
    values(&sqlx::query_with(AssertSqlSafe(sql), args).fetch_all(on).await?)
}

fn bind<'v>(values: impl IntoIterator<Item = &'v Option<String>>) -> AnyArguments {
    let mut args = AnyArguments::default();
    for value in values {
        // Encoding text cannot fail.
        let _ = args.add(value.clone());
    }
    args
}

async fn page(source: &mut AnyConnection, shape: &Shape, after: Option<&[String]>) -> Result<Vec<Values>, Error> {
    // With the table: the names alone are those of the texts that are selected, which sort differently.
    let key = shape.key.iter().map(|name| format!("{}.{name}", shape.table)).collect::<Vec<_>>().join(", ");
    let places = shape.key.iter().zip(1..).map(|(name, n)| shape.place(name, n)).collect::<Vec<_>>().join(", ");
    let from = if after.is_some() { format!("WHERE ({key}) > ({places})") } else { String::new() };
    let sql = format!("{} {from} ORDER BY {key} LIMIT {PAGE}", shape.select());
    let after: Values = after.unwrap_or_default().iter().cloned().map(Some).collect();
    fetch(source, sql, bind(&after)).await
}

async fn insert(target: &mut AnyConnection, shape: &Shape, page: &[Values]) -> Result<(), Error> {
    let mut n = 0;
    let mut rows = Vec::with_capacity(page.len());
    for _ in page {
        let places = shape.columns.iter().map(|(_, number)| {
            n += 1;
            if *number { format!("CAST(${n} AS BIGINT)") } else { format!("${n}") }
        });
        rows.push(format!("({})", places.collect::<Vec<_>>().join(", ")));
    }
    let (names, rows) = (shape.list(str::to_owned), rows.join(", "));
    let sql = format!("INSERT INTO {} ({names}) VALUES {rows} ON CONFLICT DO NOTHING", shape.table);
    sqlx::query_with(AssertSqlSafe(sql), bind(page.iter().flatten())).execute(target).await?;
    Ok(())
}

async fn by_key(
    target: &mut AnyConnection,
    shape: &Shape,
    page: &[Values],
) -> Result<HashMap<Vec<String>, Values>, Error> {
    let keys: Values = page.iter().flat_map(|row| shape.key_of(row)).map(Some).collect();
    let mut n = 0;
    let one = |_: &Values| {
        let each = shape.key.iter().map(|name| {
            n += 1;
            format!("{name} = {}", shape.place(name, n))
        });
        format!("({})", each.collect::<Vec<_>>().join(" AND "))
    };
    let wanted = page.iter().map(one).collect::<Vec<_>>().join(" OR ");
    let rows = fetch(target, format!("{} WHERE {wanted}", shape.select()), bind(&keys)).await?;
    Ok(rows.into_iter().map(|row| (shape.key_of(&row), row)).collect())
}

#[cfg(test)]
mod tests;
