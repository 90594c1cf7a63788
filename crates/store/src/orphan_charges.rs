//! The ledger of orphans: what an audit found with our name and no record wants costs money, too.
//!
//! An orphan has no record, so that its rows have the cloud's id as that of the resource. They end when an audit does not show
//! the orphan any more, or when an instance adopts it: from then on, it has the rows of that instance. An inconclusive audit
//! ends nothing.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::audits::AuditDone;
use crate::error::Error;
use inventiv_core::audit::{Finding, FindingKind, FoundCost, Report};
use inventiv_core::ledger::ChargeKind;
use inventiv_core::time::Timestamp;

const LAST_REPORT: &str = "SELECT report_json FROM audits WHERE account_id = $1 AND zone = $2";
const OPEN: &str = "SELECT resource_id, kind, sku, quantity FROM charges WHERE account_id = $1 AND zone = $2 \
    AND ends_at IS NULL AND class = 'orphan'";
/// The rows in the records of a resource with the cloud's id `$1` in the account `$2`.
macro_rules! recorded {
    () => {
        "SELECT id FROM instance_servers WHERE provider_server_id = $1 AND account_id = $2 UNION ALL \
        SELECT id FROM instance_volumes WHERE provider_volume_id = $1 AND account_id = $2"
    };
}
/// Ends a row. If an instance adopted the resource at the same moment, neither write saw the other one: then the row ends where
/// that of the instance begins, so that nothing counts twice.
const END: &str = concat!(
    "UPDATE charges SET ends_at = (SELECT CASE WHEN charges.starts_at > COALESCE(MIN(r.starts_at), CAST($4 AS BIGINT)) \
    THEN charges.starts_at ELSE COALESCE(MIN(r.starts_at), CAST($4 AS BIGINT)) END FROM charges r WHERE r.kind = $3 \
    AND (r.ends_at IS NULL OR r.ends_at > charges.starts_at) AND r.class NOT IN ('unconfirmed', 'third_party') \
    AND r.resource_id IN (",
    recorded!(),
    ")) WHERE resource_id = $1 AND kind = $3 AND account_id = $2 AND class = 'orphan' AND ends_at IS NULL"
);
/// Begins a row, unless one of the same resource has not ended. It begins at `$4`; if earlier rows of the resource ended after
/// that, a volume with their end, and a server, which was off in between, now (`$5`).
const BEGIN: &str = concat!(
    "INSERT INTO charges (resource_id, kind, starts_at, class, sku, quantity, provider_id, account_id, zone, instance_id, \
    service_id, model_id) SELECT $1, $3, \
    CASE WHEN earlier.ends_at IS NULL OR earlier.ends_at <= CAST($4 AS BIGINT) THEN CAST($4 AS BIGINT) \
    WHEN $3 <> 'volume' OR earlier.ends_at > CAST($5 AS BIGINT) THEN CAST($5 AS BIGINT) ELSE earlier.ends_at END, \
    'orphan', $6, CAST($7 AS BIGINT), $1, $2, $8, COALESCE(i.id, ''), i.service_id, i.model_id \
    FROM (SELECT MAX(ends_at) AS ends_at, COUNT(*) AS n, COUNT(ends_at) AS ended FROM charges WHERE kind = $3 \
    AND class NOT IN ('unconfirmed', 'third_party') AND resource_id IN (SELECT $1 UNION ALL ",
    recorded!(),
    ")) AS earlier LEFT JOIN instances i ON i.id = $9 WHERE earlier.n = earlier.ended \
    ON CONFLICT (resource_id, kind, starts_at) DO UPDATE SET ends_at = NULL, settled = 0, \
    class = excluded.class, sku = excluded.sku, quantity = excluded.quantity"
);
/// Ends every row of an account, which is not audited any more.
const END_ALL: &str = "UPDATE charges SET ends_at = CASE WHEN starts_at > CAST($1 AS BIGINT) THEN starts_at \
    ELSE CAST($1 AS BIGINT) END WHERE account_id = $2 AND class = 'orphan' AND ends_at IS NULL";
const UNPRICED: &str = "SELECT COUNT(DISTINCT resource_id) AS n FROM charges c WHERE class = 'orphan' AND ends_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM prices p WHERE p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku)";

/// A row that has not ended.
struct Open {
    provider_id: String,
    cost: FoundCost,
}

/// The statement that ends the rows of an account that is removed.
pub(crate) fn end_all(account: &str, now: Timestamp) -> Statement {
    let mut a = Args::new();
    a.time(now).text(account);
    a.statement(END_ALL)
}

impl Store {
    /// How many orphans that are charged have no known price.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unpriced_orphans(&self) -> Result<i64, Error> {
        let rows = self.db.read(Args::new().statement(UNPRICED)).await?;
        rows.first().map_or(Ok(0), |r| Columns(r).int("n"))
    }

    /// The statements, in order, that bring the rows of orphans in a zone in line with what an audit found. An inconclusive
    /// audit changes nothing.
    pub(crate) async fn orphan_charges(&self, account: &str, done: &AuditDone<'_>) -> Result<Vec<Statement>, Error> {
        if done.report.inconclusive.is_some() {
            return Ok(Vec::new());
        }
        let mut a = Args::new();
        let last = self.db.read(a.text(account).text(done.zone).statement(LAST_REPORT)).await?;
        let last: Option<Report> = last.first().map_or(Ok(None), |r| Columns(r).opt_json("report_json"))?;
        let rows = self.db.read(a.text(account).text(done.zone).statement(OPEN)).await?;
        let open: Vec<Open> = rows.iter().map(|r| row(&Columns(r))).collect::<Result<_, _>>()?;
        let orphans = || done.report.findings.iter().filter(|f| f.kind == FindingKind::Orphan);
        // What cannot be read of an orphan does not end its rows.
        let goes_on = |o: &Open, f: &Finding| {
            f.provider_id == o.provider_id && f.costs.as_ref().is_none_or(|costs| costs.contains(&o.cost))
        };
        let ended = open.iter().filter(|o| !orphans().any(|f| goes_on(o, f)));
        let mut statements: Vec<Statement> = ended.map(|o| end(account, o, done.ended_at)).collect();
        for found in orphans() {
            for cost in found.costs.iter().flatten() {
                if !open.iter().any(|o| o.cost.kind == cost.kind && goes_on(o, found)) {
                    let since = since(found, last.as_ref(), done.ended_at);
                    statements.push(begin((account, done), found, cost, since));
                }
            }
        }
        Ok(statements)
    }
}

/// Since when an orphan costs money that has no row which goes on: since its creation, or since it was last seen to cost nothing.
fn since(found: &Finding, last: Option<&Report>, now: Timestamp) -> Timestamp {
    let created = found.created_at.unwrap_or(now);
    let free = last.and_then(|r| r.free_orphans.get(&found.provider_id));
    free.map_or(created, |at| (*at).max(created)).min(now)
}

fn row(c: &Columns<'_>) -> Result<Open, Error> {
    let kind = c.word("kind", ChargeKind::parse)?;
    let cost = FoundCost { kind, sku: c.text("sku")?, quantity: c.int("quantity")? };
    Ok(Open { provider_id: c.text("resource_id")?, cost })
}

fn end(account: &str, open: &Open, now: Timestamp) -> Statement {
    let mut a = Args::new();
    a.text(&open.provider_id).text(account).text(open.cost.kind.text()).time(now);
    a.statement(END)
}

fn begin((account, done): (&str, &AuditDone<'_>), found: &Finding, cost: &FoundCost, since: Timestamp) -> Statement {
    let mut a = Args::new();
    a.text(&found.provider_id).text(account).text(cost.kind.text()).time(since).time(done.ended_at);
    let instance = found.instance_id.as_ref().filter(|_| found.known);
    a.text(&cost.sku).int(cost.quantity).text(done.zone).opt_text(instance.map(|id| id.as_str()));
    a.statement(BEGIN)
}
