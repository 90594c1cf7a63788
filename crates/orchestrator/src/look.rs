//! Looking at the cloud: one listing for a whole zone, or a few questions about one instance, whichever is cheaper.

use crate::Inner;
use inventiv_core::error::ErrorKind;
use inventiv_core::id::InstanceId;
use inventiv_core::name::CloudName;
use inventiv_core::observed::{Observed, Picture, SeenServer, SeenVolume};
use inventiv_core::recorded::{Aggregate, Volume};
use inventiv_core::status::CreateState;
use inventiv_providers::{Error, Existence, VolumeRef};
use std::collections::HashMap;

/// How many requests [`Inner::glance`] makes for an instance.
pub(crate) fn glance_cost(agg: &Aggregate) -> usize {
    let servers = agg.servers.iter().map(|s| if s.create_state.is_open() { 2 } else { usize::from(s.is_live()) });
    let volumes = agg.volumes.iter().map(|v| if v.create_state.is_open() { 2 } else { usize::from(is_asked_for(v)) });
    servers.chain(volumes).sum()
}

/// One that is kept is asked for by its instance only while it is to get its name back.
fn is_asked_for(v: &Volume) -> bool {
    v.is_live() || (v.is_kept() && v.tagged_at.is_none())
}

/// Whether a glance missed something that should be there: then only a complete listing can say that it is gone.
pub(crate) fn misses_something(agg: &Aggregate, seen: &Observed) -> bool {
    let server = |id: &String| seen.server(id).is_none();
    let volume = |id: &String| seen.volume(id).is_none();
    agg.servers.iter().filter(|s| s.is_live()).filter_map(|s| s.provider_id.as_ref()).any(server)
        || agg.volumes.iter().filter(|v| v.is_live()).filter_map(|v| v.provider_id.as_ref()).any(volume)
}

/// How many requests a complete listing took that showed so much.
pub(crate) fn pages(picture: &Picture) -> usize {
    let local = picture.volumes.iter().filter(|v| !v.is_block()).count();
    let pages = |n: usize| n.div_ceil(100).max(1);
    pages(picture.servers.len()) + pages(picture.volumes.len() - local) + pages(local)
}

/// What a read shows. Only a proof needs more than that a resource is not shown: nothing is thought gone upon a glance.
fn shown<T>(read: Result<Existence<T>, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(Existence::Exists(seen)) => Ok(Some(seen)),
        Ok(Existence::Gone(_)) => Ok(None),
        Err(e) if e.kind == ErrorKind::Unwitnessed => Ok(None),
        Err(e) => Err(e),
    }
}

impl Inner {
    /// Asks for each resource of one instance: by id where it is known, by name where its creation is in doubt.
    pub(crate) async fn glance(&self, agg: &Aggregate) -> Result<Observed, Error> {
        let zone = agg.instance.zone.as_str();
        let mut seen = Observed { complete: true, ..Observed::nothing(self.clock.now()) };
        for row in &agg.servers {
            match (&row.provider_id, row.create_state) {
                (Some(id), _) if row.is_live() => {
                    if let Some(s) = shown(self.provider.server(zone, id).await)? {
                        seen.refresh_server(s);
                    }
                }
                (None, CreateState::Prepared | CreateState::Doubt) => self.find(zone, &row.name, &mut seen).await?,
                _ => {}
            }
        }
        for row in &agg.volumes {
            match &row.provider_id {
                Some(id) if is_asked_for(row) => {
                    let volume = VolumeRef {
                        deletion_accepted: row.delete_accepted_at.is_some(),
                        ..VolumeRef::new(id, &row.volume_type)
                    };
                    self.ask_volume(zone, volume, &mut seen).await?;
                }
                None if row.create_state.is_open() => self.find(zone, &row.name, &mut seen).await?,
                _ => {}
            }
        }
        // What hangs on our servers and is not recorded yet.
        let attached: Vec<(String, String)> = seen
            .servers
            .iter()
            .flat_map(|s| s.attachments.iter().map(|a| (a.volume_id.clone(), a.volume_type.clone())))
            .filter(|(id, _)| seen.volume(id).is_none())
            .collect();
        for (id, kind) in attached {
            self.ask_volume(zone, VolumeRef::new(id, kind), &mut seen).await?;
        }
        Ok(seen)
    }

    async fn ask_volume(&self, zone: &str, volume: VolumeRef, seen: &mut Observed) -> Result<(), Error> {
        if let Some(v) = shown(self.provider.volume(zone, &volume).await)? {
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

/// A listing with the ways to find what belongs to one instance.
pub(crate) struct Index {
    picture: Picture,
    servers_by_id: HashMap<String, usize>,
    volumes_by_id: HashMap<String, usize>,
    volumes_by_server: HashMap<String, Vec<usize>>,
    /// Instance → its servers and volumes by name.
    by_owner: HashMap<InstanceId, (Vec<usize>, Vec<usize>)>,
}

impl Index {
    pub(crate) fn new(picture: Picture, control_plane: &str) -> Self {
        let owner =
            |name: &str| CloudName::parse(name).filter(|n| n.control_plane == control_plane).map(|n| n.instance);
        let mut by_owner: HashMap<InstanceId, (Vec<usize>, Vec<usize>)> = HashMap::new();
        let mut volumes_by_server: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, s) in picture.servers.iter().enumerate() {
            if let Some(id) = owner(&s.name) {
                by_owner.entry(id).or_default().0.push(n);
            }
        }
        for (n, v) in picture.volumes.iter().enumerate() {
            if let Some(id) = owner(&v.name) {
                by_owner.entry(id).or_default().1.push(n);
            }
            if let Some(server) = &v.server_id {
                volumes_by_server.entry(server.clone()).or_default().push(n);
            }
        }
        let servers_by_id = picture.servers.iter().enumerate().map(|(n, s)| (s.id.clone(), n)).collect();
        let volumes_by_id = picture.volumes.iter().enumerate().map(|(n, v)| (v.id.clone(), n)).collect();
        Self { picture, servers_by_id, volumes_by_id, volumes_by_server, by_owner }
    }

    /// Instances that something in the cloud is named after.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &InstanceId> {
        self.by_owner.keys()
    }

    /// What the listing shows of one instance.
    pub(crate) fn of(&self, agg: &Aggregate) -> Observed {
        let named = self.by_owner.get(&agg.instance.id);
        let by_id = agg.servers.iter().filter_map(|s| self.servers_by_id.get(s.provider_id.as_ref()?));
        let mut servers: Vec<usize> = by_id.chain(named.iter().flat_map(|n| &n.0)).copied().collect();
        servers.sort_unstable();
        servers.dedup();
        let by_id = agg.volumes.iter().filter_map(|v| self.volumes_by_id.get(v.provider_id.as_ref()?));
        let mut volumes: Vec<usize> = by_id.chain(named.iter().flat_map(|n| &n.1)).copied().collect();
        for server in servers.iter().map(|n| &self.picture.servers[*n]) {
            volumes.extend(self.volumes_by_server.get(&server.id).into_iter().flatten());
            volumes.extend(server.attachments.iter().filter_map(|a| self.volumes_by_id.get(&a.volume_id)));
        }
        volumes.sort_unstable();
        volumes.dedup();
        let servers: Vec<SeenServer> = servers.iter().map(|n| self.picture.servers[*n].clone()).collect();
        let volumes: Vec<SeenVolume> = volumes.iter().map(|n| self.picture.volumes[*n].clone()).collect();
        let (began_at, complete, hidden) = (self.picture.began_at, self.picture.complete, self.picture.hidden.clone());
        Observed { began_at, complete, listed: complete && hidden.is_none(), hidden, servers, volumes }
    }
}
