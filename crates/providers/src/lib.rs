//! Clouds behind one typed trait: each method is one kind of call, and nothing here decides anything.
//!
//! A method makes at most one call that can leave something behind. What a cloud cannot do is
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
use inventiv_core::cloud::{CloudProfile, VolumeType};
use inventiv_core::error::ErrorKind;
use inventiv_core::observed::{ObservedServer, ObservedVolume, ZoneInventory};
use inventiv_core::offer::{BootStorage, ImageOffer, Offer};
use inventiv_core::snapshots::{ObservedSnapshot, SnapshotKind};
use std::collections::BTreeMap;

/// A cloud account: everything we own is in exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Which cloud, for instance `scaleway`.
    pub provider: String,
    /// The project that everything is made in.
    pub project_id: String,
}

impl Account {
    /// The account's id on every row: provider and project.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.provider, self.project_id)
    }
}

/// What a call gave, with the cloud's own id of the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was answered.
    pub value: T,
    /// For the cloud's support.
    pub request_id: Option<String>,
}

/// Whether a resource is there. The third value, "we do not know", is an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence<T> {
    /// It is there.
    Exists(T),
    /// A typed not-found for exactly this id, from the API that owns the kind.
    Gone(GoneAnswer),
}

/// The exchange that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneAnswer {
    /// Method and path.
    pub asked: String,
    /// Status and type.
    pub answer: String,
    /// The cloud's own id of the exchange.
    pub request_id: Option<String>,
}

/// A server to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServer {
    /// Its unique name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its type.
    pub instance_type: String,
    /// The image's label, or its id in the zone.
    pub image: String,
    /// Which kind of image to look for first.
    pub boot_storage: BootStorage,
}

/// A block volume to be made, empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// Its unique name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// In bytes; rounded up to whole GB on the wire.
    pub size_bytes: i64,
    /// 5000 or 15000; `None`: the cloud's default.
    pub perf_iops: Option<i64>,
}

/// Which volume, and which of the cloud's APIs knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRef {
    /// The cloud's id.
    pub id: String,
    /// Its kind.
    pub volume_type: VolumeType,
    /// The cloud accepted its deletion: a not-found needs no other evidence that the credentials see it.
    pub deletion_accepted: bool,
}

impl VolumeRef {
    /// A volume whose deletion was not accepted (yet).
    #[must_use]
    pub fn new(id: impl Into<String>, volume_type: VolumeType) -> Self {
        Self { id: id.into(), volume_type, deletion_accepted: false }
    }
}

/// What a read shows; only a proof needs more than that.
fn shown<T>(read: Result<Existence<T>, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(Existence::Exists(seen)) => Ok(Some(seen)),
        Ok(Existence::Gone(_)) => Ok(None),
        Err(e) if e.kind == ErrorKind::Unwitnessed => Ok(None),
        Err(e) => Err(e),
    }
}

/// One account at one cloud.
#[async_trait]
pub trait CloudProvider: Send + Sync {
    /// Whose account this is.
    fn account(&self) -> &Account;
    /// What the cloud is like.
    fn profile(&self) -> &CloudProfile;
    /// Waits until the account's rate budget lets one more change go. Reads take care of themselves.
    async fn acquire(&self);
    /// How long a call that asks now would wait for the rate budget, in milliseconds.
    fn queue_delay_ms(&self) -> u64;

    /// Which part of the account's rate budget is for this process, above 0 and up to 1: others have the rest.
    fn set_share(&self, part: f64);

    /// Every server type in a zone.
    async fn offers(&self, zone: &str) -> Result<Vec<Offer>, Error>;
    /// Whether a server of that offer can be made from an image: a label of the marketplace, or the id of any image.
    async fn image_fits(&self, image: &str, offer: &Offer) -> Result<bool, Error>;
    /// Every image in a zone that has a label and fits anything, by label.
    async fn images(&self, zone: &str) -> Result<Vec<ImageOffer>, Error>;
    /// Every server and volume of the account in a zone; [`ZoneInventory::complete`] says whether any may be missing.
    async fn observe(&self, zone: &str) -> Result<ZoneInventory, Error>;
    /// Every block volume of the account in a zone, as [`CloudProvider::observe`] shows them: no servers, no other volumes.
    async fn observe_blocks(&self, zone: &str) -> Result<ZoneInventory, Error>;
    /// Every snapshot of the account of one kind, of a zone; an error where any may be missing.
    async fn snapshots(&self, zone: &str, kind: SnapshotKind) -> Result<Vec<ObservedSnapshot>, Error>;
    /// The names of the account's own images, by the id of each snapshot that they are made of.
    async fn images_of_snapshots(&self, zone: &str) -> Result<BTreeMap<String, Vec<String>>, Error>;
    /// The servers and block volumes with exactly this name.
    async fn find(&self, zone: &str, name: &str) -> Result<ZoneInventory, Error>;
    /// One server.
    async fn server(&self, zone: &str, id: &str) -> Result<Existence<ObservedServer>, Error>;
    /// One volume; of a kind we do not know, every API is asked.
    async fn volume(&self, zone: &str, volume: &VolumeRef) -> Result<Existence<ObservedVolume>, Error>;
    /// One server, if it is shown. That it is not is no evidence of anything.
    async fn show_server(&self, zone: &str, id: &str) -> Result<Option<ObservedServer>, Error> {
        shown(self.server(zone, id).await)
    }
    /// One volume, if it is shown. That it is not is no evidence of anything.
    async fn show_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Option<ObservedVolume>, Error> {
        shown(self.volume(zone, volume).await)
    }

    /// Makes a server. It is born stopped.
    async fn create_server(&self, zone: &str, new: &NewServer) -> Result<Answer<ObservedServer>, Error>;
    /// Renames and tags a server.
    async fn tag_server(&self, zone: &str, id: &str, name: &str, tags: &[String]) -> Result<Answer<()>, Error>;
    /// Gives a server its first-boot instructions.
    async fn set_user_data(&self, zone: &str, id: &str, cloud_init: &str) -> Result<Answer<()>, Error>;
    /// Starts a server.
    async fn start_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Powers a server off.
    async fn stop_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Takes a running server away, its local volumes with it.
    async fn terminate_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;
    /// Takes a stopped server away; its volumes stay.
    async fn delete_server(&self, zone: &str, id: &str) -> Result<Answer<()>, Error>;

    /// Makes an empty block volume.
    async fn create_volume(&self, zone: &str, new: &NewVolume) -> Result<Answer<ObservedVolume>, Error>;
    /// Attaches a volume; shows the server with it.
    async fn attach_volume(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
    ) -> Result<Answer<ObservedServer>, Error>;
    /// Detaches a volume; shows the server without it.
    async fn detach_volume(
        &self,
        zone: &str,
        server_id: &str,
        volume: &VolumeRef,
    ) -> Result<Answer<ObservedServer>, Error>;
    /// Grows a volume to so many bytes (rounded up to whole GB).
    async fn resize_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
        size_bytes: i64,
    ) -> Result<Answer<ObservedVolume>, Error>;
    /// Changes a volume's speed.
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
    /// Deletes a volume, through the API that knows its kind.
    async fn delete_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Answer<()>, Error>;
}
