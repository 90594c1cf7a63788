//! Instances whose workers are watched, and the last lines of engines that failed.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::id::InstanceId;
use inventiv_core::status::Status;
use inventiv_core::time::Timestamp;

/// The condition is that of the index `instances_watched`.
const WATCHED: &str = "SELECT id, status, version FROM instances WHERE account_id = $1 AND zone = $2 AND worker_json IS NOT NULL \
    AND status IN ('booting', 'installing', 'starting', 'ready', 'unavailable', 'startup_failed', 'draining') ORDER BY id";
const PUT_LOG: &str = "INSERT INTO engine_logs (instance_id, lines_json, read_at) VALUES ($1, $2, $3) \
    ON CONFLICT (instance_id) DO UPDATE SET lines_json = excluded.lines_json, read_at = excluded.read_at";

/// The last lines of an engine that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLog {
    /// The lines, oldest first.
    pub lines: Vec<String>,
    /// When they were read.
    pub read_at: Timestamp,
}

/// An instance whose worker is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its status.
    pub status: Status,
    /// Its version: it counts every change of the instance and of what belongs to it.
    pub version: i64,
}

impl Store {
    /// The instances of a zone whose workers are watched, in the order of their ids.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn watched(&self, account: &str, zone: &str) -> Result<Vec<WatchedInstance>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        let rows = self.db.read(a.statement(WATCHED)).await?;
        let one = |c: Columns<'_>| {
            Ok(WatchedInstance {
                id: c.word("id", InstanceId::parse)?,
                status: c.word("status", Status::parse)?,
                version: c.int("version")?,
            })
        };
        rows.iter().map(|r| one(Columns(r))).collect()
    }

    /// Keeps the last lines of an engine.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_engine_log(&self, id: &InstanceId, lines: &[String], now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(id.as_str()).json(&lines).time(now);
        self.db.write(vec![a.statement(PUT_LOG)]).await.map(|_| ())
    }

    /// The lines that were kept of an engine.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn engine_log(&self, id: &InstanceId) -> Result<Option<EngineLog>, Error> {
        let mut a = Args::new();
        a.text(id.as_str());
        let rows = self.db.read(a.statement("SELECT * FROM engine_logs WHERE instance_id = $1")).await?;
        let Some(c) = rows.first().map(Columns) else { return Ok(None) };
        Ok(Some(EngineLog { lines: c.json("lines_json")?, read_at: c.time("read_at")? }))
    }
}
