//! URLs that alerts are sent to. URL and signing secret are stored sealed.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::alert::AlertKind;
use inventiv_core::id::WebhookId;
use inventiv_core::time::Timestamp;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its id.
    pub id: WebhookId,
    /// Its name, unique.
    pub name: String,
    /// URL and signing secret, sealed.
    pub sealed: String,
    /// The part of the URL that may be shown.
    pub shown_url: String,
    /// The kinds of alerts that are sent, unless all are.
    pub kinds: Vec<AlertKind>,
    /// Whether all kinds are sent. One that is limited to kinds of another version has none here.
    pub takes_all: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

const ADD: &str =
    "INSERT INTO webhooks (id, name, sealed, shown_url, kinds, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
const RESEAL: &str = "UPDATE webhooks SET sealed = $1 WHERE id = $2 AND sealed = $3";
const DROP: &str = "DELETE FROM webhooks WHERE id = $1";
const DROP_DELIVERIES: &str = "DELETE FROM deliveries WHERE webhook_id = $1";

impl Store {
    /// Adds a webhook.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if there is one with that id or name, and when the database refuses.
    pub async fn add_webhook(&self, w: &WebhookRow) -> Result<(), Error> {
        let kinds = w.kinds.iter().fold(String::new(), |all, kind| format!("{all},{kind},"));
        let mut a = Args::new();
        a.text(w.id.as_str()).text(&w.name).text(&w.sealed).text(&w.shown_url).text(&kinds).time(w.created_at);
        self.db.write(vec![a.statement(ADD)]).await.map(drop)
    }

    /// All webhooks, oldest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn webhooks(&self) -> Result<Vec<WebhookRow>, Error> {
        let rows = self.db.read(Args::new().statement("SELECT * FROM webhooks ORDER BY id")).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// Replaces a sealed text by another one of the same value. `false`: the webhook has changed since it was read.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn reseal_webhook(&self, id: &WebhookId, from_sealed: &str, to_sealed: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(to_sealed).text(id.as_str()).text(from_sealed);
        Ok(self.db.write(vec![a.guarded(RESEAL)]).await? == Written::Done)
    }

    /// Deletes a webhook with its messages. `false`: there is none with this id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn delete_webhook(&self, id: &WebhookId) -> Result<bool, Error> {
        let (mut a, mut b) = (Args::new(), Args::new());
        a.text(id.as_str());
        b.text(id.as_str());
        Ok(self.db.write(vec![a.guarded(DROP), b.statement(DROP_DELIVERIES)]).await? == Written::Done)
    }
}

fn read(c: &Columns<'_>) -> Result<WebhookRow, Error> {
    let kinds = c.text("kinds")?;
    Ok(WebhookRow {
        id: c.word("id", WebhookId::parse)?,
        name: c.text("name")?,
        sealed: c.text("sealed")?,
        shown_url: c.text("shown_url")?,
        kinds: kinds.split(',').filter_map(AlertKind::parse).collect(),
        takes_all: kinds.is_empty(),
        created_at: c.time("created_at")?,
    })
}
