//! Tables for people, JSON for programs.

use crate::args::Output;
use comfy_table::{Table, presets};
use serde_json::Value;

/// Prints to standard output; a reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A column's title, and how it is read from an item.
type Column = (&'static str, fn(&Value) -> String);

/// Prints items as a table with these columns, or as JSON.
pub(crate) fn list(output: Output, items: &[Value], columns: &[Column]) {
    if output == Output::Json {
        return print(&format!("{:#}", Value::Array(items.to_vec())));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.iter().map(|(name, _)| *name));
    for item in items {
        table.add_row(columns.iter().map(|(_, read)| read(item)));
    }
    print(&table.to_string());
}

/// Prints one thing as lines, or as JSON.
pub(crate) fn one(output: Output, item: &Value, lines: impl FnOnce(&Value) -> String) {
    print(&if output == Output::Json { format!("{item:#}") } else { lines(item) });
}

/// A field as text; nothing as a dash.
pub(crate) fn text(item: &Value, key: &str) -> String {
    match &item[key] {
        Value::Null => "-".to_owned(),
        Value::String(s) => s.clone(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    }
}

/// Sizes as `[400, 200]`.
pub(crate) fn sizes(item: &Value) -> String {
    let list = item["storage_sizes_gb"].as_array().map(Vec::as_slice).unwrap_or_default();
    let list: Vec<String> = list.iter().map(|v| v.as_i64().map_or_else(|| "?".to_owned(), |n| n.to_string())).collect();
    format!("[{}]", list.join(", "))
}

/// Money per hour, from millionths.
pub(crate) fn hourly(item: &Value) -> String {
    let micros = item["hourly_micros"].as_i64().unwrap_or_default();
    format!("{}.{:04} {}/h", micros / 1_000_000, micros % 1_000_000 / 100, text(item, "currency"))
}

/// An instance's volumes, one line each.
pub(crate) fn storages(instance: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "volume",
        "GB",
        "type",
        "boot",
        "at the end",
        "status",
        "in the cloud",
    ]);
    for v in instance["storages"].as_array().into_iter().flatten() {
        let end = match (v["origin"].as_str(), v["delete_on_terminate"].as_bool()) {
            (Some("foreign"), _) => "let go",
            (_, Some(true)) => "deleted",
            _ => "kept",
        };
        let boot = if v["is_boot"] == true { "yes" } else { "" };
        table.add_row([
            text(v, "id"),
            text(v, "size_gb"),
            text(v, "volume_type"),
            boot.to_owned(),
            end.to_owned(),
            text(v, "status"),
            text(v, "provider_volume_id"),
        ]);
    }
    table.to_string()
}

/// An instance, for people.
pub(crate) fn instance(i: &Value) -> String {
    let mut lines = vec![
        format!("{}  {}  {}", text(i, "id"), text(i, "status"), text(i, "name")),
        format!("  {} in {}, {}, model {}", text(i, "instance_type"), text(i, "zone"), hourly(i), text(i, "model_id")),
        format!("  server {}  address {}", text(i, "provider_instance_id"), text(i, "ip_address")),
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

/// The evidence of an instance's end, for people.
pub(crate) fn proof(p: &Value) -> String {
    let mut lines = vec![format!("{}  {}  {}", text(p, "instance_id"), text(p, "status"), text(p, "verdict"))];
    for r in p["resources"].as_array().into_iter().flatten() {
        let id = r["provider_id"].as_str().map_or_else(|| text(r, "name"), str::to_owned);
        lines.push(format!("  {} {id}  {}", text(r, "kind"), text(r, "standing").to_uppercase()));
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
        lines.push(format!("  what is kept costs about {}", hourly(&kept)));
    }
    for open in p["open"].as_array().into_iter().flatten() {
        lines.push(format!("  OPEN {}", open.as_str().unwrap_or_default()));
    }
    lines.join("\n")
}

/// A note with the moment until which it holds.
pub(crate) fn note_text(note: &Value) -> String {
    let until = note["until"].as_str().map_or_else(String::new, |t| format!(", until {t}"));
    format!("{}{until}", text(note, "text"))
}
