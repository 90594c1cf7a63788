//! Clients that ask as fast as they are answered, on connections that stay open.

use super::stage::Measured;
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The longest answers repeat all of it.
const PROMPT: &str = "Say it again. ";

/// Where to ask.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) model: String,
    pub(super) key: String,
}

/// What to ask for.
pub(super) struct Ask {
    words: usize,
    stream: bool,
}

impl Ask {
    /// A whole answer of so many words.
    pub(super) const fn answer(words: usize) -> Self {
        Self { words, stream: false }
    }

    /// The same as a stream.
    pub(super) const fn stream(words: usize) -> Self {
        Self { words, stream: true }
    }

    fn request(&self, target: &Target) -> http::Request<Full<Bytes>> {
        let body = json!({"model": target.model, "messages": [{"role": "user", "content": PROMPT.repeat(70)}],
            "max_tokens": self.words, "stream": self.stream});
        http::Request::post("/v1/chat/completions")
            .header("host", target.address.to_string())
            .header("authorization", format!("Bearer {}", target.key))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap()
    }
}

async fn connect(target: &Target) -> SendRequest<Full<Bytes>> {
    let tcp = tokio::net::TcpStream::connect(target.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One client: the latency of each request in milliseconds, and the number of events.
async fn ask_until(target: Target, request: http::Request<Full<Bytes>>, end: Instant) -> (Vec<f64>, usize) {
    let mut sender = connect(&target).await;
    // Clients that begin together would go on together: each would wait for the others.
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..50_000))).await;
    let (mut latencies, mut events) = (Vec::new(), 0);
    while Instant::now() < end {
        sender.ready().await.unwrap();
        let began = Instant::now();
        let mut answer = sender.send_request(request.clone()).await.unwrap();
        assert_eq!(answer.status(), 200, "{}", target.name);
        while let Some(frame) = answer.frame().await {
            let Ok(data) = frame.unwrap().into_data() else { continue };
            events += memchr::memmem::find_iter(&data, b"data: ").count();
        }
        latencies.push(began.elapsed().as_secs_f64() * 1e3);
    }
    (latencies, events)
}

/// So many clients, for so long.
pub(super) async fn closed_loop(target: &Target, ask: &Ask, clients: usize, lasts: Duration) -> Measured {
    let began = Instant::now();
    let each = (0..clients).map(|_| tokio::spawn(ask_until(target.clone(), ask.request(target), began + lasts)));
    let mut latencies = Vec::new();
    let mut events = 0;
    for client in each.collect::<Vec<_>>() {
        let (of_it, its_events) = client.await.unwrap();
        latencies.extend(of_it);
        events += its_events;
    }
    let took = began.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let at = |percent: usize| latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)];
    Measured {
        per_second: latencies.len() as f64 / took,
        p50_ms: at(50),
        p99_ms: at(99),
        events_per_second: events as f64 / took,
    }
}

/// Opens streams, of which only the head has come.
pub(super) async fn open_streams(
    target: &Target,
    ask: &Ask,
    count: usize,
) -> Vec<http::Response<hyper::body::Incoming>> {
    let opened = futures::stream::iter(0..count).map(|_| async {
        let mut sender = connect(target).await;
        let answer = sender.send_request(ask.request(target)).await.unwrap();
        if answer.status() != 200 {
            panic!("{}: {:?}", target.name, answer.into_body().collect().await);
        }
        answer
    });
    opened.buffer_unordered(64).collect().await
}
