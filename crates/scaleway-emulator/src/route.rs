//! Routes a request to its handler, injects faults, and writes every request to the journal.

use crate::answer::{self, Answer, Body};
use crate::faults::Effect;
use crate::placements::Version;
use crate::request::{Req, decode, parse_query};
use crate::world::{Entry, World};
use crate::{
    actions, attach, billing, block, block_snapshots, catalogue, control, iam, images, ips, market, nics, placements,
    prices, security, server_create, servers, snapshots, templates, user_data, volumes,
};
use bytes::Bytes;
use http::{Request, Response};

/// How the HTTP layer sends an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wire {
    pub(crate) delay_ms: u64,
    pub(crate) cut: bool,
}

pub(crate) fn answer(world: &mut World, request: &Request<Bytes>) -> Response<Bytes> {
    world.settle();
    let path = request.uri().path();
    let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = request.uri().query().unwrap_or_default();
    let zone = if let [_, _, "zones", zone, ..] = parts.as_slice() { *zone } else { "" };
    let method = request.method().as_str();
    let mut req = Req { method, zone, query: parse_query(query), body: request.body(), shift: 0 };
    if let ["_emulator", rest @ ..] = parts.as_slice() {
        return answer::finish(control::answer(world, &req, rest), "emulator", "control");
    }
    let mut rng = world.rng.clone();
    let effects = world.faults.inject(method, path, || rng.u32(..100));
    world.rng = rng;
    let mut wire = Wire::default();
    for effect in &effects {
        wire.delay_ms += effect.delay_ms();
        wire.cut |= matches!(effect, Effect::CutBefore | Effect::CutAfter);
        req.shift += usize::from(*effect == Effect::Shift);
    }
    let injected = before(&effects, &parts);
    let (answer, implemented) = match injected {
        Some(answer) => (answer, true),
        None if !authenticated(world, request) => (answer::denied(), true),
        None => {
            let done = act(world, &req, &parts, &effects);
            let implemented = done.is_some();
            (after(&effects, done.unwrap_or_else(answer::unknown_path)), implemented)
        }
    };
    let evidenced = is_evidenced(&req, &parts);
    let entry = Entry {
        seq: 0,
        at_us: 0,
        method: req.method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        status: answer.status,
        implemented,
        evidenced,
    };
    journal(world, entry);
    let request_id = world.new_id();
    let mut response = answer::finish(answer, zone, &request_id);
    spoil(&effects, &mut response);
    response.extensions_mut().insert(wire);
    response
}

/// The answer of a fault that replaces the handler.
fn before(effects: &[Effect], parts: &[&str]) -> Option<Answer> {
    effects.iter().find_map(|effect| {
        if let Effect::Refuse(name) = effect {
            let (resource, id) = named(parts);
            return Some(answer::refusal(name, resource, id));
        }
        if let Effect::Before(status) = effect {
            return Some(answer::plain(*status));
        }
        (*effect == Effect::CutBefore).then(|| answer::plain(502))
    })
}

/// The kind and id of the resource in a path.
fn named<'p>(parts: &[&'p str]) -> (&'static str, &'p str) {
    let id = parts.get(5).copied().unwrap_or_default();
    let kind = match (parts.first().copied().unwrap_or_default(), parts.get(4).copied().unwrap_or_default()) {
        ("block", "snapshots") => "snapshot",
        ("block", _) => "volume",
        (_, "volumes") => "instance_volume",
        (_, "images") => "instance_image",
        (_, "ips") => "instance_ip",
        (_, "snapshots") => "instance_snapshot",
        (_, "security_groups") => "instance_security_group",
        (_, "placement_groups") => "instance_placement_group",
        _ => "instance_server",
    };
    (kind, id)
}

/// Calls the handler: a stale read sees an older state.
fn act(world: &mut World, req: &Req<'_>, parts: &[&str], effects: &[Effect]) -> Option<Answer> {
    let lag = effects.iter().find_map(|e| if let Effect::Lag(ms) = e { Some(*ms) } else { None });
    if req.method == "GET"
        && let Some(ms) = lag.max(world.lag_of(parts))
    {
        return world.as_of(ms, |world| look(world, req, parts, effects));
    }
    look(world, req, parts, effects)
}

/// Calls the handler on the current state, and applies the faults that change the outcome.
fn look(world: &mut World, req: &Req<'_>, parts: &[&str], effects: &[Effect]) -> Option<Answer> {
    if effects.contains(&Effect::Blind) {
        if req.method == "POST" && parts.len() == 5 {
            return Some(answer::refusal("permissions_denied", "", ""));
        }
        let (present, meter) = (std::mem::take(&mut world.held), std::mem::take(&mut world.meter));
        let answer = dispatch(world, req, parts);
        (world.held, world.meter) = (present, meter);
        return answer;
    }
    if req.method != "GET" {
        world.remember_past();
    }
    let seq = world.held.seq;
    let answer = dispatch(world, req, parts);
    let id = parts.get(5).copied().unwrap_or_default();
    if effects.contains(&Effect::Hang) {
        world.forget_events_after(seq);
    }
    if effects.contains(&Effect::FallBack) {
        world.fall_back(id, seq);
    }
    if effects.contains(&Effect::Vanish) {
        servers::remove(world, id);
        world.held.locals.remove(id);
        world.held.blocks.remove(id);
    }
    if req.method != "GET" {
        world.measure(world.now());
    }
    answer
}

fn after(effects: &[Effect], answer: Answer) -> Answer {
    let status = effects.iter().find_map(|e| if let Effect::After(status) = e { Some(*status) } else { None });
    let answer = status.map_or(answer, answer::plain);
    if effects.contains(&Effect::Garble) {
        return Answer { body: Body::Text(Bytes::from_static(b"\x00\xff<html>not what you expect")), ..answer };
    }
    answer
}

fn spoil(effects: &[Effect], response: &mut Response<Bytes>) {
    for effect in effects {
        if let Effect::Truncate(bytes) = effect {
            let body = response.body().slice(..(*bytes).min(response.body().len()));
            *response.body_mut() = body;
        }
        if *effect == Effect::Garble {
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        }
    }
}

fn authenticated(world: &World, request: &Request<Bytes>) -> bool {
    let token = request.headers().get("x-auth-token").and_then(|v| v.to_str().ok());
    let path = request.uri().path();
    match (&world.options.secret_key, token) {
        // Without credentials, a client can read only the public catalogue.
        (_, None) => path.starts_with("/marketplace/") || path.starts_with("/product-catalog/") || path == "/metadata",
        (None, Some(_)) => true,
        (Some(key), Some(token)) => key == token,
    }
}

/// Whether recordings show the requested part of a catalogue; true for other requests, but not for the bill.
fn is_evidenced(req: &Req<'_>, parts: &[&str]) -> bool {
    let zone = req.param("zone").unwrap_or_default();
    match parts {
        ["instance", "v1", "zones", zone, "products", "servers", rest @ ..] => catalogue::shows_types(zone, rest),
        ["marketplace", "v2", "local-images"] => zone.is_empty() || catalogue::shows_images(zone),
        ["product-catalog", ..] => {
            !req.params("product_types").contains(&"block_storage") && (zone.is_empty() || prices::is_evidenced(zone))
        }
        ["billing", ..] => false,
        _ => true,
    }
}

/// Adds a line to the journal, as the next one and of now.
fn journal(world: &mut World, entry: Entry) {
    world.requests += 1;
    while world.journal.len() >= world.options.journal_len.max(1) {
        world.journal.pop_front();
    }
    world.journal.push_back(Entry { seq: world.requests, at_us: world.now(), ..entry });
}

/// `None`: there is no such endpoint here.
fn dispatch(world: &mut World, req: &Req<'_>, parts: &[&str]) -> Option<Answer> {
    match parts {
        ["instance", version, "zones", zone, ..] if !catalogue::is_zone(zone) && version.starts_with('v') => {
            Some(answer::not_found("zone", zone))
        }
        ["instance", "v1", "zones", _, rest @ ..] => instance(world, req, rest),
        ["instance", "v2alpha1", "zones", _, "private-network-interfaces", rest @ ..] => nics::v2(world, req, rest),
        ["instance", "v2alpha1", "zones", _, "templates", rest @ ..] => templates::answer(world, req, rest),
        ["instance", "v2alpha1", "zones", _, "placement-groups", rest @ ..] => {
            placement_groups(world, req, Version::V2, rest)
        }
        ["block", version @ ("v1" | "v1alpha1"), "zones", zone, rest @ ..] if catalogue::is_zone(zone) => {
            let answer = block(world, req, rest);
            if *version == "v1alpha1" { answer.map(block::as_alpha) } else { answer }
        }
        ["iam", "v1alpha1", "api-keys", key] if req.method == "GET" => Some(iam::api_key(world, key)),
        ["iam", "v1alpha1", "ssh-keys", rest @ ..] => iam::ssh_keys(world, req, rest),
        ["marketplace", "v2", rest @ ..] if req.method == "GET" => Some(match rest {
            ["local-images"] => market::local_images(world, req),
            ["local-images", id] => market::local_image(world, id),
            ["images"] => market::images(req),
            ["images", id] => market::image(id),
            _ => return None,
        }),
        ["product-catalog", "v2alpha1", "public-catalog", "products"] if req.method == "GET" => {
            Some(prices::list(world, req))
        }
        ["billing", "v2beta1", "charges"] if req.method == "GET" => Some(billing::charges(world, req)),
        ["metadata"] if req.method == "GET" => {
            Some(answer::json(200, serde_json::json!({"platform": "scaleway", "partition": "", "domain": ""})))
        }
        _ => None,
    }
}

fn block(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    Some(match (req.method, rest) {
        ("GET", ["volumes"]) => block::list(world, req),
        ("POST", ["volumes"]) => block::create(world, req),
        ("GET", ["volumes", id]) => block::get(world, req, id),
        ("PATCH", ["volumes", id]) => block::patch(world, req, id),
        ("DELETE", ["volumes", id]) => block::delete(world, req, id),
        ("GET", ["volume-types"]) => market::volume_types(world, req),
        ("GET", ["snapshots"]) => block_snapshots::list(world, req),
        ("POST", ["snapshots"]) => block_snapshots::create(world, req),
        ("POST", ["snapshots", "import-from-object-storage"]) => block_snapshots::import(world, req),
        ("GET", ["snapshots", id]) => block_snapshots::get(world, req, id),
        ("PATCH", ["snapshots", id]) => block_snapshots::patch(world, req, id),
        ("DELETE", ["snapshots", id]) => block_snapshots::delete(world, req, id),
        ("POST", ["snapshots", id, "export-to-object-storage"]) => block_snapshots::export(world, req, id),
        _ => return None,
    })
}

fn placement_groups(world: &mut World, req: &Req<'_>, version: Version, rest: &[&str]) -> Option<Answer> {
    Some(match (req.method, rest) {
        ("GET", []) => placements::list(world, req, version),
        ("POST", []) => placements::create(world, req, version),
        ("GET", [id]) => placements::get(world, req, version, id),
        ("PATCH", [id]) => placements::patch(world, req, version, id),
        ("DELETE", [id]) => placements::delete(world, req, id),
        ("GET", [id, "servers"]) => placements::servers(world, req, id),
        ("PUT" | "PATCH", [id, "servers"]) => placements::set_servers(world, req, id),
        _ => return None,
    })
}

fn instance(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    match rest {
        ["servers", id, "private_nics", rest @ ..] => return nics::v1(world, req, id, rest),
        ["placement_groups", rest @ ..] => return placement_groups(world, req, Version::V1, rest),
        ["security_groups", rest @ ..] => return security_groups(world, req, rest),
        ["servers", ..] => return of_servers(world, req, rest),
        _ => {}
    }
    Some(match (req.method, rest) {
        ("GET", ["volumes"]) => volumes::list(world, req),
        ("POST", ["volumes"]) => volumes::create(world, req),
        ("GET", ["volumes", id]) => volumes::get(world, req, id),
        ("PATCH", ["volumes", id]) => volumes::patch(world, req, id),
        ("DELETE", ["volumes", id]) => volumes::delete(world, req, id),
        ("GET", ["snapshots"]) => snapshots::list(world, req),
        ("POST", ["snapshots"]) => snapshots::create(world, req),
        ("GET", ["snapshots", id]) => snapshots::get(world, req, id),
        ("PATCH", ["snapshots", id]) => snapshots::patch(world, req, id),
        ("DELETE", ["snapshots", id]) => snapshots::delete(world, req, id),
        ("POST", ["snapshots", id, "export"]) => snapshots::export(world, req, id),
        ("GET", ["ips"]) => ips::list(world, req),
        ("POST", ["ips"]) => ips::create(world, req),
        ("GET", ["ips", id]) => ips::get(world, req, id),
        ("PATCH", ["ips", id]) => ips::patch(world, req, id),
        ("DELETE", ["ips", id]) => ips::delete(world, req, id),
        ("GET", ["images"]) => images::list(world, req),
        ("POST", ["images"]) => images::create(world, req),
        ("GET", ["images", id]) => images::get(world, req, id),
        ("PATCH", ["images", id]) => images::patch(world, req, id),
        ("DELETE", ["images", id]) => images::delete(world, req, id),
        ("GET", ["products", "servers"]) => market::products(world, req),
        ("GET", ["products", "servers", "availability"]) => market::availability(world, req),
        ("GET", ["products", "volumes"]) => market::volume_products(req),
        ("GET", ["dashboard"]) => servers::dashboard(world, req),
        _ => return None,
    })
}

fn of_servers(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    Some(match (req.method, rest) {
        ("GET", ["servers"]) => servers::list(world, req),
        ("POST", ["servers"]) => server_create::create(world, req),
        ("GET", ["servers", id]) => servers::get(world, req, id),
        ("PATCH", ["servers", id]) => servers::patch(world, req, id),
        ("DELETE", ["servers", id]) => servers::delete(world, req, id),
        ("POST", ["servers", id, "action"]) => actions::action(world, req, id),
        ("GET", ["servers", id, "action"]) => actions::list(world, req, id),
        ("POST", ["servers", id, "attach-volume"]) => attach::attach(world, req, id),
        ("POST", ["servers", id, "detach-volume"]) => attach::detach(world, req, id),
        ("POST", ["servers", id, "attach-filesystem"]) => attach::attach_file_system(world, req, id),
        ("POST", ["servers", id, "detach-filesystem"]) => attach::detach_file_system(world, req, id),
        ("GET", ["servers", id, "compatible-types"]) => market::compatible_types(world, req, id),
        ("GET", ["servers", id, "user_data"]) => user_data::list(world, req, id),
        ("GET", ["servers", id, "user_data", key]) => user_data::get(world, req, id, key),
        ("PATCH", ["servers", id, "user_data", key]) => user_data::set(world, req, id, key),
        ("DELETE", ["servers", id, "user_data", key]) => user_data::delete(world, req, id, key),
        _ => return None,
    })
}

fn security_groups(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    Some(match (req.method, rest) {
        ("GET", []) => security::list(world, req),
        ("POST", []) => security::create(world, req),
        ("GET", [id]) => security::get(world, req, id),
        ("PATCH", [id]) => security::patch(world, req, id),
        ("DELETE", [id]) => security::delete(world, req, id),
        ("GET", [id, "rules"]) => security::rules(world, req, id),
        ("PUT", [id, "rules"]) => security::set_rules(world, req, id),
        ("POST", [id, "rules"]) => security::add_rule(world, req, id),
        ("GET" | "PATCH" | "DELETE", [id, "rules", rule]) => security::one_rule(world, req, id, rule),
        _ => return None,
    })
}
