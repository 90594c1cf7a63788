//! Flexible addresses, which survive their server. Dynamic ones are part of their server and not listed here.

use crate::answer::{self, Answer};
use crate::event::Event;
use crate::held::Ip;
use crate::history::Change;
use crate::options::REVERSE_DNS;
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// The answer names an unknown address with its prefix length.
pub(crate) fn missing(id: &str) -> Answer {
    let whole = if id.parse::<Ipv4Addr>().is_ok() { format!("{id}/32") } else { id.to_owned() };
    answer::not_found("instance_ip", &whole)
}

/// Finds an address by id or by its text.
pub(crate) fn find(world: &World, zone: &str, id: &str) -> Option<String> {
    let text = id.strip_suffix("/32").unwrap_or(id);
    let named = |ip: &&Ip| {
        ip.zone == zone && (ip.id == id || ip.address.as_deref() == Some(text) || ip.prefix.as_deref() == Some(id))
    };
    world.held.ips.values().find(named).map(|ip| ip.id.clone())
}

fn show(world: &World, id: &str) -> Answer {
    world.held.ips.get(id).map_or_else(|| missing(id), |ip| answer::json(200, json!({"ip": wire::ip(ip, world)})))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let wanted = |ip: &&Ip| {
        ip.zone == req.zone
            && req.param("project").is_none_or(|p| ip.project == p)
            && req.param("organization").is_none_or(|o| world.options.project == o)
            && req.param("type").is_none_or(|t| (t == "routed_ipv6") == ip.prefix.is_some())
            && req.param("name").is_none_or(|n| ip.address.as_deref().is_some_and(|a| a.contains(n)))
            && tags.iter().all(|t| ip.tags.iter().any(|have| have == t))
    };
    let mut items: Vec<&Ip> = world.held.ips.values().filter(wanted).collect();
    items.sort_by_key(|ip| std::cmp::Reverse(ip.created));
    req.instance_page("/ips", "ips", &items, 50, |ip| wire::ip(ip, world))
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let v6 = match body.get("type").and_then(Value::as_str) {
        Some("routed_ipv6") => true,
        None | Some("routed_ipv4") => false,
        Some(_) => return answer::invalid("type", "constraint", "expected routed_ipv4 or routed_ipv6"),
    };
    let server = body.get("server").and_then(Value::as_str).map(str::to_owned);
    if let Some(id) = server.as_ref().filter(|id| !world.held.servers.contains_key(*id)) {
        return crate::server_lookup::missing(id);
    }
    if let Some(max) = world.options.ip_quota
        && world.held.ips.values().filter(|ip| ip.zone == req.zone).count() >= max
    {
        return answer::quota("ips", max);
    }
    let (id, other) = (world.new_id(), world.new_id());
    let ipam = if world.has(Change::OneAddressId) { id.clone() } else { other };
    let address = world.new_address("51.158");
    let prefix = format!("2001:bc8:{:x}:{:x}::/64", world.pick(0xefff) + 0x1000, world.pick(0xefff) + 0x1000);
    world.held.seq += 1;
    let ip = Ip {
        id: id.clone(),
        zone: req.zone.to_owned(),
        project: body.get("project").and_then(Value::as_str).unwrap_or(&world.options.project).to_owned(),
        address: (!v6).then_some(address),
        prefix: v6.then_some(prefix),
        reverse: None,
        resolves: None,
        spreading: None,
        ipam,
        tags: strings(body.get("tags")),
        server,
        pending: false,
        created: world.held.seq,
    };
    let value = json!({"ip": wire::ip(&ip, world)});
    world.held.ips.insert(id.clone(), ip);
    answer::created("ips", req.zone, &id, value)
}

pub(crate) fn get(world: &World, req: &Req<'_>, id: &str) -> Answer {
    find(world, req.zone, id).map_or_else(|| missing(id), |id| show(world, &id))
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(id) = find(world, req.zone, id) else { return missing(id) };
    if let Some(server) = body.get("server").and_then(Value::as_str)
        && world.held.servers.get(server).is_none_or(|s| s.zone != req.zone)
    {
        return crate::server_lookup::missing(server);
    }
    if let Some(name) = body.get("reverse").and_then(Value::as_str).filter(|r| !r.is_empty())
        && let Some(answer) = unresolved(world, &id, name)
    {
        return answer;
    }
    let server = body.get("server").and_then(Value::as_str).and_then(|s| world.held.servers.get(s));
    let running = server.is_some_and(|s| s.state == "running");
    if let Some(ip) = world.held.ips.get_mut(&id) {
        if let Some(server) = body.get("server") {
            ip.server = server.as_str().map(str::to_owned);
            ip.pending = running;
        }
        if let Some(reverse) = body.get("reverse") {
            ip.reverse = reverse.as_str().filter(|r| !r.is_empty()).map(str::to_owned);
        }
        if body.get("tags").is_some_and(Value::is_array) {
            ip.tags = strings(body.get("tags"));
        }
    }
    if let Some(server) = body.get("server").and_then(Value::as_str) {
        world.tell_of_new_address(server);
    }
    show(world, &id)
}

/// Refuses a name that does not resolve to the address. The emulator assumes that the client has just created the DNS
/// record: some time later the same request succeeds.
fn unresolved(world: &mut World, id: &str, name: &str) -> Option<Answer> {
    let ms = world.duration_ms(REVERSE_DNS);
    let ip = world.held.ips.get_mut(id)?;
    if ip.resolves.as_deref() == Some(name) || ip.reverse.as_deref() == Some(name) {
        return None;
    }
    let address = ip.address.as_ref().or(ip.prefix.as_ref()).cloned().unwrap_or_default();
    if ip.spreading.as_deref() != Some(name) {
        ip.spreading = Some(name.to_owned());
        world.later(ms, Event::Resolves { ip: id.to_owned(), name: name.to_owned() });
    }
    let help = format!(
        "Your reverse must resolve. Ensure the command 'dig +short {name}' matches your IP address '{address}'. \
         If it does, please contact our support."
    );
    Some(answer::invalid("reverse", "constraint", &help))
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req.zone, id) {
        Some(id) => {
            world.held.ips.remove(&id);
            answer::no_content()
        }
        None => missing(id),
    }
}
