//! `inventiv image`

use crate::args::{Connection, ImageCommand, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use serde_json::Value;

const COLUMNS: Columns = Columns {
    name: "label",
    narrow: &[("label", |i| text(i, "label")), ("name", |i| text(i, "name")), ("fits", how_many)],
    wide: &[("types", |i| types(i).join(" "))],
};

pub(crate) async fn run(command: ImageCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let ImageCommand::List { account, zone, instance_type } = command;
    let account = account.name();
    let mut query = vec![("zone", zone.as_str())];
    query.extend(account.as_deref().map(|a| ("account", a)));
    query.extend(instance_type.as_deref().map(|t| ("instance_type", t)));
    output::list(output, &client.all("/images", &query).await?, &COLUMNS);
    Ok(())
}

fn types(image: &Value) -> Vec<&str> {
    image["instance_types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn how_many(image: &Value) -> String {
    match types(image).len() {
        1 => "1 type".to_owned(),
        n => format!("{n} types"),
    }
}
