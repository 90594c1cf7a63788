//! Audits: which are due, the results of the last one of each zone, and what the records show without the cloud.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::audit::{Finding, FindingKind, MADE_WITH_MS, Report, ServerCreation};
use inventiv_core::id::InstanceId;
use inventiv_core::status::ResourceKind;
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
    /// When one was last requested.
    pub requested_at: Option<Timestamp>,
    /// When the last one began; `None`: there was none.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it found.
    pub report: Option<Report>,
    /// What the next one must do.
    pub request: Option<FixRequest>,
    /// Resources that wait for deletion.
    pub quarantined: Vec<Quarantined>,
}

/// What an audit must do besides observing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixRequest {
    /// What to do with orphans that no instance adopts.
    pub policy: Policy,
    /// How many to delete at once at most; `None`: the default.
    pub max: Option<usize>,
}

/// What is unfinished, according to the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Requested deletions that are not proven.
    pub unproven_deletions: i64,
    /// Of these, the overdue ones.
    pub stuck: i64,
    /// The first hundred instances with stuck deletions.
    pub stuck_instances: Vec<InstanceId>,
    /// When the oldest unconfirmed creation was begun.
    pub oldest_unconfirmed: Option<Timestamp>,
    /// Other accounts that still own something and are not observed.
    pub other_accounts: Vec<String>,
}

impl Unfinished {
    /// Adds what is unfinished in another account.
    pub fn add(&mut self, other: Self) {
        self.unproven_deletions += other.unproven_deletions;
        self.stuck += other.stuck;
        self.stuck_instances.extend(other.stuck_instances);
        let both = self.oldest_unconfirmed.into_iter().chain(other.oldest_unconfirmed);
        self.oldest_unconfirmed = both.min();
        self.other_accounts.extend(other.other_accounts);
    }
}

/// A finished audit.
pub struct AuditDone<'a> {
    /// Where.
    pub zone: &'a str,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it found.
    pub report: &'a Report,
    /// The request that it fulfilled.
    pub answered: Option<FixRequest>,
    /// What it put in quarantine.
    pub held: &'a [Quarantined],
    /// What it released from quarantine.
    pub released: &'a [Quarantined],
}

/// Maximum duration of a creation, from its intent to the end of its call, in milliseconds.
const CREATION_MAX_MS: i64 = 120_000;

const EXPECT: &str = "INSERT INTO audits (account_id, zone) VALUES ($1, $2) ON CONFLICT (account_id, zone) DO NOTHING";
const FORGET: &str = "DELETE FROM audits WHERE account_id = $1 AND zone = $2";
const REQUEST: &str = "UPDATE audits SET requested_at = $2, request_json = COALESCE($3, request_json) \
    WHERE account_id = $1";
/// A newer request stays.
const ANSWERED: &str =
    "UPDATE audits SET request_json = NULL WHERE account_id = $1 AND zone = $2 AND request_json = $3";
const HOLD: &str = "INSERT INTO quarantine (account_id, zone, provider_id, resource, name, instance_id, found_at, \
    until_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account_id, zone, provider_id) DO NOTHING";
const RELEASE_QUARANTINED: &str = "DELETE FROM quarantine WHERE account_id = $1 AND zone = $2 AND provider_id = $3";
const HELD: &str = "SELECT * FROM quarantine WHERE account_id = $1 ORDER BY zone, found_at, provider_id";
const DUE: &str = "SELECT zone FROM audits WHERE account_id = $1 \
    AND (begun_at IS NULL OR begun_at <= $2 OR begun_at < requested_at) ORDER BY zone";
const REPORTS: &str = "SELECT x.report_json FROM audits x JOIN provider_accounts p ON p.id = x.account_id \
    WHERE x.report_json IS NOT NULL AND p.removed_at IS NULL ORDER BY x.account_id, x.zone";
const FINISH: &str =
    "UPDATE audits SET begun_at = $3, ended_at = $4, report_json = $5 WHERE account_id = $1 AND zone = $2";
const LIST: &str = "SELECT * FROM audits WHERE account_id = $1 ORDER BY zone";
/// Steps from one zone to the next (a loose index scan).
const ALL_ZONES: &str = "WITH RECURSIVE steps(zone) AS (SELECT MIN(zone) FROM instances \
    UNION ALL SELECT (SELECT MIN(i.zone) FROM instances i WHERE i.zone > steps.zone) FROM steps WHERE steps.zone IS NOT NULL) \
    SELECT zone FROM steps WHERE zone IS NOT NULL \
    AND EXISTS (SELECT 1 FROM instances i WHERE i.zone = steps.zone AND i.account_id = $1)";
const OWNER_OF_SERVER: &str =
    "SELECT instance_id FROM instance_servers WHERE provider_server_id = $1 AND account_id = $2";
const OWNER_OF_VOLUME: &str =
    "SELECT instance_id FROM instance_volumes WHERE provider_volume_id = $1 AND account_id = $2 AND status <> 'reused'";
const RETAINED: &str = "SELECT DISTINCT instance_id FROM instance_volumes WHERE status = 'retained' AND account_id = $1 \
    AND zone = $2";
const EVER_MADE: &str = "SELECT id FROM instance_servers WHERE account_id = $1 AND zone = $2 \
    AND provider_server_id IS NOT NULL LIMIT 1";
const BIRTHS: &str = "SELECT instance_id, name, intended_at, answered_at FROM instance_servers WHERE account_id = $1 \
    AND zone = $2 AND intended_at <= $3 AND intended_at >= $4 ORDER BY intended_at DESC LIMIT 100";
/// Creations whose outcome was never learnt.
const LOST: &str = "SELECT s.instance_id, s.name, s.intended_at, s.answered_at, i.instance_type FROM instance_servers s \
    JOIN instances i ON i.id = s.instance_id WHERE s.account_id = $1 AND s.zone = $2 AND s.create_state = 'abandoned' \
    AND s.provider_server_id IS NULL ORDER BY s.intended_at DESC LIMIT 1000";
const OPEN: &str = "SELECT s.instance_id, s.name, s.intended_at, s.answered_at, i.instance_type FROM instance_servers s \
    JOIN instances i ON i.id = s.instance_id WHERE s.account_id = $1 AND s.zone = $2 \
    AND s.create_state IN ('intended', 'unconfirmed') ORDER BY s.intended_at DESC LIMIT 1000";
/// Resources to be deleted that are not proven gone, with the time of the request. A volume that was released after its
/// instance had ended counts from its first deletion call.
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
    concat!("SELECT DISTINCT instance_id FROM ", leaving!(), " WHERE at < $2 ORDER BY instance_id LIMIT $3");
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
    /// Records the zones to audit: these, every zone that an instance was ever in, and every zone in which the last
    /// audit found our resources.
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
        // A zone that is no longer configured stays in the audit if it could ever be listed: only a name that never was
        // a zone is removed.
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

    /// Requests a new audit of every zone, with actions.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn request_audit(&self, account: &str, now: Timestamp, fix: Option<FixRequest>) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).time(now).opt_json(fix.as_ref());
        self.db.write(vec![a.statement(REQUEST)]).await.map(|_| ())
    }

    /// The zones whose last audit began before `before`, or before the last request.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn audits_due(&self, account: &str, before: Timestamp) -> Result<Vec<String>, Error> {
        let mut a = Args::new();
        a.text(account).time(before);
        self.db.read(a.statement(DUE)).await?.iter().map(|r| Columns(r).text("zone")).collect()
    }

    /// Records the findings of an audit, the request that it fulfilled, the quarantine after it, and what orphans cost.
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
            a.text(account).text(zone).text(&q.provider_id).text(q.resource.text()).text(&q.name);
            a.text(q.instance_id.as_str()).time(q.found_at).time(q.until);
            statements.push(a.statement(HOLD));
        }
        for q in done.released {
            let mut a = Args::new();
            a.text(account).text(zone).text(&q.provider_id);
            statements.push(a.statement(RELEASE_QUARANTINED));
        }
        statements.extend(self.orphan_charges(account, done).await?);
        self.db.write(statements).await.map(|_| ())
    }

    /// Resources that wait for deletion, with their zones.
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
                resource: c.word("resource", ResourceKind::parse)?,
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

    /// The orphans that the last audits of all accounts found, and the number of audits that allow no conclusion.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn orphans(&self) -> Result<(Vec<Finding>, usize), Error> {
        let rows = self.db.read(Args::new().statement(REPORTS)).await?;
        let (mut found, mut blind) = (Vec::new(), 0);
        for row in &rows {
            let report: Report = Columns(row).json("report_json")?;
            blind += usize::from(report.inconclusive.is_some());
            found.extend(report.findings.into_iter().filter(|f| f.kind == FindingKind::Orphan));
        }
        Ok((found, blind))
    }

    /// The instance that owns the server or volume with this provider id.
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

    /// The instances with retained volumes in a zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn owners_of_retained(&self, account: &str, zone: &str) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        let rows = self.db.read(a.statement(RETAINED)).await?;
        rows.iter().map(|r| Columns(r).word("instance_id", InstanceId::parse)).collect()
    }

    /// Ended instances of a zone with a proof that a later observation must still confirm.
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

    /// Whether a server of ours ever existed in a zone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn ever_made(&self, account: &str, zone: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        Ok(!self.db.read(a.statement(EVER_MADE)).await?.is_empty())
    }

    /// The servers that were being created at about this time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn creations(&self, account: &str, zone: &str, at: Timestamp) -> Result<Vec<ServerCreation>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone).time(at.plus_ms(MADE_WITH_MS)).time(at.plus_ms(-CREATION_MAX_MS - MADE_WITH_MS));
        self.db.read(a.statement(BIRTHS)).await?.iter().map(|r| creation(&Columns(r), None)).collect()
    }

    /// The creations of servers in a zone whose outcome is not known, or was never learnt, the newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn lost_creations(&self, account: &str, zone: &str) -> Result<Vec<ServerCreation>, Error> {
        let mut found = Vec::new();
        for query in [OPEN, LOST] {
            let mut a = Args::new();
            a.text(account).text(zone);
            for row in &self.db.read(a.statement(query)).await? {
                let c = Columns(row);
                found.push(creation(&c, Some(c.text("instance_type")?))?);
            }
        }
        Ok(found)
    }

    /// Instances with stuck deletions.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn stuck_instances(
        &self,
        account: &str,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(account).time(now.plus_ms(-STUCK_MS)).int(limit);
        let rows = self.db.read(a.statement(STUCK)).await?;
        rows.iter().map(|r| Columns(r).word("instance_id", InstanceId::parse)).collect()
    }

    /// What is unfinished, according to the records.
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
            open.stuck_instances = self.stuck_instances(account, now, 100).await?;
        }
        Ok(open)
    }
}

fn creation(c: &Columns<'_>, lost: Option<String>) -> Result<ServerCreation, Error> {
    Ok(ServerCreation {
        instance_id: c.word("instance_id", InstanceId::parse)?,
        name: c.text("name")?,
        from: c.time("intended_at")?,
        // A process that died recorded no response; no call takes longer than this.
        until: c.opt_time("answered_at")?.or(Some(c.time("intended_at")?.plus_ms(CREATION_MAX_MS))),
        lost,
    })
}
