//! What the worker's proxy costs, against the engine directly: `cargo bench -p inventiv-worker`.
//!
//! Figures of one run are compared with each other; machines are noisy.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a bench may stop at the first surprise")]

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use inventiv_core::engine::EngineKind;
use inventiv_core::worker::WorkerDesired;
use inventiv_core::worker::report::Phase;
use inventiv_worker::Config;
use inventiv_worker::disks::SystemDisks;
use inventiv_worker_api::client::{Responder, WorkerClient};
use inventiv_worker_api::message::DesiredRequest;
use inventiv_worker_api::tls::Authority;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const REQUESTS: usize = 3_000;
const EVENTS: usize = 100_000;
const PATH: &str = "/v1/chat/completions";

/// Answers at once; with `stream` in the body, with many events.
async fn engine(
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let text = br#"{"choices":[{"message":{"content":"Hello"}}]}"#;
    if !body.windows(6).any(|w| w == b"stream") {
        return Ok(Response::new(Full::new(Bytes::from_static(text)).boxed_unsync()));
    }
    let event = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n");
    let events = futures::stream::iter((0..EVENTS).map(move |_| Ok(Frame::data(event.clone()))));
    Ok(Response::new(StreamBody::new(events).boxed_unsync()))
}

async fn serve_engine(port: u16) {
    let listener = tokio::net::TcpListener::bind((LOOPBACK, port)).await.unwrap();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service_fn(engine)),
        );
    }
}

async fn worker(folder: &std::path::Path, authority: &Authority) -> WorkerClient {
    let identity = authority.for_worker("ins-1").unwrap();
    std::fs::write(folder.join("authority.pem"), authority.certificate_pem()).unwrap();
    std::fs::write(folder.join("certificate.pem"), identity.certificate_pem).unwrap();
    std::fs::write(folder.join("key.pem"), identity.key_pem).unwrap();
    let port = std::net::TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port();
    let config = Config {
        tls: folder.to_owned(),
        listen: LOOPBACK,
        port,
        state: folder.join("state"),
        run: folder.join("run"),
        data: folder.join("data"),
        without_volume: folder.join("local"),
        disks: Arc::new(SystemDisks),
        ..Config::of_server()
    };
    tokio::spawn(inventiv_worker::run(config, CancellationToken::new()));
    let desired = WorkerDesired {
        instance_id: "ins-1".into(),
        model_id: "a/model".into(),
        engine: EngineKind::Command,
        context_tokens: 1,
        gpu_count: 0,
        image: None,
        args: Vec::new(),
        // This program again, as the engine.
        command: vec![std::env::current_exe().unwrap().display().to_string(), "engine".into(), "{port}".into()],
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        data_device: None,
        scratch: None,
    };
    let request = DesiredRequest::new(desired, BTreeMap::new(), &[]);
    let mut client = WorkerClient::new(LOOPBACK, port, "ins-1", authority.client_config().unwrap());
    loop {
        match client.status(None, Duration::ZERO).await {
            Ok(Responder::Worker(r)) if r.phase == Phase::Serving => return client,
            Ok(Responder::Worker(r)) if r.desired_id.is_none() => client.put_desired(&request).await.unwrap(),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

/// The processor time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

async fn measure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create().unwrap();
    let mut through = worker(folder.path(), &authority).await;
    let log = through.log(100).await.unwrap();
    let line = log.iter().find(|l| l.text.starts_with("starts ")).unwrap();
    let port: u16 = line.text.rsplit(' ').next().unwrap().parse().unwrap();
    let target = SocketAddr::new(LOOPBACK, port);
    let direct = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let ask = |body: &'static str| {
        let request =
            Request::post(format!("http://{target}{PATH}")).body(Full::new(Bytes::from_static(body.as_bytes())));
        direct.request(request.unwrap())
    };
    let (mut direct_times, mut through_times) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        let began = Instant::now();
        ask("{}").await.unwrap().into_body().collect().await.unwrap();
        direct_times.push(began.elapsed());
        let began = Instant::now();
        let answer = through.forward(Method::POST, PATH, Bytes::from_static(b"{}"), Duration::from_secs(10)).await;
        answer.unwrap().into_body().collect().await.unwrap();
        through_times.push(began.elapsed());
    }
    let (a, b) = (median(direct_times), median(through_times));
    println!(
        "one request, median of {REQUESTS}: {a:.3} ms directly, {b:.3} ms through the worker: {:.3} ms more",
        b - a
    );
    let (began, before) = (Instant::now(), cpu());
    let body = Bytes::from_static(b"{\"stream\":true}");
    let answer = through.forward(Method::POST, PATH, body, Duration::from_secs(60)).await.unwrap();
    let mut stream = answer.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        bytes += chunk.unwrap().len();
    }
    let (took, used) = (began.elapsed().as_secs_f64(), cpu() - before);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let events = EVENTS as f64;
    println!(
        "{EVENTS} events ({bytes} bytes): {:.0} a second; worker and reader used {used:.2} s of processor time: {:.0} a second on one core",
        events / took,
        events / used.max(0.01)
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("engine") => runtime.block_on(serve_engine(args[2].parse().unwrap())),
        _ => runtime.block_on(measure()),
    }
}
