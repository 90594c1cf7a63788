//! `/models`. An id has a slash; in a path it may stand as `%2F` or as itself.

use super::limit;
use crate::App;
use crate::create_request::is_model_id;
use crate::etag::{self, IfMatch, Tagged, tagged};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::view::{ModelView, Page};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::model_id;
use inventiv_core::volume_size::MAX_GB;
use inventiv_core::worker_storage::{self, Recommendation};
use inventiv_store::Model;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Page of a list of models.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListModels {
    /// `next` of the page before.
    after: Option<String>,
    /// From 1 to 500; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A new model.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateModel {
    /// Its id, as on the hub.
    id: String,
    /// Its data volume in GB; 0: none; left out: as recommended.
    data_volume_gb: Option<i64>,
}

/// A change of a model.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeModel {
    /// Its data volume in GB; 0: none; `null`: as recommended.
    #[serde(deserialize_with = "present")]
    #[schema(required = true)]
    data_volume_gb: Option<i64>,
}

/// A field that must be there and may be `null`.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Option::deserialize(d)
}

/// How large a data volume a model needs, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecommendedDataVolume {
    /// The model.
    model_id: String,
    /// In GB; `null`: the id says nothing about its size.
    data_volume_gb: Option<i64>,
    /// Why, in one sentence.
    reason: String,
    /// The terms.
    terms: Option<Terms>,
}

/// What a recommendation was computed from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Terms {
    /// Parameters in millions, all experts included.
    parameters_millions: i64,
    /// Where they come from.
    parameters_from: String,
    /// How many experts of which size, if the id says so.
    mixture: Option<String>,
    /// How the weights are stored.
    format: String,
    /// Where that comes from.
    format_from: String,
    /// Hundredths of a bit for each parameter.
    bits_per_weight_x100: i64,
    /// Size of the weights in bytes.
    weights_bytes: i64,
    /// System, images and caches, in bytes.
    base_bytes: i64,
    /// How many times the weights are counted.
    weights_factor: i64,
}

impl Terms {
    fn of(r: &Recommendation) -> Self {
        Self {
            parameters_millions: r.parameters_millions,
            parameters_from: r.parameters_from.clone(),
            mixture: r.mixture.clone(),
            format: r.format.name.clone(),
            format_from: r.format_from.clone(),
            bits_per_weight_x100: r.format.bits_per_weight_x100,
            weights_bytes: r.weights_bytes,
            base_bytes: r.base_bytes,
            weights_factor: r.weights_factor,
        }
    }
}

fn check_gb(gb: Option<i64>) -> Result<(), ApiError> {
    match gb {
        Some(gb) if !(0..=MAX_GB).contains(&gb) => {
            Err(ApiError::field("data_volume_gb", format!("a whole number from 0 (none) to {MAX_GB}, or null")))
        }
        _ => Ok(()),
    }
}

/// List models
#[utoipa::path(get, operation_id = "listModels", path = "/models", params(ListModels), tag = "models",
    responses((status = 200, description = "One page, by id", body = Page<ModelView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListModels>,
) -> Result<axum::Json<Page<ModelView>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_after(query.after.as_deref(), is_model_id)?;
    let rows = app.store().models(query.after.as_deref(), limit + 1).await?;
    Ok(axum::Json(Page::cut(rows, limit, |m| m.id.clone(), ModelView::of)))
}

/// Add a model
#[utoipa::path(post, operation_id = "createModel", path = "/models", request_body = CreateModel, tag = "models",
    responses((status = 201, description = "Added", body = ModelView)))]
pub(crate) async fn create(
    State(app): State<App>,
    Json(new): Json<CreateModel>,
) -> Result<impl IntoResponse, ApiError> {
    if !is_model_id(&new.id) {
        return Err(ApiError::field("id", model_id::LOOKS_LIKE));
    }
    check_gb(new.data_volume_gb)?;
    let now = app.now();
    let model = Model { id: new.id, data_volume_gb: new.data_volume_gb, created_at: now, updated_at: now };
    app.store().add_model(&model).await?;
    let location = format!("/models/{}", model.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(ModelView::of(&model))))
}

/// Show a model
#[utoipa::path(get, operation_id = "getModel", path = "/models/{id}", params(("id" = String, Path, description = "The model's id")), tag = "models",
    responses((status = 200, description = "The model", body = ModelView)))]
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Tagged<ModelView>, ApiError> {
    Ok(shown(&find(&app, &id).await?))
}

fn shown(model: &Model) -> Tagged<ModelView> {
    let view = ModelView::of(model);
    tagged(etag::of(&view), view)
}

async fn find(app: &App, id: &str) -> Result<Model, ApiError> {
    let missing = || ApiError::not_found("model", id);
    if !is_model_id(id) {
        return Err(missing());
    }
    app.store().model(id).await?.ok_or_else(missing)
}

/// Change a model
#[utoipa::path(patch, operation_id = "updateModel", path = "/models/{id}", params(("id" = String, Path, description = "The model's id")),
    request_body = ChangeModel, tag = "models",
    responses((status = 200, description = "The model as it is now", body = ModelView)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
    Json(change): Json<ChangeModel>,
) -> Result<Tagged<ModelView>, ApiError> {
    check_gb(change.data_volume_gb)?;
    find(&app, &id).await?;
    let changed = app
        .store()
        .change_model(&id, app.now(), |model| {
            read.check(&etag::of(&ModelView::of(model)))?;
            model.data_volume_gb = change.data_volume_gb;
            Ok::<_, ApiError>(())
        })
        .await?;
    changed.as_ref().map(shown).ok_or_else(|| ApiError::not_found("model", &id))
}

/// Remove a model; instances that serve it stay
#[utoipa::path(delete, operation_id = "deleteModel", path = "/models/{id}", params(("id" = String, Path, description = "The model's id")), tag = "models",
    responses((status = 204, description = "Removed")))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
) -> Result<StatusCode, ApiError> {
    loop {
        let model = find(&app, &id).await?;
        read.check(&etag::of(&ModelView::of(&model)))?;
        if app.store().drop_model(&model).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}

/// Say how large a data volume a model needs, and why
///
/// The model need not have been added.
#[utoipa::path(get, operation_id = "recommendDataVolume", path = "/models/{id}/recommended-data-volume",
    params(("id" = String, Path, description = "The model's id")), tag = "models",
    responses((status = 200, description = "The recommendation with its terms", body = RecommendedDataVolume)))]
pub(crate) async fn recommend(Path(id): Path<String>) -> Result<axum::Json<RecommendedDataVolume>, ApiError> {
    if !is_model_id(&id) {
        return Err(ApiError::invalid(format!("id: {}", model_id::LOOKS_LIKE)));
    }
    let found = worker_storage::recommended_data_volume_gb(&id);
    let reason = found.as_ref().map_or_else(
        || {
            "the id says nothing about its size: it needs a `data_volume_gb`, the model's own or the request's"
                .to_owned()
        },
        |r| {
            let gb = |bytes| inventiv_core::size::gb_ceil(bytes);
            format!(
                "{} GB + {} × {} GB of weights, rounded up to {} GB",
                gb(r.base_bytes),
                r.weights_factor,
                gb(r.weights_bytes),
                worker_storage::STEP_GB
            )
        },
    );
    Ok(axum::Json(RecommendedDataVolume {
        data_volume_gb: found.as_ref().map(|r| r.data_volume_gb),
        terms: found.as_ref().map(Terms::of),
        model_id: id,
        reason,
    }))
}

fn joined(Path((owner, name)): Path<(String, String)>) -> Path<String> {
    Path(format!("{owner}/{name}"))
}

pub(crate) async fn show_two(state: State<App>, path: Path<(String, String)>) -> Result<Tagged<ModelView>, ApiError> {
    show(state, joined(path)).await
}

pub(crate) async fn change_two(
    state: State<App>,
    path: Path<(String, String)>,
    read: IfMatch,
    body: Json<ChangeModel>,
) -> Result<Tagged<ModelView>, ApiError> {
    change(state, joined(path), read, body).await
}

pub(crate) async fn remove_two(
    state: State<App>,
    path: Path<(String, String)>,
    read: IfMatch,
) -> Result<StatusCode, ApiError> {
    remove(state, joined(path), read).await
}

pub(crate) async fn recommend_two(path: Path<(String, String)>) -> Result<axum::Json<RecommendedDataVolume>, ApiError> {
    recommend(joined(path)).await
}
