//! `inventiv offer`

use crate::args::{Connection, OfferCommand, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text, word};
use inventiv_types::{ListOffers, Offer};

const COLUMNS: Columns<Offer> = Columns {
    name: |o| text(&o.instance_type),
    narrow: &[
        ("type", |o| text(&o.instance_type)),
        ("zone", |o| text(&o.zone)),
        ("GPUs", gpus),
        ("RAM GB", |o| gb(o.ram_bytes)),
        ("EUR/h", |o| output::decimal(o.hourly_micros)),
        ("availability", availability),
    ],
    wide: &[
        ("vCPUs", |o| text(o.vcpus)),
        ("local GB", |o| gb(o.local_storage_bytes)),
        ("scratch GB", |o| gb(o.scratch_bytes)),
        ("boots on", |o| word(&o.boot_storage)),
    ],
};

pub(crate) async fn run(command: OfferCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let OfferCommand::List { account, zone, all } = command;
    let query = ListOffers { account: account.name(), zone, gpu: (!all).then_some(true) };
    let items: Vec<Offer> = client.all("/offers", &query).await?;
    output::list(output, &items, &COLUMNS);
    Ok(())
}

/// Number and model of the GPUs, with the memory of each in GiB.
fn gpus(offer: &Offer) -> String {
    match offer.gpu_count {
        0 => "-".to_owned(),
        n => format!("{n} × {} {}G", opt(offer.gpu_name.as_ref()), gib(offer.gpu_memory_bytes)),
    }
}

/// The availability, with a mark on offers that end.
fn availability(offer: &Offer) -> String {
    let word = word(&offer.availability);
    if offer.end_of_service { format!("{word}, ends") } else { word }
}

/// GPU memory in GiB, as vendors state it: 24, 48, 80.
fn gib(bytes: Option<i64>) -> String {
    opt(bytes.filter(|b| *b > 0).map(|b| b >> 30))
}

fn gb(bytes: i64) -> String {
    opt(Some(bytes).filter(|b| *b > 0).map(|b| b / 1_000_000_000))
}
