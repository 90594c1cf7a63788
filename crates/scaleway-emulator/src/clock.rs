//! The emulator's clock: real, faster by a factor, instant (nothing takes time), or moved by hand.

use crate::options::ClockMode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) struct Clock {
    pub(crate) mode: ClockMode,
    start_us: i64,
    started: Instant,
    moved_us: i64,
}

impl Clock {
    pub(crate) fn new(mode: ClockMode) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Self { mode, start_us, started: Instant::now(), moved_us: 0 }
    }

    /// Microseconds since 1970.
    pub(crate) fn now_us(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let passed = match self.mode {
            ClockMode::Real | ClockMode::Instant => elapsed,
            ClockMode::Scaled(factor) => elapsed.saturating_mul(i64::from(factor)),
            ClockMode::Manual => self.moved_us,
        };
        self.start_us.saturating_add(passed)
    }

    pub(crate) fn advance_ms(&mut self, ms: i64) {
        self.moved_us = self.moved_us.saturating_add(ms.max(0).saturating_mul(1000));
    }
}

/// The Instance API's notation.
pub(crate) fn instance_time(us: i64) -> String {
    format!("{}+00:00", text(us).trim_end_matches('Z'))
}

/// The Block API's notation.
pub(crate) fn block_time(us: i64) -> String {
    text(us)
}

fn text(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |t| format!("{t:.6}"))
}
