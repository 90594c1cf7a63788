//! One tick: the due instances, one observation for all of them, a step for each.

use crate::observe::{Index, misses_something, pages, probe_cost};
use crate::park::{Asked, LastObservation};
use crate::{Claim, Orchestrator};
use inventiv_core::error::ErrorKind;
use inventiv_core::id::InstanceId;
use inventiv_core::observed::Observed;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::NoteCode;
use inventiv_core::time::Timestamp;
use inventiv_store::Error;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::task::TaskTracker;

/// The maximum number of due instances per tick.
const DUE_MAX: u32 = 2_000;
/// How many instances a resync reads at once.
const LIVING_PAGE: u32 = 1_000;
/// A zone whose listing takes at most so many requests is listed as soon as a resource is not shown.
const LIST_AT_ONCE: usize = 12;
/// With more due instances than this, a tick waits for the listing that is in progress.
const MANY_DUE: usize = 32;
/// A line of the action log that is open for so long has lost its process: no call takes that long.
const ABANDONED_MS: i64 = 180_000;
/// The rate budget counts as busy if a call would have to wait longer than this.
const BUSY_MS: u64 = 500;
/// While the rate budget is busy, a zone is listed at most once in so many poll intervals.
const LISTING_PAUSE_POLLS: i64 = 5;
/// How long an instance waits after a failed observation, in milliseconds.
const FAILED_OBSERVATION_MS: i64 = 5_000;

/// The result of a tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickReport {
    /// The number of steps.
    pub steps: usize,
    /// The number of provider calls, without listings.
    pub calls: usize,
}

/// Which zones a tick lists, even if nothing is due in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resync {
    /// None.
    No,
    /// Those whose resync is due.
    Due,
    /// Every zone.
    Every,
}

/// Instances that need a step, as they were read from one history of the database.
pub(crate) struct Due {
    pub(crate) instances: Vec<(Claim, Aggregate)>,
    pub(crate) epoch: u64,
}

/// Counters for the tasks of a tick.
#[derive(Default)]
pub(crate) struct Counters {
    steps: AtomicUsize,
    calls: AtomicUsize,
}

impl Orchestrator {
    /// Runs one tick until all of its steps are finished. With `resync`, settled instances are observed, too.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tick(&self, resync: bool) -> Result<TickReport, Error> {
        let tasks = TaskTracker::new();
        let resync = if resync { Resync::Every } else { Resync::No };
        let counters = self.tick_into(&tasks, resync).await?;
        tasks.close();
        tasks.wait().await;
        Ok(TickReport { steps: counters.steps.load(Ordering::SeqCst), calls: counters.calls.load(Ordering::SeqCst) })
    }

    /// Starts a tick's work on `tasks`. A slow zone or instance does not delay others.
    pub(crate) async fn tick_into(&self, tasks: &TaskTracker, resync: Resync) -> Result<Arc<Counters>, Error> {
        let counters = Arc::new(Counters::default());
        let now = self.inner.clock.now();
        let due = self.due(now).await?;
        let mut zones: BTreeMap<String, Vec<Claim>> = BTreeMap::new();
        for (id, zone, version) in due {
            if self.inner.parked.has(&zone, &id, version, now) {
                continue;
            }
            if let Some(claim) = self.claim(&id) {
                zones.entry(zone).or_default().push(claim);
            }
        }
        let mut resynced = HashSet::new();
        if resync != Resync::No {
            self.inner.store.close_abandoned_logs(&self.inner.account, now.plus_ms(-ABANDONED_MS), now).await?;
            for zone in self.inner.store.zones(&self.inner.account).await? {
                if resync == Resync::Every || self.is_resync_due(&zone, now) {
                    zones.entry(zone.clone()).or_default();
                    resynced.insert(zone);
                }
            }
        }
        zones.retain(|zone, _| self.claim_zone(zone));
        for (zone, claims) in zones {
            let resync = resynced.contains(&zone);
            let (orchestrator, counters, inner_tasks) = (self.clone(), counters.clone(), tasks.clone());
            tasks.spawn(async move {
                if let Err(e) = orchestrator.observe_zone(&zone, claims, resync, &inner_tasks, &counters).await {
                    tracing::error!(zone, error = %e, "the database did not respond; retries");
                }
            });
        }
        Ok(counters)
    }

    fn is_resync_due(&self, zone: &str, now: Timestamp) -> bool {
        let last = self.zone_state(zone, |_| {}).resynced_at;
        last.is_none_or(|at| now.ms_since(at) >= self.inner.config.rules.resync_ms)
    }

    /// The due instances of the zones in which this replica works: others must not use up the limit.
    async fn due(&self, now: Timestamp) -> Result<Vec<(InstanceId, String, i64)>, Error> {
        let (store, account) = (&self.inner.store, &self.inner.account);
        let Some(zones) = self.own_zones() else { return store.due(account, None, now, DUE_MAX).await };
        let mut due = Vec::new();
        for zone in zones {
            due.extend(store.due(account, Some(&zone), now, DUE_MAX).await?);
        }
        Ok(due)
    }

    async fn observe_zone(
        &self,
        zone: &str,
        claims: Vec<Claim>,
        resync: bool,
        tasks: &TaskTracker,
        counters: &Arc<Counters>,
    ) -> Result<(), Error> {
        if !resync && claims.len() > MANY_DUE && self.zone_state(zone, |_| {}).busy {
            // A listing is in progress, and the next one will serve all of them. They need not be read until then.
            return Ok(());
        }
        let epoch = self.inner.store.epoch();
        let ids: Vec<InstanceId> = claims.iter().map(|c| c.id.clone()).collect();
        let mut due: Vec<(Claim, Aggregate)> = Vec::with_capacity(claims.len());
        let mut found: BTreeMap<InstanceId, Aggregate> =
            self.inner.store.instances_by_id(&ids).await?.into_iter().map(|a| (a.instance.id.clone(), a)).collect();
        for claim in claims {
            if let Some(agg) = found.remove(&claim.id) {
                due.push((claim, agg));
            }
        }
        // An instance without resources needs no observation. But the records may be older than the cloud, as after the
        // restore of a backup or the failover to a database without the last writes. A first listing shows that.
        let first = self.listed_at(zone).is_none();
        let (blank, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, agg)| !first && probe_cost(agg) == 0);
        for (claim, agg) in blank {
            let seen = Observed { complete: true, ..Observed::nothing(self.inner.clock.now()) };
            self.spawn_step(claim, agg, seen, tasks, counters);
        }
        if due.is_empty() && !resync {
            return Ok(());
        }
        let (now, age_max_ms) = (self.inner.clock.now(), self.inner.config.rules.resync_ms / 2);
        let mut looks: Vec<Option<LastObservation>> =
            due.iter().map(|(_, agg)| self.inner.parked.look(agg, now, age_max_ms)).collect();
        let asks = |(agg, look): (&Aggregate, &Option<LastObservation>)| {
            look.as_ref().map_or(probe_cost(agg), |l| l.awaits.len())
        };
        let questions: usize = due.iter().map(|(_, agg)| agg).zip(&looks).map(asks).sum();
        let known_pages = self.inner.zone_pages(zone);
        if resync || first || questions >= known_pages {
            return self.list_zone(zone, Due { instances: due, epoch }, resync, tasks, counters).await.map(|_| ());
        }
        let mut to_list = Vec::new();
        for (n, (claim, agg)) in due.into_iter().enumerate() {
            let began = self.lease_time();
            let look = looks.get_mut(n).and_then(Option::take);
            let asked = look.as_ref().map(|l| Asked::for_these(self.inner.clock.now(), &l.awaits));
            let probed = match look {
                Some(look) => self.inner.ask_again(&agg, look).await,
                None => self.inner.probe(&agg).await,
            };
            self.observed(zone, began, is_seen(&probed));
            match probed {
                // A large zone is not listed for one instance: the next resync lists it.
                Ok(seen) if misses_something(&agg, &seen) && known_pages <= LIST_AT_ONCE => to_list.push((claim, agg)),
                Ok(seen) => {
                    let asked = asked.unwrap_or_else(|| Asked::for_all(&seen));
                    self.spawn_step_upon(claim, agg, (seen, asked), tasks, counters);
                }
                Err(e) => self.note_failed_observation(&agg.instance.id, &e).await?,
            }
        }
        if to_list.is_empty() {
            return Ok(());
        }
        self.list_zone(zone, Due { instances: to_list, epoch }, false, tasks, counters).await.map(|_| ())
    }

    /// Lists a zone and starts steps from that; `false`: it could not be listed, or another task is listing it.
    pub(crate) async fn list_zone(
        &self,
        zone: &str,
        due: Due,
        resync: bool,
        tasks: &TaskTracker,
        counters: &Arc<Counters>,
    ) -> Result<bool, Error> {
        let Due { instances: due, epoch } = due;
        let mut was_busy = false;
        self.zone_state(zone, |z| was_busy = std::mem::replace(&mut z.busy, true));
        if was_busy {
            return Ok(false);
        }
        let busy = Busy { orchestrator: self, zone };
        if !resync && self.inner.provider.queue_delay_ms() > BUSY_MS && self.was_listed_lately(zone) {
            // Calls are queued. A listing a few seconds later shows the same, and costs fewer reads.
            return Ok(false);
        }
        let began = self.lease_time();
        let listed = self.inner.provider.observe(zone).await;
        self.observed(zone, began, is_seen(&listed));
        drop(busy);
        let (began_at, index) = match listed {
            Ok(inventory) => {
                self.zone_state(zone, |z| {
                    z.pages = pages(&inventory);
                    if inventory.complete || z.listed_at.is_some_and(|(_, then)| then == epoch) {
                        z.listed_at = Some((inventory.began_at, epoch));
                    }
                });
                (inventory.began_at, Index::new(inventory, &self.inner.config.control_plane))
            }
            Err(e) => {
                tracing::warn!(zone, kind = e.kind.text(), error = %e, "a zone could not be listed; retries");
                for (_, agg) in &due {
                    self.note_failed_observation(&agg.instance.id, &e).await?;
                }
                return Ok(false);
            }
        };
        // The listing also serves as the zone's resync if that is due soon.
        let resync = resync || self.is_worth_a_resync(zone);
        // Nothing is created in a zone before its first complete listing: resources with our name may be missing from
        // the records.
        let unsure = self.listed_at(zone).is_none();
        let taken: HashSet<InstanceId> = due.iter().map(|(c, _)| c.id.clone()).collect();
        for (claim, agg) in due {
            if unsure && probe_cost(&agg) == 0 {
                let text = "waits for a complete listing of the zone (one that did not shift while it was read)";
                self.inner.note(&agg.instance.id, NoteCode::Waiting, text, FAILED_OBSERVATION_MS).await?;
                continue;
            }
            let seen = index.of(&agg);
            self.spawn_step(claim, agg, seen, tasks, counters);
        }
        if resync {
            self.zone_state(zone, |z| z.resynced_at = Some(began_at));
            self.resync_zone(zone, (&index, unsure), &taken, tasks, counters).await?;
        }
        Ok(true)
    }

    /// Whether half the time to the zone's next resync has passed.
    fn is_worth_a_resync(&self, zone: &str) -> bool {
        let last = self.zone_state(zone, |_| {}).resynced_at;
        last.is_some_and(|at| self.inner.clock.now().ms_since(at) >= self.inner.config.rules.resync_ms / 2)
    }

    fn was_listed_lately(&self, zone: &str) -> bool {
        let pause = self.inner.config.rules.poll_ms.saturating_mul(LISTING_PAUSE_POLLS);
        self.listed_at(zone).is_some_and(|at| self.inner.clock.now().ms_since(at) < pause)
    }

    /// Checks every living instance of the zone, and ended ones that have a retained volume, an unconfirmed proof, or a
    /// resource that the cloud still shows.
    async fn resync_zone(
        &self,
        zone: &str,
        (index, unsure): (&Index, bool),
        taken: &HashSet<InstanceId>,
        tasks: &TaskTracker,
        counters: &Arc<Counters>,
    ) -> Result<(), Error> {
        let kept = self.inner.store.owners_of_retained(&self.inner.account, zone).await?;
        let pending_observation = self.inner.store.owners_of_unconfirmed(&self.inner.account, zone).await?;
        let mut ended: BTreeSet<InstanceId> = index.owners().cloned().chain(kept).chain(pending_observation).collect();
        let mut after = String::new();
        loop {
            let page = self.inner.store.living(&self.inner.account, zone, &after, LIVING_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.instance.id.to_string();
            for agg in &page {
                ended.remove(&agg.instance.id);
                if taken.contains(&agg.instance.id) || (unsure && probe_cost(agg) == 0) {
                    continue;
                }
                if let Some(claim) = self.claim(&agg.instance.id) {
                    self.check(claim, agg, index.of(agg), tasks, counters).await?;
                }
            }
        }
        let ended: Vec<InstanceId> = ended.into_iter().filter(|id| !taken.contains(id)).collect();
        for agg in self.inner.store.instances_by_id(&ended).await? {
            if agg.instance.account_id == self.inner.account
                && agg.instance.zone == zone
                && let Some(claim) = self.claim(&agg.instance.id)
            {
                self.check(claim, &agg, index.of(&agg), tasks, counters).await?;
            }
        }
        Ok(())
    }

    /// Plans for an instance, and starts a step only if that would change anything.
    async fn check(
        &self,
        claim: Claim,
        agg: &Aggregate,
        seen: Observed,
        tasks: &TaskTracker,
        counters: &Arc<Counters>,
    ) -> Result<(), Error> {
        let planned = self.inner.plan_for(agg, &seen);
        if !planned.only_waits(agg) {
            self.spawn_step(claim, agg.clone(), seen, tasks, counters);
        }
        Ok(())
    }

    fn spawn_step(&self, claim: Claim, agg: Aggregate, seen: Observed, tasks: &TaskTracker, counters: &Arc<Counters>) {
        let asked = Asked::for_all(&seen);
        self.spawn_step_upon(claim, agg, (seen, asked), tasks, counters);
    }

    fn spawn_step_upon(
        &self,
        claim: Claim,
        agg: Aggregate,
        (seen, asked): (Observed, Asked),
        tasks: &TaskTracker,
        counters: &Arc<Counters>,
    ) {
        let (orchestrator, counters) = (self.clone(), counters.clone());
        tasks.spawn(async move {
            let Ok(_permit) = orchestrator.inner.steps.acquire().await else { return };
            match orchestrator.inner.step(agg, seen, asked).await {
                Ok(calls) => {
                    counters.steps.fetch_add(1, Ordering::SeqCst);
                    counters.calls.fetch_add(calls, Ordering::SeqCst);
                }
                Err(e) => tracing::error!(instance = %claim.id, error = %e, "the database did not respond; retries"),
            }
        });
    }

    async fn note_failed_observation(&self, id: &InstanceId, error: &inventiv_providers::Error) -> Result<(), Error> {
        let (code, prefix, ms) = match error.kind {
            ErrorKind::Unauthorized => (NoteCode::Credentials, "blocked: credentials: ", FAILED_OBSERVATION_MS * 6),
            ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::OutOfStock
            | ErrorKind::Quota
            | ErrorKind::Refused
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Unwitnessed
            | ErrorKind::Unsupported => (NoteCode::Waiting, "the cloud cannot be observed: ", FAILED_OBSERVATION_MS),
        };
        self.inner
            .note(id, code, &format!("{prefix}{error}; nothing counts as gone; waits for the next observation"), ms)
            .await
    }
}

/// Whether the cloud responded and accepted the credentials. If not, another replica may have more success.
fn is_seen<T>(look: &Result<T, inventiv_providers::Error>) -> bool {
    match look.as_ref().map_err(|e| e.kind) {
        Err(ErrorKind::Unavailable | ErrorKind::Unauthorized | ErrorKind::Unwitnessed) => false,
        Ok(_)
        | Err(
            ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::OutOfStock
            | ErrorKind::Quota
            | ErrorKind::Refused
            | ErrorKind::RateLimited
            | ErrorKind::Unsupported,
        ) => true,
    }
}

/// While it exists, no other task lists the zone.
struct Busy<'a> {
    orchestrator: &'a Orchestrator,
    zone: &'a str,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.orchestrator.zone_state(self.zone, |z| z.busy = false);
    }
}
