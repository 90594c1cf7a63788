//! The rate budget of one account: so many calls a second, slower for a while after each "too many requests".

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Hands out one slot after another; every caller sleeps until its own.
#[derive(Debug)]
pub struct Budget {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the next slot is free.
    next: Instant,
    /// The share of the rate in force, 0.05 to 1.
    share: f64,
}

impl Budget {
    /// So many calls a second, and so many at once after a rest.
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Self {
        let state = State { next: Instant::now(), share: 1.0 };
        Self { per_second: per_second.max(0.1), burst: burst.max(1.0), state: Mutex::new(state) }
    }

    /// Waits for one slot.
    pub async fn acquire(&self) {
        let at = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let step = Duration::from_secs_f64(1.0 / (self.per_second * state.share));
            let slot = state.next.max(now);
            state.next = slot + step;
            // Up to `burst` steps of a rest are given at once.
            let ahead = Duration::from_secs_f64((self.burst - 1.0) / self.per_second);
            slot.checked_sub(ahead).filter(|at| *at > now)
        };
        if let Some(at) = at {
            tokio::time::sleep_until(at).await;
        }
    }

    /// How long a caller that asks now would wait, in milliseconds.
    #[must_use]
    pub fn pressure_ms(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = Duration::from_secs_f64((self.burst - 1.0) / self.per_second);
        let wait = state.next.saturating_duration_since(Instant::now()).saturating_sub(ahead);
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    }

    /// The cloud said "too many requests": half the rate, and a pause.
    pub fn slow_down(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.share = (state.share / 2.0).max(0.05);
        let pause = Duration::from_secs_f64(1.0 + (self.burst - 1.0) / self.per_second);
        state.next = state.next.max(Instant::now() + pause);
    }

    /// A call went through: a little faster again.
    pub fn speed_up(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.share = (state.share + 0.02).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_gives_the_rate_and_a_refusal_halves_it() {
        let budget = Budget::new(10.0, 1.0);
        let start = Instant::now();
        for _ in 0..11 {
            budget.acquire().await;
        }
        assert_eq!(start.elapsed().as_millis() / 10, 100, "ten steps of 100 ms");
        budget.slow_down();
        budget.acquire().await;
        budget.acquire().await;
        let waited = start.elapsed().as_millis();
        assert!((2100..2300).contains(&waited), "a pause of 1 s, then a step of 200 ms: {waited}");
    }
}
