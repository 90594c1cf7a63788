//! `POST /servers/{id}/action`: each action with its recorded sequence of states; other actions are refused.

use crate::answer::Body;
use crate::answer::{self, Answer};
use crate::catalogue;
use crate::clock::instance_time;
use crate::event::Event;
use crate::held::{Image, ImageVolume, Server};
use crate::history::Change;
use crate::options::{self, Spread, StockRefusal};
use crate::request::Req;
use crate::server_lookup;
use crate::wire;
use crate::world::World;
use crate::{block_snapshots, images, snapshots};
use serde_json::{Value, json};

/// The states of an action: the first, those in between with their share of the duration in percent, and the last.
struct Path {
    first: (&'static str, &'static str),
    steps: &'static [(i64, &'static str, &'static str)],
    end: (&'static str, &'static str),
    spread: Spread,
}

pub(crate) fn list(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match server_lookup::find(world, req, id).cloned() {
        Ok(s) => answer::json(200, json!({"actions": wire::allowed(world, &s)})),
        Err(answer) => answer,
    }
}

pub(crate) fn action(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let found = server_lookup::find(world, req, id).cloned();
    let (server, body) = match found.and_then(|s| req.json().map(|b| (s, b))) {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    let Some(name) = body.get("action").and_then(Value::as_str) else {
        return answer::invalid("action", "required", "required key not provided");
    };
    if name == "backup" && wire::allowed(world, &server).contains(&"backup") {
        return backup(world, req, &server, &body);
    }
    let gpu = catalogue::find(&server.commercial_type, req.zone, world.now()).is_some_and(|t| t.gpus > 0);
    let Some((description, path)) = path_of(name, &server.state, gpu) else {
        return answer::invalid("action", "constraint", "unknown action");
    };
    let whatever = name == "terminate" && server.state == "stopped" && world.options.terminate_stopped_server;
    if !wire::allowed(world, &server).contains(&name) && !whatever {
        let help = match (name, server.state.as_str()) {
            ("poweron", _) => "server should be stopped",
            (_, "stopped") => "server should be running",
            _ => "server is in a transient state",
        };
        return answer::precondition(400, "resource_not_usable", help);
    }
    let key = (server.zone.clone(), server.commercial_type.clone());
    let no_stock = name == "poweron" && world.options.out_of_stock.contains(&key);
    if no_stock && world.options.stock_refusal == StockRefusal::PowerOn {
        return answer::out_of_stock(&server.commercial_type);
    }
    let seq = world.held.seq;
    walk(world, id, &path, name == "terminate");
    if no_stock && world.options.stock_refusal == StockRefusal::FallBack {
        world.fall_back(id, seq);
    }
    task(world, req, id, description)
}

/// Since mid-2026 all tasks are the same placeholder; before, each had an id, a description and a location.
fn task(world: &mut World, req: &Req<'_>, id: &str, description: &str) -> Answer {
    let fake = world.has(Change::FakeTasks);
    let task_id = if fake { answer::FAKE_TASK.to_owned() } else { world.new_id() };
    let task = json!({
        "id": task_id, "description": if fake { "fake task" } else { description }, "status": "pending",
        "href_from": format!("/servers/{id}/action"), "href_result": format!("/servers/{id}"),
        "started_at": instance_time(world.now()), "terminated_at": null, "progress": 0, "zone": req.zone,
    });
    let mut answer = answer::json(202, json!({ "task": task }));
    if !fake {
        let location = format!("https://api.scaleway.com/instance/v1/zones/{}/tasks/{task_id}", req.zone);
        answer.headers.push(("location", location));
    }
    answer
}

/// Creates an image of the server and a snapshot of each of its volumes; the image exists at once.
fn backup(world: &mut World, req: &Req<'_>, server: &Server, body: &Value) -> Answer {
    let name = body.get("name").and_then(Value::as_str).filter(|n| !n.is_empty());
    let minute = instance_time(world.now()).get(..16).unwrap_or_default().replace('T', "_").replace(':', "-");
    let name = name.map_or_else(|| format!("image_{}_{minute}", server.name), str::to_owned);
    let mut volumes = std::collections::BTreeMap::new();
    for (index, slot) in &server.slots {
        let snapshot = format!("{name}_snap_{index}");
        let volume = if slot.block {
            block_snapshots::take(world, &snapshot, &slot.volume, None, Vec::new()).map(|id| ImageVolume {
                snapshot: id,
                kind: "sbs_snapshot".to_owned(),
                name: String::new(),
                size: 0,
            })
        } else {
            snapshots::take(world, &snapshot, &slot.volume, Vec::new()).map(|s| ImageVolume {
                snapshot: s.id,
                kind: s.kind,
                name: s.name,
                size: s.size,
            })
        };
        if let Some(volume) = volume {
            volumes.insert(index.to_string(), volume);
        }
    }
    let first = volumes.keys().next().cloned();
    let Some(root) = first.and_then(|index| volumes.remove(&index)) else {
        return answer::precondition(400, "resource_not_usable", "server has no volume");
    };
    let image = images::new_image(world, req.zone, &server.project, root, volumes);
    let arch = world.arch_of(&server.commercial_type, req.zone).to_owned();
    let image = Image { name, arch, from_server: server.id.clone(), ..image };
    let id = image.id.clone();
    world.held.images.insert(id.clone(), image);
    let mut answer = task(world, req, &server.id, "instance_backup");
    if let Body::Json(value) = &mut answer.body {
        value["task"]["href_result"] = json!(format!("/images/{id}"));
    }
    answer
}

fn path_of(name: &str, state: &str, gpu: bool) -> Option<(&'static str, Path)> {
    let description = match name {
        "poweron" if state == "stopped in place" => "server_poweron_in_place",
        "poweron" => "server_batch_poweron",
        "poweroff" => "server_poweroff",
        "stop_in_place" => "server_stop_in_place",
        "reboot" => "server_reboot",
        _ => "server_terminate",
    };
    let either = |plain: Spread, with_gpu: Spread| if gpu { with_gpu } else { plain };
    let path = match name {
        "poweron" if state == "stopped in place" => Path {
            first: ("starting", "stopped in place"),
            steps: &[(30, "starting", "starting in place")],
            end: ("running", "booting kernel"),
            spread: options::START_IN_PLACE,
        },
        "poweron" => Path {
            first: ("starting", "allocating node"),
            steps: &[(40, "starting", "provisioning node"), (80, "starting", "starting")],
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
    Some((description, path))
}

fn walk(world: &mut World, id: &str, path: &Path, terminates: bool) {
    let total = world.duration_ms(path.spread);
    let now = world.now();
    let Some(server) = world.held.servers.get_mut(id) else { return };
    server.epoch += 1;
    let epoch = server.epoch;
    (server.state, server.detail) = (path.first.0.to_owned(), path.first.1.to_owned());
    server.modified_us = now;
    let event = |state: &str, detail: &str| Event::State {
        server: id.to_owned(),
        epoch,
        state: state.to_owned(),
        detail: detail.to_owned(),
    };
    for (share, state, detail) in path.steps {
        world.later(total * share / 100, event(state, detail));
    }
    if path.end.0 == "stopped" && !terminates {
        world.later(total * 15 / 100, Event::Released { server: id.to_owned(), epoch });
    }
    if !terminates {
        world.later(total, event(path.end.0, path.end.1));
        return;
    }
    // Local volumes are deleted with the server, which refuses other actions meanwhile.
    if world.held.servers.get(id).is_some_and(|s| s.slots.values().any(|slot| !slot.block)) {
        world.later(total / 20, Event::Deleting { server: id.to_owned(), epoch });
    }
    // Flexible addresses are still shown as attached for a moment.
    world.later(total / 10, Event::Freed { server: id.to_owned(), epoch });
    let mut gone_ms = total;
    if world.options.lingers_stopped_after_terminate {
        world.later(total, Event::Emptied { server: id.to_owned(), epoch });
        gone_ms += 12_000;
    }
    world.later(gone_ms, Event::Gone { server: id.to_owned(), epoch });
}
