//! User data: raw bytes by key. A missing key gives a 404 with a text content type and no body.

use crate::answer::{self, Answer};
use crate::request::Req;
use crate::server_lookup;
use crate::world::World;
use serde_json::json;

pub(crate) fn list(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match server_lookup::find(world, req, id) {
        Ok(s) => answer::json(200, json!({"user_data": s.user_data.keys().collect::<Vec<_>>()})),
        Err(answer) => answer,
    }
}

pub(crate) fn get(world: &mut World, req: &Req<'_>, id: &str, key: &str) -> Answer {
    match server_lookup::find(world, req, id) {
        Ok(s) => s.user_data.get(key).cloned().map_or_else(|| answer::no_content_text(404), answer::text),
        Err(answer) => answer,
    }
}

pub(crate) fn set(world: &mut World, req: &Req<'_>, id: &str, key: &str) -> Answer {
    if world.options.user_data_max.is_some_and(|max| req.body.len() > max) {
        return answer::invalid("content", "constraint", "too large");
    }
    match server_lookup::find(world, req, id) {
        Ok(s) => {
            s.user_data.insert(key.to_owned(), req.body.clone());
            answer::no_content_text(204)
        }
        Err(answer) => answer,
    }
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str, key: &str) -> Answer {
    match server_lookup::find(world, req, id) {
        Ok(s) => match s.user_data.remove(key) {
            Some(_) => answer::no_content(),
            None => answer::no_content_text(404),
        },
        Err(answer) => answer,
    }
}
