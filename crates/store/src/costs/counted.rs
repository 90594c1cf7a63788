//! What the ledger counted for each resource, to compare it with the provider's bill.

use super::{AMOUNT, CostFilter, pieces, within};
use crate::Store;
use crate::args::Columns;
use crate::error::Error;
use inventiv_core::bill::{Counted, CountedAs};
use inventiv_core::ledger::{ChargeClass, ChargeKind};
use inventiv_core::time::Timestamp;
use std::sync::LazyLock;

/// How far around the period a resource is known, in milliseconds: clocks differ, and what ended shortly before the period may
/// be billed until after its beginning.
const KNOWN_MS: i64 = 86_400_000;

/// What a minute costs, in millionths, if it is rounded up to minutes.
const MINUTE: &str = "CASE WHEN kind = 'server' THEN hourly_nanos * quantity / 60000 ELSE 0 END";

/// What has no price, may exist, or ended or began shortly before or after the period, is known, too: with the amount 0 and
/// without a currency.
static ALL: LazyLock<&'static str> = LazyLock::new(|| {
    let pieces = pieces("charges");
    format!(
        "WITH RECURSIVE {pieces} SELECT resource_id, kind, class, currency, MAX(provider_id) AS provider_id, \
        MAX(instance_id) AS instance_id, CAST(SUM(micros) AS BIGINT) AS micros, \
        CAST(SUM(rounding) AS BIGINT) AS rounding, CAST(MAX(going_on) AS BIGINT) AS going_on FROM (\
        SELECT resource_id, kind, class, currency, COALESCE(provider_id, '') AS provider_id, instance_id, {AMOUNT} AS micros, \
        {MINUTE} AS rounding, 0 AS going_on FROM priced WHERE class <> 'unconfirmed' UNION ALL \
        SELECT resource_id, kind, class, '', COALESCE(provider_id, ''), instance_id, 0, 0, \
        CASE WHEN ends_at IS NULL THEN 1 ELSE 0 END FROM charges c \
        WHERE starts_at < CAST($7 AS BIGINT) AND (ends_at IS NULL OR ends_at > CAST($8 AS BIGINT)) \
        AND ($3 = '' OR c.account_id = $3)) AS t GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 DESC"
    )
    .leak()
});

impl Store {
    /// What was counted in a period, by resource, class and currency. Of one account; empty: of all.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn counted(&self, period: (Timestamp, Timestamp), account: &str) -> Result<Vec<Counted>, Error> {
        let filter = &CostFilter { account_id: account.to_owned(), ..CostFilter::default() };
        let mut a = within(period, filter);
        // A piece has at least some length.
        a.int((period.1.0 - period.0.0).max(1)).time(period.1.plus_ms(KNOWN_MS)).time(period.0.plus_ms(-KNOWN_MS));
        let rows = self.db.read(a.statement(&ALL)).await?;
        rows.iter().map(|r| counted(&Columns(r))).collect()
    }
}

fn counted(c: &Columns<'_>) -> Result<Counted, Error> {
    Ok(Counted {
        provider_id: c.text("provider_id")?,
        resource_id: c.text("resource_id")?,
        instance_id: c.text("instance_id")?,
        kind: c.word("kind", ChargeKind::parse)?,
        why: match c.word("class", ChargeClass::parse)? {
            ChargeClass::ThirdParty => CountedAs::ThirdParty,
            ChargeClass::Orphan if c.int("going_on")? > 0 => CountedAs::Orphan,
            ChargeClass::Orphan => CountedAs::OnceOrphan,
            ChargeClass::Used | ChargeClass::Retained | ChargeClass::Ending | ChargeClass::Unconfirmed => {
                CountedAs::Recorded
            }
        },
        micros: c.int("micros")?,
        rounding_micros: c.int("rounding")?,
        currency: c.text("currency")?,
    })
}
