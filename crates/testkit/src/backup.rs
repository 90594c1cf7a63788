//! Backups of a world's database, and worlds on a restored one.

use crate::{Database, Home, World, app, database, orchestrator};
use inventiv_core::plan::Rules;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_store::Store;
use scaleway_emulator::Emulator;
use sqlx::{Connection, Executor, Row};
use std::sync::Arc;

/// A copy of a database.
pub struct Backup {
    url: String,
    home: Home,
}

impl Backup {
    /// The bytes of an SQLite database file.
    ///
    /// # Panics
    /// It is not an SQLite database, or cannot be read.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(file(&self.url)).expect("the backup can be read")
    }
}

fn file(url: &str) -> &str {
    url.strip_prefix("sqlite:").expect("it is an SQLite database")
}

async fn run(admin: &mut sqlx::PgConnection, sql: String) {
    admin.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.expect("PostgreSQL runs the statement");
}

impl World {
    /// Copies the database in its current state.
    ///
    /// # Panics
    /// It cannot be copied.
    pub async fn backup(&self) -> Backup {
        if self.database_url.starts_with("sqlite:") {
            let (url, home) = database(Database::Sqlite).await;
            let mut connection = sqlx::SqliteConnection::connect(&self.database_url).await.expect("it opens");
            let sql = sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", file(&url)));
            connection.execute(sqlx::raw_sql(sql)).await.expect("it can be copied");
            connection.close().await.expect("the connection closes");
            return Backup { url, home };
        }
        let (url, home) = database(Database::Postgres).await;
        let name = |url: &str| {
            let path = url.split('?').next().unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        };
        let (from, into) = (name(&self.database_url), name(&url));
        let server = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is set");
        let mut admin = sqlx::PgConnection::connect(&server).await.expect("the test server answers");
        run(&mut admin, format!("DROP DATABASE {into}")).await;
        // A template must have no connections. Our pools reconnect by themselves.
        run(&mut admin, format!("ALTER DATABASE {from} ALLOW_CONNECTIONS false")).await;
        loop {
            run(&mut admin, format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'"))
                .await;
            let count = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{from}'");
            let row = admin.fetch_one(sqlx::AssertSqlSafe(count)).await.expect("the test server answers");
            if row.get::<i64, _>(0) == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        run(&mut admin, format!("CREATE DATABASE {into} TEMPLATE {from}")).await;
        run(&mut admin, format!("ALTER DATABASE {from} ALLOW_CONNECTIONS true")).await;
        admin.close().await.expect("the connection closes");
        Backup { url, home }
    }

    /// Another world at the same moment: a copy of the cloud, and a restored database.
    pub async fn restored(&self, backup: Backup) -> Self {
        let clock = Arc::new(ManualClock::new(inventiv_orchestrator::Clock::now(&*self.clock)));
        Self::staged(backup, self.emulator.fork(), clock).await
    }

    /// The same cloud and clock, on another database.
    pub async fn on_database(self, url: String, home: Home) -> Self {
        let Self { emulator, clock, .. } = self;
        Self::staged(Backup { url, home }, emulator, clock).await
    }

    async fn staged(on: Backup, emulator: Emulator, clock: Arc<ManualClock>) -> Self {
        let mut next = Self::over(on.url, on.home, emulator, Rules::default(), None).await;
        let (store, wire): (Store, _) = (next.store.clone(), next.wire.clone());
        next.orchestrator =
            orchestrator(store.clone(), wire, clock.clone(), Rules::default(), Arc::new(crate::UuidIds));
        next.api = app(store, clock.clone(), Arc::new(crate::UuidIds), None).router();
        next.clock = clock;
        next.orchestrator.refresh_catalogue().await.expect("the database answers");
        next
    }
}
