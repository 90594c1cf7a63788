//! Costs: what was spent, what is spent now, and the prices behind both.

use crate::Time;
use inventiv_core::cost_group::CostGroup;
use inventiv_core::ledger::{ChargeClass, ChargeKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The period and the filters of costs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListCosts {
    /// From this time on. If omitted, since the beginning of the month in UTC.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Time>,
    /// Until before this time, at most 366 days later. If omitted, or in the future, until now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    /// What to group by. If omitted, the instance. By `service`, `model` and `tag`, an empty key stands for none; an instance
    /// with several tags counts under each of them. By `day` (UTC), the period begins at midnight.
    #[param(inline)]
    pub group_by: Option<CostGroup>,
    /// Only of this account, by name or id.
    pub account: Option<String>,
    /// Only of this instance, by name, id or unique id prefix.
    pub instance: Option<String>,
    /// Only of this service, by name or id.
    pub service: Option<String>,
}

/// The costs of a period at list prices, without VAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Costs {
    /// The beginning of the period.
    pub from: Time,
    /// The end of the period.
    pub to: Time,
    /// What `items` are grouped by.
    pub group_by: CostGroup,
    /// The sum of everything, for each currency.
    pub totals: Vec<CostTotal>,
    /// The costs by group, in the order of their keys.
    pub items: Vec<Cost>,
    /// What was charged and has no known price: it is in no sum.
    pub unpriced: Vec<UnpricedResources>,
}

/// A sum in one currency, in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostTotal {
    /// ISO 4217 code.
    pub currency: String,
    /// What is certain, in millionths of the currency.
    pub micros: i64,
    /// What it is more if every creation without a response took effect, in millionths.
    pub unconfirmed_micros: i64,
    /// Volumes of third parties on our servers, in millionths. Not part of `micros`.
    pub third_party_micros: i64,
}

/// The costs of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// The value of what it is grouped by.
    #[schema(example = "2026-07-30")]
    pub key: String,
    /// The name of the instance or service, if it is grouped by that.
    pub name: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// What is certain, in millionths of the currency.
    pub micros: i64,
    /// What it is more if every creation without a response took effect, in millionths.
    pub unconfirmed_micros: i64,
    /// Volumes of third parties on our servers, in millionths. Not part of `micros`.
    pub third_party_micros: i64,
    /// How long servers were charged, added up, in seconds, if it is grouped by something that has servers.
    pub seconds: i64,
    /// Tokens of prompts and answers that the gateway counted, grouped by service.
    pub tokens: Option<i64>,
    /// The costs of a million tokens, in millionths of the currency, grouped by service. `null` without tokens.
    pub micros_per_million_tokens: Option<i64>,
    /// The part of `micros` that was spent on replicas in hours (UTC) in which no request to them began, grouped by service. `null`
    /// for what belongs to no service.
    pub idle_micros: Option<i64>,
}

/// Resources whose price is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnpricedResources {
    /// The zone.
    pub zone: String,
    /// What they would be priced by.
    pub sku: String,
    /// How many resources.
    pub resources: i64,
}

/// What is spent now, and what the month will cost if nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostForecast {
    /// Now.
    pub at: Time,
    /// The end of the month in UTC.
    pub month_ends_at: Time,
    /// One for each currency.
    pub currencies: Vec<CurrencyForecast>,
    /// What is charged now and has no known price: it is in no sum.
    pub unpriced: Vec<UnpricedResources>,
    /// What the last audits found that carries our name and that no record wants. It is part of the sums, from its creation until
    /// an audit that does not show it.
    pub orphans: OrphanCosts,
}

/// What orphans cost now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrphanCosts {
    /// How many the last conclusive reports name.
    pub resources: i64,
    /// Millionths of a euro per hour at list prices, of those with a known price. Also of those that an inconclusive audit could
    /// not look for again.
    pub hourly_micros: i64,
    /// How many have no known price.
    pub unpriced: i64,
    /// How many audits of zones allow no conclusion, so that there may be more.
    pub inconclusive_zones: i64,
}

/// What is spent now in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyForecast {
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency per hour, for everything that is certain.
    pub hourly_micros: i64,
    /// The same by class and kind; third parties' volumes and creations without a response are here only.
    pub rates: Vec<CostRate>,
    /// Since the beginning of the month in UTC, in millionths.
    pub month_to_date_micros: i64,
    /// Until the end of the month, if everything runs on as now, in millionths.
    pub month_micros: i64,
}

/// What resources of one class and kind cost now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostRate {
    /// Why they are charged.
    #[schema(inline)]
    pub class: ChargeClass,
    /// What they are.
    #[schema(inline)]
    pub kind: ChargeKind,
    /// Millionths of the currency per hour.
    pub hourly_micros: i64,
    /// How many resources.
    pub resources: i64,
}

/// Which prices to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListPrices {
    /// Only of this account, by name or id.
    pub account: Option<String>,
    /// Only in this zone.
    pub zone: Option<String>,
    /// Whether to list prices that no longer hold, too.
    pub past: Option<bool>,
}

/// A list price, without VAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// The account.
    pub account_id: String,
    /// The zone.
    pub zone: String,
    /// What is priced: `server/TYPE`, `block/IOPS` (`block/0`: of an unknown speed), `snapshot/block`, `snapshot/local` or
    /// `address/ipv4`.
    #[schema(example = "server/L40S-1-48G")]
    pub sku: String,
    /// The unit: `GB` (10^9 bytes) of block storage and snapshots, otherwise `1`.
    #[schema(example = "1")]
    pub unit: String,
    /// Billionths of the currency for one unit and hour.
    #[schema(example = 1_469_916_000_i64)]
    pub hourly_nanos: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Where the price is from.
    pub source: String,
    /// When it was last read.
    pub read_at: Time,
    /// Since when it holds; `null`: it is the first one that is known, and counts for the time before, too.
    pub since: Option<Time>,
    /// Until when it held; `null`: it holds now.
    pub until: Option<Time>,
}
