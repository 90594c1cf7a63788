//! Compares the alerts with those that were told.

use crate::Notifier;
use inventiv_core::alert::{Alert, AlertKind, alerts, is_unknown};
use inventiv_core::id::{DeliveryId, WebhookId};
use inventiv_core::time::Timestamp;
use inventiv_store::{AlertToOpen, Error, WebhookRow};
use inventiv_types::{Time, WebhookData, WebhookMessage};
use std::collections::{HashMap, HashSet};

/// An alert that begins again within this time after its end, in milliseconds, is not sent again.
const FLAPPING_MS: i64 = 15 * 60_000;
/// How many alerts of a kind that begin at once are sent. One more message counts the others.
const AT_ONCE: usize = 20;

impl Notifier {
    /// Opens new alerts, queues messages about them, and resolves those whose condition no longer holds.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn watch(&self) -> Result<(), Error> {
        let (store, now) = (&self.0.settings.store, self.now());
        let facts = store.alert_facts(now).await?;
        let current = alerts(&facts, now);
        let known = store.known_alerts(now.plus_ms(-FLAPPING_MS)).await?;
        let (open, ended): (Vec<_>, Vec<_>) = known.into_iter().partition(|row| row.resolved_at.is_none());
        let keys = |rows: &[inventiv_store::AlertRow]| -> HashSet<String> {
            rows.iter().map(|row| row.alert.key.clone()).collect()
        };
        let (is_open, has_ended) = (keys(&open), keys(&ended));
        let is_current: HashSet<&str> = current.iter().map(|alert| alert.key.as_str()).collect();
        show(&current);
        let new: Vec<&Alert> = current.iter().filter(|alert| !is_open.contains(&alert.key)).collect();
        if !new.is_empty() {
            self.open(&new, &has_ended, now).await?;
        }
        for row in open.iter().filter(|row| !is_current.contains(row.alert.key.as_str())) {
            if !is_unknown(&row.alert.key, &facts) {
                store.resolve_alert(&row.alert.key, now).await?;
            }
        }
        Ok(())
    }

    /// Opens new alerts. Every process sees them in the same order, and an alert is opened once, so that several processes together
    /// send no more messages than one. The message that counts the remaining alerts is queued with the first of them. After a
    /// crash, the next process opens and sends those that are left.
    async fn open(&self, new: &[&Alert], has_ended: &HashSet<String>, now: Timestamp) -> Result<(), Error> {
        let webhooks = self.0.settings.store.webhooks().await?;
        let is_sent = |alert: &&&Alert| !alert.is_implied && !has_ended.contains(&alert.key);
        let mut totals: HashMap<AlertKind, usize> = HashMap::new();
        new.iter().filter(is_sent).for_each(|alert| *totals.entry(alert.kind).or_default() += 1);
        let mut places: HashMap<AlertKind, usize> = HashMap::new();
        for alert in new {
            let mut message = None;
            if is_sent(&alert) {
                let place = places.entry(alert.kind).or_default();
                *place += 1;
                let others = totals.get(&alert.kind).map_or(0, |total| total.saturating_sub(AT_ONCE));
                message = match *place {
                    n if n <= AT_ONCE => Some(body(alert, alert.text.clone(), now)),
                    n if n == AT_ONCE + 1 => {
                        let text =
                            format!("{others} more alerts of this kind began at the same time: inventiv alert list");
                        Some(body(alert, text, now))
                    }
                    _ => None,
                };
            }
            let to = if message.is_some() { self.wanted_by(&webhooks, alert.kind) } else { Vec::new() };
            let to_open = AlertToOpen { alert: (*alert).clone(), body: message.unwrap_or_default(), to };
            if self.0.settings.store.open_alert(&to_open, now).await? && is_sent(&alert) {
                tracing::warn!(kind = %alert.kind, about = alert.about, "{}", alert.text);
            }
        }
        Ok(())
    }

    /// The webhooks that want a kind, each with the id of a message.
    fn wanted_by(&self, webhooks: &[WebhookRow], kind: AlertKind) -> Vec<(WebhookId, DeliveryId)> {
        let want = webhooks.iter().filter(|w| w.takes_all || w.kinds.contains(&kind));
        want.map(|w| (w.id.clone(), DeliveryId::new((self.0.settings.ids)()))).collect()
    }
}

fn body(alert: &Alert, text: String, now: Timestamp) -> String {
    let data = WebhookData { severity: alert.severity, about: alert.about.clone(), text };
    // A message is made of texts and numbers, and always serializes.
    serde_json::to_string(&WebhookMessage { kind: alert.kind, timestamp: Time(now), data }).unwrap_or_default()
}

/// Shows how many alerts of each kind there are.
fn show(current: &[Alert]) {
    for kind in AlertKind::ALL {
        let n = current.iter().filter(|a| a.kind == *kind && !a.is_implied).count();
        #[allow(clippy::cast_precision_loss, reason = "a count of alerts")]
        metrics::gauge!("inventiv_alerts", "kind" => kind.text()).set(n as f64);
    }
}
