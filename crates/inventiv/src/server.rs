//! The server: store, orchestrator and API in one process, started and stopped in order.

use crate::failure::Failure;
use inventiv_api::{App, Images, Limits, Settings};
use inventiv_orchestrator::clock::{ClockIds, SharedClock};
use inventiv_orchestrator::{Clock, Config, Ids, Orchestrator};
use inventiv_providers::CloudProvider;
use inventiv_providers::credentials::Credentials;
use inventiv_providers::scaleway::Scaleway;
use inventiv_providers::transport::Real;
use inventiv_store::Store;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Everything a server is started with.
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    pub(crate) database: String,
    pub(crate) token: String,
    pub(crate) limits: Limits,
    /// Names of this server besides the machine's own, where it listens on loopback.
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) credentials: Credentials,
    pub(crate) config: Config,
    /// How old a read may be; `None`: as the provider says.
    pub(crate) consistency_window_ms: Option<i64>,
    pub(crate) calls_per_second: f64,
    pub(crate) forced_data_volume_gb: Option<i64>,
}

/// How long requests may go on when everything else has stopped.
const REQUESTS_MAX: Duration = Duration::from_secs(5);

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    orchestrator: JoinHandle<()>,
    api: JoinHandle<std::io::Result<()>>,
}

/// Starts everything; when this returns, requests are answered.
pub(crate) async fn start(setup: Setup) -> Result<Running, Failure> {
    let listener = TcpListener::bind(setup.listen)
        .await
        .map_err(|e| Failure::general(format!("cannot listen on {}: {e}; choose another --listen", setup.listen)))?;
    let address = listener.local_addr().map_err(|e| Failure::general(e.to_string()))?;
    let store = Store::open(&setup.database).await.map_err(|e| Failure::general(e.to_string()))?;
    check_owner(&store, &setup.config.control_plane).await?;
    let transport = Real::new(&setup.credentials.api_url, setup.credentials.insecure)
        .map_err(|e| Failure::general(e.to_string()))?;
    let clock = Arc::new(SharedClock::default());
    clock.set_by(&store).await.map_err(|e| Failure::general(e.to_string()))?;
    let (provider_clock, api_clock) = (clock.clone(), clock.clone());
    let now = Arc::new(move || provider_clock.now());
    let provider = Scaleway::new(&setup.credentials, Arc::new(transport), setup.calls_per_second, now);
    let account = provider.account().clone();
    let provider_zones = provider.capabilities().zones.clone();
    let mut config = setup.config;
    config.rules.stale_ms = setup.consistency_window_ms.unwrap_or(provider.capabilities().consistency_window_ms);
    let ids = Arc::new(ClockIds::new(clock.clone()));
    let drawn = ids.clone();
    let provider = Arc::new(provider);
    let images = images(provider.clone());
    let orchestrator = Orchestrator::new(store.clone(), provider, clock.clone(), ids, config);
    orchestrator.register().await.map_err(|e| Failure::general(e.to_string()))?;
    let stop = CancellationToken::new();
    let (kept_by, clock_stop) = (store.clone(), stop.clone());
    let app = App::new(Settings {
        store,
        account_id: account.id(),
        provider: account.provider,
        limits: setup.limits,
        // Beyond this machine, any name may be the right one.
        hosts: address.ip().is_loopback().then_some(setup.allowed_hosts),
        token: setup.token,
        forced_data_volume_gb: setup.forced_data_volume_gb,
        now: Box::new(move || api_clock.now()),
        ids: Box::new(move || drawn.draw()),
        provider_zones,
        images: Some(images),
        policy_wait: Duration::from_secs(5),
        metrics: inventiv_api::install_metrics(),
    });
    tokio::spawn(async move { clock_stop.run_until_cancelled(clock.keep(&kept_by)).await });
    let (run_stop, api_stop) = (stop.clone(), stop.clone());
    let orchestrator = tokio::spawn(async move { orchestrator.run(run_stop).await });
    let api =
        tokio::spawn(
            async move { inventiv_api::serve(listener, &app, async move { api_stop.cancelled().await }).await },
        );
    Ok(Running { address, stop, orchestrator, api })
}

/// How the API asks the provider for images.
fn images(provider: Arc<dyn CloudProvider>) -> Images {
    let other = provider.clone();
    Images {
        fits: Box::new(move |image, offer| {
            let provider = provider.clone();
            Box::pin(async move { provider.image_fits(&image, &offer).await.map_err(|e| e.message) })
        }),
        all: Box::new(move |zone| {
            let provider = other.clone();
            Box::pin(async move { provider.images(&zone).await.map_err(|e| e.message) })
        }),
    }
}

/// Under another name, nothing that this database has in doubt would be found in the cloud.
pub(crate) async fn check_owner(store: &Store, control_plane: &str) -> Result<(), Failure> {
    let owner = store.control_plane().await.map_err(|e| Failure::general(e.to_string()))?;
    match owner.filter(|owner| owner != control_plane) {
        None => Ok(()),
        Some(owner) => Err(Failure::refused(format!(
            "this database belongs to control plane `{owner}`, not `{control_plane}`: take that id, or another database"
        ))),
    }
}

impl Running {
    /// Until somebody asks to stop, or one of the tasks ends by itself, which none should.
    pub(crate) async fn until_asked_to_stop(&mut self) -> Result<(), Failure> {
        let mut asks = Asks::listen()?;
        tokio::select! {
            () = asks.next() => Ok(()),
            ended = &mut self.orchestrator => Err(Failure::general(format!("the reconciler stopped: {}", why(ended)))),
            ended = &mut self.api => Err(Failure::general(format!("the API stopped: {}", why(ended)))),
        }
    }

    /// Stops taking work, finishes the calls that are under way.
    pub(crate) async fn shut_down(self) -> Result<(), Failure> {
        self.stop.cancel();
        let orchestrator = self.orchestrator.await;
        let Ok(api) = tokio::time::timeout(REQUESTS_MAX, self.api).await else {
            tracing::warn!("somebody does not read the answer to a request: it is broken off");
            return orchestrator.map_err(|e| Failure::general(format!("the reconciler stopped: {e}")));
        };
        match (api, orchestrator) {
            (Ok(Ok(())), Ok(())) => Ok(()),
            (Ok(Ok(())), Err(e)) => Err(Failure::general(format!("the reconciler stopped: {e}"))),
            (ended, _) => Err(Failure::general(format!("the API stopped: {}", why(ended)))),
        }
    }
}

/// Why a task ended, for people.
fn why<T: std::fmt::Debug>(ended: Result<T, tokio::task::JoinError>) -> String {
    match ended {
        Ok(value) => format!("it ended with {value:?}"),
        Err(e) => e.to_string(),
    }
}

/// Everybody who asks this process to stop: Ctrl-C and SIGTERM, from the moment that it listens. None is missed.
pub(crate) struct Asks {
    interrupt: Signal,
    terminate: Signal,
}

impl Asks {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|e| Failure::general(format!("cannot listen for signals: {e}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
