//! Requests and responses besides [`inventiv_core::worker::report::Report`].

use inventiv_core::worker::WorkerDesired;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The path of the report: `GET /status?after=N&wait_ms=M` answers when the sequence is above `N`, at the latest after
/// `M` milliseconds.
pub const STATUS: &str = "/status";
/// The path of the desired state: `PUT`.
pub const DESIRED: &str = "/desired";
/// The path of the worker's program: `PUT` with the header [`SHA256`]. Only the bootstrap program has it.
pub const BINARY: &str = "/binary";
/// The path of the log: `GET /logs?tail=N&follow=true&source=engine`, one [`LogLine`] as JSON per line.
pub const LOGS: &str = "/logs";
/// The path to stop taking new requests: `POST`, and `DELETE` to take them again.
pub const DRAIN: &str = "/drain";
/// The header with the SHA-256 of a program, in hexadecimal.
pub const SHA256: &str = "x-sha256";
/// The header of a response that says that the engine got nothing of a request, with the reason: it may be sent elsewhere.
pub const NOT_ACCEPTED: &str = "x-inventiv-not-accepted";

/// The desired state of a worker with the values of its secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct DesiredRequest {
    /// The id of all of it, from [`DesiredRequest::new`].
    pub id: String,
    /// What is asked.
    pub desired: WorkerDesired,
    /// The values of the environment variables that are secret.
    pub secret_env: BTreeMap<String, String>,
}

impl DesiredRequest {
    /// A request whose id follows from the desired state, and from the versions of its secrets: equal ids ask for the
    /// same. Scratch is not part of the id: an engine that runs is not restarted because its server has a scratch disk.
    #[must_use]
    pub fn new(desired: WorkerDesired, secret_env: BTreeMap<String, String>, secret_versions: &[i64]) -> Self {
        let mut hash = Sha256::new();
        let named = WorkerDesired { scratch: None, ..desired.clone() };
        hash.update(serde_json::to_vec(&named).unwrap_or_default());
        for version in secret_versions {
            hash.update(version.to_be_bytes());
        }
        Self { id: hex(&hash.finalize()), desired, secret_env }
    }
}

impl fmt::Debug for DesiredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.secret_env.keys().collect();
        f.debug_struct("DesiredRequest")
            .field("id", &self.id)
            .field("desired", &self.desired)
            .field("secret_env", &names)
            .finish()
    }
}

/// Where a line of the log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The engine.
    Engine,
    /// The worker.
    Worker,
    /// Programs that prepare the server: disks, images, downloads.
    Install,
}

impl LogSource {
    /// Reads the word of a query.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "engine" => Some(Self::Engine),
            "worker" => Some(Self::Worker),
            "install" => Some(Self::Install),
            _ => None,
        }
    }
}

/// A line of a worker's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts the lines of a worker's run, from 1.
    pub number: u64,
    /// When it was read, in microseconds since 1970 by the server's clock.
    pub at_us: i64,
    /// Where it comes from.
    pub source: LogSource,
    /// The line.
    pub text: String,
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}
