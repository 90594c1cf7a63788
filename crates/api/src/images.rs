//! Images: the only thing that the API asks the provider for, because the database does not contain them.
//!
//! See docs/decisions/0011-images-are-asked-for.md.

use crate::Account;
use crate::problem::ApiError;
use futures::future::BoxFuture;
use inventiv_core::offer::{ImageOffer, Offer};
use std::time::Duration;

/// How long a request waits for the provider.
const PATIENCE: Duration = Duration::from_secs(10);
/// The maximum number of images that a refusal names.
const NAMED: usize = 12;

/// Asks the provider whether an image, given by label or id, fits an offer. An error says why it is not known.
pub type AskFits = Box<dyn Fn(String, Offer) -> BoxFuture<'static, Result<bool, String>> + Send + Sync>;
/// Asks the provider for every image of a zone. An error says why they are not known.
pub type AskAll = Box<dyn Fn(String) -> BoxFuture<'static, Result<Vec<ImageOffer>, String>> + Send + Sync>;

/// The image queries of an account.
pub struct Images {
    /// Whether an image fits an offer.
    pub fits: AskFits,
    /// Every image of a zone.
    pub all: AskAll,
}

/// Refuses an image that does not fit. If the provider cannot say so now, the creation of the server shows it.
pub(crate) async fn check(account: &Account, image: &str, offer: &Offer) -> Result<(), ApiError> {
    let Some(images) = &account.images else { return Ok(()) };
    let asked = tokio::time::timeout(PATIENCE, (images.fits)(image.to_owned(), offer.clone())).await;
    match asked {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => {}
        Ok(Err(why)) => {
            tracing::info!(image, why, "the provider could not say whether the image fits; the request is accepted");
            return Ok(());
        }
        Err(_) => {
            tracing::info!(image, "the provider did not say in time whether the image fits; the request is accepted");
            return Ok(());
        }
    }
    let fitting = of_zone(account, &offer.zone, Some(&offer.instance_type)).await.unwrap_or_default();
    let mut labels: Vec<&str> = fitting.iter().map(|i| i.label.as_str()).collect();
    // For a type with GPUs, GPU images come first.
    labels.sort_by_key(|label| offer.gpu_count > 0 && !label.contains("gpu"));
    let named = match labels.len() {
        0 => format!("`GET /images?zone={}` lists all images", offer.zone),
        n if n > NAMED => format!("{} and {} more fit", labels[..NAMED].join(", "), n - NAMED),
        _ => format!("images that fit: {}", labels.join(", ")),
    };
    let text = format!("`{image}` does not fit {} in {}; {named}", offer.instance_type, offer.zone);
    Err(ApiError::field("image", text))
}

/// The images of a zone; only those that fit `instance_type`, if it is given.
pub(crate) async fn of_zone(
    account: &Account,
    zone: &str,
    instance_type: Option<&str>,
) -> Result<Vec<ImageOffer>, ApiError> {
    let Some(images) = &account.images else { return Ok(Vec::new()) };
    let asked = tokio::time::timeout(PATIENCE, (images.all)(zone.to_owned())).await;
    let all = asked
        .unwrap_or_else(|_| Err(format!("no response within {} s", PATIENCE.as_secs())))
        .map_err(|why| ApiError::unavailable(format!("the provider's images cannot be listed: {why}")))?;
    let fits = |i: &ImageOffer| instance_type.is_none_or(|t| i.instance_types.iter().any(|have| have == t));
    Ok(all.into_iter().filter(fits).collect())
}
