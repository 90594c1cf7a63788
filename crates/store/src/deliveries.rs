//! Messages to webhooks: queued, claimed by one process at a time, and accepted or given up.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::alert::AlertKind;
use inventiv_core::id::{DeliveryId, WebhookId};
use inventiv_core::time::Timestamp;

/// A message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id, the same at each attempt.
    pub id: String,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// What it is about.
    pub kind: AlertKind,
    /// What is sent.
    pub body: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// How often it was sent, including the attempt in progress.
    pub attempts: i64,
    /// When it is sent next; `None`: not any more.
    pub next_at: Option<Timestamp>,
    /// When it was accepted.
    pub delivered_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// A message that is due. It is sent whatever it is about, also if that is known to another version only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its id, the same at each attempt.
    pub id: String,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// What is sent.
    pub body: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// How often it was sent.
    pub attempts: i64,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The message was accepted.
    Accepted,
    /// It was not, and is sent again at that time; `None`: it is given up.
    Refused {
        /// Why.
        error: String,
        /// When it is sent again.
        again_at: Option<Timestamp>,
    },
}

const ADD: &str = "INSERT INTO deliveries (id, webhook_id, kind, body, created_at, attempts, next_at) \
    VALUES ($1, $2, $3, $4, $5, 0, $5)";
/// The first due message of each webhook: a receiver that does not answer holds up its own messages only. New messages come
/// before those that were refused.
const DUE: &str = "SELECT * FROM deliveries WHERE id IN (SELECT id FROM (SELECT id, \
    ROW_NUMBER() OVER (PARTITION BY webhook_id ORDER BY attempts, next_at, id) AS place \
    FROM deliveries WHERE next_at IS NOT NULL AND next_at <= $1) AS due WHERE place = 1)";
const CLAIM: &str = "UPDATE deliveries SET attempts = attempts + 1, next_at = $1 WHERE id = $2 AND attempts = $3 \
    AND next_at IS NOT NULL";
const FINISH: &str = "UPDATE deliveries SET next_at = $1, delivered_at = $2, ended_at = $3, error = $4 \
    WHERE id = $5 AND attempts = $6 AND ended_at IS NULL";
const LAST: &str = "SELECT * FROM deliveries WHERE webhook_id = $1 ORDER BY id DESC LIMIT $2";
const FORGET: &str = "DELETE FROM deliveries WHERE ended_at < $1";

impl Store {
    /// Queues a message to one webhook.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if it was queued before, and when the database refuses.
    pub async fn add_delivery(
        &self,
        id: &DeliveryId,
        to: &WebhookId,
        kind: AlertKind,
        body: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(id.as_str()).text(to.as_str()).text(kind.text()).text(body).time(now);
        self.db.write(vec![a.statement(ADD)]).await.map(drop)
    }

    /// The first message of each webhook that is due.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn due_deliveries(&self, now: Timestamp) -> Result<Vec<DueDelivery>, Error> {
        let mut a = Args::new();
        a.time(now);
        let rows = self.db.read(a.statement(DUE)).await?;
        let due = |c: Columns<'_>| {
            Ok(DueDelivery {
                id: c.text("id")?,
                webhook_id: c.word("webhook_id", WebhookId::parse)?,
                body: c.text("body")?,
                created_at: c.time("created_at")?,
                attempts: c.int("attempts")?,
            })
        };
        rows.iter().map(|r| due(Columns(r))).collect()
    }

    /// Claims a message for one attempt, until a time. `false`: another process has claimed it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn claim_delivery(&self, d: &DueDelivery, until: Timestamp) -> Result<bool, Error> {
        let mut a = Args::new();
        a.time(until).text(&d.id).int(d.attempts);
        Ok(self.db.write(vec![a.guarded(CLAIM)]).await? == Written::Done)
    }

    /// Records the outcome of an attempt. `attempts` includes it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn finish_delivery(
        &self,
        id: &str,
        attempts: i64,
        outcome: &Attempt,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut a = Args::new();
        match outcome {
            Attempt::Accepted => a.opt_time(None).time(now).time(now).opt_text(None),
            Attempt::Refused { error, again_at } => {
                a.opt_time(*again_at).opt_time(None).opt_time(again_at.is_none().then_some(now)).text(error)
            }
        };
        a.text(id).int(attempts);
        self.db.write(vec![a.statement(FINISH)]).await.map(drop)
    }

    /// The last messages of a webhook, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn last_deliveries(&self, of: &WebhookId, limit: u32) -> Result<Vec<DeliveryRow>, Error> {
        let mut a = Args::new();
        a.text(of.as_str()).int(i64::from(limit));
        let rows = self.db.read(a.statement(LAST)).await?;
        rows.iter().filter_map(|r| read(&Columns(r)).transpose()).collect()
    }

    /// Deletes messages that ended before a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_deliveries(&self, before: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.time(before);
        self.db.write(vec![a.statement(FORGET)]).await.map(drop)
    }
}

/// `None`: its kind is of another version.
fn read(c: &Columns<'_>) -> Result<Option<DeliveryRow>, Error> {
    let Some(kind) = AlertKind::parse(&c.text("kind")?) else { return Ok(None) };
    Ok(Some(DeliveryRow {
        id: c.text("id")?,
        webhook_id: c.word("webhook_id", WebhookId::parse)?,
        kind,
        body: c.text("body")?,
        created_at: c.time("created_at")?,
        attempts: c.int("attempts")?,
        next_at: c.opt_time("next_at")?,
        delivered_at: c.opt_time("delivered_at")?,
        error: c.opt_text("error")?,
    }))
}
