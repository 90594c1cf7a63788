//! Tables for people; JSON, YAML and names for programs.

use crate::args::Output;
use comfy_table::{Cell, Color, Table, presets};
use inventiv_core::text::legible;
use inventiv_core::time::Timestamp;
use serde_json::Value;
use std::io::IsTerminal;

/// The width of a table without a terminal.
const WIDTH: usize = 80;
/// The minimum width of a column that is cut.
const CUT_MIN: usize = 12;
/// Replaces the rest of a text that is cut.
const REST: char = '…';

/// Prints to standard output; a closed pipe (`| head`) is not an error.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A column's title, and how it is read from an item.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// How a kind of resource is listed.
pub(crate) struct Columns {
    /// The field that `--output name` prints.
    pub(crate) name: &'static str,
    /// Columns that fit a width of 80; the first is cut if they do not.
    pub(crate) narrow: &'static [Column],
    /// Columns that `--output wide` adds.
    pub(crate) wide: &'static [Column],
}

/// Prints items in the format `output`.
pub(crate) fn list(output: Output, items: &[Value], columns: &Columns) {
    match output {
        Output::Json => print(&format!("{:#}", Value::Array(items.to_vec()))),
        Output::Yaml => print(yaml(&Value::Array(items.to_vec())).trim_end()),
        Output::Name => items.iter().for_each(|item| print(&text(item, columns.name))),
        Output::Table | Output::Wide => print(&table(output, items, columns)),
    }
}

fn table(output: Output, items: &[Value], columns: &Columns) -> String {
    let wide = if output == Output::Wide { columns.wide } else { &[] };
    let shown: Vec<&Column> = columns.narrow.iter().chain(wide).collect();
    let mut rows: Vec<Vec<String>> = items.iter().map(|i| shown.iter().map(|(_, read)| read(i)).collect()).collect();
    let mut table = Table::new();
    if output == Output::Table {
        cut_first(&mut rows, &shown, table.width().map_or(WIDTH, usize::from));
    }
    table.load_style(presets::NOTHING).set_header(shown.iter().map(|(name, _)| *name));
    if !is_coloured() {
        table.force_no_tty();
    }
    for row in rows {
        table.add_row(row.into_iter().zip(&shown).map(|(text, (title, _))| cell(title, text)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Cuts the first column to make the rows fit.
fn cut_first(rows: &mut [Vec<String>], columns: &[&Column], width: usize) {
    let widest = |n: usize, title: &str| {
        rows.iter().filter_map(|r| r.get(n)).map(|t| t.chars().count()).chain([title.chars().count()]).max()
    };
    let others: usize = columns.iter().enumerate().skip(1).filter_map(|(n, (title, _))| widest(n, title)).sum();
    let gaps = 2 * columns.len().saturating_sub(1);
    let room = width.saturating_sub(others + gaps).max(CUT_MIN);
    for first in rows.iter_mut().filter_map(|r| r.first_mut()).filter(|t| t.chars().count() > room) {
        *first = first.chars().take(room - 1).chain([REST]).collect();
    }
}

/// Whether standard output is a terminal and `NO_COLOR` is not set.
fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn cell(title: &str, text: String) -> Cell {
    let colour = match text.as_str() {
        _ if !matches!(title, "status" | "availability") => None,
        "ready" | "attached" | "available" => Some(Color::Green),
        "provisioning_failed" | "failed" | "shortage" => Some(Color::Red),
        "provisioning" | "booting" | "terminating" | "creating" | "attaching" | "detaching" | "deleting" | "scarce" => {
            Some(Color::Yellow)
        }
        _ => None,
    };
    let cell = Cell::new(text);
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}

fn yaml(value: &Value) -> String {
    // Every JSON value has a YAML form.
    serde_yaml_ng::to_string(value).unwrap_or_default()
}

/// Prints one item as lines, or in the format `output`; `name` is the field that `--output name` prints.
pub(crate) fn one(output: Output, item: &Value, name: &str, lines: impl FnOnce(&Value) -> String) {
    match output {
        Output::Json => print(&format!("{item:#}")),
        Output::Yaml => print(yaml(item).trim_end()),
        Output::Name => print(&text(item, name)),
        Output::Table | Output::Wide => print(&lines(item)),
    }
}

/// Prints the result of a command for programs: as YAML if requested, else as JSON.
pub(crate) fn value(output: Output, value: &Value) {
    print(&if output == Output::Yaml { yaml(value).trim_end().to_owned() } else { format!("{value:#}") });
}

/// The age in one unit: `45s`, `12m`, `3h`, `5d`.
pub(crate) fn age(item: &Value, key: &str) -> String {
    let now = jiff::Timestamp::now().as_microsecond();
    let then = item[key].as_str().and_then(Timestamp::parse);
    then.map_or_else(|| "-".to_owned(), |then| short((now - then.0).max(0) / 1_000_000))
}

fn short(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The price per hour of an instance with its volumes on block storage; a dash after its end.
pub(crate) fn hourly_of_all(item: &Value) -> String {
    if matches!(item["status"].as_str(), Some("terminated" | "provisioning_failed")) {
        return "-".to_owned();
    }
    let micros = |key: &str| item[key].as_i64().unwrap_or_default();
    decimal(micros("hourly_micros").saturating_add(micros("storage_hourly_micros")))
}

/// Millionths as a number with four decimals, rounded.
pub(crate) fn decimal(micros: i64) -> String {
    let tenths = micros.saturating_add(50) / 100;
    format!("{}.{:04}", tenths / 10_000, tenths % 10_000)
}

/// A field as text; null as a dash.
pub(crate) fn text(item: &Value, key: &str) -> String {
    match &item[key] {
        Value::Null => "-".to_owned(),
        // Some names were given by third parties.
        Value::String(s) => legible(s),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    }
}

/// Sizes as `[400, 200]`.
pub(crate) fn sizes(item: &Value) -> String {
    let list = item["storage_sizes_gb"].as_array().map(Vec::as_slice).unwrap_or_default();
    let list: Vec<String> = list.iter().map(|v| v.as_i64().map_or_else(|| "?".to_owned(), |n| n.to_string())).collect();
    format!("[{}]", list.join(", "))
}

/// All addresses of an instance, comma-separated.
pub(crate) fn addresses(item: &Value) -> String {
    let all: Vec<&str> = item["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

/// Money per hour, from millionths.
pub(crate) fn hourly(item: &Value) -> String {
    format!("{} {}/h", decimal(item["hourly_micros"].as_i64().unwrap_or_default()), text(item, "currency"))
}

/// How an instance's volumes are listed.
const VOLUMES: Columns = Columns {
    name: "id",
    narrow: &[
        ("volume", |v| text(v, "id")),
        ("GB", |v| text(v, "size_gb")),
        ("type", |v| format!("{}{}", text(v, "volume_type"), if v["is_boot"] == true { ", boot" } else { "" })),
        ("at the end", |v| at_the_end(v).to_owned()),
        ("status", |v| text(v, "status")),
    ],
    wide: &[],
};

/// What happens to a volume when its instance ends.
pub(crate) fn at_the_end(volume: &Value) -> &'static str {
    match (volume["origin"].as_str(), volume["delete_on_terminate"].as_bool()) {
        (Some("foreign"), _) => "released",
        (_, Some(true)) => "deleted",
        _ => "kept",
    }
}

/// An instance's volumes, one line each.
pub(crate) fn storages(instance: &Value) -> String {
    let volumes = instance["storages"].as_array().map(Vec::as_slice).unwrap_or_default();
    table(Output::Table, volumes, &VOLUMES)
}

/// An instance, for people.
pub(crate) fn instance(i: &Value) -> String {
    let mut lines = vec![
        format!("{}  {}  {}", text(i, "id"), text(i, "status"), text(i, "name")),
        format!("  {} in {}, {}, model {}", text(i, "instance_type"), text(i, "zone"), hourly(i), text(i, "model_id")),
        format!("  server {}  address {}", text(i, "provider_instance_id"), addresses(i)),
        match hourly_of_all(i).as_str() {
            "-" => "  costs nothing".to_owned(),
            costs => format!("  costs {costs} {}/h with its volumes", text(i, "currency")),
        },
        format!("  storage_count={} storage_sizes_gb={}", text(i, "storage_count"), sizes(i)),
    ];
    if !i["error"].is_null() {
        lines.push(format!("  error: {}", text(i, "error")));
    }
    for note in i["notes"].as_array().into_iter().flatten() {
        lines.push(format!("  {}", note_text(note)));
    }
    if i["storages"].as_array().is_some_and(|s| !s.is_empty()) {
        lines.push(storages(i));
    }
    lines.join("\n")
}

/// Snapshots of our volumes that third parties created, one line each.
pub(crate) fn snapshots(item: &Value) -> Vec<String> {
    let one = |s: &Value| {
        let cost = serde_json::json!({"hourly_micros": s["hourly_micros"], "currency": "EUR"});
        let images: Vec<&str> = s["images"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let images =
            if images.is_empty() { String::new() } else { format!(", held by image {}", legible(&images.join(", "))) };
        format!(
            "  SNAPSHOT {} {:?}, {} GB of volume {}, {}{images}: not ours; delete it at the provider if nobody needs it",
            text(s, "id"),
            text(s, "name"),
            text(s, "size_gb"),
            text(s, "volume_id"),
            hourly(&cost),
        )
    };
    let unknown =
        item["snapshots_unknown"].as_str().map(|why| format!("  snapshots of our volumes may be missing: {why}"));
    item["snapshots"].as_array().into_iter().flatten().map(one).chain(unknown).collect()
}

/// The evidence of an instance's end, for people.
pub(crate) fn proof(p: &Value) -> String {
    let mut lines = vec![format!("{}  {}  {}", text(p, "instance_id"), text(p, "status"), text(p, "verdict"))];
    for r in p["resources"].as_array().into_iter().flatten() {
        let id = r["provider_id"].as_str().map_or_else(|| text(r, "name"), str::to_owned);
        lines.push(format!("  {} {id}  {}", text(r, "kind"), text(r, "cleanup_state").to_uppercase()));
        if let Some(with) = r["came_with"].as_str() {
            lines.push(format!("    came with server {with}"));
        }
        for call in r["calls"].as_array().into_iter().flatten() {
            let request = call["request_id"].as_str().map_or_else(String::new, |id| format!("  request {id}"));
            lines.push(format!(
                "    {}  {} {}{request}",
                text(call, "started_at"),
                text(call, "action"),
                text(call, "status")
            ));
        }
        if let Some(proof) = r["proof"].as_object() {
            let field = |key: &str| proof.get(key).and_then(Value::as_str).unwrap_or("-");
            lines.push(format!("    {}  {} → {}", field("asked_at"), field("asked"), field("answer")));
            lines.push(format!("    absent from the complete listing begun {}", field("absent_from_listing_begun_at")));
            lines.push(match (field("confirmed_at"), field("confirm_after")) {
                ("-", "-") => "    written before proofs were confirmed".to_owned(),
                ("-", after) => format!("    provisional: a listing that begins after {after} confirms it"),
                (at, _) => format!("    confirmed by a read begun {at}"),
            });
        }
    }
    if p["kept_hourly_micros"].as_i64().is_some_and(|n| n > 0) {
        let kept = serde_json::json!({"hourly_micros": p["kept_hourly_micros"], "currency": p["currency"]});
        lines.push(format!("  retained resources cost about {}", hourly(&kept)));
    }
    lines.extend(snapshots(p));
    for open in p["open"].as_array().into_iter().flatten() {
        lines.push(format!("  OPEN {}", open.as_str().unwrap_or_default()));
    }
    lines.join("\n")
}

/// A note, with the time until which it holds.
pub(crate) fn note_text(note: &Value) -> String {
    let until = note["until"].as_str().map_or_else(String::new, |t| format!(", until {t}"));
    format!("{}{until}", text(note, "text"))
}

#[cfg(test)]
mod tests;
