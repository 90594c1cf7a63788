//! The pieces of the ledger one by one, for exports.

use super::{AMOUNT, CostFilter, pieces, within};
use crate::Store;
use crate::args::Columns;
use crate::error::Error;
use inventiv_core::calendar::DAY_US;
use inventiv_core::ledger::{ChargeClass, ChargeKind};
use inventiv_core::time::Timestamp;
use std::sync::LazyLock;

/// What a resource cost on a day at one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargePiece {
    /// The server or volume, by its id in the records.
    pub resource_id: String,
    /// The cloud's id, as far as it is known.
    pub provider_id: Option<String>,
    /// Its kind.
    pub kind: ChargeKind,
    /// Why it was charged.
    pub class: ChargeClass,
    /// What it was priced by.
    pub sku: String,
    /// How many units: GB (10^9 bytes) of a volume, otherwise a count.
    pub quantity: i64,
    /// The account.
    pub account_id: String,
    /// The zone.
    pub zone: String,
    /// The instance.
    pub instance_id: String,
    /// Its service.
    pub service_id: Option<String>,
    /// Its model.
    pub model_id: Option<String>,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// The price of a unit per hour, in billionths of the currency.
    pub hourly_nanos: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The amount, in millionths of the currency.
    pub micros: i64,
}

static ALL: LazyLock<&'static str> = LazyLock::new(|| {
    let pieces = pieces("charges");
    format!(
        "WITH RECURSIVE {pieces} SELECT *, CAST({AMOUNT} AS BIGINT) AS micros FROM priced \
        WHERE class NOT IN ('unconfirmed', 'third_party') ORDER BY from_us, resource_id, kind LIMIT $7"
    )
    .leak()
});

impl Store {
    /// What was charged for certain in a period, by resource, day (UTC) and price, in the order of time. At most `limit` pieces.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn charge_pieces(
        &self,
        period: (Timestamp, Timestamp),
        filter: &CostFilter,
        limit: i64,
    ) -> Result<Vec<ChargePiece>, Error> {
        let mut a = within(period, filter);
        a.int(DAY_US).int(limit);
        let rows = self.db.read(a.statement(&ALL)).await?;
        rows.iter().map(|r| piece(&Columns(r))).collect()
    }
}

fn piece(c: &Columns<'_>) -> Result<ChargePiece, Error> {
    Ok(ChargePiece {
        resource_id: c.text("resource_id")?,
        provider_id: c.opt_text("provider_id")?,
        kind: c.word("kind", ChargeKind::parse)?,
        class: c.word("class", ChargeClass::parse)?,
        sku: c.text("sku")?,
        quantity: c.int("quantity")?,
        account_id: c.text("account_id")?,
        zone: c.text("zone")?,
        instance_id: c.text("instance_id")?,
        service_id: c.opt_text("service_id")?,
        model_id: c.opt_text("model_id")?,
        from: c.time("from_us")?,
        to: c.time("to_us")?,
        hourly_nanos: c.int("hourly_nanos")?,
        currency: c.text("currency")?,
        micros: c.int("micros")?,
    })
}
