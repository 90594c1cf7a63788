//! `inventiv instance`

use crate::args::{Connection, Create, InstanceCommand, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, text};
use crate::progress::{Goal, Progress};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(crate) async fn run(command: InstanceCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    match command {
        InstanceCommand::Create(args) => create(&client, args, output).await,
        InstanceCommand::List { status, zone, model } => {
            let filters = [("status", status), ("zone", zone), ("model_id", model)];
            let query: Vec<(&str, &str)> = filters.iter().filter_map(|(k, v)| Some((*k, v.as_deref()?))).collect();
            let items = client.all("/instances", &query).await?;
            output::list(
                output,
                &items,
                &[
                    ("id", |i| text(i, "id")),
                    ("name", |i| text(i, "name")),
                    ("status", |i| text(i, "status")),
                    ("type", |i| text(i, "instance_type")),
                    ("zone", |i| text(i, "zone")),
                    ("model", |i| text(i, "model_id")),
                    ("address", |i| text(i, "ip_address")),
                    ("volumes", |i| text(i, "storage_count")),
                    ("GB", output::sizes),
                ],
            );
            Ok(())
        }
        InstanceCommand::Show { id } => {
            let instance = client.get(&format!("/instances/{}", encode(&id)), &[]).await?;
            output::one(output, &instance, output::instance);
            Ok(())
        }
        InstanceCommand::Proof { id } => {
            let proof = client.get(&format!("/instances/{}/proof", encode(&id)), &[]).await?;
            output::one(output, &proof, output::proof);
            if proof["clean"] == true { Ok(()) } else { Err(Failure::left_behind(text(&proof, "verdict"))) }
        }
        InstanceCommand::Terminate { id, wait, timeout } => {
            let progress = follower(&client, &id).after_history().await?;
            let mut instance = client.delete(&format!("/instances/{}", encode(&id))).await?;
            let ended = matches!(instance["status"].as_str(), Some("terminated" | "provisioning_failed"));
            if wait && !ended {
                instance = follow(progress, "terminated", timeout).await?;
            }
            output::one(output, &instance, output::instance);
            Ok(())
        }
    }
}

async fn create(client: &Client, args: Create, output: Output) -> Result<(), Failure> {
    let mut wish = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            wish.insert(key.to_owned(), value);
        }
    };
    put("instance_type", json!(args.instance_type));
    put("zone", json!(args.zone));
    put("model_id", json!(args.model));
    put("name", json!(args.name));
    put("image", json!(args.image));
    put("data_volume_gb", json!(args.data_volume_gb));
    put("boot_volume_gb", json!(args.boot_volume_gb));
    put("perf_iops", json!(args.perf_iops));
    put("delete_on_terminate", if args.retain { json!(false) } else { Value::Null });
    put("tags", if args.tags.is_empty() { Value::Null } else { json!(args.tags) });
    let mut instance = client.post("/instances", &Value::Object(wish)).await?;
    for warning in instance["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("warning: {warning}");
    }
    if args.wait {
        // Whoever is interrupted must know what goes on without them, and costs money.
        let id = text(&instance, "id");
        eprintln!(
            "{id} is being made; it goes on without this command, and costs money until `inventiv instance terminate {id}`"
        );
        instance = follow(follower(client, &text(&instance, "id")), "ready", args.timeout).await?;
    }
    output::one(output, &instance, output::instance);
    Ok(())
}

/// Standard output is for the result.
fn follower<'c>(client: &'c Client, id: &str) -> Progress<'c> {
    Progress::new(client, id, |line| eprintln!("{line}"))
}

async fn follow(mut progress: Progress<'_>, status: &'static str, timeout: u64) -> Result<Value, Failure> {
    let goal = Goal { status, timeout: Duration::from_secs(timeout), every: Duration::from_millis(500) };
    progress.follow(&goal).await
}
