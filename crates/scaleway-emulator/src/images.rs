//! The account's own images, and marketplace images as the Instance API shows them.

use crate::answer::{self, Answer};
use crate::catalogue;
use crate::clock::instance_time;
use crate::held::{Image, ImageVolume};
use crate::request::Req;
use crate::volumes::strings;
use crate::wire;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn missing(id: &str) -> Answer {
    answer::not_found("instance_image", id)
}

/// An image that a server can be created from: how answers show it, and its root volume.
pub(crate) struct Source {
    pub(crate) shown: Value,
    pub(crate) name: String,
    pub(crate) root: ImageVolume,
    pub(crate) extra: BTreeMap<String, ImageVolume>,
    /// The compatible types; `None`: all.
    pub(crate) compatible: Option<&'static [&'static str]>,
}

/// The image with an id in a zone.
pub(crate) fn source(world: &World, id: &str, zone: &str) -> Option<Source> {
    if let Some(i) = world.held.images.get(id).filter(|i| i.zone == zone) {
        return Some(Source {
            shown: wire::image(i),
            name: i.name.clone(),
            root: i.root.clone(),
            extra: i.extra.clone(),
            compatible: None,
        });
    }
    let i = catalogue::image_by_id(id).filter(|i| i.zone == zone)?;
    if i.local && i.label == catalogue::LOCAL_GPU_LABEL && !world.options.local_gpu_image_for_render {
        return None;
    }
    let root = ImageVolume {
        snapshot: i.snapshot.clone(),
        kind: if i.local { "l_ssd" } else { "sbs_snapshot" }.to_owned(),
        name: if i.local { i.name.to_owned() } else { String::new() },
        size: catalogue::root_size(i.name),
    };
    Some(Source {
        shown: wire::market_image(i),
        name: i.name.to_owned(),
        root,
        extra: BTreeMap::new(),
        compatible: Some(i.compatible),
    })
}

pub(crate) fn get(world: &World, req: &Req<'_>, id: &str) -> Answer {
    source(world, id, req.zone).map_or_else(|| missing(id), |s| answer::json(200, json!({"image": s.shown})))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let tags = req.params("tags");
    let wanted = |i: &&Image| {
        i.zone == req.zone
            && req.param("name").is_none_or(|n| i.name.contains(n))
            && req.param("project").is_none_or(|p| i.project == p)
            && req.param("organization").is_none_or(|p| i.organization == p)
            && req.param("arch").is_none_or(|a| i.arch == a)
            && req.flag("public").is_none_or(|p| i.public == p)
            && tags.iter().all(|t| i.tags.iter().any(|have| have == t))
    };
    let mut items: Vec<&Image> = world.held.images.values().filter(wanted).collect();
    items.sort_by(|a, b| b.created.cmp(&a.created));
    req.instance_page("/images", "images", &items, 50, |i| wire::image(i))
}

/// The image volume of a snapshot of either API.
fn volume_of(world: &World, zone: &str, snapshot: &str) -> Option<ImageVolume> {
    if let Some(s) = world.held.snapshots.get(snapshot).filter(|s| s.zone == zone) {
        let (snapshot, kind, name, size) = (s.id.clone(), s.kind.clone(), s.name.clone(), s.size);
        return Some(ImageVolume { snapshot, kind, name, size });
    }
    let s = world.held.block_snapshots.get(snapshot).filter(|s| s.zone == zone)?;
    Some(ImageVolume { snapshot: s.id.clone(), kind: "sbs_snapshot".to_owned(), name: String::new(), size: 0 })
}

fn extra_of(world: &World, zone: &str, body: &Value) -> Result<BTreeMap<String, ImageVolume>, Answer> {
    let mut extra = BTreeMap::new();
    for (index, template) in body.get("extra_volumes").and_then(Value::as_object).into_iter().flatten() {
        let Some(id) = template.get("id").and_then(Value::as_str) else {
            return Err(answer::invalid("extra_volumes", "required", "required key not provided"));
        };
        let volume = volume_of(world, zone, id).ok_or_else(|| answer::not_found("instance_snapshot", id))?;
        extra.insert(index.clone(), volume);
    }
    Ok(extra)
}

pub(crate) fn create(world: &mut World, req: &Req<'_>) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(root) = text("root_volume") else {
        return answer::invalid("root_volume", "required", "required key not provided");
    };
    let Some(root) = volume_of(world, req.zone, &root) else { return answer::not_found("instance_snapshot", &root) };
    let extra = match extra_of(world, req.zone, &body) {
        Ok(extra) => extra,
        Err(answer) => return answer,
    };
    let project = text("project").unwrap_or_else(|| world.options.project.clone());
    let image = Image {
        name: text("name").unwrap_or_default(),
        arch: text("arch").unwrap_or_else(|| "x86_64".to_owned()),
        public: body.get("public").and_then(Value::as_bool).unwrap_or(false),
        tags: strings(body.get("tags")),
        ..new_image(world, req.zone, &project, root, extra)
    };
    let (id, value) = (image.id.clone(), json!({"image": wire::image(&image)}));
    world.held.images.insert(id.clone(), image);
    answer::created("images", req.zone, &id, value)
}

/// An image without a name.
pub(crate) fn new_image(
    world: &mut World,
    zone: &str,
    project: &str,
    root: ImageVolume,
    extra: BTreeMap<String, ImageVolume>,
) -> Image {
    let at = instance_time(world.now());
    let blocks = std::iter::once(&root).chain(extra.values()).filter(|v| v.kind == "sbs_snapshot");
    let blocks: Vec<String> = blocks.map(|v| v.snapshot.clone()).collect();
    let links = blocks.into_iter().map(|snapshot| (snapshot, world.new_id())).collect();
    Image {
        id: world.new_id(),
        zone: zone.to_owned(),
        name: String::new(),
        project: project.to_owned(),
        organization: world.options.project.clone(),
        arch: "x86_64".to_owned(),
        root,
        extra,
        public: false,
        from_server: String::new(),
        tags: Vec::new(),
        created: at.clone(),
        modified: at,
        links,
    }
}

pub(crate) fn patch(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let body = match req.json() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    if world.held.images.get(id).is_none_or(|i| i.zone != req.zone) {
        return missing(id);
    }
    let extra = match extra_of(world, req.zone, &body) {
        Ok(extra) => extra,
        Err(answer) => return answer,
    };
    let fresh: Vec<String> = extra.values().filter(|v| v.kind == "sbs_snapshot").map(|v| v.snapshot.clone()).collect();
    let fresh: Vec<(String, String)> = fresh.into_iter().map(|s| (s, world.new_id())).collect();
    let now = instance_time(world.now());
    let Some(i) = world.held.images.get_mut(id) else { return missing(id) };
    i.modified = now;
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        name.clone_into(&mut i.name);
    }
    if let Some(arch) = body.get("arch").and_then(Value::as_str) {
        arch.clone_into(&mut i.arch);
    }
    if let Some(public) = body.get("public").and_then(Value::as_bool) {
        i.public = public;
    }
    if body.get("tags").is_some_and(Value::is_array) {
        i.tags = strings(body.get("tags"));
    }
    if body.get("extra_volumes").is_some() {
        let root = i.root.snapshot.clone();
        i.links.retain(|s, _| *s == root || fresh.iter().any(|(f, _)| f == s));
        for (snapshot, link) in fresh {
            i.links.entry(snapshot).or_insert(link);
        }
        i.extra = extra;
    }
    answer::json(200, json!({"image": wire::image(i)}))
}

pub(crate) fn delete(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    match world.held.images.get(id).filter(|i| i.zone == req.zone) {
        Some(_) => {
            world.held.images.remove(id);
            answer::no_content()
        }
        None => missing(id),
    }
}

/// Adds an image in the form in which an answer shows it.
pub(crate) fn add(world: &mut World, zone: &str, shown: &Value) {
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let volume = |v: &Value| ImageVolume {
        snapshot: text(v, "id"),
        kind: text(v, "volume_type"),
        name: text(v, "name"),
        size: v.get("size").and_then(Value::as_i64).unwrap_or_default(),
    };
    let extra = shown.get("extra_volumes").and_then(Value::as_object).into_iter().flatten();
    let image = Image {
        id: text(shown, "id"),
        zone: zone.to_owned(),
        name: text(shown, "name"),
        project: text(shown, "project"),
        organization: text(shown, "organization"),
        arch: text(shown, "arch"),
        root: volume(&shown["root_volume"]),
        extra: extra.map(|(n, v)| (n.clone(), volume(v))).collect(),
        public: shown.get("public").and_then(Value::as_bool).unwrap_or(false),
        from_server: text(shown, "from_server"),
        tags: strings(shown.get("tags")),
        created: text(shown, "creation_date"),
        modified: text(shown, "modification_date"),
        links: BTreeMap::new(),
    };
    world.held.images.insert(image.id.clone(), image);
}
