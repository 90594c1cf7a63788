//! `inventiv webhook` and `inventiv alert`.

use super::secret;
use crate::args::{AlertCommand, Connection, CreateWebhookArgs, Output, WebhookCommand};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text, word};
use inventiv_types::{
    Alert, CreateWebhook, CreatedWebhook, Delivery, DeliveryStatus, SECRET_NAME_RULE, Webhook, is_secret_name,
};
use serde_json::json;
use std::time::{Duration, Instant};

const ALERTS: Columns<Alert> = Columns {
    name: |a| text(&a.about),
    narrow: &[
        ("severity", |a| word(&a.severity)),
        ("kind", |a| word(&a.kind)),
        ("since", |a| output::age(a.since)),
        ("alert", |a| text(&a.text)),
    ],
    wide: &[("about", |a| text(&a.about)), ("since", |a| text(a.since))],
};

const WEBHOOKS: Columns<Webhook> = Columns {
    name: |w| text(&w.name),
    narrow: &[
        ("name", |w| text(&w.name)),
        ("URL", |w| text(&w.url)),
        ("kinds", |w| {
            if w.kinds.is_empty() {
                "all".to_owned()
            } else {
                text(w.kinds.iter().map(word).collect::<Vec<_>>().join(", "))
            }
        }),
        ("age", |w| output::age(w.created_at)),
    ],
    wide: &[("id", |w| text(&w.id))],
};

const DELIVERIES: Columns<Delivery> = Columns {
    name: |d| text(&d.id),
    narrow: &[
        ("kind", |d| word(&d.kind)),
        ("status", |d| word(&d.status)),
        ("attempts", |d| text(d.attempts)),
        ("age", |d| output::age(d.created_at)),
        ("error", |d| opt(d.error.as_ref())),
    ],
    wide: &[("id", |d| text(&d.id)), ("next at", |d| opt(d.next_at)), ("delivered at", |d| opt(d.delivered_at))],
};

/// How long a test waits for the first outcome: longer than a receiver may take to answer.
const TEST_MAX: Duration = Duration::from_secs(30);
/// The pause between two looks at a test.
const EVERY: Duration = Duration::from_millis(300);

pub(crate) async fn alerts(command: AlertCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let AlertCommand::List = command;
    let alerts: Vec<Alert> = Client::connect(connection)?.all("/alerts", &()).await?;
    if alerts.is_empty() && !output.is_for_programs() {
        output::print("nothing needs you");
        return Ok(());
    }
    output::list(output, &alerts, &ALERTS);
    Ok(())
}

pub(crate) async fn run(command: WebhookCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    match command {
        WebhookCommand::Create(new) => create(new, connection, output).await,
        WebhookCommand::List => {
            let webhooks: Vec<Webhook> = Client::connect(connection)?.all("/webhooks", &()).await?;
            output::list(output, &webhooks, &WEBHOOKS);
            Ok(())
        }
        WebhookCommand::Test { webhook } => test(&webhook, &Client::connect(connection)?, output).await,
        WebhookCommand::Deliveries { webhook } => {
            let sent: Vec<Delivery> = Client::connect(connection)?.all(&deliveries(&webhook), &()).await?;
            output::list(output, &sent, &DELIVERIES);
            Ok(())
        }
        WebhookCommand::Delete { webhook } => {
            Client::connect(connection)?.delete::<()>(&format!("/webhooks/{}", encode(&webhook))).await?;
            if !output.is_for_programs() {
                output::print(&format!("{} deleted", text(&webhook)));
            }
            Ok(())
        }
    }
}

fn deliveries(webhook: &str) -> String {
    format!("/webhooks/{}/deliveries", encode(webhook))
}

async fn create(new: CreateWebhookArgs, connection: &Connection, output: Output) -> Result<(), Failure> {
    if !is_secret_name(&new.name) {
        return Err(Failure::refused(format!("the name of a webhook {SECRET_NAME_RULE}")));
    }
    let client = Client::connect(connection)?;
    let url = secret::read("the URL", new.from_file, new.from_env)?;
    let request = CreateWebhook { name: new.name, url, kinds: Some(new.kinds) };
    let created: CreatedWebhook = client.post("/webhooks", &request, None).await?;
    if !output.is_for_programs() {
        let name = text(&created.webhook.name);
        eprintln!(
            "{name} created; try it with `inventiv webhook test {name}`. The secret that signs is shown only once:"
        );
    }
    let value = |created: &CreatedWebhook| created.secret.expose().to_owned();
    output::one(output, &created, value, value);
    Ok(())
}

async fn test(webhook: &str, client: &Client, output: Output) -> Result<(), Failure> {
    let path = format!("/webhooks/{}/test", encode(webhook));
    let mut sent: Delivery = client.post(&path, &json!({}), None).await?;
    let began = Instant::now();
    while sent.attempts == 0 || (sent.status == DeliveryStatus::Pending && sent.error.is_none()) {
        if began.elapsed() > TEST_MAX {
            return Err(Failure::timeout(
                "the message was not sent within 30 s; `inventiv webhook deliveries` shows it",
            ));
        }
        tokio::time::sleep(EVERY).await;
        let all: Vec<Delivery> = client.all(&deliveries(webhook), &()).await?;
        let found = all.into_iter().find(|d| d.id == sent.id);
        sent = found.ok_or_else(|| Failure::refused("the webhook was deleted meanwhile".to_owned()))?;
    }
    if let Some(why) = &sent.error {
        return Err(Failure::refused(format!("the message was not accepted: {}", text(why))));
    }
    output::one(output, &sent, |d| text(&d.id), |_| "the message was accepted".to_owned());
    Ok(())
}
