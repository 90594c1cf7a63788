//! Lets requests through to the engine: only those for the model, and its metrics.

use crate::state::State;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use inventiv_worker_api::driven::{Driven, Unused};
use inventiv_worker_api::message::NOT_ACCEPTED;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Paths of the engine that may be reached, with their methods. Everything else of an engine stays closed: some of its
/// paths stop it or change its weights.
const ALLOWED: [(&str, Method); 9] = [
    ("/v1/models", Method::GET),
    ("/v1/chat/completions", Method::POST),
    ("/v1/completions", Method::POST),
    ("/v1/embeddings", Method::POST),
    ("/v1/responses", Method::POST),
    ("/v1/rerank", Method::POST),
    ("/v1/score", Method::POST),
    ("/v1/audio/transcriptions", Method::POST),
    ("/metrics", Method::GET),
];

/// How much of a refused request is read, in bytes.
const UNREAD_MAX: usize = 64 << 20;

/// Headers that are about one connection.
const HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a request may reach the engine. The path is compared as it is: no decoding, no `..`.
pub(crate) fn is_allowed(method: &Method, path: &str) -> bool {
    ALLOWED.iter().any(|(p, m)| *p == path && m == method)
}

/// How long a connection to the engine may be unused. Less than any engine keeps it open: uvicorn closes it after five seconds.
const IDLE: Duration = Duration::from_secs(4);
/// How many unused connections are kept.
const IDLE_MAX: usize = 512;

type Connection = Driven<TokioIo<TcpStream>, Incoming>;
type Connections = Unused<TokioIo<TcpStream>, Incoming>;

/// Forwards requests.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Connections to the engine, and where that listens.
    unused: Arc<Mutex<(SocketAddr, Arc<Connections>)>>,
    state: Arc<State>,
}

/// Why the engine gave no answer.
enum SendError {
    /// It got nothing of the request.
    NotSent,
    Broken(hyper::Error),
}

fn connections() -> Arc<Connections> {
    Arc::new(Unused::new(IDLE, IDLE_MAX))
}

impl Proxy {
    pub(crate) fn new(state: Arc<State>) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { unused: Arc::new(Mutex::new((nowhere, connections()))), state }
    }

    /// Closes connections to the engine that nobody used for long.
    pub(crate) async fn drop_old(&self) {
        let mut every = tokio::time::interval(IDLE);
        loop {
            every.tick().await;
            let unused = Arc::clone(&self.unused.lock().1);
            unused.drop_old();
        }
    }

    /// The connections to an engine: none of those to an earlier one.
    fn to(&self, target: SocketAddr) -> Arc<Connections> {
        let mut unused = self.unused.lock();
        if unused.0 != target {
            *unused = (target, connections());
        }
        Arc::clone(&unused.1)
    }

    /// Forwards an allowed request, and streams the response.
    pub(crate) async fn forward(&self, mut request: Request<Incoming>) -> Answer {
        let state = &self.state;
        let is_work = request.method() == Method::POST;
        if is_work && state.draining.load(Ordering::SeqCst) {
            return refuse(request, "the worker takes no new requests: its instance ends").await;
        }
        let Some(target) = state.target() else {
            return refuse(request, "the model does not answer yet").await;
        };
        let held = InFlight::begin(is_work, Arc::clone(state));
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let (Ok(uri), Ok(host)) = (path.parse::<Uri>(), HeaderValue::try_from(target.to_string())) else {
            return plain(StatusCode::BAD_REQUEST, "the path is not valid");
        };
        *request.uri_mut() = uri;
        *request.version_mut() = http::Version::HTTP_11;
        remove_hop_headers(request.headers_mut());
        // Keys are for whoever asked, not for the engine.
        request.headers_mut().remove(header::AUTHORIZATION);
        request.headers_mut().insert(header::HOST, host);
        let unused = self.to(target);
        match send(target, &unused, request).await {
            Ok((mut response, connection)) => {
                remove_hop_headers(response.headers_mut());
                response.headers_mut().remove(NOT_ACCEPTED);
                let connection = Some(connection);
                response.map(|body| Counted { body, connection, unused, held }.boxed_unsync())
            }
            Err(SendError::NotSent) => not_accepted("the engine does not run"),
            Err(SendError::Broken(e)) => {
                plain(StatusCode::BAD_GATEWAY, &format!("the engine broke the connection: {e}"))
            }
        }
    }
}

/// Sends a request to the engine, on a kept connection if there is one.
async fn send(
    target: SocketAddr,
    unused: &Connections,
    mut request: Request<Incoming>,
) -> Result<(Response<Incoming>, Connection), SendError> {
    loop {
        let (mut connection, is_new) = match unused.take() {
            Some(kept) => (kept, false),
            None => {
                let tcp = TcpStream::connect(target).await.map_err(|_| SendError::NotSent)?;
                let _ = tcp.set_nodelay(true);
                (Connection::over(TokioIo::new(tcp)).await.map_err(|_| SendError::NotSent)?, true)
            }
        };
        if connection.ready().await.is_err() {
            if is_new {
                return Err(SendError::NotSent);
            }
            continue;
        }
        match connection.send(request).await {
            Ok(response) => return Ok((response, connection)),
            Err(mut e) => match e.take_message() {
                // The engine had closed a kept connection.
                Some(unsent) if !is_new => request = unsent,
                Some(_) => return Err(SendError::NotSent),
                None => return Err(SendError::Broken(e.into_error())),
            },
        }
    }
}

fn remove_hop_headers(headers: &mut HeaderMap) {
    for name in HOP {
        headers.remove(name);
    }
}

/// Refuses a request after reading its body: a connection that is closed with unread bytes may lose the refusal.
async fn refuse(request: Request<Incoming>, why: &'static str) -> Answer {
    let mut body = request.into_body();
    let mut left = UNREAD_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            break;
        }
    }
    not_accepted(why)
}

/// A refusal of a request that the engine got nothing of.
fn not_accepted(why: &'static str) -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, why);
    answer.headers_mut().insert(NOT_ACCEPTED, HeaderValue::from_static(why));
    answer
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Answer {
    let body = http_body_util::Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Counts a request for as long as it lives.
struct InFlight {
    counts: bool,
    state: Arc<State>,
}

impl InFlight {
    fn begin(counts: bool, state: Arc<State>) -> Self {
        if counts {
            state.in_flight.fetch_add(1, Ordering::SeqCst);
            state.asked();
        }
        Self { counts, state }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.counts {
            self.state.asked();
            self.state.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// A body whose end, or whose reader's end, ends the request.
struct Counted {
    body: Incoming,
    /// `None`: it was given back.
    connection: Option<Connection>,
    unused: Arc<Connections>,
    held: InFlight,
}

impl Counted {
    /// Keeps the connection for the next request.
    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.unused.put(connection);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Whoever reads it may stop at the last byte. Otherwise the connection is closed, so that the engine stops.
        if self.body.is_end_stream() {
            self.give_back();
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, connection, .. } = &mut *self;
        let Some(open) = connection.as_mut() else { return Poll::Ready(None) };
        let polled = open.poll_body(body, cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                self.held.state.flow.fetch_add(1, Ordering::Relaxed);
            }
            Poll::Ready(None) => self.give_back(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_for_the_model_are_open() {
        for (method, path, open) in [
            (Method::POST, "/v1/chat/completions", true),
            (Method::GET, "/v1/models", true),
            (Method::GET, "/metrics", true),
            (Method::GET, "/v1/chat/completions", false),
            (Method::POST, "/v1/models", false),
            (Method::POST, "/invocations", false),
            (Method::POST, "/pause", false),
            (Method::POST, "/update_weights", false),
            (Method::POST, "/tokenize", false),
            (Method::POST, "/v1/load_lora_adapter", false),
            (Method::GET, "/v1/../pause", false),
            (Method::POST, "/v1/chat/completions/", false),
            (Method::POST, "//v1/chat/completions", false),
            (Method::POST, "/v1/chat%2Fcompletions", false),
        ] {
            assert_eq!(is_allowed(&method, path), open, "{method} {path}");
        }
    }
}
