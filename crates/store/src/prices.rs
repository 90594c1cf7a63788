//! The prices of an account over time.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::time::Timestamp;
use std::collections::HashMap;

/// How often it is recorded that a price is still the same, in milliseconds.
const CONFIRM_MS: i64 = 3_600_000;

/// A price as it was just read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrice {
    /// The zone.
    pub zone: String,
    /// What is priced, see [`inventiv_core::ledger`].
    pub sku: String,
    /// The price of one unit for an hour, in billionths of the currency.
    pub hourly_nanos: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Where the price is from, with a date if it is not the provider's own answer.
    pub source: String,
}

/// A price, and when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The account.
    pub account_id: String,
    /// The price.
    pub price: NewPrice,
    /// Since when; 1970: since ever.
    pub since: Timestamp,
    /// Until when; `None`: it is the price now.
    pub until: Option<Timestamp>,
    /// When it was last read.
    pub read_at: Timestamp,
}

const LIST: &str = "SELECT * FROM prices WHERE ($1 = '' OR account_id = $1) AND (until IS NULL OR $2 = 1) \
    ORDER BY account_id, zone, sku, since";
const ADD: &str = "INSERT INTO prices (account_id, zone, sku, since, hourly_nanos, currency, source, read_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account_id, zone, sku, since) DO NOTHING";
const END: &str = "UPDATE prices SET until = $1 WHERE account_id = $2 AND zone = $3 AND sku = $4 AND until IS NULL \
    AND since = $5";
const CONFIRM: &str = "UPDATE prices SET read_at = $1, source = $5 WHERE account_id = $2 AND zone = $3 AND sku = $4 \
    AND until IS NULL";
const CHARGED: &str = "SELECT DISTINCT zone, sku FROM charges WHERE account_id = $1 AND ends_at IS NULL";

impl Store {
    /// Prices; an empty account: of all. With `past`, those that no longer hold, too.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prices(&self, account: &str, past: bool) -> Result<Vec<Price>, Error> {
        let mut a = Args::new();
        a.text(account).flag(past);
        self.db.read(a.statement(LIST)).await?.iter().map(|r| read(&Columns(r))).collect()
    }

    /// Records prices. One that changed holds from now on; the first one of a name holds for the time before, too.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn record_prices(&self, account: &str, new: &[NewPrice], now: Timestamp) -> Result<(), Error> {
        let known = self.prices(account, false).await?;
        let known: HashMap<(&str, &str), &Price> =
            known.iter().map(|p| ((p.price.zone.as_str(), p.price.sku.as_str()), p)).collect();
        for price in new {
            let old = known.get(&(price.zone.as_str(), price.sku.as_str()));
            let mut statements = Vec::new();
            let mut a = Args::new();
            if let Some(old) = old {
                let is_same = (old.price.hourly_nanos, &old.price.currency) == (price.hourly_nanos, &price.currency);
                if is_same && old.price.source == price.source && now.ms_since(old.read_at) < CONFIRM_MS {
                    continue;
                }
                if is_same {
                    a.time(now).text(account).text(&price.zone).text(&price.sku).text(&price.source);
                    self.db.write(vec![a.statement(CONFIRM)]).await?;
                    continue;
                }
                a.time(now).text(account).text(&price.zone).text(&price.sku).time(old.since);
                statements.push(a.guarded(END));
            }
            let since = if old.is_some() { now } else { Timestamp(0) };
            a.text(account).text(&price.zone).text(&price.sku).time(since).int(price.hourly_nanos);
            a.text(&price.currency).text(&price.source).time(now);
            statements.push(a.statement(ADD));
            // If another replica was faster, it recorded the same.
            self.db.write(statements).await?;
        }
        Ok(())
    }

    /// The zone and the name of the price of everything in an account that costs money now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn charged_skus(&self, account: &str) -> Result<Vec<(String, String)>, Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(CHARGED)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("zone")?, Columns(r).text("sku")?))).collect()
    }
}

fn read(c: &Columns<'_>) -> Result<Price, Error> {
    Ok(Price {
        account_id: c.text("account_id")?,
        price: NewPrice {
            zone: c.text("zone")?,
            sku: c.text("sku")?,
            hourly_nanos: c.int("hourly_nanos")?,
            currency: c.text("currency")?,
            source: c.text("source")?,
        },
        since: c.time("since")?,
        until: c.opt_time("until")?,
        read_at: c.time("read_at")?,
    })
}
