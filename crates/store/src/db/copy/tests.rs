//! Tests of `copy.rs`.

use super::*;

#[tokio::test]
async fn every_table_moves_but_leases_the_counter_and_the_mark_itself() {
    sqlx::any::install_default_drivers();
    let pool = one("sqlite::memory:", "memory").await.unwrap();
    schema::bring_up_to_date(&pool).await.unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
        AND name NOT IN ('leases', 'changes', 'moved', '_sqlx_migrations') ORDER BY name";
    let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
    let there: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let mut moves: Vec<&str> = TABLES.iter().map(|(t, _)| *t).collect();
    moves.sort_unstable();
    assert_eq!(there, moves);
}
