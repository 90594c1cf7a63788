//! `/offers`

use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::view;
use axum::extract::State;
use inventiv_types::{ListOffers, Offer, Page};

/// List server types with prices and availability
#[utoipa::path(get, operation_id = "listOffers", path = "/offers", params(ListOffers), tag = "offers",
    responses((status = 200, description = "All offers, sorted by zone and price", body = Page<Offer>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListOffers>,
) -> Result<axum::Json<Page<Offer>>, ApiError> {
    super::check_words(&[query.zone.as_deref()])?;
    let account = app.account_of_query(query.account.as_deref())?;
    if let Some(zone) = &query.zone {
        let served: Vec<String> = app.store().catalogues(&account.id).await?.into_iter().map(|c| c.zone).collect();
        super::check_zone(zone, &served)?;
    }
    let offers = app.store().offers(&account.id, query.zone.as_deref()).await?;
    let wanted = offers.iter().filter(|o| query.gpu.is_none_or(|gpu| gpu == (o.gpu_count > 0)));
    Ok(axum::Json(Page { items: wanted.map(view::offer).collect(), next: None }))
}
