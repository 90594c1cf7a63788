//! Recovery: rebuilds instances from names and tags in the cloud, for a database that was lost or is too old.
//!
//! Pure; it only makes rows. Where a volume's policy in the cloud is newer than the record, it records that. It neither
//! starts nor deletes what it rebuilds: an instance with a server is recorded as ready, and volumes without a server
//! are recorded as retained, whatever their names say.

use crate::id::{InstanceId, ServerId, VolumeId};
use crate::name::{CloudName, MODEL_TAG, Role};
use crate::observed::{Observed, ObservedServer, ObservedVolume, ServerState, ZoneInventory};
use crate::offer::{BootStorage, Offer};
use crate::plan::{Context, newer_policy, plan};
use crate::recorded::{Aggregate, CloudPolicy, DataVolumeSpec, Instance, NewInstance, Server, Spec};
use crate::status::{Desired, Origin, Status, VolumeStatus};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What can be rebuilt in a zone, and what else is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Instances to be recorded.
    pub instances: Vec<Aggregate>,
    /// Servers that are not recovered, with the reason.
    pub left: Vec<(ObservedServer, String)>,
    /// The number of servers and volumes of recorded instances: the next observation of these takes care of them.
    pub known: usize,
    /// The number of servers and volumes that do not carry our name.
    pub foreign: usize,
    /// The number of those that carry the name of another control plane, by its id.
    pub others: BTreeMap<String, usize>,
    /// Volumes of recorded instances whose policy in the cloud is newer than the recorded one.
    pub policies: Vec<PolicyConflict>,
    /// [`ZoneInventory::hidden`]: why resources may exist although none is shown.
    pub hidden: Option<String>,
}

/// A volume of a recorded instance whose policy in the cloud is newer than the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyConflict {
    /// The instance that it belongs to.
    pub instance_id: InstanceId,
    /// The volume's id in the records.
    pub volume_id: VolumeId,
    /// The cloud's id.
    pub provider_id: String,
    /// Whether the records say that it is deleted with its instance.
    pub recorded_delete: bool,
    /// The policy in the cloud.
    pub cloud: CloudPolicy,
}

/// Finds every volume of `records` whose policy in the cloud is newer than the recorded one.
#[must_use]
pub fn policy_conflicts(inventory: &ZoneInventory, records: &[Aggregate], control_plane: &str) -> Vec<PolicyConflict> {
    let mut found = Vec::new();
    for agg in records {
        for row in &agg.volumes {
            let shown = inventory.volumes.iter().find(|v| row.provider_id.as_deref() == Some(&v.id));
            let Some((shown, cloud)) = shown.and_then(|v| Some((v, newer_policy(row, v, control_plane)?))) else {
                continue;
            };
            found.push(PolicyConflict {
                instance_id: agg.instance.id.clone(),
                volume_id: row.id.clone(),
                provider_id: shown.id.clone(),
                recorded_delete: row.delete_on_terminate,
                cloud,
            });
        }
    }
    found
}

/// Records the policy that the cloud shows. `false`: the row has it already, or a newer one.
pub fn take_policy(agg: &mut Aggregate, conflict: &PolicyConflict, now: Timestamp) -> bool {
    let Some(row) = agg.volume_mut(&conflict.volume_id) else { return false };
    if row.policy_version > conflict.cloud.version
        || (row.policy_version == conflict.cloud.version && row.delete_on_terminate == conflict.cloud.delete)
    {
        return false;
    }
    (row.delete_on_terminate, row.policy_version) = (conflict.cloud.delete, conflict.cloud.version);
    row.cloud_policy = None;
    (agg.instance.settled, agg.instance.wake_at) = (false, now);
    true
}

/// Makes a rebuilt instance the only owner of the volumes that the records show as retained from `keeper`: their names in
/// the cloud say that they were given to it, after the records were saved. `false`: there is none.
pub fn hand_over(rebuilt: &mut Aggregate, keeper: &mut Aggregate) -> bool {
    let (from, to) = (keeper.instance.id.clone(), rebuilt.instance.id.clone());
    let mut any = false;
    for row in keeper.volumes.iter_mut().filter(|v| v.is_kept() && v.provider_id.is_some()) {
        let Some(given) = rebuilt.volumes.iter_mut().find(|v| v.provider_id == row.provider_id) else { continue };
        (row.status, row.reused_by, row.cloud_policy) = (VolumeStatus::Reused, Some(to.clone()), None);
        (row.retry, row.pending_observation) = (None, None);
        given.reused_from = Some(from.clone());
        any = true;
    }
    any
}

/// An account and a zone.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    /// The account's id, as on every row.
    pub account_id: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// The zone.
    pub zone: &'a str,
    /// The offers of the zone: prices and boot storage.
    pub offers: &'a [Offer],
}

type Found<'a> = (Vec<&'a ObservedServer>, Vec<&'a ObservedVolume>);

/// Rebuilds every instance that a name in a complete `inventory` contains and that is not in `recorded`.
#[must_use]
pub fn recover(
    inventory: &ZoneInventory,
    recorded: &BTreeSet<InstanceId>,
    location: Location<'_>,
    cx: &mut Context<'_>,
) -> Recovery {
    let control_plane = cx.control_plane.to_owned();
    let owner = |name: &str| CloudName::parse(name).filter(|n| n.control_plane == control_plane).map(|n| n.instance);
    let mut found: BTreeMap<InstanceId, Found<'_>> = BTreeMap::new();
    let mut recovery = Recovery { hidden: inventory.hidden.clone(), ..Recovery::default() };
    let confirmed = |name: &str, tags: &[String]| {
        owner(name).filter(|_| CloudName::parse(name).is_some_and(|n| n.is_confirmed_by(tags)))
    };
    for s in &inventory.servers {
        match confirmed(&s.name, &s.tags) {
            Some(id) => found.entry(id).or_default().0.push(s),
            None => leave(&mut recovery, &s.name),
        }
    }
    for v in &inventory.volumes {
        let holder = inventory.servers.iter().find(|s| s.has(&v.id)).and_then(|s| confirmed(&s.name, &s.tags));
        match confirmed(&v.name, &v.tags).or(holder) {
            Some(id) => found.entry(id).or_default().1.push(v),
            None => leave(&mut recovery, &v.name),
        }
    }
    for (id, (mut servers, mut volumes)) in found {
        // In the order of their creation, as they were recorded the first time.
        volumes.sort_by_key(|v| (v.created_at, v.id.clone()));
        if recorded.contains(&id) {
            recovery.known += servers.len() + volumes.len();
            continue;
        }
        servers.sort_by_key(|s| (s.created_at, s.id.clone()));
        if servers.len() > 1 {
            // If one was recovered, the others would be removed as its duplicates.
            let text = "its instance has several servers, and is not rebuilt: check all of them, delete those that are not used, \
                        and run the recovery again";
            recovery.left.extend(servers.into_iter().map(|s| (s.clone(), text.to_owned())));
            continue;
        }
        recovery.instances.push(rebuild(
            &Remains { id, server: servers.first().copied(), volumes },
            location,
            inventory.began_at,
            cx,
        ));
    }
    recovery
}

fn leave(recovery: &mut Recovery, name: &str) {
    recovery.foreign += 1;
    if let Some(name) = CloudName::parse(name) {
        *recovery.others.entry(name.control_plane).or_default() += 1;
    }
}

/// What the cloud shows of an instance that is not recorded.
struct Remains<'a> {
    id: InstanceId,
    server: Option<&'a ObservedServer>,
    volumes: Vec<&'a ObservedVolume>,
}

fn rebuild(remains: &Remains<'_>, location: Location<'_>, began_at: Timestamp, cx: &mut Context<'_>) -> Aggregate {
    let Remains { server, volumes, .. } = remains;
    let created = server.and_then(|s| s.created_at).or_else(|| volumes.iter().filter_map(|v| v.created_at).min());
    let created_at = created.unwrap_or(cx.now);
    let instance = instance(remains, location, created_at, cx.now);
    let mut bare = Aggregate { instance, servers: Vec::new(), volumes: Vec::new() };
    if let Some(s) = server {
        let mut row = Server::found(ServerId::new((cx.ids)()), bare.attempt_of(&s.name), s, cx.now);
        // Whoever starts it from now on is a third party: it is not stopped again.
        row.stop_sent_at = is_off(s).then_some(cx.now);
        bare.servers.push(row);
    }
    let seen = Observed {
        holders: Vec::new(),
        began_at,
        complete: true,
        listed: true,
        blocks_listed_at: None,
        blocks_hidden: false,
        hidden: None,
        servers: server.iter().map(|s| (*s).clone()).collect(),
        volumes: volumes.iter().map(|v| (*v).clone()).collect(),
    };
    // The normal rules record what the cloud shows. The actions of that plan are left to the next observation.
    let mut agg = Aggregate { instance: bare.instance.clone(), ..plan(&bare, &seen, cx).recorded };
    for v in &mut agg.volumes {
        // It is as old as the cloud says, and was charged since then.
        let seen = volumes.iter().find(|s| v.provider_id.as_ref() == Some(&s.id));
        v.created_at = seen.and_then(|s| s.created_at).map_or(v.created_at, |at| at.min(cx.now));
        let on_it = server.is_some_and(|s| v.provider_id.as_deref().is_some_and(|id| s.has(id)));
        if on_it {
            v.server_id = agg.servers.first().map(|s| s.id.clone());
        }
        if v.origin == Origin::Ours {
            // It may hold data: it is neither attached again nor deleted as a stray.
            v.attached_at.get_or_insert(cx.now);
            v.delete_on_terminate &= CloudName::parse(&v.name).is_none_or(|n| n.delete);
        }
        if server.is_none() {
            (v.status, v.delete_on_terminate) = (VolumeStatus::Retained, false);
        }
    }
    // A volume whose name does not match its record gets its name at the next observation.
    let names: Vec<String> = agg.volumes.iter().map(|v| agg.volume_name(v, cx.control_plane).text()).collect();
    for (v, _) in agg.volumes.iter_mut().zip(names).filter(|(v, name)| v.origin != Origin::Foreign && v.name != *name) {
        v.tagged_at = None;
    }
    agg
}

/// Whether a server is stopped, on request or by a third party: its instance is recovered as stopped, so that a user can
/// start it.
fn is_off(server: &ObservedServer) -> bool {
    matches!(server.state, ServerState::Stopped | ServerState::StoppedInPlace)
}

fn instance(remains: &Remains<'_>, location: Location<'_>, created_at: Timestamp, now: Timestamp) -> Instance {
    let Remains { id, server, volumes } = remains;
    let instance_type = server.and_then(|s| s.instance_type.clone()).unwrap_or_else(|| "unknown".to_owned());
    let offer = location.offers.iter().find(|o| o.instance_type == instance_type);
    let tags: Vec<&String> =
        server.map(|s| s.tags.iter().collect()).unwrap_or_else(|| volumes.iter().flat_map(|v| &v.tags).collect());
    let data = volumes.iter().find_map(|v| {
        let name = CloudName::parse(&v.name).filter(|n| n.role == Role::Data)?;
        Some(DataVolumeSpec {
            size_bytes: v.size_bytes?,
            perf_iops: v.perf_iops,
            delete_on_terminate: name.delete,
            size_reason: "as the cloud shows it".to_owned(),
        })
    });
    let spec = Spec {
        serving: None,
        ssh_keys: Vec::new(),
        user_data: None,
        data_volume: data.filter(|_| server.is_some()),
        boot_volume_bytes: None,
        image: server.and_then(|s| s.image_name.clone()).unwrap_or_else(|| "unknown".to_owned()),
        boot_storage: offer.map_or(BootStorage::Block, |o| o.boot_storage),
        gpu_count: offer.map_or(0, |o| o.gpu_count),
        warnings: Vec::new(),
        engine: None,
        tags: tags.iter().filter(|t| !t.starts_with("inventiv")).map(|t| (*t).clone()).collect(),
        hourly_micros: offer.map_or(0, |o| o.price.micros),
        currency: offer.map_or_else(|| "EUR".to_owned(), |o| o.price.currency.clone()),
        recovered_at: Some(now),
        idle_ms: None,
        replica_of: None,
    };
    let lives = server.is_some();
    let new = NewInstance {
        name: id.to_string(),
        id: id.clone(),
        account_id: location.account_id.to_owned(),
        provider: location.provider.to_owned(),
        zone: location.zone.to_owned(),
        instance_type,
        model_id: tags.iter().find_map(|t| t.strip_prefix(MODEL_TAG)).map(str::to_owned),
        spec,
    };
    let (desired, status) = match server {
        Some(s) if is_off(s) => (Desired::Stopped, Status::Stopped),
        Some(_) => (Desired::Present, Status::Ready),
        None => (Desired::Absent, Status::Terminated),
    };
    Instance {
        desired,
        status,
        ip_address: server.and_then(|s| s.ip_address().map(str::to_owned)),
        addresses: server.map(|s| s.addresses.clone()).unwrap_or_default(),
        created_at,
        up_at: lives.then_some(now),
        ready_at: lives.then_some(now),
        terminate_requested_at: (!lives).then_some(now),
        terminated_at: (!lives).then_some(now),
        settled: !lives,
        ..Instance::requested(new, now)
    }
}

#[cfg(test)]
pub(crate) mod tests;
