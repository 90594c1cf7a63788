//! How workers are reached: over mutual TLS, or in a test.

use async_trait::async_trait;
use inventiv_core::cloud_config::WorkerFiles;
use inventiv_core::worker::WORKER_PORT;
use inventiv_keyring::Keyring;
use inventiv_worker_api::bootstrap;
use inventiv_worker_api::client::{Binary, ContactError, Responder, WorkerClient};
use inventiv_worker_api::message::{DesiredRequest, LogLine, hex};
use inventiv_worker_api::tls::{Authority, TlsError};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The way to the workers.
#[async_trait]
pub trait WorkerLink: Send + Sync {
    /// What the server of an instance gets so that its worker can be installed, with a certificate of its own.
    ///
    /// # Errors
    /// If no certificate can be issued.
    fn files(&self, instance_id: &str) -> Result<WorkerFiles, TlsError>;
    /// A session with the worker of an instance. It connects with its first call.
    fn connect(&self, instance_id: &str, address: IpAddr) -> Box<dyn WorkerSession>;
    /// The keys that open secrets.
    fn keyring(&self) -> &Keyring;
}

/// Calls to one worker. All of them are idempotent.
#[async_trait]
pub trait WorkerSession: Send {
    /// What responds. With `after`, it waits for a report with a higher sequence, at most for `wait`.
    async fn status(&mut self, after: Option<u64>, wait: Duration) -> Result<Responder, ContactError>;
    /// Sends the worker's program to the bootstrap program.
    async fn install(&mut self) -> Result<(), ContactError>;
    /// Tells the worker its desired state.
    async fn put_desired(&mut self, request: &DesiredRequest) -> Result<(), ContactError>;
    /// Stops new requests for the model.
    async fn drain(&mut self) -> Result<(), ContactError>;
    /// The last lines of its log.
    async fn log(&mut self, tail: usize) -> Result<Vec<LogLine>, ContactError>;
}

/// Workers on servers, over mutual TLS.
pub struct MutualTls {
    authority: Authority,
    tls: Arc<ClientConfig>,
    keyring: Arc<Keyring>,
    program: PathBuf,
    binary: Arc<OnceCell<Binary>>,
}

impl MutualTls {
    /// The way to workers with certificates of this authority, which get this program.
    ///
    /// # Errors
    /// If no certificate can be issued.
    pub fn new(authority: Authority, keyring: Arc<Keyring>, program: PathBuf) -> Result<Self, TlsError> {
        let tls = authority.client_config()?;
        Ok(Self { authority, tls, keyring, program, binary: Arc::default() })
    }

    /// How to connect to workers.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }
}

#[async_trait]
impl WorkerLink for MutualTls {
    fn files(&self, instance_id: &str) -> Result<WorkerFiles, TlsError> {
        Ok(bootstrap::files(self.authority.certificate_pem(), &self.authority.for_worker(instance_id)?))
    }

    fn connect(&self, instance_id: &str, address: IpAddr) -> Box<dyn WorkerSession> {
        Box::new(TlsSession {
            client: WorkerClient::new(address, WORKER_PORT, instance_id, Arc::clone(&self.tls)),
            program: self.program.clone(),
            binary: Arc::clone(&self.binary),
        })
    }

    fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

struct TlsSession {
    client: WorkerClient,
    program: PathBuf,
    binary: Arc<OnceCell<Binary>>,
}

#[async_trait]
impl WorkerSession for TlsSession {
    async fn status(&mut self, after: Option<u64>, wait: Duration) -> Result<Responder, ContactError> {
        self.client.status(after, wait).await
    }

    async fn install(&mut self) -> Result<(), ContactError> {
        let program = self.program.clone();
        let read = || async move {
            let measured = tokio::task::spawn_blocking(move || measure(program)).await;
            measured.map_err(|e| e.to_string()).and_then(|m| m).map_err(ContactError::Refused)
        };
        let binary = self.binary.get_or_try_init(read).await?;
        self.client.install(binary).await
    }

    async fn put_desired(&mut self, request: &DesiredRequest) -> Result<(), ContactError> {
        self.client.put_desired(request).await
    }

    async fn drain(&mut self) -> Result<(), ContactError> {
        self.client.drain().await
    }

    async fn log(&mut self, tail: usize) -> Result<Vec<LogLine>, ContactError> {
        self.client.log(tail).await
    }
}

/// The length and the hash of a program.
fn measure(path: PathBuf) -> Result<Binary, String> {
    let failed = |e: std::io::Error| format!("the worker's program {} cannot be read: {e}", path.display());
    let mut file = std::fs::File::open(&path).map_err(failed)?;
    let (mut hash, mut length, mut chunk) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            let sha256 = hex(&hash.finalize());
            return Ok(Binary { path, length, sha256 });
        }
        hash.update(chunk.get(..read).unwrap_or_default());
        length += read as u64;
    }
}
