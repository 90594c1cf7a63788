//! Sends messages: claims each, sends it, and records the outcome.
//!
//! A webhook gets one message at a time. One that does not answer holds up its own messages only.

use crate::Notifier;
use inventiv_core::id::WebhookId;
use inventiv_core::time::Timestamp;
use inventiv_keyring::webhook::Endpoint;
use inventiv_store::{Attempt, DeliveryRow, Error};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a process has a message for itself, in milliseconds. Longer than an attempt.
const CLAIMED_MS: i64 = 60_000;
/// The pauses after each attempt, in seconds: together two thirds of a day.
const PAUSES_S: [i64; 9] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800];

/// The HTTP clients.
pub(crate) struct Http {
    any: reqwest::Client,
    /// Without a proxy.
    local: reqwest::Client,
}

impl Http {
    pub(crate) fn new() -> Result<Self, String> {
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .retry(reqwest::retry::never())
                .redirect(reqwest::redirect::Policy::none())
                .timeout(TIMEOUT)
        };
        let failed = |e: reqwest::Error| format!("cannot prepare to send webhooks: {e}");
        Ok(Self { any: builder().build().map_err(failed)?, local: builder().no_proxy().build().map_err(failed)? })
    }

    /// Sends a message once.
    async fn send(&self, to: &Endpoint, id: &str, body: String, now: Timestamp) -> Outcome {
        let sent_at_s = now.0.div_euclid(1_000_000);
        let url = reqwest::Url::parse(&to.url);
        let Ok(url) = url else { return Outcome::Never("its URL cannot be read".to_owned()) };
        let is_local = url.host_str().is_some_and(|host| {
            let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
        });
        let client = if is_local { &self.local } else { &self.any };
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("inventiv/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", sent_at_s.to_string())
            .header("webhook-signature", to.sign(id, sent_at_s, &body))
            .body(body);
        match request.send().await.map(|response| response.status()) {
            Ok(status) if status.is_success() => Outcome::Accepted,
            Ok(reqwest::StatusCode::GONE) => {
                Outcome::Never("the receiver answered 410: it wants no messages".to_owned())
            }
            Ok(status) => Outcome::Later(format!("the receiver answered {status}")),
            // The URL may contain a secret.
            Err(e) => Outcome::Later(chain(&e.without_url())),
        }
    }
}

enum Outcome {
    Accepted,
    Later(String),
    Never(String),
}

/// An error with its causes.
fn chain(e: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(e), |e| e.source());
    causes.fold(e.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Messages in progress, by their webhook.
#[derive(Default)]
pub(crate) struct Sending(HashMap<WebhookId, JoinHandle<()>>);

impl Sending {
    /// Waits for what is in progress.
    pub(crate) async fn finish(self) {
        for task in self.0.into_values() {
            let _ = task.await;
        }
    }
}

impl Notifier {
    /// Starts to send the first due message of each webhook that gets none now.
    pub(crate) async fn start_deliveries(&self, sending: &mut Sending) -> Result<(), Error> {
        sending.0.retain(|_, task| !task.is_finished());
        for due in self.0.settings.store.due_deliveries(self.now()).await? {
            if !sending.0.contains_key(&due.webhook_id) {
                let (notifier, webhook) = (self.clone(), due.webhook_id.clone());
                let task = tokio::spawn(async move { notifier.deliver_all(due).await });
                sending.0.insert(webhook, task);
            }
        }
        Ok(())
    }

    /// Sends what is due now, one message for each webhook, and waits for the outcome. Returns how many were sent.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn deliver(&self) -> Result<usize, Error> {
        let mut sent = 0;
        for due in self.0.settings.store.due_deliveries(self.now()).await? {
            sent += usize::from(self.deliver_one(due).await?);
        }
        Ok(sent)
    }

    async fn deliver_all(&self, due: DeliveryRow) {
        let id = due.id.clone();
        if let Err(e) = self.deliver_one(due).await {
            tracing::error!(message = id, error = %e, "the outcome of a message was not recorded; it is sent again");
        }
    }

    async fn deliver_one(&self, due: DeliveryRow) -> Result<bool, Error> {
        let (store, now) = (&self.0.settings.store, self.now());
        if !store.claim_delivery(&due, now.plus_ms(CLAIMED_MS)).await? {
            return Ok(false);
        }
        let attempts = due.attempts.saturating_add(1);
        let outcome = self.attempt(&due, now).await?;
        let now = self.now();
        let pause = usize::try_from(due.attempts).ok().and_then(|n| PAUSES_S.get(n));
        let outcome = match outcome {
            Outcome::Accepted => Attempt::Accepted,
            Outcome::Later(error) => Attempt::Refused { error, again_at: pause.map(|s| now.plus_ms(s * 1_000)) },
            Outcome::Never(error) => Attempt::Refused { error, again_at: None },
        };
        let result = match &outcome {
            Attempt::Accepted => "accepted",
            Attempt::Refused { error, again_at } => {
                let (webhook, is_last) = (due.webhook_id.as_str(), again_at.is_none());
                tracing::warn!(message = due.id, webhook, attempts, is_last, "a webhook was not accepted: {error}");
                if is_last { "given_up" } else { "refused" }
            }
        };
        metrics::counter!("inventiv_webhook_attempts_total", "result" => result).increment(1);
        store.finish_delivery(&due.id, attempts, &outcome, now).await?;
        Ok(true)
    }

    async fn attempt(&self, due: &DeliveryRow, now: Timestamp) -> Result<Outcome, Error> {
        let settings = &self.0.settings;
        let rows = settings.store.webhooks().await?;
        let Some(row) = rows.into_iter().find(|w| w.id == due.webhook_id) else {
            return Ok(Outcome::Never("the webhook was deleted".to_owned()));
        };
        match Endpoint::open(&settings.keyring, row.id.as_str(), &row.sealed) {
            Ok(endpoint) => Ok(self.0.http.send(&endpoint, &due.id, due.body.clone(), now).await),
            Err(e) => Ok(Outcome::Later(e.to_string())),
        }
    }
}
