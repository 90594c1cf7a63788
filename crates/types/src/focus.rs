//! Costs in the columns of FOCUS, the FinOps Open Cost and Usage Specification.
//!
//! The columns are those of version 1.2 that apply, and the names that 1.3 gave to two of them. Our own columns begin with
//! `x_`. An empty cell is null.

use serde::Serialize;

/// The names of the columns, in the order of the fields.
pub const FOCUS_COLUMNS: [&str; 46] = [
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_Class",
    "x_InstanceId",
    "x_ModelId",
    "x_ServiceId",
];

/// A row: what a resource cost on a day at one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the specification defines the columns")]
pub struct FocusRow {
    pub availability_zone: String,
    pub billed_cost: String,
    pub billing_account_id: String,
    pub billing_account_name: Option<String>,
    pub billing_currency: String,
    pub billing_period_end: String,
    pub billing_period_start: String,
    pub charge_category: &'static str,
    pub charge_class: Option<String>,
    pub charge_description: String,
    pub charge_frequency: &'static str,
    pub charge_period_end: String,
    pub charge_period_start: String,
    pub consumed_quantity: String,
    pub consumed_unit: &'static str,
    pub contracted_cost: String,
    pub contracted_unit_price: String,
    pub effective_cost: String,
    pub host_provider_name: String,
    pub invoice_issuer_name: String,
    pub list_cost: String,
    pub list_unit_price: String,
    pub pricing_category: &'static str,
    pub pricing_currency: String,
    pub pricing_quantity: String,
    pub pricing_unit: &'static str,
    pub provider_name: String,
    pub publisher_name: String,
    pub region_id: Option<String>,
    pub region_name: Option<String>,
    pub resource_id: String,
    pub resource_name: Option<String>,
    pub resource_type: &'static str,
    pub service_category: &'static str,
    pub service_name: &'static str,
    pub service_provider_name: String,
    pub service_subcategory: &'static str,
    pub sku_id: String,
    pub sku_price_id: String,
    pub sub_account_id: String,
    pub sub_account_name: Option<String>,
    /// JSON: an object of texts.
    pub tags: String,
    #[serde(rename = "x_Class")]
    pub class: &'static str,
    #[serde(rename = "x_InstanceId")]
    pub instance_id: String,
    #[serde(rename = "x_ModelId")]
    pub model_id: Option<String>,
    #[serde(rename = "x_ServiceId")]
    pub service_id: Option<String>,
}
