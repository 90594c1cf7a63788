//! Combines several statements for each database: one round trip instead of one per statement.
//!
//! SQLite runs several statements in order. PostgreSQL runs one statement whose parts (`WITH w1 AS (UPDATE …), w2 AS
//! (INSERT …)`) share a snapshot and have no order: such statements must affect different rows.

use crate::args::Statement;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyArguments;
use std::fmt::Write;

/// A composed statement with its arguments.
pub(super) struct Composed {
    pub(super) sql: AssertSqlSafe<String>,
    pub(super) args: AnyArguments,
}

/// For SQLite: in order, after `first`.
pub(super) fn in_order(first: &str, statements: Vec<Statement>) -> Composed {
    let (mut sql, mut args, mut before) = (first.to_owned(), AnyArguments::default(), 0);
    for statement in statements {
        if !sql.is_empty() {
            sql.push_str("; ");
        }
        renumber(&mut sql, statement.sql, before);
        before += statement.args.len();
        statement.args.give(&mut args);
    }
    // The SQL is composed only of SQL in this crate.
    Composed { sql: AssertSqlSafe(sql), args }
}

/// For PostgreSQL: all at once. A failed guard divides by zero, which undoes everything.
pub(super) fn at_once(statements: Vec<Statement>) -> Composed {
    let (mut sql, mut args, mut before) = (String::from("WITH "), AnyArguments::default(), 0);
    let mut guards = Vec::new();
    for (n, statement) in statements.into_iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{comma}w{n} AS (");
        renumber(&mut sql, statement.sql, before);
        sql.push_str(" RETURNING 1)");
        if let Some(rows) = statement.expect_rows {
            guards.push(format!("(SELECT COUNT(*) FROM w{n}) = {rows}"));
        }
        before += statement.args.len();
        statement.args.give(&mut args);
    }
    let holds = if guards.is_empty() { "TRUE".to_owned() } else { guards.join(" AND ") };
    let _ = write!(sql, " SELECT 1 / CASE WHEN {holds} THEN 1 ELSE 0 END");
    Composed { sql: AssertSqlSafe(sql), args }
}

/// Appends `text` with each `$n` increased by `before`.
fn renumber(sql: &mut String, text: &str, before: usize) {
    let mut parts = text.split('$');
    sql.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = part[..digits].parse().unwrap_or_default();
        let _ = write!(sql, "${}{}", number + before, &part[digits..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;

    fn two() -> Vec<Statement> {
        let (mut a, mut b) = (Args::new(), Args::new());
        a.int(1).text("x");
        b.int(2);
        vec![a.guarded("UPDATE a SET n = $1 WHERE id = $2"), b.statement("INSERT INTO b (n, m) VALUES ($1, $1)")]
    }

    #[test]
    fn the_values_of_the_second_follow_those_of_the_first() {
        assert_eq!(
            in_order("SAVEPOINT w", two()).sql.0,
            "SAVEPOINT w; UPDATE a SET n = $1 WHERE id = $2; INSERT INTO b (n, m) VALUES ($3, $3)"
        );
        assert_eq!(
            at_once(two()).sql.0,
            "WITH w0 AS (UPDATE a SET n = $1 WHERE id = $2 RETURNING 1), w1 AS (INSERT INTO b (n, m) VALUES ($3, $3) \
             RETURNING 1) SELECT 1 / CASE WHEN (SELECT COUNT(*) FROM w0) = 1 THEN 1 ELSE 0 END"
        );
    }
}
