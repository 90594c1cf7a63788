//! `inventiv image`

use crate::args::{Connection, ImageCommand, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use inventiv_types::{Image, ListImages};

const COLUMNS: Columns<Image> = Columns {
    name: |i| text(&i.label),
    narrow: &[("label", |i| text(&i.label)), ("name", |i| text(&i.name)), ("fits", how_many)],
    wide: &[("types", |i| text(i.instance_types.join(" ")))],
};

pub(crate) async fn run(command: ImageCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let ImageCommand::List { account, zone, instance_type } = command;
    let query = ListImages { account: account.name(), zone, instance_type };
    let items: Vec<Image> = client.all("/images", &query).await?;
    output::list(output, &items, &COLUMNS);
    Ok(())
}

fn how_many(image: &Image) -> String {
    match image.instance_types.len() {
        1 => "1 type".to_owned(),
        n => format!("{n} types"),
    }
}
