//! All routes of the API.

mod accounts;
mod action_logs;
mod alerts;
mod audit;
pub(crate) mod bill;
mod costs;
mod docs;
mod events;
mod focus;
mod health;
mod images;
mod instance_counts;
pub(crate) mod instances;
mod keys;
mod limits;
mod models;
mod offers;
mod plans;
mod power;
mod secrets;
mod services;
mod sessions;
mod settings;
mod volumes;
mod webhooks;
mod worker;

use crate::problem::ApiError;
use crate::{App, BODY_MAX, auth, idempotency, listen, problem};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, Request};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, middleware};
use std::collections::BTreeSet;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes that the OpenAPI document describes and that require the token.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(instances::create, instances::list))
        .routes(routes!(plans::plan))
        .routes(routes!(instances::show, instances::change, instances::terminate))
        .routes(routes!(instances::proof))
        .routes(routes!(worker::logs))
        .routes(routes!(power::stop))
        .routes(routes!(power::start))
        .routes(routes!(power::reboot))
        .routes(routes!(power::extend))
        .routes(routes!(events::follow))
        .routes(routes!(volumes::list))
        .routes(routes!(volumes::show, volumes::change))
        .routes(routes!(action_logs::list))
        .routes(routes!(audit::show, audit::request))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::remove))
        .routes(routes!(accounts::check))
        .routes(routes!(bill::show))
        .routes(routes!(models::list, models::create))
        .routes(routes!(models::show, models::change, models::remove))
        .routes(routes!(models::recommend))
        .routes(routes!(models::fit))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::put, secrets::remove))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::show, keys::change, keys::revoke))
        .routes(routes!(services::create, services::list))
        .routes(routes!(services::show, services::change, services::remove))
        .routes(routes!(services::warm))
        .routes(routes!(services::extend))
        .routes(routes!(services::usage))
        .routes(routes!(costs::list))
        .routes(routes!(costs::forecast))
        .routes(routes!(focus::export))
        .routes(routes!(costs::prices))
        .routes(routes!(limits::show, limits::set, limits::remove))
        .routes(routes!(limits::scoped))
        .routes(routes!(alerts::list))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::remove))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(sessions::create, sessions::list, sessions::end_all))
        .routes(routes!(sessions::end))
        .routes(routes!(sessions::access, sessions::leave))
        .routes(routes!(settings::list))
        .routes(routes!(settings::show, settings::change))
        .routes(routes!(offers::list))
        .routes(routes!(images::list))
        .routes(routes!(health::metrics))
        .routes(routes!(instance_counts::show))
}

/// The routes that require no token.
pub(crate) fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// `document` describes the routes.
pub(crate) fn router(app: &App, document: fn() -> OpenApi) -> Router {
    let (guarded, _) = documented().split_for_parts();
    let guarded = guarded.route_layer(middleware::from_fn_with_state(app.clone(), idempotency::once));
    // A model id contains a slash; a path may contain `Qwen%2FQwen2.5-7B` or `Qwen/Qwen2.5-7B`.
    let guarded = guarded
        .route("/models/{id}/{name}", get(models::show_two).patch(models::change_two).delete(models::remove_two))
        .route("/models/{id}/{name}/recommended-data-volume", get(models::recommend_two))
        .route("/models/{id}/{name}/fit", get(models::fit_two))
        .route("/instances/{id}/v1/{*path}", get(worker::ask).post(worker::ask))
        .route("/openapi.json", get(move || async move { axum::Json(document()) }));
    let fallback = || async { ApiError::new(404, "not_found", "no such path; GET /openapi.json lists all paths") };
    let wrong_method = || async {
        ApiError::new(405, "method_not_allowed", "this path does not support that method; see GET /openapi.json")
    };
    let guarded = guarded
        .fallback(fallback)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), listen::whole_body))
        .layer(middleware::from_fn_with_state(app.clone(), auth::guard));
    let (open, _) = open().split_for_parts();
    let request_id = HeaderName::from_static("x-request-id");
    let span = |request: &Request<axum::body::Body>| tracing::debug_span!("request", method = %request.method(), path = request.uri().path());
    open.merge(docs::router(document))
        .merge(guarded)
        .layer(middleware::from_fn_with_state(app.clone(), listen::known_host))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(500, "internal", "internal error; the control plane's log has the details").into_response()
        }))
        .layer(middleware::from_fn(problem::name_instance))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(app.clone())
}

/// Routes that are no part of the API.
pub(crate) fn protect(app: &App, routes: Router) -> Router {
    routes
        .layer(middleware::from_fn_with_state(app.clone(), listen::whole_body))
        .layer(middleware::from_fn_with_state(app.clone(), listen::known_host))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(500, "internal", "internal error; the control plane's log has the details").into_response()
        }))
}

/// The maximum number of items of a page.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked {
        None => Ok(100),
        Some(n @ 1..=500) => Ok(n),
        Some(_) => Err(ApiError::parameter("limit", "must be from 1 to 500")),
    }
}

/// Every zone that may contain an instance.
pub(crate) async fn zones(app: &App) -> Result<Vec<String>, ApiError> {
    let store = app.store();
    let mut all = BTreeSet::new();
    for account in app.accounts() {
        all.extend(store.catalogues(&account.id).await?.into_iter().map(|c| c.zone));
        all.extend(store.zones(&account.id).await?);
        all.extend(account.profile.zones.iter().cloned());
    }
    Ok(all.into_iter().collect())
}

/// Refuses an unknown zone: an empty list would suggest that the zone exists and is empty.
pub(crate) fn check_zone(zone: &str, known: &[String]) -> Result<(), ApiError> {
    if known.iter().any(|z| z == zone) {
        return Ok(());
    }
    Err(ApiError::parameter("zone", format!("unknown zone; the known zones are {}", known.join(", "))))
}

/// Refuses an `after` that is not an id: an empty page would suggest that there are no more items.
pub(crate) fn check_after(after: Option<&str>, is_id: impl Fn(&str) -> bool) -> Result<(), ApiError> {
    match after {
        Some(after) if !after.is_empty() && !is_id(after) => Err(ApiError::parameter(
            "after",
            "must be the `next` value of the previous page; omit it for the first page",
        )),
        _ => Ok(()),
    }
}

/// Refuses filter values that no row can have and that a database may not accept.
pub(crate) fn check_words(values: &[Option<&str>]) -> Result<(), ApiError> {
    let bad = values.iter().flatten().any(|v| v.len() > 300 || v.chars().any(char::is_control));
    if bad {
        Err(ApiError::invalid("a filter must have at most 300 characters and no control characters"))
    } else {
        Ok(())
    }
}
