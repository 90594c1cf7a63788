//! Block Storage volumes, `v1` and `v1alpha1`: objects without an envelope, 200 on creation, no paging headers.

use crate::answer::{self, Answer, Body};
use crate::event::Event;
use crate::held::Block;
use crate::options::{BLOCK_CREATE, BLOCK_UPDATE, DeleteInUse};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::Value;

const GB: i64 = 1_000_000_000;

fn missing(id: &str) -> Answer {
    answer::not_found("volume", id)
}

fn show(world: &World, id: &str) -> Answer {
    world.held.blocks.get(id).map_or_else(|| missing(id), |v| answer::json(200, wire::block(world, v)))
}

/// Turns a `v1` answer into one of the older `v1alpha1`, without the fields that were added later.
pub(crate) fn as_alpha(mut answer: Answer) -> Answer {
    fn strip(value: &mut Value) {
        if let Some(object) = value.as_object_mut() {
            object.remove("kms_key_id");
            object.remove("public");
        }
    }
    if let Body::Json(value) = &mut answer.body {
        strip(value);
        for list in ["volumes", "snapshots"] {
            value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(strip);
        }
    }
    answer
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let (tags, ids, exact) = (req.params("tags"), req.params("volume_ids"), world.options.block_name_exact);
    let wanted = |v: &&Block| {
        v.zone == req.zone
            && req.param("name").is_none_or(|n| if exact { v.name == n } else { v.name.contains(n) })
            && req.param("project_id").or(req.param("organization_id")).is_none_or(|p| v.project == p)
            && req.param("volume_type").is_none_or(|t| t == if v.iops == 15_000 { "sbs_15k" } else { "sbs_5k" })
            && req.param("product_resource_id").is_none_or(|id| v.reference.as_ref().is_some_and(|r| r.server == id))
            && (tags.is_empty() || tags.iter().any(|t| v.tags.iter().any(|have| have == t)))
            && (ids.is_empty() || ids.contains(&v.id.as_str()))
    };
    let mut found: Vec<&Block> = world.held.blocks.values().filter(wanted).collect();
    found.sort_by(|a, b| (a.created_us, &a.id).cmp(&(b.created_us, &b.id)));
    if req.param("order_by") == Some("created_at_desc") {
        found.reverse();
    }
    req.block_page("volumes", found, |v| wire::block(world, v))
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let source = match source(world, req, &body) {
        Ok(source) => source,
        Err(answer) => return answer,
    };
    if let Some(answer) = wrong_size(source.size).or_else(|| wrong_iops(&body)) {
        return answer;
    }
    if let Some(max) = world.options.volume_quota
        && world.held.blocks.values().filter(|v| v.zone == req.zone).count() >= max
    {
        return answer::quota("sbs_volumes", max);
    }
    let (id, now) = (world.new_id(), world.now());
    let volume = Block {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or_else(|| format!("vol-{}", &id[..8])),
        project: text("project_id").unwrap_or_else(|| world.options.project.clone()),
        tags: strings(body.get("tags")),
        size: source.size,
        iops: body.get("perf_iops").and_then(Value::as_i64).unwrap_or(5_000),
        status: "creating".to_owned(),
        reference: None,
        parent_snapshot: source.snapshot,
        created_us: now,
        updated_us: now,
        detached_us: None,
        grows: false,
        freeing: false,
        coming: None,
    };
    let answer = answer::json(200, wire::block(world, &volume));
    world.held.blocks.insert(id.clone(), volume);
    let ms = world.duration_ms(BLOCK_CREATE);
    world.later(ms, Event::Made { volume: id });
    answer
}

/// The source of a new volume.
struct Source {
    size: i64,
    snapshot: Option<String>,
}

fn source(world: &World, req: &Req<'_>, body: &Value) -> Result<Source, Answer> {
    let int = |v: &Value| v.get("size").and_then(Value::as_i64);
    if let Some(from) = body.get("from_snapshot").filter(|f| f.is_object()) {
        let id = from.get("snapshot_id").and_then(Value::as_str).unwrap_or_default();
        let found = world.held.block_snapshots.get(id).filter(|s| s.zone == req.zone);
        let snapshot = found.ok_or_else(|| answer::not_found("snapshot", id))?;
        let size = int(from).filter(|size| *size != 0).unwrap_or(snapshot.size);
        if size < snapshot.size {
            let help = format!(
                "size, when provided, must be equal to or larger than the size of the source snapshot. \
                 Here the requested volume size is '{size}' whereas snapshot size is '{}'",
                snapshot.size
            );
            return Err(answer::precondition(412, "resource_not_usable", &help));
        }
        return Ok(Source { size, snapshot: Some(id.to_owned()) });
    }
    let size = body.get("from_empty").and_then(int);
    let size = size.ok_or_else(|| answer::invalid("from_empty", "required", "required key not provided"))?;
    Ok(Source { size, snapshot: None })
}

fn wrong_size(size: i64) -> Option<Answer> {
    let bad = !(GB..=10_000 * GB).contains(&size) || size % GB != 0;
    bad.then(|| answer::invalid("size", "constraint", "size is in bytes: whole GB from 1 GB to 10 TB"))
}

fn wrong_iops(body: &Value) -> Option<Answer> {
    let iops = body.get("perf_iops").filter(|v| !v.is_null())?;
    (!matches!(iops.as_i64(), Some(5_000 | 15_000)))
        .then(|| answer::invalid("perf_iops", "constraint", "perf_iops is 5000 or 15000"))
}

pub(crate) fn get(world: &World, req: &Req<'_>, id: &str) -> Answer {
    match world.held.blocks.get(id).filter(|v| v.zone == req.zone) {
        Some(_) => show(world, id),
        None => missing(id),
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(before) = world.held.blocks.get(id).filter(|v| v.zone == req.zone).cloned() else { return missing(id) };
    let size = body.get("size").and_then(Value::as_i64).unwrap_or(before.size);
    let iops = body.get("perf_iops").and_then(Value::as_i64).unwrap_or(before.iops);
    if let Some(answer) = wrong_iops(&body) {
        return answer;
    }
    if size != before.size {
        if size < before.size {
            return answer::invalid("size", "constraint", "a volume can only grow");
        }
        if let Some(answer) = wrong_size(size) {
            return answer;
        }
    }
    let changes = size != before.size || iops != before.iops;
    if changes && matches!(before.status.as_str(), "creating" | "updating") {
        let argument = if iops == before.iops { "size" } else { "perf_iops" };
        let help = format!("can't update {argument} when volume is not available");
        return answer::invalid(argument, "constraint", &help);
    }
    let (now, by_patch) = (world.now(), world.options.block_tags_by_patch);
    if let Some(v) = world.held.blocks.get_mut(id) {
        v.updated_us = now;
        if let Some(name) = body.get("name").and_then(Value::as_str) {
            name.clone_into(&mut v.name);
        }
        if by_patch && body.get("tags").is_some_and(Value::is_array) {
            v.tags = strings(body.get("tags"));
        }
        if changes {
            "updating".clone_into(&mut v.status);
            v.coming = Some((size, iops));
        }
    }
    if changes {
        let ms = world.duration_ms(BLOCK_UPDATE);
        world.later(ms, Event::Updated { volume: id.to_owned() });
    }
    show(world, id)
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let Some(v) = world.held.blocks.get(id).filter(|v| v.zone == req.zone) else { return missing(id) };
    if v.status != "available" && world.options.delete_in_use_block_volume == DeleteInUse::Refused {
        let help = format!("Volume is {}, deletion is not permitted.", v.status);
        return answer::precondition(412, "resource_still_in_use", &help);
    }
    world.held.blocks.remove(id);
    for server in world.held.servers.values_mut() {
        server.slots.retain(|_, slot| slot.volume != id);
    }
    answer::no_content()
}
