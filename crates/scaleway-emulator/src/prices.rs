//! The product catalogue: prices in euros, per hour for most types, per minute for types with GPUs.

use crate::answer::Answer;
use crate::catalogue::{self, Type};
use crate::clock::day_us;
use crate::history::Change;
use crate::request::Req;
use crate::world::World;
use serde_json::{Value, json};
use std::sync::OnceLock;

/// What an entry shows beyond its type, during one period.
struct Product {
    name: &'static str,
    since_us: i64,
    processor: &'static str,
    shares_cores: bool,
    network: &'static str,
    /// Bits per second.
    internal: i64,
    public: i64,
    range: &'static str,
    /// Nano-euros, if the price differs from that of the type.
    nanos: Option<i64>,
    /// Its recorded zones, with the footprint: kg of CO2 equivalent and cubic metres of water per hour.
    zones: Vec<(&'static str, Option<f64>, Option<f64>)>,
}

fn products() -> &'static [Product] {
    static PRODUCTS: OnceLock<Vec<Product>> = OnceLock::new();
    PRODUCTS.get_or_init(|| catalogue::lines(include_str!("../data/products.tsv")).filter_map(|f| read(&f)).collect())
}

/// `None` means a mistake in the table; a test reads every line.
fn read(f: &[&'static str]) -> Option<Product> {
    let zone = |text: &'static str| {
        let (zone, footprint) = text.split_once('=')?;
        let (carbon, water) = footprint.split_once('/')?;
        Some((catalogue::long_name(zone)?, carbon.parse().ok(), water.parse().ok()))
    };
    Some(Product {
        name: f.first()?,
        since_us: day_us(f.get(1)?)?,
        processor: f.get(2)?,
        shares_cores: *f.get(3)? == "1",
        network: f.get(4)?,
        internal: f.get(5)?.parse().ok()?,
        public: f.get(6)?.parse().ok()?,
        range: f.get(7)?,
        nanos: f.get(8)?.parse().ok(),
        zones: f.get(9)?.split(',').map(zone).collect::<Option<_>>()?,
    })
}

/// The entry of a type at a time, with its place in the list.
fn entry(name: &str, at_us: i64) -> Option<(usize, &'static Product)> {
    let mut lived = products().iter().enumerate().filter(|(_, p)| p.name == name && p.since_us <= at_us);
    lived.next_back()
}

/// Whether the recordings show the product catalogue of a zone.
pub(crate) fn is_evidenced(zone: &str) -> bool {
    products().iter().any(|p| p.zones.iter().any(|(z, ..)| *z == zone))
}

pub(crate) fn list(world: &World, req: &Req<'_>) -> Answer {
    let zone = req.param("zone").unwrap_or("fr-par-1");
    let (kinds, asked, states) = (req.params("product_types"), req.params("api_ids"), req.params("status"));
    let types = if kinds.is_empty() || kinds.contains(&"instance") {
        catalogue::in_zone(zone, world.now())
    } else {
        Vec::new()
    };
    let seen = is_evidenced(zone);
    let is_listed = |p: Option<&Product>| !seen || p.is_some_and(|p| p.zones.iter().any(|(z, ..)| *z == zone));
    let mut found: Vec<(usize, &Type, Option<&Product>)> = types
        .into_iter()
        .filter(|t| asked.is_empty() || asked.contains(&t.name))
        .filter(|t| states.is_empty() || states.contains(&state(t)))
        .map(|t| match entry(t.name, world.now()) {
            Some((n, p)) => (n, t, Some(p)),
            None => (usize::MAX, t, None),
        })
        .filter(|(.., p)| is_listed(*p))
        .collect();
    found.sort_by_key(|(n, t, _)| (*n, t.name));
    let mut rows: Vec<Value> = found.into_iter().map(|(_, t, p)| price(world, t, p, zone)).collect();
    if kinds.contains(&"block_storage") && asked.is_empty() && catalogue::is_zone(zone) {
        let of = |(name, nanos): &(&str, i64)| block(name, *nanos, zone);
        rows.extend(BLOCK.iter().filter(|_| states.is_empty() || states.contains(&"general_availability")).map(of));
    }
    req.page_of("products", rows, 100, |row| row)
}

/// Block storage: name in the SKU, and billionths of a euro per GB and hour.
///
/// No recording shows these rows. Their names, their unit and the prices of volumes in Paris are from public programs that
/// read the real catalogue (September 2026); that other zones cost the same is an assumption.
const BLOCK: [(&str, i64); 3] =
    [("volume-low-latency-5k", 129_999), ("volume-low-latency-15k", 177_000), ("snapshot", 44_000)];

fn block(name: &str, nanos: i64, zone: &str) -> Value {
    let product = if name == "snapshot" { "Block Storage Snapshot" } else { "Block Storage Volume" };
    let kind = if name == "snapshot" { "snapshot" } else { "volume" };
    json!({
        "sku": format!("/storage/block/{name}/{zone}"),
        "service_category": "Storage", "product_category": "Block Storage", "product": product,
        "variant": format!("{name} - {zone}"), "description": format!("{product} {name} - {zone}"),
        "locality": {"zone": zone},
        "price": {"retail_price": {"currency_code": "EUR", "units": 0, "nanos": nanos}},
        "properties": {"block_storage": {kind: {}}},
        "unit_of_measure": {"unit": "gigabyte", "size": 1}, "status": "general_availability", "badges": [],
    })
}

const fn state(t: &Type) -> &'static str {
    if t.end_of_service { "end_of_sale" } else { "general_availability" }
}

/// The name of a speed in what is billed, and its price per GB and hour in nano-euros.
fn of_speed(iops: &str) -> (&'static str, i64) {
    let [slow, fast, _] = BLOCK;
    if iops == "15000" { fast } else { slow }
}

/// What block storage of a speed is called on a bill.
pub(crate) fn block_name(iops: &str) -> &'static str {
    of_speed(iops).0
}

/// What block storage of a speed costs per GB and hour, in nano-euros.
pub(crate) fn of_block(iops: &str) -> i64 {
    of_speed(iops).1
}

/// What a type costs at a time, in nano-euros, and for what: a `minute` or an `hour`.
pub(crate) fn of_type(t: &Type, at_us: i64) -> (i64, &'static str) {
    listed(t, entry(t.name, at_us).map(|(_, p)| p))
}

#[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^63 nano-euros")]
fn listed(t: &Type, p: Option<&Product>) -> (i64, &'static str) {
    // The one GPU type that is older than prices per minute.
    let by_minute = t.gpus > 0 && t.name != "RENDER-S";
    let own = (if by_minute { t.hourly / 60.0 } else { t.hourly } * 1e9).round() as i64;
    (p.and_then(|p| p.nanos).unwrap_or(own), if by_minute { "minute" } else { "hour" })
}

fn price(world: &World, t: &Type, p: Option<&Product>, zone: &str) -> Value {
    let (nanos, unit) = listed(t, p);
    let (arch, ram) = (if t.arch == "arm64" { "arm64" } else { "x64" }, t.ram / 1_073_741_824);
    let processor = p.map_or("", |p| p.processor);
    let (internal, public) = p.map_or((t.internal_bandwidth, t.internet_bandwidth), |p| (p.internal, p.public));
    let mut value = json!({
        "sku": format!("/compute/{}/run_{}", t.name.to_lowercase().replace('-', "_"), short(zone)),
        "service_category": "Compute", "product_category": "Instance", "product": t.name,
        "variant": format!("{} - {zone}", t.name),
        "description": format!("{} - {zone} ({}€ per {unit})", t.name, decimal(nanos)), "locality": {"zone": zone},
        "price": {"retail_price": {"currency_code": "EUR", "units": nanos / 1_000_000_000, "nanos": nanos % 1_000_000_000}},
        "properties": {
            "hardware": {
                "cpu": {"description": format!("{processor}, {arch}, vCPUs: {}", t.ncpus), "arch": arch, "type": processor,
                    "virtual": {"count": t.ncpus}, "threads": t.ncpus},
                "ram": {"description": format!("{ram} GiB"), "size": t.ram, "type": "", "ecc_type": "standard"},
                "storage": {"description": if t.local_max > 0 { "Dynamic local: 1 x SSD, Block" } else { "Block" }, "total": 0},
                "network": {"description": p.map_or("", |p| p.network), "internal_bandwidth": internal,
                    "public_bandwidth": public, "max_public_bandwidth": public},
            },
            "instance": {"range": p.map_or("", |p| p.range), "offer_id": t.name, "recommended_replacement_offer_ids": []},
        },
        "unit_of_measure": {"unit": unit, "size": 1}, "status": state(t), "badges": [],
    });
    if world.has(Change::SharedCores) {
        value["properties"]["hardware"]["cpu"]["shared"] = json!(p.is_some_and(|p| p.shares_cores));
    }
    if let Some((name, _)) = t.gpu {
        let kind = name.trim_start_matches("NVIDIA ");
        value["properties"]["hardware"]["gpu"] =
            json!({"description": format!("{} x {kind}", t.gpus), "count": t.gpus, "type": kind});
    }
    let footprint = p.and_then(|p| p.zones.iter().find(|(z, ..)| *z == zone));
    if let Some((_, Some(carbon), water)) = footprint {
        value["environmental_impact_estimation"] = json!({"kg_co2_equivalent": carbon});
        if let Some(water) = water {
            value["environmental_impact_estimation"]["m3_water_usage"] = json!(water);
        }
    }
    value
}

/// A zone as written in price names.
fn short(zone: &str) -> String {
    zone.strip_prefix("fr-par-").map_or_else(|| zone.to_owned(), |n| format!("par{n}"))
}

/// Formats nano-euros as euros without trailing zeros.
fn decimal(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
