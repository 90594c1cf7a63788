//! Observations: one listing of a whole zone, or probes for one instance, whichever is cheaper.

use crate::Inner;
use crate::park::LastObservation;
use inventiv_core::id::InstanceId;
use inventiv_core::name::CloudName;
use inventiv_core::observed::{Observed, ObservedServer, ObservedVolume, ZoneInventory};
use inventiv_core::plan::Shows;
use inventiv_core::recorded::{Aggregate, Volume};
use inventiv_core::status::{CreateState, Origin};
use inventiv_core::volume_type::VolumeType;
use inventiv_providers::{Error, VolumeRef};
use std::collections::HashMap;

/// The minimum number of requests of a listing: servers, block volumes, local volumes.
const LISTS: usize = 3;

/// The number of requests of [`Inner::probe`] for an instance.
pub(crate) fn probe_cost(agg: &Aggregate) -> usize {
    let servers = agg.servers.iter().map(|s| if s.create_state.is_open() { 2 } else { usize::from(s.is_live()) });
    let volumes = agg.volumes.iter().map(|v| if v.create_state.is_open() { 2 } else { usize::from(is_probed(v)) });
    servers.chain(volumes).sum()
}

/// Whether a volume is probed. A retained one is probed only while its name must be restored.
fn is_probed(v: &Volume) -> bool {
    v.is_live() || (v.is_kept() && v.tagged_at.is_none())
}

/// Whether a probe did not show a resource that should exist: only a complete listing can show that it is gone.
pub(crate) fn misses_something(agg: &Aggregate, seen: &Observed) -> bool {
    let server = |id: &String| seen.server(id).is_none();
    let volume = |id: &String| seen.volume(id).is_none();
    // For block volumes, a listing of only these is as good as a complete one.
    let listed = |v: &Volume| v.is_block() && seen.blocks_listed_at.is_some();
    agg.servers.iter().filter(|s| s.is_live()).filter_map(|s| s.provider_id.as_ref()).any(server)
        || agg.volumes.iter().filter(|v| v.is_live() && !listed(v)).filter_map(|v| v.provider_id.as_ref()).any(volume)
}

/// The ids of other servers that hold data volumes of the instance.
fn holders(agg: &Aggregate, seen: &Observed) -> Vec<String> {
    let ours = agg.volumes.iter().filter(|v| v.is_live() && v.origin == Origin::Ours);
    let held = ours.filter_map(|v| seen.volume(v.provider_id.as_deref()?)?.server_id.clone());
    let recorded = |id: &String| agg.servers.iter().any(|s| s.provider_id.as_ref() == Some(id));
    held.filter(|id| seen.server(id).is_none() && !recorded(id)).collect()
}

/// The number of requests of a complete listing with that result.
pub(crate) fn pages(inventory: &ZoneInventory) -> usize {
    let local = inventory.volumes.iter().filter(|v| !v.is_block()).count();
    let pages = |n: usize| n.div_ceil(100).max(1);
    pages(inventory.servers.len()) + pages(inventory.volumes.len() - local) + pages(local)
}

impl Inner {
    /// Probes each resource of one instance: by id if it is known, by name if its creation is unconfirmed.
    pub(crate) async fn probe(&self, agg: &Aggregate) -> Result<Observed, Error> {
        let zone = agg.instance.zone.as_str();
        let mut seen = Observed { complete: true, ..Observed::nothing(self.clock.now()) };
        for row in &agg.servers {
            match (&row.provider_id, row.create_state) {
                (Some(id), _) if row.is_live() => {
                    if let Some(s) = self.provider.show_server(zone, id).await? {
                        seen.refresh_server(s);
                    }
                }
                (None, CreateState::Intended | CreateState::Unconfirmed) => {
                    self.find(zone, &row.name, &mut seen).await?
                }
                _ => {}
            }
        }
        for row in &agg.volumes {
            match &row.provider_id {
                Some(id) if is_probed(row) => {
                    self.ask_volume(zone, VolumeRef::new(id, row.volume_type.clone()), &mut seen).await?;
                }
                None if row.create_state.is_open() => self.find(zone, &row.name, &mut seen).await?,
                _ => {}
            }
        }
        self.probe_attachments(zone, &mut seen).await?;
        self.ask_for_holders(agg, &mut seen).await;
        Ok(seen)
    }

    /// Probes what an instance waits for, and takes the rest from the last observation. The result counts as old as
    /// that: only a part of it is newer.
    pub(crate) async fn ask_again(&self, agg: &Aggregate, last: LastObservation) -> Result<Observed, Error> {
        let zone = agg.instance.zone.as_str();
        let LastObservation { mut seen, awaits } = last;
        // An observation with newer parts is no listing: an absence is no evidence.
        (seen.listed, seen.blocks_listed_at, seen.hidden) = (false, None, None);
        let blocks = awaits.iter().filter(|a| matches!(&a.shows, Shows::Volume(_, kind) if kind.is_block())).count();
        let small = self.zone_pages(zone) == LISTS;
        let listing = awaits.iter().any(|a| a.shows == Shows::BlockListing) || (blocks > 1 && small);
        if listing {
            self.list_blocks(agg, &mut seen).await?;
        }
        for wait in awaits {
            match wait.shows {
                Shows::Server(id) => {
                    let now = self.provider.show_server(zone, &id).await?;
                    seen.servers.retain(|s| s.id != id);
                    seen.servers.extend(now);
                }
                Shows::Volume(_, kind) if listing && kind.is_block() => {}
                Shows::Volume(id, kind) => {
                    let now = self.provider.show_volume(zone, &VolumeRef::new(&id, kind)).await?;
                    seen.volumes.retain(|v| v.id != id);
                    seen.volumes.extend(now);
                }
                Shows::BlockListing => {}
            }
        }
        self.probe_attachments(zone, &mut seen).await?;
        self.ask_for_holders(agg, &mut seen).await;
        Ok(seen)
    }

    /// Lists block volumes, and adds those of the instance to the observation.
    async fn list_blocks(&self, agg: &Aggregate, seen: &mut Observed) -> Result<(), Error> {
        let inventory = self.provider.observe_blocks(&agg.instance.zone).await?;
        seen.volumes.retain(|v| !v.is_block());
        if inventory.complete && inventory.hidden.is_none() {
            seen.blocks_listed_at = Some(inventory.began_at);
        }
        seen.hidden.clone_from(&inventory.hidden);
        // Volumes also belong to the instance if its servers show them.
        let inventory = ZoneInventory { servers: seen.servers.clone(), ..inventory };
        seen.volumes.extend(Index::new(inventory, &self.config.control_plane).of(agg).volumes);
        Ok(())
    }

    /// Probes volumes on our servers that are not in the observation: they may not be recorded yet.
    async fn probe_attachments(&self, zone: &str, seen: &mut Observed) -> Result<(), Error> {
        let attached: Vec<(String, VolumeType)> = seen
            .servers
            .iter()
            .flat_map(|s| s.attachments.iter().map(|a| (a.volume_id.clone(), a.volume_type.clone())))
            .filter(|(id, _)| seen.volume(id).is_none())
            .collect();
        for (id, kind) in attached {
            self.ask_volume(zone, VolumeRef::new(id, kind), seen).await?;
        }
        Ok(())
    }

    /// Probes other servers that hold volumes of the instance: an operator needs to know who owns them.
    async fn ask_for_holders(&self, agg: &Aggregate, seen: &mut Observed) {
        if agg.is_ending() {
            return;
        }
        for id in holders(agg, seen) {
            if seen.holders.iter().any(|s| s.id == id) {
                continue;
            }
            match self.provider.show_server(&agg.instance.zone, &id).await {
                Ok(holder) => seen.holders.extend(holder),
                // Only a note is less clear without it.
                Err(e) => tracing::debug!(server = id, error = %e, "the server that holds a volume cannot be read"),
            }
        }
    }

    /// The number of requests of a listing of the zone, as far as is known.
    pub(crate) fn zone_pages(&self, zone: &str) -> usize {
        let zones = self.zones.lock();
        zones.get(zone).map_or(0, |z| z.pages).max(LISTS)
    }

    async fn ask_volume(&self, zone: &str, volume: VolumeRef, seen: &mut Observed) -> Result<(), Error> {
        if let Some(v) = self.provider.show_volume(zone, &volume).await? {
            seen.refresh_volume(v);
        }
        Ok(())
    }

    async fn find(&self, zone: &str, name: &str, seen: &mut Observed) -> Result<(), Error> {
        let found = self.provider.find(zone, name).await?;
        found.servers.into_iter().for_each(|s| seen.refresh_server(s));
        found.volumes.into_iter().for_each(|v| seen.refresh_volume(v));
        Ok(())
    }
}

/// A listing, indexed by the instances that its resources belong to.
pub(crate) struct Index {
    inventory: ZoneInventory,
    servers_by_id: HashMap<String, usize>,
    volumes_by_id: HashMap<String, usize>,
    volumes_by_server: HashMap<String, Vec<usize>>,
    /// Instance → its servers and volumes by name.
    by_owner: HashMap<InstanceId, (Vec<usize>, Vec<usize>)>,
}

impl Index {
    pub(crate) fn new(inventory: ZoneInventory, control_plane: &str) -> Self {
        let owner =
            |name: &str| CloudName::parse(name).filter(|n| n.control_plane == control_plane).map(|n| n.instance);
        let mut by_owner: HashMap<InstanceId, (Vec<usize>, Vec<usize>)> = HashMap::new();
        let mut volumes_by_server: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, s) in inventory.servers.iter().enumerate() {
            if let Some(id) = owner(&s.name) {
                by_owner.entry(id).or_default().0.push(n);
            }
        }
        for (n, v) in inventory.volumes.iter().enumerate() {
            if let Some(id) = owner(&v.name) {
                by_owner.entry(id).or_default().1.push(n);
            }
            if let Some(server) = &v.server_id {
                volumes_by_server.entry(server.clone()).or_default().push(n);
            }
        }
        let servers_by_id = inventory.servers.iter().enumerate().map(|(n, s)| (s.id.clone(), n)).collect();
        let volumes_by_id = inventory.volumes.iter().enumerate().map(|(n, v)| (v.id.clone(), n)).collect();
        Self { inventory, servers_by_id, volumes_by_id, volumes_by_server, by_owner }
    }

    /// Instances whose ids are part of a name in the listing.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &InstanceId> {
        self.by_owner.keys()
    }

    /// The part of the listing that belongs to one instance.
    pub(crate) fn of(&self, agg: &Aggregate) -> Observed {
        let named = self.by_owner.get(&agg.instance.id);
        let by_id = agg.servers.iter().filter_map(|s| self.servers_by_id.get(s.provider_id.as_ref()?));
        let mut servers: Vec<usize> = by_id.chain(named.iter().flat_map(|n| &n.0)).copied().collect();
        servers.sort_unstable();
        servers.dedup();
        let by_id = agg.volumes.iter().filter_map(|v| self.volumes_by_id.get(v.provider_id.as_ref()?));
        let mut volumes: Vec<usize> = by_id.chain(named.iter().flat_map(|n| &n.1)).copied().collect();
        for server in servers.iter().map(|n| &self.inventory.servers[*n]) {
            volumes.extend(self.volumes_by_server.get(&server.id).into_iter().flatten());
            volumes.extend(server.attachments.iter().filter_map(|a| self.volumes_by_id.get(&a.volume_id)));
        }
        volumes.sort_unstable();
        volumes.dedup();
        let servers: Vec<ObservedServer> = servers.iter().map(|n| self.inventory.servers[*n].clone()).collect();
        let volumes: Vec<ObservedVolume> = volumes.iter().map(|n| self.inventory.volumes[*n].clone()).collect();
        let (began_at, complete, hidden) =
            (self.inventory.began_at, self.inventory.complete, self.inventory.hidden.clone());
        let listed = complete && hidden.is_none();
        let (holders, blocks_hidden) = (Vec::new(), self.inventory.blocks_hidden.is_some());
        let blocks_listed_at = None;
        let mut seen =
            Observed { began_at, complete, listed, blocks_listed_at, blocks_hidden, hidden, servers, holders, volumes };
        let others = self::holders(agg, &seen);
        let others = others.iter().filter_map(|id| self.servers_by_id.get(id));
        seen.holders = others.map(|n| self.inventory.servers[*n].clone()).collect();
        seen
    }
}
