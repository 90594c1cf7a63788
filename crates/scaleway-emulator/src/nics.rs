//! Private network interfaces: `private_nics` of v1 and `private-network-interfaces` of v2alpha1.
//!
//! Private networks belong to another product: the emulator accepts any id.

use crate::answer::{self, Answer};
use crate::event::Event;
use crate::held::Nic;
use crate::options::NIC_ATTACH;
use crate::request::Req;
use crate::server_lookup;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

fn make(world: &mut World, req: &Req<'_>, server: &str, body: &Value, at_once: bool) -> Result<String, Answer> {
    let project = server_lookup::find(world, req, server)?.project.clone();
    let Some(network) = body.get("private_network_id").and_then(Value::as_str) else {
        return Err(answer::invalid("private_network_id", "required", "required key not provided"));
    };
    let given = strings(body.get("ip_ids").or(body.get("ipam_ip_ids")));
    let (id, now) = (world.new_id(), world.now());
    let ips = if given.is_empty() { vec![world.new_id(), world.new_id()] } else { given };
    let mac = format!("02:00:00:{:02x}:{:02x}:{:02x}", world.pick(256), world.pick(256), world.pick(256));
    let nic = Nic {
        id: id.clone(),
        zone: req.zone.to_owned(),
        project,
        network: network.to_owned(),
        server: server.to_owned(),
        mac,
        ips,
        tags: strings(body.get("tags")),
        attached: at_once,
        created_us: now,
        updated_us: now,
    };
    world.held.nics.insert(id.clone(), nic);
    if !at_once {
        let ms = world.duration_ms(NIC_ATTACH);
        world.later(ms, Event::Nic { nic: id.clone() });
    }
    Ok(id)
}

fn change(world: &mut World, req: &Req<'_>, id: &str) -> Result<(), Answer> {
    let body = req.json()?;
    let now = world.now();
    if let Some(nic) = world.held.nics.get_mut(id)
        && body.get("tags").is_some_and(Value::is_array)
    {
        nic.tags = strings(body.get("tags"));
        nic.updated_us = now;
    }
    Ok(())
}

/// `…/servers/{id}/private_nics`.
pub(crate) fn v1(world: &mut World, req: &Req<'_>, server: &str, rest: &[&str]) -> Option<Answer> {
    if let Err(answer) = server_lookup::find(world, req, server) {
        return Some(answer);
    }
    let own = |world: &World, id: &str| world.held.nics.get(id).is_some_and(|n| n.server == server);
    let missing = |id: &str| answer::not_found("instance_private_nic", id);
    let show = |world: &World, status: u16, id: &str| match world.held.nics.get(id) {
        Some(n) => answer::json(status, json!({"private_nic": wire::private_nic(n)})),
        None => missing(id),
    };
    Some(match (req.method, rest) {
        ("GET", []) => {
            let mut items: Vec<&Nic> = world.held.nics.values().filter(|n| n.server == server).collect();
            items.sort_by_key(|n| n.created_us);
            req.instance_page(&format!("/servers/{server}/private_nics"), "private_nics", &items, 50, |n| {
                wire::private_nic(n)
            })
        }
        ("POST", []) => match req.json().and_then(|body| make(world, req, server, &body, true)) {
            Ok(id) => show(world, 201, &id),
            Err(answer) => answer,
        },
        (_, [id]) if !own(world, id) => missing(id),
        ("GET", [id]) => show(world, 200, id),
        ("PATCH", [id]) => match change(world, req, id) {
            Ok(()) => show(world, 200, id),
            Err(answer) => answer,
        },
        ("DELETE", [id]) => {
            world.held.nics.remove(*id);
            answer::no_content()
        }
        _ => return None,
    })
}

/// `…/v2alpha1/…/private-network-interfaces`.
pub(crate) fn v2(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    let here = |world: &World, id: &str| world.held.nics.get(id).is_some_and(|n| n.zone == req.zone);
    let missing = |id: &str| answer::not_found("instance_private_nic", id);
    let show = |world: &World, id: &str| match world.held.nics.get(id) {
        Some(n) => answer::json(200, wire::interface(n)),
        None => missing(id),
    };
    Some(match (req.method, rest) {
        ("GET", []) => {
            let servers = req.params("server_ids");
            let networks = req.params("private_network_ids");
            let tags = req.params("tags");
            let wanted = |n: &&Nic| {
                n.zone == req.zone
                    && (servers.is_empty() || servers.contains(&n.server.as_str()))
                    && (networks.is_empty() || networks.contains(&n.network.as_str()))
                    && req.param("project_id").is_none_or(|p| n.project == p)
                    && tags.iter().all(|t| n.tags.iter().any(|have| have == t))
            };
            let mut items: Vec<&Nic> = world.held.nics.values().filter(wanted).collect();
            items.sort_by_key(|n| std::cmp::Reverse(n.created_us));
            if req.param("order_by") == Some("created_at_asc") {
                items.reverse();
            }
            req.block_page("private_network_interfaces", items, wire::interface)
        }
        ("POST", []) => {
            let made = req.json().and_then(|body| {
                let server = body.get("server_id").and_then(Value::as_str).unwrap_or_default().to_owned();
                make(world, req, &server, &body, false)
            });
            match made {
                Ok(id) => show(world, &id),
                Err(answer) => answer,
            }
        }
        (_, [id]) if !here(world, id) => missing(id),
        ("GET", [id]) => show(world, id),
        ("PATCH", [id]) => match change(world, req, id) {
            Ok(()) => show(world, id),
            Err(answer) => answer,
        },
        ("DELETE", [id]) => {
            world.held.nics.remove(*id);
            answer::no_content()
        }
        _ => return None,
    })
}
