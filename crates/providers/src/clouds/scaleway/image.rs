//! Finds the id of an image in a zone by its label: the first entry that fits the type.
//!
//! For a type with local storage, an image for local storage is tried first, because the price of such types includes
//! their disk. If there is none, and for all other types, the image for block storage is used.

use super::{Scaleway, instance_path, wire};
use crate::error::Error;
use crate::http::encode;
use futures::{StreamExt, TryStreamExt};
use inventiv_core::error::{Effect, ErrorKind};
use inventiv_core::offer::{BootStorage, ImageOffer, Offer};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};

/// How long an id is cached, in milliseconds. A marketplace image is replaced every few weeks.
const REMEMBERED_MS: i64 = 600_000;
/// How many labels are resolved concurrently.
const AT_ONCE: usize = 4;

/// Zone, label, type.
type Key = (String, String, String);

/// Resolved ids and lists of images, each with the time of the read.
#[derive(Debug, Default)]
pub(super) struct Cache {
    ids: Mutex<HashMap<Key, (String, i64)>>,
    zones: Mutex<HashMap<String, (Vec<ImageOffer>, i64)>>,
    /// Concurrent requests wait for each other, so that the next one finds the result in the cache.
    checking: tokio::sync::Mutex<()>,
    listing: tokio::sync::Mutex<()>,
}

/// An image, and the server type that it must fit.
pub(super) struct Fitting<'a> {
    pub(super) image: &'a str,
    pub(super) instance_type: &'a str,
    pub(super) boot_storage: BootStorage,
}

/// Whether an image is named by its id.
pub(super) fn is_id(image: &str) -> bool {
    image.len() == 36 && image.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

impl Scaleway {
    pub(super) async fn image_id(&self, zone: &str, wanted: &Fitting<'_>) -> Result<String, Error> {
        let key = (zone.to_owned(), wanted.image.to_owned(), wanted.instance_type.to_owned());
        let now_ms = (self.now)().0 / 1000;
        {
            let known = self.images.ids.lock();
            if let Some((id, _)) = known.get(&key).filter(|(_, at)| now_ms - at < REMEMBERED_MS) {
                return Ok(id.clone());
            }
        }
        let kinds: &[&str] = match wanted.boot_storage {
            BootStorage::Local => &["instance_local", "instance_sbs"],
            BootStorage::Block => &["instance_sbs"],
        };
        for (n, kind) in kinds.iter().enumerate() {
            let found = match self.local_image(zone, wanted, kind).await {
                // A label may have no image of the first kind.
                Err(e) if e.kind == ErrorKind::Refused && n + 1 < kinds.len() => None,
                found => found?,
            };
            if let Some(id) = found {
                let mut known = self.images.ids.lock();
                known.insert(key, (id.clone(), now_ms));
                return Ok(id);
            }
        }
        let text = format!("image `{}` does not fit {} in {zone}", wanted.image, wanted.instance_type);
        Err(Error::new(ErrorKind::Refused, Effect::None, text))
    }

    async fn local_image(&self, zone: &str, wanted: &Fitting<'_>, kind: &str) -> Result<Option<String>, Error> {
        let found = match self.local_images(zone, wanted.image, kind).await {
            Err(e) if e.kind == ErrorKind::NotFound => {
                let text = format!("there is no image `{}` in the marketplace", wanted.image);
                return Err(Error { kind: ErrorKind::Refused, message: text, ..e });
            }
            found => found?,
        };
        let kind = wanted.instance_type.to_uppercase();
        let fits = |i: &&wire::LocalImage| i.compatible_commercial_types.iter().any(|t| t.to_uppercase() == kind);
        Ok(found.iter().find(fits).map(|i| i.id.clone()))
    }

    async fn local_images(&self, zone: &str, label: &str, kind: &str) -> Result<Vec<wire::LocalImage>, Error> {
        let query = format!("image_label={}&zone={}&order_by=type_asc&type={kind}", encode(label), encode(zone));
        let answer = self.read(format!("/marketplace/v2/local-images?{query}")).await?;
        Ok(answer.decode::<wire::LocalImages>()?.local_images)
    }

    pub(super) async fn can_be_made_from(&self, image: &str, offer: &Offer) -> Result<bool, Error> {
        let _turn = self.images.checking.lock().await;
        let found = if is_id(image) {
            self.read(instance_path(&offer.zone, &format!("images/{}", encode(image)))).await.map(|_| ())
        } else {
            let (instance_type, boot_storage) = (&offer.instance_type, offer.boot_storage);
            self.image_id(&offer.zone, &Fitting { image, instance_type, boot_storage }).await.map(|_| ())
        };
        match found {
            Ok(()) => Ok(true),
            Err(e) if matches!(e.kind, ErrorKind::Refused | ErrorKind::NotFound) => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(super) async fn labelled_images(&self, zone: &str) -> Result<Vec<ImageOffer>, Error> {
        let _turn = self.images.listing.lock().await;
        let now_ms = (self.now)().0 / 1000;
        {
            let known = self.images.zones.lock();
            if let Some((images, _)) = known.get(zone).filter(|(_, at)| now_ms - at < REMEMBERED_MS) {
                return Ok(images.clone());
            }
        }
        let labels = self.labels().await?;
        let asked = labels.into_iter().map(|image| self.offered_image(zone, image));
        let found: Vec<ImageOffer> = futures::stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let images: Vec<ImageOffer> = found.into_iter().filter(|i| !i.instance_types.is_empty()).collect();
        let mut known = self.images.zones.lock();
        known.insert(zone.to_owned(), (images.clone(), now_ms));
        Ok(images)
    }

    /// The types of a zone that an image fits, on any kind of storage.
    async fn offered_image(&self, zone: &str, image: wire::MarketImage) -> Result<ImageOffer, Error> {
        let found = match self.local_images(zone, &image.label, "unknown_type").await {
            // The image is in other zones only.
            Err(e) if e.kind == ErrorKind::NotFound => Vec::new(),
            found => found?,
        };
        let types: BTreeSet<String> = found.into_iter().flat_map(|i| i.compatible_commercial_types).collect();
        Ok(ImageOffer { label: image.label, name: image.name, instance_types: types.into_iter().collect() })
    }

    /// Every label of the marketplace.
    async fn labels(&self) -> Result<Vec<wire::MarketImage>, Error> {
        let mut all: Vec<wire::MarketImage> = Vec::new();
        for page in 1..=20 {
            let query = format!("include_eol=false&order_by=name_asc&page={page}&page_size=100");
            let answer = self.read(format!("/marketplace/v2/images?{query}")).await?.decode::<wire::MarketImages>()?;
            let none = answer.images.is_empty();
            all.extend(answer.images);
            if none || all.len() as u64 >= answer.total_count {
                break;
            }
        }
        all.sort_by(|a, b| a.label.cmp(&b.label));
        all.dedup_by(|a, b| a.label == b.label);
        Ok(all)
    }
}
