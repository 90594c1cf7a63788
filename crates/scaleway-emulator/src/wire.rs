//! Resources as the real API writes them.

use crate::catalogue::Image;
use crate::clock::{block_time, instance_time};
use crate::world::{Block, Ip, Local, Server, World};
use serde_json::{Map, Value, json};

pub(crate) fn server(world: &World, s: &Server) -> Value {
    let volumes: Map<String, Value> =
        s.slots.iter().map(|(index, slot)| (index.to_string(), attached(world, s, slot))).collect();
    let flexible = world.ips.values().filter(|ip| ip.server.as_deref() == Some(&s.id)).map(|ip| server_ip(ip, false));
    let ips: Vec<Value> = flexible.chain(s.dynamic_ip.iter().map(|ip| server_ip(ip, true))).collect();
    let stopped = s.state == "stopped";
    let location =
        json!({"zone_id": s.zone, "platform_id": "14", "cluster_id": "16", "hypervisor_id": "302", "node_id": "47"});
    let hostname: String =
        s.name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let arch = crate::catalogue::find(&s.commercial_type, &s.zone).map_or("x86_64", |t| t.arch);
    let dns = if ips.is_empty() { Value::Null } else { json!(format!("{}.pub.instances.scw.cloud", s.id)) };
    json!({
        "id": s.id, "name": s.name, "arch": arch, "commercial_type": s.commercial_type, "boot_type": "local",
        "organization": s.project, "project": s.project, "hostname": hostname,
        "image": s.image.as_deref().and_then(|id| Image::by_id(id, &s.zone)).map(|i| image(i, &s.zone)),
        "volumes": volumes, "tags": s.tags, "state": s.state, "protected": false, "state_detail": s.detail,
        "public_ip": ips.first(), "public_ips": ips, "mac_address": s.mac, "routed_ip_enabled": true, "ipv6": null,
        "extra_networks": [], "dynamic_ip_required": s.dynamic_ip_required, "enable_ipv6": false, "private_ip": null,
        "creation_date": instance_time(s.created_us), "modification_date": instance_time(s.modified_us),
        "bootscript": null, "security_group": {"id": s.security_group, "name": "Default security group"},
        "location": if stopped { Value::Null } else { location }, "maintenances": [],
        "allowed_actions": allowed(world, s), "placement_group": null, "private_nics": [], "zone": s.zone,
        "filesystems": [], "end_of_service": false, "dns": dns,
        "admin_password_encryption_ssh_key_id": null, "admin_password_encrypted_value": "",
    })
}

/// What may be done to a server now.
pub(crate) fn allowed(world: &World, s: &Server) -> &'static [&'static str] {
    if world.now() < s.actions_from_us {
        return &[];
    }
    match s.state {
        "stopped" => &["poweron", "backup"],
        "running" => &["poweroff", "terminate", "reboot", "stop_in_place", "backup"],
        "stopped in place" => &["poweron", "poweroff", "terminate", "reboot", "backup"],
        _ => &["stop_in_place", "backup"],
    }
}

fn attached(world: &World, s: &Server, slot: &crate::world::Slot) -> Value {
    if slot.block {
        let state = world.blocks.get(&slot.volume).and_then(|v| v.reference.as_ref()).map(|r| r.status);
        let state = if state == Some("attaching") { "attaching" } else { "available" };
        return json!({"boot": slot.boot, "volume_type": "sbs_volume", "id": slot.volume, "state": state, "zone": s.zone});
    }
    let mut value = world.locals.get(&slot.volume).map_or(Value::Null, |v| local(world, v));
    if let Some(object) = value.as_object_mut() {
        object.insert("boot".to_owned(), json!(slot.boot));
        if s.detail == "terminating" {
            object.insert("state".to_owned(), json!("deleting"));
        }
    }
    value
}

pub(crate) fn local(world: &World, v: &Local) -> Value {
    let server = v.server.as_ref().and_then(|id| world.servers.get(id)).map(|s| json!({"id": s.id, "name": s.name}));
    json!({
        "id": v.id, "name": v.name, "volume_type": v.kind, "export_uri": null, "organization": v.project,
        "project": v.project, "server": server, "size": v.size, "state": v.state,
        "creation_date": instance_time(v.created_us), "modification_date": instance_time(v.modified_us),
        "tags": v.tags, "zone": v.zone,
    })
}

pub(crate) fn block(v: &Block) -> Value {
    let references: Vec<Value> = v
        .reference
        .iter()
        .map(|r| {
            json!({
                "id": r.id, "product_resource_type": "instance_server", "product_resource_id": r.server,
                "created_at": block_time(r.created_us), "type": "exclusive", "status": r.status,
            })
        })
        .collect();
    json!({
        "id": v.id, "name": v.name, "type": if v.iops == 15_000 { "sbs_15k" } else { "sbs_5k" }, "size": v.size,
        "project_id": v.project, "created_at": block_time(v.created_us), "updated_at": block_time(v.updated_us),
        "references": references, "parent_snapshot_id": v.parent_snapshot, "status": v.status, "tags": v.tags,
        "specs": {"perf_iops": v.iops, "class": "sbs"}, "last_detached_at": v.detached_us.map(block_time),
        "kms_key_id": null, "zone": v.zone,
    })
}

pub(crate) fn ip(v: &Ip, world: &World) -> Value {
    let server = v.server.as_ref().and_then(|id| world.servers.get(id)).map(|s| json!({"id": s.id, "name": s.name}));
    let state = if server.is_some() { "attached" } else { "detached" };
    json!({
        "id": v.id, "address": v.address, "prefix": null, "reverse": null, "server": server, "organization": v.project,
        "project": v.project, "zone": v.zone, "type": "routed_ipv4", "state": state, "tags": v.tags, "ipam_id": v.id,
    })
}

fn server_ip(v: &Ip, dynamic: bool) -> Value {
    json!({
        "id": v.id, "address": v.address, "dynamic": dynamic, "gateway": "62.210.0.1", "netmask": "32", "family": "inet",
        "provisioning_mode": "dhcp", "tags": v.tags, "state": if dynamic { "pending" } else { "attached" }, "ipam_id": v.id,
    })
}

pub(crate) fn image(i: &Image, zone: &str) -> Value {
    const OWNER: &str = "51b656e3-4865-41e8-adbc-0c45bdd780db";
    const MADE: &str = "2025-10-20T14:33:32.134908+00:00";
    let snapshot = i.snapshot_id(zone);
    let root = if i.local {
        json!({"volume_type": "l_ssd", "id": snapshot, "size": i.size, "name": i.name})
    } else {
        json!({"volume_type": "sbs_snapshot", "id": snapshot, "size": 0, "name": ""})
    };
    json!({
        "id": i.id(zone), "name": i.name, "organization": OWNER, "project": OWNER, "root_volume": root,
        "extra_volumes": {}, "public": true, "arch": i.arch, "creation_date": MADE, "modification_date": MADE,
        "default_bootscript": null, "from_server": "", "state": "available", "tags": [], "zone": zone,
    })
}
