//! A local emulator of Scaleway: Instance v1, Block Storage v1 and Marketplace v2, with the recorded behaviour.
//!
//! It uses no code of the control plane, so it cannot share its mistakes. [`Emulator::handle`] answers one request;
//! [`Emulator::router`] serves the same over HTTP. [`options::ClockMode`] sets how time passes. Each behaviour that
//! recordings do not show is an option in [`options::Options`], with the likeliest default.

mod actions;
mod answer;
mod attach;
mod billing;
mod block;
mod block_snapshots;
mod boot;
mod catalogue;
mod clock;
mod control;
mod disks;
mod event;
mod faults;
mod happen;
mod held;
mod history;
mod iam;
mod images;
mod ips;
mod loopback;
mod machines;
mod market;
mod measure;
mod meter;
mod nics;
pub mod options;
mod placements;
mod prices;
mod process;
mod request;
mod route;
mod security;
mod server_create;
mod server_lookup;
mod servers;
mod snapshots;
mod templates;
mod tracked;
mod user_data;
mod volumes;
mod wire;
mod world;

pub use boot::Boot;
pub use machines::Machines;
pub use meter::Metered;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use options::Options;
use parking_lot::Mutex;
use std::sync::Arc;
use world::World;

/// The largest accepted request body, in bytes.
const BODY_MAX: usize = 4 << 20;

/// A resource that the account pays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `server`, `volume` (of any kind) or `address`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name; an address has none.
    pub name: String,
    /// Its state or status as in the API; for an address, the address itself.
    pub state: String,
}

/// One emulated Scaleway account; clones share it.
#[derive(Clone)]
pub struct Emulator {
    world: Arc<Mutex<World>>,
    bell: machines::Bell,
}

impl Emulator {
    /// An empty account.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::of(World::new(options))
    }

    fn of(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)), bell: machines::Bell::default() }
    }

    /// From now on, runs a command for each server that runs, as its machine, and gives loopback addresses instead of
    /// public ones. The machines are killed when the result is dropped; clones of the emulator do not keep them.
    ///
    /// # Errors
    /// The folder for the disks cannot be created, or the servers have machines already.
    pub fn boot(&self, boot: &Boot) -> std::io::Result<Machines> {
        Machines::start(&self.world, &self.bell, boot)
    }

    /// Answers one request.
    #[must_use]
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let answer = route::answer(&mut self.world.lock(), request);
        if request.method() != http::Method::GET
            && let Some(machines) = self.bell.lock().as_ref()
        {
            machines.unpark();
        }
        answer
    }

    /// An axum router that serves it over HTTP.
    pub fn router(&self) -> axum::Router {
        let emulator = self.clone();
        axum::Router::new().fallback(move |request: axum::extract::Request| {
            let emulator = emulator.clone();
            async move { emulator.answer_http(request).await }
        })
    }

    /// Serves it over HTTP until `stop` completes.
    ///
    /// # Errors
    /// The listener fails.
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
            // A truncated body also closes the connection.
            let broken = futures::stream::once(async {
                Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            });
            return answer.map(|_| axum::body::Body::from_stream(broken));
        }
        answer.map(axum::body::Body::from)
    }

    /// The whole state, as `GET /_emulator/state` shows it.
    #[must_use]
    pub fn state(&self) -> serde_json::Value {
        let mut world = self.world.lock();
        world.settle();
        control::state(&world)
    }

    /// A summary of its servers, volumes and addresses.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        let mut world = self.world.lock();
        world.settle();
        control::resources(&world)
    }

    /// What costs and did cost money, in the order of the beginnings.
    #[must_use]
    pub fn metered(&self) -> Vec<Metered> {
        let mut world = self.world.lock();
        world.settle();
        world.meter.all()
    }

    /// Its clock, in microseconds since 1970.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.world.lock().now()
    }

    /// The default project.
    #[must_use]
    pub fn project(&self) -> String {
        self.world.lock().options.project.clone()
    }

    /// The requests in the journal, oldest first, as `GET /_emulator/journal` shows them.
    #[must_use]
    pub fn journal(&self) -> serde_json::Value {
        control::journal(&self.world.lock())
    }

    /// Advances the clock; meant for [`options::ClockMode::Manual`].
    pub fn advance_ms(&self, ms: i64) {
        let mut world = self.world.lock();
        world.clock.advance_us(ms.saturating_mul(1_000));
        world.settle();
    }

    /// The time until the next event, in milliseconds; `None`: no event is pending.
    #[must_use]
    pub fn next_event_in_ms(&self) -> Option<i64> {
        let world = self.world.lock();
        world.next_event_us().map(|us| (us + 999) / 1_000)
    }

    /// An independent copy in the same state; its servers have no machines.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut world = self.world.lock().clone();
        world.has_machines = false;
        Self::of(world)
    }

    /// Adds a fault, as `POST /_emulator/faults` does.
    ///
    /// # Errors
    /// The fault is invalid; the message says why.
    pub fn add_fault(&self, fault: &serde_json::Value) -> Result<u64, String> {
        let mut world = self.world.lock();
        let id = world.faults.add(fault)?;
        world.remember_past();
        Ok(id)
    }

    /// Sets which reads are stale from now on; with an empty list, none. Earlier states are known as far back as
    /// [`Options::past_ms`] or the longest previous lag.
    pub fn set_stale_reads(&self, stale: Vec<options::StaleReads>) {
        let mut world = self.world.lock();
        world.settle();
        world.options.stale_reads = stale;
        world.remember_past();
    }

    /// Its state in the form that [`Emulator::load`] reads.
    #[must_use]
    pub fn saved(&self) -> String {
        let world = self.world.lock();
        control::save(&world).map_or_else(|_| String::new(), |state| state.to_string())
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// The state is invalid; nothing has changed.
    pub fn load(&self, saved: &str) -> Result<(), String> {
        let saved: serde_json::Value = serde_json::from_str(saved).map_err(|e| e.to_string())?;
        let mut world = self.world.lock();
        let done = control::load(&mut world, &saved);
        done.map(|_| ()).map_err(|_| "not a state that this version has saved".to_owned())
    }

    /// Adds an image in the form in which the Instance API shows it.
    pub fn add_image(&self, zone: &str, shown: &serde_json::Value) {
        images::add(&mut self.world.lock(), zone, shown);
    }

    /// Changes the options of a running emulator.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.world.lock().options);
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
