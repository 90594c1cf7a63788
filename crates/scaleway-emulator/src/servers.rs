//! Servers: list, get, change, delete.

use crate::answer::{self, Answer};
use crate::options::DETACH_AT_END;
use crate::request::Req;
use crate::wire;
use crate::world::{Server, World};
use serde_json::{Value, json};

pub(crate) fn missing(id: &str) -> Answer {
    answer::not_found("instance_server", id)
}

/// The server with that id in the request's zone.
pub(crate) fn find<'w>(world: &'w mut World, req: &Req<'_>, id: &str) -> Result<&'w mut Server, Answer> {
    world.servers.get_mut(id).filter(|s| s.zone == req.zone).ok_or_else(|| missing(id))
}

/// The server as an answer, in its envelope.
pub(crate) fn show(world: &World, id: &str) -> Answer {
    match world.servers.get(id) {
        Some(s) => answer::json(200, json!({"server": wire::server(world, s)})),
        None => missing(id),
    }
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let ids = req.params("servers");
    let wanted = |s: &&Server| {
        s.zone == req.zone
            && req.param("name").is_none_or(|n| s.name.contains(n))
            && req.param("project").is_none_or(|p| s.project == p)
            && req.param("state").is_none_or(|v| s.state == v)
            && req.param("commercial_type").is_none_or(|v| s.commercial_type == v)
            && tags.iter().all(|t| s.tags.iter().any(|have| have == t))
            && (ids.is_empty() || ids.contains(&s.id.as_str()))
    };
    let mut found: Vec<&Server> = world.servers.values().filter(wanted).collect();
    found.sort_by(|a, b| (b.created_us, &b.id).cmp(&(a.created_us, &a.id)));
    let (page, size) = req.page("per_page", 50);
    let shown: Vec<Value> =
        found.iter().skip((page - 1).saturating_mul(size)).take(size).map(|s| wire::server(world, s)).collect();
    let mut answer = answer::json(200, json!({"servers": shown}));
    answer.headers = req.paging_headers("/servers", found.len(), page, size);
    answer
}

pub(crate) fn get(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Ok(_) => show(world, id),
        Err(answer) => answer,
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match find(world, req, id).and(req.json()) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    if let Some(map) = body.get("volumes") {
        let Some(map) = map.as_object() else {
            return answer::invalid("volumes", "format", "expected a map");
        };
        if let Err(answer) = crate::attach::replace(world, id, map) {
            return answer;
        }
    }
    let now = world.now();
    if let Some(s) = world.servers.get_mut(id) {
        s.modified_us = now;
        if let Some(name) = body.get("name").and_then(Value::as_str) {
            name.clone_into(&mut s.name);
        }
        if let Some(tags) = body.get("tags").and_then(Value::as_array) {
            s.tags = tags.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect();
        }
        if let Some(wanted) = body.get("dynamic_ip_required").and_then(Value::as_bool) {
            s.dynamic_ip_required = wanted;
        }
    }
    show(world, id)
}

/// Only a stopped server can be deleted; every volume stays, except (as nobody has seen otherwise) scratch.
pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Ok(s) if s.state == "stopped" => {}
        Ok(_) => return answer::precondition(400, "resource_not_usable", "server should be stopped"),
        Err(answer) => return answer,
    }
    let Some(server) = world.servers.remove(id) else { return missing(id) };
    for slot in server.slots.values() {
        if slot.block {
            world.detach_block(&slot.volume, DETACH_AT_END);
        } else if let Some(v) = world.locals.get_mut(&slot.volume) {
            v.server = None;
            if v.kind == "scratch" && !world.options.scratch_survives_delete {
                world.locals.remove(&slot.volume);
            }
        }
    }
    world.free_ips(id);
    answer::no_content()
}
