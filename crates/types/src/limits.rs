//! Limits on what may run and be spent.

use inventiv_core::limits::OnLimit;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What may run and be spent at most. A field that is omitted or `null` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How many instances may live at once, replicas of services too.
    #[schema(minimum = 0, example = 10)]
    pub instances: Option<i64>,
    /// How many GPUs the living instances may have together.
    #[schema(minimum = 0, example = 8)]
    pub gpus: Option<i64>,
    /// How much may be spent in a day in UTC, in millionths of `currency`.
    #[schema(minimum = 0, example = 50_000_000)]
    pub day_micros: Option<i64>,
    /// How much may be spent in a month in UTC, in millionths of `currency`.
    #[schema(minimum = 0, example = 1_000_000_000)]
    pub month_micros: Option<i64>,
    /// The currency, as an ISO 4217 code. If omitted, `EUR`.
    #[schema(min_length = 3, max_length = 3, example = "EUR")]
    pub currency: Option<String>,
    /// What happens when a limit on what is spent is reached: `refuse` (the default) or `drain`. Other limits end nothing.
    pub on_limit: Option<OnLimit>,
}

/// What limits are about; by default everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfLimit {
    /// The replicas of this service, by name or id.
    pub service: Option<String>,
    /// Instances with this tag, replicas of services too.
    pub tag: Option<String>,
}

/// The limits, and what is used of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsInUse {
    /// The limits.
    pub limits: Limits,
    /// Instances that have not ended.
    pub instances: i64,
    /// Their GPUs.
    pub gpus: i64,
    /// Spent today in UTC, in millionths of the currency.
    pub day_micros: i64,
    /// Spent this month in UTC, in millionths of the currency.
    pub month_micros: i64,
    /// The largest used part of a limit, in percent; `null` without limits.
    pub used_percent: Option<i64>,
    /// Why an instance with one GPU would be refused now; `null`: it would not.
    pub reached: Option<String>,
    /// The id of the service that the limits hold for; `null`: for everything, or for a tag.
    pub service: Option<String>,
    /// The tag that the limits hold for; `null`: for everything, or for a service.
    pub tag: Option<String>,
}
