//! Tells operators by webhooks what they should know.
//!
//! Every replica of the control plane compares the alerts with those that were told ([`Notifier::watch`]). Whoever is first
//! to open one queues its messages in the same write; whoever claims a message sends it ([`Notifier::deliver`]). A message is
//! sent at least once, always with the same id.

mod deliver;
mod watch;

use inventiv_core::time::Timestamp;
use inventiv_keyring::Keyring;
use inventiv_store::{Error, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The pause between two looks for due messages.
const PERIOD: Duration = Duration::from_secs(1);
/// How often alerts are determined, in periods.
const WATCH_EVERY: u32 = 5;
/// How often what is old is deleted, in periods.
const FORGET_EVERY: u32 = 3_600;
/// How long resolved alerts are kept, in milliseconds.
const ALERTS_KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// How long messages are kept after their end, in milliseconds.
const DELIVERIES_KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// What a notifier needs.
pub struct Settings {
    /// The database.
    pub store: Store,
    /// The keys that seal URLs and signing secrets.
    pub keyring: Arc<Keyring>,
    /// Returns the current time.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Returns the random bits of a new id.
    pub ids: Box<dyn Fn() -> u128 + Send + Sync>,
}

/// Watches alerts, and sends messages. Clones share their state.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    settings: Settings,
    http: deliver::Http,
}

impl Notifier {
    /// Nothing happens until [`Notifier::run`].
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self(Arc::new(Inner { settings, http: deliver::Http::new()? })))
    }

    /// Watches and sends until `stop` is cancelled. What fails is logged and tried again.
    pub async fn run(&self, stop: CancellationToken) {
        let mut sending = deliver::Sending::default();
        let mut round = 0_u32;
        while !stop.is_cancelled() {
            if round.is_multiple_of(WATCH_EVERY) {
                report(self.watch().await, "alerts");
            }
            if round.is_multiple_of(FORGET_EVERY) {
                report(self.forget().await, "old alerts");
            }
            report(self.start_deliveries(&mut sending).await, "messages to webhooks");
            round = round.wrapping_add(1);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        // What is not recorded now is sent again, with the same id.
        sending.finish().await;
    }

    async fn forget(&self) -> Result<(), Error> {
        let (store, now) = (&self.0.settings.store, self.now());
        store.forget_alerts(now.plus_ms(-ALERTS_KEPT_MS)).await?;
        store.forget_deliveries(now.plus_ms(-DELIVERIES_KEPT_MS)).await
    }

    fn now(&self) -> Timestamp {
        (self.0.settings.now)()
    }
}

fn report(done: Result<(), Error>, what: &'static str) {
    if let Err(e) = done {
        metrics::counter!("inventiv_notifier_database_failures_total").increment(1);
        tracing::error!(error = %e, "{what} wait for the database; retries");
    }
}
