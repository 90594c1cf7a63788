//! A long past: one life that is over, written down again and again as if it had happened so often.

use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::SystemClock;
use inventiv_store::Store;
use sqlx::{AnyConnection, AssertSqlSafe, Column, Connection, Executor, Row};

/// Tables with rows of one life, and the column that says whose they are.
const TABLES: [(&str, &str); 5] = [
    ("instances", "id"),
    ("instance_servers", "instance_id"),
    ("instance_volumes", "instance_id"),
    ("action_logs", "instance_id"),
    ("instance_state_history", "instance_id"),
];

/// How a column is copied for the `n`th time.
fn copied(table: &str, column: &str) -> String {
    // Ten digits, in the words of both databases.
    let number = "substr(CAST(10000000000 + n AS TEXT), 2)";
    match (table, column) {
        // Before all that is there, in twenty months from 2021 to 2025: our ids sort by time.
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

/// Writes the life of `instance` down `times` more, before everything that is there. Gives how many rows there are then, by
/// table.
///
/// # Panics
/// When the database refuses.
pub async fn repeat_life(url: &str, instance: &str, times: u32) -> Vec<(&'static str, i64)> {
    sqlx::any::install_default_drivers();
    let mut c = AnyConnection::connect(url).await.expect("the database opens");
    let mut counts = Vec::new();
    for (table, owner) in TABLES {
        let row = c.fetch_one(AssertSqlSafe(format!("SELECT * FROM {table} LIMIT 1"))).await.expect("there is a life");
        let columns: Vec<&str> = row.columns().iter().map(Column::name).collect();
        let values: Vec<String> = columns.iter().map(|c| copied(table, c)).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < {times}) \
            SELECT {} FROM k, {table} o WHERE o.{owner} = '{instance}'",
            columns.join(", "),
            values.join(", ")
        );
        c.execute(AssertSqlSafe(sql)).await.expect("the past is written down");
        let n = c.fetch_one(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"))).await.expect("it counts");
        counts.push((table, n.get(0)));
    }
    if url.starts_with("postgres") {
        // As it would have come about.
        let store = Store::open(url).await.expect("the database opens");
        store.arrange_action_logs(SystemClock.now(), None).await.expect("the past comes into its months");
        // As autovacuum does by and by; nobody does it for SQLite.
        c.execute("VACUUM ANALYZE").await.expect("the tables are tidied up and analysed");
    }
    c.close().await.expect("it closes");
    counts
}
