//! The schema: which migrations a database has, and how it gets the others.
//!
//! A schema that is up to date is only read: roles that may not change tables can still use it. One process at a time
//! migrates; others wait for its lock.

use super::Error;
use super::migrations::MIGRATIONS;
use sqlx::migrate::MigrateError;
use sqlx::{AnyPool, Row};

/// The state of a database's schema, relative to this version of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The last migration that the database has; 0: it is empty.
    pub version: i64,
    /// Missing migrations, by number and name.
    pub pending: Vec<(i64, String)>,
}

/// The state of a database's schema.
pub(super) async fn state(pool: &AnyPool) -> Result<Schema, Error> {
    let rows = match sqlx::query("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(pool).await {
        Ok(rows) => rows,
        Err(sqlx::Error::Database(e)) if is_missing_table(&*e) => Vec::new(),
        Err(e) => return Err(Error::Open(format!("its schema cannot be read: {e}"))),
    };
    let mut has = Vec::with_capacity(rows.len());
    for row in &rows {
        has.push(row.try_get::<i64, _>(0).map_err(|e| Error::Open(format!("its schema cannot be read: {e}")))?);
    }
    let first = MIGRATIONS.iter().map(|m| m.version).min().unwrap_or_default();
    if has.iter().any(|v| *v < first) {
        return Err(Error::Open(
            "it was created by a version before the first release: create a new database; `inventiv recover` writes \
             down what lives in the cloud"
                .to_owned(),
        ));
    }
    if let Some(newer) = has.iter().rfind(|v| MIGRATIONS.iter().all(|m| m.version != **v)) {
        return Err(Error::Newer(*newer));
    }
    let pending = MIGRATIONS.iter().filter(|m| !has.contains(&m.version));
    Ok(Schema {
        version: has.last().copied().unwrap_or_default(),
        pending: pending.map(|m| (m.version, m.description.to_string())).collect(),
    })
}

fn is_missing_table(e: &dyn sqlx::error::DatabaseError) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    e.code().is_some_and(|c| c == UNDEFINED_TABLE) || e.message().contains("no such table")
}

/// Fails if its rows were moved to another database: two databases on one cloud would undo each other's work.
pub(super) async fn check_not_moved(pool: &AnyPool) -> Result<(), Error> {
    let moved = sqlx::query("SELECT at FROM moved").fetch_optional(pool).await?;
    if moved.is_some() { Err(Error::Moved) } else { Ok(()) }
}

/// Applies the missing migrations.
pub(super) async fn bring_up_to_date(pool: &AnyPool) -> Result<(), Error> {
    if state(pool).await?.pending.is_empty() {
        return Ok(());
    }
    MIGRATIONS.run(pool).await.map_err(|e| {
        if let MigrateError::VersionMissing(version) = e {
            return Error::Newer(version);
        }
        Error::Open(format!("its schema cannot be brought up to date: {e}{}", what_to_do(&e)))
    })
}

/// What an operator can do about a refused migration; it was rolled back entirely.
fn what_to_do(e: &MigrateError) -> &'static str {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const DEPENDENT_OBJECTS: &str = "2BP01";
    let MigrateError::ExecuteMigration(cause, _) = e else { return "" };
    match cause.as_database_error().and_then(|e| e.code()).as_deref() {
        Some(LOCK_NOT_AVAILABLE) => {
            "; somebody uses the tables for long, a backup perhaps: nothing was changed, try again after it"
        }
        Some(DEPENDENT_OBJECTS) => {
            "; views of your own, perhaps: nothing was changed, drop them, and make them again after it"
        }
        Some(_) | None => "",
    }
}
