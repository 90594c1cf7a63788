//! `/limits`

use crate::App;
use crate::extract::Json;
use crate::problem::{ApiError, wrong_field};
use axum::extract::State;
use inventiv_core::limits::{self, InUse, OnLimit};
use inventiv_types::{FieldError, Limits, LimitsInUse};

/// Show the limits and what is used of them
#[utoipa::path(get, operation_id = "getLimits", path = "/limits", tag = "costs",
    responses((status = 200, description = "The limits and what is used of them", body = LimitsInUse)))]
pub(crate) async fn show(State(app): State<App>) -> Result<axum::Json<LimitsInUse>, ApiError> {
    let limits = app.store().limits().await?;
    // To show what was spent, even if it is not limited.
    let all = limits::Limits { day_micros: Some(i64::MAX), ..limits.clone() };
    let used = app.store().in_use(&all, app.now()).await?;
    Ok(axum::Json(view(limits, &used)))
}

/// Set the limits
///
/// Replaces all limits. A new instance beyond one of them is refused with 409 `limit_reached`, and services create no replicas;
/// what runs goes on. With `on_limit: drain`, a limit on what is spent also terminates every living instance once it is reached,
/// as if somebody had asked for it; retained volumes stay. Two requests at the same moment may exceed a limit by one instance; what was spent may be 30 seconds old.
#[utoipa::path(put, operation_id = "setLimits", path = "/limits", request_body = Limits, tag = "costs",
    responses((status = 200, description = "The limits and what is used of them", body = LimitsInUse)))]
pub(crate) async fn set(State(app): State<App>, Json(new): Json<Limits>) -> Result<axum::Json<LimitsInUse>, ApiError> {
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
    app.store().set_limits(&limits, app.now()).await?;
    app.store().tell_change();
    show(State(app)).await
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

fn view(l: limits::Limits, used: &InUse) -> LimitsInUse {
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
        reached: limits::reached(&l, used, 1),
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
