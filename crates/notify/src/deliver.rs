//! Sends messages: claims each, sends it, and records the outcome.
//!
//! A webhook gets one message at a time. One that does not answer holds up its own messages only.

use crate::Notifier;
use inventiv_core::id::WebhookId;
use inventiv_core::time::Timestamp;
use inventiv_keyring::webhook::Endpoint;
use inventiv_store::{Attempt, DueDelivery, Error, WebhookRow};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a process has a message for itself, in milliseconds. Longer than an attempt.
const CLAIMED_MS: i64 = 60_000;
/// How old a message may become before it is given up, in milliseconds: 17 hours.
const KEPT_MS: i64 = 17 * 3_600_000;
/// The pauses after each attempt, in seconds: together less than that.
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
pub(crate) struct Sending(HashMap<WebhookId, JoinHandle<usize>>);

impl Sending {
    /// Waits for what is in progress. Returns how many messages it was.
    pub(crate) async fn finish(self) -> usize {
        let mut sent = 0;
        for task in self.0.into_values() {
            sent += task.await.unwrap_or_default();
        }
        sent
    }
}

impl Notifier {
    /// Starts to send what is due to each webhook that gets nothing now.
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

    /// Sends what is due now, and waits for the outcome. Returns how many messages were sent.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn deliver(&self) -> Result<usize, Error> {
        let mut sending = Sending::default();
        self.start_deliveries(&mut sending).await?;
        Ok(sending.finish().await)
    }

    /// Sends what is due to a webhook, one message after the other, beginning with this one.
    async fn deliver_all(&self, first: DueDelivery) -> usize {
        let (mut next, mut sent) = (Some(first), 0);
        while let Some(due) = next.take() {
            let (id, webhook) = (due.id.clone(), due.webhook_id.clone());
            let done = async {
                let sent = self.deliver_one(due).await?;
                let due = self.0.settings.store.due_deliveries(self.now()).await?;
                // What another process has claimed is not due.
                Ok::<_, Error>((sent, due.into_iter().find(|d| sent && d.webhook_id == webhook)))
            };
            match done.await {
                Ok((did, more)) => (sent, next) = (sent + usize::from(did), more),
                Err(e) => {
                    tracing::error!(message = id, error = %e, "a message waits for the database; it is sent again")
                }
            }
        }
        sent
    }

    async fn deliver_one(&self, due: DueDelivery) -> Result<bool, Error> {
        let (store, now) = (&self.0.settings.store, self.now());
        let webhooks = store.webhooks().await?;
        let webhook = webhooks.into_iter().find(|w| w.id == due.webhook_id);
        if !store.claim_delivery(&due, now.plus_ms(CLAIMED_MS)).await? {
            return Ok(false);
        }
        let attempts = due.attempts.saturating_add(1);
        let outcome = self.attempt(&due, webhook, now).await;
        let now = self.now();
        let pause = usize::try_from(due.attempts).ok().and_then(|n| PAUSES_S.get(n));
        let pause = pause.filter(|s| now.plus_ms(**s * 1_000).ms_since(due.created_at) < KEPT_MS);
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

    async fn attempt(&self, due: &DueDelivery, to: Option<WebhookRow>, now: Timestamp) -> Outcome {
        let Some(row) = to else { return Outcome::Never("the webhook was deleted".to_owned()) };
        match Endpoint::open(&self.0.settings.keyring, row.id.as_str(), &row.sealed) {
            Ok(endpoint) => self.0.http.send(&endpoint, &due.id, due.body.clone(), now).await,
            Err(e) => Outcome::Later(e.to_string()),
        }
    }
}
