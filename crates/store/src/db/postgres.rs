//! PostgreSQL: every exchange has a time-out, unknown outcomes are reported, and a change of the database server is
//! detected.

use super::{Error, Statement, Write, Written, compose, schema};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time-out for a connection; nothing has been sent until then.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Time-out of one exchange. Longer than the server's own time-out (`SETTINGS`): beyond that, the network lost the
/// response.
const EXCHANGE_MAX: Duration = Duration::from_secs(20);
/// Each connection prepares every statement for itself: more connections cost more than they gain.
const CONNECTIONS: u32 = 8;
/// How often a write is tried that conflicts with another one.
const TRIES: u32 = 6;
/// A statement that waited for another one sees its effects. A commit is on disk, whatever the server's default. No
/// lock is held for long. Every statement reads a few rows by an index: parallel workers and the JIT compiler would
/// only slow it.
const SETTINGS: &str = "SET default_transaction_isolation = 'read committed'; SET statement_timeout = '15s'; SET lock_timeout = '10s'; \
    SET max_parallel_workers_per_gather = 0; SET jit = off; \
    SET idle_in_transaction_session_timeout = '5s'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
/// Which server answers, since which start, with which database of that name, and whether it is a standby.
const WHO: &str = "SELECT CAST(pg_postmaster_start_time() AS TEXT) || ' ' || COALESCE(host(inet_server_addr()), '') || ' ' \
    || CAST((SELECT oid FROM pg_database WHERE datname = current_database()) AS TEXT), \
    CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END";
/// The channel on which replicas notify each other that there is something to do.
const CHANNEL: &str = "inventiv_changed";
/// Notifies `CHANNEL`.
pub(super) const NOTIFY: &str = "SELECT CAST(pg_notify('inventiv_changed', '') AS TEXT) AS told";
/// The id of the cluster, the timeline (every promotion begins a new one) and the id of the database.
pub(super) const HISTORY: &str = "SELECT CAST((pg_control_system()).system_identifier AS TEXT) \
    || '-' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) \
    || '-' || CAST((SELECT oid FROM pg_database WHERE datname = current_database()) AS TEXT) AS history";
/// One statement, so that no process can be frozen while it holds these locks. It waits only for another numbering: an
/// instance that is being changed again is numbered later.
pub(super) const NUMBER: &str = "WITH n AS (UPDATE changes SET last = last + 1 RETURNING last) \
    UPDATE instance_changes SET changed = (SELECT last FROM n) WHERE instance_id = ANY (ARRAY( \
    SELECT instance_id FROM instance_changes WHERE changed = 0 ORDER BY instance_id LIMIT $1 FOR UPDATE SKIP LOCKED)) \
    RETURNING 1 AS numbered";
/// The pause before it listens again after the connection was lost.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// While refusals continue, the interval at which all connections are replaced.
const DISTRUST_AGAIN: Duration = Duration::from_secs(2);
/// After this silence, the connection is tested.
const SILENCE: Duration = Duration::from_secs(15);

/// The state of the database server.
#[derive(Clone)]
pub(crate) struct Postgres {
    url: Arc<str>,
    met: Arc<ServerIdentity>,
}

#[derive(Default)]
struct ServerIdentity {
    last: Mutex<Option<String>>,
    changes: AtomicU64,
    /// Connections opened before then are not reused.
    distrusted: Mutex<Option<Instant>>,
}

impl ServerIdentity {
    /// The session state of a connection seems outdated: no connection opened before now is reused. `false`: this was
    /// done a moment ago, so a new connection would not help.
    fn distrust(&self) -> bool {
        let mut distrusted = self.distrusted.lock();
        if distrusted.is_some_and(|at| at.elapsed() < DISTRUST_AGAIN) {
            return false;
        }
        *distrusted = Some(Instant::now());
        true
    }

    fn is_trusted(&self, age: Duration) -> bool {
        let distrusted = self.distrusted.lock();
        distrusted.is_none_or(|at| age < at.elapsed())
    }

    fn meet(&self, who: String) {
        let mut last = self.last.lock();
        if last.as_ref().is_some_and(|known| *known != who) {
            self.changes.fetch_add(1, Ordering::SeqCst);
            tracing::warn!("another database server answers, or the same after a restart: every zone is listed anew");
        }
        *last = Some(who);
    }
}

impl Postgres {
    pub(super) fn epoch(&self) -> u64 {
        self.met.changes.load(Ordering::SeqCst)
    }

    /// Calls `reported` at every notification of a replica, and once after each period in which it may have missed one.
    pub(crate) async fn listen(&self, reported: impl Fn() + Send) {
        loop {
            if let Err(e) = listen_once(&self.url, &reported).await {
                tracing::debug!(error = %e, "not told of changes for now; looks by itself");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

async fn listen_once(url: &str, reported: &(impl Fn() + Send)) -> Result<(), sqlx::Error> {
    let late = |_| sqlx::Error::PoolTimedOut;
    let connect = async {
        let mut listener = sqlx::postgres::PgListener::connect(url).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    let mut listener = tokio::time::timeout(CONNECT_MAX, connect).await.map_err(late)??;
    reported();
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            // A notification, or a reconnection that may have missed some.
            Ok(Ok(_)) => reported(),
            Ok(Err(e)) => return Err(e),
            // A connection that the network lost is silent, too.
            Err(_) => {
                tokio::time::timeout(CONNECT_MAX, listener.execute("SELECT 1")).await.map_err(late)??;
            }
        }
    }
}

/// Opens the database and upgrades its schema.
pub(super) async fn open(url: &str) -> Result<(AnyPool, Postgres), Error> {
    // The driver's message contains host and database, never the password.
    let opened = |e: sqlx::Error| Error::Open(e.to_string());
    // A schema change may take longer than any exchange.
    let alone = AnyPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_MAX).connect(url).await;
    let alone = alone.map_err(opened)?;
    schema::bring_up_to_date(&alone).await?;
    alone.close().await;
    let met = Arc::new(ServerIdentity::default());
    let greeted = met.clone();
    let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT_MAX);
    let pool = pool.after_connect(move |connection, _| {
        let met = greeted.clone();
        Box::pin(async move {
            met.meet(check_identity(connection).await?);
            Ok(())
        })
    });
    let trusted = met.clone();
    let pool = pool.before_acquire(move |_, about| {
        let trusted = trusted.is_trusted(about.age);
        Box::pin(async move { Ok(trusted) })
    });
    let pool = pool.connect(url).await.map_err(opened)?;
    Ok((pool, Postgres { url: Arc::from(url), met }))
}

/// Configures a new connection; returns the identity of the server.
async fn check_identity(connection: &mut AnyConnection) -> Result<String, sqlx::Error> {
    connection.execute(SETTINGS).await?;
    let who = connection.fetch_one(WHO).await?;
    // Its rows may be outdated.
    if who.try_get::<i32, _>(1)? == 1 {
        return Err(sqlx::Error::Protocol("this server follows another one; it takes no writes".to_owned()));
    }
    who.try_get(0)
}

pub(super) async fn read(pool: &AnyPool, server: Option<&Postgres>, s: Statement) -> Result<Vec<AnyRow>, Error> {
    let read_once =
        |s: Statement| exchange(pool, move |c| Box::pin(sqlx::query_with(s.sql, s.args.for_driver()).fetch_all(c)));
    for _ in 0..CONNECTIONS {
        match read_once(s.clone()).await {
            Err(Failed::Refused(e)) if is_outdated(&e) => {}
            Err(Failed::Refused(e)) if is_of_the_session(&e) && server.is_some_and(|s| s.met.distrust()) => {}
            done => return done.map_err(Failed::of_a_read),
        }
    }
    read_once(s).await.map_err(Failed::of_a_read)
}

pub(super) async fn write(pool: &AnyPool, server: &Postgres, write: Write) -> Result<Written, Error> {
    let (mut lost, mut outdated) = (1, 0);
    while lost < TRIES && outdated < CONNECTIONS {
        match write_once(pool, write.clone()).await {
            Err(Failed::Refused(e)) if is_passing(&e) => {
                lost += 1;
                tokio::task::yield_now().await;
            }
            Err(Failed::Refused(e)) if is_outdated(&e) => outdated += 1,
            Err(Failed::Refused(e)) if is_of_the_session(&e) && server.met.distrust() => outdated += 1,
            done => return done.map_err(Failed::of_a_write),
        }
    }
    write_once(pool, write).await.map_err(Failed::of_a_write)
}

/// It conflicted with a concurrent write and had no effect.
fn is_passing(e: &sqlx::Error) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK: &str = "40P01";
    e.as_database_error().and_then(|e| e.code()).is_some_and(|c| c == SERIALIZATION_FAILURE || c == DEADLOCK)
}

/// The connection's prepared statement is for tables that have changed since, or was dropped: every retry on it would
/// fail. The connection is discarded; the statement had no effect.
fn is_outdated(e: &sqlx::Error) -> bool {
    const CACHED_PLAN: &str = "0A000";
    const NO_SUCH_STATEMENT: &str = "26000";
    const STATEMENT_EXISTS: &str = "42P05";
    has_code(e, &[CACHED_PLAN, NO_SUCH_STATEMENT, STATEMENT_EXISTS])
}

/// It may be specific to this connection's session: a database that was temporarily read-only, a server that became a
/// standby, a role with other rights. It had no effect.
fn is_of_the_session(e: &sqlx::Error) -> bool {
    const READ_ONLY: &str = "25006";
    const NOT_ALLOWED: &str = "42501";
    const NO_SUCH_TABLE: &str = "42P01";
    has_code(e, &[READ_ONLY, NOT_ALLOWED, NO_SUCH_TABLE])
}

fn has_code(e: &sqlx::Error, codes: &[&str]) -> bool {
    e.as_database_error().and_then(|e| e.code()).is_some_and(|c| codes.contains(&c.as_ref()))
}

async fn write_once(pool: &AnyPool, write: Write) -> Result<Written, Failed> {
    const DIVISION_BY_ZERO: &str = "22012";
    // A process that is frozen between two exchanges keeps its locks; one statement needs no transaction.
    let write = match write {
        Write::InOrder(statements) if statements.len() == 1 => Write::Apart(statements),
        several @ (Write::InOrder(_) | Write::Apart(_)) => several,
    };
    let done = exchange(pool, |connection| {
        Box::pin(async move {
            match write {
                Write::Apart(statements) => {
                    let composed = compose::at_once(statements);
                    sqlx::query_with(composed.sql, composed.args).execute(connection).await.map(|_| Written::Done)
                }
                Write::InOrder(statements) => {
                    let mut tx = connection.begin().await?;
                    for s in statements {
                        let done = sqlx::query_with(s.sql, s.args.for_driver()).execute(&mut *tx).await?;
                        if s.expect_rows.is_some_and(|n| n != done.rows_affected()) {
                            tx.rollback().await?;
                            return Ok(Written::Stale);
                        }
                    }
                    tx.commit().await?;
                    Ok(Written::Done)
                }
            }
        })
    });
    match done.await {
        Err(Failed::Refused(sqlx::Error::Database(e))) if e.code().is_some_and(|c| c == DIVISION_BY_ZERO) => {
            Ok(Written::Stale)
        }
        done => done,
    }
}

/// Why an exchange failed.
enum Failed {
    /// The database refused or was unreachable: nothing was written.
    Refused(sqlx::Error),
    /// The connection broke after the request: it may have taken effect.
    Doubt(String),
}

impl Failed {
    /// A read never writes.
    fn of_a_read(self) -> Error {
        match self {
            Self::Refused(e) => e.into(),
            Self::Doubt(text) => Error::Unavailable(text),
        }
    }

    fn of_a_write(self) -> Error {
        match self {
            Self::Refused(e) => e.into(),
            Self::Doubt(text) => Error::Doubt(text),
        }
    }
}

/// One exchange on one connection, with a time-out. A broken connection is discarded.
async fn exchange<T>(
    pool: &AnyPool,
    work: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
) -> Result<T, Failed> {
    let mut connection = pool.acquire().await.map_err(Failed::Refused)?;
    let (doubt, result) = match tokio::time::timeout(EXCHANGE_MAX, work(&mut connection)).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(e)) => (is_broken(&e), e),
        Err(_) => (true, sqlx::Error::Protocol("it did not answer in time".to_owned())),
    };
    if doubt || is_outdated(&result) || is_of_the_session(&result) {
        throw_away(connection);
    }
    if doubt {
        return Err(Failed::Doubt(result.to_string()));
    }
    Err(Failed::Refused(result))
}

/// The connection ended during the exchange; a server that shuts down may have committed before it responded.
fn is_broken(e: &sqlx::Error) -> bool {
    const OPERATOR_INTERVENTION: &str = "57P";
    let intervened = |e: &dyn DatabaseError| e.code().is_some_and(|c| c.starts_with(OPERATOR_INTERVENTION));
    e.as_database_error().is_some_and(intervened)
        || matches!(e, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed)
}

fn throw_away(connection: PoolConnection<Any>) {
    // Dropping closes the socket; a graceful close could hang.
    drop(connection.detach());
}
