//! Resources in the form of the real API at the time of the clock.

use crate::catalogue::MarketImage;
use crate::clock::{block_time, instance_time};
use crate::held::{
    Block, BlockSnapshot, Image, ImageVolume, Ip, Local, Nic, Placement, Reference, Server, Slot, Snapshot,
};
use crate::history::Change;
use crate::world::World;
use serde_json::{Map, Value, json};

/// The owner of the marketplace images.
const MARKET: &str = "51b656e3-4865-41e8-adbc-0c45bdd780db";

/// How long a guest takes to create the administrator's password, in microseconds.
const PASSWORD_US: i64 = 60_000_000;
/// A placeholder for the encrypted password.
const PASSWORD: &str = "ZW11bGF0ZWQ=";

pub(crate) fn server(world: &World, s: &Server) -> Value {
    let held = &world.held;
    let volumes: Map<String, Value> =
        s.slots.iter().map(|(index, slot)| (index.to_string(), attached(world, s, slot))).collect();
    let mut flexible: Vec<&Ip> = held.ips.values().filter(|ip| ip.server.as_deref() == Some(&s.id)).collect();
    flexible.sort_by_key(|ip| (ip.prefix.is_some(), ip.created));
    let dynamic = s.dynamic_ip.iter().map(|ip| server_ip(ip, true, true));
    let flexible = flexible.into_iter().enumerate().map(|(n, ip)| server_ip(ip, false, n == 0));
    let ips: Vec<Value> = dynamic.chain(flexible).collect();
    let mut nics: Vec<&Nic> = held.nics.values().filter(|n| n.server == s.id).collect();
    nics.sort_by_key(|n| std::cmp::Reverse(n.created_us));
    let group = held.groups.get(&s.security_group).map(|g| json!({"id": g.id, "name": g.name}));
    let placement = s.placement.as_ref().and_then(|id| held.placements.get(id));
    let mut value = json!({
        "id": s.id, "name": s.name, "arch": world.arch_of(&s.commercial_type, &s.zone),
        "commercial_type": s.commercial_type, "boot_type": s.boot_type, "organization": world.options.project,
        "project": s.project, "hostname": hostname(&s.name), "image": *s.image, "volumes": volumes, "tags": s.tags,
        "state": s.state, "protected": s.protected, "state_detail": s.detail, "public_ip": ips.first(),
        "public_ips": ips, "mac_address": s.mac, "routed_ip_enabled": true, "ipv6": null, "extra_networks": [],
        "dynamic_ip_required": s.dynamic_ip_required, "enable_ipv6": false, "private_ip": null,
        "creation_date": instance_time(s.created_us), "modification_date": instance_time(s.modified_us),
        "bootscript": null, "security_group": group, "location": location(s), "maintenances": [],
        "allowed_actions": allowed(world, s), "placement_group": placement.map(|p| placement_v1(world, p, false)),
        "private_nics": nics.into_iter().map(private_nic).collect::<Vec<_>>(), "zone": s.zone,
    });
    if let Some(object) = value.as_object_mut() {
        if world.has(Change::FileSystems) {
            let attached = s.file_systems.iter().map(|id| json!({"filesystem_id": id, "state": "available"}));
            object.insert("filesystems".to_owned(), Value::Array(attached.collect()));
            object.insert("end_of_service".to_owned(), json!(world.ends(&s.commercial_type, &s.zone)));
        }
        if world.has(Change::Dns) {
            object.insert("dns".to_owned(), json!(format!("{}.pub.instances.scw.cloud", s.id)));
        }
        if let Some(key) = &s.password_key {
            object.insert("admin_password_encryption_ssh_key_id".to_owned(), json!(key));
            // The guest creates it some time after its start.
            if s.state == "running" && world.now() > s.modified_us + PASSWORD_US {
                object.insert("admin_password_encrypted_value".to_owned(), json!(PASSWORD));
            }
        }
    }
    value
}

/// Turns a name into a host name: invalid characters become dashes.
fn hostname(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn location(s: &Server) -> Value {
    let placed = s.state != "stopped" && !(s.state == "starting" && s.detail == "allocating node");
    if placed {
        json!({"zone_id": s.zone, "platform_id": "14", "cluster_id": "16", "hypervisor_id": "302", "node_id": "47"})
    } else {
        Value::Null
    }
}

/// The actions that a server allows now.
pub(crate) fn allowed(world: &World, s: &Server) -> &'static [&'static str] {
    let snapshotting = |slot: &Slot| world.held.locals.get(&slot.volume).is_some_and(|v| v.state == "snapshotting");
    if world.now() < s.actions_from_us || s.deleting || s.slots.values().any(snapshotting) {
        return &[];
    }
    match s.state.as_str() {
        "stopped" => &["poweron", "backup"],
        "running" => &["poweroff", "terminate", "reboot", "stop_in_place", "backup"],
        "stopped in place" => &["poweron", "poweroff", "terminate", "reboot", "backup"],
        _ => &["stop_in_place", "backup"],
    }
}

fn attached(world: &World, s: &Server, slot: &Slot) -> Value {
    if slot.block {
        let mut value = json!({"boot": slot.boot, "volume_type": "sbs_volume", "id": slot.volume, "zone": s.zone});
        if let Some(object) = value.as_object_mut().filter(|_| world.has(Change::VolumeState)) {
            let attaching = world.now() < slot.shown_us;
            object.insert("state".to_owned(), json!(if attaching { "attaching" } else { "available" }));
        }
        return value;
    }
    let mut value = world.held.locals.get(&slot.volume).map_or(Value::Null, |v| local(world, v));
    if let Some(object) = value.as_object_mut() {
        object.insert("boot".to_owned(), json!(slot.boot));
        if s.deleting {
            object.insert("state".to_owned(), json!("deleting"));
        }
    }
    value
}

pub(crate) fn local(world: &World, v: &Local) -> Value {
    let mut value = json!({
        "id": v.id, "name": v.name, "volume_type": v.kind, "export_uri": null, "organization": world.options.project,
        "project": v.project, "server": owner(world, v.server.as_ref()), "size": v.size, "state": v.state,
        "creation_date": instance_time(v.created_us), "modification_date": instance_time(v.modified_us),
        "tags": v.tags, "zone": v.zone,
    });
    if let Some(object) = value.as_object_mut().filter(|_| world.has(Change::NoExport) && !world.has(Change::Export)) {
        object.remove("export_uri");
    }
    value
}

fn owner(world: &World, server: Option<&String>) -> Value {
    let server = server.and_then(|id| world.held.servers.get(id));
    server.map_or(Value::Null, |s| json!({"id": s.id, "name": s.name}))
}

fn block_type(iops: i64) -> &'static str {
    if iops == 15_000 { "sbs_15k" } else { "sbs_5k" }
}

pub(crate) fn block(world: &World, v: &Block) -> Value {
    let reference = |r: &Reference| {
        json!({
            "id": r.id, "product_resource_type": "instance_server", "product_resource_id": r.server,
            "created_at": block_time(r.created_us), "type": "exclusive", "status": r.status,
        })
    };
    let mut value = json!({
        "id": v.id, "name": v.name, "type": block_type(v.iops), "size": v.size, "project_id": v.project,
        "created_at": block_time(v.created_us), "updated_at": block_time(v.updated_us),
        "references": v.reference.iter().map(reference).collect::<Vec<_>>(), "parent_snapshot_id": v.parent_snapshot,
        "status": v.status, "tags": v.tags, "specs": {"perf_iops": v.iops, "class": "sbs"},
        "last_detached_at": v.detached_us.map(block_time), "zone": v.zone,
    });
    if let Some(object) = value.as_object_mut().filter(|_| world.has(Change::Keys)) {
        object.insert("kms_key_id".to_owned(), Value::Null);
    }
    value
}

pub(crate) fn snapshot(world: &World, s: &Snapshot) -> Value {
    let base = s.base.as_ref().and_then(|(id, _)| world.held.locals.get(id));
    let base = base.map(|v| json!({"id": v.id, "name": v.name}));
    json!({
        "id": s.id, "name": s.name, "volume_type": s.kind, "creation_date": instance_time(s.created_us),
        "modification_date": instance_time(s.modified_us), "organization": world.options.project,
        "project": s.project, "size": s.size, "state": s.state, "base_volume": base, "tags": s.tags, "zone": s.zone,
        "error_details": null,
    })
}

pub(crate) fn block_snapshot(world: &World, s: &BlockSnapshot) -> Value {
    let links: Vec<Value> = world
        .held
        .images
        .values()
        .filter_map(|i| i.links.get(&s.id).map(|link| (i, link)))
        .map(|(i, link)| {
            json!({
                "id": link, "product_resource_type": "instance_image", "product_resource_id": i.id,
                "created_at": i.created.replace("+00:00", "Z"), "type": "link", "status": "attached",
            })
        })
        .collect();
    let parent = s
        .parent
        .as_ref()
        .and_then(|(id, ..)| world.held.blocks.get(id))
        .map(|v| json!({"id": v.id, "name": v.name, "type": block_type(v.iops), "status": v.status}));
    let status = if s.status == "available" && !links.is_empty() { "in_use" } else { &s.status };
    let mut value = json!({
        "id": s.id, "name": s.name, "parent_volume": parent, "size": s.size, "project_id": s.project,
        "created_at": block_time(s.created_us), "updated_at": block_time(s.updated_us), "references": links,
        "status": status, "tags": s.tags, "zone": s.zone, "class": "sbs",
    });
    if let Some(object) = value.as_object_mut().filter(|_| world.has(Change::PublicSnapshots)) {
        object.insert("public".to_owned(), json!(s.public));
    }
    value
}

pub(crate) fn ip(v: &Ip, world: &World) -> Value {
    let server = owner(world, v.server.as_ref());
    let kind = if v.prefix.is_some() { "routed_ipv6" } else { "routed_ipv4" };
    json!({
        "id": v.id, "address": v.address, "prefix": v.prefix, "reverse": v.reverse,
        "state": if server.is_null() { "detached" } else { ip_state(v) }, "server": server,
        "organization": world.options.project, "project": v.project, "zone": v.zone, "type": kind, "tags": v.tags,
        "ipam_id": v.ipam,
    })
}

fn ip_state(v: &Ip) -> &'static str {
    if v.pending { "pending" } else { "attached" }
}

fn server_ip(v: &Ip, dynamic: bool, first: bool) -> Value {
    let v6 = v.prefix.as_ref().map(|p| p.trim_end_matches("/64").to_owned() + "1");
    json!({
        "id": v.id, "address": v6.as_ref().or(v.address.as_ref()), "dynamic": dynamic,
        "gateway": if v6.is_some() { "fe80::dc00:ff:fe20:e1b9" } else { "62.210.0.1" },
        "netmask": if v6.is_some() { "64" } else { "32" }, "family": if v6.is_some() { "inet6" } else { "inet" },
        "provisioning_mode": match (v6.is_some(), first) { (true, _) => "slaac", (false, true) => "dhcp", (false, false) => "manual" }, "tags": v.tags, "state": ip_state(v),
        "ipam_id": v.ipam,
    })
}

/// A root or extra volume of an image.
fn image_volume(v: &ImageVolume) -> Value {
    json!({"id": v.snapshot, "name": v.name, "volume_type": v.kind, "size": v.size})
}

pub(crate) fn image(i: &Image) -> Value {
    let extra: Map<String, Value> = i.extra.iter().map(|(n, v)| (n.clone(), image_volume(v))).collect();
    json!({
        "id": i.id, "name": i.name, "organization": i.organization, "project": i.project,
        "root_volume": image_volume(&i.root), "extra_volumes": extra, "public": i.public, "arch": i.arch,
        "creation_date": i.created, "modification_date": i.modified, "default_bootscript": null,
        "from_server": i.from_server, "state": "available", "tags": i.tags, "zone": i.zone,
    })
}

pub(crate) fn market_image(i: &MarketImage) -> Value {
    let kind = if i.local { "l_ssd" } else { "sbs_snapshot" };
    let (name, size) = if i.local { (i.name, crate::catalogue::root_size(i.name)) } else { ("", 0) };
    json!({
        "id": i.id, "name": i.name, "organization": MARKET, "project": MARKET,
        "root_volume": {"volume_type": kind, "id": i.snapshot, "size": size, "name": name},
        "extra_volumes": {}, "public": true, "arch": i.arch, "creation_date": i.created, "modification_date": i.created,
        "default_bootscript": null, "from_server": "", "state": "available", "tags": [], "zone": i.zone,
    })
}

/// A server shows its group's policy as not respected; the group itself shows it as respected.
pub(crate) fn placement_v1(world: &World, p: &Placement, respected: bool) -> Value {
    json!({
        "id": p.id, "name": p.name, "organization": world.options.project, "project": p.project,
        "policy_mode": p.mode, "policy_type": p.kind, "policy_respected": respected, "tags": p.tags, "zone": p.zone,
    })
}

pub(crate) fn placement_v2(p: &Placement) -> Value {
    json!({
        "id": p.id, "name": p.name, "project_id": p.project, "policy_type": p.kind, "tags": p.tags,
        "created_at": block_time(p.created_us), "updated_at": block_time(p.updated_us), "zone": p.zone,
    })
}

pub(crate) fn private_nic(n: &Nic) -> Value {
    json!({
        "id": n.id, "private_network_id": n.network, "server_id": n.server, "mac_address": n.mac,
        "state": if n.attached { "available" } else { "syncing" }, "creation_date": instance_time(n.created_us),
        "modification_date": instance_time(n.updated_us), "zone": n.zone, "tags": n.tags, "ipam_ip_ids": n.ips,
    })
}

pub(crate) fn interface(n: &Nic) -> Value {
    json!({
        "id": n.id, "private_network_id": n.network, "project_id": n.project, "server_id": n.server,
        "security_group_id": "", "mac_address": n.mac, "status": if n.attached { "available" } else { "attaching" },
        "ip_ids": n.ips, "tags": n.tags, "created_at": block_time(n.created_us), "updated_at": block_time(n.updated_us),
    })
}
