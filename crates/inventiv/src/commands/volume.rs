//! `inventiv volume`

use crate::args::{Connection, Output, VolumeCommand};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use serde_json::{Value, json};

const COLUMNS: Columns = Columns {
    name: "id",
    narrow: &[
        ("id", |v| text(v, "id")),
        ("GB", |v| text(v, "size_gb")),
        ("type", |v| text(v, "volume_type")),
        ("status", |v| text(v, "status")),
        ("at the end", |v| output::at_the_end(v).to_owned()),
        ("age", |v| output::age(v, "created_at")),
    ],
    wide: &[
        ("zone", |v| text(v, "zone")),
        ("instance", |v| text(v, "instance_id")),
        ("origin", |v| text(v, "origin")),
        ("in the cloud", |v| text(v, "provider_volume_id")),
    ],
};

pub(crate) async fn run(command: VolumeCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let path = |id: &str| format!("/volumes/{}", encode(id));
    let volume = match command {
        VolumeCommand::List { account, status, instance } => {
            let filters = [("status", status), ("instance_id", instance), ("account", account.name())];
            let query: Vec<(&str, &str)> = filters.iter().filter_map(|(k, v)| Some((*k, v.as_deref()?))).collect();
            let items = client.all("/volumes", &query).await?;
            output::list(output, &items, &COLUMNS);
            return Ok(());
        }
        VolumeCommand::Show { id } => client.get(&path(&id), &[]).await?,
        VolumeCommand::Retain { id } => client.patch(&path(&id), &json!({"delete_on_terminate": false})).await?,
        VolumeCommand::Release { id } => client.patch(&path(&id), &json!({"delete_on_terminate": true})).await?,
    };
    output::one(output, &volume, "id", lines);
    Ok(())
}

fn lines(v: &Value) -> String {
    let mut lines = vec![
        format!(
            "{}  {}  {} GB {} in {}",
            text(v, "id"),
            text(v, "status"),
            text(v, "size_gb"),
            text(v, "volume_type"),
            text(v, "zone")
        ),
        format!(
            "  instance {}  origin {}  delete_on_terminate={}{}",
            text(v, "instance_id"),
            text(v, "origin"),
            text(v, "delete_on_terminate"),
            if v["policy_written"] == false { " (not yet written to the cloud)" } else { "" }
        ),
        format!("  in the cloud: {} ({})", text(v, "provider_volume_id"), text(v, "name")),
    ];
    if let Some(proof) = v["proof"].as_object() {
        let proof = Value::Object(proof.clone());
        lines.push(format!(
            "  proven gone: {} at {}: {}",
            text(&proof, "asked"),
            text(&proof, "asked_at"),
            text(&proof, "answer")
        ));
    }
    if !v["error"].is_null() {
        lines.push(format!("  error: {}", text(v, "error")));
    }
    lines.join("\n")
}
