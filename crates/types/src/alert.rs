//! Alerts, and the webhooks that they are sent to.

use crate::{SecretValue, Time};
use inventiv_core::alert::{AlertKind, Severity};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that an operator should know or do something about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// What the alert is about.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// The id of the instance, service or cloud resource, or the name of the zone or limit.
    pub about: String,
    /// One sentence, and what to do.
    pub text: String,
    /// Since when.
    pub since: Time,
}

/// A new webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhook {
    /// The name: unique, 1 to 64 characters of a-z, 0-9, `-` and `_`, and it begins with a letter.
    #[schema(min_length = 1, max_length = 64, example = "on-call")]
    pub name: String,
    /// Where messages are sent: an `http` or `https` URL. It is stored sealed; only its scheme and host are shown.
    #[schema(value_type = String, format = "uri", write_only, example = "https://hooks.example.com/inventiv")]
    pub url: SecretValue,
    /// The kinds of alerts to send. If omitted or empty, all are sent.
    pub kinds: Option<Vec<AlertKind>>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// The unique id; it begins with `whk-`.
    pub id: String,
    /// The name.
    pub name: String,
    /// Scheme and host of the URL.
    #[schema(example = "https://hooks.example.com")]
    pub url: String,
    /// The kinds of alerts that are sent; empty if all are.
    pub kinds: Vec<AlertKind>,
    /// When the webhook was created.
    pub created_at: Time,
}

/// A new webhook, with its signing secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The secret that signs messages, as the Standard Webhooks specification says. Only this response contains it.
    #[schema(value_type = String, format = Password, read_only, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: SecretValue,
}

/// A message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The unique id; it begins with `msg-`. It is the header `webhook-id` of each attempt.
    pub id: String,
    /// What the message is about.
    pub kind: AlertKind,
    /// Whether it was delivered.
    pub status: DeliveryStatus,
    /// How often it was sent.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: Time,
    /// When it is sent next; `null` if not any more.
    pub next_at: Option<Time>,
    /// When it was accepted; `null` if it was not.
    pub delivered_at: Option<Time>,
    /// Why the last attempt failed; `null` if it did not.
    pub error: Option<String>,
}

/// Whether a message was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It waits for its first or its next attempt.
    Pending,
    /// It was accepted with a 2xx response.
    Delivered,
    /// No attempt was successful, and there will be no other.
    GivenUp,
}

/// The body of a message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookMessage {
    /// What the message is about.
    #[serde(rename = "type")]
    pub kind: AlertKind,
    /// When the alert began.
    pub timestamp: Time,
    /// The alert.
    pub data: WebhookData,
}

/// The alert in a message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookData {
    /// How urgent it is.
    pub severity: Severity,
    /// The id of the instance, service or cloud resource, or the name of the zone or limit.
    pub about: String,
    /// One sentence, and what to do.
    pub text: String,
}
