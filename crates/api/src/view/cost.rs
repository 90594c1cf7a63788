//! Costs and prices, as the API shows them.

use inventiv_core::audit::Finding;
use inventiv_core::ledger::{ChargeClass, ChargeKind};
use inventiv_core::time::Timestamp;
use inventiv_store::{CostRate as Rate, CostRow, Price as Recorded, Unpriced};
use inventiv_types::{
    Cost, CostGroup, CostRate, CostTotal, CurrencyForecast, OrphanCosts, Price, Time, UnpricedResources,
};
use std::collections::{BTreeMap, HashMap};

/// The sums of one group, by class.
#[derive(Default)]
struct Sum {
    micros: i64,
    unconfirmed: i64,
    third_party: i64,
    seconds: i64,
}

impl Sum {
    fn add(&mut self, row: &CostRow) {
        let to = match row.class {
            ChargeClass::Used | ChargeClass::Retained | ChargeClass::Ending | ChargeClass::Orphan => &mut self.micros,
            ChargeClass::Unconfirmed => &mut self.unconfirmed,
            ChargeClass::ThirdParty => &mut self.third_party,
        };
        *to = to.saturating_add(row.micros);
        self.seconds = self.seconds.saturating_add(row.seconds);
    }
}

/// What services were used for.
#[derive(Default)]
pub(crate) struct UsedTokens {
    /// Tokens, by service.
    pub(crate) tokens: HashMap<String, i64>,
    /// The costs of replicas in hours in which requests to them began, in millionths, by service and currency.
    pub(crate) busy: HashMap<(String, String), i64>,
}

pub(crate) fn cost_totals(rows: &[CostRow]) -> Vec<CostTotal> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    rows.iter().for_each(|r| sums.entry(&r.currency).or_default().add(r));
    let total = |(currency, s): (&str, Sum)| CostTotal {
        currency: currency.to_owned(),
        micros: s.micros,
        unconfirmed_micros: s.unconfirmed,
        third_party_micros: s.third_party,
    };
    sums.into_iter().map(total).collect()
}

pub(crate) fn costs(rows: &[CostRow], by: CostGroup, used: &UsedTokens, names: &HashMap<String, String>) -> Vec<Cost> {
    let mut sums: BTreeMap<(&str, &str), Sum> = BTreeMap::new();
    rows.iter().for_each(|r| sums.entry((&r.key, &r.currency)).or_default().add(r));
    let cost = |((key, currency), s): ((&str, &str), Sum)| {
        let tokens = used.tokens.get(key).copied();
        let busy = || used.busy.get(&(key.to_owned(), currency.to_owned())).copied().unwrap_or_default();
        let per_million = |n: i64| i64::try_from(i128::from(s.micros) * 1_000_000 / i128::from(n)).ok();
        Cost {
            key: if by == CostGroup::Day { day(key) } else { key.to_owned() },
            name: names.get(key).cloned(),
            currency: currency.to_owned(),
            micros: s.micros,
            unconfirmed_micros: s.unconfirmed,
            third_party_micros: s.third_party,
            seconds: s.seconds,
            tokens,
            micros_per_million_tokens: tokens.filter(|n| *n > 0).and_then(per_million),
            // Pieces are rounded by themselves.
            idle_micros: (by == CostGroup::Service && !key.is_empty()).then(|| s.micros.saturating_sub(busy()).max(0)),
        }
    };
    sums.into_iter().map(cost).collect()
}

/// The sums of each tag, from those of instances. An instance without tags counts under the empty one.
pub(crate) fn by_tag(rows: &[CostRow], tags: &HashMap<String, Vec<String>>) -> Vec<CostRow> {
    let mut sums: BTreeMap<(&str, ChargeClass, &str), (i64, i64)> = BTreeMap::new();
    for row in rows {
        let mut keys: Vec<&str> = tags.get(&row.key).into_iter().flatten().map(String::as_str).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            keys.push("");
        }
        for key in keys {
            let sum = sums.entry((key, row.class, &row.currency)).or_default();
            *sum = (sum.0.saturating_add(row.micros), sum.1.saturating_add(row.seconds));
        }
    }
    let row = |((key, class, currency), (micros, seconds)): ((&str, ChargeClass, &str), (i64, i64))| CostRow {
        key: key.to_owned(),
        class,
        currency: currency.to_owned(),
        micros,
        seconds,
    };
    sums.into_iter().map(row).collect()
}

/// The date of a day that is given in microseconds since 1970.
fn day(micros: &str) -> String {
    let at = micros.parse().map(Timestamp).map_or_else(|_| micros.to_owned(), |at| at.to_string());
    at.split('T').next().unwrap_or_default().to_owned()
}

pub(crate) fn unpriced(u: &Unpriced) -> UnpricedResources {
    UnpricedResources { zone: u.zone.clone(), sku: u.sku.clone(), resources: u.resources }
}

/// What the orphans that the last audits found cost now; `rates`: of everything that costs money; `unpriced`: how many orphans
/// are charged without a known price.
pub(crate) fn orphan_costs(
    (orphans, inconclusive): &(Vec<Finding>, usize),
    rates: &[Rate],
    unpriced: i64,
) -> OrphanCosts {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let rates = rates.iter().filter(|r| r.class == ChargeClass::Orphan && r.currency == "EUR");
    let unknown = orphans.iter().filter(|f| f.costs.is_none()).count();
    OrphanCosts {
        resources: count(orphans.len()),
        hourly_micros: rates.fold(0_i64, |sum, r| sum.saturating_add(r.hourly_micros)),
        unpriced: count(unknown).saturating_add(unpriced),
        inconclusive_zones: count(*inconclusive),
    }
}

/// The forecasts of each currency; `left_ms`: how long the month still lasts.
pub(crate) fn forecasts(rates: &[Rate], spent: &[CostRow], left_ms: i64) -> Vec<CurrencyForecast> {
    let totals = cost_totals(spent);
    let mut currencies: Vec<&str> = rates.iter().map(|r| r.currency.as_str()).collect();
    currencies.extend(totals.iter().map(|t| t.currency.as_str()));
    currencies.sort_unstable();
    currencies.dedup();
    let forecast = |currency: &str| {
        let of: Vec<&Rate> = rates.iter().filter(|r| r.currency == currency).collect();
        let hourly =
            of.iter().filter(|r| r.class.is_certain()).fold(0_i64, |sum, r| sum.saturating_add(r.hourly_micros));
        let to_date = totals.iter().find(|t| t.currency == currency).map_or(0, |t| t.micros);
        let rest = i128::from(hourly) * i128::from(left_ms) / 3_600_000;
        CurrencyForecast {
            currency: currency.to_owned(),
            hourly_micros: hourly,
            rates: of.iter().filter_map(|r| rate(r)).collect(),
            month_to_date_micros: to_date,
            month_micros: to_date.saturating_add(i64::try_from(rest).unwrap_or(i64::MAX)),
        }
    };
    currencies.into_iter().map(forecast).collect()
}

fn rate(r: &Rate) -> Option<CostRate> {
    let kind = ChargeKind::parse(&r.kind)?;
    Some(CostRate { class: r.class, kind, hourly_micros: r.hourly_micros, resources: r.resources })
}

pub(crate) fn price(p: &Recorded) -> Price {
    let unit = if ["block/", "snapshot/"].iter().any(|kind| p.price.sku.starts_with(kind)) { "GB" } else { "1" };
    Price {
        account_id: p.account_id.clone(),
        zone: p.price.zone.clone(),
        sku: p.price.sku.clone(),
        unit: unit.to_owned(),
        hourly_nanos: p.price.hourly_nanos,
        currency: p.price.currency.clone(),
        source: p.price.source.clone(),
        read_at: Time(p.read_at),
        since: Some(p.since).filter(|t| t.0 > 0).map(Time),
        until: p.until.map(Time),
    }
}
