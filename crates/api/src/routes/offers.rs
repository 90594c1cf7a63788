//! `/offers`

use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::view::{OfferView, Page};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// The filters of a list of offers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListOffers {
    /// The account, by name or id. Required only if the control plane works in several accounts.
    account: Option<String>,
    /// Only offers in this zone.
    zone: Option<String>,
    /// `true`: only types with GPUs. `false`: only types without GPUs.
    gpu: Option<bool>,
}

/// List server types with prices and availability
#[utoipa::path(get, operation_id = "listOffers", path = "/offers", params(ListOffers), tag = "offers",
    responses((status = 200, description = "All offers, sorted by zone and price", body = Page<OfferView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListOffers>,
) -> Result<axum::Json<Page<OfferView>>, ApiError> {
    super::check_words(&[query.zone.as_deref()])?;
    let account = app.account_of_query(query.account.as_deref())?;
    if let Some(zone) = &query.zone {
        let served: Vec<String> = app.store().catalogues(&account.id).await?.into_iter().map(|c| c.zone).collect();
        super::check_zone(zone, &served)?;
    }
    let offers = app.store().offers(&account.id, query.zone.as_deref()).await?;
    let wanted = offers.iter().filter(|o| query.gpu.is_none_or(|gpu| gpu == (o.gpu_count > 0)));
    Ok(axum::Json(Page { items: wanted.map(OfferView::of).collect(), next: None }))
}
