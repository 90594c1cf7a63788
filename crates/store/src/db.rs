//! The only file that distinguishes the two databases.
//!
//! SQLite has one writer: a task that commits all waiting writes together, each in its own savepoint, so that one flush
//! of the disk serves many. Its transactions are `BEGIN IMMEDIATE` (deferred ones fail under load) and
//! `synchronous=FULL` (with less, a power cut loses committed intents). PostgreSQL (`postgres`) commits each write by
//! itself. On both, the statements of a write are sent together (`compose`): a round trip costs more than a statement.

mod compose;
mod copy;
mod migrations;
mod postgres;
mod schema;

pub use copy::Moved;
pub(crate) use copy::move_all;
pub(crate) use postgres::Postgres;
pub use schema::Schema;

use crate::args::Statement;
use crate::error::Error;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use inventiv_core::time::Timestamp;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Either, Executor, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Maximum writes per commit of SQLite.
const BATCH_MAX: usize = 256;

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it is committed.
    Done,
    /// A guard did not hold: nothing was written.
    Stale,
}

/// The statements of one write.
#[derive(Clone)]
pub(crate) enum Write {
    /// Each sees the effects of the previous ones.
    InOrder(Vec<Statement>),
    /// No two affect the same row, so that they can run at once.
    Apart(Vec<Statement>),
}

type Reply = oneshot::Sender<Result<Written, Error>>;

/// The phase of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePhase {
    /// It has not reached the database.
    Before,
    /// It is committed, and the caller does not know yet.
    Committed,
}

/// Runs before and after every write. A test that never returns from it simulates a crash at this point.
pub type WriteHook = Arc<dyn Fn(WritePhase) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Db {
    readers: AnyPool,
    pub(crate) write_hook: Option<WriteHook>,
    /// The runtime that opened the database, if callers block for each exchange (`in_one_order`).
    pub(crate) elsewhere: Option<Handle>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// The only writer.
    Sqlite(mpsc::Sender<(Write, Reply)>),
    Postgres(Postgres),
}

impl Db {
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Self::open_sqlite(path).await;
        }
        if is_postgres(url) {
            return Self::open_postgres(url).await;
        }
        Err(Error::Open("the address must begin with sqlite: or postgres://".to_owned()))
    }

    async fn open_sqlite(path: &str) -> Result<Self, Error> {
        let path = path.trim_start_matches("//");
        if path.is_empty() || path.contains(":memory:") {
            return Err(Error::Open("SQLite needs a file: sqlite:inventiv.db".to_owned()));
        }
        let url = format!("sqlite:{path}?mode=rwc");
        make_private(path);
        let pool = |size: u32| {
            // A file does not disconnect: a test before each use would only cost time.
            AnyPoolOptions::new().max_connections(size).test_before_acquire(false).acquire_timeout(Duration::from_secs(10)).after_connect(|c, _| {
                Box::pin(async move {
                    c.execute("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
                        .await
                        .map(|_| ())
                })
            })
        };
        let opened = |e: sqlx::Error| Error::Open(format!("{path}: {e}"));
        let writing = pool(1).connect(&url).await.map_err(opened)?;
        schema::bring_up_to_date(&writing).await?;
        schema::check_not_moved(&writing).await?;
        let readers = pool(4).connect(&url).await.map_err(opened)?;
        let (sender, receiver) = mpsc::channel(BATCH_MAX);
        tokio::spawn(write_in_batches(writing, receiver));
        Ok(Self { readers, write_hook: None, elsewhere: None, kind: Kind::Sqlite(sender) })
    }

    /// The state of a database's schema, without changing it.
    pub(crate) async fn schema(url: &str) -> Result<Schema, Error> {
        sqlx::any::install_default_drivers();
        let url = match url.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{}?mode=ro", path.trim_start_matches("//")),
            None => url.to_owned(),
        };
        let opened =
            AnyPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10)).connect(&url).await;
        schema::state(&opened.map_err(|e| Error::Open(e.to_string()))?).await
    }

    async fn open_postgres(url: &str) -> Result<Self, Error> {
        let (readers, server) = postgres::open(url).await?;
        Ok(Self { readers, write_hook: None, elsewhere: None, kind: Kind::Postgres(server) })
    }

    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<AnyRow>, Error> {
        match &self.elsewhere {
            None => self.read_here(statement).await,
            Some(handle) => wait_for(handle, self.read_here(statement)),
        }
    }

    async fn read_here(&self, statement: Statement) -> Result<Vec<AnyRow>, Error> {
        match &self.kind {
            Kind::Sqlite(_) => {
                Ok(sqlx::query_with(statement.sql, statement.args.for_driver()).fetch_all(&self.readers).await?)
            }
            Kind::Postgres(server) => postgres::read(&self.readers, Some(server), statement).await,
        }
    }

    /// Writes all or nothing; each statement sees the effects of the previous ones.
    pub(crate) async fn write(&self, statements: Vec<Statement>) -> Result<Written, Error> {
        self.take(Write::InOrder(statements)).await
    }

    /// Writes all or nothing. No two statements may affect the same row.
    pub(crate) async fn write_apart(&self, statements: Vec<Statement>) -> Result<Written, Error> {
        self.take(Write::Apart(statements)).await
    }

    async fn take(&self, write: Write) -> Result<Written, Error> {
        let Some(write_hook) = &self.write_hook else { return self.write_now(write).await };
        write_hook(WritePhase::Before).await;
        let written = self.write_now(write).await;
        write_hook(WritePhase::Committed).await;
        written
    }

    async fn write_now(&self, write: Write) -> Result<Written, Error> {
        match &self.elsewhere {
            None => self.write_here(write).await,
            Some(handle) => wait_for(handle, self.write_here(write)),
        }
    }

    async fn write_here(&self, write: Write) -> Result<Written, Error> {
        let writer = match &self.kind {
            Kind::Sqlite(writer) => writer,
            Kind::Postgres(server) => return postgres::write(&self.readers, server, write).await,
        };
        let (reply, answer) = oneshot::channel();
        let stopped = || Error::Unavailable("the writer has stopped".to_owned());
        writer.send((write, reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// PostgreSQL, which other machines can use, too.
    pub(crate) const fn shared(&self) -> Option<&Postgres> {
        match &self.kind {
            Kind::Sqlite(_) => None,
            Kind::Postgres(server) => Some(server),
        }
    }

    /// How often the database server changed or restarted; the last writes may then be lost.
    pub(crate) fn epoch(&self) -> u64 {
        self.shared().map_or(0, Postgres::epoch)
    }

    /// The database's clock; `None`: it runs on this machine, so use this machine's clock.
    pub(crate) async fn now(&self) -> Result<Option<Timestamp>, Error> {
        const SQL: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS at";
        if self.shared().is_none() {
            return Ok(None);
        }
        let rows = self.read(crate::args::Args::new().statement(SQL)).await?;
        rows.first().map(|r| crate::args::Columns(r).time("at")).transpose()
    }

    /// Notifies every replica that there is something to do. Only a hint: it may get lost.
    pub(crate) async fn notify(&self) -> Result<(), Error> {
        self.read(crate::args::Args::new().statement(postgres::NOTIFY)).await.map(|_| ())
    }

    /// The database and its lineage of servers: unchanged as long as no committed write is lost.
    pub(crate) async fn history(&self) -> Result<String, Error> {
        if self.shared().is_none() {
            return Ok("file".to_owned());
        }
        let rows = self.read(crate::args::Args::new().statement(postgres::HISTORY)).await?;
        let row = rows.first().ok_or_else(|| crate::error::corrupt("the server does not say which it is"))?;
        crate::args::Columns(row).text("history")
    }

    /// Gives the same next number to at most `limit` changed instances; `fresh` of them wait for one. Concurrent
    /// callers commit one after the other. Returns how many were numbered.
    pub(crate) async fn number_changes(&self, limit: u32, fresh: usize) -> Result<usize, Error> {
        const NEXT: &str = "UPDATE changes SET last = last + 1";
        const NUMBER: &str = "UPDATE instance_changes SET changed = (SELECT last FROM changes) \
            WHERE instance_id IN (SELECT instance_id FROM instance_changes WHERE changed = 0 ORDER BY instance_id LIMIT $1)";
        let mut a = crate::args::Args::new();
        match self.kind {
            Kind::Sqlite(_) => {
                let next = a.statement(NEXT);
                a.int(limit.into());
                self.write(vec![next, a.statement(NUMBER)]).await?;
                // There is only one writer: no row is locked.
                Ok(fresh)
            }
            Kind::Postgres(_) => {
                a.int(limit.into());
                Ok(self.read(a.statement(postgres::NUMBER)).await?.len())
            }
        }
    }

    pub(crate) async fn check(&self) -> Result<(), Error> {
        // Writes without a change: fails on a database that is full or read-only.
        const SQL: &str = "UPDATE provider_accounts SET provider = provider";
        self.write(vec![crate::args::Args::new().statement(SQL)]).await.map(|_| ())
    }
}

/// Makes the file and its companions readable only by this user: prices and purposes of instances are confidential.
fn make_private(path: &str) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // An error here shows again when the file is opened. SQLite gives its companions the mode of the file.
    let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    for file in [path.to_owned(), format!("{path}-wal"), format!("{path}-shm")] {
        let open = std::fs::metadata(&file).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
        if !open {
            continue;
        }
        match std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)) {
            Ok(()) => tracing::info!(file, "others could read the database: its mode is 0600 now"),
            Err(e) => tracing::warn!(file, error = %e, "others can read the database: run `chmod 600` on it"),
        }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Blocks the thread until it is done: nothing else on its runtime runs meanwhile, so that the order is deterministic.
fn wait_for<T>(handle: &Handle, exchange: impl Future<Output = T>) -> T {
    let _timers = handle.enter();
    // The thread may belong to another runtime, whose cooperative budget must not be used while it is blocked.
    futures::executor::block_on(tokio::task::unconstrained(exchange))
}

/// Runs a write of SQLite after `first` (empty, or the start of a savepoint). `Stale`: it must be undone.
async fn run_sqlite(connection: &mut AnyConnection, first: &str, write: Write) -> Result<Written, sqlx::Error> {
    let (Write::InOrder(statements) | Write::Apart(statements)) = write;
    let expected: Vec<Option<u64>> = statements.iter().map(|s| s.expect_rows).collect();
    let composed = compose::in_order(first, statements);
    let mut results = connection.fetch_many(sqlx::query_with(composed.sql, composed.args));
    let mut done = Vec::with_capacity(expected.len() + 1);
    let ended = loop {
        match results.try_next().await {
            Ok(Some(Either::Left(result))) => done.push(result.rows_affected()),
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => break Ok(()),
            Err(e) => break Err(e),
        }
    };
    // The first result is that of `first`, if not empty.
    let done = done.get(usize::from(!first.is_empty())..).unwrap_or_default();
    // Execution continues after a failed guard, so a later statement that relies on the guard may fail: the cause is
    // then the failed guard, not that statement.
    if done.iter().zip(&expected).any(|(rows, expected)| expected.is_some_and(|n| n != *rows)) {
        return Ok(Written::Stale);
    }
    ended?;
    if done.len() == expected.len() {
        return Ok(Written::Done);
    }
    Err(sqlx::Error::Protocol(format!("{} of {} statements were answered", done.len(), expected.len())))
}

async fn write_in_batches(pool: AnyPool, mut receiver: mpsc::Receiver<(Write, Reply)>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut replies = Vec::with_capacity(batch.len());
        let committed = commit_batch(&pool, batch.drain(..), &mut replies).await;
        for (reply, result) in replies {
            let result = match &committed {
                Ok(()) => result,
                Err(e) => Err(Error::Unavailable(e.to_string())),
            };
            // The caller may be gone; the write is committed.
            let _ = reply.send(result);
        }
        batch.clear();
    }
}

/// Commits what it can of a batch. An error means that nothing was committed; the connection is then discarded, because
/// it may still have the transaction open.
async fn commit_batch(
    pool: &AnyPool,
    batch: impl Iterator<Item = (Write, Reply)>,
    replies: &mut Vec<(Reply, Result<Written, Error>)>,
) -> Result<(), sqlx::Error> {
    let mut batch = batch.peekable();
    let done = match pool.acquire().await {
        Err(e) => Err(e),
        Ok(mut connection) => {
            let done = run_batch(&mut connection, &mut batch, replies).await;
            if done.is_err() {
                // Closing rolls back what is still open, even if it returns an error.
                let _ = connection.detach().close_hard().await;
            }
            done
        }
    };
    // The remaining callers get the same error.
    replies.extend(batch.map(|(_, reply)| (reply, Ok(Written::Done))));
    done
}

async fn run_batch(
    connection: &mut AnyConnection,
    batch: &mut std::iter::Peekable<impl Iterator<Item = (Write, Reply)>>,
    replies: &mut Vec<(Reply, Result<Written, Error>)>,
) -> Result<(), sqlx::Error> {
    let mut tx: Transaction<'_, Any> = connection.begin_with("BEGIN IMMEDIATE").await?;
    while let Some((write, reply)) = batch.next() {
        // A single write needs no savepoint: rolling back the transaction undoes it.
        let alone = replies.is_empty() && batch.peek().is_none();
        if alone {
            let result = run_sqlite(&mut tx, "", write).await;
            let undo = !matches!(result, Ok(Written::Done));
            replies.push((reply, result.map_err(Error::from)));
            return if undo { tx.rollback().await } else { tx.commit().await };
        }
        match run_nested(&mut tx, write).await {
            Ok(result) => replies.push((reply, result)),
            Err(broken) => {
                replies.push((reply, Ok(Written::Done)));
                return Err(broken);
            }
        }
    }
    tx.commit().await
}

/// One write of a batch. The outer error concerns the batch: the savepoint could not be ended.
async fn run_nested(connection: &mut AnyConnection, write: Write) -> Result<Result<Written, Error>, sqlx::Error> {
    let written = run_sqlite(connection, "SAVEPOINT one_write", write).await;
    let end = match written {
        Ok(Written::Done) => "RELEASE one_write",
        Ok(Written::Stale) | Err(_) => "ROLLBACK TO one_write; RELEASE one_write",
    };
    connection.execute(end).await?;
    Ok(written.map_err(Error::from))
}
