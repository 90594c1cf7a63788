//! `/services` and `/usage`

use crate::App;
use crate::agreed_plan;
use crate::extract::{Json, Path, Query};
use crate::idempotency::NewId;
use crate::problem::ApiError;
use crate::service_times;
use crate::services;
use crate::view;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use inventiv_core::agreed::{Agreed, AgreedPart};
use inventiv_core::id::KeyId;
use inventiv_core::service;
use inventiv_core::time::Timestamp;
use inventiv_types::{
    CreateService, DryRun, Extend, ListUsage, Page, Service, ServiceCandidate, ServiceSettings, Usage, WarmService,
};
use serde_json::Value;

/// How old the load that a gateway reported may be, in milliseconds.
const LOAD_MAX_AGE_MS: i64 = 10_000;
/// The maximum number of rows of usage.
const ROWS_MAX: u32 = 10_000;

/// Create a service
///
/// A service keeps a model answering by as many instances (replicas) as its load needs. The first replica is started at
/// once. With `dry_run=true`, nothing is created: the response shows the service with its candidates, prices, and the
/// `plan_id` that a request may name.
///
/// The name is unique among the services that are not deleted.
#[utoipa::path(post, operation_id = "createService", path = "/services", tag = "services",
    request_body = CreateService, params(DryRun),
    responses((status = 201, description = "The service was created", body = Service,
            headers(("Location" = String, description = "The path of the service"))),
        (status = 200, description = "With `dry_run=true`: the service as it would be", body = Service)))]
pub(crate) async fn create(
    State(app): State<App>,
    new: NewId,
    Query(query): Query<DryRun>,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let mut request = services::read(body)?;
    let plan = request.plan_id.take();
    let draft = services::draft(&app, request.clone(), new).await?;
    let mut planned = shown(&app, &draft).await?;
    let agreed = agreed(&planned);
    // When it ends changes nothing of what is made.
    let planned_request = CreateService { ttl_seconds: None, ..request };
    if query.dry_run == Some(true) {
        planned.plan_id = Some(agreed_plan::record(&app, &planned_request, agreed).await?.to_string());
        return Ok(axum::Json(planned).into_response());
    }
    // The plan of a service that was created held.
    let is_made = app.store().service(draft.id.as_str()).await?.is_some();
    if let Some(plan) = plan.filter(|_| !is_made) {
        agreed_plan::check(&app, &plan, &planned_request, &agreed).await?;
    }
    services::insert(&app, &draft).await?;
    let location = format!("/services/{}", draft.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(planned)).into_response())
}

/// What the plan of a service promises: where its first replica is created, and the price of all replicas at most.
fn agreed(planned: &Service) -> Agreed {
    let part = |c: &ServiceCandidate| AgreedPart {
        what: format!("a replica on {} in {}", c.instance_type, c.zone),
        size_gb: Some(c.data_volume_gb),
        is_priced: true,
        stays: false,
    };
    Agreed {
        parts: planned.candidates.first().map(part).into_iter().collect(),
        hourly_micros: planned.max_hourly_micros,
        currency: planned.currency.clone(),
        image: String::new(),
    }
}

/// List services
#[utoipa::path(get, operation_id = "listServices", path = "/services", tag = "services",
    responses((status = 200, description = "The services that are not deleted, oldest first", body = Page<Service>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<Service>>, ApiError> {
    let mut items = Vec::new();
    for service in app.store().services(None).await? {
        items.push(shown(&app, &service).await?);
    }
    Ok(axum::Json(Page { items, next: None }))
}

/// Show a service
#[utoipa::path(get, operation_id = "getService", path = "/services/{id}", tag = "services",
    params(("id" = String, Path, description = "The id or the name of the service")),
    responses((status = 200, description = "The service", body = Service)))]
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Service>, ApiError> {
    Ok(axum::Json(shown(&app, &services::find(&app, &id).await?).await?))
}

/// Change a service
///
/// The fields of the body replace those of the service; `null` brings the default of a field back. If the change needs
/// new replicas, they replace the old ones one by one: each old one ends, drained, when a new one is ready. A change also
/// makes a degraded service try again.
#[utoipa::path(patch, operation_id = "changeService", path = "/services/{id}", tag = "services",
    request_body = ServiceSettings, params(DryRun, ("id" = String, Path, description = "The id or the name of the service")),
    responses((status = 200, description = "The service", body = Service)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<DryRun>,
    Json(body): Json<Value>,
) -> Result<axum::Json<Service>, ApiError> {
    let changed = services::change(&app, &id, body, query.dry_run == Some(true)).await?;
    Ok(axum::Json(shown(&app, &changed).await?))
}

/// Warm a service
///
/// At least one replica runs for a time from now on, whether anybody asks or not. This replaces an earlier request, so that
/// `seconds: 1` ends it. It also makes a degraded service try again.
#[utoipa::path(post, operation_id = "warmService", path = "/services/{id}/warm", tag = "services",
    request_body = Option<WarmService>, params(("id" = String, Path, description = "The id or the name of the service")),
    responses((status = 202, description = "The request was recorded", body = Service)))]
pub(crate) async fn warm(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Option<Json<WarmService>>,
) -> Result<(StatusCode, axum::Json<Service>), ApiError> {
    let seconds = body.and_then(|Json(body)| body.seconds);
    let warmed = service_times::warm(&app, &id, seconds).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&app, &warmed).await?)))
}

/// Set when a service ends by itself
///
/// At that time it is deleted, with its replicas.
#[utoipa::path(post, operation_id = "extendService", path = "/services/{id}/extend", tag = "services",
    request_body = Extend, params(("id" = String, Path, description = "The id or the name of the service")),
    responses((status = 200, description = "The changed service", body = Service)))]
pub(crate) async fn extend(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(body): Json<Extend>,
) -> Result<axum::Json<Service>, ApiError> {
    let changed = service_times::extend(&app, &id, body.ttl_seconds).await?;
    Ok(axum::Json(shown(&app, &changed).await?))
}

/// Delete a service
///
/// New requests are refused at once. Its replicas finish what they are answering, within two minutes, and end. The
/// service is `deleted` when every replica is proven gone.
#[utoipa::path(delete, operation_id = "deleteService", path = "/services/{id}", tag = "services",
    params(("id" = String, Path, description = "The id or the name of the service")),
    responses((status = 202, description = "The request was recorded", body = Service)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Service>), ApiError> {
    let removed = services::remove(&app, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&app, &removed).await?)))
}

/// Show usage
///
/// Requests and tokens by hour, key, service, instance and model, as the gateways counted them.
#[utoipa::path(get, operation_id = "listUsage", path = "/usage", params(ListUsage), tag = "services",
    responses((status = 200, description = "At most 10,000 rows, oldest first", body = Page<Usage>)))]
pub(crate) async fn usage(
    State(app): State<App>,
    Query(query): Query<ListUsage>,
) -> Result<axum::Json<Page<Usage>>, ApiError> {
    let service = match &query.service {
        Some(id) => services::find(&app, id).await?.id.to_string(),
        None => String::new(),
    };
    if query.key.as_ref().is_some_and(|k| KeyId::parse(k).is_none()) {
        return Err(ApiError::parameter("key", "must be the id of a key, as in `GET /keys`"));
    }
    let (from, to) = period(query.from.map(|t| t.0), query.to.map(|t| t.0), app.now());
    let key = query.key.unwrap_or_default();
    let rows = app.store().usage(from, to, (&service, &key), ROWS_MAX).await?;
    Ok(axum::Json(Page { items: rows.iter().map(|(k, u)| view::usage(k, u)).collect(), next: None }))
}

/// A service with its replicas and its load.
async fn shown(app: &App, service: &service::Service) -> Result<Service, ApiError> {
    let store = app.store();
    let ids = store.replicas(&service.id, ENDED_NEVER_MS).await?;
    let replicas = store.instances_by_id(&ids).await?;
    let load = store.service_load(&service.id, app.now().plus_ms(-LOAD_MAX_AGE_MS)).await?;
    let mut shown = view::service(service, &replicas, &load, |zone| app.storage_prices(&service.account_id, zone));
    if service.deleted_at.is_none() && app.account_of(&service.account_id).is_none() {
        shown.reason = Some(format!(
            "nobody reconciles this service: the control plane does not work in account {}; start it with that account",
            service.account_id
        ));
    }
    Ok(shown)
}

/// No instance was created after this time, in milliseconds: ended replicas are not shown.
const ENDED_NEVER_MS: u64 = 1 << 45;

/// The period of usage: the last day, unless it is given.
fn period(from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> (Timestamp, Timestamp) {
    let to = to.unwrap_or(now);
    (from.unwrap_or_else(|| to.plus_ms(-86_400_000)), to)
}
