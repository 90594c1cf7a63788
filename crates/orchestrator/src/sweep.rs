//! Orphans: into quarantine, out of it, and to their instances, which delete them.

use crate::Orchestrator;
use inventiv_core::action::Event;
use inventiv_core::audit::Report;
use inventiv_core::event_kind::EventKind;
use inventiv_core::observed::ZoneInventory;
use inventiv_core::sweep::{Limits, Policy, Quarantined, sweep, take};
use inventiv_store::{Error, ZoneAudit};

/// The changes of the quarantine.
#[derive(Default)]
pub(crate) struct Swept {
    pub(crate) held: Vec<Quarantined>,
    pub(crate) released: Vec<Quarantined>,
}

impl Orchestrator {
    /// Applies the policy to the orphans of a report, and adds the result to the report.
    pub(crate) async fn sweep(
        &self,
        zone: &ZoneAudit,
        report: &mut Report,
        inventory: Option<&ZoneInventory>,
    ) -> Result<Swept, Error> {
        let inner = &self.inner;
        let policy = zone.request.map_or(inner.config.orphan_policy, |r| r.policy);
        if zone.request.is_some() && policy == Policy::Report {
            // The decision to delete was revoked.
            return Ok(Swept { released: zone.quarantined.clone(), ..Swept::default() });
        }
        let usual = Limits::default();
        let limits = match zone.request.and_then(|r| r.max) {
            Some(max) => Limits { max, percent: 100, ..usual },
            None => usual,
        };
        let decided = sweep(report, &zone.quarantined, policy, limits, inner.clock.now());
        if policy == Policy::Delete || !zone.quarantined.is_empty() {
            report.frozen = decided.frozen;
        }
        let mut swept = Swept { held: decided.quarantine, released: decided.release };
        for orphan in decided.take {
            let Some(inventory) = inventory else { break };
            if !self.is_still_requested(zone, &orphan).await? {
                continue;
            }
            if self.take(&orphan, inventory).await? {
                report.taken.push(orphan.provider_id.clone());
            }
            swept.released.push(orphan);
        }
        Ok(swept)
    }

    /// Whether the decision to delete was not revoked since this audit began.
    async fn is_still_requested(&self, zone: &ZoneAudit, orphan: &Quarantined) -> Result<bool, Error> {
        let zones = self.inner.store.audits(&self.inner.account).await?;
        let now = zones.iter().find(|z| z.zone == zone.zone);
        Ok(now.is_some_and(|z| z.request == zone.request && z.quarantined.contains(orphan)))
    }

    async fn take(&self, orphan: &Quarantined, inventory: &ZoneInventory) -> Result<bool, Error> {
        let (inner, now) = (&self.inner, self.inner.clock.now());
        let mut taken = false;
        let change = |agg: &mut inventiv_core::recorded::Aggregate| {
            let mut draw = || inner.ids.draw();
            let mut cx = inner.context(now, &mut draw);
            taken = take(agg, orphan, inventory, &mut cx);
            let event = Event {
                lasted_ms: None,
                failed: false,
                kind: EventKind::OrphanTaken,
                volume_id: None,
                resource_id: Some(orphan.provider_id.clone()),
                text: format!(
                    "{} {}, in quarantine since {}: its instance deletes it",
                    orphan.resource, orphan.name, orphan.found_at
                ),
            };
            Ok::<_, Error>(if taken { vec![inner.event(agg, &event, now)] } else { Vec::new() })
        };
        inner.store.change(&orphan.instance_id, now, change).await?;
        if taken {
            inner.store.tell_change();
        }
        Ok(taken)
    }
}
