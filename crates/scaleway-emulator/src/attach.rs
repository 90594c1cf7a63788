//! Attaching and detaching volumes: with the dedicated calls, or by replacing the whole map with PATCH.

use crate::answer::{self, Answer};
use crate::held::Slot;
use crate::options::{ACTIONS_PAUSE, DETACH, DETACH_RUNNING};
use crate::request::Req;
use crate::server_lookup;
use crate::world::World;
use serde_json::{Map, Value};

pub(crate) fn attach(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let volume = match server_lookup::find(world, req, id).and(volume_id(req)) {
        Ok(volume) => volume,
        Err(answer) => return answer,
    };
    let boot = req.json().ok().and_then(|b| b.get("boot").and_then(Value::as_bool)).unwrap_or(false);
    match put(world, id, None, &volume, boot) {
        Ok(()) => server_lookup::show(world, id),
        Err(answer) => answer,
    }
}

/// File systems belong to another product: the emulator accepts any id.
pub(crate) fn attach_file_system(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let file_system = match server_lookup::find(world, req, id).and(file_system_id(req)) {
        Ok(file_system) => file_system,
        Err(answer) => return answer,
    };
    if let Some(server) = world.held.servers.get_mut(id) {
        if server.file_systems.contains(&file_system) {
            let help = format!("Filesystem {file_system} is already attached to this server");
            return answer::invalid("filesystem_id", "constraint", &help);
        }
        server.file_systems.push(file_system);
    }
    server_lookup::show(world, id)
}

pub(crate) fn detach_file_system(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let file_system = match server_lookup::find(world, req, id).and(file_system_id(req)) {
        Ok(file_system) => file_system,
        Err(answer) => return answer,
    };
    let attached = world.held.servers.get_mut(id).map(|s| &mut s.file_systems);
    let Some((all, n)) = attached.and_then(|all| all.iter().position(|f| *f == file_system).map(|n| (all, n))) else {
        let help = format!("Filesystem {file_system} is not attached to this server");
        return answer::invalid("filesystem_id", "constraint", &help);
    };
    all.remove(n);
    server_lookup::show(world, id)
}

fn file_system_id(req: &Req<'_>) -> Result<String, Answer> {
    let body = req.json()?;
    let id = body.get("filesystem_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| answer::invalid("filesystem_id", "required", "required key not provided"))
}

pub(crate) fn detach(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let volume = match server_lookup::find(world, req, id).and(volume_id(req)) {
        Ok(volume) => volume,
        Err(answer) => return answer,
    };
    let slot =
        world.held.servers.get(id).and_then(|s| s.slots.iter().find(|(_, v)| v.volume == volume).map(|(i, _)| *i));
    let Some(index) = slot else {
        return answer::invalid("volume_id", "constraint", &format!("Volume {volume} is not attached to this server"));
    };
    take(world, id, index);
    server_lookup::show(world, id)
}

fn volume_id(req: &Req<'_>) -> Result<String, Answer> {
    let body = req.json()?;
    let id = body.get("volume_id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| answer::invalid("volume_id", "required", "required key not provided"))
}

/// `PATCH /servers/{id}` with `volumes`: attaches volumes as in the map and detaches all others. All or nothing.
pub(crate) fn replace(world: &mut World, id: &str, map: &Map<String, Value>) -> Result<(), Answer> {
    let Some(server) = world.held.servers.get(id) else { return Err(server_lookup::missing(id)) };
    let held: Vec<(u32, String)> = server.slots.iter().map(|(i, v)| (*i, v.volume.clone())).collect();
    let is_held = |volume: &str| held.iter().any(|(_, h)| h == volume);
    if map.len() > SLOTS_MAX {
        return Err(full());
    }
    let mut wanted: Vec<(u32, String)> = Vec::new();
    let boots = |volume: &str| {
        let entry = map.values().find(|e| e.get("id").and_then(Value::as_str) == Some(volume));
        entry.and_then(|e| e.get("boot")).and_then(Value::as_bool)
    };
    for (index, entry) in map {
        let index: u32 = index.parse().map_err(|_| answer::invalid("volumes", "format", "keys are numbers"))?;
        let volume = entry.get("id").and_then(Value::as_str);
        let volume = volume.ok_or_else(|| answer::invalid("volumes", "required", "required key not provided"))?;
        if wanted.iter().any(|(i, w)| *i == index || w == volume) {
            return Err(answer::invalid("volumes", "constraint", &format!("Volume {volume} is named twice")));
        }
        if !is_held(volume) {
            attachable(world, id, volume)?;
        }
        wanted.push((index, volume.to_owned()));
    }
    for (index, _) in held.iter().filter(|(_, h)| !wanted.iter().any(|(_, w)| w == h)) {
        take(world, id, *index);
    }
    if let Some(server) = world.held.servers.get_mut(id) {
        for mut slot in std::mem::take(&mut server.slots).into_values() {
            slot.boot = boots(&slot.volume).unwrap_or(slot.boot);
            if let Some((index, _)) = wanted.iter().find(|(_, w)| *w == slot.volume) {
                server.slots.insert(*index, slot);
            }
        }
    }
    for (index, volume) in wanted.iter().filter(|(_, w)| !is_held(w)) {
        put(world, id, Some(*index), volume, boots(volume).unwrap_or(false))?;
    }
    Ok(())
}

/// The most volumes of a server.
const SLOTS_MAX: usize = 16;

fn full() -> Answer {
    answer::invalid("volume_id", "constraint", "at most 16 volumes on one server")
}

/// Checks that a volume can be attached to a server; returns whether it is a block volume.
fn attachable(world: &World, id: &str, volume: &str) -> Result<bool, Answer> {
    let Some(server) = world.held.servers.get(id) else { return Err(server_lookup::missing(id)) };
    let block = world.held.blocks.get(volume).filter(|v| v.zone == server.zone);
    let local = world.held.locals.get(volume).filter(|v| v.zone == server.zone);
    match (block, local) {
        (None, None) => Err(answer::not_found("instance_volume", volume)),
        (Some(v), _) if v.reference.is_some() || v.status != "available" => {
            let help = format!("Volume {volume} is {}", v.status);
            Err(answer::invalid("volume_id", "constraint", &help))
        }
        (_, Some(v)) if v.server.is_some() => {
            Err(answer::invalid("volume_id", "constraint", &format!("Volume {volume} is already attached")))
        }
        (block, _) => Ok(block.is_some()),
    }
}

fn put(world: &mut World, id: &str, index: Option<u32>, volume: &str, boot: bool) -> Result<(), Answer> {
    let is_block = attachable(world, id, volume)?;
    if world.held.servers.get(id).is_some_and(|s| s.slots.len() >= SLOTS_MAX) {
        return Err(full());
    }
    if is_block {
        world.attach_block(volume, id, false);
    } else if let Some(v) = world.held.locals.get_mut(volume) {
        v.server = Some(id.to_owned());
    }
    let ms = world.duration_ms(ACTIONS_PAUSE);
    let pause = world.now() + ms * 1_000;
    if let Some(s) = world.held.servers.get_mut(id) {
        // One attachment after the other.
        let shown_us =
            s.slots.values().map(|slot| slot.shown_us).max().unwrap_or(0).max(pause - ms * 1_000) + ms * 1_000;
        let free = (0..).find(|i| !s.slots.contains_key(i)).unwrap_or(0);
        s.slots.insert(index.unwrap_or(free), Slot { volume: volume.to_owned(), block: is_block, boot, shown_us });
        if is_block {
            s.actions_from_us = pause.max(shown_us);
        }
    }
    Ok(())
}

/// Detaches a volume: the server loses it at once; a block volume stays `in_use` for a while, longer if the guest runs.
fn take(world: &mut World, id: &str, index: u32) {
    let Some(server) = world.held.servers.get_mut(id) else { return };
    let spread = if server.state == "running" { DETACH_RUNNING } else { DETACH };
    let Some(slot) = server.slots.remove(&index) else { return };
    if slot.block {
        world.detach_block(&slot.volume, spread);
    } else if let Some(v) = world.held.locals.get_mut(&slot.volume) {
        v.server = None;
    }
}
