//! `inventiv model`: models, and the size of the data volume for each.

use crate::args::{Connection, ModelCommand, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use serde_json::{Value, json};

const COLUMNS: Columns = Columns {
    name: "id",
    narrow: &[("id", |m| text(m, "id")), ("data volume", volume), ("age", |m| output::age(m, "created_at"))],
    wide: &[("changed", |m| text(m, "updated_at"))],
};

pub(crate) async fn run(command: ModelCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let path = |id: &str| format!("/models/{}", encode(id));
    let model = match command {
        ModelCommand::List => {
            output::list(output, &client.all("/models", &[]).await?, &COLUMNS);
            return Ok(());
        }
        ModelCommand::Recommend { id } => {
            let found = client.get(&format!("{}/recommended-data-volume", path(&id)), &[]).await?;
            output::one(output, &found, "model_id", |r| {
                let gb = r["data_volume_gb"].as_i64().map_or_else(|| "unknown".to_owned(), |gb| format!("{gb} GB"));
                format!("{}: {gb}\n  {}", text(r, "model_id"), text(r, "reason"))
            });
            return Ok(());
        }
        ModelCommand::Remove { id } => {
            client.delete(&path(&id)).await?;
            if !output.is_for_programs() {
                output::print(&format!("{id} removed"));
            }
            return Ok(());
        }
        ModelCommand::Show { id } => client.get(&path(&id), &[]).await?,
        ModelCommand::Add { id, data_volume_gb } => {
            client.post("/models", &json!({"id": id, "data_volume_gb": data_volume_gb})).await?
        }
        ModelCommand::Set { id, data_volume_gb } => {
            client.patch(&path(&id), &json!({"data_volume_gb": data_volume_gb})).await?
        }
    };
    output::one(output, &model, "id", |m| format!("{}  data volume: {}", text(m, "id"), volume(m)));
    Ok(())
}

fn volume(model: &Value) -> String {
    match model["data_volume_gb"].as_i64() {
        None => "as recommended".to_owned(),
        Some(0) => "none".to_owned(),
        Some(gb) => format!("{gb} GB"),
    }
}
