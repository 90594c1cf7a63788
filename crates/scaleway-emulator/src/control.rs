//! `/_emulator/…`: the control API for state, journal, clock, faults, options and machines. It needs no credentials.

use crate::Resource;
use crate::answer::{self, Answer};
use crate::boot;
use crate::clock::{block_time, moment_us};
use crate::held::Held;
use crate::options::{ClockMode, DeleteInUse, Reads, StaleReads, StockRefusal};
use crate::request::Req;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};

/// The OpenAPI document of the control API.
const OPENAPI: &str = include_str!("control_openapi.json");

pub(crate) fn answer(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Answer {
    let body = || req.json();
    let done = match (req.method, rest) {
        ("GET", ["openapi.json"]) => Ok(serde_json::from_str(OPENAPI).unwrap_or(Value::Null)),
        ("GET", ["state"]) => Ok(state(world)),
        ("PUT", ["state"]) => body().and_then(|saved| load(world, &saved)),
        ("GET", ["state", "saved"]) => save(world),
        ("GET", ["journal"]) => Ok(journal(world)),
        ("DELETE", ["journal"]) => {
            world.journal.clear();
            Ok(journal(world))
        }
        ("GET", ["clock"]) => Ok(clock(world)),
        ("POST", ["clock"]) => body().and_then(|b| move_clock(world, &b)),
        ("GET", ["faults"]) => Ok(world.faults.shown()),
        ("POST", ["faults"]) => body().and_then(|b| add_faults(world, &b)),
        ("DELETE", ["faults"]) => {
            world.faults.rules.clear();
            Ok(world.faults.shown())
        }
        ("DELETE", ["faults", id]) => {
            let known = world.faults.rules.iter().any(|f| f.id.to_string() == *id);
            world.faults.rules.retain(|f| f.id.to_string() != *id);
            if known { Ok(world.faults.shown()) } else { Err(answer::not_found("fault", id)) }
        }
        ("GET", ["options"]) => Ok(options(world)),
        ("PATCH", ["options"]) => body().and_then(|b| set_options(world, &b)),
        ("POST", ["third-parties"]) => body().and_then(|b| third_parties(world, req, &b)),
        ("POST", ["servers", id, "vm"]) => body().and_then(|b| boot::order(world, id, &b)),
        ("POST", ["reset"]) => body().map(|b| reset(world, &b)),
        _ => Err(answer::unknown_path()),
    };
    match done {
        Ok(value) => answer::json(200, value),
        Err(answer) => answer,
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

fn clock(world: &World) -> Value {
    let next_ms = world.next_event_us().map(|us| (us + 999) / 1_000);
    json!({"now": block_time(world.now()), "mode": mode(world), "next_event_in_ms": next_ms})
}

/// Advances the clock, sets it to a moment, moves it to the next event, or changes its mode.
fn move_clock(world: &mut World, body: &Value) -> Result<Value, Answer> {
    let wrong = |key: &str, help: &str| Err(answer::invalid(key, "constraint", help));
    if let Some(text) = body.get("mode").and_then(Value::as_str) {
        match ClockMode::parse(text) {
            Ok(mode) => world.clock.set_mode(mode),
            Err(help) => return wrong("mode", &help),
        }
    }
    let number = |key: &str, factor: i64| body.get(key).and_then(Value::as_i64).map(|n| n.saturating_mul(factor));
    let us = number("advance_ms", 1_000).or(number("advance_s", 1_000_000)).or(number("advance_seconds", 1_000_000));
    if let Some(us) = us {
        if us < 0 {
            return wrong("advance_ms", "the clock does not go back");
        }
        world.clock.advance_us(us);
    } else if let Some(text) = body.get("now").and_then(Value::as_str) {
        let Some(us) = moment_us(text) else {
            return wrong("now", "a moment such as 2026-07-30T12:00:00Z");
        };
        if us < world.now() && !world.held.servers.is_empty() {
            return wrong("now", "the clock goes back only while nothing is held: reset first");
        }
        world.clock.set_us(us);
    } else if body.get("next_event").is_some_and(|v| v == true) {
        let us = world.next_event_us().unwrap_or(0);
        world.clock.advance_us(us);
    } else if body.get("mode").is_none() {
        return wrong("advance_ms", "say advance_ms, advance_s, now, next_event or mode");
    }
    world.settle();
    Ok(clock(world))
}

fn add_faults(world: &mut World, body: &Value) -> Result<Value, Answer> {
    let one = [body.clone()];
    let rules = body.get("faults").and_then(Value::as_array).map_or(&one[..], Vec::as_slice);
    // All or none.
    let mut faults = world.faults.clone();
    for rule in rules {
        faults.add(rule).map_err(|help| answer::invalid("faults", "constraint", &help))?;
    }
    world.faults = faults;
    // Lists may lag from now on: the present is the first state to keep.
    world.remember_past();
    Ok(world.faults.shown())
}

fn options(world: &World) -> Value {
    let mut o = world.options.clone();
    let stock: Vec<Value> = o.out_of_stock.iter().map(|(zone, kind)| json!({"zone": zone, "type": kind})).collect();
    let refused = o.delete_in_use_block_volume == DeleteInUse::Refused;
    let refusal = match o.stock_refusal {
        StockRefusal::Create => "create",
        StockRefusal::PowerOn => "power_on",
        StockRefusal::FallBack => "fall_back",
    };
    let mut shown = serde_json::Map::new();
    shown.insert("out_of_stock".to_owned(), json!(stock));
    shown.insert("stock_refusal".to_owned(), json!(refusal));
    shown.insert("delete_in_use_block_volume".to_owned(), json!(if refused { "refused" } else { "accepted" }));
    shown.insert("stale_reads".to_owned(), o.stale_reads.iter().map(stale_shown).collect());
    shown.insert("past_ms".to_owned(), json!(o.past_ms));
    shown.extend(o.flags().map(|(name, on)| (name.to_owned(), json!(*on))));
    shown.extend(o.limits().map(|(name, most)| (name.to_owned(), json!(*most))));
    Value::Object(shown)
}

/// Sets all given options, or none if one is wrong.
fn set_options(world: &mut World, body: &Value) -> Result<Value, Answer> {
    let mut o = world.options.clone();
    for (key, value) in body.as_object().into_iter().flatten() {
        let wrong = |help: &str| answer::invalid(key, "constraint", help);
        if let Some((_, flag)) = o.flags().into_iter().find(|(name, _)| name == key) {
            *flag = value.as_bool().ok_or_else(|| wrong("true or false"))?;
            continue;
        }
        if let Some((_, most)) = o.limits().into_iter().find(|(name, _)| name == key) {
            let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
            if !value.is_null() && number.is_none() {
                return Err(wrong("a number, or null"));
            }
            *most = number;
            continue;
        }
        match (key.as_str(), value.as_str()) {
            ("out_of_stock", _) => {
                let items = value.as_array().ok_or_else(|| wrong("a list of {zone, type}"))?;
                let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                o.out_of_stock = items.iter().map(|v| (text(v, "zone"), text(v, "type"))).collect();
            }
            ("stock_refusal", Some("create")) => o.stock_refusal = StockRefusal::Create,
            ("stock_refusal", Some("power_on")) => o.stock_refusal = StockRefusal::PowerOn,
            ("stock_refusal", Some("fall_back")) => o.stock_refusal = StockRefusal::FallBack,
            ("stock_refusal", _) => return Err(wrong("create, power_on or fall_back")),
            ("delete_in_use_block_volume", Some("refused")) => o.delete_in_use_block_volume = DeleteInUse::Refused,
            ("delete_in_use_block_volume", Some("accepted")) => o.delete_in_use_block_volume = DeleteInUse::Accepted,
            ("delete_in_use_block_volume", _) => return Err(wrong("refused or accepted")),
            ("stale_reads", _) => {
                let items = value.as_array().ok_or_else(|| wrong(STALE_READS))?;
                o.stale_reads =
                    items.iter().map(stale_reads).collect::<Option<_>>().ok_or_else(|| wrong(STALE_READS))?;
            }
            ("past_ms", _) => {
                let ms = value.as_i64().filter(|ms| (0..=LAG_MAX_MS).contains(ms));
                o.past_ms = ms.ok_or_else(|| wrong("0 to 86400000"))?;
            }
            _ => return Err(answer::invalid(key, "unknown", "there is no such option")),
        }
    }
    world.options = o;
    world.remember_past();
    Ok(options(world))
}

/// A day: past states are kept in memory.
const LAG_MAX_MS: i64 = 86_400_000;
const STALE_READS: &str = "a list of {api: instance or block, kind: servers, volumes or another, reads: lists, single or \
    both, lag_ms: 0 to 86400000, backwards: true or false}; all but lag_ms may be left out";

fn stale_shown(s: &StaleReads) -> Value {
    json!({"api": s.api, "kind": s.kind, "reads": s.reads.text(), "lag_ms": s.lag_ms, "backwards": s.backwards})
}

fn stale_reads(value: &Value) -> Option<StaleReads> {
    const KEYS: [&str; 5] = ["api", "kind", "reads", "lag_ms", "backwards"];
    let object = value.as_object().filter(|o| o.keys().all(|k| KEYS.contains(&k.as_str())))?;
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(v) => v.as_str().map(|t| Some(t.to_owned())),
    };
    Some(StaleReads {
        api: text("api")?.map_or(Some(None), |a| matches!(a.as_str(), "instance" | "block").then_some(Some(a)))?,
        kind: text("kind")?,
        reads: text("reads")?.map_or(Some(Reads::Both), |r| Reads::parse(&r))?,
        lag_ms: object.get("lag_ms")?.as_i64().filter(|ms| (0..=LAG_MAX_MS).contains(ms))?,
        backwards: object.get("backwards").map_or(Some(false), Value::as_bool)?,
    })
}

/// Creates servers and volumes of third parties, with ordinary requests.
fn third_parties(world: &mut World, req: &Req<'_>, body: &Value) -> Result<Value, Answer> {
    const MOST: u64 = 10_000;
    let count = |key: &str| body.get(key).and_then(Value::as_u64).unwrap_or(0).min(MOST);
    let zone = body.get("zone").and_then(Value::as_str).unwrap_or("fr-par-2");
    let image = crate::catalogue::images_of("ubuntu_noble", zone, world.now())
        .into_iter()
        .find(|i| !i.local && i.compatible.contains(&"PLAY2-PICO"));
    let image = image.ok_or_else(|| answer::not_found("zone", zone))?;
    let (mut servers, mut volumes) = (Vec::new(), Vec::new());
    let ask = |body: Value| bytes::Bytes::from(body.to_string());
    for n in 0..count("servers") {
        let body = ask(json!({"name": format!("somebody-{n}"), "commercial_type": "PLAY2-PICO", "image": image.id}));
        let made =
            crate::server_create::create(world, &Req { method: "POST", zone, query: Vec::new(), body: &body, ..*req });
        servers.push(made.id("/server/id").ok_or(made)?);
    }
    for n in 0..count("volumes") {
        let body = ask(json!({"name": format!("somebody-{n}"), "from_empty": {"size": 10_000_000_000_i64}}));
        let made = crate::block::create(world, &Req { method: "POST", zone, query: Vec::new(), body: &body, ..*req });
        volumes.push(made.id("/id").ok_or(made)?);
    }
    Ok(json!({"servers": servers, "volumes": volumes}))
}

/// Resets to an empty account without faults and keeps the options. `seed` sets the seed for ids and durations.
fn reset(world: &mut World, body: &Value) -> Value {
    let mut options = world.options.clone();
    options.clock = world.clock.mode;
    if let Some(seed) = body.get("seed").and_then(Value::as_u64) {
        options.seed = Some(seed);
    }
    let has_machines = world.has_machines;
    *world = World::new(options);
    world.has_machines = has_machines;
    clock(world)
}

pub(crate) fn save(world: &World) -> Result<Value, Answer> {
    let held = serde_json::to_value(&world.held);
    let held = held.map_err(|e| answer::invalid("state", "format", &e.to_string()))?;
    Ok(json!({"version": 1, "now": block_time(world.now()), "held": held}))
}

pub(crate) fn load(world: &mut World, saved: &Value) -> Result<Value, Answer> {
    let wrong = |help: &str| answer::invalid("state", "format", help);
    if saved.get("version").and_then(Value::as_i64) != Some(1) {
        return Err(wrong("not a state that this version has saved (`version` is not 1)"));
    }
    if !numbers_are_sane(&saved["held"]) {
        return Err(wrong("a number in it is larger than any that was saved"));
    }
    let held: Held = serde_json::from_value(saved["held"].clone()).map_err(|e| wrong(&e.to_string()))?;
    let now = saved["now"].as_str().and_then(moment_us).ok_or_else(|| wrong("`now` is no moment"))?;
    world.held = held;
    world.clock.set_us(now);
    world.measure_anew(now);
    world.forget_past();
    Ok(clock(world))
}

/// The largest integer that every JSON parser reads exactly: 2^53, as microseconds the year 2255.
const NUMBER_MAX: i64 = 1 << 53;

/// Whether arithmetic on the numbers of a saved state cannot overflow.
fn numbers_are_sane(value: &Value) -> bool {
    match value {
        Value::Number(n) => n.as_i64().is_some_and(|n| (-NUMBER_MAX..=NUMBER_MAX).contains(&n)) || n.is_f64(),
        Value::Array(items) => items.iter().all(numbers_are_sane),
        Value::Object(map) => map.values().all(numbers_are_sane),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// The whole state: servers and addresses as their APIs show them, volumes of both APIs in one form.
pub(crate) fn state(world: &World) -> Value {
    let held = &world.held;
    let servers: Vec<Value> = held.servers.values().map(|s| wire::server(world, s)).collect();
    let blocks = held.blocks.values().map(|v| {
        let on = v.reference.as_ref().map(|r| &r.server);
        json!({"id": v.id, "name": v.name, "volume_type": "sbs_volume", "zone": v.zone, "size": v.size, "perf_iops": v.iops,
            "status": v.status, "reference_status": v.reference.as_ref().map(|r| &r.status), "server": on, "tags": v.tags,
            "project": v.project})
    });
    let locals = held.locals.values().map(|v| {
        json!({"id": v.id, "name": v.name, "volume_type": v.kind, "zone": v.zone, "size": v.size, "perf_iops": null,
            "status": v.state, "server": v.server, "tags": v.tags, "project": v.project})
    });
    let volumes: Vec<Value> = blocks.chain(locals).collect();
    let dynamic = held.servers.values().filter_map(|s| s.dynamic_ip.as_ref()).map(|ip| (ip, true));
    let flexible = held.ips.values().map(|ip| (ip, false));
    let ips: Vec<Value> = flexible
        .chain(dynamic)
        .map(|(ip, dynamic)| {
            let address = ip.address.as_ref().or(ip.prefix.as_ref());
            json!({"id": ip.id, "address": address, "zone": ip.zone, "server": ip.server, "dynamic": dynamic})
        })
        .collect();
    let names = |zone: &str, id: &str, name: &str| json!({"id": id, "name": name, "zone": zone});
    let snapshot =
        |zone: &str, id: &str, name: &str, state: &str| json!({"id": id, "name": name, "zone": zone, "state": state});
    let snapshots = held.snapshots.values().map(|s| snapshot(&s.zone, &s.id, &s.name, &s.state));
    let block_snapshots = held.block_snapshots.values().map(|s| snapshot(&s.zone, &s.id, &s.name, &s.status));
    json!({
        "now": block_time(world.now()), "servers": servers, "volumes": volumes, "ips": ips,
        "snapshots": snapshots.chain(block_snapshots).collect::<Vec<_>>(),
        "images": held.images.values().map(|i| names(&i.zone, &i.id, &i.name)).collect::<Vec<_>>(),
        "security_groups": held.groups.values().map(|g| names(&g.zone, &g.id, &g.name)).collect::<Vec<_>>(),
        "placement_groups": held.placements.values().map(|p| names(&p.zone, &p.id, &p.name)).collect::<Vec<_>>(),
    })
}

/// The servers, volumes and addresses of an account, in short.
pub(crate) fn resources(world: &World) -> Vec<Resource> {
    let held = &world.held;
    let of = |kind, id: &str, name: &str, state: &str| Resource {
        kind,
        id: id.to_owned(),
        name: name.to_owned(),
        state: state.to_owned(),
    };
    let servers = held.servers.values().map(|s| of("server", &s.id, &s.name, &s.state));
    let blocks = held.blocks.values().map(|v| of("volume", &v.id, &v.name, &v.status));
    let locals = held.locals.values().map(|v| of("volume", &v.id, &v.name, &v.state));
    let dynamic = held.servers.values().filter_map(|s| s.dynamic_ip.as_ref());
    let addresses = held.ips.values().chain(dynamic).map(|ip| {
        let address = ip.address.as_ref().or(ip.prefix.as_ref());
        of("address", &ip.id, "", address.map_or("", String::as_str))
    });
    servers.chain(blocks).chain(locals).chain(addresses).collect()
}

/// The requests in the journal, oldest first, and the total number of requests.
pub(crate) fn journal(world: &World) -> Value {
    let entries: Vec<Value> = world
        .journal
        .iter()
        .map(|e| {
            json!({"seq": e.seq, "at": block_time(e.at_us), "method": e.method, "path": e.path, "query": e.query,
                "status": e.status, "implemented": e.implemented, "unimplemented": !e.implemented,
                "not_evidenced": !e.evidenced})
        })
        .collect();
    json!({"requests": world.requests, "entries": entries})
}
