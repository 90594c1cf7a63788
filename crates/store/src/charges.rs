//! The ledger: written in the same commit as the facts that it follows from.

use crate::args::{Args, Statement};
use inventiv_core::ledger::{Charge, charges};
use inventiv_core::recorded::{Aggregate, Instance};
use inventiv_core::time::Timestamp;

const END: &str =
    "UPDATE charges SET ends_at = CAST($1 AS BIGINT) WHERE resource_id = $2 AND kind = $3 AND ends_at IS NULL";
/// A row begins when the charge did, but not before an earlier row of the resource has ended.
const BEGIN: &str = "INSERT INTO charges (resource_id, kind, starts_at, class, sku, quantity, provider_id, account_id, \
    zone, instance_id, service_id, model_id) VALUES ($1, $2, \
    CASE WHEN EXISTS (SELECT 1 FROM charges WHERE resource_id = $1 AND kind = $2 AND ends_at > CAST($3 AS BIGINT)) \
    THEN CAST($4 AS BIGINT) ELSE CAST($3 AS BIGINT) END, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
    ON CONFLICT (resource_id, kind, starts_at) DO UPDATE SET ends_at = NULL, class = excluded.class, sku = excluded.sku, \
    quantity = excluded.quantity, provider_id = excluded.provider_id";

/// The statements that bring the ledger from one state of an instance to the next one.
pub(crate) fn difference(before: Option<&Aggregate>, after: &Aggregate, now: Timestamp) -> Vec<Statement> {
    let (old, new) = (before.map(charges).unwrap_or_default(), charges(after));
    let is_missing = |c: &Charge, from: &[Charge]| !from.iter().any(|other| other.is_same(c));
    let ended = old.iter().filter(|c| is_missing(c, &new)).map(|c| end(c, now));
    ended.chain(new.iter().filter(|c| is_missing(c, &old)).map(|c| begin(&after.instance, c, now))).collect()
}

fn end(c: &Charge, now: Timestamp) -> Statement {
    let mut a = Args::new();
    a.time(now).text(&c.resource_id).text(c.kind.text());
    a.statement(END)
}

fn begin(i: &Instance, c: &Charge, now: Timestamp) -> Statement {
    let mut a = Args::new();
    a.text(&c.resource_id).text(c.kind.text()).time(c.since.unwrap_or(now)).time(now).text(c.class.text());
    a.text(&c.sku).int(c.quantity).opt_text(c.provider_id.as_deref()).text(&i.account_id).text(&i.zone);
    let service = i.spec.replica_of.as_ref().map(|r| r.service_id.as_str());
    a.text(i.id.as_str()).opt_text(service).opt_text(i.model_id.as_deref());
    a.statement(BEGIN)
}
