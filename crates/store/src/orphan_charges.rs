//! The ledger of orphans: what an audit found with our name and no record wants costs money, too.
//!
//! An orphan has no record, so that its rows have the cloud's id as that of the resource. They end when an audit does not show
//! the orphan any more, or when an instance adopts it: from then on, it has the rows of that instance.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::audits::AuditDone;
use crate::charges::end;
use crate::error::Error;
use inventiv_core::audit::{Finding, FindingKind, FoundCost};
use inventiv_core::ledger::ChargeKind;

const OPEN: &str = "SELECT resource_id, kind, sku, quantity FROM charges WHERE account_id = $1 AND zone = $2 \
    AND ends_at IS NULL AND class = 'orphan'";
/// Begins a row, unless one of the same resource has not ended. It begins with the creation of the resource; if earlier rows of
/// it ended after that, a volume with their end, and a server, which was off in between, now.
const BEGIN: &str = "INSERT INTO charges (resource_id, kind, starts_at, class, sku, quantity, provider_id, account_id, \
    zone, instance_id, service_id, model_id) SELECT $1, $2, \
    CASE WHEN earlier.ends_at IS NULL OR earlier.ends_at <= CAST($3 AS BIGINT) THEN CAST($3 AS BIGINT) \
    WHEN $2 <> 'volume' OR earlier.ends_at > CAST($4 AS BIGINT) THEN CAST($4 AS BIGINT) ELSE earlier.ends_at END, \
    'orphan', $5, CAST($6 AS BIGINT), $1, $7, $8, COALESCE(i.id, ''), i.service_id, i.model_id \
    FROM (SELECT MAX(ends_at) AS ends_at, COUNT(*) AS n, COUNT(ends_at) AS ended FROM charges WHERE kind = $2 \
    AND class <> 'unconfirmed' AND resource_id IN (SELECT $1 UNION ALL \
    SELECT id FROM instance_servers WHERE provider_server_id = $1 AND account_id = $7 UNION ALL \
    SELECT id FROM instance_volumes WHERE provider_volume_id = $1 AND account_id = $7)) AS earlier \
    LEFT JOIN instances i ON i.id = $9 WHERE earlier.n = earlier.ended \
    ON CONFLICT (resource_id, kind, starts_at) DO UPDATE SET ends_at = NULL, settled = 0, \
    class = excluded.class, sku = excluded.sku, quantity = excluded.quantity";

/// A row that has not ended.
struct Open {
    provider_id: String,
    cost: FoundCost,
}

impl Store {
    /// The statements that bring the rows of orphans in a zone in line with what an audit found. An inconclusive audit changes
    /// nothing.
    pub(crate) async fn orphan_charges(&self, account: &str, done: &AuditDone<'_>) -> Result<Vec<Statement>, Error> {
        if done.report.inconclusive.is_some() {
            return Ok(Vec::new());
        }
        let mut a = Args::new();
        a.text(account).text(done.zone);
        let rows = self.db.read(a.statement(OPEN)).await?;
        let open: Vec<Open> = rows.iter().map(|r| row(&Columns(r))).collect::<Result<_, _>>()?;
        let orphans = || done.report.findings.iter().filter(|f| f.kind == FindingKind::Orphan);
        // What cannot be read of an orphan does not end its rows.
        let goes_on = |o: &Open, f: &Finding| {
            f.provider_id == o.provider_id && f.costs.as_ref().is_none_or(|costs| costs.contains(&o.cost))
        };
        // A row with another size or name of its price ends now, and the next audit begins the other one.
        let ended = open.iter().filter(|o| !orphans().any(|f| goes_on(o, f)));
        let mut statements: Vec<Statement> =
            ended.map(|o| end(&o.provider_id, o.cost.kind.text(), done.ended_at)).collect();
        for found in orphans() {
            for cost in found.costs.iter().flatten() {
                if !open.iter().any(|o| (&o.provider_id, o.cost.kind) == (&found.provider_id, cost.kind)) {
                    statements.push(begin(account, done, found, cost));
                }
            }
        }
        Ok(statements)
    }
}

fn row(c: &Columns<'_>) -> Result<Open, Error> {
    let kind = c.word("kind", ChargeKind::parse)?;
    let cost = FoundCost { kind, sku: c.text("sku")?, quantity: c.int("quantity")? };
    Ok(Open { provider_id: c.text("resource_id")?, cost })
}

fn begin(account: &str, done: &AuditDone<'_>, found: &Finding, cost: &FoundCost) -> Statement {
    let now = done.ended_at;
    let since = found.created_at.unwrap_or(now).min(now);
    let mut a = Args::new();
    a.text(&found.provider_id).text(cost.kind.text()).time(since).time(now).text(&cost.sku).int(cost.quantity);
    let instance = found.instance_id.as_ref().filter(|_| found.known);
    a.text(account).text(done.zone).opt_text(instance.map(|id| id.as_str()));
    a.statement(BEGIN)
}
