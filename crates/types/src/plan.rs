//! Plans: what a request would make and cost.

use crate::Time;
use inventiv_core::offer::Availability;
use inventiv_core::quote::PartKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a request for an instance would make, and what that costs at list prices without VAT. Nothing else is
/// recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstancePlan {
    /// The id of the plan. `POST /instances` may name it as `plan_id` within 24 hours.
    #[schema(example = "plan-01jd5x8mzr0bq5n6g7h8")]
    pub id: String,
    /// The account.
    pub account_id: String,
    /// The zone.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// The model; `null` if there is none.
    pub model_id: Option<String>,
    /// Whether the server type is available now, as the provider says.
    pub availability: Availability,
    /// What would be made.
    pub parts: Vec<PlanPart>,
    /// Per hour, in millionths of `currency`, without parts of an unknown price.
    pub hourly_micros: i64,
    /// What the first hour costs, in millionths: the hourly price, with an address rounded up as the provider bills it.
    pub first_hour_micros: i64,
    /// The same for 24 hours.
    pub daily_micros: i64,
    /// The same for 730 hours.
    pub monthly_micros: i64,
    /// What stays after the end costs per month of 730 hours, in millionths.
    pub staying_monthly_micros: i64,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// The sources of the prices of storage and addresses, separated by `; `.
    pub storage_prices_source: String,
    /// When it would end by itself; `null`: it would not.
    pub expires_at: Option<Time>,
    /// Warnings, for instance about a model that may not fit.
    pub warnings: Vec<String>,
}

/// A part of an instance that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanPart {
    /// What it is.
    #[schema(inline)]
    pub kind: PartKind,
    /// The size of a volume in GB; `null` if it is not known yet, or if it is no volume.
    pub size_gb: Option<i64>,
    /// The price per hour, in millionths; 0 if it is part of the server's price; `null` if it is not known.
    pub hourly_micros: Option<i64>,
    /// Whether it stays after the end of the instance.
    pub stays: bool,
    /// What there is to say about it.
    pub note: Option<String>,
}
