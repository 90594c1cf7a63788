//! Many workers behind one address: real TLS with a certificate for each instance, and what a worker that serves answers.

use super::*;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use inventiv_core::worker::report::{EngineFacts, Phase, Probe, Report, Step, StepKind};
use inventiv_worker_api::message::DesiredRequest;
use inventiv_worker_api::tls::{Authority, Identity, server_config};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::LazyConfigAcceptor;

/// The steps of a worker that serves.
const STEPS: [StepKind; 4] =
    [StepKind::DataVolume, StepKind::ModelDownload, StepKind::EngineStart, StepKind::EngineProbe];

/// One worker.
struct Worker {
    desired: Option<String>,
    sequence: watch::Sender<u64>,
    /// When its model answered for the first time.
    serves_since: Option<Instant>,
}

/// The workers, by the id of their instance.
pub(crate) struct Farm {
    authority: Authority,
    /// How long a model takes to be served.
    loads: Duration,
    tls: Mutex<HashMap<String, Arc<rustls::ServerConfig>>>,
    workers: Mutex<HashMap<String, Worker>>,
}

impl Farm {
    pub(crate) fn new(authority: Identity, loads: Duration) -> Arc<Self> {
        let authority = Authority::read(authority).unwrap();
        Arc::new(Self { authority, loads, tls: Mutex::default(), workers: Mutex::default() })
    }

    /// When the model of an instance answered for the first time.
    pub(crate) fn serves_since(&self, id: &str) -> Option<Instant> {
        self.workers.lock().unwrap().get(id)?.serves_since
    }

    /// Whether the worker of an instance was called.
    pub(crate) fn is_known(&self, id: &str) -> bool {
        self.workers.lock().unwrap().contains_key(id)
    }

    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(self.clone().connection(tcp));
        }
    }

    async fn connection(self: Arc<Self>, tcp: TcpStream) {
        tcp.set_nodelay(true).unwrap();
        let Ok(hello) = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await else { return };
        let name = hello.client_hello().server_name().unwrap_or_default().to_owned();
        let config = self.config(&name);
        let Ok(tls) = hello.into_stream(config).await else { return };
        let answer = hyper::service::service_fn(move |request| {
            let (farm, name) = (self.clone(), name.clone());
            async move { Ok::<_, Infallible>(farm.answer(&name, request).await) }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(tls), answer)
            .await;
    }

    fn config(&self, name: &str) -> Arc<rustls::ServerConfig> {
        let mut known = self.tls.lock().unwrap();
        let make = || server_config(self.authority.certificate_pem(), &self.authority.for_worker(name).unwrap());
        known.entry(name.to_owned()).or_insert_with(|| make().unwrap()).clone()
    }

    async fn answer(self: &Arc<Self>, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let number = |key: &str| query.split('&').find_map(|p| p.strip_prefix(key)?.strip_prefix('=')?.parse().ok());
        if request.method() == Method::PUT {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let wanted: DesiredRequest = serde_json::from_slice(&body).unwrap();
            self.change(id, |w| w.desired = Some(wanted.id));
            let (farm, id) = (self.clone(), id.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(farm.loads).await;
                farm.change(&id, |w| w.serves_since = Some(Instant::now()));
            });
            return Response::new(Full::default());
        }
        let mut news = self.change(id, |_| ());
        if let Some(after) = number("after") {
            let wait = Duration::from_millis(number("wait_ms").unwrap_or(0));
            let _ = tokio::time::timeout(wait, news.wait_for(|sequence| *sequence > after)).await;
        }
        Response::new(Full::from(serde_json::to_vec(&self.report(id)).unwrap()))
    }

    /// Changes a worker; one that is not known yet begins with this.
    fn change(&self, id: &str, change: impl FnOnce(&mut Worker)) -> watch::Receiver<u64> {
        let mut workers = self.workers.lock().unwrap();
        let new = || Worker { desired: None, sequence: watch::Sender::new(1), serves_since: None };
        let worker = workers.entry(id.to_owned()).or_insert_with(new);
        let before = (worker.desired.clone(), worker.serves_since);
        change(worker);
        if before != (worker.desired.clone(), worker.serves_since) {
            worker.sequence.send_modify(|sequence| *sequence += 1);
        }
        worker.sequence.subscribe()
    }

    fn report(&self, id: &str) -> Report {
        let workers = self.workers.lock().unwrap();
        let worker = workers.get(id).unwrap();
        let serves = worker.serves_since.is_some();
        let step = |(n, kind): (usize, &StepKind)| Step {
            number: n as u64 + 1,
            kind: *kind,
            lasted_ms: 1_000,
            succeeded: true,
            text: "done".to_owned(),
        };
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: "run".to_owned(),
            sequence: *worker.sequence.borrow(),
            desired_id: worker.desired.clone(),
            phase: match (&worker.desired, serves) {
                (None, _) => Phase::Waiting,
                (Some(_), false) => Phase::EngineStart,
                (Some(_), true) => Phase::Serving,
            },
            progress: None,
            steps: if serves { STEPS.iter().enumerate().map(step).collect() } else { Vec::new() },
            failure: None,
            engine: EngineFacts::default(),
            probe: serves.then_some(Probe { answered: true, failures: 0, latency_ms: 1, age_ms: 0, error: None }),
            in_flight: 0,
            idle_ms: Some(1_000),
            draining: false,
            gpus: Vec::new(),
            disks: Vec::new(),
            memory_bytes: Some(96_000_000_000),
            memory_free_bytes: Some(48_000_000_000),
        }
    }
}
