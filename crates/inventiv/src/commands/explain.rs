//! `inventiv explain`: desired state, recorded state, what the instance waits for, and the next steps.

use crate::args::{Connection, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, note, opt, text};
use inventiv_types::{InstanceDetail, OfAccount, Status};

pub(crate) async fn run(
    id: &str,
    connection: &Connection,
    account: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let detail: InstanceDetail = client.get(&format!("/instances/{}", encode(id)), &OfAccount { account }).await?;
    output::one(output, &detail, |d| d.instance.id.clone(), explain);
    Ok(())
}

fn explain(detail: &InstanceDetail) -> String {
    let i = &detail.instance;
    let wants = match i.status {
        Status::Provisioning | Status::Booting => {
            "to become ready: server, volumes named, data volume attached, started, running"
        }
        Status::Installing => "to become ready: data volume mounted, engine there, model answers",
        Status::Starting => "to become ready: model downloaded, engine running, model answers",
        Status::Ready => "to stay ready",
        Status::Unavailable => "to become ready again: the model answers a request",
        Status::StartupFailed => "an end, or somebody who mends it: the model will not answer",
        Status::Draining => "to finish the requests that its model is answering, and then to be gone",
        Status::Stopping => "to be stopped: server powered off, volumes kept",
        Status::Stopped => "to stay stopped",
        Status::Terminating => "to be gone: server deleted, volumes deleted or retained, each proven",
        Status::Terminated | Status::ProvisioningFailed => "nothing: it has ended",
    };
    let mut lines = vec![format!("{} is {}", i.id, i.status), format!("  wants  {wants}")];
    lines.push(format!("  data   {}", text(&detail.data_volume_reason)));
    lines.push(format!("  boot   {}", text(&detail.boot_volume_note)));
    // An instance that has ended still shows the server that it had.
    let has = if i.terminated_at.is_none() { "has" } else { "had" };
    let (server, addresses) = (opt(i.provider_instance_id.as_ref()), output::addresses(i));
    lines.push(format!("  {has}    server {server}, address {addresses}"));
    for v in &detail.storages {
        let about = format!("{} GB {} {}", opt(v.size_gb), text(&v.volume_type), opt(v.provider_volume_id.as_ref()));
        lines.push(format!("         {about}: {}", v.status));
        lines.extend(v.error.as_ref().map(|error| format!("           refused: {}", text(error))));
    }
    lines.extend(detail.notes.iter().map(|n| format!("  waits  {}", note(n))));
    if detail.notes.is_empty() {
        lines.push("  waits  for nothing".to_owned());
    }
    for (n, step) in detail.next.iter().enumerate() {
        let word = if n == 0 { "next" } else { "then" };
        lines.push(format!("  {word}   {}", text(step)));
    }
    for s in &detail.stuck {
        let cost = output::hourly(s.hourly_micros, &s.currency);
        lines.push(format!("  STUCK  {} since {}, {cost}: {}", text(&s.resource), s.since, text(&s.reason)));
        lines.push(format!("         do: {}", text(&s.remedy)));
    }
    lines.extend(i.error.as_ref().map(|error| format!("  failed {}", text(error))));
    lines.join("\n")
}
