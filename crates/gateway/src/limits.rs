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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The minute that `here` is of, since 1970.
    minute: i64,
    /// What all replicas had told of this minute and the one before, and what this one told since.
    shared: [MinuteUse; 2],
    /// What was counted here in this minute, and was not told yet.
    here: MinuteUse,
    /// What was counted here in earlier minutes, or could not be told.
    untold: Vec<(i64, MinuteUse)>,
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
        if minute != self.minute {
            return;
        }
        self.shared = shared;
        for (of, used) in &self.untold {
            if let Some(known) = usize::try_from(minute - of).ok().and_then(|age| self.shared.get_mut(age)) {
                add(known, used);
            }
        }
    }

    /// Goes on to a later minute. A clock that went back changes nothing.
    fn turn(&mut self, minute: i64) {
        if minute <= self.minute {
            return;
        }
        let mut before = MinuteUse::default();
        if minute == self.minute + 1 {
            before = self.shared[0];
            add(&mut before, &self.here);
        }
        let here = std::mem::take(&mut self.here);
        if here != MinuteUse::default() {
            self.untold.push((self.minute, here));
        }
        (self.minute, self.shared) = (minute, [MinuteUse::default(), before]);
    }

    /// Accepts a request and counts it, or says why not.
    ///
    /// The window slides: of the minute before, the part counts that is less than a minute ago.
    pub(crate) fn accept(&mut self, limits: &Limits, now_us: i64) -> Result<(), Exceeded> {
        self.turn(minute_of(now_us));
        let left_us = MINUTE_US - now_us.rem_euclid(MINUTE_US);
        let slid = |this: i64, before: i64, here: i64| {
            let part = i128::from(before) * i128::from(left_us) / i128::from(MINUTE_US);
            this.saturating_add(here).saturating_add(i64::try_from(part).unwrap_or(i64::MAX))
        };
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

    /// Counts tokens of an answer that has ended.
    pub(crate) fn add_tokens(&mut self, tokens: i64, now_us: i64) {
        self.turn(minute_of(now_us));
        self.here.tokens = self.here.tokens.saturating_add(tokens);
    }

    /// Takes what is to be told, by minute, and counts it as told.
    pub(crate) fn take(&mut self) -> Vec<(i64, MinuteUse)> {
        let here = std::mem::take(&mut self.here);
        add(&mut self.shared[0], &here);
        let mut taken = std::mem::take(&mut self.untold);
        if here != MinuteUse::default() {
            taken.push((self.minute, here));
        }
        taken
    }

    /// Gives back what was taken and could not be told.
    pub(crate) fn give_back(&mut self, minute: i64, used: MinuteUse) {
        self.untold.push((minute, used));
    }
}

fn add(to: &mut MinuteUse, more: &MinuteUse) {
    to.requests = to.requests.saturating_add(more.requests);
    to.tokens = to.tokens.saturating_add(more.tokens);
}

/// When enough of the minute before has passed; else when this minute ends.
fn wait_s(used: i64, limit: i64, before: i64, left_us: i64) -> u64 {
    let excess = used - limit + 1;
    let slides = i128::from(before) * i128::from(left_us) / i128::from(MINUTE_US);
    let wait_us =
        if before > 0 && i128::from(excess) <= slides { excess.saturating_mul(MINUTE_US) / before } else { left_us };
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
        assert_eq!(window.take(), [(minute_of(T), MinuteUse { requests: 1, tokens: 100 })]);
        assert_eq!(window.take(), []);
    }

    #[test]
    fn the_end_of_a_minute_loses_nothing() {
        let limits = Limits { requests_per_minute: Some(10), tokens_per_minute: Some(1_000) };
        let mut window = Window::default();
        // A burst in the last second of a minute, and an answer that ends in the next one.
        assert_eq!(accepted(&mut window, &limits, T + MINUTE_US - 1, 20), 10);
        assert_eq!(accepted(&mut window, &limits, T + MINUTE_US, 20), 0);
        window.add_tokens(7, T + MINUTE_US);
        window.add_tokens(5, T + MINUTE_US - 1);
        let told = [
            (minute_of(T), MinuteUse { requests: 10, tokens: 0 }),
            (minute_of(T) + 1, MinuteUse { requests: 0, tokens: 12 }),
        ];
        assert_eq!(window.take(), told);
        // It could not be told: it still counts after what the others told was learnt.
        for (minute, used) in told {
            window.give_back(minute, used);
        }
        window.learn(minute_of(T) + 1, [MinuteUse::default(); 2]);
        assert_eq!(accepted(&mut window, &limits, T + MINUTE_US, 20), 0);
        assert_eq!(window.take(), told);
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
