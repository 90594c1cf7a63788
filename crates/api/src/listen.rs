//! The listener: it limits connections, closes slow ones, and answers errors of HTTP itself with problems.

mod bare;

use crate::App;
use crate::problem::ApiError;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bare::Legible;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// The maximum length of a request's head (path and headers), in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// The pause after a failed accept. The usual reason is that the process has run out of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Limits for clients.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of open connections.
    pub connections: usize,
    /// The maximum number of open connections from one address.
    pub connections_per_address: usize,
    /// The maximum time to receive a request's head, and the maximum idle time of a connection.
    pub head: Duration,
    /// The maximum time to receive a request's body.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2_048,
            connections_per_address: 1_024,
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
        }
    }
}

/// The numbers of open connections, in total and by address.
#[derive(Default)]
struct Counted {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A counted connection; dropping it decrements the counts.
struct Slot {
    counted: Arc<Mutex<Counted>>,
    address: IpAddr,
}

impl Slot {
    /// Returns `None` if too many connections are open.
    fn take(counted: &Arc<Mutex<Counted>>, address: IpAddr, limits: &Limits) -> Option<Self> {
        let mut held = counted.lock();
        let own = held.by_address.get(&address).copied().unwrap_or_default();
        if held.all >= limits.connections || own >= limits.connections_per_address {
            return None;
        }
        held.all += 1;
        held.by_address.insert(address, own + 1);
        Some(Self { counted: counted.clone(), address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.counted.lock();
        held.all = held.all.saturating_sub(1);
        if let Some(own) = held.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

/// Serves the API, with more routes on the same listener, until `stop` completes. Then it ends the change streams and
/// finishes the requests in progress.
///
/// # Errors
/// When the listener's address cannot be read.
pub async fn serve(
    listener: TcpListener,
    app: &App,
    more: Router,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    serve_router(listener, app.router().merge(more), app.inner.limits, stop, || app.close_streams()).await
}

/// Serves routes within limits until `stop` completes. Then it calls `stopped` and finishes the requests in progress.
///
/// # Errors
/// When the listener's address cannot be read.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send,
    stopped: impl FnOnce() + Send,
) -> std::io::Result<()> {
    let (counted, graceful) = (Arc::new(Mutex::new(Counted::default())), GracefulShutdown::new());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!(error = %e, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        match Slot::take(&counted, counted_as(from.ip()), &limits) {
            Some(slot) => talk(Accepted { stream, from, slot }, router.clone(), &limits, &graceful),
            None => turn_away(&stream),
        }
    }
    // From here on, connections are refused at once, so that clients try another replica.
    drop(listener);
    stopped();
    graceful.shutdown().await;
    Ok(())
}

/// The address that a connection is counted under. All addresses of an IPv6 /64 network count as one.
fn counted_as(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

/// A connection that was accepted.
struct Accepted {
    stream: TcpStream,
    from: SocketAddr,
    slot: Slot,
}

fn talk(accepted: Accepted, router: Router, limits: &Limits, graceful: &GracefulShutdown) {
    let Accepted { stream, from, slot } = accepted;
    // Small responses are sent without delay.
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY cannot be set; responses may be delayed");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(HEAD_MAX)
        .serve_connection(TokioIo::new(Legible::new(stream)), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _place = slot;
        if let Err(e) = connection.await {
            tracing::debug!(error = %e, %from, "a connection broke");
        }
    });
}

/// Sends the reason if that is possible without waiting, and closes the connection.
fn turn_away(stream: &TcpStream) {
    metrics::counter!("inventiv_api_connections_refused_total").increment(1);
    let text = bare::answer(503, "Service Unavailable", "too many connections are open; close some and try again");
    // The connection is closed even if nothing can be written to it.
    let _ = stream.try_write(text.as_bytes());
}

/// Reads the whole body of a request, within the time limit.
pub(crate) async fn whole_body(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, crate::BODY_MAX);
    match tokio::time::timeout(app.inner.limits.body, read).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(e)) if is_too_long(&e) => {
            ApiError::new(413, "too_large", format!("the body is longer than {} bytes", crate::BODY_MAX))
                .into_response()
        }
        Ok(Err(_)) => ApiError::new(400, "malformed", "the body is incomplete").into_response(),
        Err(_) => {
            let mut answer =
                ApiError::new(408, "too_slow", "the body did not arrive in time; send it again").into_response();
            answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            answer
        }
    }
}

fn is_too_long(e: &axum::Error) -> bool {
    std::error::Error::source(e).is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
}

/// Passes on requests that [`check_host`] accepts.
pub(crate) async fn known_host(State(app): State<App>, request: Request, next: Next) -> Response {
    match check_host(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(e) => e.into_response(),
    }
}

/// On loopback, refuses host names of other machines: a web page may resolve its name to loopback (DNS rebinding).
fn check_host(app: &App, request: &Request) -> Result<(), ApiError> {
    let Some(hosts) = &app.inner.hosts else { return Ok(()) };
    let Some(given) = request.headers().get(header::HOST) else { return Ok(()) };
    let host = given.to_str().ok().and_then(|h| h.parse::<axum::http::uri::Authority>().ok());
    let known = host.is_some_and(|h| {
        let name = h.host().to_ascii_lowercase();
        // DNS rebinding needs a name; an address is safe.
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_address || name == "localhost" || hosts.contains(&name)
    });
    if known {
        return Ok(());
    }
    Err(ApiError::new(
        421,
        "misdirected",
        "the Host header names another machine, and this control plane listens on loopback only; allow the name of a \
         proxy with `inventiv serve --allowed-host NAME`",
    ))
}

#[cfg(test)]
mod tests;
