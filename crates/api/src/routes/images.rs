//! `/images`

use crate::App;
use crate::extract::Query;
use crate::images;
use crate::problem::ApiError;
use crate::view::{ImageView, Page};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which images.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListImages {
    /// In this account, by its name or id; needed only where there are several.
    account: Option<String>,
    /// In this zone.
    #[param(example = "fr-par-2")]
    zone: String,
    /// Only those that fit this server type.
    #[param(example = "L40S-1-48G")]
    instance_type: Option<String>,
}

/// List images that servers can be made from
///
/// The provider is asked, and its answer kept for 10 minutes.
#[utoipa::path(get, operation_id = "listImages", path = "/images", params(ListImages), tag = "offers",
    responses((status = 200, description = "All of them, by label", body = Page<ImageView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListImages>,
) -> Result<axum::Json<Page<ImageView>>, ApiError> {
    super::check_words(&[Some(&query.zone), query.instance_type.as_deref()])?;
    let store = app.store();
    let account = app.account_of_query(query.account.as_deref())?;
    let served: Vec<String> = store.catalogues(&account.id).await?.into_iter().map(|c| c.zone).collect();
    super::check_zone(&query.zone, &served)?;
    if let Some(kind) = &query.instance_type
        && store.offer(&account.id, &query.zone, kind).await?.is_none()
    {
        let text = format!("there is no such type in {}; `GET /offers` lists them", query.zone);
        return Err(ApiError::parameter("instance_type", text));
    }
    let found = images::of_zone(account, &query.zone, query.instance_type.as_deref()).await?;
    Ok(axum::Json(Page { items: found.into_iter().map(|i| ImageView::of(i, &query.zone)).collect(), next: None }))
}
