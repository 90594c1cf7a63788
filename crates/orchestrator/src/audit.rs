//! Audits: compare each zone's listing with the records, periodically and on request.
//!
//! The `sweep` decides about the findings: an audit itself changes nothing.

use crate::Orchestrator;
use crate::observe::{Index, pages};
use crate::park::Asked;
use crate::sweep::Swept;
use crate::tick::{Counters, Due};
use inventiv_core::audit::{FindingKind, Report, ServerCreation, audit};
use inventiv_core::cloud::CloudProfile;
use inventiv_core::error::ErrorKind;
use inventiv_core::id::InstanceId;
use inventiv_core::name::CloudName;
use inventiv_core::observed::ZoneInventory;
use inventiv_core::recorded::Aggregate;
use inventiv_store::{AuditDone, Error, ZoneAudit};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// How many instances are read at once.
const PAGE: u32 = 1_000;
/// How many listings are tried until one does not shift while it is read.
const LISTINGS_MAX: usize = 3;

impl Orchestrator {
    /// Audits every zone that is due, or for which an audit was requested. Returns their number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn audit_due(&self) -> Result<usize, Error> {
        let inner = &self.inner;
        let before = inner.clock.now().plus_ms(-inner.config.audit_ms);
        let mut due = inner.store.audits_due(&inner.account, before).await?;
        due.retain(|zone| self.claim_zone(zone));
        if due.is_empty() {
            return Ok(0);
        }
        let mut zones = inner.store.audits(&inner.account).await?;
        zones.retain(|z| due.contains(&z.zone));
        let mut failed = None;
        for zone in &zones {
            // A database error for one zone must not prevent the audits of the others.
            if let Err(e) = Box::pin(self.audit_and_record(zone)).await {
                failed = Some(e);
            }
        }
        failed.map_or(Ok(zones.len()), Err)
    }

    async fn audit_and_record(&self, zone: &ZoneAudit) -> Result<(), Error> {
        let inner = &self.inner;
        let (name, begun_at) = (zone.zone.as_str(), inner.clock.now());
        let (mut report, mut inventory) = self.audit_zone(name).await?;
        let mut shown = true;
        let due = zone.quarantined.iter().any(|q| q.until <= begun_at);
        if (zone.request.is_some() || due) && report.findings.iter().any(|f| f.kind == FindingKind::Orphan && f.known) {
            // Instances adopt or remove most orphans as soon as they observe them.
            let claimed = report.findings.iter().filter_map(|f| f.instance_id.clone()).collect();
            shown = self.observe_again(name, claimed).await?;
            (report, inventory) = self.audit_zone(name).await?;
        }
        // If the instances could not observe the zone, the request stays open, and no orphan is touched yet.
        self.audit_snapshots(name, &mut report, inventory.as_ref()).await?;
        let swept = if shown { self.sweep(zone, &mut report, inventory.as_ref()).await? } else { Swept::default() };
        report.remember_free_orphans(zone.report.as_ref());
        log_report(name, &report);
        let done = AuditDone {
            zone: name,
            begun_at,
            ended_at: inner.clock.now(),
            report: &report,
            answered: zone.request.filter(|_| shown),
            held: &swept.held,
            released: &swept.released,
        };
        inner.store.finish_audit(&inner.account, &done).await
    }

    /// Observes every instance of a zone, and every instance in `claimed`, from a new listing. `false`: the zone could
    /// not be listed.
    async fn observe_again(&self, zone: &str, claimed: Vec<InstanceId>) -> Result<bool, Error> {
        let (tasks, counters) = (TaskTracker::new(), Arc::new(Counters::default()));
        let due = Due { instances: Vec::new(), epoch: self.inner.store.epoch() };
        let listed = self.list_zone(zone, due, true, &tasks, &counters).await?;
        tasks.close();
        tasks.wait().await;
        // A resource with an automatic name is found only by its id: its instance needs a step of its own.
        for agg in self.inner.store.instances_by_id(&claimed).await? {
            let (zone, cloud) = (agg.instance.zone.clone(), &self.inner.provider);
            // A name may carry the id of another account's instance: this driver knows nothing of that account.
            if agg.instance.status.is_final()
                && agg.instance.account_id == self.inner.account
                && let Ok(inventory) = cloud.observe(&zone).await
            {
                let seen = Index::new(inventory, &self.inner.config.control_plane).of(&agg);
                let asked = Asked::for_all(&seen);
                self.inner.step(agg, seen, asked).await?;
            }
        }
        Ok(listed)
    }

    /// A report, with the listing that it is based on, if there is one.
    async fn audit_zone(&self, zone: &str) -> Result<(Report, Option<ZoneInventory>), Error> {
        let inner = &self.inner;
        let mut listings = 1;
        let (epoch, empty) = (inner.store.epoch(), inner.store.living(&inner.account, zone, "", 1).await?.is_empty());
        let inventory = loop {
            let began_at = inner.clock.now();
            match inner.provider.observe(zone).await {
                Ok(inventory) if inventory.complete || listings == LISTINGS_MAX => break inventory,
                Ok(_) => listings += 1,
                Err(e) => {
                    let what = if e.kind == ErrorKind::Unauthorized { "blocked: credentials: " } else { "" };
                    return Ok((Report::inconclusive(began_at, format!("{what}the zone cannot be listed: {e}")), None));
                }
            }
        };
        if empty && inventory.complete {
            // Later instances are younger than this listing. None of them needs another one before its creation.
            self.zone_state(zone, |z| {
                z.pages = pages(&inventory);
                z.listed_at = Some((inventory.began_at, epoch));
                z.resynced_at = Some(inventory.began_at);
            });
        }
        if let Some(why) = &inventory.hidden
            && inner.store.ever_made(&inner.account, zone).await?
        {
            return Ok((Report::inconclusive(inventory.began_at, why.clone()), None));
        }
        // The records are read after the listing, so that everything in the listing is recorded by now.
        let records = self.records_of(zone, &inventory).await?;
        let creations = self.creations_of(zone, &inventory).await?;
        let storage_prices = self.storage_prices(zone).as_ref().clone();
        let consistency_window_ms = inner.config.rules.stale_ms;
        let profile = CloudProfile { storage_prices, consistency_window_ms, ..inner.provider.profile().clone() };
        let report = audit(&inventory, &records, &creations, &profile, &inner.config.control_plane);
        Ok((report, Some(inventory)))
    }

    /// Every instance that a resource in the inventory may belong to, and every one with resources that should be in
    /// it.
    async fn records_of(&self, zone: &str, inventory: &ZoneInventory) -> Result<Vec<Aggregate>, Error> {
        let (store, account) = (&self.inner.store, self.inner.account.as_str());
        let mut records: Vec<Aggregate> = Vec::new();
        loop {
            let after = records.last().map(|a| a.instance.id.to_string()).unwrap_or_default();
            let page = store.living(account, zone, &after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            records.extend(page);
        }
        let known: HashSet<&str> = records
            .iter()
            .flat_map(|a| {
                let servers = a.servers.iter().filter_map(|s| s.provider_id.as_deref());
                servers.chain(a.volumes.iter().filter_map(|v| v.provider_id.as_deref()))
            })
            .collect();
        let mut wanted: BTreeSet<InstanceId> = store.owners_of_retained(account, zone).await?.into_iter().collect();
        let servers = inventory.servers.iter().map(|s| (&s.id, &s.name));
        for (id, name) in servers.chain(inventory.volumes.iter().map(|v| (&v.id, &v.name))) {
            if known.contains(id.as_str()) {
                continue;
            }
            wanted.extend(CloudName::parse(name).map(|n| n.instance));
            wanted.extend(store.owner_of(account, id).await?);
        }
        let living: HashSet<&InstanceId> = records.iter().map(|a| &a.instance.id).collect();
        let wanted: Vec<InstanceId> = wanted.into_iter().filter(|id| !living.contains(id)).collect();
        let ended = store.instances_by_id(&wanted).await?;
        records.extend(ended.into_iter().filter(|a| a.instance.account_id == account && a.instance.zone == zone));
        Ok(records)
    }

    async fn creations_of(&self, zone: &str, inventory: &ZoneInventory) -> Result<Vec<ServerCreation>, Error> {
        let profile = self.inner.provider.profile();
        let mut creations = self.inner.store.lost_creations(&self.inner.account, zone).await?;
        for at in inventory.volumes.iter().filter(|v| profile.looks_automatic(v)).filter_map(|v| v.created_at) {
            creations.extend(self.inner.store.creations(&self.inner.account, zone, at).await?);
        }
        Ok(creations)
    }
}

fn log_report(zone: &str, report: &Report) {
    if let Some(why) = &report.inconclusive {
        tracing::warn!(zone, why, "an audit is inconclusive");
    }
    if let Some(why) = &report.frozen {
        tracing::warn!(zone, why, "the deletion of orphans is frozen");
    }
    for row in &report.unreadable {
        tracing::warn!(zone, row, "a row of the listing is unreadable; no decision is based on it");
    }
    for s in &report.snapshots {
        let (id, volume, instance) = (&s.snapshot.id, &s.volume_id, &s.instance_id);
        tracing::info!(zone, id, volume, instance, "a snapshot of our volume; it is billed until you delete it");
    }
    for f in &report.findings {
        let kind = f.kind.text();
        let (id, name, why) = (&f.provider_id, &f.name, &f.why);
        tracing::warn!(zone, kind, resource = f.resource.text(), id, name, why, "finding of the audit");
    }
}
