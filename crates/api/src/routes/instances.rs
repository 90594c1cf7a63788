//! `/instances`

use super::limit;
use crate::App;
use crate::create_request::CreateInstance;
use crate::etag::{self, IfMatch, Tagged, tagged};
use crate::extract::{Json, Path, Query};
use crate::idempotency::Key;
use crate::mutations;
use crate::problem::ApiError;
use crate::resolve;
use crate::view::{Instance, InstanceDetail, InstanceProof, NoteView, Page};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::{NoteCode, Status};
use inventiv_store::{ActionLog, InstanceFilter, StateChange};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Filters and page of a list of instances.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListInstances {
    /// Only in this status, or in one of several with commas between: `ready,booting`.
    status: Option<String>,
    /// Only in this zone.
    zone: Option<String>,
    /// Only for this model; `model` will do, too.
    #[serde(alias = "model")]
    model_id: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// From 1 to 500; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Ask for an instance
///
/// The request is written down and carried out at once; follow it with `GET /instances/{id}`. Sent again with the same
/// `Idempotency-Key`, it makes no second one: the first is shown as it stands now, with the header `Idempotent-Replayed: true`.
/// A key is remembered for as long as its instance is.
#[utoipa::path(post, operation_id = "createInstance", path = "/instances", request_body = CreateInstance, tag = "instances",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, new for each instance", max_length = 255)),
    responses((status = 202, description = "Written down", body = InstanceDetail,
        headers(("Location" = String, description = "The instance's path"), ("Idempotent-Replayed" = Option<bool>, description = "An earlier request with this key made it")))))]
pub(crate) async fn create(
    State(app): State<App>,
    Key(key): Key,
    Json(request): Json<CreateInstance>,
) -> Result<impl IntoResponse, ApiError> {
    let made = mutations::create(&app, request, key.as_deref()).await?;
    let location = format!("/instances/{}", made.agg.instance.id);
    let shown = axum::Json(detail(&app, &made.agg).await?);
    let mut answer = (StatusCode::ACCEPTED, [(header::LOCATION, location)], shown).into_response();
    if made.replayed {
        answer.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// List instances
#[utoipa::path(get, operation_id = "listInstances", path = "/instances", params(ListInstances), tag = "instances",
    responses((status = 200, description = "One page, oldest first", body = Page<Instance>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListInstances>,
) -> Result<axum::Json<Page<Instance>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_words(&[query.zone.as_deref(), query.model_id.as_deref()])?;
    super::check_after(query.after.as_deref(), |id| InstanceId::parse(id).is_some())?;
    if let Some(zone) = &query.zone {
        super::check_zone(zone, &super::zones(&app).await?)?;
    }
    let statuses = statuses(query.status.as_deref())?;
    let filter = InstanceFilter {
        zone: query.zone,
        model_id: query.model_id,
        after: query.after,
        limit: limit + 1,
        status: None,
    };
    let mut rows = Vec::new();
    // Each status has an index of its own.
    for status in &statuses {
        rows.extend(app.store().instances(&InstanceFilter { status: *status, ..filter.clone() }).await?);
    }
    rows.sort_by(|a, b| a.instance.id.cmp(&b.instance.id));
    rows.dedup_by(|a, b| a.instance.id == b.instance.id);
    rows.truncate(limit as usize + 1);
    Ok(axum::Json(Page::cut(
        rows,
        limit,
        |a| a.instance.id.to_string(),
        |a| Instance::of(a, app.storage_prices(&a.instance.account_id)),
    )))
}

/// The statuses that are asked for; `None`: any.
fn statuses(text: Option<&str>) -> Result<Vec<Option<Status>>, ApiError> {
    let Some(text) = text else { return Ok(vec![None]) };
    let unknown = || {
        let words: Vec<&str> = Status::ALL.iter().map(|s| s.text()).collect();
        ApiError::parameter("status", format!("one or several (with commas) of {}", words.join(", ")))
    };
    let asked: Vec<Status> = text.split(',').map(|w| Status::parse(w).ok_or_else(unknown)).collect::<Result<_, _>>()?;
    // Each once, in the order of a life: what moves on while they are read is met again.
    Ok(Status::ALL.iter().filter(|s| asked.contains(s)).map(|s| Some(*s)).collect())
}

/// Show an instance, with every volume
#[utoipa::path(get, operation_id = "getInstance", path = "/instances/{id}", params(("id" = String, Path, description = "The instance's id, a unique beginning of it, or its name")),
    tag = "instances", responses((status = 200, description = "The instance", body = InstanceDetail, headers(("ETag" = String, description = "For `If-Match`")))))]
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Tagged<InstanceDetail>, ApiError> {
    let parsed = resolve::instance(&app, &id).await?;
    let agg = app.store().instance(&parsed).await?.ok_or_else(|| ApiError::not_found("instance", &id))?;
    Ok(tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?))
}

/// Show the evidence of an instance's end
///
/// Every server and volume that it ever had, the calls that made and removed it, and the evidence that it is gone. `clean`
/// is said only when nothing is left to find out.
#[utoipa::path(get, operation_id = "getInstanceProof", path = "/instances/{id}/proof", params(("id" = String, Path, description = "The instance's id, a unique beginning of it, or its name")),
    tag = "instances", responses((status = 200, description = "What is known of its end", body = InstanceProof)))]
pub(crate) async fn proof(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<InstanceProof>, ApiError> {
    let parsed = resolve::instance(&app, &id).await?;
    let agg = app.store().instance(&parsed).await?.ok_or_else(|| ApiError::not_found("instance", &id))?;
    let mut logs: Vec<ActionLog> = Vec::new();
    loop {
        let after = logs.last().map(|l| l.id.to_string());
        let page = app.store().action_logs(Some(&parsed), after.as_deref(), LOGS_PAGE).await?;
        let last = page.len() < LOGS_PAGE as usize;
        logs.extend(page);
        if last {
            return Ok(axum::Json(InstanceProof::of(
                &agg,
                &logs,
                app.storage_prices(&agg.instance.account_id),
                app.now(),
            )));
        }
    }
}

/// How many lines of the action log are read at once.
const LOGS_PAGE: u32 = 1_000;

/// Take an instance away, with every volume that goes with it
///
/// Asking twice changes nothing. It is `terminated` once everything is proven gone.
#[utoipa::path(delete, operation_id = "terminateInstance", path = "/instances/{id}", params(("id" = String, Path, description = "The instance's id, a unique beginning of it, or its name"), ("If-Match" = Option<String>, Header, description = "The `ETag` of what you read: 412 if it is not so any more")),
    tag = "instances", responses((status = 202, description = "Written down", body = InstanceDetail)))]
pub(crate) async fn terminate(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
) -> Result<impl IntoResponse, ApiError> {
    let parsed = resolve::instance(&app, &id).await?;
    let agg = mutations::terminate(&app, &parsed, &read).await?;
    Ok((StatusCode::ACCEPTED, tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?)))
}

/// What can be changed of an instance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeInstance {
    /// Its new name, which no other instance that lives may have.
    #[schema(min_length = 1, max_length = 100, example = "qwen-2")]
    name: String,
}

/// Give an instance another name
#[utoipa::path(patch, operation_id = "updateInstance", path = "/instances/{id}", request_body = ChangeInstance,
    params(("id" = String, Path, description = "The instance's id, a unique beginning of it, or its name"), ("If-Match" = Option<String>, Header, description = "The `ETag` of what you read: 412 if it is not so any more")),
    tag = "instances", responses((status = 200, description = "The instance as it is now", body = InstanceDetail)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
    Json(change): Json<ChangeInstance>,
) -> Result<Tagged<InstanceDetail>, ApiError> {
    let parsed = resolve::instance(&app, &id).await?;
    let agg = mutations::rename(&app, &parsed, &change.name, &read).await?;
    Ok(tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?))
}

async fn detail(app: &App, agg: &Aggregate) -> Result<InstanceDetail, ApiError> {
    Ok(shown(app, agg, &app.store().history(&agg.instance.id).await?))
}

/// An instance with everything about it.
pub(crate) fn shown(app: &App, agg: &Aggregate, history: &[StateChange]) -> InstanceDetail {
    let mut shown = InstanceDetail::of(agg, history, app.storage_prices(&agg.instance.account_id), app.now());
    if app.account_of(&agg.instance.account_id).is_none() {
        let ids: Vec<&str> = app.accounts().iter().map(|a| a.id.as_str()).collect();
        let text = format!(
            "blocked: it belongs to account {}, and this control plane has credentials for {}; start it with those of its own",
            agg.instance.account_id,
            ids.join(", ")
        );
        shown.notes = vec![NoteView { code: NoteCode::Credentials.to_string(), text, until: None }];
    }
    shown
}
