//! A Scaleway that runs on your machine: Instance v1, Block Storage v1 and Marketplace v2, behaving as recorded.
//!
//! It imports nothing of the product around it, so that it cannot share its misunderstandings. [`Emulator::handle`]
//! answers one request; [`Emulator::router`] puts that behind HTTP. Time is [`options::ClockMode`]'s; what recordings do
//! not show is an option of [`options::Options`], each with the likeliest default.

mod actions;
mod answer;
mod attach;
mod block;
mod catalogue;
mod clock;
mod control;
mod ips;
mod market;
pub mod options;
mod request;
mod route;
mod server_create;
mod servers;
mod user_data;
mod volumes;
mod wire;
mod world;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use options::Options;
use std::sync::{Arc, Mutex, PoisonError};
use world::World;

/// The largest request body that is read, in bytes.
const BODY_MAX: usize = 4 << 20;

/// One pretended Scaleway; clones share it.
#[derive(Clone)]
pub struct Emulator {
    world: Arc<Mutex<World>>,
}

impl Emulator {
    /// An empty account.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(options))) }
    }

    /// Answers one request.
    #[must_use]
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        route::answer(&mut world, request)
    }

    /// The same behind HTTP.
    pub fn router(&self) -> axum::Router {
        let emulator = self.clone();
        axum::Router::new().fallback(move |request: axum::extract::Request| {
            let emulator = emulator.clone();
            async move { emulator.answer_http(request).await }
        })
    }

    /// Serves it until `stop` is done.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.router()).with_graceful_shutdown(stop).await
    }

    async fn answer_http(&self, request: axum::extract::Request) -> Response<axum::body::Body> {
        let (parts, body) = request.into_parts();
        let body = match http_body_util::Limited::new(body, BODY_MAX).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(_) => return answer::too_large().map(axum::body::Body::from),
        };
        self.handle(&Request::from_parts(parts, body)).map(axum::body::Body::from)
    }

    /// Everything it holds, as `GET /_emulator/state` shows it.
    #[must_use]
    pub fn state(&self) -> serde_json::Value {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        control::state(&world)
    }

    /// The requests it remembers, oldest first, as `GET /_emulator/journal` shows them.
    #[must_use]
    pub fn journal(&self) -> serde_json::Value {
        control::journal(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves a clock that is moved by hand.
    pub fn advance_ms(&self, ms: i64) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.clock.advance_ms(ms);
        world.settle();
    }

    /// Changes the options of a running emulator.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner).options);
    }
}
