//! A long history: copies one ended instance many times in the records.

use sqlx::{AnyConnection, AssertSqlSafe, Column, Connection, Executor, Row};

/// The tables with rows of an instance, and the column with its id.
const TABLES: [(&str, &str); 5] = [
    ("instances", "id"),
    ("instance_servers", "instance_id"),
    ("instance_volumes", "instance_id"),
    ("action_logs", "instance_id"),
    ("instance_state_history", "instance_id"),
];

/// The expression for a column of the `n`th copy.
fn copied(table: &str, column: &str) -> String {
    // Ten digits, in SQL that both databases understand.
    let number = "substr(CAST(10000000000 + n AS TEXT), 2)";
    match (table, column) {
        // Our ids sort by time. The copies lie before all existing rows, in twenty months from 2021 to 2025.
        (_, "id" | "instance_id" | "instance_server_id" | "volume_id") => {
            let month = "substr('fghjk', CAST(1 + n % 5 AS INTEGER), 1) || CAST(n / 5 % 10 AS TEXT)";
            format!("substr(o.{column}, 1, 4) || '01' || {month} || '0000' || {number} || substr(o.{column}, 23)")
        }
        (_, "provider_instance_id" | "provider_server_id" | "provider_volume_id" | "resource_id") => {
            format!("{number} || substr(o.{column}, 11)")
        }
        _ => format!("o.{column}"),
    }
}

/// Copies the rows of `instance` `times` times, dated before all existing ones. Returns the resulting number of rows of
/// each table.
///
/// # Panics
/// The database refuses.
pub async fn repeat_life(url: &str, instance: &str, times: u32) -> Vec<(&'static str, i64)> {
    sqlx::any::install_default_drivers();
    let mut c = AnyConnection::connect(url).await.expect("the database opens");
    let mut counts = Vec::new();
    for (table, owner) in TABLES {
        let row = c.fetch_one(AssertSqlSafe(format!("SELECT * FROM {table} LIMIT 1"))).await.expect("there is a row");
        let columns: Vec<&str> = row.columns().iter().map(Column::name).collect();
        let values: Vec<String> = columns.iter().map(|c| copied(table, c)).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < {times}) \
            SELECT {} FROM k, {table} o WHERE o.{owner} = '{instance}'",
            columns.join(", "),
            values.join(", ")
        );
        c.execute(AssertSqlSafe(sql)).await.expect("the copies are inserted");
        let n = c.fetch_one(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"))).await.expect("it counts");
        counts.push((table, n.get(0)));
    }
    if url.starts_with("postgres") {
        // Autovacuum would do this in time; SQLite has nothing like it.
        c.execute("VACUUM ANALYZE").await.expect("the tables are vacuumed and analysed");
    }
    c.close().await.expect("it closes");
    counts
}
