//! Recovery: plans which unrecorded instances can be rebuilt from names and tags in the cloud, and records them.

use crate::Orchestrator;
use inventiv_core::action::Event;
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::InstanceId;
use inventiv_core::name::CloudName;
use inventiv_core::recorded::Aggregate;
use inventiv_core::recover::{Location, Recovery, hand_over, policy_conflicts, recover, take_policy};
use inventiv_store::{Error, Giver};
use std::collections::BTreeSet;

/// What can be rebuilt of one zone.
#[derive(Debug, Clone)]
pub struct ZoneRecovery {
    /// The zone.
    pub zone: String,
    /// What can be rebuilt from its listing, or why nothing can.
    pub found: Result<Recovery, String>,
}

impl Orchestrator {
    /// Lists every configured zone, and returns what can be rebuilt. Writes nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn plan_recovery(&self) -> Result<Vec<ZoneRecovery>, Error> {
        let mut zones = Vec::new();
        for zone in &self.inner.config.zones {
            zones.push(ZoneRecovery { zone: zone.clone(), found: self.recover_zone(zone).await? });
        }
        // Credentials see a project in all of its zones, or in none.
        let seen = |z: &ZoneRecovery| z.found.as_ref().is_ok_and(|r| r.hidden.is_none());
        if zones.iter().any(seen) {
            for recovery in zones.iter_mut().filter_map(|z| z.found.as_mut().ok()) {
                recovery.hidden = None;
            }
        }
        Ok(zones)
    }

    async fn recover_zone(&self, zone: &str) -> Result<Result<Recovery, String>, Error> {
        let inner = &self.inner;
        let inventory = match inner.provider.observe(zone).await {
            Ok(inventory) if inventory.complete => inventory,
            Ok(_) => return Ok(Err("its listing shifted while it was read; try again".to_owned())),
            Err(e) => return Ok(Err(format!("it cannot be listed: {e}"))),
        };
        let offers = match inner.provider.offers(zone).await {
            Ok(offers) => offers,
            Err(e) => return Ok(Err(format!("its catalogue cannot be read: {e}"))),
        };
        let names = inventory.servers.iter().map(|s| &s.name).chain(inventory.volumes.iter().map(|v| &v.name));
        let named: BTreeSet<InstanceId> = names.filter_map(|n| CloudName::parse(n)).map(|n| n.instance).collect();
        let named: Vec<InstanceId> = named.into_iter().collect();
        let records = inner.store.instances_by_id(&named).await?;
        let recorded: BTreeSet<InstanceId> = records.iter().map(|a| a.instance.id.clone()).collect();
        let policies = policy_conflicts(&inventory, &records, &inner.config.control_plane);
        let provider = &inner.provider.account().provider;
        let location = Location { account_id: &inner.account, provider, zone, offers: &offers };
        let mut draw = || inner.ids.draw();
        let mut cx = inner.context(inner.clock.now(), &mut draw);
        Ok(Ok(Recovery { policies, ..recover(&inventory, &recorded, location, &mut cx) }))
    }

    /// Records what a plan found. An instance that is recorded by now stays as it is. Returns the number of records.
    ///
    /// # Errors
    /// If the database fails. What was written stays, and the next plan has the rest.
    pub async fn apply_recovery(&self, zones: &[ZoneRecovery]) -> Result<usize, Error> {
        let (inner, now) = (&self.inner, self.inner.clock.now());
        self.record_account().await?;
        // Readers of the change stream may have read changes that this database has lost.
        inner.store.forget_places(inner.ids.draw()).await?;
        let mut written = 0;
        for agg in zones.iter().filter_map(|z| z.found.as_ref().ok()).flat_map(|r| &r.instances) {
            if inner.store.instance(&agg.instance.id).await?.is_some() {
                continue;
            }
            let event = Event {
                lasted_ms: None,
                failed: false,
                kind: EventKind::InstanceRecovered,
                volume_id: None,
                resource_id: agg.server().and_then(|s| s.provider_id.clone()),
                text: "rebuilt from names and tags in the cloud; earlier resources are not known".to_owned(),
            };
            let mut agg = agg.clone();
            let keepers = self.keepers_of(&mut agg).await?;
            let givers: Vec<Giver<'_>> = keepers.iter().map(|(before, after)| Giver { before, after }).collect();
            let line = inner.event(&agg, &event, now);
            inner.store.insert_recovered(&agg, &[line], &givers).await?;
            written += 1;
        }
        for conflict in zones.iter().filter_map(|z| z.found.as_ref().ok()).flat_map(|r| &r.policies) {
            let mut taken = false;
            let change = |agg: &mut Aggregate| {
                taken = take_policy(agg, conflict, now);
                let event = Event {
                    lasted_ms: None,
                    failed: false,
                    kind: EventKind::PolicyRecovered,
                    volume_id: Some(conflict.volume_id.clone()),
                    resource_id: Some(conflict.provider_id.clone()),
                    text: format!(
                        "the policy in its name in the cloud is newer than the records: {}",
                        if conflict.cloud.delete { "it is deleted with its instance" } else { "it is retained" }
                    ),
                };
                Ok::<_, Error>(if taken { vec![inner.event(agg, &event, now)] } else { Vec::new() })
            };
            inner.store.change(&conflict.instance_id, now, change).await?;
            written += usize::from(taken);
        }
        Ok(written)
    }

    /// The instances that the records show as owners of a rebuilt instance's volumes, before and after they are handed
    /// over.
    async fn keepers_of(&self, agg: &mut Aggregate) -> Result<Vec<(Aggregate, Aggregate)>, Error> {
        let (store, account) = (&self.inner.store, self.inner.account.as_str());
        let ids: Vec<String> = agg.volumes.iter().filter_map(|v| v.provider_id.clone()).collect();
        let mut keepers: Vec<(Aggregate, Aggregate)> = Vec::new();
        for id in ids {
            let Some(owner) = store.owner_of(account, &id).await? else { continue };
            if owner == agg.instance.id || keepers.iter().any(|(k, _)| k.instance.id == owner) {
                continue;
            }
            let Some(before) = store.instance(&owner).await? else { continue };
            let mut after = before.clone();
            if hand_over(agg, &mut after) {
                keepers.push((before, after));
            }
        }
        Ok(keepers)
    }
}
