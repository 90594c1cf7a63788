//! The audit: compares a zone's listing with the records, in both directions. Pure; it deletes nothing.
//!
//! *Orphan*: carries our name, and no record wants it. *Suspect*: a volume that has an automatic name of the cloud, is
//! attached to nothing, and was created together with one of our servers; or a server of the type of a creation of ours
//! whose outcome was never learnt, created at that time: somebody may have renamed it before it was seen. *Missing*: recorded as existing, and absent from a
//! complete listing. Everything else in the project is foreign, and only counted. An incomplete listing, or one that
//! shows none of the recorded resources, is inconclusive.

mod costs;
mod index;
mod missing;
mod remedies;
mod report;

pub use costs::FoundCost;
pub use report::{Finding, FindingKind, Report};

use index::{Classification, RecordIndex};

use crate::cloud::CloudProfile;
use crate::id::InstanceId;
use crate::observed::{ObservedServer, ObservedVolume, ZoneInventory};
use crate::recorded::Aggregate;
use crate::size::gb_ceil;
use crate::status::ResourceKind;
use crate::storage_prices::StoragePrices;
use crate::time::Timestamp;

/// The maximum difference between the creation times of a server and of its volumes, in milliseconds.
pub const MADE_WITH_MS: i64 = 60_000;
/// If so many resources are recorded as existing and none of them is shown, the audit is inconclusive.
const INCONCLUSIVE_FROM: usize = 3;

/// The tag with which people say that a server is not ours.
const NOT_OURS: &str = "inventiv-foreign";

/// The creation of a server, which dates the volumes that the cloud created with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCreation {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its name in the cloud.
    pub name: String,
    /// When its intent was committed.
    pub from: Timestamp,
    /// When the response to its creation came, or was given up; `None`: not yet.
    pub until: Option<Timestamp>,
    /// The server type, if no server was ever found for this creation, although one may have been created.
    pub lost: Option<String>,
}

impl ServerCreation {
    /// Whether a resource that was created at this time may have come from it.
    fn covers(&self, created_at: Timestamp) -> bool {
        let ended = self.until.is_some_and(|until| created_at > until.plus_ms(MADE_WITH_MS));
        created_at >= self.from.plus_ms(-MADE_WITH_MS) && !ended
    }
}

/// Compares a listing with the records.
///
/// `records` holds every living instance of the zone, every one with a retained volume in it, and every one that a name
/// or an id in the inventory belongs to, read after the listing. `creations` are the servers that were created at about
/// the time of a volume that [`CloudProfile::looks_automatic`], and those whose outcome was never learnt.
#[must_use]
pub fn audit(
    inventory: &ZoneInventory,
    records: &[Aggregate],
    creations: &[ServerCreation],
    profile: &CloudProfile,
    control_plane: &str,
) -> Report {
    if !inventory.complete {
        return Report::inconclusive(
            inventory.began_at,
            "the listing shifted while it was read: resources may be missing from it",
        );
    }
    let index = RecordIndex::new(inventory, records, profile, control_plane);
    let mut report = Report { inconclusive: None, ..Report::inconclusive(inventory.began_at, "") };
    for server in &inventory.servers {
        let classification = index.server(server, creations);
        index.count(&mut report, classification, |kind, why, remedy| finding_server(kind, server, why, remedy));
    }
    for volume in &inventory.volumes {
        let classification = index.volume(volume, creations);
        let hourly = block_hourly(volume, &profile.storage_prices);
        if matches!(classification, Classification::Retained) {
            report.retained_hourly_micros = report.retained_hourly_micros.saturating_add(hourly.unwrap_or(0));
        }
        index.count(&mut report, classification, |kind, why, remedy| Finding {
            hourly_micros: hourly,
            ..finding_volume(kind, volume, why, remedy)
        });
    }
    let (known, missing) = index.missing();
    // Block volumes that the credentials may not see must not be reported as missing.
    if let Some(why) = inventory.blocks_hidden.as_ref().filter(|_| index.expects_blocks()) {
        let text = format!(
            "{why}, although some are recorded there: create any block volume to show it, or release the recorded volumes \
             that nobody needs (`inventiv volume release`)"
        );
        return Report::inconclusive(inventory.began_at, text);
    }
    report.unreadable = unreadable(inventory);
    if known >= INCONCLUSIVE_FROM && missing.len() == known {
        let text = format!(
            "none of the {known} resources that are recorded as existing is shown: check that the credentials see this project"
        );
        return Report::inconclusive(inventory.began_at, text);
    }
    report.findings.extend(missing);
    report.findings.sort_by(|a, b| (a.kind, &a.provider_id).cmp(&(b.kind, &b.provider_id)));
    report
}

fn unreadable(inventory: &ZoneInventory) -> Vec<String> {
    let text = |what: &str, id: &str, name: &str, why: &str| format!("{what} {id} {name:?}: {why}");
    let servers = inventory.servers.iter().filter_map(|s| Some(text("server", &s.id, &s.name, s.unreadable()?)));
    let volumes = inventory.volumes.iter().filter_map(|v| Some(text("volume", &v.id, &v.name, v.unreadable()?)));
    servers.chain(volumes).collect()
}

fn block_hourly(v: &ObservedVolume, prices: &StoragePrices) -> Option<i64> {
    v.size_bytes.filter(|_| v.is_block()).map(|b| prices.block_hourly_micros(gb_ceil(b), v.perf_iops))
}

fn finding_server(kind: FindingKind, s: &ObservedServer, why: String, remedy: &'static str) -> Finding {
    Finding {
        kind,
        resource: ResourceKind::Server,
        provider_id: s.id.clone(),
        name: s.name.clone(),
        size_bytes: None,
        created_at: s.created_at,
        instance_id: None,
        known: false,
        hourly_micros: None,
        costs: costs::of_server(s),
        why,
        remedy: remedy.to_owned(),
    }
}

fn finding_volume(kind: FindingKind, v: &ObservedVolume, why: String, remedy: &'static str) -> Finding {
    Finding {
        kind,
        resource: ResourceKind::Volume,
        provider_id: v.id.clone(),
        name: v.name.clone(),
        size_bytes: v.size_bytes,
        created_at: v.created_at,
        instance_id: None,
        known: false,
        hourly_micros: None,
        costs: costs::of_volume(v),
        why,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests;
