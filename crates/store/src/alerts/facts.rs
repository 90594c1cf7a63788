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

const FAILED: &str = "SELECT * FROM instances WHERE failure_json IS NOT NULL AND (terminated_at IS NULL OR terminated_at > $1) \
    ORDER BY id LIMIT 1000";
const TROUBLED: &str =
    "SELECT * FROM instances WHERE status IN ('unavailable', 'startup_failed') ORDER BY id LIMIT 1000";
const ENDING: &str = "SELECT * FROM instances WHERE expires_at IS NOT NULL AND desired <> 'absent' AND expires_at <= $1 \
    ORDER BY id LIMIT 1000";
const ENDED: &str = "SELECT * FROM instances WHERE expires_at IS NOT NULL AND desired = 'absent' AND expires_at > $1 \
    AND terminate_requested_at >= expires_at ORDER BY id LIMIT 1000";
const ACCOUNTS: &str = "SELECT id FROM provider_accounts WHERE removed_at IS NULL ORDER BY id";

impl Store {
    /// What alerts follow from. Of what concerns very many instances, the first thousand of each kind.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn alert_facts(&self, now: Timestamp) -> Result<Facts, Error> {
        let past = now.plus_ms(-PAST_MS);
        let mut instances = BTreeMap::new();
        for (sql, at) in [(FAILED, past), (ENDING, now.plus_ms(TOLD_BEFORE_MS)), (ENDED, past)] {
            let mut a = Args::new();
            a.time(at);
            self.collect(a.statement(sql), &mut instances).await?;
        }
        self.collect(Args::new().statement(TROUBLED), &mut instances).await?;
        let (mut stuck, mut audits) = (Vec::new(), Vec::new());
        for row in &self.db.read(Args::new().statement(ACCOUNTS)).await? {
            let account = Columns(row).text("id")?;
            stuck.extend(self.unfinished(&account, now).await?.stuck_instances);
            let found = self.audits(&account).await?.into_iter().filter_map(|z| Some((z.zone, z.report?)));
            audits.extend(found.map(|(zone, report)| AuditFacts { account: account.clone(), zone, report }));
        }
        let limits = self.limits().await?;
        let used = if limits.is_any() { self.in_use(&limits, now).await? } else { Default::default() };
        let services = self.recent_services(past).await?;
        Ok(Facts { instances: instances.into_values().collect(), services, stuck, audits, limits, used })
    }

    async fn collect(&self, statement: Statement, into: &mut BTreeMap<String, Instance>) -> Result<(), Error> {
        for row in &self.db.read(statement).await? {
            let instance = instance_rows::read(&Columns(row))?;
            into.insert(instance.id.to_string(), instance);
        }
        Ok(())
    }
}
