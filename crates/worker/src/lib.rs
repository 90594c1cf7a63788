//! The worker: it prepares the data volume, runs the engine, asks the model real questions, and lets requests through.
//!
//! [`run`] starts two things. The server (`server`) takes the desired state, tells what is going on, and forwards
//! allowed requests to the engine. The loop (`work`) makes the desired state true: data volume (`data_volume`), image
//! (`container`), model (`hub`), engine (`engine`), probe (`probe`). They meet in `state::State`.

pub mod config;
mod container;
mod data_volume;
pub mod disks;
mod engine;
mod facts;
mod failure;
mod files;
mod gpu;
mod hub;
mod log;
mod probe;
mod proxy;
mod server;
mod state;
mod work;

pub use config::Config;

use inventiv_worker_api::message::LogSource;
use inventiv_worker_api::tls::{Identity, server_config};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs a worker until `stop` is cancelled. Its engine ends with it.
///
/// # Errors
/// If the certificates cannot be read, or the address cannot be listened on.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), String> {
    // Another part of the process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |name: &str| {
        let path = config.tls.join(name);
        std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    };
    let identity = Identity { certificate_pem: read("certificate.pem")?, key_pem: read("key.pem")? };
    let tls = server_config(&read("authority.pem")?, &identity).map_err(|e| e.to_string())?;
    let state = Arc::new(state::State::new());
    let listener = server::bind(config.listen, config.port).await?;
    state.log.add(LogSource::Worker, &format!("listens on {}:{}", config.listen, config.port));
    if let Some(kept) = files::read_desired(&config) {
        state.resume(kept);
    }
    let measuring = tokio::spawn(facts::keep_measuring(Arc::clone(&state), config.clone()));
    let mut working = tokio::spawn(work::work(Arc::clone(&state), config, stop.clone()));
    let ended = tokio::select! {
        () = server::serve(listener, tls, state, stop.clone()) => None,
        ended = &mut working => Some(ended),
    };
    measuring.abort();
    match ended {
        // The engine is stopped before the worker ends.
        None => working.await.map_err(|e| e.to_string()),
        Some(ended) if stop.is_cancelled() => ended.map_err(|e| e.to_string()),
        // Without its loop, a worker would report its last phase for ever: it ends, and is started again.
        Some(ended) => Err(format!("the worker's loop ended: {ended:?}")),
    }
}
