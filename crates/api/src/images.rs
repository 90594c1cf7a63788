//! What the provider says of images: the one thing that the API asks of it, because nothing of it is recorded here.
//!
//! See docs/decisions/0011-images-are-asked-for.md.

use crate::Account;
use crate::problem::ApiError;
use futures::future::BoxFuture;
use inventiv_core::offer::{ImageOffer, Offer};
use std::time::Duration;

/// How long a request waits for the provider.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many images a refusal names.
const NAMED: usize = 12;

/// Asks whether a server of an offer can be made from an image, by its label or id. An error says why it is not known.
pub type AskFits = Box<dyn Fn(String, Offer) -> BoxFuture<'static, Result<bool, String>> + Send + Sync>;
/// Asks for every image of a zone. An error says why it is not known.
pub type AskAll = Box<dyn Fn(String) -> BoxFuture<'static, Result<Vec<ImageOffer>, String>> + Send + Sync>;

/// How to ask.
pub struct Images {
    /// Whether an image fits.
    pub fits: AskFits,
    /// Every image.
    pub all: AskAll,
}

/// Refuses an image that the provider says does not fit. What cannot be asked now is found out when the server is made.
pub(crate) async fn check(account: &Account, image: &str, offer: &Offer) -> Result<(), ApiError> {
    let Some(images) = &account.images else { return Ok(()) };
    let asked = tokio::time::timeout(PATIENCE, (images.fits)(image.to_owned(), offer.clone())).await;
    match asked {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => {}
        Ok(Err(why)) => {
            tracing::info!(image, why, "whether the image fits cannot be asked now");
            return Ok(());
        }
        Err(_) => {
            tracing::info!(image, "the provider did not say in time whether the image fits");
            return Ok(());
        }
    }
    let fitting = of_zone(account, &offer.zone, Some(&offer.instance_type)).await.unwrap_or_default();
    let mut labels: Vec<&str> = fitting.iter().map(|i| i.label.as_str()).collect();
    // Images for GPUs come first where there are GPUs.
    labels.sort_by_key(|label| offer.gpu_count > 0 && !label.contains("gpu"));
    let named = match labels.len() {
        0 => format!("`GET /images?zone={}` lists all", offer.zone),
        n if n > NAMED => format!("{} and {} more do", labels[..NAMED].join(", "), n - NAMED),
        _ => format!("{} do", labels.join(", ")),
    };
    let text = format!("`{image}` does not fit {} in {}: {named}", offer.instance_type, offer.zone);
    Err(ApiError::field("image", text))
}

/// The images of a zone, or those of them that fit a type.
pub(crate) async fn of_zone(
    account: &Account,
    zone: &str,
    instance_type: Option<&str>,
) -> Result<Vec<ImageOffer>, ApiError> {
    let Some(images) = &account.images else { return Ok(Vec::new()) };
    let asked = tokio::time::timeout(PATIENCE, (images.all)(zone.to_owned())).await;
    let all = asked
        .unwrap_or_else(|_| Err(format!("it did not answer within {} s", PATIENCE.as_secs())))
        .map_err(|why| ApiError::unavailable(format!("the provider cannot say which images there are: {why}")))?;
    let fits = |i: &ImageOffer| instance_type.is_none_or(|t| i.instance_types.iter().any(|have| have == t));
    Ok(all.into_iter().filter(fits).collect())
}
