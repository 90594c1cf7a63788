//! The server: store, orchestrator and API in one process, started and stopped in order.

use crate::failure::Failure;
use inventiv_api::{App, Settings};
use inventiv_orchestrator::clock::{SystemClock, UuidIds};
use inventiv_orchestrator::{Clock, Config, Ids, Orchestrator};
use inventiv_providers::CloudProvider;
use inventiv_providers::credentials::Credentials;
use inventiv_providers::scaleway::Scaleway;
use inventiv_providers::transport::Real;
use inventiv_store::Store;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Everything a server is started with.
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    pub(crate) database: String,
    pub(crate) token: String,
    pub(crate) credentials: Credentials,
    pub(crate) config: Config,
    pub(crate) calls_per_second: f64,
    pub(crate) forced_data_volume_gb: Option<i64>,
}

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
    let transport = Real::new(&setup.credentials.api_url, setup.credentials.insecure)
        .map_err(|e| Failure::general(e.to_string()))?;
    let now = Arc::new(|| SystemClock.now());
    let provider = Scaleway::new(&setup.credentials, Arc::new(transport), setup.calls_per_second, now);
    let account = provider.account().clone();
    let orchestrator =
        Orchestrator::new(store.clone(), Arc::new(provider), Arc::new(SystemClock), Arc::new(UuidIds), setup.config);
    orchestrator.register().await.map_err(|e| Failure::general(e.to_string()))?;
    let app = App::new(Settings {
        store,
        account_id: account.id(),
        provider: account.provider,
        token: setup.token,
        forced_data_volume_gb: setup.forced_data_volume_gb,
        now: Box::new(|| SystemClock.now()),
        ids: Box::new(|| UuidIds.draw()),
        metrics: inventiv_api::install_metrics(),
    });
    let stop = CancellationToken::new();
    let (run_stop, api_stop) = (stop.clone(), stop.clone());
    let orchestrator = tokio::spawn(async move { orchestrator.run(run_stop).await });
    let api =
        tokio::spawn(
            async move { inventiv_api::serve(listener, &app, async move { api_stop.cancelled().await }).await },
        );
    Ok(Running { address, stop, orchestrator, api })
}

impl Running {
    /// Stops taking work, finishes the calls that are under way.
    pub(crate) async fn shut_down(self) -> Result<(), Failure> {
        self.stop.cancel();
        let _ = self.orchestrator.await;
        match self.api.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Failure::general(format!("the API stopped: {e}"))),
            Err(e) => Err(Failure::general(format!("the API stopped: {e}"))),
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_stop() {
    let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
