//! Audits: each zone's listing against the records, every so often and whenever somebody asks. Deletes nothing.

use crate::Orchestrator;
use inventiv_core::audit::{Birth, Report, audit, looks_automatic};
use inventiv_core::error::ErrorKind;
use inventiv_core::id::InstanceId;
use inventiv_core::name::CloudName;
use inventiv_core::observed::Picture;
use inventiv_core::recorded::Aggregate;
use inventiv_store::Error;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon a wish for an audit is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// How many instances are read at once.
const PAGE: u32 = 1_000;
/// How often a listing that shifted while it was read is made anew.
const LISTINGS_MAX: usize = 3;

impl Orchestrator {
    /// Audits every zone that is due, or for which somebody asked. Says how many.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn audit_due(&self) -> Result<usize, Error> {
        let inner = &self.inner;
        let before = inner.clock.now().plus_ms(-inner.config.audit_ms);
        let zones = inner.store.audits_due(&inner.account, before).await?;
        let mut failed = None;
        for zone in &zones {
            // One zone that cannot be read from the database must not keep the others from being audited.
            if let Err(e) = self.audit_and_record(zone).await {
                failed = Some(e);
            }
        }
        failed.map_or(Ok(zones.len()), Err)
    }

    async fn audit_and_record(&self, zone: &str) -> Result<(), Error> {
        let inner = &self.inner;
        let begun_at = inner.clock.now();
        let report = self.audit_zone(zone).await?;
        if let Some(why) = &report.cannot_say {
            tracing::warn!(zone, why, "an audit cannot say anything");
        }
        for f in &report.findings {
            let kind = f.kind.text();
            tracing::warn!(
                zone,
                kind,
                resource = f.resource,
                id = f.provider_id,
                name = f.name,
                why = f.why,
                "found by the audit"
            );
        }
        inner.store.finish_audit(&inner.account, zone, begun_at, inner.clock.now(), &report).await
    }

    pub(crate) async fn keep_audits(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(e) = self.audit_due().await {
                tracing::error!(error = %e, "the database did not answer; the audit is tried again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn audit_zone(&self, zone: &str) -> Result<Report, Error> {
        let inner = &self.inner;
        let mut listings = 1;
        let picture = loop {
            let began_at = inner.clock.now();
            match inner.provider.observe(zone).await {
                Ok(picture) if picture.complete || listings == LISTINGS_MAX => break picture,
                Ok(_) => listings += 1,
                Err(e) => {
                    let what = if e.kind == ErrorKind::Unauthorized { "blocked: credentials: " } else { "" };
                    return Ok(Report::blind(began_at, format!("{what}the zone cannot be listed: {e}")));
                }
            }
        };
        // Read after the listing: what is written down by now may be in it, and what is in it is written down by now.
        let records = self.records_of(zone, &picture).await?;
        let births = self.births_of(zone, &picture).await?;
        Ok(audit(&picture, &records, &births, &inner.config.control_plane))
    }

    /// Every instance that anything in the picture may belong to, and every one that should be in it.
    async fn records_of(&self, zone: &str, picture: &Picture) -> Result<Vec<Aggregate>, Error> {
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
        let servers = picture.servers.iter().map(|s| (&s.id, &s.name));
        for (id, name) in servers.chain(picture.volumes.iter().map(|v| (&v.id, &v.name))) {
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

    async fn births_of(&self, zone: &str, picture: &Picture) -> Result<Vec<Birth>, Error> {
        let mut births = Vec::new();
        for at in picture.volumes.iter().filter(|v| looks_automatic(v)).filter_map(|v| v.created_at) {
            births.extend(self.inner.store.births(&self.inner.account, zone, at).await?);
        }
        Ok(births)
    }
}
