//! Brings the ledger in line with the records, where a version without a ledger wrote them.

use crate::{Inner, Orchestrator};
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_store::{Error, OpenCharge};
use std::collections::{BTreeSet, HashMap};

/// How many instances are read at once.
const PAGE: u32 = 200;

impl Orchestrator {
    /// Adds rows of the ledger that ended some minutes ago to the sums, thousands at once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn settle_costs(&self) -> Result<(), Error> {
        self.inner.store.settle_charges(self.inner.ids.draw(), self.inner.clock.now()).await
    }
}

impl Inner {
    /// Compares the rows of a zone that have not ended with its instances, and mends what differs.
    pub(crate) async fn repair_ledger(&self, zone: &str) -> Result<(), Error> {
        let open = self.store.open_charges(&self.account, zone).await?;
        let mut of: HashMap<&InstanceId, Vec<&OpenCharge>> = HashMap::new();
        open.iter().for_each(|o| of.entry(&o.instance_id).or_default().push(o));
        let mut seen = BTreeSet::new();
        let mut after = String::new();
        loop {
            let page = self.store.living(&self.account, zone, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.instance.id.to_string();
            for agg in &page {
                seen.insert(agg.instance.id.clone());
                self.repair(agg, of.get(&agg.instance.id)).await?;
            }
        }
        // Those that have ended: what they retained still costs money.
        let ended: Vec<InstanceId> = of.keys().filter(|id| !seen.contains(**id)).map(|id| (*id).clone()).collect();
        for agg in self.store.instances_by_id(&ended).await? {
            self.repair(&agg, of.get(&agg.instance.id)).await?;
        }
        Ok(())
    }

    async fn repair(&self, agg: &Aggregate, open: Option<&Vec<&OpenCharge>>) -> Result<(), Error> {
        let open = open.map(Vec::as_slice).unwrap_or_default();
        if self.store.repair_charges(agg, open, self.clock.now()).await? {
            tracing::info!(instance = %agg.instance.id, "the ledger was brought in line with the records");
        }
        Ok(())
    }
}
