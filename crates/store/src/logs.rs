//! The action log (written before each call, closed after it) and the history of statuses.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use crate::of_ids::{MANY, OfIds};
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::{InstanceId, LogId};
use inventiv_core::recorded::Instance;
use inventiv_core::status::{LogStatus, Status};
use inventiv_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionLog {
    /// Its id; ids sort by time.
    pub id: LogId,
    /// Which instance it is about.
    pub instance_id: Option<String>,
    /// Which volume it is about.
    pub volume_id: Option<String>,
    /// The action, for example `PROVIDER_CREATE_VOLUME`.
    pub action: String,
    /// What became of it.
    pub status: LogStatus,
    /// The provider.
    pub provider: String,
    /// The account.
    pub account_id: String,
    /// The zone.
    pub zone: String,
    /// The cloud's id of the resource.
    pub resource_id: Option<String>,
    /// The attempt, for creations.
    pub attempt: Option<i64>,
    /// The cloud's id of the exchange.
    pub request_id: Option<String>,
    /// What went wrong, in one word.
    pub error_kind: Option<String>,
    /// What went wrong, in one sentence.
    pub error: Option<String>,
    /// Details, in one sentence.
    pub details: Option<String>,
    /// When it was written.
    pub started_at: Timestamp,
    /// When it was closed.
    pub ended_at: Option<Timestamp>,
}

impl ActionLog {
    /// An open line about an instance that begins now.
    #[must_use]
    pub fn begun(id: LogId, instance: &Instance, kind: EventKind, now: Timestamp) -> Self {
        Self {
            id,
            instance_id: Some(instance.id.to_string()),
            volume_id: None,
            action: kind.text().to_owned(),
            status: LogStatus::InProgress,
            provider: instance.provider.clone(),
            account_id: instance.account_id.clone(),
            zone: instance.zone.clone(),
            resource_id: None,
            attempt: None,
            request_id: None,
            error_kind: None,
            error: None,
            details: None,
            started_at: now,
            ended_at: None,
        }
    }
}

/// How a line is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogClose {
    /// Which line.
    pub id: LogId,
    /// What became of it.
    pub status: LogStatus,
    /// The cloud's id of the resource, if only the response contained it.
    pub resource_id: Option<String>,
    /// The cloud's id of the exchange.
    pub request_id: Option<String>,
    /// What went wrong, in one word.
    pub error_kind: Option<String>,
    /// What went wrong, in one sentence.
    pub error: Option<String>,
    /// When it was written, for the duration.
    pub started_at: Timestamp,
    /// When it was closed.
    pub ended_at: Timestamp,
}

/// A write to the action log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogWrite {
    /// A new line.
    Open(Box<ActionLog>),
    /// Closes a line.
    Close(Box<LogClose>),
}

/// One step in the history of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The status before; `None` at the beginning.
    pub from_status: Option<Status>,
    /// The status after.
    pub to_status: Status,
    /// Why, if it was a failure.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

const OPEN: &str = "INSERT INTO action_logs (id, instance_id, volume_id, action, status, provider, account_id, zone, \
    resource_id, attempt, request_id, error_kind, error, details, started_at, ended_at, duration_ms) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
const CLOSE: &str = "UPDATE action_logs SET status = $1, resource_id = COALESCE($2, resource_id), request_id = $3, \
    error_kind = $4, error = $5, ended_at = $6, duration_ms = $7 WHERE id = $8";
const ABANDON: &str = "UPDATE action_logs SET status = 'unknown', error_kind = 'unavailable', \
    error = 'the process ended before the outcome was recorded; what came of it shows in the lines that follow', \
    ended_at = $3, duration_ms = ($3 - started_at) / 1000 \
    WHERE account_id = $1 AND status = 'in_progress' AND started_at < $2";
const LIST: &str = "SELECT * FROM action_logs WHERE id > $1 ORDER BY id LIMIT $2";
const LIST_OF: &str = "SELECT * FROM action_logs WHERE instance_id = $1 AND id > $2 ORDER BY id LIMIT $3";
/// Lines that belong to no proof: they may be deleted.
static TELLS_NO_PROOF: LazyLock<String> = LazyLock::new(|| {
    let reported: Vec<String> =
        EventKind::ALL.iter().filter(|k| k.is_evidence()).map(|k| format!("'{}'", k.text())).collect();
    format!("action NOT IN ({})", reported.join(", "))
});
/// The end of a page of such lines, and when its oldest was written.
static PAGE: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "SELECT MAX(id) AS last, MIN(started_at) AS oldest, COUNT(*) AS n FROM \
        (SELECT id, started_at FROM action_logs WHERE id > $1 AND {} ORDER BY id LIMIT $2) AS page",
        *TELLS_NO_PROOF
    )
    .leak()
});
/// Deletes the lines of a page that may be deleted.
static PRUNE: LazyLock<&'static str> =
    LazyLock::new(|| format!("DELETE FROM action_logs WHERE id > $1 AND id <= $2 AND {}", may_go("$3")).leak());
/// How many lines one statement reads: others do not wait long.
const PAGE_LINES: u32 = 1_000;
const HISTORY: &str = "INSERT INTO instance_state_history (id, instance_id, from_status, to_status, reason, at) \
    VALUES ($1, $2, $3, $4, $5, $6)";
static HISTORIES: LazyLock<OfIds> = LazyLock::new(|| OfIds::new("instance_state_history", "instance_id"));
const READ_HISTORY: &str = "SELECT * FROM instance_state_history WHERE instance_id = $1 ORDER BY at, id";

/// Which lines may be deleted: older than `before`, closed, in no proof, of instances that ended before then
/// and retain nothing. This never changes back.
fn may_go(before: &str) -> String {
    format!(
        "started_at < {before} AND status <> 'in_progress' AND {} AND (instance_id IS NULL OR EXISTS (SELECT 1 \
        FROM instances i WHERE i.id = action_logs.instance_id AND i.status IN ('terminated', 'provisioning_failed') \
        AND i.terminated_at < {before} AND NOT EXISTS (SELECT 1 FROM instance_volumes v WHERE v.instance_id = i.id \
        AND v.status = 'retained')))",
        *TELLS_NO_PROOF
    )
}

pub(crate) fn statement(write: &LogWrite) -> Statement {
    let mut a = Args::new();
    match write {
        LogWrite::Open(l) => {
            a.text(l.id.as_str()).opt_text(l.instance_id.as_deref()).opt_text(l.volume_id.as_deref()).text(&l.action);
            a.text(l.status.text())
                .text(&l.provider)
                .text(&l.account_id)
                .text(&l.zone)
                .opt_text(l.resource_id.as_deref());
            a.opt_int(l.attempt).opt_text(l.request_id.as_deref()).opt_text(l.error_kind.as_deref());
            a.opt_text(l.error.as_deref()).opt_text(l.details.as_deref()).time(l.started_at).opt_time(l.ended_at);
            a.opt_int(l.ended_at.map(|t| t.ms_since(l.started_at)));
            a.statement(OPEN)
        }
        LogWrite::Close(c) => {
            a.text(c.status.text()).opt_text(c.resource_id.as_deref()).opt_text(c.request_id.as_deref());
            a.opt_text(c.error_kind.as_deref()).opt_text(c.error.as_deref()).time(c.ended_at);
            a.int(c.ended_at.ms_since(c.started_at)).text(c.id.as_str());
            a.statement(CLOSE)
        }
    }
}

pub(crate) fn history(instance: &Instance, from: Option<Status>, version: i64, at: Timestamp) -> Statement {
    let mut a = Args::new();
    // One change per version, so the version is the id.
    a.text(&format!("{}-{version:012}", instance.id)).text(instance.id.as_str());
    a.opt_text(from.map(Status::text)).text(instance.status.text());
    a.opt_text(instance.failure.as_ref().map(|f| f.message.as_str())).time(at);
    a.statement(HISTORY)
}

impl Store {
    /// Closes lines whose process died: the outcome of the call is unknown.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn close_abandoned_logs(
        &self,
        account: &str,
        begun_before: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).time(begun_before).time(now);
        self.db.write(vec![a.statement(ABANDON)]).await.map(|_| ())
    }

    /// Lines of the action log in the order of time: at most `limit`, and at most 1,000.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn action_logs(
        &self,
        instance: Option<&InstanceId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ActionLog>, Error> {
        let (after, mut a) = (after.unwrap_or_default(), Args::new());
        let limit = limit.min(1_000);
        let statement = match instance {
            Some(id) => {
                a.text(id.as_str()).text(after).int(limit.into());
                a.statement(LIST_OF)
            }
            None => {
                a.text(after).int(limit.into());
                a.statement(LIST)
            }
        };
        let rows = self.db.read(statement).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// Deletes a page, after `after`, of old lines of instances that ended before `before` and retain nothing. Lines
    /// that belong to a proof stay. Returns where the next page begins; `None`: nothing older follows.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_action_logs(&self, before: Timestamp, after: &str) -> Result<Option<String>, Error> {
        let mut a = Args::new();
        a.text(after).int(PAGE_LINES.into());
        let rows = self.db.read(a.statement(*PAGE)).await?;
        let Some(page) = rows.first().map(Columns) else { return Ok(None) };
        let (Some(last), Some(oldest)) = (page.opt_text("last")?, page.opt_time("oldest")?) else { return Ok(None) };
        if oldest >= before {
            return Ok(None);
        }
        let mut a = Args::new();
        a.text(after).text(&last).time(before);
        self.db.write(vec![a.statement(*PRUNE)]).await?;
        Ok((page.int("n")? == i64::from(PAGE_LINES)).then_some(last))
    }

    /// The statuses that an instance had.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn history(&self, instance: &InstanceId) -> Result<Vec<StateChange>, Error> {
        let mut a = Args::new();
        a.text(instance.as_str());
        self.db.read(a.statement(READ_HISTORY)).await?.iter().map(|r| state_change(&Columns(r))).collect()
    }

    /// The statuses that each of these instances had; instances without any are omitted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn histories(&self, ids: &[&InstanceId]) -> Result<BTreeMap<InstanceId, Vec<StateChange>>, Error> {
        let mut all: BTreeMap<InstanceId, Vec<StateChange>> = BTreeMap::new();
        for chunk in ids.chunks(MANY) {
            for row in self.db.read(HISTORIES.statement(chunk.iter().copied())).await? {
                let c = Columns(&row);
                all.entry(c.word("instance_id", InstanceId::parse)?).or_default().push(state_change(&c)?);
            }
        }
        for changes in all.values_mut() {
            // Sorted by id so far: the order of time, unless a database was restored from a backup.
            changes.sort_by_key(|change| change.at);
        }
        Ok(all)
    }
}

fn state_change(c: &Columns<'_>) -> Result<StateChange, Error> {
    Ok(StateChange {
        from_status: c.opt_word("from_status", Status::parse)?,
        to_status: c.word("to_status", Status::parse)?,
        reason: c.opt_text("reason")?,
        at: c.time("at")?,
    })
}

fn read(c: &Columns<'_>) -> Result<ActionLog, Error> {
    Ok(ActionLog {
        id: c.word("id", LogId::parse)?,
        instance_id: c.opt_text("instance_id")?,
        volume_id: c.opt_text("volume_id")?,
        action: c.text("action")?,
        status: c.word("status", LogStatus::parse)?,
        provider: c.text("provider")?,
        account_id: c.text("account_id")?,
        zone: c.text("zone")?,
        resource_id: c.opt_text("resource_id")?,
        attempt: c.opt_int("attempt")?,
        request_id: c.opt_text("request_id")?,
        error_kind: c.opt_text("error_kind")?,
        error: c.opt_text("error")?,
        details: c.opt_text("details")?,
        started_at: c.time("started_at")?,
        ended_at: c.opt_time("ended_at")?,
    })
}
