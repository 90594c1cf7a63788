//! `/instances`

use super::limit;
use crate::App;
use crate::desire::{self, CreateInstance};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::view::{Instance, InstanceDetail, InstanceProof, NoteView, Page};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::Status;
use inventiv_store::{ActionLog, InstanceFilter, StateChange};
use serde::Deserialize;
use std::collections::BTreeSet;
use utoipa::IntoParams;

/// Filters and page of a list of instances.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListInstances {
    /// Only in this status.
    status: Option<String>,
    /// Only in this zone.
    zone: Option<String>,
    /// Only for this model; `model` will do, too.
    #[serde(alias = "model")]
    model_id: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// From 1 to 500; 100 if left out.
    limit: Option<u32>,
}

/// Ask for an instance
///
/// The wish is written down and carried out at once; follow it with `GET /instances/{id}`.
#[utoipa::path(post, operation_id = "createInstance", path = "/instances", request_body = CreateInstance, tag = "instances",
    responses((status = 202, description = "Written down", body = InstanceDetail)))]
pub(crate) async fn create(
    State(app): State<App>,
    Json(wish): Json<CreateInstance>,
) -> Result<impl IntoResponse, ApiError> {
    let agg = desire::create(&app, wish).await?;
    let location = format!("/instances/{}", agg.instance.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(detail(&app, &agg).await?)))
}

/// List instances
#[utoipa::path(get, operation_id = "listInstances", path = "/instances", params(ListInstances), tag = "instances",
    responses((status = 200, description = "One page, oldest first", body = Page<Instance>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListInstances>,
) -> Result<axum::Json<Page<Instance>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_words(&[query.zone.as_deref(), query.model_id.as_deref(), query.after.as_deref()])?;
    if let Some(zone) = &query.zone {
        super::check_zone(zone, &zones(&app).await?)?;
    }
    let status = query.status.as_deref().map(|s| Status::parse(s).ok_or_else(|| unknown_status(s))).transpose()?;
    let filter =
        InstanceFilter { status, zone: query.zone, model_id: query.model_id, after: query.after, limit: limit + 1 };
    let rows = app.store().instances(&filter).await?;
    Ok(axum::Json(Page::cut(rows, limit, |a| a.instance.id.to_string(), Instance::of)))
}

/// Every zone that may hold an instance.
async fn zones(app: &App) -> Result<Vec<String>, ApiError> {
    let (store, account) = (app.store(), &app.inner.account_id);
    let served = store.catalogues(account).await?.into_iter().map(|c| c.zone);
    let all: BTreeSet<String> =
        served.chain(store.zones(account).await?).chain(app.inner.provider_zones.clone()).collect();
    Ok(all.into_iter().collect())
}

fn unknown_status(_given: &str) -> ApiError {
    let words: Vec<&str> = Status::ALL.iter().map(|s| s.text()).collect();
    ApiError::invalid(format!("status: one of {}", words.join(", ")))
}

/// Show an instance, with every volume
#[utoipa::path(get, operation_id = "getInstance", path = "/instances/{id}", params(("id" = String, Path, description = "The instance's id")),
    tag = "instances", responses((status = 200, description = "The instance", body = InstanceDetail)))]
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<InstanceDetail>, ApiError> {
    let missing = || ApiError::not_found("instance", &id);
    let parsed = InstanceId::parse(&id).ok_or_else(missing)?;
    let agg = app.store().instance(&parsed).await?.ok_or_else(missing)?;
    Ok(axum::Json(detail(&app, &agg).await?))
}

/// Show the evidence of an instance's end
///
/// Every server and volume that it ever had, the calls that made and removed it, and the evidence that it is gone. `clean`
/// is said only when nothing is left to find out.
#[utoipa::path(get, operation_id = "getInstanceProof", path = "/instances/{id}/proof", params(("id" = String, Path, description = "The instance's id")),
    tag = "instances", responses((status = 200, description = "What is known of its end", body = InstanceProof)))]
pub(crate) async fn proof(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<InstanceProof>, ApiError> {
    let missing = || ApiError::not_found("instance", &id);
    let parsed = InstanceId::parse(&id).ok_or_else(missing)?;
    let agg = app.store().instance(&parsed).await?.ok_or_else(missing)?;
    let mut logs: Vec<ActionLog> = Vec::new();
    loop {
        let after = logs.last().map(|l| l.id.to_string());
        let page = app.store().action_logs(Some(&parsed), after.as_deref(), LOGS_PAGE).await?;
        let last = page.len() < LOGS_PAGE as usize;
        logs.extend(page);
        if last {
            return Ok(axum::Json(InstanceProof::of(&agg, &logs, app.now())));
        }
    }
}

/// How many lines of the action log are read at once.
const LOGS_PAGE: u32 = 1_000;

/// Take an instance away, with every volume that goes with it
///
/// Asking twice changes nothing. It is `terminated` once everything is proven gone.
#[utoipa::path(delete, operation_id = "terminateInstance", path = "/instances/{id}", params(("id" = String, Path, description = "The instance's id")),
    tag = "instances", responses((status = 202, description = "Written down", body = InstanceDetail)))]
pub(crate) async fn terminate(State(app): State<App>, Path(id): Path<String>) -> Result<impl IntoResponse, ApiError> {
    let parsed = InstanceId::parse(&id).ok_or_else(|| ApiError::not_found("instance", &id))?;
    let agg = desire::terminate(&app, &parsed).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(detail(&app, &agg).await?)))
}

async fn detail(app: &App, agg: &Aggregate) -> Result<InstanceDetail, ApiError> {
    Ok(shown(app, agg, &app.store().history(&agg.instance.id).await?))
}

/// An instance with everything about it.
pub(crate) fn shown(app: &App, agg: &Aggregate, history: &[StateChange]) -> InstanceDetail {
    let mut shown = InstanceDetail::of(agg, history, app.now());
    if agg.instance.account_id != app.inner.account_id {
        let text = format!(
            "blocked: it belongs to account {}, and this server has credentials for {}; start it with those of its own",
            agg.instance.account_id, app.inner.account_id
        );
        shown.notes = vec![NoteView { text, until: None }];
    }
    shown
}
