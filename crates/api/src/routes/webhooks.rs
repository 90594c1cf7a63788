//! `/webhooks`: URLs that alerts are sent to. URL and signing secret are stored sealed.

use crate::App;
use crate::extract::{Draft, Path};
use crate::idempotency::NewId;
use crate::problem::{ApiError, wrong_field};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::alert::{AlertKind, Severity};
use inventiv_core::id::{DeliveryId, WebhookId};
use inventiv_keyring::KeyError;
use inventiv_keyring::webhook::Endpoint;
use inventiv_store::{DeliveryRow, Error, WebhookRow};
use inventiv_types::{
    CreateWebhook, CreatedWebhook, Delivery, DeliveryStatus, FieldError, Page, SECRET_NAME_RULE, SecretValue, Time,
    Webhook, WebhookData, WebhookMessage, is_secret_name,
};
use url::Url;

/// How many webhooks there may be.
const WEBHOOKS_MAX: usize = 20;
/// The maximum length of a URL, in bytes.
const URL_MAX: usize = 2_000;
/// How many messages are listed.
const LISTED: u32 = 100;

fn view(row: &WebhookRow) -> Webhook {
    Webhook {
        id: row.id.to_string(),
        name: row.name.clone(),
        url: row.shown_url.clone(),
        kinds: row.kinds.clone(),
        created_at: Time(row.created_at),
    }
}

/// Create a webhook
///
/// From now on, alerts that begin are sent to the URL: POST requests with the body `WebhookMessage`, signed as the Standard
/// Webhooks specification says (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`). A response other than 2xx is
/// tried again up to nine times within 17 hours; 410 is not. A message may arrive twice, with the same `webhook-id`.
///
/// The response shows the signing secret, once.
#[utoipa::path(post, operation_id = "createWebhook", path = "/webhooks", request_body = CreateWebhook, tag = "alerts",
    responses((status = 201, description = "The webhook was created", body = CreatedWebhook)))]
pub(crate) async fn create(
    State(app): State<App>,
    new_id: NewId,
    Draft { read: new, mut errors }: Draft<CreateWebhook>,
) -> Result<impl IntoResponse, ApiError> {
    let shown_url = check(&new, &mut errors);
    let (Some(shown_url), true) = (shown_url, errors.is_empty()) else { return Err(ApiError::all(errors)) };
    let id = WebhookId::new(new_id.bits);
    let existing = app.store().webhooks().await?;
    let endpoint = Endpoint::generate(new.url.expose()).map_err(|e| cannot_seal(&e))?;
    let sealed = endpoint.seal(app.keyring(), id.as_str()).map_err(|e| cannot_seal(&e))?;
    let mut kinds = new.kinds.unwrap_or_default();
    kinds.sort_unstable();
    kinds.dedup();
    let takes_all = kinds.is_empty();
    let row = WebhookRow { id, name: new.name, sealed, shown_url, kinds, takes_all, created_at: app.now() };
    // The same request was carried out before, and its response, with another secret, was lost.
    match existing.iter().find(|w| w.id == row.id) {
        Some(old) => {
            if !app.store().reseal_webhook(&row.id, &old.sealed, &row.sealed).await? {
                return Err(ApiError::conflict("changed", "the webhook was changed meanwhile; send the request again"));
            }
        }
        None if existing.len() >= WEBHOOKS_MAX => {
            let text = format!("there are {WEBHOOKS_MAX} webhooks, and there may not be more; delete one first");
            return Err(ApiError::conflict("too_many", text));
        }
        None => match app.store().add_webhook(&row).await {
            Err(Error::Duplicate(_)) => {
                let text =
                    format!("there is a webhook with the name `{}`; choose another name, or delete it first", row.name);
                return Err(ApiError::conflict("name_taken", text));
            }
            written => written?,
        },
    }
    let created = CreatedWebhook { webhook: view(&row), secret: SecretValue::new(endpoint.secret.to_string()) };
    // No cache may keep the secret.
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], axum::Json(created)))
}

/// The part of the URL that may be shown; `None`: something is wrong.
fn check(new: &CreateWebhook, errors: &mut Vec<FieldError>) -> Option<String> {
    if !is_secret_name(&new.name) {
        errors.push(wrong_field("name", SECRET_NAME_RULE));
    }
    if new.kinds.as_ref().is_some_and(|kinds| kinds.contains(&AlertKind::Test)) {
        errors.push(wrong_field("kinds", "must be kinds of alerts: every webhook takes tests"));
    }
    let shown = shown_url(new.url.expose());
    if shown.is_none() {
        let text = format!("must be an http or https URL of at most {URL_MAX} bytes, such as https://example.com/hook");
        errors.push(wrong_field("url", text));
    }
    shown
}

/// Scheme, host and port of a URL: the rest may contain a secret.
fn shown_url(url: &str) -> Option<String> {
    // As what sends reads it.
    let read = Url::parse(url).ok().filter(|_| url.len() <= URL_MAX)?;
    let scheme = Some(read.scheme()).filter(|s| matches!(*s, "http" | "https"))?;
    let host = read.host_str()?;
    Some(read.port().map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}")))
}

fn cannot_seal(e: &KeyError) -> ApiError {
    tracing::error!(error = %e, "a webhook cannot be sealed");
    ApiError::new(500, "internal", "the webhook cannot be sealed; the control plane's log says why")
}

/// List webhooks
#[utoipa::path(get, operation_id = "listWebhooks", path = "/webhooks", tag = "alerts",
    responses((status = 200, description = "All webhooks, oldest first", body = Page<Webhook>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<Webhook>>, ApiError> {
    let items = app.store().webhooks().await?.iter().map(view).collect();
    Ok(axum::Json(Page { items, next: None }))
}

/// Delete a webhook
///
/// Nothing more is sent to it, and its messages are deleted.
#[utoipa::path(delete, operation_id = "deleteWebhook", path = "/webhooks/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The id or name of the webhook")),
    responses((status = 204, description = "The webhook was deleted")))]
pub(crate) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let row = find(&app, &id).await?;
    app.store().delete_webhook(&row.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook
///
/// Queues a message of the type `test`. It is sent within some seconds; `GET /webhooks/{id}/deliveries` shows what became of it.
#[utoipa::path(post, operation_id = "testWebhook", path = "/webhooks/{id}/test", tag = "alerts",
    params(("id" = String, Path, description = "The id or name of the webhook")),
    responses((status = 202, description = "The message was queued", body = Delivery)))]
pub(crate) async fn test(
    State(app): State<App>,
    new_id: NewId,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let (row, now) = (find(&app, &id).await?, app.now());
    let text = format!("this message tests the webhook {}", row.name);
    let data = WebhookData { severity: Severity::Info, about: row.name, text };
    let message = WebhookMessage { kind: AlertKind::Test, timestamp: Time(now), data };
    let body = serde_json::to_string(&message).unwrap_or_default();
    let id = DeliveryId::new(new_id.bits);
    match app.store().add_delivery(&id, &row.id, AlertKind::Test, &body, now).await {
        Err(Error::Duplicate(_)) if new_id.is_repeated() => {}
        written => written?,
    }
    let queued = DeliveryRow {
        id: id.to_string(),
        webhook_id: row.id,
        kind: AlertKind::Test,
        body,
        created_at: now,
        attempts: 0,
        next_at: Some(now),
        delivered_at: None,
        error: None,
    };
    Ok((StatusCode::ACCEPTED, axum::Json(delivery(&queued))))
}

/// List the messages to a webhook
///
/// Messages are kept for seven days after their end.
#[utoipa::path(get, operation_id = "listDeliveries", path = "/webhooks/{id}/deliveries", tag = "alerts",
    params(("id" = String, Path, description = "The id or name of the webhook")),
    responses((status = 200, description = "The last 100 messages, newest first", body = Page<Delivery>)))]
pub(crate) async fn deliveries(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<Page<Delivery>>, ApiError> {
    let row = find(&app, &id).await?;
    let items = app.store().last_deliveries(&row.id, LISTED).await?.iter().map(delivery).collect();
    Ok(axum::Json(Page { items, next: None }))
}

fn delivery(row: &DeliveryRow) -> Delivery {
    let status = match (row.delivered_at, row.next_at) {
        (Some(_), _) => DeliveryStatus::Delivered,
        (None, Some(_)) => DeliveryStatus::Pending,
        (None, None) => DeliveryStatus::GivenUp,
    };
    Delivery {
        id: row.id.clone(),
        kind: row.kind,
        status,
        attempts: row.attempts,
        created_at: Time(row.created_at),
        next_at: row.next_at.map(Time),
        delivered_at: row.delivered_at.map(Time),
        error: row.error.clone(),
    }
}

async fn find(app: &App, id_or_name: &str) -> Result<WebhookRow, ApiError> {
    let rows = app.store().webhooks().await?;
    let found = rows.into_iter().find(|w| w.id.as_str() == id_or_name || w.name == id_or_name);
    found.ok_or_else(|| ApiError::not_found("webhook", id_or_name))
}
