//! Where a worker finds and keeps what it needs.

use crate::disks::{Disks, SystemDisks};
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The configuration of a worker.
#[derive(Clone)]
pub struct Config {
    /// The folder with `authority.pem`, `certificate.pem` and `key.pem`.
    pub tls: PathBuf,
    /// The address to listen on.
    pub listen: IpAddr,
    /// The port to listen on.
    pub port: u16,
    /// The folder that survives a reboot: the last desired state, without secrets.
    pub state: PathBuf,
    /// The folder in memory, for the secrets of a container.
    pub run: PathBuf,
    /// Where the data volume is mounted.
    pub data: PathBuf,
    /// Where models are kept if there is no data volume.
    pub without_volume: PathBuf,
    /// The disks of this machine.
    pub disks: Arc<dyn Disks>,
    /// How often the model is probed once it has answered.
    pub probe_every: Duration,
    /// How long a probe may take.
    pub probe_limit: Duration,
    /// The first pause before something is tried again; it doubles up to a minute.
    pub first_pause: Duration,
    /// Whether containers keep their images on the data volume. Needs root.
    pub move_images: bool,
    /// On an emulated server: the program that stands in for engines that run in containers. No image and no model is
    /// fetched then.
    pub stand_in: Option<PathBuf>,
}

impl Config {
    /// The configuration on a server.
    #[must_use]
    pub fn of_server() -> Self {
        Self {
            tls: "/etc/inventiv/tls".into(),
            listen: Ipv6Addr::UNSPECIFIED.into(),
            port: inventiv_core::worker::WORKER_PORT,
            state: "/var/lib/inventiv".into(),
            run: "/run/inventiv".into(),
            data: "/data".into(),
            without_volume: "/var/lib/inventiv/data".into(),
            disks: Arc::new(SystemDisks),
            probe_every: Duration::from_secs(5),
            probe_limit: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            move_images: true,
            stand_in: None,
        }
    }
}
