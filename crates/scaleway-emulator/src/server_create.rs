//! `POST /servers`: creates a server with its volumes and addresses. Creation never boots it.

use crate::answer::{self, Answer};
use crate::catalogue::{self, Type};
use crate::event::Event;
use crate::held::{Block, ImageVolume, Local, Ordered, Server, Slot};
use crate::images::{self, Source};
use crate::options::{BLOCK_CREATE, StockRefusal};
use crate::request::Req;
use crate::wire;
use crate::world::World;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const GB: i64 = 1_000_000_000;
const REQUIRED: &str = "required key not provided";

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
    image: Option<Source>,
    volumes: Map<String, Value>,
    ips: Vec<String>,
    placement: Option<String>,
    group: Option<String>,
}

fn check(world: &World, req: &Req<'_>, body: &Value) -> Result<Wanted, Answer> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let (kind, image) = (text("commercial_type"), text("image"));
    let volumes = body.get("volumes").filter(|v| !v.is_null());
    let mut missing = Vec::new();
    if kind.is_none() {
        missing.push(("commercial_type", "required", REQUIRED));
    }
    if image.is_none() && volumes.is_none() {
        missing.extend([("image", "required", REQUIRED), ("volumes", "required", REQUIRED)]);
    }
    if !missing.is_empty() {
        return Err(answer::invalid_all(&missing));
    }
    let kind = kind
        .and_then(|k| catalogue::find(k, req.zone, world.now()))
        .ok_or_else(|| answer::invalid("commercial_type", "constraint", "unknown commercial type in this zone"))?;
    let image = match image {
        Some(id) => Some(images::source(world, id, req.zone).ok_or_else(|| answer::not_found("instance_image", id))?),
        None => None,
    };
    if image.as_ref().and_then(|i| i.compatible).is_some_and(|types| !types.contains(&kind.name)) {
        return Err(answer::invalid("image", "constraint", "image is not compatible with the commercial type"));
    }
    let volumes = match volumes {
        None => Map::new(),
        Some(v) => v.as_object().cloned().ok_or_else(|| answer::invalid("volumes", "format", "expected a map"))?,
    };
    check_volumes(world, req, kind, &volumes)?;
    refuse_what_is_not_to_be_had(world, req, kind)?;
    let ips = check_ips(world, req, body)?;
    let placement = text("placement_group").map(str::to_owned);
    if let Some(id) = &placement {
        crate::placements::check(world, id)?;
    }
    let group = text("security_group").map(str::to_owned);
    if let Some(id) = group.as_ref().filter(|id| !world.held.groups.contains_key(*id)) {
        return Err(answer::not_found("instance_security_group", id));
    }
    Ok(Wanted { kind, image, volumes, ips, placement, group })
}

fn check_ips(world: &World, req: &Req<'_>, body: &Value) -> Result<Vec<String>, Answer> {
    let many = body.get("public_ips").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let one = body.get("public_ip").and_then(Value::as_str).filter(|v| !v.is_empty());
    let given = many.chain(one);
    given.map(|ip| crate::ips::find(world, req.zone, ip).ok_or_else(|| crate::ips::missing(ip))).collect()
}

fn check_volumes(world: &World, req: &Req<'_>, kind: &Type, volumes: &Map<String, Value>) -> Result<(), Answer> {
    if volumes.len() > 16 {
        return Err(answer::invalid("volumes", "constraint", "at most 16 volumes"));
    }
    let mut local = 0_i64;
    for (index, template) in volumes {
        if index.parse::<u32>().is_err() || !template.is_object() {
            return Err(answer::invalid("volumes", "format", "a map from numbers to volumes"));
        }
        if template.get("volume_type").and_then(Value::as_str) == Some("l_ssd") && template.get("id").is_none() {
            local = local.saturating_add(template.get("size").and_then(Value::as_i64).unwrap_or_default());
        }
        if let Some(id) = template.get("base_snapshot").and_then(Value::as_str)
            && !world.held.snapshots.contains_key(id)
            && !world.held.block_snapshots.contains_key(id)
        {
            return Err(answer::not_found("instance_snapshot", id));
        }
        let Some(id) = template.get("id").and_then(Value::as_str) else { continue };
        let block = world.held.blocks.get(id).filter(|v| v.zone == req.zone);
        let on_disk = world.held.locals.get(id).filter(|v| v.zone == req.zone);
        match (block, on_disk) {
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
    if local > kind.local_max {
        return Err(answer::invalid("volumes", "constraint", "the local volumes are larger than the type allows"));
    }
    Ok(())
}

fn refuse_what_is_not_to_be_had(world: &World, req: &Req<'_>, kind: &Type) -> Result<(), Answer> {
    let key = (req.zone.to_owned(), kind.name.to_owned());
    if world.options.stock_refusal == StockRefusal::Create && world.options.out_of_stock.contains(&key) {
        return Err(answer::out_of_stock(kind.name));
    }
    let held = world.held.servers.values().filter(|s| s.zone == req.zone).count();
    match world.options.server_quota {
        Some(max) if held >= max => Err(answer::quota("instances", max)),
        _ => Ok(()),
    }
}

fn make(world: &mut World, req: &Req<'_>, body: &Value, wanted: &Wanted) -> Answer {
    let (id, now) = (world.new_id(), world.now());
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|v| !v.is_empty()).map(str::to_owned);
    let project = text("project").unwrap_or_else(|| world.options.project.clone());
    let mac = format!("de:00:00:{:02x}:{:02x}:{:02x}", world.pick(256), world.pick(256), world.pick(256));
    let group = wanted.group.clone().unwrap_or_else(|| world.default_group(req.zone, &project));
    let server = Server {
        id: id.clone(),
        zone: req.zone.to_owned(),
        name: text("name").unwrap_or_else(|| format!("srv-{}", &id[..8])),
        project,
        commercial_type: wanted.kind.name.to_owned(),
        image: wanted.image.as_ref().map_or_else(Arc::default, |i| world.shared(&i.shown)),
        tags: crate::volumes::strings(body.get("tags")),
        state: "stopped".to_owned(),
        detail: String::new(),
        slots: BTreeMap::new(),
        file_systems: Vec::new(),
        boot_type: text("boot_type").unwrap_or_else(|| "local".to_owned()),
        dynamic_ip_required: body.get("dynamic_ip_required").and_then(Value::as_bool).unwrap_or(true),
        dynamic_ip: None,
        security_group: group,
        placement: wanted.placement.clone(),
        user_data: BTreeMap::new(),
        password_key: text("admin_password_encryption_ssh_key_id"),
        protected: body.get("protected").and_then(Value::as_bool).unwrap_or(false),
        created_us: now,
        modified_us: now,
        mac,
        boots: 0,
        machine: Ordered::default(),
        is_silent: false,
        actions_from_us: 0,
        deleting: false,
        epoch: 0,
    };
    world.held.servers.insert(id.clone(), server);
    give_volumes(world, &id, wanted);
    for ip in &wanted.ips {
        if let Some(ip) = world.held.ips.get_mut(ip) {
            ip.server = Some(id.clone());
        }
    }
    let Some(server) = world.held.servers.get(&id) else { return crate::server_lookup::missing(&id) };
    answer::created("servers", req.zone, &id, json!({"server": wire::server(world, server)}))
}

/// Adds the boot volume (automatic unless one is given), the requested volumes, and scratch if the type has it.
fn give_volumes(world: &mut World, server: &str, wanted: &Wanted) {
    let root = wanted.volumes.get("0");
    let own = |t: &Value| t.get("id").is_some() || t.get("base_snapshot").is_some();
    let given = root.is_some_and(own) || wanted.image.is_none();
    if let Some(image) = &wanted.image {
        if !given {
            give_root(world, server, wanted.kind, image, root);
        }
        for (index, volume) in &image.extra {
            let free = |i: &u32| !wanted.volumes.contains_key(&i.to_string());
            if let Some(index) = index.parse::<u32>().ok().filter(free) {
                let name = format!("{}_sbs_volume_{index}", image.name);
                give_copy(world, server, index, volume, name);
            }
        }
    }
    for (index, template) in &wanted.volumes {
        let Ok(index) = index.parse::<u32>() else { continue };
        if index > 0 || given {
            give_asked(world, server, index, template);
        }
    }
    let has_scratch = world.held.servers.get(server).is_some_and(|s| {
        s.slots.values().any(|slot| world.held.locals.get(&slot.volume).is_some_and(|v| v.kind == "scratch"))
    });
    let asked = wanted.volumes.is_empty() || world.options.scratch_with_volumes;
    if wanted.kind.scratch_max > 0 && asked && !has_scratch {
        let name = "autogenerated scratch volume".to_owned();
        let (index, size) = (free_index(world, server), wanted.kind.scratch_max);
        give_local(world, server, NewLocal { index, kind: "scratch", name, size, boot: false });
    }
}

fn free_index(world: &World, server: &str) -> u32 {
    let slots = world.held.servers.get(server).map(|s| &s.slots);
    (0..).find(|i| slots.is_none_or(|s| !s.contains_key(i))).unwrap_or(0)
}

fn give_root(world: &mut World, server: &str, kind: &Type, image: &Source, template: Option<&Value>) {
    let asked = template.and_then(|t| t.get("size")).and_then(Value::as_i64).filter(|s| *s > 0);
    let boot = template.and_then(|t| t.get("boot")).and_then(Value::as_bool).unwrap_or(false);
    let asked_kind = template.and_then(|t| t.get("volume_type")).and_then(Value::as_str);
    let local = (image.root.kind == "l_ssd" && asked_kind != Some("sbs_volume")) || asked_kind == Some("l_ssd");
    let least = if image.root.kind == "l_ssd" { image.root.size } else { root_size(world, image) };
    if local {
        // A template without a size gets the image's size; without a template, all local storage of the type.
        let default = if template.is_some() || kind.local_max == 0 { least } else { kind.local_max };
        let named = template.and_then(|t| t.get("name")).and_then(Value::as_str).filter(|n| !n.is_empty());
        let own = if image.root.name.is_empty() { &image.name } else { &image.root.name };
        let name = named.unwrap_or(own).to_owned();
        let size = asked.unwrap_or(default);
        give_local(world, server, NewLocal { index: 0, kind: "l_ssd", name, size, boot });
    } else {
        let given = template.and_then(|t| t.get("name")).and_then(Value::as_str).filter(|n| !n.is_empty());
        let given = given.filter(|_| world.options.boot_volume_name_honoured);
        let name = given.map_or_else(|| format!("{}_sbs_volume_0", image.name), str::to_owned);
        let snapshot = Some(image.root.snapshot.clone());
        let id = new_block(world, server, name, asked.unwrap_or(least).max(least), snapshot);
        if asked.is_some() {
            world.reattach_later(&id);
        }
        put(world, server, 0, Slot { volume: id, block: true, boot, shown_us: 0 });
    }
}

/// The minimum size of an image's root volume on block storage.
fn root_size(world: &World, image: &Source) -> i64 {
    let own = world.held.block_snapshots.get(&image.root.snapshot).map(|s| s.size);
    own.unwrap_or_else(|| catalogue::root_size(&image.name))
}

fn new_block(world: &mut World, server: &str, name: String, size: i64, parent_snapshot: Option<String>) -> String {
    let (id, now) = (world.new_id(), world.now());
    let of = world.held.servers.get(server).map(|s| (s.zone.clone(), s.project.clone()));
    let (zone, project) = of.unwrap_or_default();
    world.insert_block(Block {
        id: id.clone(),
        zone,
        name,
        project,
        tags: Vec::new(),
        size,
        iops: 5_000,
        status: "creating".to_owned(),
        reference: None,
        parent_snapshot,
        created_us: now,
        updated_us: now,
        detached_us: None,
        grows: false,
        freeing: false,
        coming: None,
    });
    world.attach_block(&id, server, true);
    let ms = world.duration_ms(BLOCK_CREATE);
    world.later(ms, Event::Made { volume: id.clone() });
    id
}

/// Adds a volume created from an image's snapshot.
fn give_copy(world: &mut World, server: &str, index: u32, volume: &ImageVolume, name: String) {
    if volume.kind == "l_ssd" {
        let (name, size) = (volume.name.clone(), volume.size);
        give_local(world, server, NewLocal { index, kind: "l_ssd", name, size, boot: false });
        return;
    }
    let size = world.held.block_snapshots.get(&volume.snapshot).map_or(10 * GB, |s| s.size);
    let id = new_block(world, server, name, size, Some(volume.snapshot.clone()));
    put(world, server, index, Slot { volume: id, block: true, boot: false, shown_us: 0 });
}

fn give_asked(world: &mut World, server: &str, index: u32, template: &Value) {
    let boot = template.get("boot").and_then(Value::as_bool).unwrap_or(false);
    if let Some(id) = template.get("id").and_then(Value::as_str) {
        let block = world.held.blocks.contains_key(id);
        if block {
            world.attach_block(id, server, false);
        } else if let Some(v) = world.held.locals.get_mut(id) {
            v.server = Some(server.to_owned());
        }
        put(world, server, index, Slot { volume: id.to_owned(), block, boot, shown_us: 0 });
        return;
    }
    let snapshot = template.get("base_snapshot").and_then(Value::as_str).map(str::to_owned);
    let local = snapshot.as_ref().and_then(|id| world.held.snapshots.get(id)).map(|s| s.size);
    let block = snapshot.as_ref().and_then(|id| world.held.block_snapshots.get(id)).map(|s| s.size);
    let size = template.get("size").and_then(Value::as_i64).filter(|s| *s > 0).or(local).or(block).unwrap_or(10 * GB);
    let name = template.get("name").and_then(Value::as_str).unwrap_or("volume").to_owned();
    let kind = template.get("volume_type").and_then(Value::as_str);
    match (kind, local.is_some()) {
        (Some("scratch"), _) => give_local(world, server, NewLocal { index, kind: "scratch", name, size, boot }),
        (Some("l_ssd"), _) | (None, true) => {
            give_local(world, server, NewLocal { index, kind: "l_ssd", name, size, boot })
        }
        _ => {
            let id = new_block(world, server, name, size, snapshot);
            put(world, server, index, Slot { volume: id, block: true, boot, shown_us: 0 });
        }
    }
}

/// A local volume that a new server gets.
struct NewLocal<'a> {
    index: u32,
    kind: &'a str,
    name: String,
    size: i64,
    boot: bool,
}

fn give_local(world: &mut World, server: &str, new: NewLocal<'_>) {
    let NewLocal { index, kind, name, size, boot } = new;
    let (id, now) = (world.new_id(), world.now());
    let of = world.held.servers.get(server).map(|s| (s.zone.clone(), s.project.clone()));
    let (zone, project) = of.unwrap_or_default();
    let volume = Local {
        id: id.clone(),
        zone,
        name,
        kind: kind.to_owned(),
        project,
        tags: Vec::new(),
        size,
        server: Some(server.to_owned()),
        state: "available".to_owned(),
        created_us: now,
        modified_us: now,
    };
    world.held.locals.insert(id.clone(), volume);
    put(world, server, index, Slot { volume: id, block: false, boot, shown_us: 0 });
}

fn put(world: &mut World, server: &str, index: u32, slot: Slot) {
    if let Some(s) = world.held.servers.get_mut(server) {
        s.slots.insert(index, slot);
    }
}
