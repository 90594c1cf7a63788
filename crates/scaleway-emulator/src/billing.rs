//! `GET /billing/v2beta1/charges`: the bill, resource by resource, of what the meter has seen.
//!
//! No recording shows it. The path, its parameters and its fields are those of the provider's official SDKs; the names of what
//! is billed are from public programs that read real bills; what is rounded is from the provider's documentation: types with
//! GPUs are billed by the minute, others by the hour, and an address to the cent.

use crate::answer::{self, Answer};
use crate::clock::block_time;
use crate::meter::Metered;
use crate::request::Req;
use crate::world::World;
use crate::{catalogue, prices};
use serde_json::{Value, json};
use std::cmp::Reverse;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
/// The most lines of a page.
const PAGE_MAX: usize = 100;
/// Nano-euros per address and hour: the list price of Paris.
const ADDRESS_NANOS: i64 = 5_000_000;
/// A cent, in nano-euros.
const CENT_NANOS: i64 = 10_000_000;

/// A resource on the bill.
struct Line {
    metered: Metered,
    from_us: i64,
    until_us: i64,
}

pub(crate) fn charges(world: &World, req: &Req<'_>) -> Answer {
    let projects = req.params("project_ids");
    if projects.is_empty() && req.param("organization_id").is_none() {
        return answer::invalid("project_ids", "required", "organization_id or project_ids is required");
    }
    let (after, before) = match (time(req, "start_date_after"), time(req, "end_date_before")) {
        (Ok(after), Ok(before)) => (after.unwrap_or(i64::MIN), before.unwrap_or(i64::MAX)),
        (Err(refused), _) | (_, Err(refused)) => return refused,
    };
    let size = match req.param("page_size").map(str::parse::<usize>) {
        None => PAGE_MAX,
        Some(Ok(size)) if (1..=PAGE_MAX).contains(&size) => size,
        Some(_) => return answer::invalid("page_size", "constraint", "from 1 to 100"),
    };
    let Ok(skip) = req.param("page_token").map_or(Ok(0), str::parse::<usize>) else {
        return answer::invalid("page_token", "format", "not a token of a page");
    };
    let clamps = req.flag("clamp_to_time_range").unwrap_or(false);
    let (ids, names, skus) = (req.params("resource_ids"), req.params("resource_names"), req.params("skus"));
    let is_asked = |m: &Metered| {
        (projects.is_empty() || projects.contains(&m.project.as_str()))
            && (ids.is_empty() || ids.contains(&m.id.as_str()))
            && (names.is_empty() || names.contains(&m.name.as_str()))
            && (skus.is_empty() || skus.contains(&sku(m).as_str()))
    };
    let now = world.now();
    let lines = world.meter.all().into_iter().filter(is_asked).filter_map(|metered| {
        let until = metered.until_us.unwrap_or(now);
        let line = if clamps {
            Line { from_us: metered.from_us.max(after), until_us: until.min(before), metered }
        } else {
            Line { from_us: metered.from_us, until_us: until, metered }
        };
        (line.from_us >= after && line.until_us <= before && line.from_us < line.until_us).then_some(line)
    });
    let mut lines: Vec<Line> = lines.collect();
    if req.param("order_by") == Some("start_date_desc") {
        lines.sort_by_key(|l| Reverse(l.from_us));
    } else {
        lines.sort_by_key(|l| l.from_us);
    }
    let next = (skip + size < lines.len()).then(|| (skip + size).to_string());
    let shown: Vec<Value> = lines.iter().skip(skip).take(size).map(|l| show(world, l)).collect();
    answer::json(200, json!({"charges": shown, "next_page_token": next}))
}

fn time(req: &Req<'_>, name: &str) -> Result<Option<i64>, Answer> {
    let Some(text) = req.param(name) else { return Ok(None) };
    let parsed = text.parse::<jiff::Timestamp>();
    parsed.map(|t| Some(t.as_microsecond())).map_err(|_| answer::invalid(name, "format", "not a date and time"))
}

fn show(world: &World, line: &Line) -> Value {
    let (m, nanos) = (&line.metered, nanos(world, line));
    json!({
        "resource_id": m.id, "resource_name": m.name, "sku": sku(m), "project_id": m.project,
        "project_name": "default", "organization_id": m.project, "organization_name": "",
        "price": {"currency_code": "EUR", "units": nanos / 1_000_000_000, "nanos": nanos % 1_000_000_000},
        "start_date": block_time(line.from_us), "end_date": block_time(line.until_us),
        "invoice_id": null, "updated_at": block_time(world.now()),
    })
}

/// What a resource is billed by.
fn sku(m: &Metered) -> String {
    let zone = &m.zone;
    match m.kind {
        "server" => format!("/instance/server/{}/{zone}", m.unit.to_lowercase().replace('-', "_")),
        "volume" => format!("/storage/block/{}/{zone}", prices::block_name(&m.unit)),
        _ => format!("/instance/ip/{}/{zone}", m.unit),
    }
}

/// What a line costs, in nano-euros.
fn nanos(world: &World, line: &Line) -> i64 {
    let (m, us) = (&line.metered, line.until_us - line.from_us);
    let up = |a: i64, unit: i64| (a + unit - 1) / unit;
    let all = match m.kind {
        "server" => {
            let Some(kind) = catalogue::find(&m.unit, &m.zone, world.now()) else { return 0 };
            let (nanos, unit) = prices::of_type(kind, world.now());
            i128::from(nanos) * i128::from(up(us, if unit == "minute" { MINUTE_US } else { HOUR_US }))
        }
        "volume" => {
            let seconds = i128::from(up(us, SECOND_US));
            i128::from(prices::of_block(&m.unit)) * i128::from(m.quantity) * seconds / 3_600
        }
        _ => {
            let exact = i128::from(ADDRESS_NANOS) * i128::from(m.quantity) * i128::from(up(us, SECOND_US)) / 3_600;
            let cent = i128::from(CENT_NANOS);
            (exact + cent - 1) / cent * cent
        }
    };
    i64::try_from(all).unwrap_or(i64::MAX)
}
