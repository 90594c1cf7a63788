//! From an image's label to its id in a zone: the first entry that fits the type.
//!
//! Where the type has local storage, an image for local storage is looked for first: such types have their disk in the
//! price. Where there is none, and for every other type, the image for block storage is taken.

use super::{Scaleway, wire};
use crate::NewServer;
use crate::error::Error;
use crate::http::encode;
use inventiv_core::error::{Effect, ErrorKind};
use inventiv_core::offer::BootStorage;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long an id is remembered: a marketplace image is replaced every few weeks.
const REMEMBERED_MS: i64 = 600_000;

/// Zone, label, type.
type Key = (String, String, String);

/// What was resolved → the id, and when it was read.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Key, (String, i64)>>);

/// Whether an image is named by its id.
pub(super) fn is_id(image: &str) -> bool {
    image.len() == 36 && image.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

impl Scaleway {
    pub(super) async fn image_id(&self, zone: &str, new: &NewServer) -> Result<String, Error> {
        let key = (zone.to_owned(), new.image.clone(), new.instance_type.clone());
        let now_ms = (self.now)().0 / 1000;
        {
            let known = self.images.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((id, _)) = known.get(&key).filter(|(_, at)| now_ms - at < REMEMBERED_MS) {
                return Ok(id.clone());
            }
        }
        let kinds: &[&str] = match new.boot_storage {
            BootStorage::Local => &["instance_local", "instance_sbs"],
            BootStorage::Block => &["instance_sbs"],
        };
        for (n, kind) in kinds.iter().enumerate() {
            let found = match self.local_image(zone, new, kind).await {
                // A label may have no image of the first kind at all.
                Err(e) if e.kind == ErrorKind::Refused && n + 1 < kinds.len() => None,
                found => found?,
            };
            if let Some(id) = found {
                let mut known = self.images.0.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(key, (id.clone(), now_ms));
                return Ok(id);
            }
        }
        let text = format!("image `{}` does not fit {} in {zone}", new.image, new.instance_type);
        Err(Error::new(ErrorKind::Refused, Effect::None, text))
    }

    async fn local_image(&self, zone: &str, new: &NewServer, kind: &str) -> Result<Option<String>, Error> {
        let query = format!("image_label={}&zone={}&order_by=type_asc&type={kind}", encode(&new.image), encode(zone));
        let answer = self.read(format!("/marketplace/v2/local-images?{query}")).await;
        let list = match answer {
            Ok(answer) => answer.decode::<wire::LocalImages>()?.local_images,
            Err(e) if e.kind == ErrorKind::NotFound => {
                let text = format!("there is no image `{}` in the marketplace", new.image);
                return Err(Error { kind: ErrorKind::Refused, message: text, ..e });
            }
            Err(e) => return Err(e),
        };
        let wanted = new.instance_type.to_uppercase();
        let fits = |i: &&wire::LocalImage| i.compatible_commercial_types.iter().any(|t| t.to_uppercase() == wanted);
        Ok(list.iter().find(fits).map(|i| i.id.clone()))
    }
}
