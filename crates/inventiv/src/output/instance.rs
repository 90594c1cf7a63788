//! Instances and their volumes, for people.

use super::table::{Columns, table};
use super::{decimal, hourly, opt, text};
use crate::args::Output;
use inventiv_types::{Instance, InstanceDetail, Note, Origin, Status, Storage};

/// The price per hour of an instance with its volumes on block storage; a dash after its end.
pub(crate) fn hourly_of_all(i: &Instance) -> String {
    if i.status.is_final() {
        return "-".to_owned();
    }
    // A server that is powered off costs nothing.
    let server = if i.status == Status::Stopped { 0 } else { i.hourly_micros };
    decimal(server.saturating_add(i.storage_hourly_micros))
}

/// Sizes as `[400, 200]`.
pub(crate) fn sizes(i: &Instance) -> String {
    let list: Vec<String> =
        i.storage_sizes_gb.iter().map(|gb| gb.map_or_else(|| "?".to_owned(), |gb| gb.to_string())).collect();
    format!("[{}]", list.join(", "))
}

/// All addresses of an instance, comma-separated.
pub(crate) fn addresses(i: &Instance) -> String {
    if i.addresses.is_empty() { "-".to_owned() } else { i.addresses.join(", ") }
}

/// How an instance's volumes are listed.
const VOLUMES: Columns<Storage> = Columns {
    name: |v| v.id.clone(),
    narrow: &[
        ("volume", |v| text(&v.id)),
        ("GB", |v| opt(v.size_gb)),
        ("type", |v| format!("{}{}", text(&v.volume_type), if v.is_boot { ", boot" } else { "" })),
        ("at the end", |v| at_the_end(v).to_owned()),
        ("status", |v| text(v.status)),
    ],
    wide: &[],
};

/// What happens to a volume when its instance ends.
pub(crate) fn at_the_end(volume: &Storage) -> &'static str {
    match (volume.origin, volume.delete_on_terminate) {
        (Origin::Foreign, _) => "released",
        (_, true) => "deleted",
        _ => "kept",
    }
}

/// Volumes of an instance, one line each.
pub(crate) fn storages(volumes: &[Storage]) -> String {
    table(Output::Table, volumes, &VOLUMES)
}

/// An instance, for people.
pub(crate) fn instance(detail: &InstanceDetail) -> String {
    let i = &detail.instance;
    let price = hourly(i.hourly_micros, &i.currency);
    let mut lines = vec![
        format!("{}  {}  {}", i.id, i.status, text(&i.name)),
        format!("  {} in {}, {price}, model {}", text(&i.instance_type), text(&i.zone), model(i)),
        format!("  server {}  address {}", opt(i.provider_instance_id.as_ref()), addresses(i)),
        match hourly_of_all(i).as_str() {
            "-" => "  costs nothing".to_owned(),
            costs => format!("  costs {costs} {}/h with its volumes", i.currency),
        },
        format!("  storage_count={} storage_sizes_gb={}", i.storage_count, sizes(i)),
    ];
    lines.extend(i.expires_at.filter(|_| !i.status.is_final()).map(|at| format!("  ends by itself at {at}")));
    let idle = i.idle_seconds.filter(|_| !i.status.is_final());
    lines.extend(idle.map(|s| format!("  ends by itself after {s} s without a request for its model")));
    lines.extend(i.service_id.as_ref().map(|id| format!("  replica of service {}", text(id))));
    lines.extend(i.error.as_ref().map(|error| format!("  error: {}", text(error))));
    lines.extend(detail.notes.iter().map(|n| format!("  {}", note(n))));
    if !detail.storages.is_empty() {
        lines.push(storages(&detail.storages));
    }
    lines.join("\n")
}

/// The model, with the engine that is to serve it.
fn model(i: &Instance) -> String {
    let engine = i.engine.as_ref().map(|e| format!(" for {} ({} tokens)", e.kind, e.context_tokens));
    format!("{}{}", opt(i.model_id.as_ref()), engine.unwrap_or_default())
}

/// A note, with the time until which it holds.
pub(crate) fn note(note: &Note) -> String {
    let until = note.until.map_or_else(String::new, |t| format!(", until {t}"));
    format!("{}{until}", text(&note.text))
}
