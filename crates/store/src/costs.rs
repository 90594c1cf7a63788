//! Sums of the ledger.
//!
//! A row of the ledger is cut at the borders of the period, of the days, and of the times at which its price changed. Each
//! piece is rounded once, half up, to a millionth of the currency.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use crate::usage::UsageKey;
use inventiv_core::calendar::DAY_US;
use inventiv_core::ledger::ChargeClass;
use inventiv_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What sums are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostGroup {
    /// One sum.
    None,
    /// The instance.
    Instance,
    /// The service; empty: instances that belong to none.
    Service,
    /// The model; empty: none.
    Model,
    /// The zone.
    Zone,
    /// What is priced: a server type, or a kind of storage.
    Sku,
    /// Server, volume or address.
    Kind,
    /// Why it is charged.
    Class,
    /// The server or volume.
    Resource,
    /// The day (UTC), as microseconds since 1970.
    Day,
}

impl CostGroup {
    const ALL: [Self; 10] = [
        Self::None,
        Self::Instance,
        Self::Service,
        Self::Model,
        Self::Zone,
        Self::Sku,
        Self::Kind,
        Self::Class,
        Self::Resource,
        Self::Day,
    ];

    const fn column(self) -> &'static str {
        match self {
            Self::None => "''",
            Self::Instance => "instance_id",
            Self::Service => "COALESCE(service_id, '')",
            Self::Model => "COALESCE(model_id, '')",
            Self::Zone => "zone",
            Self::Sku => "sku",
            Self::Kind => "kind",
            Self::Class => "class",
            Self::Resource => "resource_id",
            Self::Day => "CAST(day AS TEXT)",
        }
    }
}

/// Which rows of the ledger to sum.
#[derive(Debug, Clone, Default)]
pub struct CostFilter {
    /// Only of this account; empty: of all.
    pub account_id: String,
    /// Only of this instance; empty: of all.
    pub instance_id: String,
    /// Only of this service; empty: of all.
    pub service_id: String,
}

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// The value of what it is grouped by.
    pub key: String,
    /// Why it is charged.
    pub class: ChargeClass,
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency.
    pub micros: i64,
    /// How long the resources were charged, added up, in seconds.
    pub seconds: i64,
}

/// Resources whose price is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpriced {
    /// The zone.
    pub zone: String,
    /// The name of the price.
    pub sku: String,
    /// How many resources.
    pub resources: i64,
}

/// The rows of the ledger within a period: `$1` to `$2`; of an account `$3`, an instance `$4`, a service `$5`.
const WITHIN: &str = "starts_at < CAST($2 AS BIGINT) AND (ends_at IS NULL OR ends_at > CAST($1 AS BIGINT)) \
    AND ($3 = '' OR c.account_id = $3) AND ($4 = '' OR instance_id = $4) AND ($5 = '' OR service_id = $5)";

/// `$6`: the length of a piece of the period.
static SUMS: LazyLock<HashMap<CostGroup, &'static str>> = LazyLock::new(|| {
    let of = |group: CostGroup| {
        let column = group.column();
        let text: &'static str = format!(
            "WITH RECURSIVE days (day) AS (SELECT CAST($1 AS BIGINT) UNION ALL \
                SELECT day + CAST($6 AS BIGINT) FROM days WHERE day + CAST($6 AS BIGINT) < CAST($2 AS BIGINT)), \
            bounds AS (SELECT day, CASE WHEN day + CAST($6 AS BIGINT) < CAST($2 AS BIGINT) THEN day + CAST($6 AS BIGINT) \
                ELSE CAST($2 AS BIGINT) END AS day_end FROM days), \
            cut AS (SELECT c.*, b.day, CASE WHEN starts_at > b.day THEN starts_at ELSE b.day END AS lo, \
                CASE WHEN ends_at IS NULL OR ends_at > b.day_end THEN b.day_end ELSE ends_at END AS hi \
                FROM charges c JOIN bounds b ON starts_at < b.day_end AND (ends_at IS NULL OR ends_at > b.day) \
                WHERE {WITHIN}), \
            priced AS (SELECT c.*, p.hourly_nanos, p.currency, CASE WHEN p.since > lo THEN p.since ELSE lo END AS from_us, \
                CASE WHEN p.until IS NULL OR p.until > hi THEN hi ELSE p.until END AS to_us \
                FROM cut c JOIN prices p ON p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku \
                AND p.since < hi AND (p.until IS NULL OR p.until > lo) AND hi > lo) \
            SELECT {column} AS label, class, currency, \
                CAST(SUM((hourly_nanos * quantity * ((to_us - from_us) / 1000000) + 1800000) / 3600000) AS BIGINT) AS micros, \
                CAST(SUM((to_us - from_us) / 1000000) AS BIGINT) AS seconds \
            FROM priced GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        .leak();
        (group, text)
    };
    CostGroup::ALL.into_iter().map(of).collect()
});

static UNPRICED: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "SELECT c.zone, c.sku, COUNT(DISTINCT resource_id) AS n FROM charges c WHERE {WITHIN} AND NOT EXISTS \
        (SELECT 1 FROM prices p WHERE p.account_id = c.account_id AND p.zone = c.zone AND p.sku = c.sku) \
        GROUP BY c.zone, c.sku ORDER BY c.zone, c.sku"
    )
    .leak()
});
static INSTANCE_NAMES: LazyLock<&'static str> = LazyLock::new(|| {
    format!(
        "SELECT id, name FROM instances i WHERE EXISTS \
        (SELECT 1 FROM charges c WHERE c.instance_id = i.id AND {WITHIN})"
    )
    .leak()
});
const SERVICE_NAMES: &str = "SELECT id, name FROM services";
const SERVICE_TOKENS: &str = "SELECT service_id AS id, CAST(SUM(prompt_tokens + completion_tokens) AS BIGINT) AS n \
    FROM usage_hours WHERE hour >= $1 AND hour < $2 GROUP BY service_id";
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
    /// The sums of a period. Rows that still cost money count until `to`: it should not be after now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn costs(
        &self,
        (from, to): (Timestamp, Timestamp),
        group: CostGroup,
        filter: &CostFilter,
    ) -> Result<Vec<CostRow>, Error> {
        let Some(sql) = SUMS.get(&group).filter(|_| from < to) else { return Ok(Vec::new()) };
        let piece = if group == CostGroup::Day { DAY_US } else { to.0 - from.0 };
        let mut a = within((from, to), filter);
        a.int(piece);
        let rows = self.db.read(a.statement(sql)).await?;
        let row = |c: Columns<'_>| {
            Ok(CostRow {
                key: c.text("label")?,
                class: c.word("class", ChargeClass::parse)?,
                currency: c.text("currency")?,
                micros: c.int("micros")?,
                seconds: c.int("seconds")?,
            })
        };
        rows.iter().map(|r| row(Columns(r))).collect()
    }

    /// What was charged in a period and has no price.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unpriced(&self, period: (Timestamp, Timestamp), filter: &CostFilter) -> Result<Vec<Unpriced>, Error> {
        let rows = self.db.read(within(period, filter).statement(&UNPRICED)).await?;
        let row = |c: Columns<'_>| Ok(Unpriced { zone: c.text("zone")?, sku: c.text("sku")?, resources: c.int("n")? });
        rows.iter().map(|r| row(Columns(r))).collect()
    }

    /// The names of the instances that were charged in a period, by id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn charged_names(
        &self,
        period: (Timestamp, Timestamp),
        filter: &CostFilter,
    ) -> Result<HashMap<String, String>, Error> {
        let rows = self.db.read(within(period, filter).statement(&INSTANCE_NAMES)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("id")?, Columns(r).text("name")?))).collect()
    }

    /// The names of all services, deleted ones too, by id.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service_names(&self) -> Result<HashMap<String, String>, Error> {
        let rows = self.db.read(Args::new().statement(SERVICE_NAMES)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("id")?, Columns(r).text("name")?))).collect()
    }

    /// The tokens of prompts and answers that were counted in the whole hours of a period, by service.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service_tokens(&self, (from, to): (Timestamp, Timestamp)) -> Result<HashMap<String, i64>, Error> {
        let mut a = Args::new();
        a.int(UsageKey::hour_of(from)).time(to);
        let rows = self.db.read(a.statement(SERVICE_TOKENS)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("id")?, Columns(r).int("n")?))).collect()
    }

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

fn within((from, to): (Timestamp, Timestamp), filter: &CostFilter) -> Args {
    let mut a = Args::new();
    a.time(from).time(to).text(&filter.account_id).text(&filter.instance_id).text(&filter.service_id);
    a
}
