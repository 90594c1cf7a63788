//! A Scaleway that runs on your machine: Instance v1, Block Storage v1 and Marketplace v2, behaving as recorded.
//!
//! It imports nothing of the product around it, so that it cannot share its misunderstandings. [`Emulator::handle`]
//! answers one request; [`Emulator::router`] puts that behind HTTP. Time is [`options::ClockMode`]'s; what recordings do
//! not show is an option of [`options::Options`], each with the likeliest default.

mod actions;
mod answer;
mod attach;
mod block;
mod block_snapshots;
mod catalogue;
mod clock;
mod control;
mod faults;
mod happen;
mod held;
mod history;
mod iam;
mod images;
mod ips;
mod market;
mod nics;
pub mod options;
mod placements;
mod prices;
mod request;
mod route;
mod security;
mod server_create;
mod servers;
mod snapshots;
mod templates;
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

/// Something that an account has and pays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `server`, `volume` (of whatever kind) or `address`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name; an address has none.
    pub name: String,
    /// Its state or status, as the wire says it; the address itself for an address.
    pub state: String,
}

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
        let answer = self.handle(&Request::from_parts(parts, body));
        let wire = answer.extensions().get::<route::Wire>().copied().unwrap_or_default();
        if wire.delay_ms > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(wire.delay_ms)).await;
        }
        if wire.cut {
            // A body that breaks off takes the connection with it.
            let broken = futures::stream::once(async {
                Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            });
            return answer.map(|_| axum::body::Body::from_stream(broken));
        }
        answer.map(axum::body::Body::from)
    }

    /// Everything it holds, as `GET /_emulator/state` shows it.
    #[must_use]
    pub fn state(&self) -> serde_json::Value {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        control::state(&world)
    }

    /// The servers, volumes and addresses it holds, in short.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        control::resources(&world)
    }

    /// The requests it remembers, oldest first, as `GET /_emulator/journal` shows them.
    #[must_use]
    pub fn journal(&self) -> serde_json::Value {
        control::journal(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves a clock that is moved by hand.
    pub fn advance_ms(&self, ms: i64) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.clock.advance_us(ms.saturating_mul(1_000));
        world.settle();
    }

    /// How long until something happens by itself, in milliseconds; `None`: nothing will.
    #[must_use]
    pub fn next_event_in_ms(&self) -> Option<i64> {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.next_event_us().map(|us| (us + 999) / 1_000)
    }

    /// Another account in the same state: what happens to one does not happen to the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        Self { world: Arc::new(Mutex::new(world.clone())) }
    }

    /// Adds a fault, as `POST /_emulator/faults` does.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn add_fault(&self, fault: &serde_json::Value) -> Result<u64, String> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let id = world.faults.add(fault)?;
        world.remember_past();
        Ok(id)
    }

    /// From now on, reads are stale as it says; an empty list: none is. What changed before is known as far back as
    /// [`Options::past_ms`] or the longest lag before.
    pub fn set_stale_reads(&self, stale: Vec<options::StaleReads>) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        world.options.stale_reads = stale;
        world.remember_past();
    }

    /// Its state, to be loaded again.
    #[must_use]
    pub fn saved(&self) -> String {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        control::save(&world).map_or_else(|_| String::new(), |state| state.to_string())
    }

    /// Goes on from a state that was saved.
    ///
    /// # Errors
    /// Says what is wrong with it; nothing has changed then.
    pub fn load(&self, saved: &str) -> Result<(), String> {
        let saved: serde_json::Value = serde_json::from_str(saved).map_err(|e| e.to_string())?;
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let done = control::load(&mut world, &saved);
        done.map(|_| ()).map_err(|_| "not a state that this version has saved".to_owned())
    }

    /// Adds an image as an answer of the Instance API shows it.
    pub fn add_image(&self, zone: &str, shown: &serde_json::Value) {
        images::add(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner), zone, shown);
    }

    /// Changes the options of a running emulator.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner).options);
    }
}

/// The moments at which the API or its catalogue has changed, in microseconds since 1970.
#[must_use]
pub fn changes_us() -> Vec<i64> {
    let mut all = history::changes_us();
    all.extend(catalogue::changes_us());
    all.sort_unstable();
    all.dedup();
    all
}
