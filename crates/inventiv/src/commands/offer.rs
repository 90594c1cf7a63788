//! `inventiv offer`

use crate::args::{Connection, OfferCommand, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use serde_json::Value;

const COLUMNS: Columns = Columns {
    name: "instance_type",
    narrow: &[
        ("type", |o| text(o, "instance_type")),
        ("zone", |o| text(o, "zone")),
        ("GPUs", gpus),
        ("RAM GB", |o| gb(o, "ram_bytes")),
        ("EUR/h", |o| output::decimal(o["hourly_micros"].as_i64().unwrap_or_default())),
        ("availability", availability),
    ],
    wide: &[
        ("vCPUs", |o| text(o, "vcpus")),
        ("local GB", |o| gb(o, "local_storage_bytes")),
        ("scratch GB", |o| gb(o, "scratch_bytes")),
        ("boots on", |o| text(o, "boot_storage")),
    ],
};

pub(crate) async fn run(command: OfferCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let OfferCommand::List { account, zone, all } = command;
    let account = account.name();
    let mut query: Vec<(&str, &str)> = zone.iter().map(|z| ("zone", z.as_str())).collect();
    query.extend(account.iter().map(|a| ("account", a.as_str())));
    if !all {
        query.push(("gpu", "true"));
    }
    let items = client.all("/offers", &query).await?;
    output::list(output, &items, &COLUMNS);
    Ok(())
}

/// Number and model of the GPUs, with the memory of each in GiB.
fn gpus(offer: &Value) -> String {
    match offer["gpu_count"].as_i64() {
        None | Some(0) => "-".to_owned(),
        Some(n) => format!("{n} × {} {}G", text(offer, "gpu_name"), gib(offer, "gpu_memory_bytes")),
    }
}

/// The availability, with a mark on offers that end.
fn availability(offer: &Value) -> String {
    let word = text(offer, "availability");
    if offer["end_of_service"] == true { format!("{word}, ends") } else { word }
}

/// GPU memory in GiB, as vendors state it: 24, 48, 80.
fn gib(item: &Value, key: &str) -> String {
    item[key].as_i64().filter(|b| *b > 0).map_or_else(|| "-".to_owned(), |b| (b >> 30).to_string())
}

fn gb(item: &Value, key: &str) -> String {
    item[key].as_i64().filter(|b| *b > 0).map_or_else(|| "-".to_owned(), |b| (b / 1_000_000_000).to_string())
}
