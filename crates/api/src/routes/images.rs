//! `/images`

use crate::App;
use crate::extract::Query;
use crate::images;
use crate::problem::ApiError;
use crate::view;
use axum::extract::State;
use inventiv_types::{Image, ListImages, Page};

/// List images
///
/// The list comes from the provider and is cached for 10 minutes.
#[utoipa::path(get, operation_id = "listImages", path = "/images", params(ListImages), tag = "offers",
    responses((status = 200, description = "All images of the zone, sorted by label", body = Page<Image>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListImages>,
) -> Result<axum::Json<Page<Image>>, ApiError> {
    super::check_words(&[Some(&query.zone), query.instance_type.as_deref()])?;
    let store = app.store();
    let account = app.account_of_query(query.account.as_deref())?;
    let served: Vec<String> = store.catalogues(&account.id).await?.into_iter().map(|c| c.zone).collect();
    super::check_zone(&query.zone, &served)?;
    if let Some(kind) = &query.instance_type
        && store.offer(&account.id, &query.zone, kind).await?.is_none()
    {
        let text = format!("unknown type in {}; `GET /offers` lists the types", query.zone);
        return Err(ApiError::parameter("instance_type", text));
    }
    let found = images::of_zone(account, &query.zone, query.instance_type.as_deref()).await?;
    Ok(axum::Json(Page { items: found.into_iter().map(|i| view::image(i, &query.zone)).collect(), next: None }))
}
