//! Processes whose database writes run a hook, so that a test can hold each of them or crash there. Their ids follow the
//! world's clock.

use crate::{World, app, orchestrator};
use inventiv_api::App;
use inventiv_core::plan::Rules;
use inventiv_orchestrator::Orchestrator;
use inventiv_orchestrator::clock::ClockIds;
use inventiv_store::{Store, WriteHook, WritePhase};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A hook that stops its process for ever at the nth moment, from 0: each write has one before and one after it. Notifies then.
#[must_use]
pub fn dies_at(nth: usize) -> (WriteHook, Arc<Notify>) {
    let (seen, died) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let told = died.clone();
    let hook: WriteHook = Arc::new(move |_: WritePhase| {
        let (is_nth, told) = (seen.fetch_add(1, Ordering::SeqCst) == nth, told.clone());
        Box::pin(async move {
            if is_nth {
                told.notify_one();
                std::future::pending::<()>().await;
            }
        })
    });
    (hook, died)
}

impl World {
    /// The same world, whose process runs a hook before and after each of its writes.
    #[must_use]
    pub fn with_write_hook(mut self, hook: WriteHook) -> Self {
        let (store, clock) = (self.store.with_write_hook(hook), self.clock.clone());
        let ids = Arc::new(ClockIds::new(clock.clone()));
        self.orchestrator =
            orchestrator(store.clone(), self.wire.clone(), clock.clone(), Rules::default(), ids.clone());
        self.api = app(store.clone(), clock, ids, None).router();
        self.store = store;
        self
    }

    /// The same world, without anything at its writes.
    #[must_use]
    pub fn with_ids_of_its_clock(self) -> Self {
        self.with_write_hook(Arc::new(|_| Box::pin(std::future::ready(()))))
    }

    /// The API of another replica on the same database, which runs a hook before and after each of its writes.
    ///
    /// # Panics
    /// The database does not open.
    pub async fn another_api_with(&self, hook: WriteHook) -> App {
        let store = Store::open(&self.database_url).await.expect("the database opens").with_write_hook(hook);
        app(store, self.clock.clone(), Arc::new(ClockIds::new(self.clock.clone())), None)
    }

    /// Another replica of the control plane on the same database, which runs a hook before and after each of its writes.
    ///
    /// # Panics
    /// The database does not open.
    pub async fn hooked_replica(&self, hook: WriteHook) -> (Store, Orchestrator) {
        let store = Store::open(&self.database_url).await.expect("the database opens").with_write_hook(hook);
        let (clock, ids) = (self.clock.clone(), Arc::new(ClockIds::new(self.clock.clone())));
        (store.clone(), orchestrator(store, self.wire.clone(), clock, Rules::default(), ids))
    }
}
