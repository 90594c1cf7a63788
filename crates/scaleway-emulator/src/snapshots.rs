//! Snapshots of local volumes.

use crate::answer::{self, Answer};
use crate::clock::instance_time;
use crate::event::Event;
use crate::held::Snapshot;
use crate::history::Change;
use crate::options::{SNAPSHOT, SNAPSHOT_EXPORT};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

fn missing(id: &str) -> Answer {
    answer::not_found("instance_snapshot", id)
}

fn find<'w>(world: &'w mut World, req: &Req<'_>, id: &str) -> Result<&'w mut Snapshot, Answer> {
    world.held.snapshots.get_mut(id).filter(|s| s.zone == req.zone).ok_or_else(|| missing(id))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let wanted = |s: &&Snapshot| {
        s.zone == req.zone
            && req.param("name").is_none_or(|n| s.name.contains(n))
            && req.param("project").is_none_or(|p| s.project == p)
            && req.param("organization").is_none_or(|o| world.options.project == o)
            && req.param("base_volume_id").is_none_or(|v| s.base.as_ref().is_some_and(|(id, _)| id == v))
            && tags.iter().all(|t| s.tags.iter().any(|have| have == t))
    };
    let mut items: Vec<&Snapshot> = world.held.snapshots.values().filter(wanted).collect();
    items.sort_by(|a, b| (b.created_us, &b.id).cmp(&(a.created_us, &a.id)));
    req.instance_page("/snapshots", "snapshots", &items, 50, |s| wire::snapshot(world, s))
}

/// Begins a snapshot of a local volume.
pub(crate) fn take(world: &mut World, name: &str, volume: &str, tags: Vec<String>) -> Option<Snapshot> {
    let (id, now) = (world.new_id(), world.now());
    let v = world.held.locals.get_mut(volume)?;
    "snapshotting".clone_into(&mut v.state);
    let snapshot = Snapshot {
        id: id.clone(),
        zone: v.zone.clone(),
        name: name.to_owned(),
        project: v.project.clone(),
        kind: v.kind.clone(),
        size: v.size,
        state: "snapshotting".to_owned(),
        base: Some((v.id.clone(), v.name.clone())),
        tags,
        created_us: now,
        modified_us: now,
    };
    world.held.snapshots.insert(id.clone(), snapshot.clone());
    let ms = world.duration_ms(SNAPSHOT);
    world.later(ms, Event::Snapshot { snapshot: id, state: "available".to_owned() });
    Some(snapshot)
}

fn task(world: &mut World, zone: &str, description: &str, from: &str, result: &str) -> Value {
    let fake = world.has(Change::FakeTasks);
    let id = if fake { crate::answer::FAKE_TASK.to_owned() } else { world.new_id() };
    json!({
        "id": id, "description": if fake { "fake task" } else { description }, "status": "pending", "href_from": from, "href_result": result,
        "started_at": instance_time(world.now()), "terminated_at": null, "progress": 0, "zone": zone,
    })
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    if let (Some(_), Some(_)) = (text("bucket"), text("key")) {
        return import(world, req, &body);
    }
    let Some(volume) = text("volume_id") else {
        return answer::invalid("volume_id", "required", "required key not provided");
    };
    match world.held.locals.get(volume).filter(|v| v.zone == req.zone) {
        None => return answer::not_found("instance_volume", volume),
        Some(v) if v.kind == "scratch" => {
            return answer::invalid("volume_id", "constraint", "scratch volumes cannot be snapshotted");
        }
        Some(_) => {}
    }
    let Some(mut snapshot) = take(world, text("name").unwrap_or("snapshot"), volume, strings(body.get("tags"))) else {
        return answer::not_found("instance_volume", volume);
    };
    if !world.has(Change::FakeTasks) {
        // The answer shows a later state than the next read.
        "available".clone_into(&mut snapshot.state);
    }
    let result = format!("snapshots/{}", snapshot.id);
    let task = task(world, req.zone, "volume_snapshot", "/snapshots", &result);
    answer::json(201, json!({"snapshot": wire::snapshot(world, &snapshot), "task": task}))
}

pub(crate) fn get(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id).map(|s| s.clone()) {
        Ok(s) => answer::json(200, json!({"snapshot": wire::snapshot(world, &s)})),
        Err(answer) => answer,
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let now = world.now();
    match find(world, req, id) {
        Ok(s) => {
            s.modified_us = now;
            if let Some(name) = body.get("name").and_then(Value::as_str) {
                name.clone_into(&mut s.name);
            }
            if body.get("tags").is_some_and(Value::is_array) {
                s.tags = strings(body.get("tags"));
            }
        }
        Err(answer) => return answer,
    }
    get(world, req, id)
}

/// Imports a snapshot from an object; its size is that of the disk in it.
fn import(world: &mut World, req: &Req<'_>, body: &Value) -> Answer {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let (bucket, key) = (text("bucket").unwrap_or_default(), text("key").unwrap_or_default());
    let size = body.get("size").and_then(Value::as_i64).filter(|s| *s > 0);
    let (id, now) = (world.new_id(), world.now());
    let snapshot = Snapshot {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or("snapshot").to_owned(),
        project: text("project").unwrap_or(&world.options.project).to_owned(),
        kind: text("volume_type").unwrap_or("l_ssd").to_owned(),
        size: size.unwrap_or_else(|| world.size_of_object(bucket, key)),
        state: "importing".to_owned(),
        base: None,
        tags: strings(body.get("tags")),
        created_us: now,
        modified_us: now,
    };
    let shown = wire::snapshot(world, &snapshot);
    world.held.snapshots.insert(id.clone(), snapshot);
    let ms = world.duration_ms(SNAPSHOT_EXPORT);
    world.later(ms, Event::Snapshot { snapshot: id.clone(), state: "available".to_owned() });
    let task = task(world, req.zone, "import_snapshot", "/snapshots", &format!("snapshots/{id}"));
    answer::json(201, json!({"snapshot": shown, "task": task}))
}

pub(crate) fn export(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let (Some(bucket), Some(key)) = (text("bucket"), text("key")) else {
        return answer::invalid("bucket", "required", "required key not provided");
    };
    let region = req.zone.rsplit_once('-').map_or(req.zone, |(region, _)| region);
    let result = format!("https://s3.{region}.scw.cloud/{bucket}/{key}");
    let size = match find(world, req, id) {
        Ok(s) => {
            "exporting".clone_into(&mut s.state);
            s.size
        }
        Err(answer) => return answer,
    };
    world.held.objects.insert(format!("{bucket}/{key}"), size);
    let ms = world.duration_ms(SNAPSHOT_EXPORT);
    world.later(ms, Event::Snapshot { snapshot: id.to_owned(), state: "available".to_owned() });
    let from = format!("/snapshots/{id}/export");
    let task = task(world, req.zone, "export_snapshot", &from, &result);
    answer::json(202, json!({ "task": task }))
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Ok(_) => {
            // The volume it was being created from is no longer busy.
            let now = world.now();
            world.end_snapshot(id, "available".to_owned(), now);
            world.held.snapshots.remove(id);
            answer::no_content()
        }
        Err(answer) => answer,
    }
}
