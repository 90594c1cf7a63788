//! Requests and tokens a minute, for each key.
//!
//! Each replica of the control plane knows what all replicas had counted when it last told the others (once a second),
//! and what it counted itself since then. So a limit may be exceeded by what the other replicas accept within about two
//! seconds. The tokens of a request are known only when it has been answered: a key is refused after it has used its
//! tokens, and the answers that are under way come on top.

use inventiv_store::MinuteUse;

/// The length of a minute, in microseconds.
const MINUTE_US: i64 = 60_000_000;

/// The limits of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) requests_per_minute: Option<i64>,
    pub(crate) tokens_per_minute: Option<i64>,
}

/// What a key used, as far as this replica knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The minute that `here` is of, since 1970.
    minute: i64,
    /// What all replicas had told of this minute and the one before.
    shared: [MinuteUse; 2],
    /// What was counted here in this minute, and was not told yet.
    here: MinuteUse,
}

/// Why a request is refused, and when another one may be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) what: &'static str,
    pub(crate) limit: i64,
    pub(crate) retry_after_s: u64,
}

/// The minute of a time, in microseconds.
pub(crate) const fn minute_of(now_us: i64) -> i64 {
    now_us.div_euclid(MINUTE_US)
}

impl Window {
    /// Learns what all replicas told, this one included: `[this minute, the one before]`.
    pub(crate) fn learn(&mut self, minute: i64, shared: [MinuteUse; 2]) {
        self.turn(minute);
        self.shared = shared;
    }

    fn turn(&mut self, minute: i64) {
        if minute != self.minute {
            let before = if minute == self.minute + 1 { self.shared[0] } else { MinuteUse::default() };
            (self.minute, self.shared, self.here) = (minute, [MinuteUse::default(), before], MinuteUse::default());
        }
    }

    /// Accepts a request and counts it, or says why not.
    ///
    /// The window slides: of the minute before, the part counts that is less than a minute ago.
    pub(crate) fn accept(&mut self, limits: &Limits, now_us: i64) -> Result<(), Exceeded> {
        self.turn(minute_of(now_us));
        let left_us = MINUTE_US - now_us.rem_euclid(MINUTE_US);
        let slid = |this: i64, before: i64, here: i64| this + here + before * left_us / MINUTE_US;
        let [this, before] = self.shared;
        let requests = slid(this.requests, before.requests, self.here.requests);
        let tokens = slid(this.tokens, before.tokens, self.here.tokens);
        let checks = [
            ("requests", limits.requests_per_minute, requests, before.requests),
            ("tokens", limits.tokens_per_minute, tokens, before.tokens),
        ];
        for (what, limit, used, before) in checks {
            let Some(limit) = limit.filter(|limit| used >= *limit) else { continue };
            return Err(Exceeded { what, limit, retry_after_s: wait_s(used, limit, before, left_us) });
        }
        self.here.requests += 1;
        Ok(())
    }

    /// Counts tokens.
    pub(crate) fn add_tokens(&mut self, tokens: i64, now_us: i64) {
        self.turn(minute_of(now_us));
        self.here.tokens += tokens;
    }

    /// Takes what is to be told, and counts it as told.
    pub(crate) fn take(&mut self) -> Option<(i64, MinuteUse)> {
        let here = std::mem::take(&mut self.here);
        self.shared[0].requests += here.requests;
        self.shared[0].tokens += here.tokens;
        (here != MinuteUse::default()).then_some((self.minute, here))
    }
}

/// When enough of the minute before has passed; else when this minute ends.
fn wait_s(used: i64, limit: i64, before: i64, left_us: i64) -> u64 {
    let excess = used - limit + 1;
    let wait_us = if before > 0 && excess <= before * left_us / MINUTE_US {
        excess.saturating_mul(MINUTE_US) / before
    } else {
        left_us
    };
    u64::try_from(wait_us.div_euclid(1_000_000) + 1).unwrap_or(1).min(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_000 * MINUTE_US;

    fn accepted(window: &mut Window, limits: &Limits, at: i64, tries: usize) -> usize {
        (0..tries).filter(|_| window.accept(limits, at).is_ok()).count()
    }

    #[test]
    fn requests_are_limited_and_the_window_slides() {
        let limits = Limits { requests_per_minute: Some(10), tokens_per_minute: None };
        let mut window = Window::default();
        assert_eq!(accepted(&mut window, &limits, T, 20), 10);
        window.take();
        // Half a minute into the next one, half of them still count.
        assert_eq!(accepted(&mut window, &limits, T + MINUTE_US, 20), 0);
        assert_eq!(accepted(&mut window, &limits, T + MINUTE_US + MINUTE_US / 2, 20), 5);
        assert_eq!(accepted(&mut window, &limits, T + 10 * MINUTE_US, 20), 10);
    }

    #[test]
    fn what_other_replicas_used_counts() {
        let limits = Limits { requests_per_minute: Some(10), tokens_per_minute: Some(100) };
        let mut window = Window::default();
        window.learn(minute_of(T), [MinuteUse { requests: 7, tokens: 0 }, MinuteUse::default()]);
        assert_eq!(accepted(&mut window, &limits, T, 20), 3);
        let mut window = Window::default();
        window.learn(minute_of(T), [MinuteUse { requests: 0, tokens: 100 }, MinuteUse::default()]);
        assert_eq!(window.accept(&limits, T).map_err(|e| e.what), Err("tokens"));
    }

    #[test]
    fn tokens_count_when_they_are_known() {
        let limits = Limits { requests_per_minute: None, tokens_per_minute: Some(100) };
        let mut window = Window::default();
        assert!(window.accept(&limits, T).is_ok());
        window.add_tokens(100, T);
        assert_eq!(
            window.accept(&limits, T + 30_000_000),
            Err(Exceeded { what: "tokens", limit: 100, retry_after_s: 31 })
        );
        assert_eq!(window.take(), Some((minute_of(T), MinuteUse { requests: 1, tokens: 100 })));
        assert_eq!(window.take(), None);
    }

    #[test]
    fn what_was_told_is_not_counted_twice() {
        let limits = Limits { requests_per_minute: Some(10), tokens_per_minute: None };
        let mut window = Window::default();
        assert_eq!(accepted(&mut window, &limits, T, 4), 4);
        window.take();
        window.learn(minute_of(T), [MinuteUse { requests: 4, tokens: 0 }, MinuteUse::default()]);
        assert_eq!(accepted(&mut window, &limits, T, 20), 6);
    }

    #[test]
    fn no_limit_is_no_limit() {
        assert_eq!(accepted(&mut Window::default(), &Limits::default(), T, 1_000), 1_000);
    }

    #[test]
    fn the_wait_is_true() {
        let limits = Limits { requests_per_minute: Some(6), tokens_per_minute: None };
        for used in 0..=6 {
            let mut window = Window::default();
            window
                .learn(minute_of(T), [MinuteUse { requests: used, tokens: 0 }, MinuteUse { requests: 20, tokens: 0 }]);
            if let Err(e) = window.accept(&limits, T + 1_000_000) {
                let later = T + 1_000_000 + i64::try_from(e.retry_after_s).unwrap_or(0) * 1_000_000;
                assert!(used == 6 || window.accept(&limits, later).is_ok(), "{used}: {e:?}");
            }
        }
    }
}
