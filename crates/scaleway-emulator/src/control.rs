//! `/_emulator/…`: what it holds, what it was asked, and its clock. Outside of the emulated space, without a key.

use crate::answer::{self, Answer};
use crate::clock::block_time;
use crate::options::ClockMode;
use crate::request::Req;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

pub(crate) fn answer(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Answer {
    match (req.method, rest) {
        ("GET", ["state"]) => answer::json(200, state(world)),
        ("GET", ["journal"]) => answer::json(200, journal(world)),
        ("GET", ["clock"]) => answer::json(200, json!({"now": block_time(world.now()), "mode": mode(world)})),
        ("POST", ["clock"]) => advance(world, req),
        _ => answer::unknown_path(),
    }
}

fn mode(world: &World) -> String {
    match world.clock.mode {
        ClockMode::Real => "real".to_owned(),
        ClockMode::Scaled(n) => format!("x{n}"),
        ClockMode::Instant => "instant".to_owned(),
        ClockMode::Manual => "manual".to_owned(),
    }
}

fn advance(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(ms) = body.get("advance_ms").and_then(Value::as_i64).filter(|ms| *ms >= 0) else {
        return answer::invalid("advance_ms", "required", "how many milliseconds to move a manual clock on");
    };
    if world.clock.mode != ClockMode::Manual {
        return answer::invalid("advance_ms", "constraint", "only a manual clock can be moved");
    }
    world.clock.advance_ms(ms);
    world.settle();
    answer::json(200, json!({"now": block_time(world.now()), "mode": mode(world)}))
}

/// Everything it holds: servers and addresses as their APIs show them, volumes of both APIs in one form.
pub(crate) fn state(world: &World) -> Value {
    let servers: Vec<Value> = world.servers.values().map(|s| wire::server(world, s)).collect();
    let blocks = world.blocks.values().map(|v| {
        let on = v.reference.as_ref().map(|r| &r.server);
        json!({"id": v.id, "name": v.name, "volume_type": "sbs_volume", "zone": v.zone, "size": v.size, "perf_iops": v.iops,
            "status": v.status, "server": on, "tags": v.tags, "project": v.project})
    });
    let locals = world.locals.values().map(|v| {
        json!({"id": v.id, "name": v.name, "volume_type": v.kind, "zone": v.zone, "size": v.size, "perf_iops": null,
            "status": v.state, "server": v.server, "tags": v.tags, "project": v.project})
    });
    let volumes: Vec<Value> = blocks.chain(locals).collect();
    let dynamic = world.servers.values().filter_map(|s| s.dynamic_ip.as_ref()).map(|ip| (ip, true));
    let flexible = world.ips.values().map(|ip| (ip, false));
    let ips: Vec<Value> = flexible
        .chain(dynamic)
        .map(|(ip, dynamic)| json!({"id": ip.id, "address": ip.address, "zone": ip.zone, "server": ip.server, "dynamic": dynamic}))
        .collect();
    json!({"now": block_time(world.now()), "servers": servers, "volumes": volumes, "ips": ips})
}

/// Every request it remembers, oldest first, and how many there were.
pub(crate) fn journal(world: &World) -> Value {
    let entries: Vec<Value> = world
        .journal
        .iter()
        .map(|e| {
            json!({"seq": e.seq, "at": block_time(e.at_us), "method": e.method, "path": e.path, "query": e.query,
                "status": e.status, "implemented": e.implemented})
        })
        .collect();
    json!({"requests": world.requests, "entries": entries})
}
