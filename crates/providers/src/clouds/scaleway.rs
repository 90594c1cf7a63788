//! Scaleway: servers, addresses and local volumes over the Instance API, block volumes over the Block API.

mod bill;
mod classify_error;
pub mod credentials;
mod image;
mod lenient;
mod offer;
mod price;
mod profile;
#[cfg(test)]
mod recordings_tests;
mod server;
mod sight;
mod snapshot;
#[cfg(test)]
mod tests;
mod volume;
mod wire;

use crate::budget::Budget;
use crate::clouds::{Cloud, Now};
use crate::error::Error;
use crate::http::{Api, Body, Call, Purpose, Success, encode};
use crate::transport::Transport;
use crate::{Account, Answer, CloudProvider, Existence, NewServer, NewVolume, VolumeRef};
use async_trait::async_trait;
use credentials::Credentials;
use http::Method;
use inventiv_core::bill::BillLine;
use inventiv_core::cloud::CloudProfile;
use inventiv_core::observed::{ObservedServer, ObservedVolume, ZoneInventory};
use inventiv_core::offer::{ImageOffer, Offer};
use inventiv_core::snapshots::{ObservedSnapshot, SnapshotKind};
use inventiv_core::storage_prices::StoragePrices;
use inventiv_core::time::Timestamp;
use serde_json::Value;
use sight::{Side, Sights};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use profile::profile;

/// The IOPS that a block volume may have.
pub const IOPS: [i64; 2] = [5_000, 15_000];

/// Scaleway, for the registry.
pub const CLOUD: Cloud = Cloud {
    name: "scaleway",
    default_zones: &["fr-par-1", "fr-par-2", "pl-waw-2"],
    is_zone: credentials::is_zone,
    calls_per_second: 20.0,
    log_in: |env, profile| Ok(Box::new(credentials::read(env, profile)?)),
};

/// One Scaleway project.
pub struct Scaleway {
    api: Api,
    account: Account,
    profile: CloudProfile,
    images: image::Cache,
    sights: Sights,
    now: Now,
}

impl Scaleway {
    /// A driver with these credentials over this transport.
    #[must_use]
    pub fn new(credentials: &Credentials, transport: Arc<dyn Transport>, calls_per_second: f64, now: Now) -> Self {
        let budget = Budget::new(calls_per_second, (calls_per_second / 4.0).clamp(1.0, 10_000.0));
        let key = credentials.secret_key.clone();
        Self {
            api: Api::new(transport, credentials.api_url.clone(), key, budget, classify_error::classify_error),
            account: Account { provider: CLOUD.name.to_owned(), project_id: credentials.project_id.clone() },
            profile: profile::profile(),
            images: image::Cache::default(),
            sights: Sights::default(),
            now,
        }
    }

    async fn read(&self, path: String) -> Result<Success, Error> {
        self.api.send(&Call { method: Method::GET, path, body: Body::None, purpose: Purpose::Read }).await
    }

    async fn change(&self, method: Method, path: String, body: Body) -> Result<Success, Error> {
        self.api.send(&Call { method, path, body, purpose: Purpose::Change }).await
    }

    async fn start(&self, path: String, body: Value) -> Result<Success, Error> {
        self.api.send(&Call { method: Method::POST, path, body: Body::Json(body), purpose: Purpose::Start }).await
    }

    async fn create(&self, path: String, body: Value) -> Result<Success, Error> {
        self.api.send(&Call { method: Method::POST, path, body: Body::Json(body), purpose: Purpose::Create }).await
    }
}

/// A path of the Instance API.
fn instance_path(zone: &str, rest: &str) -> String {
    format!("/instance/v1/zones/{}/{rest}", encode(zone))
}

/// A path of the Block API.
fn block_path(zone: &str, rest: &str) -> String {
    format!("/block/v1/zones/{}/{rest}", encode(zone))
}

#[async_trait]
impl CloudProvider for Scaleway {
    fn account(&self) -> &Account {
        &self.account
    }

    fn profile(&self) -> &CloudProfile {
        &self.profile
    }

    async fn acquire(&self) {
        self.api.acquire().await;
    }

    fn set_share(&self, part: f64) {
        self.api.set_share(part);
    }

    fn queue_delay_ms(&self) -> u64 {
        self.api.queue_delay_ms()
    }

    async fn offers(&self, zone: &str) -> Result<Vec<Offer>, Error> {
        self.list_offers(zone).await
    }

    async fn bill(&self, from: Timestamp, to: Timestamp) -> Result<Vec<BillLine>, Error> {
        self.list_bill(from, to).await
    }

    async fn storage_prices(&self, zone: &str, known: &StoragePrices) -> Result<StoragePrices, Error> {
        self.list_storage_prices(zone, known).await
    }

    async fn image_fits(&self, image: &str, offer: &Offer) -> Result<bool, Error> {
        self.can_be_made_from(image, offer).await
    }

    async fn images(&self, zone: &str) -> Result<Vec<ImageOffer>, Error> {
        self.labelled_images(zone).await
    }

    async fn observe(&self, zone: &str) -> Result<ZoneInventory, Error> {
        let began_at = (self.now)();
        // An absence counts only if the project was visible before the lists are read, too.
        let before = self.hidden_before(zone, Side::Instance, "").await;
        let (servers, blocks, locals) =
            tokio::try_join!(self.list_servers(zone, None), self.list_blocks(zone, None), self.list_locals(zone))?;
        let complete = servers.complete && blocks.complete && locals.complete;
        // A list with an item proves that the project was visible when it was read. An empty one proves nothing, and
        // the project may have become invisible in between: it must be visible after all lists were read.
        let shown = !servers.items.is_empty() && !locals.items.is_empty();
        let after = if shown { None } else { self.hidden_now(zone, Side::Instance, "").await };
        if !blocks.items.is_empty() {
            self.saw(zone, Side::Block);
        }
        let servers = servers.items;
        let blocks_hidden = blocks.items.is_empty().then(|| self.blocks_hidden(zone));
        // Block volumes on servers exist, even if Block Storage shows none.
        let on_servers = servers.iter().any(|s| s.attachments.iter().any(|a| a.volume_type.is_block()));
        let contradicted = blocks_hidden.clone().filter(|_| on_servers);
        let hidden = if shown { None } else { before.or(after) }.or(contradicted);
        let volumes: Vec<ObservedVolume> = blocks.items.into_iter().chain(locals.items).collect();
        Ok(ZoneInventory { began_at, complete, hidden, blocks_hidden, servers, volumes })
    }

    async fn observe_blocks(&self, zone: &str) -> Result<ZoneInventory, Error> {
        let began_at = (self.now)();
        let blocks = self.list_blocks(zone, None).await?;
        // An empty list proves no visibility.
        let empty = blocks.items.is_empty();
        let hidden = if empty { self.hidden_now(zone, Side::Instance, "").await } else { None };
        if !empty {
            self.saw(zone, Side::Block);
        }
        let blocks_hidden = empty.then(|| self.blocks_hidden(zone));
        let (complete, volumes) = (blocks.complete, blocks.items);
        Ok(ZoneInventory { began_at, complete, hidden, blocks_hidden, servers: Vec::new(), volumes })
    }

    async fn snapshots(&self, zone: &str, kind: SnapshotKind) -> Result<Vec<ObservedSnapshot>, Error> {
        self.list_snapshots(zone, kind).await
    }

    async fn images_of_snapshots(&self, zone: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
        self.list_image_names(zone).await
    }

    async fn find(&self, zone: &str, name: &str) -> Result<ZoneInventory, Error> {
        let began_at = (self.now)();
        let (servers, volumes) =
            tokio::try_join!(self.list_servers(zone, Some(name)), self.list_blocks(zone, Some(name)))?;
        let (mut servers, mut volumes) = (servers.whole("servers")?, volumes.whole("block volumes")?);
        // The filter may match substrings.
        servers.retain(|s| s.name == name);
        volumes.retain(|v| v.name == name);
        Ok(ZoneInventory { began_at, complete: true, hidden: None, blocks_hidden: None, servers, volumes })
    }

    async fn server(&self, zone: &str, id: &str) -> Result<Existence<ObservedServer>, Error> {
        self.witnessed(zone, (Side::Instance, id), || self.get_server(zone, id)).await
    }

    async fn volume(&self, zone: &str, volume: &VolumeRef) -> Result<Existence<ObservedVolume>, Error> {
        self.look_for_volume(zone, volume).await
    }

    async fn show_server(&self, zone: &str, id: &str) -> Result<Option<ObservedServer>, Error> {
        Ok(self.reported(zone, Side::Instance, self.get_server(zone, id).await?))
    }

    async fn show_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Option<ObservedVolume>, Error> {
        self.see_volume(zone, volume).await
    }

    async fn create_server(&self, zone: &str, new: &NewServer) -> Result<Answer<ObservedServer>, Error> {
        self.post_server(zone, new).await
    }

    async fn tag_server(&self, zone: &str, id: &str, name: &str, tags: &[String]) -> Result<Answer<()>, Error> {
        let path = instance_path(zone, &format!("servers/{}", encode(id)));
        let body = Body::Json(serde_json::json!({ "name": name, "tags": tags }));
        let done = self.change(Method::PATCH, path, body).await?;
        Ok(Answer { value: (), request_id: done.request_id })
    }

    async fn set_user_data(&self, zone: &str, id: &str, cloud_init: &str) -> Result<Answer<()>, Error> {
        self.patch_user_data(zone, id, cloud_init).await
    }

    async fn start_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error> {
        self.post_start(zone, id).await
    }

    async fn stop_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error> {
        self.post_action(zone, id, "poweroff").await
    }

    async fn reboot_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error> {
        self.post_action(zone, id, "reboot").await
    }

    async fn terminate_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error> {
        self.post_action(zone, id, "terminate").await
    }

    async fn delete_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error> {
        let path = instance_path(zone, &format!("servers/{}", encode(id)));
        let done = self.change(Method::DELETE, path, Body::None).await?;
        Ok(Answer { value: (), request_id: done.request_id })
    }

    async fn create_volume(&self, zone: &str, new: &NewVolume) -> Result<Answer<ObservedVolume>, Error> {
        self.post_volume(zone, new).await
    }

    async fn attach_volume(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
    ) -> Result<Answer<ObservedServer>, Error> {
        self.post_attachment(zone, server_id, volume, true).await
    }

    async fn detach_volume(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
    ) -> Result<Answer<ObservedServer>, Error> {
        self.post_attachment(zone, server_id, volume, false).await
    }

    async fn resize_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
        size_bytes: i64,
    ) -> Result<Answer<ObservedVolume>, Error> {
        let size = inventiv_core::size::round_up_to_gb(size_bytes);
        self.patch_volume(zone, volume, serde_json::json!({ "size": size })).await
    }

    async fn set_volume_iops(
        &self,
        zone: &str,
        volume: &VolumeRef,
        perf_iops: i64,
    ) -> Result<Answer<ObservedVolume>, Error> {
        volume::check_iops(Some(perf_iops))?;
        self.patch_volume(zone, volume, serde_json::json!({ "perf_iops": perf_iops })).await
    }

    async fn tag_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
        name: &str,
        tags: &[String],
    ) -> Result<Answer<ObservedVolume>, Error> {
        self.patch_volume(zone, volume, serde_json::json!({ "name": name, "tags": tags })).await
    }

    async fn delete_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Answer<()>, Error> {
        self.remove_volume(zone, volume).await
    }
}
