//! The provider's bill, compared with the ledger.

use crate::Time;
use inventiv_core::bill::{BillFinding, BillKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which bill to compare.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfMonth {
    /// The month in UTC, for instance `2026-11`; by default the current one, as far as it is billed.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}$")]
    pub month: Option<String>,
    /// The account, by name or id. Required only if the control plane works in several accounts.
    pub account: Option<String>,
}

/// The sums of one kind of resource, of what belongs to this control plane.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillSum {
    /// The kind. Addresses include those of others in the same project: the bill does not tell whose they are.
    pub kind: BillKind,
    /// ISO 4217 code.
    pub currency: String,
    /// What the bill says, without VAT, in millionths of the currency.
    pub billed_micros: i64,
    /// What the ledger says at list prices, in millionths.
    pub counted_micros: i64,
}

/// One resource on the bill and in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BilledResource {
    /// `not_counted`: it is billed, has a name of this control plane, and no record wants it: it may be a leak. `not_billed`: it
    /// was counted, and is not on the bill, or not yet. `differs`: by more than a cent and one per cent.
    pub finding: BillFinding,
    /// The kind.
    pub kind: BillKind,
    /// The provider's id; empty: not known.
    pub provider_id: String,
    /// The id of the server or volume in the records; `null`: it is not recorded.
    pub resource_id: Option<String>,
    /// The instance that it belongs to; `null`: not known.
    pub instance_id: Option<String>,
    /// Its name on the bill; empty: it is not on the bill.
    pub name: String,
    /// What the bill says, in millionths of the currency.
    pub billed_micros: i64,
    /// What the ledger says, in millionths.
    pub counted_micros: i64,
    /// ISO 4217 code; empty: its price is not known.
    pub currency: String,
}

/// What the bill has for others in the same project.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillOfOthers {
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency.
    pub billed_micros: i64,
}

/// The bill of an account for a month, compared with the ledger.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Bill {
    /// The account.
    pub account_id: String,
    /// The beginning of the compared time.
    pub from: Time,
    /// Its end: that of the month, or that of the last billed time if the month ended less than three days ago.
    pub to: Time,
    /// The end of the last billed time; `null`: nothing is billed. A provider bills with some delay.
    pub billed_until: Option<Time>,
    /// How many resources are billed that have a name of this control plane and were never counted.
    pub not_counted: usize,
    /// By kind.
    pub sums: Vec<BillSum>,
    /// The resources of this control plane: what may be a leak first, then by the size of the difference. At most 1,000.
    pub resources: Vec<BilledResource>,
    /// How many more resources there are.
    pub more_resources: usize,
    /// About how many resources the bill and the ledger agree.
    pub agreed: usize,
    /// What the bill has for others in the same project.
    pub others: Vec<BillOfOthers>,
}
