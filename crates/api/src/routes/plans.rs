//! `/plans`

use crate::App;
use crate::agreed_plan::{self, planned_part};
use crate::create_request;
use crate::expiry;
use crate::extract::Draft;
use crate::limits;
use crate::mutations::{self, Checked};
use crate::problem::ApiError;
use axum::extract::State;
use inventiv_core::agreed::Agreed;
use inventiv_core::quote;
use inventiv_types::{CreateInstance, InstancePlan, PlanPart, Time};

/// The hours of a month, as the provider counts them.
const MONTH_H: i64 = 730;

/// Plan an instance
///
/// Checks a request as `POST /instances` would, and shows what it would make and cost. Creates nothing. The request may then
/// name the plan, and is refused if the plan no longer holds. A limit that would refuse the request is a warning. Whether the
/// name is free is not checked.
#[utoipa::path(post, operation_id = "planInstance", path = "/plans", request_body = CreateInstance, tag = "instances",
    responses((status = 200, description = "What the request would make", body = InstancePlan)))]
pub(crate) async fn plan(
    State(app): State<App>,
    Draft { read: request, errors }: Draft<CreateInstance>,
) -> Result<axum::Json<InstancePlan>, ApiError> {
    if !errors.is_empty() {
        return Err(ApiError::all(create_request::with_values(&app, &request, errors)));
    }
    let account = app.account(request.account.as_deref()).map_err(|text| ApiError::field("account", text))?;
    let Checked { offer, reused, spec } = mutations::check(&app, &request, account).await?;
    let prices = &app.storage_prices(&account.id, &offer.zone);
    let parts = quote::parts(&spec, &offer, prices, reused.is_some());
    let hourly = quote::hourly_micros(&parts);
    let refused = limits::why_not(&app, &spec).await?.map(|why| format!("it would be refused now: {why}"));
    let warnings = spec.warnings.iter().cloned().chain(refused).collect();
    let agreed = Agreed::of_instance(&parts, &spec);
    let id = agreed_plan::record(&app, &planned_part(&request), agreed).await?;
    let part = |p: quote::Part| PlanPart {
        kind: p.kind,
        size_gb: p.size_gb,
        hourly_micros: p.hourly_micros,
        stays: p.stays,
        note: p.note,
    };
    Ok(axum::Json(InstancePlan {
        id: id.to_string(),
        first_hour_micros: quote::first_hour_micros(&parts, prices),
        account_id: account.id.clone(),
        zone: request.zone,
        instance_type: request.instance_type,
        model_id: request.model_id,
        availability: offer.availability,
        hourly_micros: hourly,
        daily_micros: hourly.saturating_mul(24),
        monthly_micros: hourly.saturating_mul(MONTH_H),
        staying_monthly_micros: quote::staying_hourly_micros(&parts).saturating_mul(MONTH_H),
        parts: parts.into_iter().map(part).collect(),
        currency: spec.currency,
        storage_prices_source: prices.sources(),
        expires_at: expiry::at(request.ttl_seconds, app.now()).map(Time),
        warnings,
    }))
}
