//! Offers by zone, and when each zone's catalogue was read.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::offer::Offer;
use inventiv_core::time::Timestamp;

/// One zone's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// The zone.
    pub zone: String,
    /// When it was last read; `None`: never.
    pub refreshed_at: Option<Timestamp>,
    /// Why the last read failed.
    pub error: Option<String>,
}

const DROP: &str = "DELETE FROM offers WHERE account_id = $1 AND zone = $2";
const ADD: &str = "INSERT INTO offers (account_id, zone, instance_type, gpu_count, hourly_micros, currency, \
    availability, offer_json, refreshed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const MARK: &str = "INSERT INTO catalogues (account_id, zone, refreshed_at, error) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (account_id, zone) DO UPDATE SET \
    refreshed_at = COALESCE(excluded.refreshed_at, catalogues.refreshed_at), error = excluded.error";
const EXPECT: &str =
    "INSERT INTO catalogues (account_id, zone) VALUES ($1, $2) ON CONFLICT (account_id, zone) DO NOTHING";
const FORGET: &str = "DELETE FROM catalogues WHERE account_id = $1 AND zone = $2";
const LIST: &str = "SELECT offer_json FROM offers WHERE account_id = $1 AND ($2 IS NULL OR zone = $2) \
    ORDER BY zone, gpu_count, hourly_micros, instance_type";
const ONE: &str = "SELECT offer_json FROM offers WHERE account_id = $1 AND zone = $2 AND instance_type = $3";
const ZONES: &str = "SELECT zone, refreshed_at, error FROM catalogues WHERE account_id = $1 ORDER BY zone";

impl Store {
    /// Records the zones to work in: exactly these. Their catalogues are read later.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn expect_catalogues(&self, account: &str, zones: &[String]) -> Result<(), Error> {
        let known = self.catalogues(account).await?;
        let mut statements = Vec::new();
        for old in known.iter().filter(|c| !zones.contains(&c.zone)) {
            for sql in [FORGET, DROP] {
                let mut a = Args::new();
                a.text(account).text(&old.zone);
                statements.push(a.statement(sql));
            }
        }
        for zone in zones {
            let mut a = Args::new();
            a.text(account).text(zone);
            statements.push(a.statement(EXPECT));
        }
        self.db.write(statements).await.map(|_| ())
    }

    /// Replaces a zone's offers.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn replace_offers(
        &self,
        account: &str,
        zone: &str,
        offers: &[Offer],
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        let mut statements = vec![a.statement(DROP)];
        for o in offers {
            let mut a = Args::new();
            a.text(account).text(zone).text(&o.instance_type).int(o.gpu_count).int(o.price.micros);
            let word = serde_json::to_value(o.availability).ok();
            a.text(&o.price.currency).text(word.as_ref().and_then(|v| v.as_str()).unwrap_or("unknown"));
            a.json(o).time(now);
            statements.push(a.statement(ADD));
        }
        let mut a = Args::new();
        a.text(account).text(zone).time(now).opt_text(None);
        statements.push(a.statement(MARK));
        self.db.write(statements).await.map(|_| ())
    }

    /// Records that a zone's catalogue could not be read; its offers stay unchanged.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn mark_catalogue_error(&self, account: &str, zone: &str, error: &str) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).text(zone).opt_time(None).opt_text(Some(error));
        self.db.write(vec![a.statement(MARK)]).await.map(|_| ())
    }

    /// Offers, by zone and price.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn offers(&self, account: &str, zone: Option<&str>) -> Result<Vec<Offer>, Error> {
        let mut a = Args::new();
        a.text(account).opt_text(zone);
        self.db.read(a.statement(LIST)).await?.iter().map(|r| Columns(r).json("offer_json")).collect()
    }

    /// One offer.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn offer(&self, account: &str, zone: &str, instance_type: &str) -> Result<Option<Offer>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone).text(instance_type);
        let rows = self.db.read(a.statement(ONE)).await?;
        rows.first().map(|r| Columns(r).json("offer_json")).transpose()
    }

    /// The state of each zone's catalogue.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn catalogues(&self, account: &str) -> Result<Vec<Catalogue>, Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(ZONES)).await?;
        let one = |r| {
            let c = Columns(r);
            Ok(Catalogue {
                zone: c.text("zone")?,
                refreshed_at: c.opt_time("refreshed_at")?,
                error: c.opt_text("error")?,
            })
        };
        rows.iter().map(one).collect()
    }
}
