//! The gateway: one OpenAI-compatible address for every model that answers.
//!
//! A request names a service or a model. The gateway finds a replica for it, sends it there over mutual TLS, and streams
//! the answer back byte for byte. It checks keys and limits, and counts requests and tokens. What it routes by is read
//! from the database once a second and upon each hint of a change, so that every replica of the control plane answers
//! alike.

mod balance;
mod body;
mod counters;
mod error;
mod keys;
mod limits;
mod metered;
mod pool;
mod request;
mod respond;
mod serve;
mod stream;
mod table;
mod usage;

use axum::Router;
use counters::Unwritten;
use inventiv_core::id::ServiceId;
use inventiv_core::time::Timestamp;
use inventiv_store::{Counted, Error, Store};
use keys::Keys;
use parking_lot::{Mutex, RwLock};
use rustls::ClientConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use table::{Known, Table};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// How often everything is read again.
const PERIOD: Duration = Duration::from_secs(1);
/// The shortest pause between two reads.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a request waits for a read that may show what it needs.
const READ_WITHIN: Duration = Duration::from_millis(1_500);
/// How often the minutes of limits are cleaned up.
const CLEAN_EVERY: Duration = Duration::from_secs(60);
/// How many bytes of requests are held at once, in KiB.
const HELD_KIB: usize = 256 * 1024;

/// What a gateway needs.
pub struct Settings {
    /// The database.
    pub store: Store,
    /// How to connect to workers.
    pub tls: Arc<ClientConfig>,
    /// Identifies this replica of the control plane.
    pub replica: String,
    /// Returns the current time.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The gateway. Clones share their state.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    settings: Settings,
    table: RwLock<Arc<Table>>,
    keys: RwLock<Arc<Keys>>,
    known: Mutex<Known>,
    unwritten: Unwritten,
    /// Asks for a read, or for what was counted to be written.
    ask: Notify,
    /// How many reads were completed.
    reads: watch::Sender<u64>,
    room: Arc<Semaphore>,
    turn: AtomicUsize,
    /// Whether the process ends.
    is_stopping: Arc<AtomicBool>,
}

impl Gateway {
    /// Creates a gateway. It knows no keys and no models until [`Gateway::run`] runs.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            table: RwLock::default(),
            keys: RwLock::default(),
            known: Mutex::default(),
            unwritten: Unwritten::default(),
            ask: Notify::new(),
            reads: watch::Sender::new(0),
            room: Arc::new(Semaphore::new(HELD_KIB)),
            turn: AtomicUsize::new(0),
            is_stopping: Arc::default(),
        }))
    }

    /// The routes under `/v1`.
    pub fn router(&self) -> Router {
        serve::router(self)
    }

    /// The same for a listener of their own, where no other path exists.
    pub fn router_alone(&self) -> Router {
        serve::router(self).fallback(serve::unknown)
    }

    /// Reads what to route by, and writes what was counted, until `stop` is cancelled; then writes a last time.
    pub async fn run(&self, stop: CancellationToken) {
        let mut hints = self.0.settings.store.hints();
        let mut cleaned = Instant::now();
        while !stop.is_cancelled() {
            self.round(&mut cleaned).await;
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = hints.next() => {}
                () = self.0.ask.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        if let Err(e) = self.write().await {
            tracing::error!(error = %e, "the last usage of the gateway was not recorded");
        }
    }

    /// Ends every stream with an error that says so: the process is about to end.
    pub fn end_streams(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        self.0.keys.read().values().for_each(|k| k.revoked.cancel());
    }

    async fn round(&self, cleaned: &mut Instant) {
        let (written, read) = (self.write().await, self.read().await);
        let cleaning = cleaned.elapsed() > CLEAN_EVERY;
        let swept = if cleaning { self.0.settings.store.drop_old_counts(self.now()).await } else { Ok(()) };
        if cleaning {
            *cleaned = Instant::now();
        }
        if read.is_ok() {
            self.0.reads.send_modify(|n| *n += 1);
        }
        for e in [written, read, swept].into_iter().filter_map(Result::err) {
            metrics::counter!("inventiv_gateway_database_failures_total").increment(1);
            tracing::error!(error = %e, "the gateway cannot use the database; it goes on with what it knows");
        }
    }

    /// Reads keys, services and replicas.
    async fn read(&self) -> Result<(), Error> {
        let store = &self.0.settings.store;
        let keys = store.valid_api_keys(self.now()).await?;
        let minutes = if keys.iter().any(|k| k.requests_per_minute.or(k.tokens_per_minute).is_some()) {
            Some(store.key_minutes(self.now()).await?)
        } else {
            None
        };
        let services = store.services(None).await?;
        let targets = store.targets().await?;
        let table = {
            let mut known = self.0.known.lock();
            let table = Table::new(&services, &targets, &mut known, &self.0.settings.tls);
            known.replicas.values().for_each(|r| r.pool.drop_old());
            counters::show_loads(&services, &known);
            table
        };
        let keys = keys::renewed(&self.0.keys.read().clone(), keys);
        if let Some(minutes) = minutes {
            keys::learn(&keys, &minutes, self.now());
        }
        *self.0.keys.write() = Arc::new(keys);
        *self.0.table.write() = Arc::new(table);
        Ok(())
    }

    /// Writes what was counted since the last time.
    async fn write(&self) -> Result<(), Error> {
        let now = self.now();
        let usage = std::mem::take(&mut *self.0.unwritten.lock());
        let keys = self.0.keys.read().clone();
        let minutes: Vec<_> = keys
            .values()
            .flat_map(|k| {
                let taken = k.window.lock().take();
                taken.into_iter().map(|(minute, used)| (k.row.id.clone(), minute, used))
            })
            .collect();
        let loads = {
            let known = self.0.known.lock();
            known.loads.iter().filter_map(|(id, load)| counters::load_to_tell(id, load, now)).collect::<Vec<_>>()
        };
        let wakes = loads.iter().any(|(id, load)| load.queued > 0 || self.has_no_replica(id));
        let counted = Counted { usage: usage.into_iter().collect(), minutes, loads };
        let written = self.0.settings.store.add_counted(&self.0.settings.replica, &counted, now).await;
        match written {
            Ok(()) => {
                if wakes {
                    self.0.settings.store.tell_change();
                }
                Ok(())
            }
            Err(e @ (Error::Unavailable(_) | Error::Open(_))) => {
                self.keep_for_later(counted, &keys);
                Err(e)
            }
            Err(e) => {
                // It may have been added, or will be refused again.
                let requests: i64 = counted.usage.iter().map(|(_, u)| u.requests).sum();
                tracing::error!(requests, error = %e, "the usage of some requests may not have been recorded");
                Ok(())
            }
        }
    }

    fn has_no_replica(&self, id: &ServiceId) -> bool {
        self.0.table.read().replicas_of(id) == Some(0)
    }

    /// Keeps what could not be written.
    fn keep_for_later(&self, counted: Counted, keys: &Keys) {
        let mut unwritten = self.0.unwritten.lock();
        for (key, used) in counted.usage {
            unwritten.entry(key).or_default().add(&used);
        }
        for (id, minute, used) in counted.minutes {
            if let Some(key) = keys.get(id.body()) {
                key.window.lock().give_back(minute, used);
            }
        }
        self.0.known.lock().loads.values().for_each(|l| counters::tell_again(l));
    }

    fn now(&self) -> Timestamp {
        (self.0.settings.now)()
    }

    /// Waits until everything was read after now, but not for long.
    async fn read_again(&self) {
        let mut reads = self.0.reads.subscribe();
        let twice = async {
            // A read that was under way may have begun too early.
            for _ in 0..2 {
                reads.mark_unchanged();
                self.0.ask.notify_one();
                if reads.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(READ_WITHIN, twice).await;
    }
}
