//! `inventiv explain`: desired state, recorded state, what the instance waits for, and the next steps.

use crate::args::{Connection, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, note_text, text};
use serde_json::Value;

pub(crate) async fn run(
    id: &str,
    connection: &Connection,
    account: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let query: Vec<(&str, &str)> = account.iter().map(|a| ("account", a.as_str())).collect();
    let instance = client.get(&format!("/instances/{}", encode(id)), &query).await?;
    output::one(output, &instance, "id", explain);
    Ok(())
}

fn explain(i: &Value) -> String {
    let status = text(i, "status");
    let wants = match status.as_str() {
        "provisioning" | "booting" => "to become ready: server, volumes named, data volume attached, started, running",
        "ready" => "to stay ready",
        "terminating" => "to be gone: server deleted, volumes deleted or retained, each proven",
        _ => "nothing: it has ended",
    };
    let mut lines = vec![format!("{} is {status}", text(i, "id")), format!("  wants  {wants}")];
    lines.push(format!("  data   {}", text(i, "data_volume_reason")));
    lines.push(format!("  boot   {}", text(i, "boot_volume_note")));
    // An instance that has ended still shows the server that it had.
    let has = if i["terminated_at"].is_null() { "has" } else { "had" };
    lines.push(format!("  {has}    server {}, address {}", text(i, "provider_instance_id"), output::addresses(i)));
    for v in i["storages"].as_array().into_iter().flatten() {
        let about = format!("{} GB {} {}", text(v, "size_gb"), text(v, "volume_type"), text(v, "provider_volume_id"));
        lines.push(format!("         {about}: {}", text(v, "status")));
        if !v["error"].is_null() {
            lines.push(format!("           refused: {}", text(v, "error")));
        }
    }
    let notes = i["notes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for note in notes {
        lines.push(format!("  waits  {}", note_text(note)));
    }
    if notes.is_empty() {
        lines.push("  waits  for nothing".to_owned());
    }
    for (n, step) in i["next"].as_array().into_iter().flatten().enumerate() {
        let word = if n == 0 { "next" } else { "then" };
        lines.push(format!("  {word}   {}", step.as_str().unwrap_or_default()));
    }
    for s in i["stuck"].as_array().into_iter().flatten() {
        let cost = output::hourly(s);
        lines.push(format!(
            "  STUCK  {} since {}, {cost}: {}",
            text(s, "resource"),
            text(s, "since"),
            text(s, "reason")
        ));
        lines.push(format!("         do: {}", text(s, "remedy")));
    }
    if !i["error"].is_null() {
        lines.push(format!("  failed {}", text(i, "error")));
    }
    lines.join("\n")
}
