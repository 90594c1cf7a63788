//! Catalogue and marketplace: types with prices, availability, images by label.

use crate::answer::{self, Answer};
use crate::catalogue::{IMAGES, Image, TYPES, Type, ZONES};
use crate::request::Req;
use crate::wire;
use crate::world::World;
use serde_json::{Map, Value, json};

pub(crate) fn is_zone(zone: &str) -> bool {
    ZONES.contains(&zone)
}

fn in_zone<'t>(zone: &'t str) -> impl Iterator<Item = &'static Type> + 't {
    TYPES.iter().filter(move |t| t.zones.contains(&zone))
}

/// One page of a map, with the Instance API's paging headers.
fn map_page(req: &Req<'_>, path: &str, all: Vec<(&str, Value)>) -> Answer {
    let (page, size) = req.page("per_page", 50);
    let total = all.len();
    let shown: Map<String, Value> =
        all.into_iter().skip((page - 1).saturating_mul(size)).take(size).map(|(k, v)| (k.to_owned(), v)).collect();
    let mut answer = answer::json(200, json!({"servers": shown}));
    answer.headers = req.paging_headers(path, total, page, size);
    answer
}

pub(crate) fn products(_world: &World, req: &Req<'_>) -> Answer {
    map_page(req, "/products/servers", in_zone(req.zone).map(|t| (t.name, product(t))).collect())
}

fn product(t: &Type) -> Value {
    let gpu =
        t.gpu.map(|(_, name, memory)| json!({"gpu_manufacturer": "NVIDIA", "gpu_name": name, "gpu_memory": memory}));
    let per_volume = if t.local_max > 0 { (1_000_000_000_i64, 800_000_000_000_i64) } else { (0, 0) };
    let bandwidth = t.internet_bandwidth;
    json!({
        "alt_names": [], "arch": t.arch, "ncpus": t.ncpus, "ram": t.ram, "gpu": t.gpu.map_or(0, |g| g.0),
        "gpu_info": gpu, "mig_profile": null, "volumes_constraint": {"min_size": 0, "max_size": t.local_max},
        "per_volume_constraint": {"l_ssd": {"min_size": per_volume.0, "max_size": per_volume.1}},
        "scratch_storage_max_size": t.scratch_max, "scratch_storage_max_volumes_count": i32::from(t.scratch_max > 0),
        "monthly_price": t.hourly * t.monthly_hours, "hourly_price": t.hourly,
        "capabilities": {
            "boot_types": ["local", "rescue"], "placement_groups": true, "block_storage": true,
            "hot_snapshots_local_volume": t.local_max > 0, "private_network": 8, "max_file_systems": 0,
        },
        "network": {
            "ipv6_support": true, "sum_internal_bandwidth": bandwidth, "sum_internet_bandwidth": bandwidth,
            "interfaces": [{"internal_bandwidth": bandwidth, "internet_bandwidth": bandwidth}],
        },
        "block_bandwidth": t.block_bandwidth, "end_of_service": false,
    })
}

pub(crate) fn availability(world: &World, req: &Req<'_>) -> Answer {
    let word = |t: &Type| {
        let gone = world.options.out_of_stock.contains(&(req.zone.to_owned(), t.name.to_owned()));
        if gone && world.options.stock_is_shown { "shortage" } else { "available" }
    };
    let all = in_zone(req.zone).map(|t| (t.name, json!({"availability": word(t)}))).collect();
    map_page(req, "/products/servers/availability", all)
}

pub(crate) fn volume_products() -> Answer {
    let kind = |name: &str, snapshot: bool, max: i64| json!({"display_name": name, "capabilities": {"snapshot": snapshot}, "constraints": {"min": 1_000_000_000_i64, "max": max}});
    let volumes = json!({"l_ssd": kind("Local SSD", true, 800_000_000_000), "scratch": kind("Scratch", false, 60_000_000_000_000)});
    answer::json(200, json!({"volumes": volumes}))
}

fn offered(world: &World, image: &Image) -> bool {
    image.number != 7 || world.options.local_gpu_image_for_render
}

pub(crate) fn local_images(world: &World, req: &Req<'_>) -> Answer {
    let label = req.param("image_label").unwrap_or_default();
    if !IMAGES.iter().any(|i| i.label == label) {
        return answer::not_found("MarketplaceImage", label);
    }
    let zone = req.param("zone").unwrap_or("fr-par-1");
    let kind = req.param("type").filter(|t| *t != "unknown_type");
    let found: Vec<Value> = IMAGES
        .iter()
        .filter(|i| i.label == label && offered(world, i) && kind.is_none_or(|k| k == word(i)))
        .map(|i| local_image_value(i, zone))
        .collect();
    answer::json(200, json!({"total_count": found.len(), "local_images": found}))
}

const fn word(image: &Image) -> &'static str {
    if image.local { "instance_local" } else { "instance_sbs" }
}

fn local_image_value(image: &Image, zone: &str) -> Value {
    let types: Vec<&str> = TYPES.iter().filter(|t| (image.fits)(t)).map(|t| t.name).collect();
    json!({
        "id": image.id(zone), "arch": image.arch, "zone": zone, "compatible_commercial_types": types,
        "label": image.label, "type": word(image),
    })
}

pub(crate) fn local_image(world: &World, id: &str) -> Answer {
    let found = ZONES.iter().find_map(|z| Image::by_id(id, z).map(|i| (i, *z)));
    match found.filter(|(i, _)| offered(world, i)) {
        Some((image, zone)) => answer::json(200, local_image_value(image, zone)),
        None => answer::not_found("MarketplaceLocalImage", id),
    }
}

pub(crate) fn image(world: &World, req: &Req<'_>, id: &str) -> Answer {
    match Image::by_id(id, req.zone).filter(|i| offered(world, i)) {
        Some(i) => answer::json(200, json!({"image": wire::image(i, req.zone)})),
        None => answer::not_found("instance_image", id),
    }
}
