//! Scaleway's JSON, as far as we read it, and its conversion to our types.
//!
//! Unknown fields and values are accepted, and unreadable fields are unknown (`lenient`).

use super::lenient::{self, Field, Identified, Items};
use super::profile::{BLOCK, volume_type};
use inventiv_core::observed::{Allowed, Attachment, ObservedServer, ObservedVolume, ServerState, VolumeState};
use inventiv_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
pub(super) struct ServerEnvelope {
    pub(super) server: Identified,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServerList {
    pub(super) servers: Vec<Value>,
}

/// An amount of money.
#[derive(Debug, Deserialize)]
pub(super) struct Amount {
    pub(super) currency_code: String,
    #[serde(default)]
    pub(super) units: i64,
    /// Billionths of the currency, besides the units.
    #[serde(default)]
    pub(super) nanos: i64,
}

impl Amount {
    /// Millionths, rounded half up.
    pub(super) fn micros(&self) -> Option<i64> {
        self.units.checked_mul(1_000_000)?.checked_add(self.nanos.checked_add(500)?.div_euclid(1_000))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupList {
    pub(super) security_groups: Items<Group>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) project: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Server {
    name: Field<String>,
    state: Field<String>,
    volumes: Field<BTreeMap<String, Slot>>,
    allowed_actions: Items<String>,
    public_ips: Items<Ip>,
    public_ip: Field<Ip>,
    image: Field<Image>,
    creation_date: Field<String>,
    commercial_type: Field<String>,
    tags: Items<String>,
}

#[derive(Debug, Deserialize)]
struct Slot {
    id: String,
    #[serde(default)]
    boot: Field<bool>,
    #[serde(default)]
    volume_type: Field<String>,
    #[serde(default)]
    name: Field<String>,
    #[serde(default)]
    size: Field<i64>,
}

#[derive(Debug, Deserialize)]
struct Ip {
    #[serde(default)]
    address: Field<String>,
    #[serde(default)]
    family: Field<String>,
    #[serde(default)]
    dynamic: Field<bool>,
}

#[derive(Debug, Deserialize)]
struct Image {
    #[serde(default)]
    name: Field<String>,
}

/// A server, read as far as possible. No decision is based on one whose state or volumes are unreadable.
pub(super) fn server(value: &Value) -> ObservedServer {
    let read: Server = lenient::row(value).unwrap_or_default();
    let volumes_known = matches!(read.volumes, Field::Known(_));
    let state = read.state.known().map_or_else(|| ServerState::Other("shown without a state".to_owned()), server_state);
    let state = if volumes_known { state } else { ServerState::Other("shown without its volumes".to_owned()) };
    let allowed = read.allowed_actions.0.iter().filter_map(|a| match a.as_str() {
        "poweron" => Some(Allowed::Start),
        "poweroff" => Some(Allowed::Stop),
        "reboot" => Some(Allowed::Reboot),
        "terminate" => Some(Allowed::Terminate),
        _ => None,
    });
    let slots = read.volumes.known().unwrap_or_default();
    let mut attachments: Vec<Attachment> = slots.into_iter().map(attachment).collect();
    attachments.sort_by_key(|a| a.index);
    let mut ips: Vec<(String, bool, bool)> = read
        .public_ips
        .0
        .into_iter()
        .filter_map(|ip| {
            let v4 = ip.family.known().is_none_or(|f| f == "inet");
            Some((ip.address.known()?, ip.dynamic.known().unwrap_or_default(), v4))
        })
        .collect();
    // IPv4 before IPv6. Our own address is the dynamic one; a flexible one belongs to a third party.
    ips.sort_by_key(|(_, dynamic, v4)| (!v4, !dynamic));
    let mut addresses: Vec<String> = ips.iter().map(|(address, ..)| address.clone()).collect();
    if let Some(single) = read.public_ip.known().and_then(|ip| ip.address.known())
        && !addresses.contains(&single)
    {
        // The deprecated field, if the list does not contain its address.
        let first_v6 = ips.iter().filter(|(_, _, v4)| *v4).count();
        addresses.insert(if single.contains(':') { addresses.len() } else { first_v6 }, single);
    }
    ObservedServer {
        id: lenient::id_of(value),
        name: read.name.known().unwrap_or_default(),
        state,
        allowed: allowed.collect(),
        attachments,
        addresses,
        foreign_addresses: ips.iter().filter(|(_, dynamic, _)| !dynamic).map(|(a, ..)| a.clone()).collect(),
        image_name: read.image.known().and_then(|i| i.name.known()),
        instance_type: read.commercial_type.known(),
        tags: read.tags.0,
        created_at: read.creation_date.known().as_deref().and_then(Timestamp::parse),
    }
}

fn server_state(word: String) -> ServerState {
    match word.as_str() {
        "stopped" => ServerState::Stopped,
        "stopped in place" => ServerState::StoppedInPlace,
        "starting" => ServerState::Starting,
        "running" => ServerState::Running,
        "stopping" => ServerState::Stopping,
        "locked" => ServerState::Locked,
        _ => ServerState::Other(word),
    }
}

fn attachment((index, slot): (String, Slot)) -> Attachment {
    Attachment {
        // A key that is not a number is still a volume, but not a boot volume.
        index: index.parse().unwrap_or(u32::MAX),
        volume_id: slot.id,
        volume_type: volume_type(&slot.volume_type.known().unwrap_or_else(unknown)),
        boot: slot.boot.known().unwrap_or_default(),
        name: slot.name.known(),
        size_bytes: slot.size.known(),
    }
}

/// The kind of a volume that shows none: every API is read for it.
fn unknown() -> String {
    "unknown".to_owned()
}

#[derive(Debug, Deserialize)]
pub(super) struct BlockList {
    pub(super) volumes: Vec<Value>,
    pub(super) total_count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block {
    name: Field<String>,
    size: Field<i64>,
    status: Field<String>,
    references: Field<Vec<Reference>>,
    specs: Field<Specs>,
    tags: Items<String>,
    created_at: Field<String>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(default)]
    product_resource_type: Field<String>,
    #[serde(default)]
    product_resource_id: Field<String>,
    #[serde(default)]
    status: Field<String>,
}

#[derive(Debug, Deserialize)]
struct Specs {
    #[serde(default)]
    perf_iops: Field<i64>,
}

/// A block volume, read as far as possible. No decision is based on one whose state or references are unreadable.
pub(super) fn block(value: &Value) -> ObservedVolume {
    let read: Block = lenient::row(value).unwrap_or_default();
    let odd = matches!(read.references, Field::Unreadable);
    let references = read.references.known().unwrap_or_default();
    let on = references.into_iter().find(|r| r.product_resource_type == Field::Known("instance_server".to_owned()));
    let settled = on.as_ref().is_some_and(|r| r.status == Field::Known("attached".to_owned()));
    ObservedVolume {
        id: lenient::id_of(value),
        name: read.name.known().unwrap_or_default(),
        volume_type: volume_type(BLOCK),
        size_bytes: read.size.known(),
        perf_iops: read.specs.known().and_then(|s| s.perf_iops.known()),
        state: volume_state(read.status.known().filter(|_| !odd), false),
        server_id: on.and_then(|r| r.product_resource_id.known()),
        attachment_settled: settled,
        tags: read.tags.0,
        created_at: read.created_at.known().as_deref().and_then(Timestamp::parse),
    }
}

fn volume_state(word: Option<String>, attached: bool) -> VolumeState {
    let Some(word) = word else { return VolumeState::Other("shown without its state".to_owned()) };
    match word.as_str() {
        "creating" | "fetching" | "saving" | "hotsyncing" => VolumeState::Creating,
        "available" if attached => VolumeState::InUse,
        "available" => VolumeState::Available,
        "in_use" | "attaching" => VolumeState::InUse,
        "updating" | "resizing" | "snapshotting" => VolumeState::Updating,
        "error" => VolumeState::Error,
        _ => VolumeState::Other(word),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalEnvelope {
    pub(super) volume: Identified,
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalList {
    pub(super) volumes: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Local {
    name: Field<String>,
    volume_type: Field<String>,
    size: Field<i64>,
    state: Field<String>,
    server: Field<Owner>,
    tags: Items<String>,
    creation_date: Field<String>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    id: String,
}

/// A local volume, read as far as possible. No decision is based on one whose state or server is unreadable.
pub(super) fn local(value: &Value) -> ObservedVolume {
    let read: Local = lenient::row(value).unwrap_or_default();
    let odd = matches!(read.server, Field::Unreadable);
    let server_id = read.server.known().map(|s| s.id);
    let attached = server_id.is_some();
    ObservedVolume {
        id: lenient::id_of(value),
        name: read.name.known().unwrap_or_default(),
        volume_type: volume_type(&read.volume_type.known().unwrap_or_else(unknown)),
        size_bytes: read.size.known(),
        perf_iops: None,
        state: volume_state(read.state.known().filter(|_| !odd), attached),
        server_id,
        attachment_settled: attached,
        tags: read.tags.0,
        created_at: read.creation_date.known().as_deref().and_then(Timestamp::parse),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Products {
    pub(super) servers: BTreeMap<String, Product>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Product {
    #[serde(default)]
    pub(super) arch: String,
    #[serde(default)]
    pub(super) ncpus: i64,
    #[serde(default)]
    pub(super) ram: i64,
    #[serde(default)]
    pub(super) gpu: Option<i64>,
    #[serde(default)]
    pub(super) gpu_info: Option<GpuInfo>,
    #[serde(default)]
    pub(super) volumes_constraint: Option<SizeRange>,
    #[serde(default)]
    pub(super) scratch_storage_max_size: Option<i64>,
    #[serde(default)]
    pub(super) hourly_price: f64,
    #[serde(default)]
    pub(super) end_of_service: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct GpuInfo {
    #[serde(default)]
    pub(super) gpu_name: Option<String>,
    #[serde(default)]
    pub(super) gpu_memory: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SizeRange {
    #[serde(default)]
    pub(super) min_size: Option<i64>,
    #[serde(default)]
    pub(super) max_size: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Availabilities {
    pub(super) servers: BTreeMap<String, AvailabilityWord>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AvailabilityWord {
    pub(super) availability: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct MarketImages {
    pub(super) images: Vec<MarketImage>,
    pub(super) total_count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct MarketImage {
    pub(super) label: String,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalImages {
    pub(super) local_images: Vec<LocalImage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalImage {
    pub(super) id: String,
    #[serde(default)]
    pub(super) compatible_commercial_types: Vec<String>,
}
