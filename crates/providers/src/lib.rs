//! Providers behind one typed trait: each method is one kind of call, and no decision is made here.
//!
//! A method makes at most one call that can create something. An operation that a provider does not support returns
//! [`ErrorKind::Unsupported`](inventiv_core::error::ErrorKind), never a silent success; there are no default bodies.

pub mod budget;
pub mod clouds;
pub mod contract;
pub mod error;
pub mod http;
pub mod recording;
pub mod transport;

pub use error::Error;

use async_trait::async_trait;
use inventiv_core::bill::BillLine;
use inventiv_core::cloud::CloudProfile;
use inventiv_core::error::ErrorKind;
use inventiv_core::observed::{ObservedServer, ObservedVolume, ZoneInventory};
use inventiv_core::offer::{BootStorage, ImageOffer, Offer};
use inventiv_core::snapshots::{ObservedSnapshot, SnapshotKind};
use inventiv_core::storage_prices::StoragePrices;
use inventiv_core::time::Timestamp;
use inventiv_core::volume_type::VolumeType;
use std::collections::BTreeMap;

/// A provider account. Everything that we create belongs to exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider, for instance `scaleway`.
    pub provider: String,
    /// The project that everything is created in.
    pub project_id: String,
}

impl Account {
    /// The id of the account in the records: provider and project.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.provider, self.project_id)
    }
}

/// The result of a call, with the provider's request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The result.
    pub value: T,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

/// Whether a resource exists. The third value, "we do not know", is an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence<T> {
    /// It exists.
    Exists(T),
    /// A typed not-found for exactly this id, from the API that owns the kind of resource.
    Gone(GoneAnswer),
}

/// The exchange that showed a not-found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneAnswer {
    /// The method and path of the request.
    pub asked: String,
    /// The status and error type of the response.
    pub answer: String,
    /// The provider's id of the request.
    pub request_id: Option<String>,
}

/// A server to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServer {
    /// The unique name.
    pub name: String,
    /// The tags.
    pub tags: Vec<String>,
    /// The server type.
    pub instance_type: String,
    /// The image's label, or its id in the zone.
    pub image: String,
    /// The storage that the server boots from; it determines which kind of image is tried first.
    pub boot_storage: BootStorage,
    /// The cloud-init data, for clouds that take it with the creation (`CloudProfile::user_data`).
    pub user_data: Option<String>,
}

/// An empty block volume to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// The unique name.
    pub name: String,
    /// The tags.
    pub tags: Vec<String>,
    /// The size in bytes; the request rounds it up to whole GB.
    pub size_bytes: i64,
    /// 5000 or 15000; `None`: the provider's default.
    pub perf_iops: Option<i64>,
}

/// A volume, with its type, which determines the API that owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRef {
    /// The provider's id.
    pub id: String,
    /// The volume type.
    pub volume_type: VolumeType,
    /// Its deletion was accepted: a not-found needs no further evidence that the credentials can see it.
    pub deletion_accepted: bool,
}

impl VolumeRef {
    /// A volume whose deletion has not been accepted.
    #[must_use]
    pub fn new(id: impl Into<String>, volume_type: VolumeType) -> Self {
        Self { id: id.into(), volume_type, deletion_accepted: false }
    }
}

/// The resource, if a read shows it. A not-found without proof of visibility counts as not shown.
fn shown<T>(read: Result<Existence<T>, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(Existence::Exists(seen)) => Ok(Some(seen)),
        Ok(Existence::Gone(_)) => Ok(None),
        Err(e) if e.kind == ErrorKind::Unwitnessed => Ok(None),
        Err(e) => Err(e),
    }
}

/// One account at one provider.
#[async_trait]
pub trait CloudProvider: Send + Sync {
    /// The account.
    fn account(&self) -> &Account;
    /// The properties of the provider.
    fn profile(&self) -> &CloudProfile;
    /// Waits until the account's rate budget permits one more change. Reads do this by themselves.
    async fn acquire(&self);
    /// How long a call would currently wait for the rate budget, in milliseconds.
    fn queue_delay_ms(&self) -> u64;

    /// Sets this process's part of the account's rate budget, above 0 and up to 1. Other replicas have the rest.
    fn set_share(&self, part: f64);

    /// Lists every server type in a zone.
    async fn offers(&self, zone: &str) -> Result<Vec<Offer>, Error>;
    /// The prices of storage and addresses in a zone: those that are known, replaced by what a catalogue shows.
    async fn storage_prices(&self, zone: &str, known: &StoragePrices) -> Result<StoragePrices, Error>;
    /// Every line of the bill of the account, cut to a period, as far as the provider shows it by now.
    async fn bill(&self, from: Timestamp, to: Timestamp) -> Result<Vec<BillLine>, Error>;
    /// Whether an image fits an offer: a marketplace label, or the id of any image.
    async fn image_fits(&self, image: &str, offer: &Offer) -> Result<bool, Error>;
    /// Lists every image in a zone that has a label and fits at least one type, by label.
    async fn images(&self, zone: &str) -> Result<Vec<ImageOffer>, Error>;
    /// Lists every server and volume of the account in a zone; [`ZoneInventory::complete`] says whether any may be
    /// missing.
    async fn observe(&self, zone: &str) -> Result<ZoneInventory, Error>;
    /// Lists the block volumes of the account in a zone like [`CloudProvider::observe`], without servers and other
    /// volumes.
    async fn observe_blocks(&self, zone: &str) -> Result<ZoneInventory, Error>;
    /// Lists the account's snapshots of one kind in a zone; an error if any may be missing.
    async fn snapshots(&self, zone: &str, kind: SnapshotKind) -> Result<Vec<ObservedSnapshot>, Error>;
    /// The names of the account's own images, by the id of each snapshot that they use.
    async fn images_of_snapshots(&self, zone: &str) -> Result<BTreeMap<String, Vec<String>>, Error>;
    /// Finds the servers and block volumes with exactly this name.
    async fn find(&self, zone: &str, name: &str) -> Result<ZoneInventory, Error>;
    /// Reads one server.
    async fn server(&self, zone: &str, id: &str) -> Result<Existence<ObservedServer>, Error>;
    /// Reads one volume. If its kind is unknown, every API is read.
    async fn volume(&self, zone: &str, volume: &VolumeRef) -> Result<Existence<ObservedVolume>, Error>;
    /// Reads one server, if it is shown. `None` is no evidence that it is gone.
    async fn show_server(&self, zone: &str, id: &str) -> Result<Option<ObservedServer>, Error> {
        shown(self.server(zone, id).await)
    }
    /// Reads one volume, if it is shown. `None` is no evidence that it is gone.
    async fn show_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Option<ObservedVolume>, Error> {
        shown(self.volume(zone, volume).await)
    }

    /// Creates a server. It is stopped at first, unless the profile says `born_running`.
    async fn create_server(&self, zone: &str, new: &NewServer) -> Result<Answer<ObservedServer>, Error>;
    /// Renames and tags a server.
    async fn tag_server(&self, zone: &str, id: &str, name: &str, tags: &[String]) -> Result<Answer<()>, Error>;
    /// Sets the cloud-init data of a server.
    async fn set_user_data(&self, zone: &str, id: &str, cloud_init: &str) -> Result<Answer<()>, Error>;
    /// Starts a server.
    async fn start_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Powers a server off.
    async fn stop_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Reboots a running server.
    async fn reboot_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Removes a running server with its local volumes.
    async fn terminate_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Removes a stopped server; its volumes stay.
    async fn delete_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;

    /// Creates an empty block volume.
    async fn create_volume(&self, zone: &str, new: &NewVolume) -> Result<Answer<ObservedVolume>, Error>;
    /// Attaches a volume; returns the server with it.
    async fn attach_volume(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
    ) -> Result<Answer<ObservedServer>, Error>;
    /// Detaches a volume; returns the server without it.
    async fn detach_volume(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
    ) -> Result<Answer<ObservedServer>, Error>;
    /// Grows a volume to `size_bytes` (rounded up to whole GB).
    async fn resize_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
        size_bytes: i64,
    ) -> Result<Answer<ObservedVolume>, Error>;
    /// Changes the IOPS of a volume.
    async fn set_volume_iops(
        &self,
        zone: &str,
        volume: &VolumeRef,
        perf_iops: i64,
    ) -> Result<Answer<ObservedVolume>, Error>;
    /// Renames and tags a volume.
    async fn tag_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
        name: &str,
        tags: &[String],
    ) -> Result<Answer<ObservedVolume>, Error>;
    /// Deletes a volume through the API that owns its kind.
    async fn delete_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Answer<()>, Error>;
}
