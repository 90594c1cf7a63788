//! Databases of tests: SQLite in a folder, PostgreSQL on the test's own server.

use sqlx::{Connection, Executor};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The database of a [`crate::World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file in a temporary folder.
    Sqlite,
    /// A separate database on the PostgreSQL of `TEST_DATABASE_URL`.
    Postgres,
}

impl Database {
    /// SQLite, and PostgreSQL if there is one. `INVENTIV_TEST_POSTGRES=required` makes its absence an error.
    ///
    /// # Panics
    /// PostgreSQL is required and there is none.
    #[must_use]
    pub fn both() -> Vec<Self> {
        if std::env::var_os("TEST_DATABASE_URL").is_some() {
            return vec![Self::Sqlite, Self::Postgres];
        }
        let required = std::env::var("INVENTIV_TEST_POSTGRES").is_ok_and(|v| v == "required");
        assert!(!required, "PostgreSQL is required and TEST_DATABASE_URL is not set; `cargo xtask test` sets it");
        eprintln!("TEST_DATABASE_URL is not set: tests on PostgreSQL are skipped; `cargo xtask test` starts one");
        vec![Self::Sqlite]
    }
}

/// A temporary folder, removed when dropped.
pub struct Home {
    pub(crate) folder: tempfile::TempDir,
}

/// Creates an empty database and returns its URL.
///
/// # Panics
/// It cannot be created.
pub async fn database(kind: Database) -> (String, Home) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    if kind == Database::Sqlite {
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        return (url, Home { folder });
    }
    let server = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is set");
    let name = format!("t_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let mut admin = sqlx::PgConnection::connect(&server).await.expect("PostgreSQL answers");
    let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    admin.execute(sqlx::raw_sql(sql)).await.expect("a database can be created");
    admin.close().await.expect("the connection closes");
    let (before, query) =
        server.split_once('?').map_or((server.as_str(), String::new()), |(b, q)| (b, format!("?{q}")));
    let base = before.rsplit_once('/').map_or(before, |(b, _)| b);
    (format!("{base}/{name}{query}"), Home { folder })
}

impl Home {
    /// A folder in memory (`/dev/shm`) if the system has one, else an ordinary temporary folder.
    ///
    /// # Panics
    /// It cannot be created.
    #[must_use]
    pub fn in_memory() -> Self {
        // The random part may depend on a run's seed. A second run of the same seed must not open the database that the
        // first is still closing.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("inventiv-{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut named = tempfile::Builder::new();
        let named = named.prefix(&prefix);
        let folder = named.tempdir_in("/dev/shm").or_else(|_| named.tempdir());
        Self { folder: folder.expect("a temporary folder can be made") }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }
}
