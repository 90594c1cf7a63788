//! The server type of a request, in the catalogue of its zone.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::offer::{Availability, Offer};
use inventiv_types::CreateInstance;

/// The offer that a request names. A refusal says what is offered, or when to try again.
pub(crate) async fn find(app: &App, account: &str, request: &CreateInstance) -> Result<Offer, ApiError> {
    let catalogues = app.store().catalogues(account).await?;
    if catalogues.is_empty() {
        return Err(ApiError::unavailable(
            "the provider's catalogue is being read for the first time; try again in a moment",
        ));
    }
    let Some(catalogue) = catalogues.iter().find(|c| c.zone == request.zone) else {
        let zones: Vec<&str> = catalogues.iter().map(|c| c.zone.as_str()).collect();
        return Err(ApiError::field("zone", format!("this control plane works in {}", zones.join(", "))));
    };
    if catalogue.refreshed_at.is_none() {
        let why = catalogue.error.as_deref().unwrap_or("it is being read for the first time");
        let text =
            format!("the catalogue of {} is not available yet: {why}; it is read again in a few seconds", request.zone);
        return Err(ApiError::unavailable(text));
    }
    let Some(offer) = app.store().offer(account, &request.zone, &request.instance_type).await? else {
        return Err(ApiError::field("instance_type", unknown_type(app, account, request).await?));
    };
    if offer.availability == Availability::Shortage {
        let text =
            format!("{} is out of stock in {}; `GET /offers` shows what is available", offer.instance_type, offer.zone);
        return Err(ApiError::conflict("out_of_stock", text));
    }
    Ok(offer)
}

/// What to say about a type that is not offered in a zone.
pub(crate) async fn unknown_type(app: &App, account: &str, request: &CreateInstance) -> Result<String, ApiError> {
    let all = app.store().offers(account, None).await?;
    let elsewhere: Vec<&str> =
        all.iter().filter(|o| o.instance_type == request.instance_type).map(|o| o.zone.as_str()).collect();
    if !elsewhere.is_empty() {
        return Ok(format!("not offered in {}; it is offered in {}", request.zone, elsewhere.join(", ")));
    }
    let here = all.iter().filter(|o| o.zone == request.zone && o.gpu_count > 0);
    let here: Vec<&str> = here.map(|o| o.instance_type.as_str()).take(30).collect();
    Ok(format!("unknown type; the types with GPUs in {} are {}", request.zone, here.join(", ")))
}
