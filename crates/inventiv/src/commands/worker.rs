//! `inventiv worker`: the program on a server that serves a model.

use crate::args::WorkerArgs;
use crate::failure::Failure;
use crate::server::Asks;
use inventiv_worker::Config;
use tokio_util::sync::CancellationToken;

pub(crate) async fn run(args: WorkerArgs) -> Result<(), Failure> {
    let config = Config { tls: args.tls, listen: args.listen, port: args.port, ..Config::of_server() };
    until_stopped(config).await
}

/// Runs a worker until a signal to stop.
pub(crate) async fn until_stopped(config: Config) -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    let mut asks = Asks::listen()?;
    let mut worker = tokio::spawn(inventiv_worker::run(config, stop.clone()));
    tokio::select! {
        () = asks.next() => stop.cancel(),
        ended = &mut worker => return ended.map_err(|e| e.to_string()).and_then(|r| r).map_err(Failure::general),
    }
    worker.await.map_err(|e| e.to_string()).and_then(|r| r).map_err(Failure::general)
}
