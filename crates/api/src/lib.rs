//! The HTTP API: what people ask is written to the store, what the store knows is shown. No cloud is called here, but to ask for images.

mod accounts;
mod auth;
mod create_request;
mod etag;
mod events_schema;
mod extract;
mod feed;
mod idempotency;
mod images;
mod listen;
mod metrics_page;
mod mutations;
pub mod openapi;
mod problem;
mod resolve;
mod routes;
mod view;

pub use accounts::Account;
pub use images::{AskAll, AskFits, Images};
pub use listen::{Limits, serve};
pub use metrics_page::install_metrics;

use axum::Router;
use inventiv_core::time::Timestamp;
use inventiv_store::Store;
use std::sync::Arc;

/// The longest request body, in bytes.
pub const BODY_MAX: usize = 256 * 1024;

/// What the API needs.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    feed: feed::Feed,
    wrong_tokens: auth::WrongTokens,
}

impl std::ops::Deref for Inner {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

/// What can be set.
pub struct Settings {
    /// The memory.
    pub store: Store,
    /// The accounts that instances are made in.
    pub accounts: Vec<Account>,
    /// The bearer token that everything but health asks for.
    pub token: String,
    /// Limits for clients.
    pub limits: Limits,
    /// On loopback: which names besides this machine's own the `Host` header may have, in lower case; `None`: any.
    pub hosts: Option<Vec<String>>,
    /// `WORKER_DATA_VOLUME_GB`: the size of every data volume.
    pub forced_data_volume_gb: Option<i64>,
    /// How long a change of a volume's policy waits for the cloud to carry it before it is answered.
    pub policy_wait: std::time::Duration,
    /// Gives the time.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Draws ids.
    pub ids: Box<dyn Fn() -> u128 + Send + Sync>,
    /// Renders `/metrics`.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl App {
    /// Nothing listens until [`App::router`] is served.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner { settings, feed: feed::Feed::new(), wrong_tokens: auth::WrongTokens::default() }),
        }
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn now(&self) -> Timestamp {
        (self.inner.now)()
    }

    fn draw(&self) -> u128 {
        (self.inner.ids)()
    }

    /// Ends every stream of changes: their readers go to another server. No other begins here.
    pub fn close_streams(&self) {
        self.inner.feed.close();
    }

    /// Every route.
    pub fn router(&self) -> Router {
        routes::router(self)
    }
}
