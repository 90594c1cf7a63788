//! Connections to one worker, used again by the next request.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use inventiv_worker_api::client::{WorkerStream, connect};
use inventiv_worker_api::driven::{Driven, Unused};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may be unused.
const IDLE: Duration = Duration::from_secs(45);
/// How many unused connections are kept.
const IDLE_MAX: usize = 512;
/// How long an engine may take until its answer begins.
const ANSWER: Duration = Duration::from_secs(600);

/// A connection to a worker.
pub(crate) type Connection = Driven<WorkerStream, Full<Bytes>>;

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing of it was sent: it may be sent elsewhere.
    NotSent(String),
    /// The engine may have begun with it.
    Sent(String),
}

/// Connections to one worker.
pub(crate) struct Pool {
    address: SocketAddr,
    name: String,
    tls: Arc<ClientConfig>,
    unused: Unused<WorkerStream, Full<Bytes>>,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr, name: &str, tls: Arc<ClientConfig>) -> Self {
        Self { address, name: name.to_owned(), tls, unused: Unused::new(IDLE, IDLE_MAX) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request. The connection is given back with [`Pool::put`] once the answer has ended.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), SendError> {
        loop {
            let (mut connection, is_new) = match self.unused.take() {
                Some(kept) => (kept, false),
                None => (self.connect().await?, true),
            };
            if connection.ready().await.is_err() {
                if is_new {
                    return Err(SendError::NotSent("the connection broke".to_owned()));
                }
                continue;
            }
            match tokio::time::timeout(ANSWER, connection.send(request)).await {
                Ok(Ok(response)) => return Ok((response, connection)),
                Ok(Err(mut e)) => match e.take_message() {
                    // A kept connection had been closed by the other side.
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) => return Err(SendError::NotSent(e.into_error().to_string())),
                    None => return Err(SendError::Sent(e.into_error().to_string())),
                },
                Err(_) => return Err(SendError::Sent(format!("no answer within {} s", ANSWER.as_secs()))),
            }
        }
    }

    async fn connect(&self) -> Result<Connection, SendError> {
        // Where its workers are is nothing for a client.
        let unreachable = |e: &dyn std::fmt::Display| {
            tracing::debug!(instance = self.name, error = %e, "a replica cannot be reached");
            SendError::NotSent("it cannot be reached".to_owned())
        };
        let stream = connect(self.address, &self.name, &self.tls).await.map_err(|e| unreachable(&e))?;
        Connection::over(stream).await.map_err(|e| unreachable(&e))
    }

    /// Gives a connection back.
    pub(crate) fn put(&self, connection: Connection) {
        self.unused.put(connection);
    }

    /// Closes connections that nobody used for long.
    pub(crate) fn drop_old(&self) {
        self.unused.drop_old();
    }
}
