//! `POST /servers`: what a new server gets. Creation never boots.

use crate::answer::{self, Answer};
use crate::catalogue::{self, Image, Type};
use crate::options::{BLOCK_CREATE, StockRefusal};
use crate::request::Req;
use crate::wire;
use crate::world::{Block, Event, Local, Server, Slot, World};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const GB: i64 = 1_000_000_000;

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    match check(world, req, &body) {
        Ok(wanted) => make(world, req, &body, &wanted),
        Err(answer) => answer,
    }
}

struct Wanted {
    kind: &'static Type,
    image: Option<&'static Image>,
    volumes: Map<String, Value>,
}

fn check(world: &World, req: &Req<'_>, body: &Value) -> Result<Wanted, Answer> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let (kind, image) = (text("commercial_type"), text("image"));
    let volumes = body.get("volumes").filter(|v| !v.is_null());
    let required = "required key not provided";
    let mut missing = Vec::new();
    if kind.is_none() {
        missing.push(("commercial_type", "required", required));
    }
    if image.is_none() && volumes.is_none() {
        missing.extend([("image", "required", required), ("volumes", "required", required)]);
    }
    if !missing.is_empty() {
        return Err(answer::invalid_all(&missing));
    }
    let kind = kind
        .and_then(|k| catalogue::find(k, req.zone))
        .ok_or_else(|| answer::invalid("commercial_type", "constraint", "unknown commercial type in this zone"))?;
    let image = match image {
        Some(id) => Some(Image::by_id(id, req.zone).ok_or_else(|| answer::not_found("instance_image", id))?),
        None => None,
    };
    if image.is_some_and(|i| !(i.fits)(kind)) {
        return Err(answer::invalid("image", "constraint", "image is not compatible with the commercial type"));
    }
    let volumes = match volumes {
        None => Map::new(),
        Some(v) => v.as_object().cloned().ok_or_else(|| answer::invalid("volumes", "format", "expected a map"))?,
    };
    check_volumes(world, req, &volumes)?;
    refuse_what_is_not_to_be_had(world, req, kind)?;
    Ok(Wanted { kind, image, volumes })
}

fn check_volumes(world: &World, req: &Req<'_>, volumes: &Map<String, Value>) -> Result<(), Answer> {
    if volumes.len() > 16 {
        return Err(answer::invalid("volumes", "constraint", "at most 16 volumes"));
    }
    for (index, template) in volumes {
        if index.parse::<u32>().is_err() {
            return Err(answer::invalid("volumes", "format", "keys are numbers"));
        }
        let Some(id) = template.get("id").and_then(Value::as_str) else { continue };
        let block = world.blocks.get(id).filter(|v| v.zone == req.zone);
        let local = world.locals.get(id).filter(|v| v.zone == req.zone);
        match (block, local) {
            (None, None) => return Err(answer::not_found("instance_volume", id)),
            (Some(v), _) if v.reference.is_some() => {
                return Err(answer::invalid("volumes", "constraint", "volume is already attached"));
            }
            (_, Some(v)) if v.server.is_some() => {
                return Err(answer::invalid("volumes", "constraint", "volume is already attached"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse_what_is_not_to_be_had(world: &World, req: &Req<'_>, kind: &Type) -> Result<(), Answer> {
    let key = (req.zone.to_owned(), kind.name.to_owned());
    if world.options.stock_refusal == StockRefusal::Create && world.options.out_of_stock.contains(&key) {
        return Err(answer::out_of_stock(kind.name));
    }
    let held = world.servers.values().filter(|s| s.zone == req.zone).count();
    match world.options.server_quota {
        Some(quota) if held >= quota => Err(answer::quota("InstanceServers", quota)),
        _ => Ok(()),
    }
}

fn make(world: &mut World, req: &Req<'_>, body: &Value, wanted: &Wanted) -> Answer {
    let (id, now) = (world.new_id(), world.now());
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let project = text("project").unwrap_or_else(|| world.options.project.clone());
    let tags = body
        .get("tags")
        .and_then(Value::as_array)
        .map(|t| t.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect());
    let mac = format!("de:00:00:{:02x}:{:02x}:{:02x}", world.pick(256), world.pick(256), world.pick(256));
    let server = Server {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or_else(|| format!("srv-{}", &id[..8])),
        project,
        commercial_type: wanted.kind.name.to_owned(),
        image: wanted.image.map(|i| i.id(req.zone)),
        tags: tags.unwrap_or_default(),
        state: "stopped",
        detail: "",
        slots: BTreeMap::new(),
        dynamic_ip_required: body.get("dynamic_ip_required").and_then(Value::as_bool).unwrap_or(true),
        dynamic_ip: None,
        security_group: "5ec00000-0000-4000-8000-000000000001".to_owned(),
        user_data: BTreeMap::new(),
        created_us: now,
        modified_us: now,
        mac,
        actions_from_us: 0,
        epoch: 0,
    };
    world.servers.insert(id.clone(), server);
    give_volumes(world, &id, wanted);
    for ip in body.get("public_ips").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if let Some(ip) = world.ips.get_mut(ip) {
            ip.server = Some(id.clone());
        }
    }
    let Some(server) = world.servers.get(&id) else { return crate::servers::missing(&id) };
    answer::created("servers", req.zone, &id, json!({"server": wire::server(world, server)}))
}

/// The boot volume (automatic unless one is given), the volumes asked for, and scratch where the type has it.
fn give_volumes(world: &mut World, server: &str, wanted: &Wanted) {
    let root = wanted.volumes.get("0");
    let given = root.and_then(|t| t.get("id")).is_some();
    if !given && let Some(image) = wanted.image {
        give_root(world, server, wanted.kind, image, root);
    }
    for (index, template) in &wanted.volumes {
        let Ok(index) = index.parse::<u32>() else { continue };
        if index > 0 || given {
            give_asked(world, server, index, template);
        }
    }
    let has_scratch = world.servers.get(server).is_some_and(|s| {
        s.slots.values().any(|slot| world.locals.get(&slot.volume).is_some_and(|v| v.kind == "scratch"))
    });
    if wanted.kind.scratch_max > 0 && wanted.volumes.is_empty() && !has_scratch {
        let name = "autogenerated scratch volume".to_owned();
        give_local(world, server, free_index(world, server), "scratch", name, wanted.kind.scratch_max, false);
    }
}

fn free_index(world: &World, server: &str) -> u32 {
    let slots = world.servers.get(server).map(|s| &s.slots);
    (0..).find(|i| slots.is_none_or(|s| !s.contains_key(i))).unwrap_or(0)
}

fn give_root(world: &mut World, server: &str, kind: &Type, image: &Image, template: Option<&Value>) {
    let asked = template.and_then(|t| t.get("size")).and_then(Value::as_i64);
    let boot = template.and_then(|t| t.get("boot")).and_then(Value::as_bool).unwrap_or(false);
    if image.local {
        // A template without a size gets the image's size; no template at all gets all that the type has.
        let default = if template.is_some() || kind.local_max == 0 { image.size } else { kind.local_max };
        give_local(world, server, 0, "l_ssd", image.name.to_owned(), asked.unwrap_or(default), boot);
    } else {
        let zone = world.servers.get(server).map(|s| s.zone.clone()).unwrap_or_default();
        let name = format!("{}_sbs_volume_0", image.name);
        let snapshot = Some(image.snapshot_id(&zone));
        let id = new_block(world, server, name, asked.unwrap_or(image.size).max(image.size), snapshot);
        put(world, server, 0, Slot { volume: id, block: true, boot });
    }
}

fn new_block(world: &mut World, server: &str, name: String, size: i64, parent_snapshot: Option<String>) -> String {
    let (id, now) = (world.new_id(), world.now());
    let (zone, project) = world.servers.get(server).map(|s| (s.zone.clone(), s.project.clone())).unwrap_or_default();
    let volume = Block {
        id: id.clone(),
        zone,
        name,
        project,
        tags: Vec::new(),
        size,
        iops: 5_000,
        status: "creating",
        reference: None,
        parent_snapshot,
        created_us: now,
        updated_us: now,
        detached_us: None,
        coming: None,
    };
    world.blocks.insert(id.clone(), volume);
    world.attach_block(&id, server, true);
    let ms = world.duration_ms(BLOCK_CREATE);
    world.later(ms, Event::Made { volume: id.clone() });
    id
}

fn give_asked(world: &mut World, server: &str, index: u32, template: &Value) {
    let boot = template.get("boot").and_then(Value::as_bool).unwrap_or(false);
    if let Some(id) = template.get("id").and_then(Value::as_str) {
        let block = world.blocks.contains_key(id);
        if block {
            world.attach_block(id, server, false);
        } else if let Some(v) = world.locals.get_mut(id) {
            v.server = Some(server.to_owned());
        }
        put(world, server, index, Slot { volume: id.to_owned(), block, boot });
        return;
    }
    let size = template.get("size").and_then(Value::as_i64).unwrap_or(10 * GB);
    let name = template.get("name").and_then(Value::as_str).unwrap_or("volume").to_owned();
    match template.get("volume_type").and_then(Value::as_str) {
        Some("l_ssd") => give_local(world, server, index, "l_ssd", name, size, boot),
        Some("scratch") => give_local(world, server, index, "scratch", name, size, boot),
        _ => {
            let id = new_block(world, server, name, size, None);
            put(world, server, index, Slot { volume: id, block: true, boot });
        }
    }
}

fn give_local(world: &mut World, server: &str, index: u32, kind: &'static str, name: String, size: i64, boot: bool) {
    let (id, now) = (world.new_id(), world.now());
    let (zone, project) = world.servers.get(server).map(|s| (s.zone.clone(), s.project.clone())).unwrap_or_default();
    let volume = Local {
        id: id.clone(),
        zone,
        name,
        kind,
        project,
        tags: Vec::new(),
        size,
        server: Some(server.to_owned()),
        state: "available",
        created_us: now,
        modified_us: now,
    };
    world.locals.insert(id.clone(), volume);
    put(world, server, index, Slot { volume: id, block: false, boot });
}

fn put(world: &mut World, server: &str, index: u32, slot: Slot) {
    if let Some(s) = world.servers.get_mut(server) {
        s.slots.insert(index, slot);
    }
}
