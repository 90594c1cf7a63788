//! `/instances`

use super::limit;
use crate::App;
use crate::create_request;
use crate::etag::{self, IfMatch, Tagged, tagged};
use crate::extract::{Draft, Json, Path, Query};
use crate::idempotency::Key;
use crate::mutations;
use crate::problem::ApiError;
use crate::requests;
use crate::resolve;
use crate::view;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::id::InstanceId;
use inventiv_core::next::next;
use inventiv_core::recorded::Aggregate;
use inventiv_core::request::Request;
use inventiv_core::status::{NoteCode, Status};
use inventiv_store::{ActionLog, InstanceFilter, StateChange};
use inventiv_types::{
    ChangeInstance, CreateInstance, Instance, InstanceDetail, InstanceProof, ListInstances, Note, OfAccount, Page,
};

/// Create an instance
///
/// The request is recorded, and the response is sent before anything is created in the cloud. Follow the instance with
/// `GET /instances/{id}` or `GET /events`.
///
/// To retry safely, send an `Idempotency-Key`. A repeated request with the same key creates nothing: the response shows
/// the current state of the first instance and has the header `Idempotent-Replayed: true`. A key is remembered as long
/// as its instance is.
#[utoipa::path(post, operation_id = "createInstance", path = "/instances", tag = "instances",
    request_body = CreateInstance,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "A unique key for each new instance, for instance a UUID: 1 to 255 visible ASCII characters",
        max_length = 255)),
    responses((status = 202, description = "The request was recorded", body = InstanceDetail,
        headers(("Location" = String, description = "The path of the instance"),
            ("Idempotent-Replayed" = Option<bool>,
                description = "`true` if an earlier request with this key created the instance")))))]
pub(crate) async fn create(
    State(app): State<App>,
    Key(key): Key,
    Draft { read: request, errors }: Draft<CreateInstance>,
) -> Result<impl IntoResponse, ApiError> {
    if !errors.is_empty() {
        return Err(ApiError::all(create_request::with_values(&app, &request, errors)));
    }
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
    responses((status = 200, description = "One page of instances, oldest first unless `newest_first`", body = Page<Instance>)))]
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
    let account = query.account.as_deref().map(|named| app.account_of_query(Some(named))).transpose()?;
    let filter = InstanceFilter {
        account_id: account.map(|a| a.id.clone()),
        zone: query.zone,
        model_id: query.model_id,
        after: query.after,
        limit: limit + 1,
        status: None,
        newest_first: query.newest_first == Some(true),
    };
    let mut rows = Vec::new();
    // The database index is by status, so each status is one query.
    for status in &statuses {
        rows.extend(app.store().instances(&InstanceFilter { status: *status, ..filter.clone() }).await?);
    }
    rows.sort_by(|a, b| a.instance.id.cmp(&b.instance.id));
    if filter.newest_first {
        rows.reverse();
    }
    rows.dedup_by(|a, b| a.instance.id == b.instance.id);
    rows.truncate(limit as usize + 1);
    Ok(axum::Json(view::page(
        rows,
        limit,
        |a| a.instance.id.to_string(),
        |a| view::instance(a, &app.storage_prices(&a.instance.account_id, &a.instance.zone)),
    )))
}

/// The requested statuses; `None`: any.
fn statuses(text: Option<&str>) -> Result<Vec<Option<Status>>, ApiError> {
    let Some(text) = text else { return Ok(vec![None]) };
    let unknown = || {
        let words: Vec<&str> = Status::ALL.iter().map(|s| s.text()).collect();
        ApiError::parameter("status", format!("must be one or several, separated by commas, of {}", words.join(", ")))
    };
    let asked: Vec<Status> = text.split(',').map(|w| Status::parse(w).ok_or_else(unknown)).collect::<Result<_, _>>()?;
    // Each once, in life cycle order: an instance that advances during the reads is not missed.
    Ok(Status::ALL.iter().filter(|s| asked.contains(s)).map(|s| Some(*s)).collect())
}

/// Show an instance
///
/// The response contains every volume that the instance has or had.
#[utoipa::path(get, operation_id = "getInstance", path = "/instances/{id}", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name")),
    responses((status = 200, description = "The instance", body = InstanceDetail,
        headers(("ETag" = String, description = "The version of the instance, for `If-Match`")))))]
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(of): Query<OfAccount>,
) -> Result<Tagged<InstanceDetail>, ApiError> {
    let parsed = resolve::instance(&app, &id, of.account.as_deref()).await?;
    let agg = app.store().instance(&parsed).await?.ok_or_else(|| ApiError::not_found("instance", &id))?;
    Ok(tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?))
}

/// Show the proof of an instance's end
///
/// Lists every server and volume that the instance ever had, the calls that created and removed each, and the evidence
/// that it is gone. `clean` is true only if nothing is open.
#[utoipa::path(get, operation_id = "getInstanceProof", path = "/instances/{id}/proof", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name")),
    responses((status = 200, description = "The evidence, as of now", body = InstanceProof)))]
pub(crate) async fn proof(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(of): Query<OfAccount>,
) -> Result<axum::Json<InstanceProof>, ApiError> {
    let parsed = resolve::instance(&app, &id, of.account.as_deref()).await?;
    let agg = app.store().instance(&parsed).await?.ok_or_else(|| ApiError::not_found("instance", &id))?;
    let mut logs: Vec<ActionLog> = Vec::new();
    loop {
        let after = logs.last().map(|l| l.id.to_string());
        let page = app.store().action_logs(Some(&parsed), after.as_deref(), LOGS_PAGE).await?;
        let last = page.len() < LOGS_PAGE as usize;
        logs.extend(page);
        if last {
            return Ok(axum::Json(view::instance_proof(
                &agg,
                &logs,
                &app.storage_prices(&agg.instance.account_id, &agg.instance.zone),
                app.now(),
            )));
        }
    }
}

/// How many lines of the action log are read per query.
const LOGS_PAGE: u32 = 1_000;

/// Terminate an instance
///
/// Removes the server, and every volume with `delete_on_terminate`. The request is idempotent. The status is
/// `terminating` until everything that should be deleted is proven gone, then `terminated`.
#[utoipa::path(delete, operation_id = "terminateInstance", path = "/instances/{id}", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the instance has changed since, the request fails with 412")),
    responses((status = 202, description = "The request was recorded", body = InstanceDetail)))]
pub(crate) async fn terminate(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(of): Query<OfAccount>,
    read: IfMatch,
) -> Result<impl IntoResponse, ApiError> {
    let parsed = resolve::instance(&app, &id, of.account.as_deref()).await?;
    let agg = requests::record(&app, &parsed, Request::Terminate, &read, None).await?;
    Ok((StatusCode::ACCEPTED, tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?)))
}

/// Rename an instance
///
/// Refused once the instance has ended.
#[utoipa::path(patch, operation_id = "updateInstance", path = "/instances/{id}", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the instance has changed since, the request fails with 412")),
    request_body = ChangeInstance,
    responses((status = 200, description = "The changed instance", body = InstanceDetail)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(of): Query<OfAccount>,
    read: IfMatch,
    Json(change): Json<ChangeInstance>,
) -> Result<Tagged<InstanceDetail>, ApiError> {
    let parsed = resolve::instance(&app, &id, of.account.as_deref()).await?;
    let agg = mutations::rename(&app, &parsed, &change.name, &read).await?;
    Ok(tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?))
}

pub(crate) async fn detail(app: &App, agg: &Aggregate) -> Result<InstanceDetail, ApiError> {
    Ok(shown(app, agg, &app.store().history(&agg.instance.id).await?))
}

/// The detailed representation of an instance.
pub(crate) fn shown(app: &App, agg: &Aggregate, history: &[StateChange]) -> InstanceDetail {
    let account = &agg.instance.account_id;
    let next = app.profile(account).map(|profile| next(agg, profile, app.now())).unwrap_or_default();
    let prices = app.storage_prices(account, &agg.instance.zone);
    let mut shown = view::detail(agg, history, next, &prices, app.now());
    if app.account_of(&agg.instance.account_id).is_none() {
        let ids: Vec<&str> = app.accounts().iter().map(|a| a.id.as_str()).collect();
        let text = format!(
            "blocked: the instance belongs to account {}, and this control plane has credentials for {}; start it with \
             those of that account",
            agg.instance.account_id,
            ids.join(", ")
        );
        shown.notes = vec![Note { code: NoteCode::Credentials, text, until: None }];
    }
    shown
}
