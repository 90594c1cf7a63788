//! Instance volumes: `l_ssd` and `scratch`. Ids of block volumes are not found here.

use crate::answer::{self, Answer};
use crate::held::Local;
use crate::request::Req;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

/// The maximum size of a local volume in bytes, more than any type allows.
const SIZES: std::ops::RangeInclusive<i64> = 1_000_000_000..=10_000_000_000_000;

fn wrong_size() -> Answer {
    answer::invalid("size", "constraint", "size is required, at least 1 GB and at most 10 TB")
}

fn missing(id: &str) -> Answer {
    answer::not_found("instance_volume", id)
}

fn show(world: &World, status: u16, id: &str) -> Answer {
    match world.held.locals.get(id) {
        Some(v) => answer::json(status, json!({"volume": wire::local(world, v)})),
        None => missing(id),
    }
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let wanted = |v: &&Local| {
        v.zone == req.zone
            && req.param("name").is_none_or(|n| v.name.contains(n))
            && req.param("project").is_none_or(|p| v.project == p)
            && req.param("volume_type").is_none_or(|k| v.kind == k)
            && tags.iter().all(|t| v.tags.iter().any(|have| have == t))
    };
    let mut items: Vec<&Local> = world.held.locals.values().filter(wanted).collect();
    items.sort_by(|a, b| (b.created_us, &b.id).cmp(&(a.created_us, &a.id)));
    req.instance_page("/volumes", "volumes", &items, 100, |v| wire::local(world, v))
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let kind = match body.get("volume_type").and_then(Value::as_str) {
        Some("l_ssd") => "l_ssd",
        Some("scratch") => "scratch",
        _ => return answer::invalid("volume_type", "constraint", "expected l_ssd or scratch"),
    };
    let base = body.get("base_snapshot").and_then(Value::as_str);
    let base = match base.map(|id| world.held.snapshots.get(id).filter(|s| s.zone == req.zone).ok_or(id)) {
        Some(Err(id)) => return answer::not_found("instance_snapshot", id),
        Some(Ok(snapshot)) => Some(snapshot.size),
        None => None,
    };
    let size = body.get("size").and_then(Value::as_i64).or(base).filter(|s| SIZES.contains(s));
    let Some(size) = size else { return wrong_size() };
    if let Some(max) = world.options.volume_quota
        && world.held.locals.values().filter(|v| v.zone == req.zone).count() >= max
    {
        return answer::quota("volumes", max);
    }
    let (id, now) = (world.new_id(), world.now());
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let volume = Local {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or_else(|| format!("vol-{}", &id[..8])),
        kind: kind.to_owned(),
        project: text("project").unwrap_or_else(|| world.options.project.clone()),
        tags: strings(body.get("tags")),
        size,
        server: None,
        state: "available".to_owned(),
        created_us: now,
        modified_us: now,
    };
    let value = json!({"volume": wire::local(world, &volume)});
    world.held.locals.insert(id.clone(), volume);
    answer::created("volumes", req.zone, &id, value)
}

pub(crate) fn get(world: &World, req: &Req<'_>, id: &str) -> Answer {
    match world.held.locals.get(id).filter(|v| v.zone == req.zone) {
        Some(_) => show(world, 200, id),
        None => missing(id),
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let now = world.now();
    let size = body.get("size").and_then(Value::as_i64);
    let Some(v) = world.held.locals.get_mut(id).filter(|v| v.zone == req.zone) else { return missing(id) };
    if size.is_some_and(|s| !SIZES.contains(&s)) {
        return wrong_size();
    }
    v.modified_us = now;
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        name.clone_into(&mut v.name);
    }
    if body.get("tags").is_some_and(Value::is_array) {
        v.tags = strings(body.get("tags"));
    }
    if let Some(size) = size {
        v.size = size;
    }
    show(world, 200, id)
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match world.held.locals.get(id).filter(|v| v.zone == req.zone) {
        None => missing(id),
        Some(v) if v.server.is_some() && !world.options.delete_attached_local_volume => {
            answer::precondition(400, "resource_still_in_use", "volume is attached to a server")
        }
        Some(_) => {
            for server in world.held.servers.values_mut() {
                server.slots.retain(|_, slot| slot.volume != id);
            }
            world.held.locals.remove(id);
            answer::no_content()
        }
    }
}

/// A list of strings in a body.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(|t| t.as_str().map(str::to_owned)).collect()
}
