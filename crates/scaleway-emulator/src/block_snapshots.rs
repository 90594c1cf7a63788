//! Snapshots of block volumes.

use crate::answer::{self, Answer};
use crate::catalogue;
use crate::event::Event;
use crate::held::BlockSnapshot;
use crate::options::{BLOCK_SNAPSHOT, BLOCK_SNAPSHOT_EXPORT};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

fn missing(id: &str) -> Answer {
    answer::not_found("snapshot", id)
}

fn exists(world: &World, req: &Req<'_>, id: &str) -> bool {
    world.held.block_snapshots.get(id).is_some_and(|s| s.zone == req.zone)
}

fn show(world: &World, id: &str) -> Answer {
    world
        .held
        .block_snapshots
        .get(id)
        .map_or_else(|| missing(id), |s| answer::json(200, wire::block_snapshot(world, s)))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let wanted = |s: &&BlockSnapshot| {
        s.zone == req.zone
            && req.param("name").is_none_or(|n| s.name.contains(n))
            && req.param("project_id").is_none_or(|p| s.project == p)
            && req.param("volume_id").is_none_or(|v| s.parent.as_ref().is_some_and(|(id, ..)| id == v))
            && (tags.is_empty() || tags.iter().any(|t| s.tags.iter().any(|have| have == t)))
    };
    let mut items: Vec<&BlockSnapshot> = world.held.block_snapshots.values().filter(wanted).collect();
    items.sort_by(|a, b| (a.created_us, &a.id).cmp(&(b.created_us, &b.id)));
    if req.param("order_by") == Some("created_at_desc") {
        items.reverse();
    }
    req.block_page("snapshots", items, |s| wire::block_snapshot(world, s))
}

/// Begins a snapshot of a block volume.
pub(crate) fn take(
    world: &mut World,
    name: &str,
    volume: &str,
    project: Option<&str>,
    tags: Vec<String>,
) -> Option<String> {
    let id = world.new_id();
    let v = world.held.blocks.get(volume)?;
    let kind = if v.iops == 15_000 { "sbs_15k" } else { "sbs_5k" };
    let parent = Some((v.id.clone(), v.name.clone(), kind.to_owned()));
    let project = project.unwrap_or(&v.project).to_owned();
    let (zone, size) = (v.zone.clone(), v.size);
    let snapshot = BlockSnapshot {
        id: id.clone(),
        zone: zone.clone(),
        name: name.to_owned(),
        project,
        size,
        parent,
        tags,
        ..BlockSnapshot::default()
    };
    insert(world, snapshot);
    Some(id)
}

/// Adds a snapshot that is being created.
fn insert(world: &mut World, snapshot: BlockSnapshot) {
    let id = snapshot.id.clone();
    let now = world.now();
    let snapshot =
        BlockSnapshot { status: "creating".to_owned(), public: false, created_us: now, updated_us: now, ..snapshot };
    world.held.block_snapshots.insert(id.clone(), snapshot);
    let ms = world.duration_ms(BLOCK_SNAPSHOT);
    world.later(ms, Event::BlockSnapshot { snapshot: id, status: "available".to_owned() });
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let Some(volume) = text("volume_id") else {
        return answer::invalid("volume_id", "required", "required key not provided");
    };
    match world.held.blocks.get(volume).filter(|v| v.zone == req.zone) {
        None => return answer::not_found("volume", volume),
        Some(v) if !matches!(v.status.as_str(), "available" | "in_use") => {
            return answer::precondition(412, "resource_not_usable", "the volume must be available or in use");
        }
        Some(_) => {}
    }
    match take(world, text("name").unwrap_or("snapshot"), volume, text("project_id"), strings(body.get("tags"))) {
        Some(id) => show(world, &id),
        None => answer::not_found("volume", volume),
    }
}

pub(crate) fn import(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let (Some(bucket), Some(key)) = (text("bucket"), text("key")) else {
        return answer::invalid("bucket", "required", "bucket and key are required");
    };
    let size = body.get("size").and_then(Value::as_i64).filter(|s| *s > 0);
    let size = size.unwrap_or_else(|| world.size_of_object(bucket, key));
    let project = text("project_id").unwrap_or(&world.options.project).to_owned();
    let id = world.new_id();
    let snapshot = BlockSnapshot {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or("snapshot").to_owned(),
        project,
        size,
        tags: strings(body.get("tags")),
        ..BlockSnapshot::default()
    };
    insert(world, snapshot);
    show(world, &id)
}

/// The snapshots of marketplace images belong to another account: 403.
pub(crate) fn get(world: &World, req: &Req<'_>, id: &str) -> Answer {
    if exists(world, req, id) {
        return show(world, id);
    }
    if catalogue::is_market_snapshot(id) || is_presupposed(world, id) {
        let details = json!([{"action": "read", "resource": "snapshot"}]);
        return answer::json(
            403,
            json!({"details": details, "message": "insufficient permissions", "type": "permissions_denied"}),
        );
    }
    missing(id)
}

/// Whether it is the root snapshot of a public image added with [`crate::Emulator::add_image`].
fn is_presupposed(world: &World, id: &str) -> bool {
    world.held.images.values().any(|i| i.public && i.root.snapshot == id && i.organization != world.options.project)
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let now = world.now();
    let Some(s) = world.held.block_snapshots.get_mut(id).filter(|s| s.zone == req.zone) else { return missing(id) };
    s.updated_us = now;
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        name.clone_into(&mut s.name);
    }
    if body.get("tags").is_some_and(Value::is_array) {
        s.tags = strings(body.get("tags"));
    }
    show(world, id)
}

pub(crate) fn export(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let now = world.now();
    if let (Some(bucket), Some(key), Some(s)) = (text("bucket"), text("key"), world.held.block_snapshots.get(id)) {
        let size = s.size;
        world.held.objects.insert(format!("{bucket}/{key}"), size);
    }
    match world.held.block_snapshots.get_mut(id).filter(|s| s.zone == req.zone) {
        None => return missing(id),
        Some(s) => {
            "exporting".clone_into(&mut s.status);
            s.updated_us = now;
        }
    }
    let ms = world.duration_ms(BLOCK_SNAPSHOT_EXPORT);
    world.later(ms, Event::BlockSnapshot { snapshot: id.to_owned(), status: "available".to_owned() });
    show(world, id)
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    if !exists(world, req, id) {
        return missing(id);
    }
    if world.held.images.values().any(|i| i.links.contains_key(id)) {
        return answer::precondition(
            412,
            "protected_resource",
            "Snapshot is currently in use, deletion is not permitted.",
        );
    }
    world.held.block_snapshots.remove(id);
    answer::no_content()
}
