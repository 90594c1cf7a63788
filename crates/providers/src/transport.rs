//! The transport under every provider: it sends one request, once. This file has the one for real HTTP.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::time::{Duration, Instant};

/// The maximum length of a response, in bytes: much longer than a page of 100 servers.
pub const ANSWER_MAX: usize = 16 << 20;

/// There was no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NetError {
    /// Whether the request may have reached the provider.
    pub sent: bool,
    /// The message for people.
    pub message: String,
}

/// Sends one request, once.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Returns the whole response, or why there is none. Never repeats a request by itself.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError>;
    /// Waits: before a read is sent again, or until the rate budget has a slot. A transport on virtual time need not
    /// block.
    async fn pause(&self, pause: Duration);
    /// The transport's monotonic time. It advances with every pause.
    fn elapsed(&self) -> Duration;
}

/// HTTP over the network.
#[derive(Debug, Clone)]
pub struct Real {
    client: reqwest::Client,
    made: Instant,
}

impl Real {
    /// A client for `url` that follows no redirects and repeats no requests. For a loopback `url`, it uses no proxy.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn new(url: &str, accept_any_certificate: bool) -> Result<Self, NetError> {
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .tls_danger_accept_invalid_certs(accept_any_certificate);
        let client = if is_loopback(url) { client.no_proxy() } else { client };
        client
            .build()
            .map(|client| Self { client, made: Instant::now() })
            .map_err(|e| NetError { sent: false, message: chain(&e) })
    }
}

/// Whether a URL has a loopback host.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[async_trait]
impl Transport for Real {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let (parts, body) = request.into_parts();
        let sent =
            self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await;
        let answer = sent.map_err(|e| NetError { sent: !e.is_connect() && !e.is_builder(), message: chain(&e) })?;
        let mut response = http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut read = BytesMut::new();
        let mut stream = answer.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk =
                chunk.map_err(|e| NetError { sent: true, message: format!("incomplete response: {}", chain(&e)) })?;
            if read.len() + chunk.len() > ANSWER_MAX {
                return Err(NetError { sent: true, message: format!("the response exceeds {ANSWER_MAX} bytes") });
            }
            read.extend_from_slice(&chunk);
        }
        response.body(read.freeze()).map_err(|e| NetError { sent: true, message: e.to_string() })
    }

    async fn pause(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    fn elapsed(&self) -> Duration {
        self.made.elapsed()
    }
}

/// An error with its causes, on one line. URLs contain no secrets: the credentials are in a header.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text = format!("{text}: {c}");
        cause = c.source();
    }
    text
}
