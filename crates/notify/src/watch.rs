//! Compares the alerts with those that were told.

use crate::Notifier;
use inventiv_core::alert::{Alert, AlertKind, alerts};
use inventiv_core::id::DeliveryId;
use inventiv_core::time::Timestamp;
use inventiv_store::{AlertRow, AlertToOpen, Error, WebhookRow};
use inventiv_types::{Time, WebhookData, WebhookMessage};
use std::collections::HashMap;

/// An alert that begins again within this time after its end, in milliseconds, is not sent again.
const FLAPPING_MS: i64 = 15 * 60_000;
/// How many messages of a kind are sent at once. One more says that there are others.
const AT_ONCE: usize = 20;

impl Notifier {
    /// Opens new alerts, queues messages about them, and resolves those that are not the matter any more.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn watch(&self) -> Result<(), Error> {
        let (store, now) = (&self.0.settings.store, self.now());
        let current = alerts(&store.alert_facts(now).await?, now);
        let known = store.known_alerts(now.plus_ms(-FLAPPING_MS)).await?;
        let (open, ended): (Vec<_>, Vec<_>) = known.into_iter().partition(|row| row.resolved_at.is_none());
        show(&current);
        let is_open = |alert: &&Alert| open.iter().any(|row| row.key == alert.key);
        let new: Vec<&Alert> = current.iter().filter(|alert| !is_open(alert)).collect();
        if !new.is_empty() {
            self.open(&new, &ended, now).await?;
        }
        for row in open.iter().filter(|row| !current.iter().any(|alert| alert.key == row.key)) {
            store.resolve_alert(&row.key, now).await?;
        }
        Ok(())
    }

    async fn open(&self, new: &[&Alert], ended: &[AlertRow], now: Timestamp) -> Result<(), Error> {
        let webhooks = self.0.settings.store.webhooks().await?;
        let mut sent: HashMap<AlertKind, usize> = HashMap::new();
        let mut others: HashMap<AlertKind, usize> = HashMap::new();
        for alert in new {
            let flaps = ended.iter().any(|row| row.key == alert.key);
            let is_sent = !alert.is_implied && !flaps;
            let is_too_many = is_sent && sent.get(&alert.kind).is_some_and(|n| *n >= AT_ONCE);
            let to = if is_sent && !is_too_many { self.wanted_by(&webhooks, alert.kind) } else { Vec::new() };
            let opened = self.tell(alert, to, now).await?;
            if opened && is_sent {
                tracing::warn!(kind = %alert.kind, about = alert.about, "{}", alert.text);
                *if is_too_many { &mut others } else { &mut sent }.entry(alert.kind).or_default() += 1;
            }
        }
        for (kind, n) in others {
            let text = format!("{n} more alerts of this kind began at the same time: inventiv alert list");
            let summary = Alert {
                key: format!("{kind} and more at {now}"),
                kind,
                severity: inventiv_core::alert::Severity::Warning,
                about: kind.text().to_owned(),
                text,
                is_implied: false,
            };
            self.tell(&summary, self.wanted_by(&webhooks, kind), now).await?;
        }
        Ok(())
    }

    /// The webhooks that want a kind, each with the id of a message.
    fn wanted_by(&self, webhooks: &[WebhookRow], kind: AlertKind) -> Vec<(inventiv_core::id::WebhookId, DeliveryId)> {
        let want = webhooks.iter().filter(|w| w.kinds.is_empty() || w.kinds.contains(&kind));
        want.map(|w| (w.id.clone(), DeliveryId::new((self.0.settings.ids)()))).collect()
    }

    async fn tell(
        &self,
        alert: &Alert,
        to: Vec<(inventiv_core::id::WebhookId, DeliveryId)>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let data = WebhookData { severity: alert.severity, about: alert.about.clone(), text: alert.text.clone() };
        let message = WebhookMessage { kind: alert.kind, timestamp: Time(now), data };
        // A message is made of texts and numbers.
        let body = serde_json::to_string(&message).unwrap_or_default();
        let alert = AlertToOpen { key: alert.key.clone(), kind: alert.kind, body, to };
        self.0.settings.store.open_alert(&alert, now).await
    }
}

/// Shows how many alerts of each kind there are.
fn show(current: &[Alert]) {
    for kind in AlertKind::ALL {
        let n = current.iter().filter(|a| a.kind == *kind && !a.is_implied).count();
        #[allow(clippy::cast_precision_loss, reason = "a count of alerts")]
        metrics::gauge!("inventiv_alerts", "kind" => kind.text()).set(n as f64);
    }
}
