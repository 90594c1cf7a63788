//! Parked instances: those that only wait. Until when, for what, and their last observation.
//!
//! Waiting is not written to the database. An instance that waits for known changes is only probed for these; the rest
//! is taken from its last observation. If so many wait in one zone that a listing is cheaper, all of them wait for
//! that.

use crate::Inner;
use inventiv_core::id::InstanceId;
use inventiv_core::observed::Observed;
use inventiv_core::plan::{Await, Plan, Shows};
use inventiv_core::recorded::Aggregate;
use inventiv_core::time::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

/// The shortest pause between two ticks, in milliseconds.
const PAUSE_MIN_MS: i64 = 10;
/// How long after it is due a parked instance without a step is forgotten, in milliseconds.
const FORGOTTEN_MS: i64 = 5_000;

/// By zone, because a listing shows a zone.
type Zones = HashMap<String, HashMap<InstanceId, ParkedInstance>>;

/// The parked instances of this process.
#[derive(Default)]
pub(crate) struct Parked(Mutex<Zones>);

/// One parked instance.
struct ParkedInstance {
    /// The version that was parked. A newer version ends it.
    version: i64,
    until: Timestamp,
    look: Option<LastObservation>,
}

/// The last observation of an instance, and the changes that it waits for.
pub(crate) struct LastObservation {
    pub(crate) seen: Observed,
    pub(crate) awaits: Vec<Await>,
}

/// The scope of an observation, and when it began.
pub(crate) struct Asked {
    at: Timestamp,
    /// `None`: the whole instance.
    what: Option<Vec<Shows>>,
}

impl Asked {
    /// An observation of the whole instance.
    pub(crate) const fn for_all(seen: &Observed) -> Self {
        Self { at: seen.began_at, what: None }
    }

    /// An observation of the awaited changes.
    pub(crate) fn for_these(at: Timestamp, awaits: &[Await]) -> Self {
        Self { at, what: Some(awaits.iter().map(|a| a.shows.clone()).collect()) }
    }

    /// Whether the observation could have shown that change.
    fn covers(&self, wait: &Await) -> bool {
        wait.since <= self.at && self.what.as_ref().is_none_or(|what| what.contains(&wait.shows))
    }
}

impl Parked {
    fn zones(&self) -> MutexGuard<'_, Zones> {
        self.0.lock()
    }

    /// A step for the instance begins: it is no longer parked.
    pub(crate) fn wake(&self, agg: &Aggregate) {
        let mut zones = self.zones();
        if let Some(zone) = zones.get_mut(&agg.instance.zone) {
            zone.remove(&agg.instance.id);
        }
    }

    /// Whether the instance is still parked: nothing was written since, and its time has not come.
    pub(crate) fn has(&self, zone: &str, id: &InstanceId, version: i64, now: Timestamp) -> bool {
        self.zones().get(zone).and_then(|z| z.get(id)).is_some_and(|r| r.version == version && r.until > now)
    }

    /// Takes the last observation of an instance that waits for known changes only, if nothing was written since and it
    /// is not older than `age_max_ms`.
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
    /// The time of the next observation of a parked instance. An awaited change that the last observation did not cover
    /// is probed as soon as it can show. If many instances wait in a zone, all are due at the same times: each poll is
    /// then one listing for all of them.
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

    /// Parks an instance.
    pub(crate) fn park(&self, version: i64, until: Timestamp, planned: Plan, seen: Observed) {
        let Plan { recorded, awaits, .. } = planned;
        let look = (!awaits.is_empty()).then_some(LastObservation { seen, awaits });
        let park = ParkedInstance { version, until, look };
        self.parked.zones().entry(recorded.instance.zone).or_default().insert(recorded.instance.id, park);
    }

    /// The time until the next parked instance is due; at most one poll interval, because other replicas write, too.
    pub(crate) fn pause_ms(&self) -> u64 {
        let now = self.clock.now();
        let mut zones = self.parked.zones();
        for zone in zones.values_mut() {
            // An instance that was due long ago was handled by another replica.
            zone.retain(|_, park| now.ms_since(park.until) < FORGOTTEN_MS);
        }
        let next = zones.values().flat_map(HashMap::values).map(|park| park.until.ms_since(now)).min();
        let poll = self.config.rules.poll_ms;
        u64::try_from(next.unwrap_or(poll).clamp(PAUSE_MIN_MS, poll.max(PAUSE_MIN_MS))).unwrap_or(1_000)
    }
}

/// The next common time of all waiting instances that is at least half a pause away.
fn next_on_grid(now: Timestamp, pause_ms: i64) -> Timestamp {
    let pause_us = pause_ms.saturating_mul(1_000).max(1);
    let at_least = now.0.saturating_add(pause_us / 2);
    Timestamp(at_least.saturating_add(pause_us - at_least.rem_euclid(pause_us)))
}

#[cfg(test)]
mod tests;
