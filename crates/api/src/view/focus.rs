//! The ledger in the columns of FOCUS.

use inventiv_core::calendar::month_of;
use inventiv_core::ledger::ChargeKind;
use inventiv_core::time::Timestamp;
use inventiv_store::ChargePiece;
use inventiv_types::FocusRow;
use std::collections::HashMap;

/// What is known of accounts and instances.
pub(crate) struct Names {
    /// Account id → its name and provider.
    pub(crate) accounts: HashMap<String, (String, String)>,
    /// Instance id → its name.
    pub(crate) instances: HashMap<String, String>,
    /// Instance id → its tags.
    pub(crate) tags: HashMap<String, Vec<String>>,
}

pub(crate) fn focus(p: &ChargePiece, names: &Names) -> FocusRow {
    let (period_start, period_end) = month_of(p.from);
    let (cost, unit_price) = (decimal(p.micros.into(), 6), decimal(p.hourly_nanos.into(), 9));
    let account = names.accounts.get(&p.account_id);
    let provider = account.map_or_else(|| "unknown".to_owned(), |(_, provider)| provider.clone());
    let about = About::of(p.kind);
    let hours = decimal(i128::from(p.quantity) * i128::from((p.to.0 - p.from.0) / 1_000_000) * 1_000_000 / 3_600, 6);
    FocusRow {
        availability_zone: p.zone.clone(),
        billed_cost: cost.clone(),
        billing_account_id: p.account_id.clone(),
        billing_account_name: account.map(|(name, _)| name.clone()),
        billing_currency: p.currency.clone(),
        billing_period_end: time(period_end),
        billing_period_start: time(period_start),
        charge_category: "Usage",
        charge_class: None,
        charge_description: format!("{} in {} at list price", p.sku, p.zone),
        charge_frequency: "Usage-Based",
        charge_period_end: time(p.to),
        charge_period_start: time(p.from),
        consumed_quantity: hours.clone(),
        consumed_unit: about.unit,
        contracted_cost: cost.clone(),
        contracted_unit_price: unit_price.clone(),
        effective_cost: cost.clone(),
        host_provider_name: provider.clone(),
        invoice_issuer_name: provider.clone(),
        list_cost: cost,
        list_unit_price: unit_price,
        pricing_category: "Standard",
        pricing_currency: p.currency.clone(),
        pricing_quantity: hours,
        pricing_unit: about.unit,
        provider_name: provider.clone(),
        publisher_name: provider.clone(),
        region_id: None,
        region_name: None,
        resource_id: p.provider_id.clone().unwrap_or_else(|| p.resource_id.clone()),
        resource_name: names.instances.get(&p.instance_id).cloned(),
        resource_type: about.resource_type,
        service_category: about.category,
        service_name: about.service,
        service_provider_name: provider,
        service_subcategory: about.subcategory,
        sku_id: p.sku.clone(),
        sku_price_id: format!("{}/{}", p.zone, p.sku),
        sub_account_id: p.account_id.clone(),
        sub_account_name: account.map(|(name, _)| name.clone()),
        tags: tags(names.tags.get(&p.instance_id).map_or(&[], Vec::as_slice)),
        class: p.class.text(),
        instance_id: p.instance_id.clone(),
        model_id: p.model_id.clone(),
        service_id: p.service_id.clone(),
    }
}

/// What the specification calls a kind of resource.
struct About {
    category: &'static str,
    subcategory: &'static str,
    service: &'static str,
    resource_type: &'static str,
    unit: &'static str,
}

impl About {
    const fn of(kind: ChargeKind) -> Self {
        match kind {
            ChargeKind::Server => Self {
                category: "Compute",
                subcategory: "Virtual Machines",
                service: "Instances",
                resource_type: "Server",
                unit: "Hours",
            },
            ChargeKind::Volume => Self {
                category: "Storage",
                subcategory: "Block Storage",
                service: "Block Storage",
                resource_type: "Volume",
                unit: "GB-Hours",
            },
            ChargeKind::Address => Self {
                category: "Networking",
                subcategory: "Other (Networking)",
                service: "Public addresses",
                resource_type: "IPv4 address",
                unit: "Hours",
            },
        }
    }
}

/// Tags as an object: `team=search` is a key with a value, `search` a key without one.
fn tags(tags: &[String]) -> String {
    let pair = |tag: &String| {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        (key.to_owned(), serde_json::Value::from(value))
    };
    serde_json::Value::Object(tags.iter().map(pair).collect()).to_string()
}

/// A time to the second, as the specification wants it.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", text.split(['.', 'Z']).next().unwrap_or_default())
}

/// A fraction as a decimal number without needless zeros.
fn decimal(value: i128, digits: u32) -> String {
    let one = 10_i128.pow(digits);
    let text = format!("{}.{:0width$}", value / one, value % one, width = digits as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
