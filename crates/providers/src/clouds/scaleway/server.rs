//! Servers: list, get, create, actions, attach and detach.

use super::{Scaleway, image, instance_path, wire};
use crate::error::Error;
use crate::http::{Body, Success, encode};
use crate::{Answer, Existence, GoneAnswer, NewServer, VolumeRef};
use http::Method;
use inventiv_core::error::{Effect, ErrorKind};
use inventiv_core::observed::ObservedServer;
use serde_json::json;
use std::collections::BTreeSet;

/// The maximum number of items of a page.
pub(super) const PAGE: u64 = 100;
/// How often a listing is read if its pages shift.
const LISTING_TRIES: usize = 3;

/// One page of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) total: u64,
}

/// A listing, with each item once.
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    /// Every page has the same total, which is the number of distinct ids. Otherwise, pages shifted while they were
    /// read, and a missing item may exist.
    pub(super) complete: bool,
}

impl<T> Listing<T> {
    /// The items, if nothing can be missing.
    pub(super) fn whole(self, what: &str) -> Result<Vec<T>, Error> {
        let shifted = || format!("the list of {what} changed each time while it was read; it is read again later");
        self.complete.then_some(self.items).ok_or_else(|| Error::unavailable(Effect::None, shifted()))
    }
}

/// Reads all pages, and again if they shifted. The last try is returned in any case.
pub(super) async fn all_pages<T, F, Fut>(id: fn(&T) -> &str, mut page: F) -> Result<Listing<T>, Error>
where
    F: FnMut(u64) -> Fut,
    Fut: Future<Output = Result<Page<T>, Error>>,
{
    let mut tries = 1;
    loop {
        let first = page(1).await?;
        let (total, mut items) = (first.total, first.items);
        let mut steady = true;
        for number in 2..=total.div_ceil(PAGE) {
            let next = page(number).await?;
            steady &= next.total == total;
            items.extend(next.items);
        }
        let read = items.len() as u64;
        let mut known = BTreeSet::new();
        items.retain(|item| known.insert(id(item).to_owned()));
        let complete = steady && read == total && items.len() as u64 == total;
        if complete || tries == LISTING_TRIES {
            return Ok(Listing { items, complete });
        }
        tries += 1;
    }
}

/// `X-Total-Count` of the Instance API.
pub(super) fn total_header(page: &Success) -> Result<u64, Error> {
    let text = page.headers.get("x-total-count").and_then(|v| v.to_str().ok());
    let total = text.and_then(|t| t.parse().ok());
    total.ok_or_else(|| {
        Error::unavailable(Effect::None, "the provider's list has no X-Total-Count, so it may be incomplete")
    })
}

/// Whether a refusal is a typed not-found for exactly this resource.
pub(super) fn confirms_not_found(error: Error, asked: String, resource: &str, id: &str) -> Result<GoneAnswer, Error> {
    if error.kind != ErrorKind::NotFound {
        return Err(error);
    }
    let ours = error.resource.as_ref().is_some_and(|(kind, named)| kind == resource && named == id);
    if !ours {
        let text = format!("not found, but not for {resource} {id}: {}", error.message);
        return Err(Error { kind: ErrorKind::Unavailable, message: text, ..error });
    }
    let status = error.status.map_or_else(String::new, |s| format!("HTTP {s} "));
    let answer = format!("{status}not_found: {resource} {id}");
    Ok(GoneAnswer { asked, answer, request_id: error.request_id })
}

impl Scaleway {
    pub(super) async fn list_servers(&self, zone: &str, name: Option<&str>) -> Result<Listing<ObservedServer>, Error> {
        let filter = name.map_or_else(String::new, |n| format!("&name={}", encode(n)));
        let query = format!("order=creation_date_desc&project={}&per_page={PAGE}{filter}", self.account.project_id);
        let (zone, query) = (zone.to_owned(), query);
        all_pages(
            |s: &ObservedServer| s.id.as_str(),
            |page| {
                let path = instance_path(&zone, &format!("servers?{query}&page={page}"));
                async move {
                    let answer = self.read(path).await?;
                    let total = total_header(&answer)?;
                    let list: wire::ServerList = answer.decode()?;
                    Ok(Page { items: list.servers.iter().map(wire::server).collect(), total })
                }
            },
        )
        .await
    }

    pub(super) async fn get_server(&self, zone: &str, id: &str) -> Result<Existence<ObservedServer>, Error> {
        let path = instance_path(zone, &format!("servers/{}", encode(id)));
        match self.read(path.clone()).await {
            Ok(answer) => Ok(Existence::Exists(wire::server(&answer.decode::<wire::ServerEnvelope>()?.server.0))),
            Err(e) => confirms_not_found(e, format!("GET {path}"), "instance_server", id).map(Existence::Gone),
        }
    }

    pub(super) async fn post_server(&self, zone: &str, new: &NewServer) -> Result<Answer<ObservedServer>, Error> {
        let wanted =
            image::Fitting { image: &new.image, instance_type: &new.instance_type, boot_storage: new.boot_storage };
        let image = if image::is_id(&new.image) { new.image.clone() } else { self.image_id(zone, &wanted).await? };
        // No `volumes` map: a partial one may prevent the creation of the automatic scratch volume.
        let body = json!({
            "name": new.name, "commercial_type": new.instance_type, "image": image, "project": self.account.project_id,
            "tags": new.tags, "dynamic_ip_required": true, "boot_type": "local",
        });
        let answer = self.create(instance_path(zone, "servers"), body).await?;
        let server = wire::server(&answer.decode::<wire::ServerEnvelope>()?.server.0);
        Ok(Answer { value: server, request_id: answer.request_id })
    }

    pub(super) async fn patch_user_data(&self, zone: &str, id: &str, cloud_init: &str) -> Result<Answer<()>, Error> {
        let path = instance_path(zone, &format!("servers/{}/user_data/cloud-init", encode(id)));
        let done = self.change(Method::PATCH, path, Body::Text(cloud_init.to_owned())).await?;
        Ok(Answer { value: (), request_id: done.request_id })
    }

    pub(super) async fn post_action(&self, zone: &str, id: &str, action: &str) -> Result<Answer<()>, Error> {
        let path = instance_path(zone, &format!("servers/{}/action", encode(id)));
        // The task in the response is not used: only the server itself shows the outcome.
        let done = self.change(Method::POST, path, Body::Json(json!({ "action": action }))).await?;
        Ok(Answer { value: (), request_id: done.request_id })
    }

    pub(super) async fn post_start(&self, zone: &str, id: &str) -> Result<Answer<()>, Error> {
        let path = instance_path(zone, &format!("servers/{}/action", encode(id)));
        let done = self.start(path, json!({ "action": "poweron" })).await?;
        Ok(Answer { value: (), request_id: done.request_id })
    }

    pub(super) async fn post_attachment(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
        attach: bool,
    ) -> Result<Answer<ObservedServer>, Error> {
        let verb = if attach { "attach-volume" } else { "detach-volume" };
        let path = instance_path(zone, &format!("servers/{}/{verb}", encode(server_id)));
        let body = if attach {
            json!({ "volume_id": volume.id, "volume_type": volume.volume_type.name })
        } else {
            json!({ "volume_id": volume.id })
        };
        let answer = self.change(Method::POST, path, Body::Json(body)).await?;
        let server = wire::server(&answer.decode::<wire::ServerEnvelope>()?.server.0);
        Ok(Answer { value: server, request_id: answer.request_id })
    }
}
