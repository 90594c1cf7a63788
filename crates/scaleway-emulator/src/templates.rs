//! Server templates (`v2alpha1`), as far as recorded: one life cycle.

use crate::answer::{self, Answer, Body};
use crate::catalogue;
use crate::clock::block_time;
use crate::held::Template;
use crate::request::Req;
use crate::world::World;
use serde_json::{Value, json};

fn missing(id: &str) -> Answer {
    answer::not_found("instance_template", id)
}

pub(crate) fn answer(world: &mut World, req: &Req<'_>, rest: &[&str]) -> Option<Answer> {
    let here = |world: &World, id: &str| world.held.templates.get(id).is_some_and(|t| t.zone == req.zone);
    Some(match (req.method, rest) {
        ("GET", []) => {
            let own: Vec<&Template> = world.held.templates.values().filter(|t| t.zone == req.zone).collect();
            req.block_page("templates", own, shown)
        }
        ("POST", []) => match req.json() {
            Ok(body) => create(world, req, &body),
            Err(answer) => answer,
        },
        (_, [id] | [id, "create-server"]) if !here(world, id) => missing(id),
        ("GET", [id]) => world.held.templates.get(*id).map_or_else(|| missing(id), |t| answer::json(200, shown(t))),
        ("DELETE", [id]) => {
            world.held.templates.remove(*id);
            answer::no_content()
        }
        ("POST", [id, "create-server"]) => match create_server(world, req, id) {
            Ok(answer) | Err(answer) => answer,
        },
        _ => return None,
    })
}

fn shown(t: &Template) -> Value {
    let mut value = t.body.clone();
    let at = block_time(t.created_us);
    if let Some(object) = value.as_object_mut() {
        let own = json!({"id": t.id, "project_id": t.project, "created_at": at, "updated_at": at, "zone": t.zone});
        object.extend(own.as_object().cloned().unwrap_or_default());
    }
    value
}

fn create(world: &mut World, req: &Req<'_>, body: &Value) -> Answer {
    let mut kept = body.clone();
    for key in ["tags", "server_tags", "private_networks", "filesystem_ids", "volumes"] {
        if kept.get(key).is_none_or(Value::is_null) {
            kept[key] = json!([]);
        }
    }
    for volume in kept["volumes"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if volume.get("tags").is_none_or(Value::is_null) {
            volume.insert("tags".to_owned(), json!([]));
        }
        volume.retain(|_, v| !v.is_null());
    }
    let template = Template {
        id: world.new_id(),
        zone: req.zone.to_owned(),
        project: body.get("project_id").and_then(Value::as_str).unwrap_or(&world.options.project).to_owned(),
        body: kept,
        created_us: world.now(),
    };
    let value = shown(&template);
    world.held.templates.insert(template.id.clone(), template);
    answer::json(200, value)
}

/// Creates an ordinary server and shows it in the new form.
fn create_server(world: &mut World, req: &Req<'_>, id: &str) -> Result<Answer, Answer> {
    let asked = req.json()?;
    let template = world.held.templates.get(id).cloned().ok_or_else(|| missing(id))?;
    let of = |key: &str| template.body.get(key).cloned().unwrap_or(Value::Null);
    let first = template.body.pointer("/volumes/0").cloned().unwrap_or(Value::Null);
    let kind = first["volume_type"].as_str().unwrap_or("sbs_volume");
    let label = first["image_label"].as_str().unwrap_or("ubuntu_noble");
    let wanted = of("server_type");
    let fits = |i: &&catalogue::MarketImage| {
        i.local == (kind == "l_ssd") && i.compatible.iter().any(|t| Some(*t) == wanted.as_str())
    };
    let found = catalogue::images_of(label, req.zone, world.now()).into_iter().find(fits);
    // An unrecorded label uses the newest recorded one.
    let image = found.or_else(|| catalogue::images_of("ubuntu_noble", req.zone, world.now()).into_iter().find(fits));
    let image = image.ok_or_else(|| answer::not_found("MarketplaceImage", label))?;
    let ask = |body: &Value| bytes::Bytes::from(body.to_string());
    let mut ips = Vec::new();
    for _ in 0..of("public_ip_v4_count").as_u64().unwrap_or(0).min(8) {
        let body = ask(&json!({"project": template.project}));
        let made = crate::ips::create(world, &Req { query: Vec::new(), body: &body, ..*req });
        ips.push(made.id("/ip/id").ok_or(made)?);
    }
    let body = ask(&json!({
        "name": asked["name"], "commercial_type": wanted, "image": image.id, "project": template.project,
        "tags": of("server_tags"), "public_ips": ips, "dynamic_ip_required": false,
        "volumes": {"0": {"name": first["name"], "size": first["size"], "volume_type": kind}},
    }));
    let made = crate::server_create::create(world, &Req { query: Vec::new(), body: &body, ..*req });
    let Body::Json(server) = &made.body else { return Err(made) };
    let Some(server) = server.get("server").filter(|_| made.status == 201) else { return Err(made) };
    let shown = as_new(server, &block_time(world.now()));
    // Such a server shows no image.
    if let Some(s) = server["id"].as_str().and_then(|id| world.held.servers.get_mut(id)) {
        s.image = std::sync::Arc::default();
    }
    Ok(answer::json(200, shown))
}

fn as_new(s: &Value, at: &str) -> Value {
    let volumes = s["volumes"].as_object().into_iter().flat_map(|v| v.values());
    let volumes: Vec<Value> = volumes.map(|v| json!({"id": v["id"], "volume_type": v["volume_type"]})).collect();
    let ips = s["public_ips"].as_array().into_iter().flatten();
    let ips: Vec<Value> = ips
        .map(|ip| json!({"id": ip["id"], "dynamic": ip["dynamic"], "status": ip["state"], "default": false}))
        .collect();
    json!({
        "project_id": s["project"], "id": s["id"], "name": s["name"], "tags": s["tags"],
        "server_type": s["commercial_type"], "status": s["state"], "volumes": volumes, "filesystems": [],
        "architecture": s["arch"], "created_at": at, "updated_at": at, "private_network_interfaces": [],
        "rescue_mode": false, "status_detail": s["state_detail"],
        "public_network_interface": {
            "status": "available", "mac_address": s["mac_address"], "security_group_id": s["security_group"]["id"],
            "ips": ips, "dns": s["dns"],
        },
        "zone": s["zone"],
    })
}
