//! Missing resources: recorded as existing, and not shown.

use super::index::RecordIndex;
use super::remedies::{EXPLAIN, RELEASE};
use super::report::{Finding, FindingKind};
use crate::recorded::{Aggregate, Volume};
use crate::status::{Origin, ResourceKind, VolumeStatus};
use crate::time::Timestamp;
use std::collections::HashSet;

impl RecordIndex<'_> {
    /// The resources that are recorded as existing and not shown, with the number of those that should be shown.
    /// Resources that are being removed do not count.
    pub(super) fn missing(&self) -> (usize, Vec<Finding>) {
        let began_at = self.inventory.began_at;
        let settled = |at: Option<Timestamp>| at.is_some_and(|t| t < began_at);
        let shown: HashSet<&str> = self
            .inventory
            .servers
            .iter()
            .map(|s| s.id.as_str())
            .chain(self.inventory.volumes.iter().map(|v| v.id.as_str()))
            .collect();
        let (mut known, mut missing) = (0, Vec::new());
        for agg in self.records {
            let leaving = agg.servers.iter().any(|s| s.is_live() && s.delete_intended_at.is_some());
            for s in agg.servers.iter().filter(|s| s.is_live() && s.delete_intended_at.is_none()) {
                let Some(id) = s.provider_id.as_deref().filter(|_| settled(s.answered_at)) else { continue };
                known += 1;
                if !shown.contains(id) {
                    let why = "it is recorded as existing, but no longer shown; a third party may have deleted it";
                    missing.push(missing_finding(
                        agg,
                        Missing {
                            resource: ResourceKind::Server,
                            id,
                            name: &s.name,
                            size_bytes: None,
                            why,
                            remedy: EXPLAIN,
                        },
                    ));
                }
            }
            for v in agg.volumes.iter().filter(|v| stays(v, leaving)) {
                let Some(id) = v.provider_id.as_deref().filter(|_| settled(v.answered_at)) else { continue };
                known += 1;
                if !shown.contains(id) {
                    let (why, remedy) = if v.status == VolumeStatus::Retained {
                        (
                            "it was retained on purpose, but is no longer shown; a third party may have deleted it",
                            RELEASE,
                        )
                    } else {
                        ("it is recorded as existing, but no longer shown; a third party may have deleted it", EXPLAIN)
                    };
                    missing.push(missing_finding(
                        agg,
                        Missing {
                            resource: ResourceKind::Volume,
                            id,
                            name: &v.name,
                            size_bytes: v.size_bytes,
                            why,
                            remedy,
                        },
                    ));
                }
            }
        }
        (known, missing)
    }

    /// Whether any block volume should be shown.
    pub(super) fn expects_blocks(&self) -> bool {
        let settled = |v: &Volume| v.answered_at.is_some_and(|t| t < self.inventory.began_at);
        let mut volumes = self.records.iter().flat_map(|agg| agg.volumes.iter().map(move |v| (agg, v)));
        volumes.any(|(agg, v)| {
            let leaving = agg.servers.iter().any(|s| s.is_live() && s.delete_intended_at.is_some());
            v.is_block() && stays(v, leaving) && settled(v)
        })
    }
}

/// Whether it is recorded as existing and is not being removed, by itself or with its server.
fn stays(v: &Volume, server_leaves: bool) -> bool {
    let there = v.is_live() && v.delete_intended_at.is_none() && (v.is_block() || !server_leaves);
    (there && v.origin != Origin::Foreign) || v.status == VolumeStatus::Retained
}

/// What is said of a resource that is missing.
struct Missing<'a> {
    resource: ResourceKind,
    id: &'a str,
    name: &'a str,
    size_bytes: Option<i64>,
    why: &'a str,
    remedy: &'a str,
}

fn missing_finding(agg: &Aggregate, missing: Missing<'_>) -> Finding {
    let Missing { resource, id, name, size_bytes, why, remedy } = missing;
    Finding {
        kind: FindingKind::Missing,
        resource,
        provider_id: id.to_owned(),
        name: name.to_owned(),
        size_bytes,
        created_at: None,
        instance_id: Some(agg.instance.id.clone()),
        known: true,
        hourly_micros: None,
        costs: None,
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    }
}
