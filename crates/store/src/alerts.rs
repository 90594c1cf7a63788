//! Alerts that were told, so that each is told once.

mod facts;

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::alert::{Alert, AlertKind, Severity};
use inventiv_core::id::{DeliveryId, WebhookId};
use inventiv_core::time::Timestamp;

/// An alert as it was last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// The alert.
    pub alert: Alert,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when; `None`: it is open.
    pub resolved_at: Option<Timestamp>,
}

/// An alert to open, and what is sent about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertToOpen {
    /// The alert.
    pub alert: Alert,
    /// What is sent.
    pub body: String,
    /// The webhooks that it is sent to, with the ids of the messages.
    pub to: Vec<(WebhookId, DeliveryId)>,
}

/// A resolved alert is opened again.
const OPEN: &str = "INSERT INTO alerts AS a (key, kind, severity, about, text, opened_at) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE \
    SET text = excluded.text, severity = excluded.severity, opened_at = excluded.opened_at, resolved_at = NULL WHERE a.resolved_at IS NOT NULL";
/// Nothing is queued for a webhook that was deleted meanwhile.
const QUEUE: &str = "INSERT INTO deliveries (id, webhook_id, kind, body, created_at, attempts, next_at) \
    SELECT $1, id, $2, $3, $4, 0, $5 FROM webhooks WHERE id = $6";
const RESOLVE: &str = "UPDATE alerts SET resolved_at = $1 WHERE key = $2 AND resolved_at IS NULL";
const KNOWN: &str = "SELECT * FROM alerts WHERE resolved_at IS NULL UNION ALL \
    SELECT * FROM alerts WHERE resolved_at IS NOT NULL AND resolved_at > $1";
const FORGET: &str = "DELETE FROM alerts WHERE resolved_at < $1";

impl Store {
    /// The alerts that are open, or were resolved after a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn known_alerts(&self, since: Timestamp) -> Result<Vec<AlertRow>, Error> {
        let mut a = Args::new();
        a.time(since);
        let rows = self.db.read(a.statement(KNOWN)).await?;
        let one = |c: Columns<'_>| {
            // Kinds of other versions are handled by these versions.
            let kinds = (AlertKind::parse(&c.text("kind")?), Severity::parse(&c.text("severity")?));
            let (Some(kind), Some(severity)) = kinds else { return Ok(None) };
            let (key, about, text) = (c.text("key")?, c.text("about")?, c.text("text")?);
            let alert = Alert { key, kind, severity, about, text, is_implied: false };
            Ok(Some(AlertRow { alert, opened_at: c.time("opened_at")?, resolved_at: c.opt_time("resolved_at")? }))
        };
        rows.iter().filter_map(|r| one(Columns(r)).transpose()).collect()
    }

    /// Opens an alert, and queues its messages, in one write. `false`: it is open already,
    /// and nothing is queued.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn open_alert(&self, new: &AlertToOpen, now: Timestamp) -> Result<bool, Error> {
        let alert = &new.alert;
        let mut a = Args::new();
        a.text(&alert.key).text(alert.kind.text()).text(alert.severity.text()).text(&alert.about).text(&alert.text);
        a.time(now);
        let mut statements = vec![a.guarded(OPEN)];
        for (webhook, id) in &new.to {
            let mut a = Args::new();
            a.text(id.as_str()).text(alert.kind.text()).text(&new.body).time(now).time(now).text(webhook.as_str());
            statements.push(a.statement(QUEUE));
        }
        Ok(self.db.write(statements).await? == Written::Done)
    }

    /// Resolves an alert.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn resolve_alert(&self, key: &str, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.time(now).text(key);
        self.db.write(vec![a.statement(RESOLVE)]).await.map(drop)
    }

    /// Deletes alerts that were resolved before a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_alerts(&self, before: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.time(before);
        self.db.write(vec![a.statement(FORGET)]).await.map(drop)
    }
}
