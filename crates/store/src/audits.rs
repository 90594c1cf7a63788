//! Audits: which are due, what the last of each zone found, and what the records can say without a cloud.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::audit::{Birth, MADE_WITH_MS, Report};
use inventiv_core::id::InstanceId;
use inventiv_core::stuck::STUCK_MS;
use inventiv_core::time::Timestamp;
use std::collections::BTreeSet;

/// The last audit of one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneAudit {
    /// Where.
    pub zone: String,
    /// When somebody last asked for one.
    pub requested_at: Option<Timestamp>,
    /// When the last one began; `None`: there was none.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it found.
    pub report: Option<Report>,
}

/// What is not finished, as far as the records say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Deletions that were asked for and are not proven.
    pub unproven_deletions: i64,
    /// Of these: asked for longer ago than a person should wait.
    pub stuck: i64,
    /// When the oldest creation was begun of which it is not known whether it took effect.
    pub oldest_doubt: Option<Timestamp>,
}

const EXPECT: &str = "INSERT INTO audits (account_id, zone) VALUES ($1, $2) ON CONFLICT (account_id, zone) DO NOTHING";
const REQUEST: &str = "UPDATE audits SET requested_at = $2 WHERE account_id = $1";
const DUE: &str = "SELECT zone FROM audits WHERE account_id = $1 \
    AND (begun_at IS NULL OR begun_at <= $2 OR begun_at < requested_at) ORDER BY zone";
const FINISH: &str =
    "UPDATE audits SET begun_at = $3, ended_at = $4, report_json = $5 WHERE account_id = $1 AND zone = $2";
const LIST: &str = "SELECT * FROM audits WHERE account_id = $1 ORDER BY zone";
const ALL_ZONES: &str = "SELECT DISTINCT zone FROM instances WHERE account_id = $1";
const OWNER_OF_SERVER: &str =
    "SELECT instance_id FROM instance_servers WHERE provider_server_id = $1 AND account_id = $2";
const OWNER_OF_VOLUME: &str =
    "SELECT instance_id FROM instance_volumes WHERE provider_volume_id = $1 AND account_id = $2";
const RETAINED: &str = "SELECT DISTINCT instance_id FROM instance_volumes WHERE status = 'retained' AND account_id = $1 \
    AND zone = $2";
const BIRTHS: &str = "SELECT instance_id, name, prepared_at, answered_at FROM instance_servers WHERE account_id = $1 \
    AND zone = $2 AND prepared_at <= $3 AND (answered_at IS NULL OR answered_at >= $4) ORDER BY prepared_at DESC LIMIT 20";
const UNPROVEN: &str = "SELECT COUNT(*) AS n, COALESCE(SUM(CASE WHEN at < $2 THEN 1 ELSE 0 END), 0) AS late FROM \
    (SELECT delete_intended_at AS at FROM instance_servers WHERE account_id = $1 AND gone_at IS NULL \
    AND delete_intended_at IS NOT NULL UNION ALL SELECT delete_intended_at AS at FROM instance_volumes \
    WHERE account_id = $1 AND deleted_at IS NULL AND delete_intended_at IS NOT NULL) AS leaving";
const DOUBT: &str = "SELECT MIN(at) AS at FROM \
    (SELECT prepared_at AS at FROM instance_servers WHERE account_id = $1 AND create_state IN ('prepared', 'doubt') \
    UNION ALL SELECT created_at AS at FROM instance_volumes WHERE account_id = $1 \
    AND create_state IN ('prepared', 'doubt')) AS open";

impl Store {
    /// Writes down which zones are to be audited, with every zone that an instance was ever in.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn expect_audits(&self, account: &str, zones: &[String]) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(ALL_ZONES)).await?;
        let mut all: BTreeSet<String> = rows.iter().map(|r| Columns(r).text("zone")).collect::<Result<_, _>>()?;
        all.extend(zones.iter().cloned());
        let known: BTreeSet<String> = self.audits(account).await?.into_iter().map(|z| z.zone).collect();
        let statements: Vec<_> = all
            .difference(&known)
            .map(|zone| {
                let mut a = Args::new();
                a.text(account).text(zone);
                a.statement(EXPECT)
            })
            .collect();
        if statements.is_empty() { Ok(()) } else { self.db.write(statements).await.map(|_| ()) }
    }

    /// Asks for a new audit of every zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn request_audit(&self, account: &str, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).time(now);
        self.db.write(vec![a.statement(REQUEST)]).await.map(|_| ())
    }

    /// The zones whose last audit began before `before`, or before somebody asked for a new one.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn audits_due(&self, account: &str, before: Timestamp) -> Result<Vec<String>, Error> {
        let mut a = Args::new();
        a.text(account).time(before);
        self.db.read(a.statement(DUE)).await?.iter().map(|r| Columns(r).text("zone")).collect()
    }

    /// Writes down what an audit found.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn finish_audit(
        &self,
        account: &str,
        zone: &str,
        begun_at: Timestamp,
        now: Timestamp,
        report: &Report,
    ) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).text(zone).time(begun_at).time(now).json(report);
        self.db.write(vec![a.statement(FINISH)]).await.map(|_| ())
    }

    /// The last audit of each zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn audits(&self, account: &str) -> Result<Vec<ZoneAudit>, Error> {
        let mut a = Args::new();
        a.text(account);
        let one = |r| {
            let c = Columns(r);
            Ok(ZoneAudit {
                zone: c.text("zone")?,
                requested_at: c.opt_time("requested_at")?,
                begun_at: c.opt_time("begun_at")?,
                ended_at: c.opt_time("ended_at")?,
                report: c.opt_json("report_json")?,
            })
        };
        self.db.read(a.statement(LIST)).await?.iter().map(one).collect()
    }

    /// The instance that a row ties to a cloud's id of a server or volume.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn owner_of(&self, account: &str, provider_id: &str) -> Result<Option<InstanceId>, Error> {
        for sql in [OWNER_OF_VOLUME, OWNER_OF_SERVER] {
            let mut a = Args::new();
            a.text(provider_id).text(account);
            if let Some(row) = self.db.read(a.statement(sql)).await?.first() {
                return Columns(row).word("instance_id", InstanceId::parse).map(Some);
            }
        }
        Ok(None)
    }

    /// The instances with volumes in a zone that are kept.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn owners_of_retained(&self, account: &str, zone: &str) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        let rows = self.db.read(a.statement(RETAINED)).await?;
        rows.iter().map(|r| Columns(r).word("instance_id", InstanceId::parse)).collect()
    }

    /// The servers that were being made at a moment, or about it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn births(&self, account: &str, zone: &str, at: Timestamp) -> Result<Vec<Birth>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone).time(at.plus_ms(MADE_WITH_MS)).time(at.plus_ms(-MADE_WITH_MS));
        let one = |r| {
            let c = Columns(r);
            Ok(Birth {
                instance_id: c.word("instance_id", InstanceId::parse)?,
                name: c.text("name")?,
                from: c.time("prepared_at")?,
                until: c.opt_time("answered_at")?,
            })
        };
        self.db.read(a.statement(BIRTHS)).await?.iter().map(one).collect()
    }

    /// What is not finished, as far as the records say.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unfinished(&self, account: &str, now: Timestamp) -> Result<Unfinished, Error> {
        let (mut a, mut b) = (Args::new(), Args::new());
        a.text(account).time(now.plus_ms(-STUCK_MS));
        b.text(account);
        let (leaving, doubt) = tokio::try_join!(self.db.read(a.statement(UNPROVEN)), self.db.read(b.statement(DOUBT)))?;
        let oldest_doubt = doubt.first().map_or(Ok(None), |r| Columns(r).opt_time("at"))?;
        let Some(row) = leaving.first() else { return Ok(Unfinished { oldest_doubt, ..Unfinished::default() }) };
        let c = Columns(row);
        Ok(Unfinished { unproven_deletions: c.int("n")?, stuck: c.int("late")?, oldest_doubt })
    }
}
