//! What costs money now.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::ledger::ChargeClass;

const RATES: &str = "SELECT class, kind, currency, CAST(SUM((hourly_nanos * quantity + 500) / 1000) AS BIGINT) AS micros, \
    COUNT(*) AS n FROM charges c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku \
    AND p.until IS NULL WHERE ends_at IS NULL AND ($1 = '' OR c.account_id = $1) GROUP BY class, kind, currency \
    ORDER BY class, kind, currency";

/// What costs money now, per hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRate {
    /// Why it is charged.
    pub class: ChargeClass,
    /// Server, volume or address.
    pub kind: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency per hour.
    pub hourly_micros: i64,
    /// How many resources.
    pub resources: i64,
}

impl Store {
    /// What costs money now, per hour; an empty account: in all.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn cost_rates(&self, account: &str) -> Result<Vec<CostRate>, Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(RATES)).await?;
        let row = |c: Columns<'_>| {
            Ok(CostRate {
                class: c.word("class", ChargeClass::parse)?,
                kind: c.text("kind")?,
                currency: c.text("currency")?,
                hourly_micros: c.int("micros")?,
                resources: c.int("n")?,
            })
        };
        rows.iter().map(|r| row(Columns(r))).collect()
    }
}
