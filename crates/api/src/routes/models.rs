//! `/models`. A model id contains a slash; in a path, it may be written as `%2F` or as `/`.

use super::limit;
use crate::App;
use crate::create_request::is_model_id;
use crate::etag::{self, IfMatch, Tagged, tagged};
use crate::extract::{Json, Path, Query};
use crate::idempotency::NewId;
use crate::problem::ApiError;
use crate::view;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use inventiv_core::engine::{Engine, MAX_CONTEXT_TOKENS};
use inventiv_core::model_id;
use inventiv_core::volume_size::MAX_GB;
use inventiv_core::worker_storage::{self, Recommendation};
use inventiv_store::{Catalogue, Error};
use inventiv_types::{
    ChangeModel, CreateModel, FitEngine, FitQuery, ListModels, Model, ModelFit, Page, RecommendedDataVolume, Terms,
};

fn terms(r: &Recommendation) -> Terms {
    Terms {
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

fn check_gb(gb: Option<i64>) -> Result<(), ApiError> {
    match gb {
        Some(gb) if !(0..=MAX_GB).contains(&gb) => {
            Err(ApiError::field("data_volume_gb", format!("must be a whole number from 0 (none) to {MAX_GB}, or null")))
        }
        _ => Ok(()),
    }
}

/// List models
#[utoipa::path(get, operation_id = "listModels", path = "/models", params(ListModels), tag = "models",
    responses((status = 200, description = "One page of models, sorted by id", body = Page<Model>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListModels>,
) -> Result<axum::Json<Page<Model>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_after(query.after.as_deref(), is_model_id)?;
    let rows = app.store().models(query.after.as_deref(), limit + 1).await?;
    Ok(axum::Json(view::page(rows, limit, |m| m.id.clone(), view::model)))
}

/// Add a model
///
/// A model needs to be added only to set the size of its data volume.
#[utoipa::path(post, operation_id = "createModel", path = "/models", request_body = CreateModel, tag = "models",
    responses((status = 201, description = "The model was added", body = Model)))]
pub(crate) async fn create(
    State(app): State<App>,
    id: NewId,
    Json(new): Json<CreateModel>,
) -> Result<impl IntoResponse, ApiError> {
    if !is_model_id(&new.id) {
        return Err(ApiError::field("id", model_id::LOOKS_LIKE));
    }
    check_gb(new.data_volume_gb)?;
    let now = app.now();
    let model =
        inventiv_store::Model { id: new.id, data_volume_gb: new.data_volume_gb, created_at: now, updated_at: now };
    match app.store().add_model(&model).await {
        // The same request was carried out before, and its response was lost.
        Err(Error::Duplicate(_)) if id.is_repeated() && is_recorded_as(&app, &model).await? => {}
        written => written?,
    }
    let location = format!("/models/{}", model.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(view::model(&model))))
}

/// Whether a model is recorded as it should be added.
async fn is_recorded_as(app: &App, new: &inventiv_store::Model) -> Result<bool, ApiError> {
    let known = app.store().model(&new.id).await?;
    Ok(known.is_some_and(|known| known.data_volume_gb == new.data_volume_gb))
}

/// Show a model
#[utoipa::path(get, operation_id = "getModel", path = "/models/{id}", tag = "models",
    params(("id" = String, Path, description = "The id of the model")),
    responses((status = 200, description = "The model", body = Model)))]
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Tagged<Model>, ApiError> {
    Ok(shown(&find(&app, &id).await?))
}

fn shown(model: &inventiv_store::Model) -> Tagged<Model> {
    let view = view::model(model);
    tagged(etag::of(&view), view)
}

async fn find(app: &App, id: &str) -> Result<inventiv_store::Model, ApiError> {
    let missing = || ApiError::not_found("model", id);
    if !is_model_id(id) {
        return Err(missing());
    }
    app.store().model(id).await?.ok_or_else(missing)
}

/// Change a model
#[utoipa::path(patch, operation_id = "updateModel", path = "/models/{id}", tag = "models",
    params(("id" = String, Path, description = "The id of the model")), request_body = ChangeModel,
    responses((status = 200, description = "The changed model", body = Model)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
    Json(change): Json<ChangeModel>,
) -> Result<Tagged<Model>, ApiError> {
    check_gb(change.data_volume_gb)?;
    find(&app, &id).await?;
    let changed = app
        .store()
        .change_model(&id, app.now(), |model| {
            read.check(&etag::of(&view::model(model)))?;
            model.data_volume_gb = change.data_volume_gb;
            Ok::<_, ApiError>(())
        })
        .await?;
    changed.as_ref().map(shown).ok_or_else(|| ApiError::not_found("model", &id))
}

/// Remove a model
///
/// Instances for the model are not affected.
#[utoipa::path(delete, operation_id = "deleteModel", path = "/models/{id}", tag = "models",
    params(("id" = String, Path, description = "The id of the model")),
    responses((status = 204, description = "The model was removed")))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
) -> Result<StatusCode, ApiError> {
    loop {
        let model = find(&app, &id).await?;
        read.check(&etag::of(&view::model(&model)))?;
        if app.store().drop_model(&model).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}

/// Recommend the size of a model's data volume
///
/// The size is computed from the model's id. The model need not have been added.
#[utoipa::path(get, operation_id = "recommendDataVolume", path = "/models/{id}/recommended-data-volume",
    params(("id" = String, Path, description = "The id of the model")), tag = "models",
    responses((status = 200, description = "The recommendation with its terms", body = RecommendedDataVolume)))]
pub(crate) async fn recommend(Path(id): Path<String>) -> Result<axum::Json<RecommendedDataVolume>, ApiError> {
    if !is_model_id(&id) {
        return Err(ApiError::invalid(format!("id: {}", model_id::LOOKS_LIKE)));
    }
    let found = worker_storage::recommended_data_volume_gb(&id);
    let reason = found.as_ref().map_or_else(
        || {
            "the id does not contain the size of the model: set `data_volume_gb` for the model or in the request"
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
        terms: found.as_ref().map(terms),
        model_id: id,
        reason,
    }))
}

/// Show which server types a model fits
///
/// The weights, the cache for one request and the overhead of the engine are estimated from the model's id, and compared
/// with the memory of the type's GPUs. The model need not have been added. `POST /instances` refuses a type that the
/// model does not fit.
#[utoipa::path(get, operation_id = "fitModel", path = "/models/{id}/fit",
    params(("id" = String, Path, description = "The id of the model"), FitQuery), tag = "models",
    responses((status = 200, description = "The answer for each type, the cheapest first", body = ModelFit)))]
pub(crate) async fn fit(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<FitQuery>,
) -> Result<axum::Json<ModelFit>, ApiError> {
    if !is_model_id(&id) {
        return Err(ApiError::invalid(format!("id: {}", model_id::LOOKS_LIKE)));
    }
    super::check_words(&[query.zone.as_deref(), query.instance_type.as_deref()])?;
    if query.context_tokens.is_some_and(|n| !(1..=MAX_CONTEXT_TOKENS).contains(&n)) {
        let text = format!("must be a whole number from 1 to {MAX_CONTEXT_TOKENS}");
        return Err(ApiError::parameter("context_tokens", text));
    }
    let account = app.account_of_query(query.account.as_deref())?;
    let catalogues = app.store().catalogues(&account.id).await?;
    if let Some(zone) = &query.zone {
        let served: Vec<String> = catalogues.iter().map(|c| c.zone.clone()).collect();
        super::check_zone(zone, &served)?;
    }
    // Without a catalogue, no type would seem to fit.
    let wanted = |c: &&Catalogue| query.zone.as_ref().is_none_or(|zone| *zone == c.zone);
    if catalogues.iter().filter(wanted).all(|c| c.refreshed_at.is_none()) {
        let text = "the provider's catalogue has not been read yet; try again in a moment";
        return Err(ApiError::unavailable(text));
    }
    let mut offers = app.store().offers(&account.id, query.zone.as_deref()).await?;
    match &query.instance_type {
        Some(wanted) => offers.retain(|o| o.instance_type == *wanted),
        None => offers.retain(|o| o.gpu_count > 0),
    }
    if let (Some(wanted), true) = (&query.instance_type, offers.is_empty()) {
        return Err(ApiError::parameter("instance_type", format!("`{wanted}` is not offered; see `GET /offers`")));
    }
    offers
        .sort_by(|a, b| (a.price.micros, &a.instance_type, &a.zone).cmp(&(b.price.micros, &b.instance_type, &b.zone)));
    let engine = Engine::choose(&id, query.engine, query.context_tokens);
    let types = offers.iter().map(|o| view::type_fit(o, inventiv_core::fit::fit(&id, engine, o))).collect();
    Ok(axum::Json(ModelFit {
        model_id: id,
        engine: FitEngine { kind: engine.kind, context_tokens: engine.context_tokens },
        types,
    }))
}

fn joined(Path((owner, name)): Path<(String, String)>) -> Path<String> {
    Path(format!("{owner}/{name}"))
}

pub(crate) async fn show_two(state: State<App>, path: Path<(String, String)>) -> Result<Tagged<Model>, ApiError> {
    show(state, joined(path)).await
}

pub(crate) async fn change_two(
    state: State<App>,
    path: Path<(String, String)>,
    read: IfMatch,
    body: Json<ChangeModel>,
) -> Result<Tagged<Model>, ApiError> {
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

pub(crate) async fn fit_two(
    state: State<App>,
    path: Path<(String, String)>,
    query: Query<FitQuery>,
) -> Result<axum::Json<ModelFit>, ApiError> {
    fit(state, joined(path), query).await
}
