//! Instances that only wait: until when, for what, and what was last seen of them.
//!
//! Waiting alone is not worth a write. Whoever waits for known changes asks only for these; everything else of the instance
//! is as it was seen last. Where so many wait in one zone that a listing is cheaper, all of them wait for its next one.

use crate::Inner;
use inventiv_core::id::InstanceId;
use inventiv_core::observed::Observed;
use inventiv_core::plan::{Await, Plan, Shows};
use inventiv_core::recorded::Aggregate;
use inventiv_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The shortest pause between two ticks, in milliseconds.
const PAUSE_MIN_MS: i64 = 10;
/// How long an instance that is due may go without a step before its rest is forgotten, in milliseconds.
const FORGOTTEN_MS: i64 = 5_000;

/// By zone, because a zone is what a listing shows.
type Zones = HashMap<String, HashMap<InstanceId, ParkedInstance>>;

/// Who rests in this process.
#[derive(Default)]
pub(crate) struct Parked(Mutex<Zones>);

/// One instance's rest.
struct ParkedInstance {
    /// The version that it rests in: a newer one ends the rest.
    version: i64,
    until: Timestamp,
    look: Option<LastObservation>,
}

/// What was last seen of an instance, and which parts of that may change.
pub(crate) struct LastObservation {
    pub(crate) seen: Observed,
    pub(crate) awaits: Vec<Await>,
}

/// What a look asked the cloud for, and when it began.
pub(crate) struct Asked {
    at: Timestamp,
    /// `None`: everything of the instance.
    what: Option<Vec<Shows>>,
}

impl Asked {
    /// A look at everything.
    pub(crate) const fn for_all(seen: &Observed) -> Self {
        Self { at: seen.began_at, what: None }
    }

    /// A look at what was waited for.
    pub(crate) fn for_these(at: Timestamp, awaits: &[Await]) -> Self {
        Self { at, what: Some(awaits.iter().map(|a| a.shows.clone()).collect()) }
    }

    /// Whether the look could have shown that change.
    fn covers(&self, wait: &Await) -> bool {
        wait.since <= self.at && self.what.as_ref().is_none_or(|what| what.contains(&wait.shows))
    }
}

impl Parked {
    fn zones(&self) -> MutexGuard<'_, Zones> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is being worked on.
    pub(crate) fn wake(&self, agg: &Aggregate) {
        let mut zones = self.zones();
        if let Some(zone) = zones.get_mut(&agg.instance.zone) {
            zone.remove(&agg.instance.id);
        }
    }

    /// Whether it waits still: nobody has written anything since, and its time has not come.
    pub(crate) fn has(&self, zone: &str, id: &InstanceId, version: i64, now: Timestamp) -> bool {
        self.zones().get(zone).and_then(|z| z.get(id)).is_some_and(|r| r.version == version && r.until > now)
    }

    /// What was last seen of an instance that nobody has written to since, if it waits for known changes only, and if it is
    /// not older than `age_max_ms`.
    pub(crate) fn look(&self, agg: &Aggregate, now: Timestamp, age_max_ms: i64) -> Option<LastObservation> {
        let mut zones = self.zones();
        let park = zones.get_mut(&agg.instance.zone)?.get_mut(&agg.instance.id)?;
        let version = park.version;
        let holds =
            |l: &mut LastObservation| version == agg.instance.version && now.ms_since(l.seen.began_at) < age_max_ms;
        park.look.take_if(holds)
    }
}

impl Inner {
    /// When an instance that only waits is looked at next. What its look did not ask for is asked for as soon as it can have
    /// changed. In a crowd, all are due together: each poll is one listing for them.
    pub(crate) fn look_again_at(&self, planned: &Plan, asked: &Asked) -> Timestamp {
        let (instance, rules, now) = (&planned.recorded.instance, &self.config.rules, self.clock.now());
        let pages = self.zone_pages(&instance.zone);
        let waiting = self.parked.zones().get(&instance.zone).map_or(0, HashMap::len);
        if !planned.awaits.is_empty() && waiting > pages {
            return next_on_grid(now, rules.poll_ms);
        }
        let gpu = instance.spec.gpu_count > 0;
        let fresh = planned.awaits.iter().filter(|a| !asked.covers(a));
        let soonest = fresh.map(|a| a.first(rules, gpu).max(now)).min();
        soonest.map_or(instance.wake_at, |at| at.min(instance.wake_at))
    }

    /// Remembers that an instance only waits.
    pub(crate) fn park(&self, version: i64, until: Timestamp, planned: Plan, seen: Observed) {
        let Plan { recorded, awaits, .. } = planned;
        let look = (!awaits.is_empty()).then_some(LastObservation { seen, awaits });
        let park = ParkedInstance { version, until, look };
        self.parked.zones().entry(recorded.instance.zone).or_default().insert(recorded.instance.id, park);
    }

    /// How long until the next of them may be looked at; at most one poll, because others may write, too.
    pub(crate) fn pause_ms(&self) -> u64 {
        let now = self.clock.now();
        let mut zones = self.parked.zones();
        for zone in zones.values_mut() {
            // What was due long ago was settled by somebody else.
            zone.retain(|_, park| now.ms_since(park.until) < FORGOTTEN_MS);
        }
        let next = zones.values().flat_map(HashMap::values).map(|park| park.until.ms_since(now)).min();
        let poll = self.config.rules.poll_ms;
        u64::try_from(next.unwrap_or(poll).clamp(PAUSE_MIN_MS, poll.max(PAUSE_MIN_MS))).unwrap_or(1_000)
    }
}

/// The next moment but at least half a pause away that every waiter of a crowd shares.
fn next_on_grid(now: Timestamp, pause_ms: i64) -> Timestamp {
    let pause_us = pause_ms.saturating_mul(1_000).max(1);
    let at_least = now.0.saturating_add(pause_us / 2);
    Timestamp(at_least.saturating_add(pause_us - at_least.rem_euclid(pause_us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_shares_its_moments() {
        let at = |ms: i64| next_on_grid(Timestamp(ms * 1_000), 1_000).0 / 1_000;
        assert_eq!([at(10_000), at(10_400), at(10_499)], [11_000; 3]);
        assert_eq!([at(10_500), at(10_900), at(11_499)], [12_000; 3]);
    }
}
