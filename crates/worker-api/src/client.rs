//! Calls to one worker, over one connection that is kept.

use crate::message::{BINARY, DESIRED, DRAIN, DesiredRequest, LOGS, LogLine, SHA256, STATUS};
use bytes::Bytes;
use futures::TryStreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use inventiv_core::worker::report::Report;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a connection may take to be established.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a short call may take.
const CALL: Duration = Duration::from_secs(5);
/// How long the worker's program may take to be sent.
const INSTALL: Duration = Duration::from_secs(900);
/// The maximum length of a response, in bytes.
const ANSWER_MAX: usize = 4 << 20;

type Body = BoxBody<Bytes, io::Error>;
/// An open stream to a worker.
pub type WorkerStream = TokioIo<TlsStream<TcpStream>>;

/// Why a call to a worker failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// Nothing responded. The server may be booting or off.
    #[error("{0}")]
    Unreachable(String),
    /// Something responded that is not the worker of this instance, or that does not know this control plane.
    #[error("{0}")]
    NotTheWorker(String),
    /// The worker refused the call.
    #[error("{0}")]
    Refused(String),
}

/// What responded at the address of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Responder {
    /// The bootstrap program.
    Bootstrap,
    /// The worker.
    Worker(Box<Report>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Status {
    Worker(Box<Report>),
    Bootstrap { bootstrap: u32 },
}

/// The program that is sent to new servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Its file on this machine.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A client of one worker.
pub struct WorkerClient {
    address: SocketAddr,
    name: String,
    tls: Arc<ClientConfig>,
    connection: Option<SendRequest<Body>>,
}

impl WorkerClient {
    /// A client of the worker of an instance. It connects with the first call.
    #[must_use]
    pub fn new(address: IpAddr, port: u16, instance_id: &str, tls: Arc<ClientConfig>) -> Self {
        Self { address: SocketAddr::new(address, port), name: instance_id.to_owned(), tls, connection: None }
    }

    /// Where it connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What responds. With `after`, it waits for a report with a higher sequence, at most for `wait`.
    ///
    /// # Errors
    /// If nothing responds, or something else.
    pub async fn status(&mut self, after: Option<u64>, wait: Duration) -> Result<Responder, ContactError> {
        let path = match after {
            Some(after) => format!("{STATUS}?after={after}&wait_ms={}", wait.as_millis()),
            None => STATUS.to_owned(),
        };
        let answer = self.call(Method::GET, &path, Bytes::new(), CALL + wait).await?;
        match serde_json::from_slice(&answer) {
            Ok(Status::Worker(report)) => Ok(Responder::Worker(Box::new(report.cleaned()))),
            Ok(Status::Bootstrap { bootstrap: 1 }) => Ok(Responder::Bootstrap),
            Ok(Status::Bootstrap { .. }) | Err(_) => {
                Err(ContactError::NotTheWorker("it speaks another version of the protocol".to_owned()))
            }
        }
    }

    /// Sends the worker's program to the bootstrap program.
    ///
    /// # Errors
    /// If the file cannot be read, or the program is refused.
    pub async fn install(&mut self, binary: &Binary) -> Result<(), ContactError> {
        let file = tokio::fs::File::open(&binary.path).await.map_err(|e| {
            ContactError::Refused(format!("the worker's program {} cannot be read: {e}", binary.path.display()))
        })?;
        let chunks = tokio_util::io::ReaderStream::with_capacity(file, 1 << 18).map_ok(Frame::data);
        let request = Request::builder()
            .method(Method::PUT)
            .uri(BINARY)
            .header(http::header::HOST, &self.name)
            .header(http::header::CONTENT_LENGTH, binary.length)
            .header(SHA256, &binary.sha256)
            .body(BodyExt::boxed(StreamBody::new(chunks)))
            .map_err(|e| ContactError::Refused(e.to_string()))?;
        let response = self.send(request, INSTALL).await?;
        read(response, CALL).await.map(|_| ())
    }

    /// Tells the worker its desired state.
    ///
    /// # Errors
    /// If nothing responds, or the worker refuses it.
    pub async fn put_desired(&mut self, request: &DesiredRequest) -> Result<(), ContactError> {
        let body = serde_json::to_vec(request).unwrap_or_default();
        self.call(Method::PUT, DESIRED, body.into(), CALL).await.map(|_| ())
    }

    /// Stops new requests for the model.
    ///
    /// # Errors
    /// If nothing responds.
    pub async fn drain(&mut self) -> Result<(), ContactError> {
        self.call(Method::POST, DRAIN, Bytes::new(), CALL).await.map(|_| ())
    }

    /// The last lines of the log.
    ///
    /// # Errors
    /// If nothing responds.
    pub async fn log(&mut self, tail: usize) -> Result<Vec<LogLine>, ContactError> {
        let answer = self.call(Method::GET, &format!("{LOGS}?tail={tail}"), Bytes::new(), CALL).await?;
        let lines = answer.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        Ok(lines.filter_map(|l| serde_json::from_slice(l).ok()).collect())
    }

    /// Sends a request without a body, and returns the response as it comes.
    ///
    /// # Errors
    /// If nothing responds.
    pub async fn stream(&mut self, path: &str) -> Result<Response<Incoming>, ContactError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        self.send(request, CALL).await
    }

    /// Sends any request to the model, and returns the response as it comes.
    ///
    /// # Errors
    /// If nothing responds.
    pub async fn forward(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Response<Incoming>, ContactError> {
        let mut request = self.request(method, path, body)?;
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, json);
        self.send(request, limit).await
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Body>, ContactError> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, &self.name)
            .body(Full::new(body).map_err(|never| match never {}).boxed())
            .map_err(|e| ContactError::Refused(e.to_string()))
    }

    async fn call(&mut self, method: Method, path: &str, body: Bytes, limit: Duration) -> Result<Bytes, ContactError> {
        let request = self.request(method, path, body)?;
        let response = self.send(request, limit).await?;
        read(response, limit).await
    }

    async fn send(&mut self, request: Request<Body>, limit: Duration) -> Result<Response<Incoming>, ContactError> {
        let mut connection = match self.connection.take().filter(|c| !c.is_closed()) {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let answer = async {
            connection.ready().await?;
            connection.send_request(request).await
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(response)) => {
                self.connection = Some(connection);
                Ok(response)
            }
            Ok(Err(e)) => Err(ContactError::Unreachable(format!("the connection broke: {e}"))),
            Err(_) => Err(ContactError::Unreachable(format!("no response within {} s", limit.as_secs()))),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Body>, ContactError> {
        let stream = connect(self.address, &self.name, &self.tls).await?;
        let (sender, connection) =
            handshake(stream).await.map_err(|e| ContactError::Unreachable(format!("the connection broke: {e}")))?;
        tokio::spawn(async move {
            // It ends with the client, or with an error that the next call reports.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

/// Connects to the worker of an instance. The server must prove that it is the one of this instance.
///
/// # Errors
/// If nothing responds within five seconds, or something else does.
pub async fn connect(
    address: SocketAddr,
    instance_id: &str,
    tls: &Arc<ClientConfig>,
) -> Result<WorkerStream, ContactError> {
    tokio::time::timeout(CONNECT, connect_without_limit(address, instance_id, tls))
        .await
        .unwrap_or_else(|_| Err(ContactError::Unreachable(format!("no connection to {address}"))))
}

async fn connect_without_limit(
    address: SocketAddr,
    instance_id: &str,
    tls: &Arc<ClientConfig>,
) -> Result<WorkerStream, ContactError> {
    let name = ServerName::try_from(instance_id.to_owned())
        .map_err(|_| ContactError::NotTheWorker("the id of the instance is no valid name".to_owned()))?;
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|e| ContactError::Unreachable(format!("no connection to {address}: {e}")))?;
    crate::tcp::tune_client(&tcp);
    let tls = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(|e| {
        let is_tls = e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let text = format!("no handshake with {address}: {e}");
        if is_tls { ContactError::NotTheWorker(text) } else { ContactError::Unreachable(text) }
    })?;
    Ok(TokioIo::new(tls))
}

/// The whole response, if it is a success.
async fn read(response: Response<Incoming>, limit: Duration) -> Result<Bytes, ContactError> {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_MAX).collect();
    let body = match tokio::time::timeout(limit, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(e)) => return Err(ContactError::Unreachable(format!("incomplete response: {e}"))),
        Err(_) => return Err(ContactError::Unreachable("the response did not end".to_owned())),
    };
    if status == StatusCode::OK || status == StatusCode::NO_CONTENT {
        return Ok(body);
    }
    let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
    Err(ContactError::Refused(format!("{status}: {text}")))
}
