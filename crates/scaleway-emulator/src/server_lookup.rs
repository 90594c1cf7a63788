//! One server of a request: found, shown, or not found.

use crate::answer::{self, Answer};
use crate::held::Server;
use crate::request::Req;
use crate::wire;
use crate::world::World;
use serde_json::json;

pub(crate) fn missing(id: &str) -> Answer {
    answer::not_found("instance_server", id)
}

/// The server with that id in the request's zone.
pub(crate) fn find<'w>(world: &'w mut World, req: &Req<'_>, id: &str) -> Result<&'w mut Server, Answer> {
    world.held.servers.get_mut(id).filter(|s| s.zone == req.zone).ok_or_else(|| missing(id))
}

/// The server as an answer, in its envelope.
pub(crate) fn show(world: &World, id: &str) -> Answer {
    match world.held.servers.get(id) {
        Some(s) => answer::json(200, json!({"server": wire::server(world, s)})),
        None => missing(id),
    }
}
