//! The only file that knows there are two databases.
//!
//! SQLite has one writer: a task that takes every write that waits and commits them together, each in its own savepoint,
//! so that one flush of the disk serves many. Its transactions are `BEGIN IMMEDIATE` (deferred ones fail under load) and
//! `synchronous=FULL` (with less, a power cut loses committed intents). PostgreSQL commits each write by itself.

use crate::args::Statement;
use crate::error::Error;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How many writes one commit of SQLite takes along.
const BATCH_MAX: usize = 256;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it is committed.
    Done,
    /// A guard did not hold: nothing was written.
    Stale,
}

type Reply = oneshot::Sender<Result<Written, Error>>;

#[derive(Clone)]
pub(crate) struct Db {
    readers: AnyPool,
    /// SQLite's one writer; `None` on PostgreSQL.
    writer: Option<mpsc::Sender<(Vec<Statement>, Reply)>>,
}

impl Db {
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Self::open_sqlite(path).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
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
        let pool = |size: u32| {
            AnyPoolOptions::new().max_connections(size).acquire_timeout(Duration::from_secs(10)).after_connect(|c, _| {
                Box::pin(async move {
                    c.execute("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
                        .await
                        .map(|_| ())
                })
            })
        };
        let opened = |e: sqlx::Error| Error::Open(format!("{path}: {e}"));
        let writing = pool(1).connect(&url).await.map_err(opened)?;
        migrate(&writing).await?;
        let readers = pool(4).connect(&url).await.map_err(opened)?;
        let (sender, receiver) = mpsc::channel(BATCH_MAX);
        tokio::spawn(write_in_batches(writing, receiver));
        Ok(Self { readers, writer: Some(sender) })
    }

    async fn open_postgres(url: &str) -> Result<Self, Error> {
        let opened =
            AnyPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(10)).connect(url).await;
        // The driver's message names host and database, never the password.
        let readers = opened.map_err(|e| Error::Open(e.to_string()))?;
        migrate(&readers).await?;
        Ok(Self { readers, writer: None })
    }

    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<AnyRow>, Error> {
        Ok(sqlx::query_with(statement.sql, statement.args).fetch_all(&self.readers).await?)
    }

    /// Writes all of it or nothing.
    pub(crate) async fn write(&self, statements: Vec<Statement>) -> Result<Written, Error> {
        let Some(writer) = &self.writer else {
            let mut tx = self.readers.begin().await?;
            let written = run(&mut tx, statements).await?;
            match written {
                Written::Done => tx.commit().await?,
                Written::Stale => tx.rollback().await?,
            }
            return Ok(written);
        };
        let (reply, answer) = oneshot::channel();
        let stopped = || Error::Unavailable("the writer has stopped".to_owned());
        writer.send((statements, reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) async fn check(&self) -> Result<(), Error> {
        // Changes nothing, and still writes: it fails on a database that is full or read-only.
        const SQL: &str = "UPDATE provider_accounts SET provider = provider";
        self.write(vec![crate::args::Args::new().statement(SQL)]).await.map(|_| ())
    }
}

async fn migrate(pool: &AnyPool) -> Result<(), Error> {
    MIGRATIONS.run(pool).await.map_err(|e| {
        if let MigrateError::VersionMissing(version) = e {
            return Error::Newer(version);
        }
        Error::Open(format!("its schema cannot be brought up to date: {e}"))
    })
}

async fn run(connection: &mut AnyConnection, statements: Vec<Statement>) -> Result<Written, sqlx::Error> {
    for statement in statements {
        let done = sqlx::query_with(statement.sql, statement.args).execute(&mut *connection).await?;
        if statement.expect_rows.is_some_and(|n| n != done.rows_affected()) {
            return Ok(Written::Stale);
        }
    }
    Ok(Written::Done)
}

async fn write_in_batches(pool: AnyPool, mut receiver: mpsc::Receiver<(Vec<Statement>, Reply)>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut replies = Vec::with_capacity(batch.len());
        let committed = commit_batch(&pool, batch.drain(..), &mut replies).await;
        for (reply, result) in replies {
            let result = match &committed {
                Ok(()) => result,
                Err(e) => Err(Error::Unavailable(e.to_string())),
            };
            // Whoever asked may have gone away; the write stands.
            let _ = reply.send(result);
        }
        batch.clear();
    }
}

/// Commits what it can of a batch. An error means that nothing of it was: the connection is thrown away then, because a
/// transaction that failed to end may still seem open to it.
async fn commit_batch(
    pool: &AnyPool,
    batch: impl Iterator<Item = (Vec<Statement>, Reply)>,
    replies: &mut Vec<(Reply, Result<Written, Error>)>,
) -> Result<(), sqlx::Error> {
    let mut batch = batch.peekable();
    let done = match pool.acquire().await {
        Err(e) => Err(e),
        Ok(mut connection) => {
            let done = run_batch(&mut connection, &mut batch, replies).await;
            if done.is_err() {
                // Closing undoes whatever is still open; that this fails, too, changes nothing.
                let _ = connection.detach().close_hard().await;
            }
            done
        }
    };
    // Whoever was not reached is told the same.
    replies.extend(batch.map(|(_, reply)| (reply, Ok(Written::Done))));
    done
}

async fn run_batch(
    connection: &mut AnyConnection,
    batch: &mut std::iter::Peekable<impl Iterator<Item = (Vec<Statement>, Reply)>>,
    replies: &mut Vec<(Reply, Result<Written, Error>)>,
) -> Result<(), sqlx::Error> {
    let mut tx: Transaction<'_, Any> = connection.begin_with("BEGIN IMMEDIATE").await?;
    while let Some((statements, reply)) = batch.next() {
        // Alone, it needs no savepoint of its own: undoing the transaction undoes it.
        let alone = replies.is_empty() && batch.peek().is_none();
        if alone {
            let result = run(&mut tx, statements).await;
            let undo = !matches!(result, Ok(Written::Done));
            replies.push((reply, result.map_err(Error::from)));
            return if undo { tx.rollback().await } else { tx.commit().await };
        }
        match run_nested(&mut tx, statements).await {
            Ok(result) => replies.push((reply, result)),
            Err(broken) => {
                replies.push((reply, Ok(Written::Done)));
                return Err(broken);
            }
        }
    }
    tx.commit().await
}

/// One write of a batch. The outer error is the batch's: its savepoint could not be ended as it should.
async fn run_nested(
    tx: &mut Transaction<'_, Any>,
    statements: Vec<Statement>,
) -> Result<Result<Written, Error>, sqlx::Error> {
    let mut savepoint = tx.begin().await?;
    let written = run(&mut savepoint, statements).await;
    match written {
        Ok(Written::Done) => savepoint.commit().await?,
        Ok(Written::Stale) | Err(_) => savepoint.rollback().await?,
    }
    Ok(written.map_err(Error::from))
}
