//! `inventiv model`: models, and the size of the data volume for each.

mod fit;

use crate::args::{Connection, ModelCommand, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use inventiv_types::{ChangeModel, CreateModel, FitQuery, ListModels, Model, ModelFit, RecommendedDataVolume};

const COLUMNS: Columns<Model> = Columns {
    name: |m| text(&m.id),
    narrow: &[("id", |m| text(&m.id)), ("data volume", volume), ("age", |m| output::age(m.created_at))],
    wide: &[("changed", |m| text(m.updated_at))],
};

pub(crate) async fn run(command: ModelCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let path = |id: &str| format!("/models/{}", encode(id));
    let model: Model = match command {
        ModelCommand::List => {
            let models: Vec<Model> = client.all("/models", &ListModels::default()).await?;
            output::list(output, &models, &COLUMNS);
            return Ok(());
        }
        ModelCommand::Recommend { id } => {
            let path = format!("{}/recommended-data-volume", path(&id));
            let found: RecommendedDataVolume = client.get(&path, &()).await?;
            output::one(output, &found, |r| text(&r.model_id), recommendation);
            return Ok(());
        }
        ModelCommand::Fit { id, account, zone, instance_type, engine, all } => {
            let query = FitQuery {
                account: account.name(),
                zone,
                instance_type,
                engine: engine.kind(),
                context_tokens: engine.context,
            };
            let found: ModelFit = client.get(&format!("{}/fit", path(&id)), &query).await?;
            fit::show(output, &found, all || query.instance_type.is_some());
            return Ok(());
        }
        ModelCommand::Remove { id } => {
            client.delete::<()>(&path(&id)).await?;
            if !output.is_for_programs() {
                output::print(&format!("{id} removed"));
            }
            return Ok(());
        }
        ModelCommand::Show { id } => client.get(&path(&id), &()).await?,
        ModelCommand::Add { id, data_volume_gb } => {
            client.post("/models", &CreateModel { id, data_volume_gb }, None).await?
        }
        ModelCommand::Set { id, data_volume_gb } => client.patch(&path(&id), &ChangeModel { data_volume_gb }).await?,
    };
    output::one(output, &model, |m| text(&m.id), |m| format!("{}  data volume: {}", text(&m.id), volume(m)));
    Ok(())
}

fn recommendation(found: &RecommendedDataVolume) -> String {
    let gb = found.data_volume_gb.map_or_else(|| "unknown".to_owned(), |gb| format!("{gb} GB"));
    format!("{}: {gb}\n  {}", text(&found.model_id), text(&found.reason))
}

fn volume(model: &Model) -> String {
    match model.data_volume_gb {
        None => "as recommended".to_owned(),
        Some(0) => "none".to_owned(),
        Some(gb) => format!("{gb} GB"),
    }
}
