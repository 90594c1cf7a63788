//! The HTTP API: it writes requests to the database and reads responses from it.
//!
//! The only provider calls made here are those for images, for the bill, and those that check an account.

mod account_check;
mod accounts;
mod agreed_plan;
mod auth;
mod create_request;
mod etag;
mod expiry;
mod extract;
mod feed;
mod find_offer;
mod idempotency;
mod images;
mod limits;
mod listen;
mod metrics_page;
mod model_fit;
mod mutations;
pub mod openapi;
mod problem;
mod request_log;
mod requests;
mod resolve;
mod reuse;
mod routes;
mod service_times;
mod services;
mod serving;
mod view;
mod volume_policy;

pub use account_check::{AskCheck, Checks};
pub use accounts::Account;
pub use images::{AskAll, AskFits, Images};
pub use listen::{Limits, serve, serve_router};
pub use metrics_page::install_metrics;
pub use routes::bill::AskBill;

use axum::Router;
use inventiv_core::time::Timestamp;
use inventiv_keyring::Keyring;
use inventiv_store::Store;
use rustls::ClientConfig;
use std::sync::Arc;

/// The maximum length of a request body, in bytes.
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

/// The configuration of the API.
pub struct Settings {
    /// The database.
    pub store: Store,
    /// The accounts that instances are created in.
    pub accounts: Vec<Account>,
    /// The bearer token that every path except `/healthz`, `/readyz` and `/docs` requires.
    pub token: String,
    /// The keys that seal secrets.
    pub keyring: Arc<Keyring>,
    /// How to connect to workers; `None`: there are none.
    pub workers: Option<Arc<ClientConfig>>,
    /// Limits for clients.
    pub limits: Limits,
    /// On loopback: host names that the `Host` header may have besides `localhost`, in lower case; `None`: any.
    pub hosts: Option<Vec<String>>,
    /// `WORKER_DATA_VOLUME_GB`: the size of every data volume.
    pub forced_data_volume_gb: Option<i64>,
    /// How long the response to a policy change waits until the volume's name in the cloud contains the new policy.
    pub policy_wait: std::time::Duration,
    /// Returns the current time.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Returns the random bits of a new id.
    pub ids: Box<dyn Fn() -> u128 + Send + Sync>,
    /// Renders `/metrics`.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl App {
    /// Creates the API. It does not listen until [`App::router`] is served.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner { settings, feed: feed::Feed::new(), wrong_tokens: auth::WrongTokens::default() }),
        }
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    fn now(&self) -> Timestamp {
        (self.inner.now)()
    }

    fn draw(&self) -> u128 {
        (self.inner.ids)()
    }

    /// Ends every change stream, so that its reader connects to another replica, and refuses new ones.
    pub fn close_streams(&self) {
        self.inner.feed.close();
    }

    /// Protects more routes of the same listener like those of the API: the `Host` header, the length of a body and the time
    /// to receive it, and panics.
    pub fn protect(&self, routes: Router) -> Router {
        routes::protect(self, routes)
    }

    /// The router with all routes.
    pub fn router(&self) -> Router {
        routes::router(self, openapi::document)
    }
}
