//! Block Storage volumes, `v1` and `v1alpha1`: bare objects, 200 on creation, no paging headers.

use crate::answer::{self, Answer};
use crate::options::{BLOCK_CREATE, BLOCK_UPDATE, DeleteInUse};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::{Block, Event, World};
use serde_json::{Value, json};

const GB: i64 = 1_000_000_000;

fn missing(id: &str) -> Answer {
    answer::not_found("volume", id)
}

fn show(world: &World, id: &str) -> Answer {
    world.blocks.get(id).map_or_else(|| missing(id), |v| answer::json(200, wire::block(v)))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let (tags, ids) = (req.params("tags"), req.params("volume_ids"));
    let wanted = |v: &&Block| {
        v.zone == req.zone
            && req.param("name").is_none_or(|n| v.name.contains(n))
            && req.param("project_id").or(req.param("organization_id")).is_none_or(|p| v.project == p)
            && req.param("volume_type").is_none_or(|t| t == if v.iops == 15_000 { "sbs_15k" } else { "sbs_5k" })
            && req.param("product_resource_id").is_none_or(|id| v.reference.as_ref().is_some_and(|r| r.server == id))
            && (tags.is_empty() || tags.iter().any(|t| v.tags.iter().any(|have| have == t)))
            && (ids.is_empty() || ids.contains(&v.id.as_str()))
    };
    let mut found: Vec<&Block> = world.blocks.values().filter(wanted).collect();
    found.sort_by(|a, b| (a.created_us, &a.id).cmp(&(b.created_us, &b.id)));
    if req.param("order_by") == Some("created_at_desc") {
        found.reverse();
    }
    let (page, size) = req.page("page_size", 50);
    let shown: Vec<Value> =
        found.iter().skip((page - 1).saturating_mul(size)).take(size).map(|v| wire::block(v)).collect();
    answer::json(200, json!({"volumes": shown, "total_count": found.len()}))
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(size) = body.get("from_empty").and_then(|f| f.get("size")).and_then(Value::as_i64) else {
        return answer::invalid("from_empty", "required", "from_empty with a size in bytes is required");
    };
    if let Some(answer) = wrong_size(size).or_else(|| wrong_iops(&body)) {
        return answer;
    }
    let (id, now) = (world.new_id(), world.now());
    let volume = Block {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or_else(|| format!("vol-{}", &id[..8])),
        project: text("project_id").unwrap_or_else(|| world.options.project.clone()),
        tags: strings(body.get("tags")),
        size,
        iops: body.get("perf_iops").and_then(Value::as_i64).unwrap_or(5_000),
        status: "creating",
        reference: None,
        parent_snapshot: None,
        created_us: now,
        updated_us: now,
        detached_us: None,
        coming: None,
    };
    let answer = answer::json(200, wire::block(&volume));
    world.blocks.insert(id.clone(), volume);
    let ms = world.duration_ms(BLOCK_CREATE);
    world.later(ms, Event::Made { volume: id });
    answer
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
    match world.blocks.get(id).filter(|v| v.zone == req.zone) {
        Some(_) => show(world, id),
        None => missing(id),
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(before) = world.blocks.get(id).filter(|v| v.zone == req.zone).cloned() else { return missing(id) };
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
    if changes && before.status == "creating" {
        let argument = if iops == before.iops { "size" } else { "perf_iops" };
        let help = format!("can't update {argument} when volume is not available");
        return answer::invalid(argument, "constraint", &help);
    }
    let now = world.now();
    if let Some(v) = world.blocks.get_mut(id) {
        v.updated_us = now;
        if let Some(name) = body.get("name").and_then(Value::as_str) {
            name.clone_into(&mut v.name);
        }
        if body.get("tags").is_some_and(Value::is_array) {
            v.tags = strings(body.get("tags"));
        }
        if changes {
            v.status = "updating";
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
    let Some(v) = world.blocks.get(id).filter(|v| v.zone == req.zone) else { return missing(id) };
    if v.status != "available" && world.options.delete_in_use_block_volume == DeleteInUse::Refused {
        let help = format!("Volume is {}, deletion is not permitted.", v.status);
        return answer::precondition(412, "resource_still_in_use", &help);
    }
    world.blocks.remove(id);
    for server in world.servers.values_mut() {
        server.slots.retain(|_, slot| slot.volume != id);
    }
    answer::no_content()
}
