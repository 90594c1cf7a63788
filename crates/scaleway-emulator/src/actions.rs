//! `POST /servers/{id}/action`: each action with its recorded path of states, and the refusal of the others.

use crate::answer::{self, Answer};
use crate::catalogue;
use crate::options::{self, Spread, StockRefusal};
use crate::request::Req;
use crate::servers;
use crate::wire;
use crate::world::{Event, World};
use serde_json::{Value, json};

/// Until an action, the states on the way with their share of the duration in percent, and the end.
struct Path {
    first: (&'static str, &'static str),
    steps: &'static [(i64, &'static str, &'static str)],
    end: (&'static str, &'static str),
    spread: Spread,
}

pub(crate) fn list(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match servers::find(world, req, id).cloned() {
        Ok(s) => answer::json(200, json!({"actions": wire::allowed(world, &s)})),
        Err(answer) => answer,
    }
}

pub(crate) fn action(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let found = servers::find(world, req, id).cloned();
    let (server, body) = match found.and_then(|s| req.json().map(|b| (s, b))) {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    let Some(name) = body.get("action").and_then(Value::as_str) else {
        return answer::invalid("action", "required", "required key not provided");
    };
    let gpu = catalogue::find(&server.commercial_type, req.zone).is_some_and(|t| t.gpu.is_some());
    let Some((description, path)) = path_of(name, server.state, gpu) else {
        return answer::invalid("action", "constraint", "unknown action");
    };
    if !wire::allowed(world, &server).contains(&name) {
        let help = match (name, server.state) {
            ("poweron", _) => "server should be stopped",
            (_, "stopped") => "server should be running",
            _ => "server is in a transient state",
        };
        return answer::precondition(400, "resource_not_usable", help);
    }
    let key = (server.zone.clone(), server.commercial_type.clone());
    let no_stock = world.options.stock_refusal == StockRefusal::PowerOn && world.options.out_of_stock.contains(&key);
    if name == "poweron" && no_stock {
        return answer::out_of_stock(&server.commercial_type);
    }
    walk(world, id, &path, name == "terminate");
    let started = crate::clock::instance_time(world.now());
    let task = json!({
        "id": "00000000-0000-0000-0000-000000000000", "description": description, "status": "pending",
        "href_from": format!("/servers/{id}/action"), "href_result": format!("/servers/{id}"), "started_at": started,
        "terminated_at": null, "progress": 0, "zone": req.zone,
    });
    answer::json(202, json!({"task": task}))
}

fn path_of(name: &str, state: &str, gpu: bool) -> Option<(&'static str, Path)> {
    let either = |plain: Spread, with_gpu: Spread| if gpu { with_gpu } else { plain };
    let path = match name {
        "poweron" if state == "stopped in place" => Path {
            first: ("starting", "starting in place"),
            steps: &[],
            end: ("running", "booting kernel"),
            spread: options::START_IN_PLACE,
        },
        "poweron" => Path {
            first: ("starting", "allocating node"),
            steps: &[(50, "starting", "provisioning node")],
            end: ("running", "booting kernel"),
            spread: either(options::POWER_ON, options::POWER_ON_GPU),
        },
        "poweroff" => Path {
            first: ("stopping", "stopping"),
            steps: &[],
            end: ("stopped", ""),
            spread: either(options::POWER_OFF, options::POWER_OFF_GPU),
        },
        "stop_in_place" => Path {
            first: ("stopping", "stopping in place"),
            steps: &[],
            end: ("stopped in place", "stopped in place"),
            spread: options::STOP_IN_PLACE,
        },
        "reboot" => Path {
            first: ("stopping", "rebooting"),
            steps: &[(60, "starting", "rebooting")],
            end: ("running", "booting kernel"),
            spread: options::REBOOT,
        },
        "terminate" => Path {
            first: ("stopping", "terminating"),
            steps: &[],
            end: ("stopped", ""),
            spread: either(options::TERMINATE, options::TERMINATE_GPU),
        },
        _ => return None,
    };
    Some(("fake task", path))
}

fn walk(world: &mut World, id: &str, path: &Path, terminates: bool) {
    let total = world.duration_ms(path.spread);
    let now = world.now();
    let Some(server) = world.servers.get_mut(id) else { return };
    server.epoch += 1;
    let epoch = server.epoch;
    (server.state, server.detail) = path.first;
    server.modified_us = now;
    let event = |state, detail| Event::State { server: id.to_owned(), epoch, state, detail };
    for (share, state, detail) in path.steps {
        world.later(total * share / 100, event(state, detail));
    }
    if !terminates {
        world.later(total, event(path.end.0, path.end.1));
        return;
    }
    let mut gone_ms = total;
    if world.options.lingers_stopped_after_terminate {
        world.later(total, event("stopped", ""));
        gone_ms += 6_000;
    }
    world.later(gone_ms, Event::Gone { server: id.to_owned(), epoch });
}
