//! Audits: which are due, what the last of each zone found, and what the records can say without a cloud.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::audit::{MADE_WITH_MS, Report, ServerCreation};
use inventiv_core::id::InstanceId;
use inventiv_core::stuck::STUCK_MS;
use inventiv_core::sweep::{Policy, Quarantined};
use inventiv_core::time::Timestamp;
use serde::{Deserialize, Serialize};
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
    /// What the next one is to do.
    pub request: Option<FixRequest>,
    /// What waits to be deleted.
    pub quarantined: Vec<Quarantined>,
}

/// What an audit is asked to do besides looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixRequest {
    /// What becomes of the orphans that nobody takes up.
    pub policy: Policy,
    /// How many may go at once; `None`: as usual.
    pub max: Option<usize>,
}

/// What is not finished, as far as the records say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Deletions that were asked for and are not proven.
    pub unproven_deletions: i64,
    /// Of these: asked for longer ago than a person should wait.
    pub stuck: i64,
    /// The instances of those that are stuck, the first hundred.
    pub stuck_instances: Vec<InstanceId>,
    /// When the oldest creation was begun of which it is not known whether it took effect.
    pub oldest_unconfirmed: Option<Timestamp>,
    /// Other accounts that still have something, and that nobody looks at.
    pub other_accounts: Vec<String>,
}

/// An audit that is over.
pub struct AuditDone<'a> {
    /// Where.
    pub zone: &'a str,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it found.
    pub report: &'a Report,
    /// What it was asked to do, and did.
    pub answered: Option<FixRequest>,
    /// What it put in quarantine.
    pub held: &'a [Quarantined],
    /// What it took out of it.
    pub released: &'a [Quarantined],
}

/// How long a creation takes at the most, from its intent to the end of its call, in milliseconds.
const CREATION_MAX_MS: i64 = 120_000;

const EXPECT: &str = "INSERT INTO audits (account_id, zone) VALUES ($1, $2) ON CONFLICT (account_id, zone) DO NOTHING";
const FORGET: &str = "DELETE FROM audits WHERE account_id = $1 AND zone = $2";
const REQUEST: &str = "UPDATE audits SET requested_at = $2, request_json = COALESCE($3, request_json) \
    WHERE account_id = $1";
/// What was asked meanwhile stays.
const ANSWERED: &str =
    "UPDATE audits SET request_json = NULL WHERE account_id = $1 AND zone = $2 AND request_json = $3";
const HOLD: &str = "INSERT INTO quarantine (account_id, zone, provider_id, resource, name, instance_id, found_at, \
    until_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account_id, zone, provider_id) DO NOTHING";
const LET_GO: &str = "DELETE FROM quarantine WHERE account_id = $1 AND zone = $2 AND provider_id = $3";
const HELD: &str = "SELECT * FROM quarantine WHERE account_id = $1 ORDER BY zone, found_at, provider_id";
const DUE: &str = "SELECT zone FROM audits WHERE account_id = $1 \
    AND (begun_at IS NULL OR begun_at <= $2 OR begun_at < requested_at) ORDER BY zone";
const FINISH: &str =
    "UPDATE audits SET begun_at = $3, ended_at = $4, report_json = $5 WHERE account_id = $1 AND zone = $2";
const LIST: &str = "SELECT * FROM audits WHERE account_id = $1 ORDER BY zone";
/// From one zone to the next, past all the rows between.
const ALL_ZONES: &str = "WITH RECURSIVE steps(zone) AS (SELECT MIN(zone) FROM instances \
    UNION ALL SELECT (SELECT MIN(i.zone) FROM instances i WHERE i.zone > steps.zone) FROM steps WHERE steps.zone IS NOT NULL) \
    SELECT zone FROM steps WHERE zone IS NOT NULL \
    AND EXISTS (SELECT 1 FROM instances i WHERE i.zone = steps.zone AND i.account_id = $1)";
const OWNER_OF_SERVER: &str =
    "SELECT instance_id FROM instance_servers WHERE provider_server_id = $1 AND account_id = $2";
const OWNER_OF_VOLUME: &str =
    "SELECT instance_id FROM instance_volumes WHERE provider_volume_id = $1 AND account_id = $2";
const RETAINED: &str = "SELECT DISTINCT instance_id FROM instance_volumes WHERE status = 'retained' AND account_id = $1 \
    AND zone = $2";
const EVER_MADE: &str = "SELECT id FROM instance_servers WHERE account_id = $1 AND zone = $2 \
    AND provider_server_id IS NOT NULL LIMIT 1";
const BIRTHS: &str = "SELECT instance_id, name, intended_at, answered_at FROM instance_servers WHERE account_id = $1 \
    AND zone = $2 AND intended_at <= $3 AND intended_at >= $4 ORDER BY intended_at DESC LIMIT 100";
/// What should go and is not proven to be gone, with the moment in which that was asked for. What was released after its
/// instance had ended counts from the moment in which its deletion was first sent.
macro_rules! leaving {
    () => {
        "(SELECT i.id AS instance_id, COALESCE(s.delete_intended_at, i.terminate_requested_at) AS at \
        FROM instance_servers s JOIN instances i ON i.id = s.instance_id WHERE s.account_id = $1 AND s.gone_at IS NULL \
        AND s.create_state = 'created' AND i.terminate_requested_at IS NOT NULL \
        UNION ALL SELECT i.id AS instance_id, CASE WHEN i.status IN ('terminated', 'provisioning_failed') \
        THEN COALESCE(v.delete_intended_at, $2) ELSE COALESCE(v.delete_intended_at, i.terminate_requested_at) END AS at \
        FROM instance_volumes v JOIN instances i ON i.id = v.instance_id WHERE v.account_id = $1 AND v.deleted_at IS NULL \
        AND v.create_state = 'created' AND v.delete_on_terminate = 1 AND v.origin <> 'foreign' \
        AND i.terminate_requested_at IS NOT NULL) AS leaving"
    };
}
const UNPROVEN: &str =
    concat!("SELECT COUNT(*) AS n, COALESCE(SUM(CASE WHEN at < $2 THEN 1 ELSE 0 END), 0) AS late FROM ", leaving!());
const STUCK: &str =
    concat!("SELECT DISTINCT instance_id FROM ", leaving!(), " WHERE at < $2 ORDER BY instance_id LIMIT 100");
const OTHERS: &str = concat!(
    "SELECT account_id FROM instances WHERE account_id <> $1 AND ",
    living!(),
    " UNION SELECT account_id FROM instance_volumes WHERE account_id <> $1 AND status = 'retained'"
);
const DOUBT: &str = "SELECT MIN(at) AS at FROM \
    (SELECT intended_at AS at FROM instance_servers WHERE account_id = $1 AND create_state IN ('intended', 'unconfirmed') \
    UNION ALL SELECT created_at AS at FROM instance_volumes WHERE account_id = $1 \
    AND create_state IN ('intended', 'unconfirmed')) AS open";

impl Store {
    /// Writes down which zones are to be audited: these, every one that an instance was ever in, and every one in which the
    /// last audit saw anything of ours.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn expect_audits(&self, account: &str, zones: &[String]) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(ALL_ZONES)).await?;
        let mut all: BTreeSet<String> = rows.iter().map(|r| Columns(r).text("zone")).collect::<Result<_, _>>()?;
        all.extend(zones.iter().cloned());
        let audits = self.audits(account).await?;
        // Whoever names fewer zones than before takes none out of the audit that could be listed once: only a name that never
        // was a zone is forgotten.
        let listed = |r: &Report| r.inconclusive.is_none() || r.claimed + r.retained + r.findings.len() > 0;
        all.extend(audits.iter().filter(|z| z.report.as_ref().is_some_and(listed)).map(|z| z.zone.clone()));
        let known: BTreeSet<String> = audits.into_iter().map(|z| z.zone).collect();
        let one = |zone: &String, sql| {
            let mut a = Args::new();
            a.text(account).text(zone);
            a.statement(sql)
        };
        let mut statements: Vec<_> = all.difference(&known).map(|zone| one(zone, EXPECT)).collect();
        statements.extend(known.difference(&all).map(|zone| one(zone, FORGET)));
        if statements.is_empty() { Ok(()) } else { self.db.write(statements).await.map(|_| ()) }
    }

    /// Asks for a new audit of every zone, and that it does something.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn request_audit(&self, account: &str, now: Timestamp, fix: Option<FixRequest>) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).time(now).opt_json(fix.as_ref());
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

    /// Writes down what an audit found, that it did what was asked of it, and what is in quarantine after it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn finish_audit(&self, account: &str, done: &AuditDone<'_>) -> Result<(), Error> {
        let zone = done.zone;
        let mut a = Args::new();
        a.text(account).text(zone).time(done.begun_at).time(done.ended_at).json(done.report);
        let mut statements = vec![a.statement(FINISH)];
        if let Some(request) = &done.answered {
            let mut a = Args::new();
            a.text(account).text(zone).json(request);
            statements.push(a.statement(ANSWERED));
        }
        for q in done.held {
            let mut a = Args::new();
            a.text(account).text(zone).text(&q.provider_id).text(&q.resource).text(&q.name);
            a.text(q.instance_id.as_str()).time(q.found_at).time(q.until);
            statements.push(a.statement(HOLD));
        }
        for q in done.released {
            let mut a = Args::new();
            a.text(account).text(zone).text(&q.provider_id);
            statements.push(a.statement(LET_GO));
        }
        self.db.write(statements).await.map(|_| ())
    }

    /// What waits to be deleted, with its zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn quarantined(&self, account: &str) -> Result<Vec<(String, Quarantined)>, Error> {
        let mut a = Args::new();
        a.text(account);
        let one = |r| {
            let c = Columns(r);
            let held = Quarantined {
                provider_id: c.text("provider_id")?,
                resource: c.text("resource")?,
                name: c.text("name")?,
                instance_id: c.word("instance_id", InstanceId::parse)?,
                found_at: c.time("found_at")?,
                until: c.time("until_at")?,
            };
            Ok((c.text("zone")?, held))
        };
        self.db.read(a.statement(HELD)).await?.iter().map(one).collect()
    }

    /// The last audit of each zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn audits(&self, account: &str) -> Result<Vec<ZoneAudit>, Error> {
        let mut held = self.quarantined(account).await?;
        let mut a = Args::new();
        a.text(account);
        let mut one = |r| {
            let c = Columns(r);
            let zone = c.text("zone")?;
            Ok(ZoneAudit {
                quarantined: held.extract_if(.., |(z, _)| *z == zone).map(|(_, q)| q).collect(),
                request: c.opt_json("request_json")?,
                zone,
                requested_at: c.opt_time("requested_at")?,
                begun_at: c.opt_time("begun_at")?,
                ended_at: c.opt_time("ended_at")?,
                report: c.opt_json("report_json")?,
            })
        };
        self.db.read(a.statement(LIST)).await?.iter().map(&mut one).collect()
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

    /// Ended instances of a zone with a proof that a later look has yet to confirm.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn owners_of_unconfirmed(&self, account: &str, zone: &str) -> Result<Vec<InstanceId>, Error> {
        const UNCONFIRMED: &str = "SELECT id FROM instances WHERE account_id = $1 AND zone = $2 \
            AND confirm_after IS NOT NULL ORDER BY id LIMIT 2000";
        let mut a = Args::new();
        a.text(account).text(zone);
        let rows = self.db.read(a.statement(UNCONFIRMED)).await?;
        rows.iter().map(|r| Columns(r).word("id", InstanceId::parse)).collect()
    }

    /// Whether a server of ours was ever there in a zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn ever_made(&self, account: &str, zone: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        Ok(!self.db.read(a.statement(EVER_MADE)).await?.is_empty())
    }

    /// The servers that were being made at a moment, or about it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn creations(&self, account: &str, zone: &str, at: Timestamp) -> Result<Vec<ServerCreation>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone).time(at.plus_ms(MADE_WITH_MS)).time(at.plus_ms(-CREATION_MAX_MS - MADE_WITH_MS));
        let one = |r| {
            let c = Columns(r);
            Ok(ServerCreation {
                instance_id: c.word("instance_id", InstanceId::parse)?,
                name: c.text("name")?,
                from: c.time("intended_at")?,
                // A process that died has left no answer; no call takes longer than this.
                until: c.opt_time("answered_at")?.or(Some(c.time("intended_at")?.plus_ms(CREATION_MAX_MS))),
            })
        };
        self.db.read(a.statement(BIRTHS)).await?.iter().map(one).collect()
    }

    /// What is not finished, as far as the records say.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unfinished(&self, account: &str, now: Timestamp) -> Result<Unfinished, Error> {
        let (mut a, mut b, mut c) = (Args::new(), Args::new(), Args::new());
        a.text(account).time(now.plus_ms(-STUCK_MS));
        b.text(account);
        c.text(account);
        let (leaving, unconfirmed, others) = tokio::try_join!(
            self.db.read(a.statement(UNPROVEN)),
            self.db.read(b.statement(DOUBT)),
            self.db.read(c.statement(OTHERS))
        )?;
        let mut open = Unfinished {
            oldest_unconfirmed: unconfirmed.first().map_or(Ok(None), |r| Columns(r).opt_time("at"))?,
            other_accounts: others.iter().map(|r| Columns(r).text("account_id")).collect::<Result<_, _>>()?,
            ..Unfinished::default()
        };
        if let Some(row) = leaving.first() {
            (open.unproven_deletions, open.stuck) = (Columns(row).int("n")?, Columns(row).int("late")?);
        }
        if open.stuck > 0 {
            let mut a = Args::new();
            a.text(account).time(now.plus_ms(-STUCK_MS));
            let rows = self.db.read(a.statement(STUCK)).await?;
            let one = |r| Columns(r).word("instance_id", InstanceId::parse);
            open.stuck_instances = rows.iter().map(one).collect::<Result<_, _>>()?;
        }
        Ok(open)
    }
}
