//! Snapshots of our volumes: listed immediately before a volume is deleted, and at every audit.
//!
//! They are only reported: a list that cannot be read prevents no deletion and no conclusive audit.

use crate::{Inner, Orchestrator};
use inventiv_core::action::{Action, ServerCall, VolumeCall};
use inventiv_core::audit::Report;
use inventiv_core::id::InstanceId;
use inventiv_core::observed::ZoneInventory;
use inventiv_core::plan::Plan;
use inventiv_core::recorded::{Aggregate, Volume};
use inventiv_core::snapshots::{self, List, ObservedSnapshot, SnapshotKind};
use inventiv_core::status::Origin;
use inventiv_core::status::VolumeKind;
use inventiv_store::Error;
use std::collections::BTreeSet;

/// Both kinds, each with its own list.
const KINDS: [SnapshotKind; 2] = [SnapshotKind::Block, SnapshotKind::Local];

impl Inner {
    /// Records the snapshots of the volumes that a plan deletes: afterwards, the cloud no longer shows which volume
    /// they were taken of.
    pub(crate) async fn note_snapshots(&self, planned: &mut Plan) {
        for kind in KINDS {
            if !planned.actions.iter().any(|a| deletes(&planned.recorded, a, kind)) {
                continue;
            }
            let agg = &mut planned.recorded;
            match self.provider.snapshots(&agg.instance.zone, kind).await {
                Ok(seen) => snapshots::note(agg, &seen),
                Err(e) => {
                    let instance = &agg.instance.id;
                    tracing::warn!(%instance, error = %e, "the snapshots of its volumes cannot be listed");
                }
            }
        }
    }
}

/// Whether an action deletes a volume that may have snapshots of that kind.
fn deletes(agg: &Aggregate, action: &Action, kind: SnapshotKind) -> bool {
    let has_kind = |v: &Volume| v.origin != Origin::Foreign && v.is_live() && kind_of(v) == Some(kind);
    match action {
        Action::Volume(id, VolumeCall::Delete) => agg.volume(id).is_some_and(has_kind),
        Action::Server(id, ServerCall::Terminate | ServerCall::Delete) => {
            let goes = |v: &&Volume| !v.is_block() && v.server_id.as_ref().is_none_or(|on| on == id);
            agg.volumes.iter().filter(goes).any(has_kind)
        }
        Action::Create(_) | Action::Server(..) | Action::Volume(..) => false,
    }
}

/// Volumes that cannot exist without their server have no snapshots.
fn kind_of(v: &Volume) -> Option<SnapshotKind> {
    match v.volume_type.kind {
        VolumeKind::Network => Some(SnapshotKind::Block),
        VolumeKind::LocalWithServer => None,
        VolumeKind::LocalDetachable | VolumeKind::Unknown => Some(SnapshotKind::Local),
    }
}

impl Orchestrator {
    /// Adds the snapshots of our volumes to an audit, and records which are new or gone.
    pub(crate) async fn audit_snapshots(
        &self,
        zone: &str,
        report: &mut Report,
        inventory: Option<&ZoneInventory>,
    ) -> Result<(), Error> {
        let Some(inventory) = inventory else { return Ok(()) };
        let (store, account) = (&self.inner.store, self.inner.account.as_str());
        let mut inconclusive = None;
        for kind in KINDS {
            let began_at = self.inner.clock.now();
            let seen = match self.inner.provider.snapshots(zone, kind).await {
                Ok(seen) => seen,
                Err(e) => {
                    report.snapshots_unknown = Some(e.to_string());
                    continue;
                }
            };
            for id in self.owners(account, &seen).await? {
                self.change(&id, |agg| snapshots::note(agg, &seen)).await?;
            }
            let hidden = match kind {
                SnapshotKind::Block => &inventory.blocks_hidden,
                SnapshotKind::Local => &inventory.hidden,
            };
            // An empty list is inconclusive if the credentials may not see anything.
            if let Some(why) = hidden.as_ref().filter(|_| seen.is_empty()) {
                inconclusive = Some(why.clone());
            } else {
                let ids: BTreeSet<&str> = seen.iter().map(|s| s.snapshot.id.as_str()).collect();
                let list = List { kind, ids: &ids, began_at };
                let stale_ms = self.inner.config.rules.stale_ms;
                for id in store.owners_of_snapshots(account, zone).await? {
                    self.change(&id, |agg| snapshots::forget(agg, list, stale_ms)).await?;
                }
            }
        }
        let owners = store.owners_of_snapshots(account, zone).await?;
        if owners.is_empty() {
            return Ok(());
        }
        if let Some(why) = inconclusive {
            report.snapshots_unknown.get_or_insert(format!("it is unknown whether they are still there: {why}"));
        }
        let images = match self.inner.provider.images_of_snapshots(zone).await {
            Ok(images) => images,
            Err(e) => {
                report.snapshots_unknown = Some(format!("it is unknown whether images use them: {e}"));
                Default::default()
            }
        };
        for agg in store.instances_by_id(&owners).await? {
            report.snapshots.extend(snapshots::of(&agg, &images));
        }
        Ok(())
    }

    /// The instances whose volumes these snapshots were taken of.
    async fn owners(&self, account: &str, seen: &[ObservedSnapshot]) -> Result<BTreeSet<InstanceId>, Error> {
        let volumes: BTreeSet<&str> = seen.iter().filter_map(|s| s.volume_id.as_deref()).collect();
        let mut owners = BTreeSet::new();
        for volume in volumes {
            owners.extend(self.inner.store.owner_of(account, volume).await?);
        }
        Ok(owners)
    }

    async fn change(&self, id: &InstanceId, change: impl Fn(&mut Aggregate)) -> Result<(), Error> {
        let now = self.inner.clock.now();
        let changed = self.inner.store.change(id, now, |agg| {
            change(agg);
            Ok::<_, Error>(Vec::new())
        });
        changed.await.map(|_| ())
    }
}
