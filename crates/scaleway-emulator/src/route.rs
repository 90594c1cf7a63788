//! From method and path to a handler; everything is written to the journal.

use crate::answer::{self, Answer};
use crate::request::{Req, decode, parse_query};
use crate::world::{Entry, World};
use crate::{actions, attach, block, control, ips, market, server_create, servers, user_data, volumes};
use bytes::Bytes;
use http::{Request, Response};

pub(crate) fn answer(world: &mut World, request: &Request<Bytes>) -> Response<Bytes> {
    world.settle();
    let path = request.uri().path();
    let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = request.uri().query().unwrap_or_default();
    let zone = if let [_, _, "zones", zone, ..] = parts.as_slice() { *zone } else { "" };
    let req = Req { method: request.method().as_str(), zone, query: parse_query(query), body: request.body() };
    if let ["_emulator", rest @ ..] = parts.as_slice() {
        return answer::finish(control::answer(world, &req, rest), "emulator", "control");
    }
    let answered = if authenticated(world, request) { dispatch(world, &req, &parts) } else { Some(answer::denied()) };
    let implemented = answered.is_some();
    let answer = answered.unwrap_or_else(answer::unknown_path);
    journal(world, &req, path, query, answer.status, implemented);
    let request_id = world.new_id();
    answer::finish(answer, zone, &request_id)
}

fn authenticated(world: &World, request: &Request<Bytes>) -> bool {
    let token = request.headers().get("x-auth-token").and_then(|v| v.to_str().ok());
    match (&world.options.secret_key, token) {
        // The catalogue is public; whoever names no key may read nothing else.
        (_, None) => request.uri().path().starts_with("/marketplace/"),
        (None, Some(_)) => true,
        (Some(key), Some(token)) => key == token,
    }
}

fn journal(world: &mut World, req: &Req<'_>, path: &str, query: &str, status: u16, implemented: bool) {
    world.requests += 1;
    while world.journal.len() >= world.options.journal_len.max(1) {
        world.journal.pop_front();
    }
    let entry = Entry {
        seq: world.requests,
        at_us: world.now(),
        method: req.method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        status,
        implemented,
    };
    world.journal.push_back(entry);
}

/// `None`: there is no such endpoint here.
fn dispatch(world: &mut World, req: &Req<'_>, parts: &[&str]) -> Option<Answer> {
    match parts {
        ["instance", "v1", "zones", zone, rest @ ..] if market::is_zone(zone) => instance(world, req, rest),
        ["block", "v1" | "v1alpha1", "zones", zone, "volumes", rest @ ..] if market::is_zone(zone) => {
            match (req.method, rest) {
                ("GET", []) => Some(block::list(world, req)),
                ("POST", []) => Some(block::create(world, req)),
                ("GET", [id]) => Some(block::get(world, req, id)),
                ("PATCH", [id]) => Some(block::patch(world, req, id)),
                ("DELETE", [id]) => Some(block::delete(world, req, id)),
                _ => None,
            }
        }
        ["marketplace", "v2", "local-images"] if req.method == "GET" => Some(market::local_images(world, req)),
        ["marketplace", "v2", "local-images", id] if req.method == "GET" => Some(market::local_image(world, id)),
        ["metadata"] if req.method == "GET" => {
            Some(answer::json(200, serde_json::json!({"platform": "scaleway", "partition": "", "domain": ""})))
        }
        _ => None,
    }
}

fn instance(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
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
        ("GET", ["servers", id, "user_data"]) => user_data::list(world, req, id),
        ("GET", ["servers", id, "user_data", key]) => user_data::get(world, req, id, key),
        ("PATCH", ["servers", id, "user_data", key]) => user_data::set(world, req, id, key),
        ("DELETE", ["servers", id, "user_data", key]) => user_data::delete(world, req, id, key),
        ("GET", ["volumes"]) => volumes::list(world, req),
        ("POST", ["volumes"]) => volumes::create(world, req),
        ("GET", ["volumes", id]) => volumes::get(world, req, id),
        ("PATCH", ["volumes", id]) => volumes::patch(world, req, id),
        ("DELETE", ["volumes", id]) => volumes::delete(world, req, id),
        ("GET", ["ips"]) => ips::list(world, req),
        ("POST", ["ips"]) => ips::create(world, req),
        ("GET", ["ips", id]) => ips::get(world, req, id),
        ("PATCH", ["ips", id]) => ips::patch(world, req, id),
        ("DELETE", ["ips", id]) => ips::delete(world, req, id),
        ("GET", ["images", id]) => market::image(world, req, id),
        ("GET", ["products", "servers"]) => market::products(world, req),
        ("GET", ["products", "servers", "availability"]) => market::availability(world, req),
        ("GET", ["products", "volumes"]) => market::volume_products(),
        _ => return None,
    })
}
