//! The control plane: store, orchestrator and API in one process, started and stopped in order.

use crate::account_check;
use crate::accounts::{self, LoggedIn};
use crate::failure::Failure;
use crate::sealed::{self, WORKER_AUTHORITY};
use inventiv_api::{Account, App, AskBill, Images, Limits, Settings};
use inventiv_core::time::Timestamp;
use inventiv_gateway::Gateway;
use inventiv_keyring::Keyring;
use inventiv_keyring::authority_context;
use inventiv_notify::Notifier;
use inventiv_orchestrator::clock::{ClockIds, SharedClock};
use inventiv_orchestrator::{Clock, Config, Engine, EngineAccount, Ids, MutualTls, WorkerLink};
use inventiv_providers::CloudProvider;
use inventiv_store::{AuthorityRow, Store};
use inventiv_worker_api::tls::{Authority, Identity};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// The settings that a control plane is started with.
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    /// Another address for the gateway alone.
    pub(crate) gateway_listen: Option<SocketAddr>,
    pub(crate) database: String,
    pub(crate) token: String,
    /// The keys that seal secrets.
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) limits: Limits,
    /// Host names to accept besides the machine's own, if it listens on loopback.
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) accounts: Vec<LoggedIn>,
    /// What is set for every account.
    pub(crate) config: Config,
    /// The zones to work in; empty: those that are usual for each cloud.
    pub(crate) zones: Vec<String>,
    /// The consistency window; `None`: the provider's value.
    pub(crate) consistency_window_ms: Option<i64>,
    /// How many calls a second each account makes; `None`: as is usual for its cloud.
    pub(crate) calls_per_second: Option<f64>,
    pub(crate) forced_data_volume_gb: Option<i64>,
    /// The worker's program; `None`: this executable.
    pub(crate) worker_binary: Option<PathBuf>,
}

/// How long requests may continue after everything else has stopped.
const REQUESTS_MAX: Duration = Duration::from_secs(5);

/// How long streams may take to end after they were told to.
const STREAMS_MAX: Duration = Duration::from_secs(2);

/// A running control plane.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    orchestrator: JoinHandle<Result<(), JoinError>>,
    api: JoinHandle<std::io::Result<()>>,
    gateway: Gateway,
    /// Reads and writes for the gateway; stopped last, when every request has been counted.
    gateway_runs: JoinHandle<()>,
    gateway_stop: CancellationToken,
    notifier: JoinHandle<()>,
}

/// Starts everything; when this returns, requests are answered.
pub(crate) async fn start(setup: Setup) -> Result<Running, Failure> {
    let listener = listen(setup.listen, "--listen").await?;
    let gateway_listener = match setup.gateway_listen {
        Some(address) => Some(listen(address, "--gateway-listen").await?),
        None => None,
    };
    let address = listener.local_addr().map_err(|e| Failure::general(e.to_string()))?;
    let store = Store::open(&setup.database).await.map_err(|e| Failure::general(e.to_string()))?;
    check_owner(&store, &setup.config.control_plane).await?;
    sealed::bring_up_to_date(&store, &setup.keyring).await?;
    let clock = Arc::new(SharedClock::default());
    clock.set_by(&store).await.map_err(|e| Failure::general(e.to_string()))?;
    let api_clock = clock.clone();
    let ids = Arc::new(ClockIds::new(clock.clone()));
    let drawn = ids.clone();
    let (mut driven, mut accounts) = (Vec::new(), Vec::new());
    for account in &setup.accounts {
        let (driver, shown) = open_account(account, &setup, clock.clone())?;
        driven.push(driver);
        accounts.push(shown);
    }
    let (engine_clock, engine_ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (clock.clone(), ids);
    let workers = Arc::new(workers(&store, &setup, clock.now()).await?);
    let tls = workers.client_config();
    let link: Arc<dyn WorkerLink> = workers;
    let engine = Engine::new(&store, &engine_clock, &engine_ids, &link, driven);
    engine.register().await.map_err(|e| Failure::general(e.to_string()))?;
    let stop = CancellationToken::new();
    let (kept_by, clock_stop) = (store.clone(), stop.clone());
    let gateway = gateway(&store, &tls, &clock);
    let (limits, gateway_stop) = (setup.limits, CancellationToken::new());
    let notifier = notifier(&store, &setup.keyring, &clock, &drawn)?;
    let app = App::new(Settings {
        store,
        accounts,
        limits: setup.limits,
        // Beyond loopback, any host name may be valid.
        hosts: address.ip().is_loopback().then_some(setup.allowed_hosts),
        token: setup.token,
        keyring: setup.keyring,
        workers: Some(tls),
        forced_data_volume_gb: setup.forced_data_volume_gb,
        now: Box::new(move || api_clock.now()),
        ids: Box::new(move || drawn.draw()),
        policy_wait: Duration::from_secs(5),
        metrics: inventiv_api::install_metrics(),
    });
    tokio::spawn(async move { clock_stop.run_until_cancelled(clock.keep(&kept_by)).await });
    let (run_stop, api_stop) = (stop.clone(), stop.clone());
    let orchestrator = tokio::spawn(async move { engine.run(run_stop).await });
    let notify_stop = stop.clone();
    let notifier = tokio::spawn(async move { notifier.run(notify_stop).await });
    let console = inventiv_console::Console::new(app.router());
    let (more, alone) = (gateway.router().merge(app.protect(console.router())), gateway.router_alone());
    let api = tokio::spawn(async move {
        let stopped = || async { api_stop.cancelled().await };
        let Some(other) = gateway_listener else { return inventiv_api::serve(listener, &app, more, stopped()).await };
        tokio::try_join!(
            inventiv_api::serve(listener, &app, more, stopped()),
            inventiv_api::serve_router(other, alone, limits, stopped(), || {})
        )
        .map(|_| ())
    });
    let (runs, until) = (gateway.clone(), gateway_stop.clone());
    let gateway_runs = tokio::spawn(async move { runs.run(until).await });
    Ok(Running { address, stop, orchestrator, api, gateway, gateway_runs, gateway_stop, notifier })
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|e| Failure::general(format!("cannot listen on {address}: {e}; choose another {flag}")))
}

fn gateway(store: &Store, tls: &Arc<ClientConfig>, clock: &Arc<SharedClock>) -> Gateway {
    let now = clock.clone();
    Gateway::new(inventiv_gateway::Settings {
        store: store.clone(),
        tls: tls.clone(),
        replica: uuid::Uuid::new_v4().simple().to_string(),
        now: Box::new(move || now.now()),
    })
}

fn notifier(
    store: &Store,
    keyring: &Arc<Keyring>,
    clock: &Arc<SharedClock>,
    ids: &Arc<ClockIds>,
) -> Result<Notifier, Failure> {
    let (now, ids) = (clock.clone(), ids.clone());
    let settings = inventiv_notify::Settings {
        store: store.clone(),
        keyring: keyring.clone(),
        now: Box::new(move || now.now()),
        ids: Box::new(move || ids.draw()),
    };
    Notifier::new(settings).map_err(Failure::general)
}

/// The way to the workers, with the authority that all replicas share.
async fn workers(store: &Store, setup: &Setup, now: Timestamp) -> Result<MutualTls, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::general(e.to_string());
    let context = authority_context(WORKER_AUTHORITY);
    let row = match store.authority(WORKER_AUTHORITY).await.map_err(|e| failed(&e))? {
        Some(row) => row,
        None => {
            let made = Authority::create().map_err(|e| failed(&e))?.identity();
            let sealed_key = setup.keyring.seal(&context, made.key_pem.as_bytes()).map_err(|e| failed(&e))?;
            let row = AuthorityRow {
                id: WORKER_AUTHORITY.to_owned(),
                certificate_pem: made.certificate_pem,
                sealed_key,
                created_at: now,
            };
            // Of several replicas that start at once, one is the first.
            store.begin_authority(&row).await.map_err(|e| failed(&e))?
        }
    };
    let key = setup.keyring.open(&context, &row.sealed_key).map_err(|e| failed(&e))?;
    let key_pem = String::from_utf8_lossy(&key).into_owned();
    let authority = Authority::read(Identity { certificate_pem: row.certificate_pem, key_pem });
    let program = match &setup.worker_binary {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|e| failed(&e))?,
    };
    let authority = authority.map_err(|e| failed(&e))?;
    MutualTls::new(authority, setup.keyring.clone(), program).map_err(|e| failed(&e))
}

/// An account as the engine drives it, and as the API shows it.
fn open_account(
    account: &LoggedIn,
    setup: &Setup,
    clock: Arc<SharedClock>,
) -> Result<(EngineAccount, Account), Failure> {
    let calls_per_second = setup.calls_per_second.unwrap_or(account.cloud.calls_per_second);
    let provider = account.connect(calls_per_second, Arc::new(move || clock.now()))?;
    let mut config = Config { zones: accounts::zones(account.cloud, &setup.zones)?, ..setup.config.clone() };
    config.rules.stale_ms = setup.consistency_window_ms.unwrap_or(provider.profile().consistency_window_ms);
    let shown = Account {
        id: provider.account().id(),
        name: account.name.clone(),
        profile: provider.profile().clone(),
        images: Some(images(provider.clone())),
        check: Some(account_check::checks(provider.clone(), config.zones.clone())),
        bill: Some(bill(provider.clone())),
    };
    Ok((EngineAccount { provider, config }, shown))
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

/// How the API asks the provider for the bill.
fn bill(provider: Arc<dyn CloudProvider>) -> AskBill {
    // One at a time: a bill may take many calls of the rate budget that everything else needs, too.
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    Box::new(move |from, to| {
        let (provider, turn) = (provider.clone(), turn.clone());
        Box::pin(async move {
            let _turn = turn.lock().await;
            provider.bill(from, to).await.map_err(|e| e.message)
        })
    })
}

/// Under another id, the unconfirmed creations of this database would not be found in the cloud.
pub(crate) async fn check_owner(store: &Store, control_plane: &str) -> Result<(), Failure> {
    let owner = store.control_plane().await.map_err(|e| Failure::general(e.to_string()))?;
    match owner.filter(|owner| owner != control_plane) {
        None => Ok(()),
        Some(owner) => Err(Failure::refused(format!(
            "this database belongs to control plane `{owner}`, not `{control_plane}`: use that id, or another database"
        ))),
    }
}

impl Running {
    /// Runs until a signal to stop; a task that ends before is an error.
    pub(crate) async fn until_asked_to_stop(&mut self) -> Result<(), Failure> {
        let mut asks = Asks::listen()?;
        tokio::select! {
            () = asks.next() => Ok(()),
            ended = &mut self.orchestrator => Err(Failure::general(format!("the reconciler stopped: {}", why(ended)))),
            ended = &mut self.api => Err(Failure::general(format!("the API stopped: {}", why(ended)))),
            // Without it, nobody would be told.
            ended = &mut self.notifier => Err(Failure::general(format!("the notifier stopped: {}", why(ended)))),
            // Without it, revoked keys would go on to work.
            ended = &mut self.gateway_runs => Err(Failure::general(format!("the gateway stopped: {}", why(ended)))),
        }
    }

    /// Stops taking work, and finishes the calls in progress.
    pub(crate) async fn shut_down(self) -> Result<(), Failure> {
        self.stop.cancel();
        let orchestrator = self.orchestrator.await.and_then(|worked| worked);
        let mut api = self.api;
        let mut ended = tokio::time::timeout(REQUESTS_MAX, &mut api).await;
        if ended.is_err() {
            // Answers of models may take long: they end with an error that says why.
            self.gateway.end_streams();
            ended = tokio::time::timeout(STREAMS_MAX, api).await;
        }
        self.gateway_stop.cancel();
        // A message in progress whose outcome is not recorded is sent again.
        let _ = tokio::time::timeout(STREAMS_MAX, self.notifier).await;
        let _ = tokio::time::timeout(STREAMS_MAX, self.gateway_runs).await;
        let Ok(api) = ended else {
            tracing::warn!("requests were still running: they are cut off");
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

/// Signals to stop this process: Ctrl-C and SIGTERM. From [`Asks::listen`] on, none is missed.
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
