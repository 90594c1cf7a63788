//! Catalogue and marketplace at the time of the clock: types with prices, availability, images by label.

use crate::answer::{self, Answer};
use crate::catalogue::{self, MarketImage, Type};
use crate::history::Change;
use crate::request::Req;
use crate::world::World;
use serde_json::{Map, Value, json};

/// One page of a map, with the Instance API's paging headers.
fn map_page(req: &Req<'_>, path: &str, key: &str, all: Vec<(&str, Value)>) -> Answer {
    let (page, size) = req.page("per_page", 50);
    let total = all.len();
    let shown: Map<String, Value> =
        all.into_iter().skip(req.skip(page, size)).take(size).map(|(k, v)| (k.to_owned(), v)).collect();
    let mut answer = answer::json(200, json!({ key: shown }));
    answer.headers = req.paging_headers(path, total, page, size);
    answer
}

pub(crate) fn products(world: &World, req: &Req<'_>) -> Answer {
    let all = catalogue::in_zone(req.zone, world.now());
    map_page(req, "/products/servers", "servers", all.into_iter().map(|t| (t.name, product(world, t))).collect())
}

fn product(world: &World, t: &Type) -> Value {
    let gpu = t.gpu.map(|(name, memory)| json!({"gpu_manufacturer": "NVIDIA", "gpu_name": name, "gpu_memory": memory}));
    let volume_min = if t.volume_max > 0 { 1_000_000_000_i64 } else { 0 };
    let (inside, outside) = (t.internal_bandwidth, t.internet_bandwidth);
    let modern = world.has(Change::FileSystems);
    let interfaces = if modern {
        json!([{"internal_bandwidth": inside, "internet_bandwidth": outside}])
    } else {
        json!([{"internal_bandwidth": inside, "internet_bandwidth": null}, {"internal_bandwidth": null, "internet_bandwidth": outside}])
    };
    let counted = world.has(Change::ScratchCount);
    let scratch = if t.scratch_max == 0 && !counted { Value::Null } else { json!(t.scratch_max) };
    let mut capabilities = json!({
        "boot_types": ["local", "rescue"], "placement_groups": true, "block_storage": true,
        "hot_snapshots_local_volume": t.hot_snapshot, "private_network": 8,
    });
    let mut value = json!({
        "alt_names": t.alt_names, "arch": t.arch, "ncpus": t.ncpus, "ram": t.ram, "gpu": t.gpus, "mig_profile": null,
        "volumes_constraint": {"min_size": t.local_min, "max_size": t.local_max},
        "per_volume_constraint": {"l_ssd": {"min_size": volume_min, "max_size": t.volume_max}},
        "scratch_storage_max_size": scratch, "monthly_price": t.monthly, "hourly_price": t.hourly,
        "network": {
            "ipv6_support": true, "sum_internal_bandwidth": inside, "sum_internet_bandwidth": outside,
            "interfaces": interfaces,
        },
        "block_bandwidth": t.block_bandwidth,
    });
    if let (Some(object), Some(able)) = (value.as_object_mut(), capabilities.as_object_mut()) {
        if modern {
            able.insert("max_file_systems".to_owned(), json!(t.file_systems));
            object.insert("gpu_info".to_owned(), json!(gpu));
            object.insert("end_of_service".to_owned(), json!(t.end_of_service));
        }
        if counted {
            object.insert("scratch_storage_max_volumes_count".to_owned(), json!(t.scratch_count));
        }
        object.insert("capabilities".to_owned(), capabilities);
    }
    value
}

pub(crate) fn availability(world: &World, req: &Req<'_>) -> Answer {
    let word = |t: &Type| {
        let gone = world.options.out_of_stock.contains(&(req.zone.to_owned(), t.name.to_owned()));
        if gone && world.options.stock_is_shown { "shortage" } else { "available" }
    };
    let all = catalogue::in_zone(req.zone, world.now());
    let all = all.into_iter().map(|t| (t.name, json!({"availability": word(t)}))).collect();
    map_page(req, "/products/servers/availability", "servers", all)
}

pub(crate) fn volume_products(req: &Req<'_>) -> Answer {
    let kind = |name: &str, snapshot: bool, max: i64| json!({"display_name": name, "capabilities": {"snapshot": snapshot}, "constraints": {"min": 1_000_000_000_i64, "max": max}});
    let all = vec![
        ("l_ssd", kind("Local SSD", true, 800_000_000_000)),
        ("scratch", kind("Scratch Storage", false, 60_000_000_000_000)),
    ];
    map_page(req, "/products/volumes", "volumes", all)
}

/// The types that a server can change to: those of its architecture in its zone.
pub(crate) fn compatible_types(world: &mut World, req: &Req<'_>, id: &str) -> Answer {
    let (now, kind) = (
        world.now(),
        match crate::server_lookup::find(world, req, id) {
            Ok(s) => s.commercial_type.clone(),
            Err(answer) => return answer,
        },
    );
    let arch = catalogue::arch(&kind);
    let types = catalogue::in_zone(req.zone, now);
    let types: Vec<&str> = types.into_iter().filter(|t| t.arch == arch).map(|t| t.name).collect();
    answer::json(200, json!({"compatible_types": types}))
}

/// Volume types of the Block API.
pub(crate) fn volume_types(world: &World, req: &Req<'_>) -> Answer {
    let kind = |name: &str, iops: i64| {
        let price = json!({"currency_code": "EUR", "units": 0, "nanos": if iops == 5_000 { 118 } else { 177 } * 1_000});
        json!({"type": name, "pricing": price, "snapshot_pricing": price, "specs": {"perf_iops": iops, "class": "sbs"}})
    };
    let _ = world;
    req.block_page("volume_types", vec![kind("sbs_5k", 5_000), kind("sbs_15k", 15_000)], |v| v)
}

fn offered(world: &World, image: &MarketImage) -> bool {
    !(image.local && image.label == catalogue::LOCAL_GPU_LABEL) || world.options.local_gpu_image_for_render
}

pub(crate) fn local_images(world: &World, req: &Req<'_>) -> Answer {
    let of_image = req.param("image_id").and_then(catalogue::label_of_id);
    let label = req.param("image_label").or(of_image).unwrap_or_default();
    if !catalogue::labels().iter().any(|(l, _)| *l == label) && req.param("image_id").is_none() {
        return answer::not_found("MarketplaceImage", label);
    }
    let kind = req.param("type").filter(|t| *t != "unknown_type");
    let zones: Vec<&str> = req.param("zone").map_or_else(|| catalogue::zones().collect(), |z| vec![z]);
    let images = zones.into_iter().flat_map(|zone| catalogue::images_of(label, zone, world.now()));
    let found: Vec<&MarketImage> = images.filter(|i| offered(world, i) && kind.is_none_or(|k| k == word(i))).collect();
    req.block_page("local_images", found, local_image_value)
}

const fn word(image: &MarketImage) -> &'static str {
    if image.local { "instance_local" } else { "instance_sbs" }
}

fn local_image_value(image: &MarketImage) -> Value {
    json!({
        "id": image.id, "arch": image.arch, "zone": image.zone, "compatible_commercial_types": image.compatible,
        "label": image.label, "type": word(image),
    })
}

pub(crate) fn local_image(world: &World, id: &str) -> Answer {
    match catalogue::image_by_id(id).filter(|i| offered(world, i)) {
        Some(image) => answer::json(200, local_image_value(image)),
        None => answer::not_found("MarketplaceLocalImage", id),
    }
}

fn image_value(label: &str, name: &str) -> Value {
    const AT: &str = "2025-10-20T14:33:32.134908Z";
    json!({
        "id": catalogue::label_id(label), "name": name, "description": name, "logo": "", "categories": ["distribution"],
        "created_at": AT, "updated_at": AT, "valid_until": null, "label": label,
    })
}

pub(crate) fn images(req: &Req<'_>) -> Answer {
    req.block_page("images", catalogue::labels(), |(label, name)| image_value(label, name))
}

pub(crate) fn image(id: &str) -> Answer {
    let labels = catalogue::labels();
    match labels.iter().find(|(label, _)| catalogue::label_id(label) == id || *label == id) {
        Some((label, name)) => answer::json(200, image_value(label, name)),
        None => answer::not_found("MarketplaceImage", id),
    }
}
