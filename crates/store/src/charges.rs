//! The ledger: written in the same commit as the facts that it follows from.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::id::InstanceId;
use inventiv_core::ledger::{Charge, ChargeClass, ChargeKind, charges};
use inventiv_core::recorded::{Aggregate, Instance};
use inventiv_core::time::Timestamp;

/// An address that is shown later than so many milliseconds after the start of its server did not come with it.
const ADDRESS_WITH_SERVER_MS: i64 = 900_000;
/// Ends the row of a charge. Clocks of replicas differ: a row never ends before it begins.
const END: &str = "UPDATE charges SET ends_at = CASE WHEN starts_at > CAST($1 AS BIGINT) THEN starts_at \
    ELSE CAST($1 AS BIGINT) END WHERE resource_id = $2 AND kind = $3 AND ends_at IS NULL";
/// Begins a row, and never a second one that has not ended. It begins when the charge did; but if an earlier row of the resource
/// ended after that, with the end of that row for a volume, which was believed gone and was not, and now for a server and its
/// addresses, which were off in between. It never begins before that end: the clock of the replica that wrote it may be ahead.
/// A creation that was unconfirmed did take
/// effect, so that its row does not matter, unless it is settled. A row that began at the same time has no length: it costs
/// nothing, also if it is settled. The rows that it had as an orphan, under the cloud's id, are earlier ones, too.
const BEGIN: &str = "INSERT INTO charges (resource_id, kind, starts_at, class, sku, quantity, provider_id, account_id, \
    zone, instance_id, service_id, model_id) SELECT $1, $2, \
    CASE WHEN earlier.ends_at IS NULL OR earlier.ends_at <= CAST($3 AS BIGINT) THEN CAST($3 AS BIGINT) \
    WHEN $2 <> 'volume' AND earlier.ends_at <= CAST($4 AS BIGINT) THEN CAST($4 AS BIGINT) ELSE earlier.ends_at END, \
    $5, $6, CAST($7 AS BIGINT), $8, $9, $10, $11, $12, $13 \
    FROM (SELECT MAX(CASE WHEN class = 'orphan' AND ends_at IS NULL THEN CAST($4 AS BIGINT) ELSE ends_at END) AS ends_at \
    FROM charges WHERE kind = $2 AND (resource_id = $1 AND (class <> 'unconfirmed' OR settled <> 0) \
    OR resource_id = $8 AND class = 'orphan')) AS earlier \
    WHERE NOT EXISTS (SELECT 1 FROM charges WHERE resource_id = $1 AND kind = $2 AND ends_at IS NULL) \
    ON CONFLICT (resource_id, kind, starts_at) DO UPDATE SET ends_at = NULL, settled = 0, \
    class = excluded.class, sku = excluded.sku, quantity = excluded.quantity, provider_id = excluded.provider_id";
/// Ends the row that is cut. The parts of one write may be carried out in any order, so that each row is affected by one
/// part: this one leaves a row that begins now to the next one.
const CUT: &str = "UPDATE charges SET ends_at = CAST($1 AS BIGINT) WHERE resource_id = $2 AND kind = $3 \
    AND ends_at IS NULL AND starts_at < CAST($1 AS BIGINT)";
/// Begins the row after the cut.
const GO_ON: &str = "INSERT INTO charges (resource_id, kind, starts_at, class, sku, quantity, provider_id, account_id, \
    zone, instance_id, service_id, model_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
    ON CONFLICT (resource_id, kind, starts_at) DO UPDATE SET ends_at = NULL, settled = 0, \
    class = excluded.class, sku = excluded.sku, quantity = excluded.quantity, provider_id = excluded.provider_id";
/// Drops a row that begins after the cut, because another replica's clock is ahead.
const DROP_AHEAD: &str = "DELETE FROM charges WHERE resource_id = $1 AND kind = $2 AND ends_at IS NULL \
    AND starts_at > CAST($3 AS BIGINT)";
/// Updates a row in place: what was learnt of the resource holds since its beginning.
const LEARN: &str = "UPDATE charges SET class = $1, provider_id = $2, sku = $3, quantity = CAST($4 AS BIGINT) \
    WHERE resource_id = $5 AND kind = $6 AND ends_at IS NULL";
/// Ends the row that it had as an orphan. An instance that is rebuilt was not known then.
const ADOPT: &str = "UPDATE charges SET ends_at = CASE WHEN starts_at > CAST($1 AS BIGINT) THEN starts_at \
    ELSE CAST($1 AS BIGINT) END, instance_id = $2, service_id = $3, model_id = $4 \
    WHERE resource_id = $5 AND kind = $6 AND class = 'orphan' AND ends_at IS NULL";
/// What was learnt holds since the beginning, so that the row that it had as an orphan gets no length.
const WAS_NO_ORPHAN: &str = "UPDATE charges SET ends_at = starts_at WHERE resource_id = $1 AND kind = $2 \
    AND class = 'orphan' AND ends_at IS NULL";
const OPEN: &str = "SELECT resource_id, kind, instance_id FROM charges WHERE account_id = $1 AND zone = $2 \
    AND ends_at IS NULL AND class <> 'orphan'";
/// Affects nothing, unless the instance is still in the version that was read.
const UNCHANGED: &str = "UPDATE instances SET version = version WHERE id = $1 AND version = $2";

/// The statements that bring the ledger from one state of an instance to the next one.
pub(crate) fn difference(before: Option<&Aggregate>, after: &Aggregate, now: Timestamp) -> Vec<Statement> {
    let (old, new) = (before.map(charges).unwrap_or_default(), charges(after));
    let find =
        |c: &Charge, of: &[Charge]| of.iter().find(|o| (&o.resource_id, o.kind) == (&c.resource_id, c.kind)).cloned();
    let mut statements: Vec<Statement> =
        old.iter().filter(|c| find(c, &new).is_none()).map(|c| end(&c.resource_id, c.kind.text(), now)).collect();
    for c in &new {
        match find(c, &old) {
            None => statements.extend(begin(&after.instance, c, now)),
            Some(before) if before.is_same(c) => {}
            Some(before) if is_learnt(&before, c) => statements.extend(learn(c)),
            Some(_) => statements.extend(cut(&after.instance, c, now)),
        }
    }
    statements
}

/// Whether the charge was the same before, and only more is known of it.
fn is_learnt(before: &Charge, after: &Charge) -> bool {
    let but_id = Charge { provider_id: after.provider_id.clone(), ..before.clone() };
    before.class == ChargeClass::Unconfirmed || but_id.is_same(after)
}

/// An open row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCharge {
    /// The id of the server or volume in the records.
    pub resource_id: String,
    /// Its kind.
    pub kind: ChargeKind,
    /// The instance.
    pub instance_id: InstanceId,
}

impl Store {
    /// The rows of a zone that have not ended.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn open_charges(&self, account: &str, zone: &str) -> Result<Vec<OpenCharge>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        let row = |c: Columns<'_>| {
            Ok(OpenCharge {
                resource_id: c.text("resource_id")?,
                kind: c.word("kind", ChargeKind::parse)?,
                instance_id: c.word("instance_id", InstanceId::parse)?,
            })
        };
        self.db.read(a.statement(OPEN)).await?.iter().map(|r| row(Columns(r))).collect()
    }

    /// Brings the rows of an instance in line with its record: an older version, which knows no ledger, may have written
    /// it. `open` are its rows that have not ended. Writes nothing if the instance has changed since it was read.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn repair_charges(&self, agg: &Aggregate, open: &[&OpenCharge], now: Timestamp) -> Result<bool, Error> {
        let new = charges(agg);
        let is = |o: &OpenCharge, c: &Charge| (&o.resource_id, o.kind) == (&c.resource_id, c.kind);
        let wrong = open.iter().filter(|o| !new.iter().any(|c| is(o, c)));
        let mut parts: Vec<Statement> =
            wrong.map(|o| end(&o.resource_id, o.kind.text(), gone_at(agg, &o.resource_id).unwrap_or(now))).collect();
        let missing = new.iter().filter(|c| !open.iter().any(|o| is(o, c)));
        parts.extend(missing.flat_map(|c| begin(&agg.instance, c, now)));
        if parts.is_empty() {
            return Ok(false);
        }
        let mut a = Args::new();
        a.text(agg.instance.id.as_str()).int(agg.instance.version);
        parts.insert(0, a.guarded(UNCHANGED));
        Ok(matches!(self.db.write(parts).await?, Written::Done))
    }
}

/// When a server or volume was proven gone.
fn gone_at(agg: &Aggregate, resource_id: &str) -> Option<Timestamp> {
    let server = agg.servers.iter().find(|s| s.id.as_str() == resource_id).and_then(|s| s.gone_at);
    server.or_else(|| agg.volumes.iter().find(|v| v.id.as_str() == resource_id).and_then(|v| v.deleted_at))
}

fn end(resource_id: &str, kind: &str, at: Timestamp) -> Statement {
    let mut a = Args::new();
    a.time(at).text(resource_id).text(kind);
    a.statement(END)
}

fn begin(i: &Instance, c: &Charge, now: Timestamp) -> Vec<Statement> {
    let mut a = Args::new();
    let mut since = c.since.unwrap_or(now).min(now);
    // Of a server that is recorded again, nobody knows since when it has its address.
    let is_rebuilt = i.spec.recovered_at == Some(now);
    if c.kind == ChargeKind::Address && now.ms_since(since) > ADDRESS_WITH_SERVER_MS && !is_rebuilt {
        since = now;
    }
    a.text(&c.resource_id).text(c.kind.text()).time(since).time(now);
    facts(&mut a, i, c);
    let mut statements = vec![a.statement(BEGIN)];
    if let Some(id) = &c.provider_id {
        a.time(now);
        owner(&mut a, i);
        a.text(id).text(c.kind.text());
        statements.push(a.statement(ADOPT));
    }
    statements
}

fn cut(i: &Instance, c: &Charge, now: Timestamp) -> [Statement; 3] {
    let mut a = Args::new();
    let cut = a.time(now).text(&c.resource_id).text(c.kind.text()).statement(CUT);
    let ahead = a.text(&c.resource_id).text(c.kind.text()).time(now).statement(DROP_AHEAD);
    a.text(&c.resource_id).text(c.kind.text()).time(now);
    facts(&mut a, i, c);
    [cut, ahead, a.statement(GO_ON)]
}

fn learn(c: &Charge) -> Vec<Statement> {
    let mut a = Args::new();
    a.text(c.class.text()).opt_text(c.provider_id.as_deref()).text(&c.sku).int(c.quantity);
    a.text(&c.resource_id).text(c.kind.text());
    let mut statements = vec![a.statement(LEARN)];
    if let Some(id) = &c.provider_id {
        a.text(id).text(c.kind.text());
        statements.push(a.statement(WAS_NO_ORPHAN));
    }
    statements
}

fn facts(a: &mut Args, i: &Instance, c: &Charge) {
    a.text(c.class.text()).text(&c.sku).int(c.quantity).opt_text(c.provider_id.as_deref());
    a.text(&i.account_id).text(&i.zone);
    owner(a, i);
}

fn owner(a: &mut Args, i: &Instance) {
    let service = i.spec.replica_of.as_ref().map(|r| r.service_id.as_str());
    a.text(i.id.as_str()).opt_text(service).opt_text(i.model_id.as_deref());
}
