//! The worker's side of the protocol: HTTP/1.1 over mutual TLS.

use crate::proxy::{Answer, Proxy, is_allowed, plain};
use crate::state::State;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use inventiv_worker_api::message::{DESIRED, DRAIN, DesiredRequest, LOGS, LogSource, STATUS};
use rustls::ServerConfig;
use serde::Deserialize;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest wait for a report.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The maximum length of a desired state, in bytes.
const DESIRED_MAX: usize = 1 << 20;
/// How many connections are served at once.
const CONNECTIONS: usize = 4_096;
/// How long the port may still be held by the program that came before.
const PORT_WITHIN: Duration = Duration::from_secs(20);

/// Listens. After the bootstrap program, the port becomes free a moment later.
pub(crate) async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, String> {
    let began = tokio::time::Instant::now();
    loop {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => return Ok(listener),
            Err(e) if began.elapsed() > PORT_WITHIN => return Err(format!("cannot listen on {address}:{port}: {e}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, state: Arc<State>, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(tls);
    let proxy = Proxy::new(Arc::clone(&state));
    tokio::spawn({
        let (proxy, stop) = (proxy.clone(), stop.clone());
        async move { stop.run_until_cancelled(proxy.drop_old()).await }
    });
    let service = Arc::new(Service { proxy, state });
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            // Too many open files, for instance.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(held) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (acceptor, service, stop) = (acceptor.clone(), Arc::clone(&service), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(acceptor, tcp, service) => {}
            }
            drop(held);
        });
    }
}

async fn connection(acceptor: TlsAcceptor, tcp: TcpStream, service: Arc<Service>) {
    inventiv_worker_api::tcp::tune(&tcp);
    let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await else { return };
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(600));
    let _ = builder.serve_connection(TokioIo::new(tls), answer).await;
}

struct Service {
    state: Arc<State>,
    proxy: Proxy,
}

#[derive(Deserialize)]
struct StatusQuery {
    after: Option<u64>,
    wait_ms: Option<u64>,
}

#[derive(Deserialize)]
struct LogQuery {
    tail: Option<usize>,
    follow: Option<bool>,
    source: Option<String>,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        if is_allowed(request.method(), path) {
            return self.proxy.forward(request).await;
        }
        match (request.method(), path) {
            (&Method::GET, STATUS) => match serde_urlencoded::from_str(query) {
                Ok(query) => self.status(query).await,
                Err(e) => plain(StatusCode::BAD_REQUEST, &e.to_string()),
            },
            (&Method::GET, LOGS) => match serde_urlencoded::from_str(query) {
                Ok(query) => self.logs(query),
                Err(e) => plain(StatusCode::BAD_REQUEST, &e.to_string()),
            },
            (&Method::PUT, DESIRED) => self.desired(request).await,
            (&Method::POST, DRAIN) => self.drain(true),
            (&Method::DELETE, DRAIN) => self.drain(false),
            _ => plain(StatusCode::NOT_FOUND, "the worker has no such path"),
        }
    }

    /// Answers when the sequence is above the given one, or when the wait is over.
    async fn status(&self, query: StatusQuery) -> Answer {
        if let Some(after) = query.after {
            let wait = Duration::from_millis(query.wait_ms.unwrap_or(0)).min(WAIT_MAX);
            let mut news = self.state.news();
            let _ = tokio::time::timeout(wait, news.wait_for(|sequence| *sequence > after)).await;
        }
        json(&self.state.report())
    }

    fn logs(&self, query: LogQuery) -> Answer {
        let source = match query.source.as_deref().map(|s| LogSource::parse(s).ok_or(s)) {
            None => None,
            Some(Ok(source)) => Some(source),
            Some(Err(_)) => return plain(StatusCode::BAD_REQUEST, "source must be engine, worker or install"),
        };
        let tail = query.tail.unwrap_or(usize::MAX);
        let follow = query.follow == Some(true);
        let (state, mut news) = (Arc::clone(&self.state), self.state.log.news());
        news.mark_changed();
        let chunks = futures::stream::unfold((0, tail, false), move |(last, tail, asked)| {
            let (state, mut news) = (Arc::clone(&state), news.clone());
            async move {
                if asked && !follow {
                    return None;
                }
                if asked && news.wait_for(|newest| *newest > last).await.is_err() {
                    return None;
                }
                let lines = state.log.after(last, tail, source);
                let newest = lines.last().map_or(last, |l| l.number).max(*news.borrow());
                let mut text = Vec::new();
                for line in &lines {
                    text.extend(serde_json::to_vec(line).unwrap_or_default());
                    text.push(b'\n');
                }
                Some((Ok(Frame::data(Bytes::from(text))), (newest, usize::MAX, true)))
            }
        });
        Response::new(BodyExt::boxed_unsync(StreamBody::new(Box::pin(chunks))))
    }

    async fn desired(&self, request: Request<Incoming>) -> Answer {
        let body = match Limited::new(request.into_body(), DESIRED_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) => return plain(StatusCode::BAD_REQUEST, &e.to_string()),
        };
        // An error of the reader may quote a value, and values may be secret.
        let Ok(wanted) = serde_json::from_slice::<DesiredRequest>(&body) else {
            return plain(StatusCode::BAD_REQUEST, "the desired state is not readable");
        };
        self.state.want(wanted);
        plain(StatusCode::OK, "{}")
    }

    fn drain(&self, drain: bool) -> Answer {
        if self.state.draining.swap(drain, Ordering::SeqCst) != drain {
            self.state.change(|_| {});
        }
        plain(StatusCode::OK, "{}")
    }
}

fn json(value: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
