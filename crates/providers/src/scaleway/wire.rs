//! Scaleway's JSON, as far as we read it, and its meaning in our words. Unknown fields and words are let through.

use inventiv_core::observed::{Allowed, Attachment, SeenServer, SeenVolume, ServerState, VolumeState};
use inventiv_core::recorded::BLOCK_KIND;
use inventiv_core::time::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
pub(super) struct ServerEnvelope {
    pub(super) server: Server,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServerList {
    pub(super) servers: Vec<Server>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupList {
    pub(super) security_groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) project: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Server {
    id: String,
    #[serde(default)]
    name: String,
    state: String,
    #[serde(default)]
    volumes: BTreeMap<String, Slot>,
    #[serde(default)]
    allowed_actions: Vec<String>,
    #[serde(default)]
    public_ips: Vec<Ip>,
    #[serde(default)]
    public_ip: Option<Ip>,
    #[serde(default)]
    image: Option<Image>,
    #[serde(default)]
    creation_date: Option<String>,
    #[serde(default)]
    commercial_type: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Slot {
    id: String,
    #[serde(default)]
    boot: bool,
    volume_type: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    size: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Ip {
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    family: Option<String>,
    #[serde(default)]
    dynamic: bool,
}

#[derive(Debug, Deserialize)]
struct Image {
    #[serde(default)]
    name: Option<String>,
}

impl Server {
    pub(super) fn seen(self) -> SeenServer {
        let state = match self.state.as_str() {
            "stopped" => ServerState::Stopped,
            "stopped in place" => ServerState::StoppedInPlace,
            "starting" => ServerState::Starting,
            "running" => ServerState::Running,
            "stopping" => ServerState::Stopping,
            "locked" => ServerState::Locked,
            _ => ServerState::Other(self.state),
        };
        let allowed = self.allowed_actions.iter().filter_map(|a| match a.as_str() {
            "poweron" => Some(Allowed::Start),
            "poweroff" => Some(Allowed::Stop),
            "terminate" => Some(Allowed::Terminate),
            _ => None,
        });
        let mut attachments: Vec<Attachment> = self
            .volumes
            .into_iter()
            .map(|(index, slot)| Attachment {
                // A key that is no number is a volume all the same; it just boots nothing.
                index: index.parse().unwrap_or(u32::MAX),
                volume_id: slot.id,
                volume_type: slot.volume_type,
                boot: slot.boot,
                name: slot.name,
                size_bytes: slot.size,
            })
            .collect();
        attachments.sort_by_key(|a| a.index);
        let v4 = |ip: &&Ip| ip.family.as_deref().is_none_or(|f| f == "inet");
        // Our own address is the dynamic one; a flexible one was put there by somebody else.
        let dynamic = self.public_ips.iter().filter(v4).filter(|ip| ip.dynamic).find_map(|ip| ip.address.clone());
        let address = dynamic.or_else(|| self.public_ips.iter().filter(v4).find_map(|ip| ip.address.clone()));
        let foreign = self.public_ips.iter().filter(|ip| !ip.dynamic).filter_map(|ip| ip.address.clone());
        let foreign_addresses = foreign.collect();
        SeenServer {
            id: self.id,
            name: self.name,
            state,
            allowed: allowed.collect(),
            attachments,
            ip_address: address.or_else(|| self.public_ip.and_then(|ip| ip.address)),
            foreign_addresses,
            image_name: self.image.and_then(|i| i.name),
            instance_type: self.commercial_type,
            tags: self.tags.unwrap_or_default(),
            created_at: self.creation_date.as_deref().and_then(Timestamp::parse),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct BlockList {
    pub(super) volumes: Vec<Block>,
    pub(super) total_count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Block {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    size: Option<i64>,
    status: String,
    #[serde(default)]
    references: Vec<Reference>,
    #[serde(default)]
    specs: Option<Specs>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    created_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(default)]
    product_resource_type: Option<String>,
    #[serde(default)]
    product_resource_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Specs {
    #[serde(default)]
    perf_iops: Option<i64>,
}

impl Block {
    pub(super) fn seen(self) -> SeenVolume {
        let server = self.references.iter().find(|r| r.product_resource_type.as_deref() == Some("instance_server"));
        let settled = server.is_some_and(|r| r.status.as_deref() == Some("attached"));
        SeenVolume {
            server_id: server.and_then(|r| r.product_resource_id.clone()),
            attachment_settled: settled,
            tags: self.tags.unwrap_or_default(),
            id: self.id,
            name: self.name,
            volume_type: BLOCK_KIND.to_owned(),
            size_bytes: self.size,
            perf_iops: self.specs.and_then(|s| s.perf_iops),
            state: volume_state(self.status, false),
            created_at: self.created_at.as_deref().and_then(Timestamp::parse),
        }
    }
}

fn volume_state(word: String, attached: bool) -> VolumeState {
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
    pub(super) volume: Local,
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalList {
    pub(super) volumes: Vec<Local>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Local {
    id: String,
    #[serde(default)]
    name: String,
    volume_type: String,
    #[serde(default)]
    size: Option<i64>,
    state: String,
    #[serde(default)]
    server: Option<Owner>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    creation_date: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    id: String,
}

impl Local {
    pub(super) fn seen(self) -> SeenVolume {
        let attached = self.server.is_some();
        SeenVolume {
            id: self.id,
            name: self.name,
            volume_type: self.volume_type,
            size_bytes: self.size,
            perf_iops: None,
            state: volume_state(self.state, attached),
            server_id: self.server.map(|s| s.id),
            attachment_settled: attached,
            tags: self.tags.unwrap_or_default(),
            created_at: self.creation_date.as_deref().and_then(Timestamp::parse),
        }
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
pub(super) struct LocalImages {
    pub(super) local_images: Vec<LocalImage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalImage {
    pub(super) id: String,
    #[serde(default)]
    pub(super) compatible_commercial_types: Vec<String>,
}
