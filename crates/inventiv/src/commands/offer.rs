//! `inventiv offer`

use crate::args::{Connection, OfferCommand, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, text};
use serde_json::Value;

pub(crate) async fn run(command: OfferCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let OfferCommand::List { zone, all } = command;
    let mut query: Vec<(&str, &str)> = zone.iter().map(|z| ("zone", z.as_str())).collect();
    if !all {
        query.push(("gpu", "true"));
    }
    let items = client.all("/offers", &query).await?;
    output::list(
        output,
        &items,
        &[
            ("type", |o| text(o, "instance_type")),
            ("zone", |o| text(o, "zone")),
            ("GPUs", |o| text(o, "gpu_count")),
            ("GPU", |o| text(o, "gpu_name")),
            ("GPU GiB", |o| gib(o, "gpu_memory_bytes")),
            ("vCPUs", |o| text(o, "vcpus")),
            ("RAM GB", |o| gb(o, "ram_bytes")),
            ("local GB", |o| gb(o, "local_storage_bytes")),
            ("scratch GB", |o| gb(o, "scratch_bytes")),
            ("price", output::hourly),
            ("availability", availability),
        ],
    );
    Ok(())
}

/// An offer that ends says so where people look for whether it can be had.
fn availability(offer: &Value) -> String {
    let word = text(offer, "availability");
    if offer["end_of_service"] == true { format!("{word}, end of service") } else { word }
}

/// GPU memory is compared by the makers' numbers, which are GiB: 24, 48, 80.
fn gib(item: &Value, key: &str) -> String {
    item[key].as_i64().filter(|b| *b > 0).map_or_else(|| "-".to_owned(), |b| (b >> 30).to_string())
}

fn gb(item: &Value, key: &str) -> String {
    item[key].as_i64().filter(|b| *b > 0).map_or_else(|| "-".to_owned(), |b| (b / 1_000_000_000).to_string())
}
