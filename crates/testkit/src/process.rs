//! A control-plane process on virtual time: store, orchestrator, API. Once killed, nothing of it continues.

use crate::{Faulty, Fleet, TOKEN, app, orchestrator};
use inventiv_core::plan::Rules;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_orchestrator::{Ids, Orchestrator};
use inventiv_store::{Store, WriteHook, WritePhase};
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tower::ServiceExt;

/// Ids drawn from a seed, in ascending order.
pub(crate) struct Drawn(Mutex<(u64, fastrand::Rng)>);

impl Drawn {
    pub(crate) fn new(first: u64, rng: fastrand::Rng) -> Self {
        Self(Mutex::new((first, rng)))
    }
}

impl Ids for Drawn {
    fn draw(&self) -> u128 {
        let mut drawn = self.0.lock();
        drawn.0 += 1;
        (u128::from(drawn.0) << 64) | u128::from(drawn.1.u64(..))
    }
}

/// Everything that outlives a process.
pub(crate) struct Environment {
    pub(crate) url: String,
    pub(crate) wire: Arc<Faulty>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: Arc<Drawn>,
    pub(crate) rules: Rules,
    /// The workers on the cloud's servers.
    pub(crate) fleet: Fleet,
    /// Called around every database write.
    pub(crate) write_hook: Option<WriteHook>,
}

/// Counts commits while armed, and kills the process at a chosen one.
#[derive(Default)]
pub(crate) struct Commits {
    armed: AtomicBool,
    seen: [AtomicUsize; 2],
    kill: Mutex<Option<(usize, WritePhase)>>,
}

impl Commits {
    pub(crate) fn write_hook(self: &Arc<Self>, wire: &Faulty) -> WriteHook {
        let (commits, killed) = (self.clone(), wire.killed());
        Arc::new(move |moment| {
            if commits.reaches(moment) {
                killed.notify_one();
                return Box::pin(std::future::pending());
            }
            // Another process may read and write in between.
            Box::pin(tokio::task::yield_now())
        })
    }

    /// Starts or stops counting.
    pub(crate) fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::SeqCst);
    }

    /// Kills the process at the nth commit since it was first armed.
    pub(crate) fn kill_at(&self, n: usize, moment: WritePhase) {
        *self.kill.lock() = Some((n, moment));
    }

    /// Cancels the kill. `true`: it had not happened.
    pub(crate) fn spare(&self) -> bool {
        self.kill.lock().take().is_some()
    }

    /// How many commits were begun.
    pub(crate) fn begun(&self) -> usize {
        self.seen[0].load(Ordering::SeqCst)
    }

    /// How many commits were completed.
    pub(crate) fn committed(&self) -> usize {
        self.seen[1].load(Ordering::SeqCst)
    }

    fn reaches(&self, moment: WritePhase) -> bool {
        if !self.armed.load(Ordering::SeqCst) {
            return false;
        }
        let n = self.seen[usize::from(moment == WritePhase::Committed)].fetch_add(1, Ordering::SeqCst);
        let mut kill = self.kill.lock();
        let here = *kill == Some((n, moment));
        if here {
            *kill = None;
        }
        here
    }
}

pub(crate) struct Process {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) store: Store,
    pub(crate) orchestrator: Orchestrator,
    /// Other replicas on the same database, which run concurrently without taking a lease.
    pub(crate) duplicates: [Orchestrator; 2],
    pub(crate) api: axum::Router,
    database: Option<tokio::runtime::Runtime>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // A killed process does not wait for its database.
        if let Some(database) = self.database.take() {
            database.shutdown_background();
        }
    }
}

impl Process {
    pub(crate) fn start(environment: &Environment) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        // The database answers on its own threads, in any order. On a separate runtime, we wait for each answer.
        let database = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let database = database.map_err(|e| e.to_string())?;
        let opened = database.block_on(Store::open(&environment.url)).map_err(|e| e.to_string())?;
        let mut store = opened.in_one_order(database.handle().clone());
        let killed = environment.wire.killed();
        let made = runtime.block_on(async {
            // Two kills at the same moment leave one notification too many: consume it.
            tokio::select! {
                biased;
                () = killed.notified() => {}
                () = std::future::ready(()) => {}
            }
            let (wire, clock, rules) = (&environment.wire, &environment.clock, &environment.rules);
            let new = |store: &Store| {
                let made =
                    orchestrator(store.clone(), wire.clone(), clock.clone(), rules.clone(), environment.ids.clone());
                made.use_workers(Arc::new(environment.fleet.clone()));
                made
            };
            new(&store).register().await.map_err(|e| e.to_string())?;
            if let Some(write_hook) = &environment.write_hook {
                store = store.with_write_hook(write_hook.clone());
            }
            let api = app(store.clone(), clock.clone(), environment.ids.clone(), None).router();
            Ok::<_, String>((store.clone(), new(&store), [new(&store), new(&store)], api))
        });
        let (store, orchestrator, duplicates, api) = made?;
        Ok(Self { runtime, store, orchestrator, duplicates, api, database: Some(database) })
    }

    /// Sends one request to the API. `None`: the process was killed before it answered.
    pub(crate) fn call(
        &self,
        environment: &Environment,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Option<(u16, Value)>, String> {
        let request = axum::http::Request::builder().method(method).uri(path);
        let request =
            request.header("authorization", format!("Bearer {TOKEN}")).header("content-type", "application/json");
        let body = body.map_or_else(axum::body::Body::empty, |b| axum::body::Body::from(b.to_string()));
        let request = request.body(body).map_err(|e| e.to_string())?;
        let killed = environment.wire.killed();
        self.runtime.block_on(async {
            let answer = tokio::select! {
                biased;
                () = killed.notified() => return Ok(None),
                answer = self.api.clone().oneshot(request) => answer.map_err(|e| format!("{e:?}"))?,
            };
            let status = answer.status().as_u16();
            let bytes = axum::body::to_bytes(answer.into_body(), 16 << 20).await.map_err(|e| e.to_string())?;
            if status >= 500 {
                return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&bytes)));
            }
            Ok(Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))))
        })
    }
}
