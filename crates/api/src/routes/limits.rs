//! `/limits`

use crate::App;
use crate::create_request::is_tag;
use crate::extract::{Json, Query};
use crate::problem::{ApiError, wrong_field};
use crate::services;
use axum::extract::State;
use axum::http::StatusCode;
use inventiv_core::limits::{self, InUse, LimitScope, OnLimit};
use inventiv_types::{FieldError, Limits, LimitsInUse, OfLimit};

/// Show the limits and what is used of them
///
/// Of everything, of a service or of a tag.
#[utoipa::path(get, operation_id = "getLimits", path = "/limits", params(OfLimit), tag = "costs",
    responses((status = 200, description = "The limits and what is used of them", body = LimitsInUse)))]
pub(crate) async fn show(
    State(app): State<App>,
    Query(query): Query<OfLimit>,
) -> Result<axum::Json<LimitsInUse>, ApiError> {
    let scope = scope(&app, query).await?;
    let limits = app.store().limits(&scope).await?;
    Ok(axum::Json(in_use(&app, &scope, limits).await?))
}

/// List the limits of services and tags
#[utoipa::path(get, operation_id = "listScopedLimits", path = "/limits/scoped", tag = "costs",
    responses((status = 200, description = "All limits that hold for a service or a tag", body = Vec<LimitsInUse>)))]
pub(crate) async fn scoped(State(app): State<App>) -> Result<axum::Json<Vec<LimitsInUse>>, ApiError> {
    let mut shown = Vec::new();
    for (scope, limits) in app.store().all_limits().await? {
        if scope != LimitScope::All {
            shown.push(in_use(&app, &scope, limits).await?);
        }
    }
    Ok(axum::Json(shown))
}

/// Set the limits
///
/// Replaces the limits on everything, on a service, or on a tag: an instance must be within all limits that hold for it. A new
/// instance beyond one of them is refused with 409 `limit_reached`, and services create no replicas;
/// what runs goes on. With `on_limit: drain`, a limit on what is spent also terminates every living instance that it holds for
/// once it is reached, as if somebody had asked for it; retained volumes stay. Two requests at the same moment may exceed a limit
/// by one instance; what was spent may be 30 seconds old.
#[utoipa::path(put, operation_id = "setLimits", path = "/limits", params(OfLimit), request_body = Limits, tag = "costs",
    responses((status = 200, description = "The limits and what is used of them", body = LimitsInUse)))]
pub(crate) async fn set(
    State(app): State<App>,
    Query(query): Query<OfLimit>,
    Json(new): Json<Limits>,
) -> Result<axum::Json<LimitsInUse>, ApiError> {
    let scope = scope(&app, query).await?;
    let wrong = mistakes(&new);
    if !wrong.is_empty() {
        return Err(ApiError::all(wrong));
    }
    let limits = limits::Limits {
        instances: new.instances,
        gpus: new.gpus,
        day_micros: new.day_micros,
        month_micros: new.month_micros,
        currency: new.currency.unwrap_or_else(|| "EUR".to_owned()),
        on_limit: new.on_limit.unwrap_or(OnLimit::Refuse),
    };
    app.store().set_limits(&scope, &limits, app.now()).await?;
    app.store().tell_change();
    Ok(axum::Json(in_use(&app, &scope, limits).await?))
}

/// Remove limits
///
/// Those on everything, on a service, or on a tag.
#[utoipa::path(delete, operation_id = "removeLimits", path = "/limits", params(OfLimit), tag = "costs",
    responses((status = 204, description = "There are no such limits any more")))]
pub(crate) async fn remove(State(app): State<App>, Query(query): Query<OfLimit>) -> Result<StatusCode, ApiError> {
    let scope = scope(&app, query).await?;
    app.store().remove_limits(&scope).await?;
    app.store().tell_change();
    Ok(StatusCode::NO_CONTENT)
}

/// What a query is about. A service that was deleted is still known by its id.
async fn scope(app: &App, query: OfLimit) -> Result<LimitScope, ApiError> {
    match (query.service, query.tag) {
        (None, None) => Ok(LimitScope::All),
        (Some(service), None) => {
            let known = app.store().all_limits().await?.into_iter().map(|(scope, _)| scope);
            let by_id = LimitScope::Service(service.clone());
            if known.into_iter().any(|scope| scope == by_id) {
                return Ok(by_id);
            }
            Ok(LimitScope::Service(services::find(app, &service).await?.id.to_string()))
        }
        (None, Some(tag)) if is_tag(&tag) => Ok(LimitScope::Tag(tag)),
        (None, Some(_)) => Err(ApiError::parameter("tag", "must be a tag that an instance can have")),
        (Some(_), Some(_)) => Err(ApiError::parameter("tag", "must not be given together with `service`")),
    }
}

/// What is used of limits. What was spent is shown even if it is not limited.
async fn in_use(app: &App, scope: &LimitScope, limits: limits::Limits) -> Result<LimitsInUse, ApiError> {
    let all = limits::Limits { day_micros: Some(i64::MAX), ..limits.clone() };
    let used = app.store().in_use(scope, &all, app.now()).await?;
    Ok(view(scope, limits, &used))
}

fn mistakes(new: &Limits) -> Vec<FieldError> {
    let numbers = [
        ("instances", new.instances),
        ("gpus", new.gpus),
        ("day_micros", new.day_micros),
        ("month_micros", new.month_micros),
    ];
    let negative = numbers.into_iter().filter(|(_, n)| n.is_some_and(|n| n < 0));
    let mut wrong: Vec<FieldError> =
        negative.map(|(field, _)| wrong_field(field, "must be a whole number from 0; omit it for no limit")).collect();
    let is_code = |c: &String| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase());
    if new.currency.as_ref().is_some_and(|c| !is_code(c)) {
        wrong.push(wrong_field("currency", "must be an ISO 4217 code such as EUR"));
    }
    wrong
}

fn view(scope: &LimitScope, l: limits::Limits, used: &InUse) -> LimitsInUse {
    let parts = [
        (l.instances, used.instances),
        (l.gpus, used.gpus),
        (l.day_micros, used.day_micros),
        (l.month_micros, used.month_micros),
    ];
    // A limit of 0 is always used up.
    let percent = |most: i64, n: i64| if most == 0 { 100 } else { n.saturating_mul(100) / most };
    LimitsInUse {
        used_percent: parts.into_iter().filter_map(|(most, n)| Some(percent(most?, n))).max(),
        reached: limits::reached(scope, &l, used, 1),
        service: if let LimitScope::Service(id) = scope { Some(id.clone()) } else { None },
        tag: if let LimitScope::Tag(tag) = scope { Some(tag.clone()) } else { None },
        instances: used.instances,
        gpus: used.gpus,
        day_micros: used.day_micros,
        month_micros: used.month_micros,
        limits: Limits {
            instances: l.instances,
            gpus: l.gpus,
            day_micros: l.day_micros,
            month_micros: l.month_micros,
            currency: Some(l.currency),
            on_limit: Some(l.on_limit),
        },
    }
}
