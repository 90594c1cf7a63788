//! Placement groups, shared by `v1` and `v2alpha1`.

use crate::answer::{self, Answer};
use crate::held::{Placement, Server};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

/// The API version of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

fn missing(id: &str) -> Answer {
    answer::not_found("instance_placement_group", id)
}

/// Checks a group id. A malformed id and an unknown id get different errors.
pub(crate) fn check(world: &World, id: &str) -> Result<(), Answer> {
    if world.held.placements.contains_key(id) {
        return Ok(());
    }
    Err(if uuid::Uuid::parse_str(id).is_ok() { missing(id) } else { answer::not_valid("placement_group") })
}

fn shown(world: &World, version: Version, p: &Placement) -> Value {
    match version {
        Version::V1 => json!({"placement_group": wire::placement_v1(world, p, true)}),
        Version::V2 => wire::placement_v2(p),
    }
}

pub(crate) fn list(world: &World, req: &Req<'_>, version: Version) -> Answer {
    let tags = req.params("tags");
    let wanted = |p: &&Placement| {
        p.zone == req.zone
            && req.param("name").is_none_or(|n| p.name.contains(n))
            && req.param("project").or(req.param("project_id")).is_none_or(|o| p.project == o)
            && tags.iter().all(|t| p.tags.iter().any(|have| have == t))
    };
    let mut items: Vec<&Placement> = world.held.placements.values().filter(wanted).collect();
    items.sort_by_key(|p| std::cmp::Reverse(p.created_us));
    match version {
        Version::V1 => req
            .instance_page("/placement_groups", "placement_groups", &items, 50, |p| wire::placement_v1(world, p, true)),
        Version::V2 => req.block_page("placement_groups", items, wire::placement_v2),
    }
}

fn read(p: &mut Placement, body: &Value) -> Result<(), Answer> {
    let word = |key: &str, words: &[&str], old: &str| match body.get(key).and_then(Value::as_str) {
        // A client without a choice may send its enum's "unknown" value.
        Some(w) if w.is_empty() || w.starts_with("unknown_") => Ok(old.to_owned()),
        Some(w) if words.contains(&w) => Ok(w.to_owned()),
        Some(_) => Err(answer::invalid(key, "constraint", &format!("expected one of {}", words.join(", ")))),
        None => Ok(old.to_owned()),
    };
    p.mode = word("policy_mode", &["optional", "enforced"], &p.mode)?;
    p.kind = word("policy_type", &["max_availability", "low_latency"], &p.kind)?;
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        name.clone_into(&mut p.name);
    }
    if body.get("tags").is_some_and(Value::is_array) {
        p.tags = strings(body.get("tags"));
    }
    Ok(())
}

pub(crate) fn create(world: &mut World, req: &Req<'_>, version: Version) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let (id, now) = (world.new_id(), world.now());
    let project = body.get("project").or(body.get("project_id")).and_then(Value::as_str);
    let mut p = Placement {
        id: id.clone(),
        zone: req.zone.to_owned(),
        project: project.unwrap_or(&world.options.project).to_owned(),
        name: String::new(),
        mode: "optional".to_owned(),
        kind: "max_availability".to_owned(),
        tags: Vec::new(),
        created_us: now,
        updated_us: now,
    };
    if let Err(answer) = read(&mut p, &body) {
        return answer;
    }
    let value = shown(world, version, &p);
    world.held.placements.insert(id.clone(), p);
    match version {
        Version::V1 => answer::created("placement_groups", req.zone, &id, value),
        Version::V2 => answer::json(200, value),
    }
}

pub(crate) fn get(world: &World, req: &Req<'_>, version: Version, id: &str) -> Answer {
    match world.held.placements.get(id).filter(|p| p.zone == req.zone) {
        Some(p) => answer::json(200, shown(world, version, p)),
        None => missing(id),
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, version: Version, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let now = world.now();
    let Some(p) = world.held.placements.get_mut(id).filter(|p| p.zone == req.zone) else { return missing(id) };
    p.updated_us = now;
    match read(p, &body) {
        Ok(()) => get(world, req, version, id),
        Err(answer) => answer,
    }
}

/// The servers of a group.
pub(crate) fn servers(world: &World, req: &Req<'_>, id: &str) -> Answer {
    if world.held.placements.get(id).is_none_or(|p| p.zone != req.zone) {
        return missing(id);
    }
    let mut own: Vec<&Server> = world.held.servers.values().filter(|s| s.placement.as_deref() == Some(id)).collect();
    own.sort_by(|a, b| (b.created_us, &b.id).cmp(&(a.created_us, &a.id)));
    let shown = own.iter().map(|s| json!({"id": s.id, "name": s.name, "policy_respected": true}));
    answer::json(200, json!({"servers": shown.collect::<Vec<_>>()}))
}

/// Replaces the servers of a group.
pub(crate) fn set_servers(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    if world.held.placements.get(id).is_none_or(|p| p.zone != req.zone) {
        return missing(id);
    }
    let wanted = strings(body.get("servers"));
    let here = |s: &String| world.held.servers.get(s).is_some_and(|s| s.zone == req.zone);
    if let Some(unknown) = wanted.iter().find(|s| !here(s)) {
        return crate::server_lookup::missing(unknown);
    }
    for server in world.held.servers.values_mut() {
        if wanted.contains(&server.id) {
            server.placement = Some(id.to_owned());
        } else if server.placement.as_deref() == Some(id) {
            server.placement = None;
        }
    }
    servers(world, req, id)
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    if world.held.placements.get(id).is_none_or(|p| p.zone != req.zone) {
        return missing(id);
    }
    world.held.placements.remove(id);
    for server in world.held.servers.values_mut().filter(|s| s.placement.as_deref() == Some(id)) {
        server.placement = None;
    }
    answer::no_content()
}
