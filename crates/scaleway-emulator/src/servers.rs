//! Servers: list, get, change, delete.

use crate::answer::{self, Answer};
use crate::catalogue;
use crate::held::{Ip, Server};
use crate::options::DETACH_AT_END;
use crate::request::Req;
use crate::server_lookup::{find, show};
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let (ids, any) = (req.params("servers"), world.options.server_tags_any);
    let has = |s: &Server| {
        let own: Vec<String> = s.tags.clone();
        move |t: &&str| own.iter().any(|have| have == t)
    };
    let wanted = |s: &&Server| {
        s.zone == req.zone
            && req.param("name").is_none_or(|n| s.name.contains(n))
            && req.param("project").is_none_or(|p| s.project == p)
            && req.param("state").is_none_or(|v| s.state == v)
            && req.param("commercial_type").is_none_or(|v| s.commercial_type == v)
            && (tags.is_empty() || if any { tags.iter().any(has(s)) } else { tags.iter().all(has(s)) })
            && (ids.is_empty() || ids.contains(&s.id.as_str()))
            && req.param("organization").is_none_or(|o| world.options.project == o)
            && is_reached_as_asked(world, req, s)
    };
    let mut found: Vec<&Server> = world.held.servers.values().filter(wanted).collect();
    found.sort_by(|a, b| (b.created_us, &b.id).cmp(&(a.created_us, &a.id)));
    match req.param("order") {
        Some("creation_date_asc") => found.reverse(),
        Some("modification_date_desc") => found.sort_by_key(|s| std::cmp::Reverse(s.modified_us)),
        Some("modification_date_asc") => found.sort_by_key(|s| s.modified_us),
        _ => {}
    }
    let (page, size) = req.page("per_page", 50);
    let shown: Vec<Value> =
        found.iter().skip(req.skip(page, size)).take(size).map(|s| wire::server(world, s)).collect();
    let mut answer = answer::json(200, json!({"servers": shown}));
    answer.headers = req.paging_headers("/servers", found.len(), page, size);
    answer
}

/// Whether a server matches the filters for addresses and private networks.
fn is_reached_as_asked(world: &World, req: &Req<'_>, s: &Server) -> bool {
    let networks = req.params("private_networks");
    let one = req.param("private_network");
    let nics = || world.held.nics.values().filter(|n| n.server == s.id);
    let flexible = world.held.ips.values().filter(|ip| ip.server.as_deref() == Some(&s.id));
    let addresses: Vec<&Ip> = flexible.chain(s.dynamic_ip.as_ref()).collect();
    req.param("with_ip").is_none_or(|ip| addresses.iter().any(|a| a.address.as_deref() == Some(ip)))
        && (addresses.is_empty() || req.flag("without_ip") != Some(true))
        && (networks.is_empty() || nics().any(|n| networks.contains(&n.network.as_str())))
        && one.is_none_or(|network| nics().any(|n| n.network == network))
        && req.param("private_nic_mac_address").is_none_or(|mac| nics().any(|n| n.mac == mac))
}

pub(crate) fn get(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Ok(_) => show(world, id),
        Err(answer) => answer,
    }
}

/// The security or placement group in a body: an id, or an object with one.
fn named(body: &Value, key: &str) -> Option<Option<String>> {
    let value = body.get(key)?;
    let id = value.as_str().or_else(|| value.get("id").and_then(Value::as_str));
    Some(id.filter(|id| !id.is_empty()).map(str::to_owned))
}

fn check_patch(world: &World, req: &Req<'_>, id: &str, body: &Value) -> Result<(), Answer> {
    if let Some(Some(placement)) = named(body, "placement_group") {
        crate::placements::check(world, &placement)?;
    }
    if let Some(Some(group)) = named(body, "security_group")
        && !world.held.groups.contains_key(&group)
    {
        return Err(answer::not_found("instance_security_group", &group));
    }
    if let Some(kind) = body.get("commercial_type").and_then(Value::as_str) {
        catalogue::find(kind, req.zone, world.now())
            .ok_or_else(|| answer::invalid("commercial_type", "constraint", "unknown commercial type in this zone"))?;
        let stopped = world.held.servers.get(id).is_some_and(|s| s.state == "stopped");
        if !stopped && world.held.servers.get(id).is_some_and(|s| s.commercial_type != kind) {
            return Err(answer::precondition(400, "resource_not_usable", "server should be stopped"));
        }
    }
    let ips = body.get("public_ips").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for ip in ips {
        crate::ips::find(world, req.zone, ip).ok_or_else(|| crate::ips::missing(ip))?;
    }
    Ok(())
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match find(world, req, id).and(req.json()) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    if let Err(answer) = check_patch(world, req, id, &body) {
        return answer;
    }
    if let Some(map) = body.get("volumes") {
        let Some(map) = map.as_object() else {
            return answer::invalid("volumes", "format", "expected a map");
        };
        if let Err(answer) = crate::attach::replace(world, id, map) {
            return answer;
        }
    }
    if let Some(ips) = body.get("public_ips").and_then(Value::as_array) {
        let wanted: Vec<String> =
            ips.iter().filter_map(Value::as_str).filter_map(|ip| crate::ips::find(world, req.zone, ip)).collect();
        for ip in world.held.ips.values_mut() {
            if wanted.contains(&ip.id) {
                ip.server = Some(id.to_owned());
            } else if ip.server.as_deref() == Some(id) {
                ip.server = None;
            }
        }
    }
    let now = world.now();
    if let Some(s) = world.held.servers.get_mut(id) {
        s.modified_us = now;
        write(s, &body);
    }
    world.give_dynamic_ip(id);
    world.tell_of_new_address(id);
    show(world, id)
}

/// Applies the simple fields of a body.
fn write(s: &mut Server, body: &Value) {
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| body.get(key).and_then(Value::as_bool);
    s.name = text("name").unwrap_or_else(|| s.name.clone());
    s.commercial_type = text("commercial_type").unwrap_or_else(|| s.commercial_type.clone());
    s.boot_type = text("boot_type").unwrap_or_else(|| s.boot_type.clone());
    if body.get("tags").is_some_and(Value::is_array) {
        s.tags = crate::volumes::strings(body.get("tags"));
    }
    s.dynamic_ip_required = flag("dynamic_ip_required").unwrap_or(s.dynamic_ip_required);
    s.protected = flag("protected").unwrap_or(s.protected);
    if let Some(placement) = named(body, "placement_group") {
        s.placement = placement;
    }
    if let Some(Some(group)) = named(body, "security_group") {
        s.security_group = group;
    }
    if let Some(key) = body.get("admin_password_encryption_ssh_key_id") {
        s.password_key = key.as_str().map(str::to_owned);
    }
}

/// Only a stopped server can be deleted. Its volumes stay, except scratch by default (no recording shows it).
pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let whatever = world.options.delete_running_server;
    match find(world, req, id) {
        Ok(s) if s.protected => {
            return answer::precondition(400, "protected_resource", "server is protected");
        }
        Ok(s) if s.state == "stopped" || whatever => {}
        Ok(_) => return answer::precondition(400, "resource_not_usable", "server should be stopped"),
        Err(answer) => return answer,
    }
    remove(world, id);
    answer::no_content()
}

/// Removes a server in any state.
pub(crate) fn remove(world: &mut World, id: &str) {
    let Some(server) = world.held.servers.remove(id) else { return };
    let scratch_stays = world.options.scratch_survives_delete;
    for slot in server.slots.values() {
        if slot.block {
            world.detach_block(&slot.volume, DETACH_AT_END);
            continue;
        }
        let gone = world.held.locals.get(&slot.volume).is_some_and(|v| v.kind == "scratch") && !scratch_stays;
        if gone {
            world.held.locals.remove(&slot.volume);
        } else if let Some(v) = world.held.locals.get_mut(&slot.volume) {
            v.server = None;
        }
    }
    world.held.nics.retain(|_, n| n.server != id);
    world.free_ips(id);
}

/// Resource counts of a zone.
pub(crate) fn dashboard(world: &World, req: &Req<'_>) -> Answer {
    let held = &world.held;
    let servers: Vec<&Server> = held.servers.values().filter(|s| s.zone == req.zone).collect();
    let mut by_type = std::collections::BTreeMap::<&str, usize>::new();
    for s in &servers {
        *by_type.entry(&s.commercial_type).or_default() += 1;
    }
    let locals = held.locals.values().filter(|v| v.zone == req.zone);
    let ips = held.ips.values().filter(|i| i.zone == req.zone);
    let dashboard = json!({
        "servers_count": servers.len(), "running_servers_count": servers.iter().filter(|s| s.state == "running").count(),
        "servers_by_types": by_type, "volumes_count": locals.clone().count(),
        "volumes_l_ssd_count": locals.clone().filter(|v| v.kind == "l_ssd").count(), "volumes_b_ssd_count": 0,
        "volumes_l_ssd_total_size": locals.filter(|v| v.kind == "l_ssd").fold(0_i64, |sum, v| sum.saturating_add(v.size)),
        "volumes_b_ssd_total_size": 0, "images_count": held.images.values().filter(|i| i.zone == req.zone).count(),
        "snapshots_count": held.snapshots.values().filter(|s| s.zone == req.zone).count(),
        "ips_count": ips.clone().count(), "ips_unused": ips.filter(|i| i.server.is_none()).count(),
        "security_groups_count": held.groups.values().filter(|g| g.zone == req.zone).count(),
        "placement_groups_count": held.placements.values().filter(|p| p.zone == req.zone).count(),
        "private_nics_count": held.nics.values().filter(|n| n.zone == req.zone).count(),
    });
    answer::json(200, json!({ "dashboard": dashboard }))
}
