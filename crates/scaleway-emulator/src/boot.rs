//! Which machines should run: a pure function of the account, and the control API's orders to a machine.
//!
//! A server has a machine while its state is `running`. Its [`Generation`] tells one boot from the next.

use crate::answer::{self, Answer};
use crate::held::{Held, Local, Server, Slot};
use crate::server_lookup;
use crate::world::World;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The user data that a machine reads when it boots.
const USER_DATA_KEY: &str = "cloud-init";

/// What the machines of servers run, and where their disks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// A command for `/bin/sh -c`: it is started when a server runs, and killed when the server stops.
    pub command: String,
    /// The folder of all disks; `None`: a temporary one, which is deleted at the end.
    pub state_dir: Option<PathBuf>,
}

/// Identifies one boot of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Counts the starts that the API shows.
    pub(crate) boots: u64,
    /// Counts the restarts by the control API since then.
    pub(crate) restarts: u64,
}

/// A machine that should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) server_type: String,
    pub(crate) address: Option<String>,
    pub(crate) user_data: Option<Bytes>,
    /// The attached block volumes, and scratch.
    pub(crate) volumes: BTreeSet<String>,
    pub(crate) generation: Generation,
    pub(crate) is_killed: bool,
    pub(crate) is_frozen: bool,
}

/// What should exist on this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// All servers; each may have a boot disk.
    pub(crate) servers: BTreeSet<String>,
    /// All block volumes, and scratch of servers that are not powered off, with their sizes in bytes; each may have a file.
    pub(crate) volumes: BTreeMap<String, u64>,
    /// The machines that should run, by the server's id.
    pub(crate) machines: BTreeMap<String, Machine>,
}

/// What should exist for an account.
pub(crate) fn wanted(held: &Held) -> Wanted {
    let running = held.servers.values().filter(|s| s.state == "running");
    let blocks = held.blocks.values().map(|v| (&v.id, v.size));
    // A power-off erases scratch; a stop in place and a reboot do not.
    let powered = held.servers.values().filter(|s| s.state != "stopped");
    let scratch = powered.flat_map(|s| s.slots.values()).filter_map(|slot| scratch(held, slot));
    let scratch = scratch.map(|v| (&v.id, v.size));
    Wanted {
        servers: held.servers.keys().cloned().collect(),
        volumes: blocks.chain(scratch).map(|(id, size)| (id.clone(), u64::try_from(size).unwrap_or(0))).collect(),
        machines: running.map(|s| (s.id.clone(), machine(held, s))).collect(),
    }
}

/// The scratch volume in a slot.
fn scratch<'a>(held: &'a Held, slot: &Slot) -> Option<&'a Local> {
    held.locals.get(&slot.volume).filter(|v| !slot.block && v.kind == "scratch")
}

fn machine(held: &Held, server: &Server) -> Machine {
    let is_shown = |slot: &&Slot| slot.block && held.blocks.contains_key(&slot.volume) || scratch(held, slot).is_some();
    let attached = server.slots.values().filter(is_shown);
    Machine {
        server_type: server.commercial_type.clone(),
        address: address(held, server),
        user_data: server.user_data.get(USER_DATA_KEY).cloned(),
        volumes: attached.map(|slot| slot.volume.clone()).collect(),
        generation: Generation { boots: server.boots, restarts: server.machine.restarts },
        is_killed: server.machine.is_killed,
        is_frozen: server.machine.is_frozen,
    }
}

/// The IPv4 address that the API shows first.
fn address(held: &Held, server: &Server) -> Option<String> {
    let of_server = held.ips.values().filter(|ip| ip.server.as_deref() == Some(&server.id) && ip.address.is_some());
    let flexible = of_server.min_by_key(|ip| ip.created);
    server.dynamic_ip.as_ref().or(flexible).and_then(|ip| ip.address.clone())
}

/// `POST /_emulator/servers/{id}/vm`: a fault of the machine, which the API does not show.
pub(crate) fn order(world: &mut World, id: &str, body: &Value) -> Result<Value, Answer> {
    let unusable = |help: &str| Err(answer::precondition(400, "resource_not_usable", help));
    if !world.has_machines {
        return unusable("servers have no machines: start the emulator with --boot");
    }
    let Some(server) = world.held.servers.get_mut(id) else { return Err(server_lookup::missing(id)) };
    let action = body.get("action").and_then(Value::as_str).unwrap_or_default();
    if !matches!(action, "kill" | "freeze" | "thaw" | "restart") {
        return Err(answer::invalid("action", "constraint", "kill, freeze, thaw or restart"));
    }
    if server.state != "running" {
        return unusable("server should be running");
    }
    let machine = &mut server.machine;
    match action {
        "kill" => machine.is_killed = true,
        "freeze" => machine.is_frozen = true,
        "thaw" => machine.is_frozen = false,
        _ => {
            (machine.is_killed, machine.is_frozen) = (false, false);
            machine.restarts += 1;
        }
    }
    let (killed, frozen, restarts) = (machine.is_killed, machine.is_frozen, machine.restarts);
    Ok(json!({"server": id, "boots": server.boots, "restarts": restarts, "killed": killed, "frozen": frozen}))
}
