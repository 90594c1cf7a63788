//! The rate budget of one account: a maximum number of calls per second.
//!
//! After each "too many requests", the rate is lower for a while. Several replicas share the budget of an account.
//! It reads no clock: `now` is the transport's monotonic time.

use parking_lot::Mutex;
use std::time::Duration;

/// Assigns time slots to callers; each caller waits until its slot.
#[derive(Debug)]
pub struct Budget {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the next slot is free.
    next: Duration,
    /// The current reduction of the rate after refusals, 0.05 to 1.
    share: f64,
    /// This process's part of the account's rate, above 0 and up to 1.
    part: f64,
}

impl Budget {
    /// Permits `per_second` calls per second, and `burst` at once after an idle period.
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Self {
        let state = State { next: Duration::ZERO, share: 1.0, part: 1.0 };
        Self { per_second: per_second.max(0.1), burst: burst.max(1.0), state: Mutex::new(state) }
    }

    /// Takes one slot and returns how long to wait for it; `None`: no wait.
    #[must_use]
    pub fn take(&self, now: Duration) -> Option<Duration> {
        let mut state = self.state.lock();
        let step = Duration::from_secs_f64(1.0 / (self.per_second * state.part * state.share));
        let slot = state.next.max(now);
        state.next = slot + step;
        // After an idle period, up to `burst` slots are available at once.
        Some(slot.saturating_sub(self.ahead(&state)).saturating_sub(now)).filter(|wait| !wait.is_zero())
    }

    /// How far slots may be taken ahead of time: this process's part of the burst, at its part of the rate.
    fn ahead(&self, state: &State) -> Duration {
        let burst = (self.burst * state.part).max(1.0);
        Duration::from_secs_f64((burst - 1.0) / (self.per_second * state.part))
    }

    /// Sets this process's part of the account's rate. Other replicas have the rest.
    pub fn set_share(&self, part: f64) {
        let mut state = self.state.lock();
        state.part = part.clamp(0.01, 1.0);
    }

    /// How long a caller would currently wait, in milliseconds.
    #[must_use]
    pub fn queue_delay_ms(&self, now: Duration) -> u64 {
        let state = self.state.lock();
        let wait = state.next.saturating_sub(now).saturating_sub(self.ahead(&state));
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    }

    /// After a "too many requests": halves the rate and adds a pause.
    pub fn slow_down(&self, now: Duration) {
        let mut state = self.state.lock();
        state.share = (state.share / 2.0).max(0.05);
        state.next = state.next.max(now + Duration::from_secs(1) + self.ahead(&state));
    }

    /// After a successful call: raises the rate a little.
    pub fn speed_up(&self) {
        let mut state = self.state.lock();
        state.share = (state.share + 0.02).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gives_the_rate_and_a_refusal_halves_it() {
        let budget = Budget::new(10.0, 1.0);
        let mut now = Duration::from_secs(5);
        let start = now;
        let acquire = |now: &mut Duration| *now += budget.take(*now).unwrap_or_default();
        for _ in 0..11 {
            acquire(&mut now);
        }
        assert_eq!((now - start).as_millis(), 1_000, "ten steps of 100 ms");
        budget.slow_down(now);
        assert_eq!(budget.queue_delay_ms(now), 1_000);
        acquire(&mut now);
        acquire(&mut now);
        assert_eq!((now - start).as_millis(), 2_200, "a pause of 1 s, then a step of 200 ms");
        budget.speed_up();
    }

    #[test]
    fn a_part_of_it_is_a_part_of_rate_and_burst() {
        let budget = Budget::new(20.0, 5.0);
        budget.set_share(0.4);
        let now = Duration::from_secs(60);
        let waits: Vec<u128> = (0..5).map(|_| budget.take(now).unwrap_or_default().as_millis()).collect();
        assert_eq!(waits, [0, 0, 125, 250, 375], "2 at once, then 8 a second");
        budget.set_share(0.0);
        assert!(budget.take(now).is_some_and(|wait| wait < Duration::from_secs(60)), "no process is blocked");
    }

    #[test]
    fn after_a_rest_some_go_at_once() {
        let budget = Budget::new(20.0, 5.0);
        let now = Duration::from_secs(60);
        let waits: Vec<u128> = (0..7).map(|_| budget.take(now).unwrap_or_default().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 50, 100]);
    }
}
