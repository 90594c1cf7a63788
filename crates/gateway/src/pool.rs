//! Connections to one worker, used again by the next request.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use inventiv_worker_api::client::connect;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a connection may be unused.
const IDLE: Duration = Duration::from_secs(45);
/// How many unused connections are kept.
const IDLE_MAX: usize = 512;
/// How long an engine may take until its answer begins.
const ANSWER: Duration = Duration::from_secs(600);

/// A connection to a worker.
pub(crate) type Connection = SendRequest<Full<Bytes>>;

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
    unused: Mutex<Vec<(Connection, Instant)>>,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr, name: &str, tls: Arc<ClientConfig>) -> Self {
        Self { address, name: name.to_owned(), tls, unused: Mutex::default() }
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
            let (mut connection, is_new) = match self.take() {
                Some(kept) => (kept, false),
                None => {
                    let made = connect(self.address, &self.name, &self.tls).await;
                    // Where its workers are is nothing for a client.
                    let made = made.map_err(|e| {
                        tracing::debug!(instance = self.name, error = %e, "a replica cannot be reached");
                        SendError::NotSent("it cannot be reached".to_owned())
                    });
                    (made?, true)
                }
            };
            if connection.ready().await.is_err() {
                if is_new {
                    return Err(SendError::NotSent("the connection broke".to_owned()));
                }
                continue;
            }
            match tokio::time::timeout(ANSWER, connection.try_send_request(request)).await {
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

    fn take(&self) -> Option<Connection> {
        let mut unused = self.unused.lock();
        while let Some((connection, since)) = unused.pop() {
            if !connection.is_closed() && since.elapsed() < IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Gives a connection back.
    pub(crate) fn put(&self, connection: Connection) {
        let mut unused = self.unused.lock();
        if !connection.is_closed() && unused.len() < IDLE_MAX {
            unused.push((connection, Instant::now()));
        }
    }

    /// Closes connections that nobody used for long.
    pub(crate) fn drop_old(&self) {
        self.unused.lock().retain(|(connection, since)| !connection.is_closed() && since.elapsed() < IDLE);
    }
}
