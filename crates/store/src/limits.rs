//! Limits, and what is used of them.

use crate::Store;
use crate::args::{Args, Columns};
use crate::costs::CostFilter;
use crate::error::Error;
use inventiv_core::calendar::{day_of, month_of};
use inventiv_core::ledger::ChargeClass;
use inventiv_core::limits::{InUse, Limits, OnLimit};
use inventiv_core::time::Timestamp;

/// How old the sums of what was spent may be, in milliseconds. What costs money since then is added at its rate.
const SUMS_MAX_AGE_MS: i64 = 30_000;

/// What was spent, as it was last summed up.
#[derive(Debug, Clone)]
pub(crate) struct Spent {
    at: Timestamp,
    currency: String,
    day_micros: i64,
    month_micros: i64,
}

const GET: &str = "SELECT * FROM limits WHERE id = 1";
const SET: &str = "INSERT INTO limits (id, instances, gpus, day_micros, month_micros, currency, on_limit, updated_at) \
    VALUES (1, $1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET instances = excluded.instances, \
    gpus = excluded.gpus, day_micros = excluded.day_micros, month_micros = excluded.month_micros, \
    currency = excluded.currency, on_limit = excluded.on_limit, updated_at = excluded.updated_at";
const LIVING: &str = concat!(
    "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(COALESCE(i.gpu_count, o.gpu_count, 0)), 0) AS BIGINT) AS gpus FROM instances i \
    LEFT JOIN offers o ON o.account_id = i.account_id AND o.zone = i.zone AND o.instance_type = i.instance_type WHERE ",
    living!()
);

impl Store {
    /// The limits.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn limits(&self) -> Result<Limits, Error> {
        let rows = self.db.read(Args::new().statement(GET)).await?;
        let Some(row) = rows.first() else { return Ok(Limits::default()) };
        let c = Columns(row);
        Ok(Limits {
            instances: c.opt_int("instances")?,
            gpus: c.opt_int("gpus")?,
            day_micros: c.opt_int("day_micros")?,
            month_micros: c.opt_int("month_micros")?,
            currency: c.text("currency")?,
            on_limit: c.word("on_limit", OnLimit::parse)?,
        })
    }

    /// Sets the limits.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_limits(&self, l: &Limits, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.opt_int(l.instances).opt_int(l.gpus).opt_int(l.day_micros).opt_int(l.month_micros);
        a.text(&l.currency).text(l.on_limit.text()).time(now);
        self.db.write(vec![a.statement(SET)]).await.map(|_| ())
    }

    /// What is used of the limits now. What was spent is read for limits on money alone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn in_use(&self, limits: &Limits, now: Timestamp) -> Result<InUse, Error> {
        let rows = self.db.read(Args::new().statement(LIVING)).await?;
        let mut used = InUse::default();
        if let Some(row) = rows.first() {
            (used.instances, used.gpus) = (Columns(row).int("n")?, Columns(row).int("gpus")?);
        }
        if limits.has_money() {
            let spent = self.spent(&limits.currency, now).await?;
            (used.day_micros, used.month_micros) = (spent.day_micros, spent.month_micros);
        }
        Ok(used)
    }

    /// The same, with sums over the past as they are now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn in_use_exactly(&self, limits: &Limits, now: Timestamp) -> Result<InUse, Error> {
        *self.spent.lock() = None;
        self.in_use(limits, now).await
    }

    /// What was spent today and this month in a currency. Sums over the past are made twice a minute at most.
    async fn spent(&self, currency: &str, now: Timestamp) -> Result<Spent, Error> {
        let known = self.spent.lock().clone();
        let is_new = |s: &Spent| {
            let is_young = (0..SUMS_MAX_AGE_MS).contains(&now.ms_since(s.at));
            is_young && day_of(s.at) == day_of(now) && s.currency == currency
        };
        if let Some(spent) = known.filter(is_new) {
            let rates = self.cost_rates("").await?;
            let of = rates.iter().filter(|r| r.currency == currency && is_certain(r.class));
            let hourly = of.fold(0_i64, |sum, r| sum.saturating_add(r.hourly_micros));
            let since = hourly.saturating_mul(now.ms_since(spent.at)) / 3_600_000;
            let (day, month) = (spent.day_micros.saturating_add(since), spent.month_micros.saturating_add(since));
            return Ok(Spent { at: now, day_micros: day, month_micros: month, ..spent });
        }
        let sum = async |from: Timestamp| {
            let rows = self.costs((from, now), None, &CostFilter::default()).await?;
            let of = rows.iter().filter(|r| r.currency == currency && is_certain(r.class));
            Ok::<_, Error>(of.fold(0_i64, |sum, r| sum.saturating_add(r.micros)))
        };
        let (day_micros, month_micros) = (sum(day_of(now)).await?, sum(month_of(now).0).await?);
        let spent = Spent { at: now, currency: currency.to_owned(), day_micros, month_micros };
        *self.spent.lock() = Some(spent.clone());
        Ok(spent)
    }
}

const fn is_certain(class: ChargeClass) -> bool {
    match class {
        ChargeClass::Used | ChargeClass::Retained | ChargeClass::Ending => true,
        ChargeClass::Unconfirmed | ChargeClass::ThirdParty => false,
    }
}
