//! The part of IAM that clients use: their API key, and SSH keys.

use crate::answer::{self, Answer};
use crate::clock::block_time;
use crate::held::SshKey;
use crate::request::Req;
use crate::world::World;
use serde_json::{Value, json};

/// When the account was created.
const MADE: &str = "2025-07-29T18:35:44.750352Z";

pub(crate) fn api_key(world: &World, access_key: &str) -> Answer {
    let project = &world.options.project;
    answer::json(
        200,
        json!({
            "access_key": access_key, "secret_key": null, "description": "emulated API key", "created_at": MADE,
            "updated_at": MADE, "expires_at": null, "default_project_id": project, "editable": true, "deletable": true,
            "managed": false, "creation_ip": "127.0.0.1", "user_id": "77e7fa85-0000-4000-8000-000000000001",
        }),
    )
}

fn shown(world: &World, k: &SshKey) -> Value {
    let at = block_time(k.created_us);
    json!({
        "id": k.id, "name": k.name, "public_key": k.public_key, "fingerprint": fingerprint(&k.public_key),
        "created_at": at, "updated_at": at, "organization_id": world.options.project, "project_id": k.project,
        "disabled": false,
    })
}

/// In the right format only: the digest is not computed.
fn fingerprint(key: &str) -> String {
    let kind = key.split(' ').next().unwrap_or_default();
    format!("256 MD5:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00 ({kind})")
}

pub(crate) fn ssh_keys(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    let missing = |id: &str| answer::not_found("ssh_key", id);
    Some(match (req.method, rest) {
        ("GET", []) => {
            let of = |k: &&SshKey| req.param("project_id").is_none_or(|p| k.project == p);
            let items: Vec<&SshKey> = world.held.ssh_keys.values().filter(of).collect();
            req.block_page("ssh_keys", items, |k| shown(world, k))
        }
        ("POST", []) => match req.json() {
            Ok(body) => create(world, &body),
            Err(answer) => answer,
        },
        ("GET", [id]) => match world.held.ssh_keys.get(*id) {
            Some(k) => answer::json(200, shown(world, k)),
            None => missing(id),
        },
        ("DELETE", [id]) => match world.held.ssh_keys.remove(*id) {
            Some(_) => answer::no_content(),
            None => missing(id),
        },
        _ => return None,
    })
}

fn create(world: &mut World, body: &Value) -> Answer {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let Some(public_key) = text("public_key") else {
        return answer::invalid("public_key", "required", "required key not provided");
    };
    let key = SshKey {
        id: world.new_id(),
        name: text("name").unwrap_or_default().to_owned(),
        public_key: public_key.trim().to_owned(),
        project: text("project_id").unwrap_or(&world.options.project).to_owned(),
        created_us: world.now(),
    };
    let value = shown(world, &key);
    world.held.ssh_keys.insert(key.id.clone(), key);
    answer::json(200, value)
}
