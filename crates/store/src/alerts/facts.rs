//! What alerts follow from, as it is recorded now.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use crate::instance_rows;
use inventiv_core::alert::{AuditFacts, Facts, PAST_MS};
use inventiv_core::expiry::TOLD_BEFORE_MS;
use inventiv_core::recorded::Instance;
use inventiv_core::time::Timestamp;
use std::collections::BTreeMap;

/// How many rows are read of each kind.
const ROWS_MAX: i64 = 1_000;
/// Replicas of services are not among them: the service tells.
const FAILED: &str =
    "SELECT * FROM instances WHERE failure_json IS NOT NULL AND service_id IS NULL AND terminated_at IS NULL LIMIT $1";
const FAILED_LATELY: &str = "SELECT * FROM instances WHERE failure_json IS NOT NULL AND service_id IS NULL AND terminated_at > $2 \
    ORDER BY terminated_at DESC LIMIT $1";
const TROUBLED: &str =
    "SELECT * FROM instances WHERE status IN ('unavailable', 'startup_failed') AND service_id IS NULL LIMIT $1";
const ENDING: &str = "SELECT * FROM instances WHERE expires_at IS NOT NULL AND desired <> 'absent' AND expires_at <= $2 \
    AND failure_json IS NULL AND status NOT IN ('terminated', 'provisioning_failed') ORDER BY expires_at LIMIT $1";
const ENDED: &str = "SELECT * FROM instances WHERE expires_at IS NOT NULL AND desired = 'absent' AND expires_at > $2 \
    AND terminate_requested_at >= expires_at ORDER BY expires_at DESC LIMIT $1";
/// Not by the index of the status: more instances are ready than end.
const IDLE: &str = "SELECT * FROM instances WHERE idle_ends_at IS NOT NULL AND desired <> 'absent' AND idle_ends_at <= $2 \
    AND COALESCE(status, '') = 'ready' ORDER BY idle_ends_at LIMIT $1";
const IDLE_ENDED: &str = "SELECT * FROM instances WHERE idle_ends_at IS NOT NULL AND desired = 'absent' \
    AND idle_ends_at > $2 ORDER BY idle_ends_at DESC LIMIT $1";
const ACCOUNTS: &str = "SELECT id FROM provider_accounts WHERE removed_at IS NULL ORDER BY id";

impl Store {
    /// What alerts follow from. Of each kind, a thousand instances at most, the latest ones.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn alert_facts(&self, now: Timestamp) -> Result<Facts, Error> {
        let past = now.plus_ms(-PAST_MS);
        let mut instances = BTreeMap::new();
        for sql in [FAILED, TROUBLED] {
            let mut a = Args::new();
            a.int(ROWS_MAX);
            self.collect(a.statement(sql), &mut instances).await?;
        }
        let soon = now.plus_ms(TOLD_BEFORE_MS);
        for (sql, at) in [(FAILED_LATELY, past), (ENDING, soon), (ENDED, past), (IDLE, soon), (IDLE_ENDED, past)] {
            let mut a = Args::new();
            a.int(ROWS_MAX).time(at);
            self.collect(a.statement(sql), &mut instances).await?;
        }
        let (mut stuck, mut audits) = (Vec::new(), Vec::new());
        for row in &self.db.read(Args::new().statement(ACCOUNTS)).await? {
            let account = Columns(row).text("id")?;
            stuck.extend(self.stuck_instances(&account, now, ROWS_MAX).await?);
            let found = self.audits(&account).await?.into_iter().filter_map(|z| Some((z.zone, z.report?)));
            audits.extend(found.map(|(zone, report)| AuditFacts { account: account.clone(), zone, report }));
        }
        let mut limits = Vec::new();
        for (scope, l) in self.all_limits().await? {
            let used = if l.is_any() { self.in_use(&scope, &l, now).await? } else { Default::default() };
            limits.push((scope, l, used));
        }
        let services = self.recent_services(past).await?;
        Ok(Facts { instances: instances.into_values().collect(), services, stuck, audits, limits })
    }

    async fn collect(&self, statement: Statement, into: &mut BTreeMap<String, Instance>) -> Result<(), Error> {
        for row in &self.db.read(statement).await? {
            let instance = instance_rows::read(&Columns(row))?;
            into.insert(instance.id.to_string(), instance);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_reads_few_rows_although_it_knows_no_figures() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("t.db").display())).await.unwrap();
        for (sql, index) in [
            (FAILED, "instances_failed"),
            (FAILED_LATELY, "instances_failed"),
            (TROUBLED, "instances_status"),
            (ENDING, "instances_ending"),
            (ENDED, "instances_expired"),
            (IDLE, "instances_idle_ending"),
            (IDLE_ENDED, "instances_idle_ended"),
        ] {
            let mut a = Args::new();
            a.int(ROWS_MAX);
            if sql.contains("$2") {
                a.time(Timestamp(1));
            }
            let rows = store.db.read(a.statement(format!("EXPLAIN QUERY PLAN {sql}").leak())).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|r| Columns(r).text("detail").unwrap()).collect();
            let plan = plan.join("; ");
            assert!(plan.starts_with("SEARCH") && plan.contains(index) && !plan.contains("B-TREE"), "{sql}: {plan}");
        }
    }
}
