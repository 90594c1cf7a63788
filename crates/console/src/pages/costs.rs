//! What was spent: by day as a chart, by group as a table, and as a file.

use crate::chart::{Bar, bars};
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, page};
use crate::texts::EN;
use askama::Template;
use axum::extract::Query;
use axum::response::IntoResponse;
use http::{HeaderValue, header};
use inventiv_core::calendar::{DAY_US, day_of};
use inventiv_core::time::Timestamp;
use inventiv_types::{ChargeKind, CostForecast, CostGroup, Costs, ListCosts, Time};
use serde::Deserialize;

/// The period and the group.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Filters {
    days: Option<String>,
    group_by: Option<String>,
}

/// The periods to choose from, in days.
const PERIODS: [i64; 4] = [7, 30, 90, 365];
const PERIOD_DEFAULT: i64 = 30;
/// How many bars the chart has at most.
const BARS_MAX: i64 = 31;
/// The groups to choose from. Resources are in the exports and the API; days are the chart.
const GROUPS: [CostGroup; 8] = [
    CostGroup::Service,
    CostGroup::Instance,
    CostGroup::Model,
    CostGroup::Zone,
    CostGroup::Sku,
    CostGroup::Kind,
    CostGroup::Class,
    CostGroup::Tag,
];

#[derive(Template)]
#[template(path = "costs.html")]
struct CostsPage {
    frame: Frame,
    days: i64,
    periods: [i64; 4],
    group: CostGroup,
    groups: [CostGroup; 8],
    chart: String,
    days_of: Vec<Bar>,
    /// The currency of the chart and of the days: the one in which most was spent.
    currency: String,
    kinds: &'static [ChargeKind],
    by_kind: Costs,
    by_group: Costs,
    forecast: CostForecast,
}

impl Filters {
    fn days(&self) -> i64 {
        let asked = filled(self.days.clone()).and_then(|text| text.parse().ok());
        asked.filter(|days| PERIODS.contains(days)).unwrap_or(PERIOD_DEFAULT)
    }

    fn group(&self) -> CostGroup {
        let asked = filled(self.group_by.clone()).and_then(|text| CostGroup::parse(&text));
        asked.filter(|group| GROUPS.contains(group)).unwrap_or(CostGroup::Service)
    }

    /// Whole days in UTC until now.
    fn query(&self, now: Timestamp, group_by: Option<CostGroup>) -> ListCosts {
        let first = Timestamp(day_of(now).0 - (self.days() - 1) * DAY_US);
        ListCosts { from: Some(Time(first)), to: Some(Time(now)), group_by, ..ListCosts::default() }
    }
}

/// The page.
pub(crate) async fn show(viewer: Viewer, Query(filters): Query<Filters>) -> Answer {
    let forecast: CostForecast = viewer.api.get("/costs/forecast", &()).await?;
    let now = forecast.at.0;
    let by_kind: Costs = viewer.api.get("/costs", &filters.query(now, Some(CostGroup::Kind))).await?;
    let by_group: Costs = viewer.api.get("/costs", &filters.query(now, Some(filters.group()))).await?;
    let currency =
        by_kind.totals.iter().max_by_key(|t| t.micros).map_or_else(|| "EUR".to_owned(), |t| t.currency.clone());
    let days_of = days_of(&viewer, &filters, now, &currency).await?;
    page(&CostsPage {
        frame: viewer.frame(Section::Costs, EN.costs),
        days: filters.days(),
        periods: PERIODS,
        group: filters.group(),
        groups: GROUPS,
        chart: bars(&days_of, EN.costs_by_day),
        days_of,
        currency,
        kinds: ChargeKind::ALL,
        by_kind,
        by_group,
        forecast,
    })
}

/// What was spent on each kind of resource in each part of the period, the oldest first.
async fn days_of(viewer: &Viewer, filters: &Filters, now: Timestamp, currency: &str) -> Result<Vec<Bar>, Failure> {
    let (days, mut all) = (filters.days(), Vec::new());
    let (step, first) = ((days + BARS_MAX - 1) / BARS_MAX, day_of(now).0 - (days - 1) * DAY_US);
    for begin in (0..days).step_by(usize::try_from(step).unwrap_or(1)) {
        let from = Timestamp(first + begin * DAY_US);
        let to = Timestamp(now.0.min(from.0 + step * DAY_US));
        if to <= from {
            break;
        }
        let query = ListCosts {
            from: Some(Time(from)),
            to: Some(Time(to)),
            group_by: Some(CostGroup::Kind),
            ..ListCosts::default()
        };
        let costs: Costs = viewer.api.get("/costs", &query).await?;
        let of = |kind: &ChargeKind| {
            let items = costs.items.iter().filter(|item| item.key == kind.text() && item.currency == currency);
            items.map(|item| item.micros).fold(0_i64, i64::saturating_add)
        };
        let label = Time(from).to_string().chars().take(10).collect();
        all.push(Bar { label, parts: ChargeKind::ALL.iter().map(of).collect() });
    }
    Ok(all)
}

/// The same costs as a file, in the FOCUS format.
pub(crate) async fn export(viewer: Viewer, Query(filters): Query<Filters>) -> Answer {
    let forecast: CostForecast = viewer.api.get("/costs/forecast", &()).await?;
    let query = filters.query(forecast.at.0, None);
    let query = serde_urlencoded::to_string(&query).unwrap_or_default();
    let response = viewer.api.open(&format!("/costs/focus?{query}"), None).await?;
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static("text/csv"));
    let name = HeaderValue::from_static("attachment; filename=\"costs.csv\"");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response())
}
