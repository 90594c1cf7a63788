//! The emulator's clock: real, faster by a factor, instant (nothing takes time), or moved by hand.

use crate::options::ClockMode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The largest single step: a century.
const MOVE_MAX_US: i64 = 100 * 366 * 86_400 * 1_000_000;
/// The latest time, in the year 9987: adding to a moment must not overflow.
const MOMENT_MAX_US: i64 = 253_000_000_000_000_000;

#[derive(Clone)]
pub(crate) struct Clock {
    pub(crate) mode: ClockMode,
    start_us: i64,
    started: Instant,
    moved_us: i64,
}

impl Clock {
    /// Starts at `start_us`, or now.
    pub(crate) fn new(mode: ClockMode, start_us: Option<i64>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Self { mode, start_us: start_us.unwrap_or(now_us), started: Instant::now(), moved_us: 0 }
    }

    /// Microseconds since 1970.
    pub(crate) fn now_us(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let passed = match self.mode {
            ClockMode::Real | ClockMode::Instant => elapsed,
            ClockMode::Scaled(factor) => elapsed.saturating_mul(i64::from(factor)),
            ClockMode::Manual => 0,
        };
        self.start_us.saturating_add(passed).saturating_add(self.moved_us).min(MOMENT_MAX_US)
    }

    /// Advances it, in any mode.
    pub(crate) fn advance_us(&mut self, us: i64) {
        self.moved_us = self.moved_us.saturating_add(us.clamp(0, MOVE_MAX_US));
    }

    /// Sets it to a moment, from which it continues in its mode.
    pub(crate) fn set_us(&mut self, now_us: i64) {
        (self.start_us, self.started, self.moved_us) = (now_us, Instant::now(), 0);
    }

    pub(crate) fn set_mode(&mut self, mode: ClockMode) {
        let now = self.now_us();
        self.mode = mode;
        self.set_us(now);
    }
}

/// Midnight of a day such as `2026-07-30`, in microseconds since 1970.
pub(crate) fn day_us(day: &str) -> Option<i64> {
    moment_us(&format!("{day}T00:00:00Z"))
}

/// A moment such as `2026-07-30T12:53:15Z`.
pub(crate) fn moment_us(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
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
