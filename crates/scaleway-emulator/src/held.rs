//! The resources of the account: plain data that can be saved and loaded.

use crate::event::Event;
use crate::tracked::Tracked;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Everything, by id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Held {
    pub(crate) servers: Tracked<Server>,
    pub(crate) locals: BTreeMap<String, Local>,
    pub(crate) blocks: Tracked<Block>,
    pub(crate) ips: Tracked<Ip>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) block_snapshots: BTreeMap<String, BlockSnapshot>,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) groups: BTreeMap<String, SecurityGroup>,
    pub(crate) placements: BTreeMap<String, Placement>,
    pub(crate) nics: BTreeMap<String, Nic>,
    pub(crate) ssh_keys: BTreeMap<String, SshKey>,
    pub(crate) templates: BTreeMap<String, Template>,
    /// Sizes of the disks in exported snapshots, by `bucket/key`, in bytes.
    pub(crate) objects: BTreeMap<String, i64>,
    /// Pending events: time, order, event.
    pub(crate) due: BinaryHeap<Reverse<(i64, u64, Event)>>,
    pub(crate) seq: u64,
    /// The number of the last loopback address.
    pub(crate) last_loopback: Option<u32>,
}

/// A server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) commercial_type: String,
    /// The image as every answer shows it, even after the image changes or is deleted.
    pub(crate) image: std::sync::Arc<serde_json::Value>,
    pub(crate) tags: Vec<String>,
    pub(crate) state: String,
    pub(crate) detail: String,
    pub(crate) slots: BTreeMap<u32, Slot>,
    /// Attached file systems, by id.
    #[serde(default)]
    pub(crate) file_systems: Vec<String>,
    pub(crate) boot_type: String,
    pub(crate) dynamic_ip_required: bool,
    pub(crate) dynamic_ip: Option<Ip>,
    pub(crate) security_group: String,
    pub(crate) placement: Option<String>,
    pub(crate) user_data: BTreeMap<String, bytes::Bytes>,
    /// The key that the administrator's password is encrypted with, if the creation named one.
    pub(crate) password_key: Option<String>,
    pub(crate) protected: bool,
    pub(crate) created_us: i64,
    pub(crate) modified_us: i64,
    pub(crate) mac: String,
    /// How often it has started.
    pub(crate) boots: u64,
    /// What the control API did to its machine since.
    #[serde(default)]
    pub(crate) machine: Ordered,
    /// The guest is up but has no address to report it through.
    #[serde(default)]
    pub(crate) is_silent: bool,
    /// No action is allowed before this time.
    pub(crate) actions_from_us: i64,
    /// It and its local volumes are being terminated.
    pub(crate) deleting: bool,
    /// Counts its actions: events of an earlier epoch are void.
    pub(crate) epoch: u64,
}

/// Orders of the control API to a server's machine, since the server's last start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ordered {
    pub(crate) restarts: u64,
    pub(crate) is_killed: bool,
    pub(crate) is_frozen: bool,
}

/// A volume attached to a server at an index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) volume: String,
    pub(crate) block: bool,
    pub(crate) boot: bool,
    /// The server shows it as attaching until this time.
    #[serde(default)]
    pub(crate) shown_us: i64,
}

/// An address, dynamic or flexible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ip {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) project: String,
    /// IPv4.
    pub(crate) address: Option<String>,
    /// IPv6.
    pub(crate) prefix: Option<String>,
    pub(crate) reverse: Option<String>,
    /// The name that resolves to it in the DNS, the only one allowed for `reverse`.
    #[serde(default)]
    pub(crate) resolves: Option<String>,
    /// A requested name that does not resolve yet.
    #[serde(default)]
    pub(crate) spreading: Option<String>,
    pub(crate) ipam: String,
    pub(crate) tags: Vec<String>,
    pub(crate) server: Option<String>,
    /// Assigned to a running guest that has not configured it yet.
    #[serde(default)]
    pub(crate) pending: bool,
    /// The order of creation.
    pub(crate) created: u64,
}

/// A local or scratch volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Local {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) project: String,
    pub(crate) tags: Vec<String>,
    pub(crate) size: i64,
    pub(crate) server: Option<String>,
    pub(crate) state: String,
    pub(crate) created_us: i64,
    pub(crate) modified_us: i64,
}

/// A volume on block storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) tags: Vec<String>,
    pub(crate) size: i64,
    pub(crate) iops: i64,
    pub(crate) status: String,
    pub(crate) reference: Option<Reference>,
    pub(crate) parent_snapshot: Option<String>,
    pub(crate) created_us: i64,
    pub(crate) updated_us: i64,
    pub(crate) detached_us: Option<i64>,
    /// It will be grown once it is created.
    #[serde(default)]
    pub(crate) grows: bool,
    /// No longer referenced, but not yet available.
    #[serde(default)]
    pub(crate) freeing: bool,
    /// Size and speed after the update in progress.
    pub(crate) coming: Option<(i64, i64)>,
}

/// A reference to a block volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) id: String,
    pub(crate) server: String,
    pub(crate) status: String,
    pub(crate) created_us: i64,
}

/// A snapshot of a local volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) kind: String,
    pub(crate) size: i64,
    pub(crate) state: String,
    /// Id and name of the volume.
    pub(crate) base: Option<(String, String)>,
    pub(crate) tags: Vec<String>,
    pub(crate) created_us: i64,
    pub(crate) modified_us: i64,
}

/// A snapshot of a block volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BlockSnapshot {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) size: i64,
    pub(crate) status: String,
    /// The volume as shown after its deletion: id, name, type.
    pub(crate) parent: Option<(String, String, String)>,
    pub(crate) public: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) created_us: i64,
    pub(crate) updated_us: i64,
}

/// An image of the account's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) organization: String,
    pub(crate) arch: String,
    /// The snapshot for the root volume.
    pub(crate) root: ImageVolume,
    pub(crate) extra: BTreeMap<String, ImageVolume>,
    pub(crate) public: bool,
    pub(crate) from_server: String,
    pub(crate) tags: Vec<String>,
    pub(crate) created: String,
    pub(crate) modified: String,
    /// Reference ids of its block snapshots.
    pub(crate) links: BTreeMap<String, String>,
}

/// The source of a volume in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImageVolume {
    pub(crate) snapshot: String,
    /// `l_ssd` or `sbs_snapshot`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) size: i64,
}

/// A security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) stateful: bool,
    pub(crate) inbound: String,
    pub(crate) outbound: String,
    pub(crate) default_security: bool,
    pub(crate) project_default: bool,
    pub(crate) syncing: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) created_us: i64,
    pub(crate) modified_us: i64,
}

impl SecurityGroup {
    /// A group that accepts all traffic.
    pub(crate) fn new(id: String) -> Self {
        Self {
            id,
            zone: String::new(),
            project: String::new(),
            name: String::new(),
            description: None,
            stateful: true,
            inbound: "accept".to_owned(),
            outbound: "accept".to_owned(),
            default_security: true,
            project_default: false,
            syncing: false,
            tags: Vec::new(),
            rules: Vec::new(),
            created_us: 0,
            modified_us: 0,
        }
    }
}

/// A rule of a security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) protocol: String,
    pub(crate) direction: String,
    pub(crate) action: String,
    pub(crate) ip_range: String,
    pub(crate) port_from: Option<i64>,
    pub(crate) port_to: Option<i64>,
}

/// A placement group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) mode: String,
    pub(crate) kind: String,
    pub(crate) tags: Vec<String>,
    pub(crate) created_us: i64,
    pub(crate) updated_us: i64,
}

/// A server's interface in a private network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Nic {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) project: String,
    pub(crate) network: String,
    pub(crate) server: String,
    pub(crate) mac: String,
    pub(crate) ips: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) attached: bool,
    pub(crate) created_us: i64,
    pub(crate) updated_us: i64,
}

/// A public key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SshKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) project: String,
    pub(crate) created_us: i64,
}

/// A template: a short request creates servers from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) project: String,
    /// The body as sent, with lists instead of nulls.
    pub(crate) body: serde_json::Value,
    pub(crate) created_us: i64,
}
