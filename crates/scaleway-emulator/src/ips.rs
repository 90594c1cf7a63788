//! Flexible addresses: they survive every server. Dynamic ones are part of their server and are not listed here.

use crate::answer::{self, Answer};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::{Ip, World};
use serde_json::{Value, json};

fn missing(id: &str) -> Answer {
    answer::not_found("instance_ip", id)
}

/// By id or by address.
fn find(world: &World, req: &Req<'_>, id: &str) -> Option<String> {
    world.ips.values().find(|ip| ip.zone == req.zone && (ip.id == id || ip.address == id)).map(|ip| ip.id.clone())
}

fn show(world: &World, id: &str) -> Answer {
    world.ips.get(id).map_or_else(|| missing(id), |ip| answer::json(200, json!({"ip": wire::ip(ip, world)})))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let wanted = |ip: &&Ip| ip.zone == req.zone && req.param("project").is_none_or(|p| ip.project == p);
    let items: Vec<&Ip> = world.ips.values().filter(wanted).collect();
    req.instance_page("/ips", "ips", &items, 50, |ip| wire::ip(ip, world))
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let server = body.get("server").and_then(Value::as_str).map(str::to_owned);
    if let Some(id) = server.as_ref().filter(|id| !world.servers.contains_key(*id)) {
        return crate::servers::missing(id);
    }
    let id = world.new_id();
    let address = format!("51.158.{}.{}", world.pick(250) + 1, world.pick(250) + 1);
    let project = body.get("project").and_then(Value::as_str).unwrap_or(&world.options.project).to_owned();
    let ip =
        Ip { id: id.clone(), zone: req.zone.to_owned(), project, address, tags: strings(body.get("tags")), server };
    let value = json!({"ip": wire::ip(&ip, world)});
    world.ips.insert(id.clone(), ip);
    answer::created("ips", req.zone, &id, value)
}

pub(crate) fn get(world: &World, req: &Req<'_>, id: &str) -> Answer {
    find(world, req, id).map_or_else(|| missing(id), |id| show(world, &id))
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(id) = find(world, req, id) else { return missing(id) };
    if let Some(ip) = world.ips.get_mut(&id) {
        if let Some(server) = body.get("server") {
            ip.server = server.as_str().map(str::to_owned);
        }
        if body.get("tags").is_some_and(Value::is_array) {
            ip.tags = strings(body.get("tags"));
        }
    }
    show(world, &id)
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Some(id) => {
            world.ips.remove(&id);
            answer::no_content()
        }
        None => missing(id),
    }
}
