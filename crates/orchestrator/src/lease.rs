//! Several replicas on one database: the holder of a zone's lease works on the zone. Leases only save calls; versions
//! ensure correctness.

use crate::Orchestrator;
use inventiv_core::lease::{Lease, Move, Terms, Watch, share_of_budget};
use inventiv_core::time::Timestamp;
use inventiv_store::Error;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The minimum pause between two reads of the leases after a hint that something has changed, in milliseconds.
const HINTED_MS: i64 = 100;

/// The state of the leases in one replica.
pub(crate) struct Leases {
    /// Its id, a new one for each process.
    me: String,
    terms: Terms,
    /// Whether leases are used. Without them, the replica works in every zone.
    on: AtomicBool,
    watch: Mutex<Watch>,
    /// Zones in which there was something to do.
    wanted: Mutex<BTreeSet<String>>,
    rounds: Mutex<Rounds>,
    /// The start of its own monotonic time, which leases use whatever happens to clocks.
    started: Instant,
}

/// When the leases are read.
#[derive(Default)]
struct Rounds {
    last: Option<Timestamp>,
    /// A hint came since that something has changed.
    heard: bool,
}

impl Rounds {
    /// The milliseconds until they are read next, if that is every `round`; 0: now.
    fn due_in_ms(&self, now: Timestamp, round: i64) -> i64 {
        let pause = if self.heard { HINTED_MS.min(round) } else { round };
        self.last.map_or(0, |at| pause.saturating_sub(now.ms_since(at)).max(0))
    }
}

impl Leases {
    pub(crate) fn new(me: String, terms: Terms) -> Self {
        Self {
            me,
            terms,
            on: AtomicBool::new(false),
            watch: Mutex::default(),
            wanted: Mutex::default(),
            rounds: Mutex::default(),
            started: Instant::now(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    fn round_ms(&self) -> i64 {
        self.terms.heartbeat_ms / 3
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock()
    }

    fn watch<R>(&self, work: impl FnOnce(&mut Watch) -> R) -> R {
        work(&mut self.watch.lock())
    }
}

impl Orchestrator {
    /// From now on, the replica works in a zone only while it holds the zone's lease.
    pub(crate) fn work_by_lease(&self) {
        self.inner.leases.on.store(true, Ordering::SeqCst);
    }

    /// Whether this replica may work in a zone. If not, remembers that there was work to do.
    pub(crate) fn claim_zone(&self, zone: &str) -> bool {
        let leases = &self.inner.leases;
        if !leases.on.load(Ordering::SeqCst) {
            return true;
        }
        let mine = leases.watch(|w| w.holds(zone, leases.now()));
        if !mine {
            leases.wanted.lock().insert(zone.to_owned());
        }
        mine
    }

    /// The zones whose leases this replica holds; `None`: it works in every zone.
    pub(crate) fn own_zones(&self) -> Option<Vec<String>> {
        let leases = &self.inner.leases;
        let now = leases.now();
        let held = || leases.watch(|w| w.held().into_iter().filter(|zone| w.holds(zone, now)).collect());
        leases.on.load(Ordering::SeqCst).then(held)
    }

    /// The milliseconds until the leases are read again: three times per heartbeat, and soon after a hint that
    /// something has changed.
    pub(crate) fn lease_round_ms(&self) -> u64 {
        let leases = &self.inner.leases;
        if !leases.on.load(Ordering::SeqCst) {
            return u64::MAX;
        }
        let due = leases.rounds().due_in_ms(leases.now(), leases.round_ms());
        u64::try_from(due).unwrap_or_default().max(1)
    }

    /// If it is time: increments the heartbeats of held leases, and takes free or expired ones. `true`: it took one.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn keep_leases(&self, hinted: bool) -> Result<bool, Error> {
        let (inner, leases) = (&self.inner, &self.inner.leases);
        if !leases.on.load(Ordering::SeqCst) || !self.is_round_due(hinted) {
            return Ok(false);
        }
        let rows = inner.store.leases(&inner.account).await?;
        let under_way = inner.store.under_way(&inner.account).await?;
        inner.provider.set_share(share_of_budget(&leases.me, &rows, &under_way));
        let mut zones: BTreeSet<String> = inner.config.zones.iter().cloned().collect();
        zones.extend(rows.iter().map(|r| r.zone.clone()));
        zones.extend(leases.wanted.lock().iter().cloned());
        let mut took_one = false;
        for zone in zones {
            let row = rows.iter().find(|r| r.zone == zone);
            if row.is_some_and(|r| r.holder != leases.me) {
                leases.watch(|w| w.lost(&zone));
            }
            let now = leases.now();
            let ours = match leases.watch(|w| w.decide(&leases.me, &zone, row, now, leases.terms)) {
                Move::Wait => continue,
                Move::Begin => inner.store.begin_lease(&inner.account, &zone, &leases.me).await?,
                Move::Take(seen) => inner.store.take_lease(&inner.account, &seen, &leases.me).await?,
                Move::GiveBack(seen) => {
                    self.give_back(&seen).await?;
                    continue;
                }
            };
            if !ours {
                leases.watch(|w| w.lost(&zone));
                continue;
            }
            if !leases.watch(|w| w.holds(&zone, now)) {
                // Another replica may have worked there: the zone is listed before anything is created in it.
                self.zone_state(&zone, |z| z.listed_at = None);
                tracing::info!(zone, "this replica works in the zone from now on");
                took_one = true;
            }
            leases.watch(|w| w.took(&zone, now, leases.terms));
        }
        Ok(took_one)
    }

    /// Gives a zone back to other replicas, which may be able to observe it.
    async fn give_back(&self, seen: &Lease) -> Result<(), Error> {
        let (inner, leases) = (&self.inner, &self.inner.leases);
        let zone = &seen.zone;
        tracing::warn!(
            zone,
            "the cloud could not be observed for the length of a lease; gives the zone back to other replicas"
        );
        inner.store.give_lease_back(&inner.account, seen).await?;
        leases.watch(|w| w.gave_back(zone, leases.now(), leases.terms));
        inner.store.tell_change();
        Ok(())
    }

    /// This replica's own time, for [`Orchestrator::observed`].
    pub(crate) fn lease_time(&self) -> Timestamp {
        self.inner.leases.now()
    }

    /// An observation of a zone that began at `began` has ended; `seen`: the cloud responded.
    pub(crate) fn observed(&self, zone: &str, began: Timestamp, seen: bool) {
        self.inner.leases.watch(|w| w.observed(zone, began, seen));
    }

    /// Gives all leases back, so that other replicas can take them at once.
    pub(crate) async fn release_leases(&self) {
        let (inner, leases) = (&self.inner, &self.inner.leases);
        if !leases.on.load(Ordering::SeqCst) {
            return;
        }
        for zone in leases.watch(|w| w.held()) {
            leases.watch(|w| w.lost(&zone));
        }
        match inner.store.release_leases(&inner.account, &leases.me).await {
            Ok(()) => inner.store.tell_last_change().await,
            Err(e) => tracing::warn!(error = %e, "the leases could not be given back; they expire"),
        }
    }

    fn is_round_due(&self, hinted: bool) -> bool {
        let leases = &self.inner.leases;
        let (now, mut rounds) = (leases.now(), leases.rounds());
        rounds.heard |= hinted;
        let due = rounds.due_in_ms(now, leases.round_ms()) == 0;
        if due {
            *rounds = Rounds { last: Some(now), heard: false };
        }
        due
    }
}

#[cfg(test)]
mod tests;
