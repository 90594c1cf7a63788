//! `/costs`, `/costs/forecast` and `/prices`

use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::resolve;
use crate::services;
use crate::view;
use axum::extract::State;
use inventiv_core::calendar::{DAY_US, day_of, month_of};
use inventiv_core::time::Timestamp;
use inventiv_store::CostFilter;
use inventiv_types::{CostForecast, CostGroup, Costs, ListCosts, ListPrices, Page, Price, Time};
use std::collections::HashMap;

/// The longest period.
const PERIOD_MAX_US: i64 = 366 * DAY_US;

/// The maximum number of rows of a response.
const ROWS_MAX: usize = 20_000;

/// Show costs
///
/// At list prices, without VAT. A server counts from its start until it is observed as stopped or proven gone, with its
/// public IPv4 addresses; a block volume from its creation until it is proven gone. See docs/COSTS.md.
#[utoipa::path(get, operation_id = "listCosts", path = "/costs", params(ListCosts), tag = "costs",
    responses((status = 200, description = "The costs of the period", body = Costs)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListCosts>,
) -> Result<axum::Json<Costs>, ApiError> {
    let by = query.group_by.unwrap_or(CostGroup::Instance);
    let (from, to) = period(&app, &query, by)?;
    let filter = filter(&app, &query).await?;
    let store = app.store();
    let sums = store.costs((from, to), Some(by), &filter).await?;
    let totals = view::cost_totals(&sums);
    let sums =
        if by == CostGroup::Tag { view::by_tag(&sums, &store.charged_tags((from, to), &filter).await?) } else { sums };
    check_rows(sums.len())?;
    let (mut used, mut names) = (view::UsedTokens::default(), HashMap::new());
    if by == CostGroup::Service {
        let (tokens, busy) = (store.service_tokens((from, to)).await?, store.service_busy((from, to), &filter).await?);
        (used, names) = (view::UsedTokens { tokens, busy }, store.service_names().await?);
    } else if by == CostGroup::Instance {
        names = store.charged_names((from, to), &filter).await?;
    }
    let unpriced = store.unpriced((from, to), &filter).await?;
    Ok(axum::Json(Costs {
        from: Time(from),
        to: Time(to),
        group_by: by,
        totals,
        items: view::costs(&sums, by, &used, &names),
        unpriced: unpriced.iter().map(view::unpriced).collect(),
    }))
}

/// Show what is spent now
///
/// Per hour, since the beginning of the month, and until its end if everything runs on as now.
#[utoipa::path(get, operation_id = "forecastCosts", path = "/costs/forecast", tag = "costs",
    responses((status = 200, description = "What is spent now", body = CostForecast)))]
pub(crate) async fn forecast(State(app): State<App>) -> Result<axum::Json<CostForecast>, ApiError> {
    let (now, all) = (app.now(), CostFilter::default());
    let (begin, end) = month_of(now);
    let store = app.store();
    let rates = store.cost_rates("").await?;
    let spent = store.costs((begin, now), None, &all).await?;
    // Of this moment alone.
    let unpriced = store.unpriced((now, Timestamp(now.0 + 1)), &all).await?;
    Ok(axum::Json(CostForecast {
        at: Time(now),
        month_ends_at: Time(end),
        currencies: view::forecasts(&rates, &spent, end.ms_since(now)),
        unpriced: unpriced.iter().map(view::unpriced).collect(),
        orphans: view::orphan_costs(&store.orphans().await?, &rates, store.unpriced_orphans().await?),
    }))
}

/// List prices
///
/// List prices without VAT, as the provider shows them or as its price list said, with their source and date.
#[utoipa::path(get, operation_id = "listPrices", path = "/prices", params(ListPrices), tag = "costs",
    responses((status = 200, description = "All prices, by account, zone and name", body = Page<Price>)))]
pub(crate) async fn prices(
    State(app): State<App>,
    Query(query): Query<ListPrices>,
) -> Result<axum::Json<Page<Price>>, ApiError> {
    super::check_words(&[query.zone.as_deref()])?;
    let account = match query.account.as_deref() {
        Some(named) => app.account_of_query(Some(named))?.id.clone(),
        None => String::new(),
    };
    let prices = app.store().prices(&account, query.past.unwrap_or_default()).await?;
    let wanted = prices.iter().filter(|p| query.zone.as_ref().is_none_or(|z| *z == p.price.zone));
    Ok(axum::Json(Page { items: wanted.map(view::price).collect(), next: None }))
}

fn check_rows(rows: usize) -> Result<(), ApiError> {
    if rows > ROWS_MAX {
        let text = format!("gives more than {ROWS_MAX} rows; shorten the period, or group by something else");
        return Err(ApiError::parameter("group_by", text));
    }
    Ok(())
}

/// The period of a query: this month so far, unless it is given.
pub(super) fn period(app: &App, query: &ListCosts, by: CostGroup) -> Result<(Timestamp, Timestamp), ApiError> {
    let now = app.now();
    let to = query.to.map_or(now, |t| t.0.min(now));
    let from = query.from.map_or_else(|| month_of(to).0, |t| t.0);
    let from = if by == CostGroup::Day { day_of(from) } else { from };
    if from >= to {
        return Err(ApiError::parameter("from", "must be before `to`, and in the past"));
    }
    if to.0.saturating_sub(from.0) > PERIOD_MAX_US {
        return Err(ApiError::parameter("from", "must be at most 366 days before `to`; ask for each year by itself"));
    }
    Ok((from, to))
}

pub(super) async fn filter(app: &App, query: &ListCosts) -> Result<CostFilter, ApiError> {
    let account_id = match query.account.as_deref() {
        Some(named) => app.account_of_query(Some(named))?.id.clone(),
        None => String::new(),
    };
    let instance_id = match &query.instance {
        Some(id) => resolve::instance(app, id, query.account.as_deref()).await?.to_string(),
        None => String::new(),
    };
    let service_id = match &query.service {
        Some(id) => services::find(app, id).await?.id.to_string(),
        None => String::new(),
    };
    Ok(CostFilter { account_id, instance_id, service_id })
}
