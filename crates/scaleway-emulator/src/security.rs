//! Security groups and their rules.

use crate::answer::{self, Answer};
use crate::clock::instance_time;
use crate::event::Event;
use crate::held::{Rule, SecurityGroup};
use crate::options::SYNC;
use crate::request::Req;
use crate::volumes::strings;
use crate::world::World;
use serde_json::{Value, json};

fn missing(id: &str) -> Answer {
    answer::not_found("instance_security_group", id)
}

fn find<'w>(world: &'w mut World, req: &Req<'_>, id: &str) -> Result<&'w mut SecurityGroup, Answer> {
    world.held.groups.get_mut(id).filter(|g| g.zone == req.zone).ok_or_else(|| missing(id))
}

fn group(world: &World, g: &SecurityGroup) -> Value {
    let of = world.held.servers.values().filter(|s| s.security_group == g.id);
    let servers: Vec<Value> = of.map(|s| json!({"id": s.id, "name": s.name})).collect();
    json!({
        "id": g.id, "creation_date": instance_time(g.created_us), "modification_date": instance_time(g.modified_us),
        "name": g.name, "description": g.description, "organization": world.options.project, "project": g.project,
        "servers": servers, "stateful": g.stateful, "inbound_default_policy": g.inbound,
        "outbound_default_policy": g.outbound, "organization_default": g.project_default,
        "project_default": g.project_default, "enable_default_security": g.default_security,
        "state": if g.syncing { "syncing" } else { "available" }, "tags": g.tags, "zone": g.zone,
    })
}

fn show(world: &World, status: u16, id: &str) -> Answer {
    world
        .held
        .groups
        .get(id)
        .map_or_else(|| missing(id), |g| answer::json(status, json!({"security_group": group(world, g)})))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let wanted = |g: &&SecurityGroup| {
        g.zone == req.zone
            && req.param("name").is_none_or(|n| g.name.contains(n))
            && req.param("project").is_none_or(|p| g.project == p)
            && req.flag("project_default").is_none_or(|d| g.project_default == d)
            && tags.iter().all(|t| g.tags.iter().any(|have| have == t))
    };
    let mut items: Vec<&SecurityGroup> = world.held.groups.values().filter(wanted).collect();
    items.sort_by_key(|g| std::cmp::Reverse(g.created_us));
    req.instance_page("/security_groups", "security_groups", &items, 50, |g| group(world, g))
}

/// Applies the group fields of a body.
fn read(g: &mut SecurityGroup, body: &Value) {
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| body.get(key).and_then(Value::as_bool);
    g.name = text("name").unwrap_or_else(|| g.name.clone());
    g.description = text("description").filter(|d| !d.is_empty()).or(g.description.take());
    g.inbound = text("inbound_default_policy").unwrap_or_else(|| g.inbound.clone());
    g.outbound = text("outbound_default_policy").unwrap_or_else(|| g.outbound.clone());
    g.stateful = flag("stateful").unwrap_or(g.stateful);
    g.default_security = flag("enable_default_security").unwrap_or(g.default_security);
    g.project_default = flag("project_default").unwrap_or(g.project_default);
    if body.get("tags").is_some_and(Value::is_array) {
        g.tags = strings(body.get("tags"));
    }
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    for key in ["inbound_default_policy", "outbound_default_policy"] {
        let policy = body.get(key).and_then(Value::as_str);
        if policy.is_some_and(|p| !matches!(p, "accept" | "drop")) {
            return answer::invalid(key, "constraint", "expected accept or drop");
        }
    }
    let (id, now) = (world.new_id(), world.now());
    let project = body.get("project").and_then(Value::as_str).unwrap_or(&world.options.project).to_owned();
    let mut g = SecurityGroup {
        zone: req.zone.to_owned(),
        project,
        created_us: now,
        modified_us: now,
        ..SecurityGroup::new(id.clone())
    };
    read(&mut g, &body);
    world.held.groups.insert(id.clone(), g);
    match world.held.groups.get(&id) {
        Some(g) => answer::created("security_groups", req.zone, &id, json!({"security_group": group(world, g)})),
        None => missing(&id),
    }
}

pub(crate) fn get(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Ok(_) => show(world, 200, id),
        Err(answer) => answer,
    }
}

/// Changed rules take effect a little later.
pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let now = world.now();
    let changed = match find(world, req, id) {
        Ok(g) => {
            let before = g.clone();
            read(g, &body);
            let shown = |g: &SecurityGroup| (g.name.clone(), g.description.clone(), g.tags.clone());
            let ruled = |g: &SecurityGroup| (g.stateful, g.inbound.clone(), g.outbound.clone(), g.default_security);
            let changed = ruled(g) != ruled(&before) || shown(g) != shown(&before);
            if changed {
                g.modified_us = now;
            }
            g.syncing |= changed;
            changed
        }
        Err(answer) => return answer,
    };
    if changed {
        sync(world, id);
    }
    show(world, 200, id)
}

fn sync(world: &mut World, id: &str) {
    let ms = world.duration_ms(SYNC);
    world.later(ms, Event::Synced { group: id.to_owned() });
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    if let Err(answer) = find(world, req, id) {
        return answer;
    }
    if world.held.servers.values().any(|s| s.security_group == id) {
        return answer::precondition(400, "resource_still_in_use", "group is in use");
    }
    world.held.groups.remove(id);
    answer::no_content()
}

/// The id prefix of the rules that cannot be edited.
const FIXED: &str = "11111111-2222-4333-8444-";

/// The rules that cannot be edited: they drop outgoing mail.
fn fixed(zone: &str) -> impl Iterator<Item = Value> {
    let of = ["0.0.0.0/0", "::/0"].into_iter().flat_map(|range| [25, 465, 587].map(|port| (range, port)));
    let zone = zone.to_owned();
    of.enumerate().map(move |(n, (range, port))| {
        json!({
            "id": format!("{FIXED}{:012}", n + 1), "protocol": "TCP", "direction": "outbound",
            "ip_range": range, "dest_ip_range": null, "dest_port_from": port, "dest_port_to": null, "position": n + 1,
            "editable": false, "action": "drop", "zone": zone,
        })
    })
}

fn rule(r: &Rule, position: usize, zone: &str) -> Value {
    json!({
        "id": r.id, "protocol": r.protocol, "direction": r.direction, "ip_range": r.ip_range, "dest_ip_range": null,
        "dest_port_from": r.port_from, "dest_port_to": r.port_to, "position": position, "editable": true,
        "action": r.action, "zone": zone,
    })
}

/// One page, without the headers that other lists have.
fn all_rules(g: &SecurityGroup, req: &Req<'_>) -> Value {
    let (page, size) = req.page("per_page", 50);
    let fixed = fixed(&g.zone).filter(|_| g.default_security);
    let own = g.rules.iter().enumerate().map(|(n, r)| rule(r, n + 1, &g.zone));
    json!({"rules": fixed.chain(own).skip(req.skip(page, size)).take(size).collect::<Vec<_>>()})
}

pub(crate) fn rules(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match find(world, req, id) {
        Ok(g) => answer::json(200, all_rules(g, req)),
        Err(answer) => answer,
    }
}

/// A range in its shortest form: a single address has no prefix length.
fn range(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: std::net::IpAddr = address.parse().ok()?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = if length.is_empty() { full } else { length.parse().ok().filter(|n| *n <= full)? };
    Some(if length == full { address.to_string() } else { format!("{address}/{length}") })
}

/// Applies the rule fields of a body.
fn read_rule(r: &mut Rule, body: &Value) -> Result<(), Answer> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let word = |key: &str, words: &[&str], old: &str| match text(key) {
        Some(w) if words.contains(&w) => Ok(w.to_owned()),
        Some(_) => Err(answer::invalid(key, "constraint", &format!("expected one of {}", words.join(", ")))),
        None => Ok(old.to_owned()),
    };
    r.protocol = word("protocol", &["TCP", "UDP", "ICMP", "ANY"], &r.protocol)?;
    r.direction = word("direction", &["inbound", "outbound"], &r.direction)?;
    r.action = word("action", &["accept", "drop"], &r.action)?;
    if let Some(given) = text("ip_range") {
        let wrong = || answer::invalid("ip_range", "format", "expected an address or a range");
        r.ip_range = range(given).ok_or_else(wrong)?;
    }
    for (key, port) in [("dest_port_from", &mut r.port_from), ("dest_port_to", &mut r.port_to)] {
        match body.get(key) {
            None => {}
            Some(Value::Null) => *port = None,
            Some(v) => {
                let wrong = || answer::invalid(key, "constraint", "a port is 1 to 65535");
                let given = v.as_i64().filter(|p| (0..=65_535).contains(p)).ok_or_else(wrong)?;
                *port = Some(given).filter(|p| *p > 0);
            }
        }
    }
    if r.port_to == r.port_from {
        r.port_to = None;
    }
    if !matches!(r.protocol.as_str(), "TCP" | "UDP") {
        (r.port_from, r.port_to) = (None, None);
    }
    Ok(())
}

fn new_rule(world: &mut World, body: &Value) -> Result<Rule, Answer> {
    for key in ["protocol", "direction", "action", "ip_range"] {
        if body.get(key).is_none_or(Value::is_null) {
            return Err(answer::invalid(key, "required", "required key not provided"));
        }
    }
    let mut r = Rule {
        id: world.new_id(),
        protocol: String::new(),
        direction: String::new(),
        action: String::new(),
        ip_range: String::new(),
        port_from: None,
        port_to: None,
    };
    read_rule(&mut r, body).map(|()| r)
}

pub(crate) fn set_rules(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match find(world, req, id).and(req.json()) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let given = body.get("rules").and_then(Value::as_array).into_iter().flatten();
    // A client that sends back what it read also sends the rules that cannot be edited.
    let own = |r: &&Value| !r.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with(FIXED));
    let given = given.filter(own);
    let rules: Result<Vec<Rule>, Answer> = given.map(|r| new_rule(world, r)).collect();
    match rules {
        Ok(rules) => {
            if let Ok(g) = find(world, req, id) {
                g.rules = rules;
            }
            self::rules(world, req, id)
        }
        Err(answer) => answer,
    }
}

pub(crate) fn add_rule(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match find(world, req, id).and(req.json()) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let r = match new_rule(world, &body) {
        Ok(r) => r,
        Err(answer) => return answer,
    };
    match find(world, req, id) {
        Ok(g) => {
            g.rules.push(r.clone());
            let value = json!({"rule": rule(&r, g.rules.len(), &g.zone)});
            answer::created(&format!("security_groups/{id}/rules"), req.zone, &r.id, value)
        }
        Err(answer) => answer,
    }
}

/// One rule: read, changed or deleted.
pub(crate) fn one_rule(world: &mut World, req: &Req<'_>, id: &str, rule_id: &str) -> Answer {
    let body = match find(world, req, id).and(req.json()) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Ok(g) = find(world, req, id) else { return missing(id) };
    let Some(n) = g.rules.iter().position(|r| r.id == rule_id) else {
        return answer::not_found("instance_security_group_rule", rule_id);
    };
    match req.method {
        "DELETE" => {
            g.rules.remove(n);
            answer::no_content()
        }
        "PATCH" => match read_rule(&mut g.rules[n], &body) {
            Ok(()) => answer::json(200, json!({"rule": rule(&g.rules[n], n + 1, &g.zone)})),
            Err(answer) => answer,
        },
        _ => answer::json(200, json!({"rule": rule(&g.rules[n], n + 1, &g.zone)})),
    }
}
