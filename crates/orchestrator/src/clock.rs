//! Sources of time and ids: the system, or a test.

use inventiv_core::time::Timestamp;
use inventiv_store::{Error, Store};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::ContextV7;

/// A source of time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The system's clock, corrected by the database's clock where several machines share a database.
#[derive(Debug, Default)]
pub struct SharedClock {
    offset_us: AtomicI64,
}

impl SharedClock {
    /// Reads the time of the database.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn set_by(&self, store: &Store) -> Result<(), Error> {
        let before = SystemClock.now();
        let Some(there) = store.now().await? else { return Ok(()) };
        let took_us = SystemClock.now().0.saturating_sub(before.0);
        // A slow response is too imprecise.
        if (0..ANSWER_MAX_US).contains(&took_us) {
            let here = before.0.saturating_add(took_us / 2);
            self.offset_us.store(there.0.saturating_sub(here), Ordering::SeqCst);
        }
        Ok(())
    }
}

impl SharedClock {
    /// Follows the database's time for ever.
    pub async fn keep(&self, store: &Store) {
        loop {
            tokio::time::sleep(FOLLOW).await;
            if let Err(e) = self.set_by(store).await {
                tracing::debug!(error = %e, "the time of the database could not be read; the last known offset stays");
            }
        }
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add(self.offset_us.load(Ordering::SeqCst)))
    }
}

/// How often the time of the database is read.
const FOLLOW: Duration = Duration::from_secs(5);
/// The maximum duration of a usable read of the database's time, in microseconds.
const ANSWER_MAX_US: i64 = 1_000_000;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at `at`.
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves it forward.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms.saturating_mul(1000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Each read is a microsecond later, so that later events have later times.
        Timestamp(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// A source of ids.
pub trait Ids: Send + Sync {
    /// 128 bits that sort by time.
    fn draw(&self) -> u128;
}

/// UUIDs of version 7 from a shared clock: ids of several machines sort by time, whatever their own clocks show.
pub struct ClockIds {
    clock: Arc<dyn Clock>,
    context: Mutex<ContextV7>,
}

impl ClockIds {
    /// Uses `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, context: Mutex::new(ContextV7::new()) }
    }
}

impl Ids for ClockIds {
    fn draw(&self) -> u128 {
        let since = u64::try_from(self.clock.now().0).unwrap_or_default();
        // Below 10^9.
        let nanos = u32::try_from(since % 1_000_000 * 1_000).unwrap_or_default();
        let context = self.context.lock();
        uuid::Uuid::new_v7(uuid::Timestamp::from_unix(&*context, since / 1_000_000, nanos)).as_u128()
    }
}

/// UUIDs of version 7 from the system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidIds;

impl Ids for UuidIds {
    fn draw(&self) -> u128 {
        uuid::Uuid::now_v7().as_u128()
    }
}

#[cfg(test)]
mod tests;
