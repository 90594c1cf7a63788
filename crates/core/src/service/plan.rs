//! Decides from the facts of a service which replicas are created and which end. Pure.

use super::live::{self, is_live};
use super::summary::{Outcome, summarize};
use super::{Load, Replica, Service, ServiceStatus, failures, scale};
use crate::id::InstanceId;
use crate::status::{Desired, Status};
use crate::time::Timestamp;

/// Time limits and bounds about services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRules {
    /// How long a candidate is not used after it was out of stock, in milliseconds.
    pub out_of_stock_ms: i64,
    /// How long a replica that was ready may not answer before it is replaced, in milliseconds.
    pub replace_after_ms: i64,
    /// Since when this process watches. Time in which nobody tried is no silence of a replica.
    pub watching_since: Timestamp,
    /// The pause after the first failure of a replica in milliseconds; it doubles with each one.
    pub backoff_ms: i64,
    /// After so many failures in a row, no replica is created until somebody changes the service or warms it.
    pub max_failures: u32,
    /// A replica that stops answering within this time after it was ready counts as failed, in milliseconds.
    pub stable_after_ms: i64,
    /// How long more replicas must be needed before a service that has some grows, in milliseconds. Never longer than its
    /// `scale_down_ms`.
    pub grow_after_ms: i64,
}

impl Default for ServiceRules {
    fn default() -> Self {
        Self {
            out_of_stock_ms: 600_000,
            replace_after_ms: 180_000,
            watching_since: Timestamp(0),
            backoff_ms: 15_000,
            max_failures: 3,
            stable_after_ms: 600_000,
            grow_after_ms: 10_000,
        }
    }
}

/// What to do about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    /// The service as it is to be recorded.
    pub service: Service,
    /// The candidates (by index) in which a replica is created, one each.
    pub create: Vec<usize>,
    /// The replicas that end, with the reason of each.
    pub terminate: Vec<(InstanceId, &'static str)>,
}

/// Decides what to do now. Idempotent: after it was carried out, the same facts give no further actions.
///
/// The result does not depend on the order of the replicas. Those that have ended may be among them. A failed one has to
/// be among them until a plan has counted its failure.
#[must_use]
pub fn plan(service: &Service, replicas: &[Replica], load: &Load, now: Timestamp, rules: &ServiceRules) -> ServicePlan {
    let mut replicas: Vec<&Replica> = replicas.iter().collect();
    replicas.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    if service.desired == Desired::Absent {
        return end(service, &replicas, now);
    }
    if service.expires_at.is_some_and(|at| at <= now) {
        let expired = Service { desired: Desired::Absent, updated_at: now, ..service.clone() };
        return end(&expired, &replicas, now);
    }
    let mut next = service.clone();
    failures::count(&mut next, &replicas, now, rules);
    let (mut live, lost, mut terminate) = sort_out(&mut next, &replicas, now, rules);

    // One that is lost does not make the service smaller: it may recover.
    let total = u32::try_from(live.len() + lost.len()).unwrap_or(u32::MAX);
    let is_update = live.iter().any(|r| r.revision < next.revision);
    // The additional replica of an update, or beside a lost one, does not make the service larger.
    let before = if is_update || !lost.is_empty() { total.min(next.state.size) } else { total };
    let needed = scale::needed(&next, &live, load, now);
    let needed = scale::hold_growth(&mut next.state, &next.spec, before, (needed, now), rules.grow_after_ms);
    scale::resize(&mut next.state, &next.spec, before, (needed, now));
    let ended = scale::shrink(&mut live, next.state.size as usize, next.revision);
    terminate.extend(ended.into_iter().map(|(r, why)| (r.id.clone(), why)));

    let surplus = scale::surplus(&live, lost.len(), next.state.size as usize, next.spec.max_replicas as usize);
    for r in lost.iter().take(surplus) {
        failures::count_lost(&mut next, r, now, rules);
        terminate.push((r.id.clone(), "its model does not answer any more"));
    }

    let mut create = Vec::new();
    let mut block = None;
    let missing = scale::missing(&live, lost.len() - surplus, (next.state.size, needed), next.revision);
    if missing > 0 {
        match failures::next_candidate(&next, now, rules) {
            Ok(candidate) => create = vec![candidate; missing],
            Err(why) => block = Some(why),
        }
    }
    let replace_after_ms = rules.replace_after_ms;
    summarize(&mut next, &Outcome { needed: needed as usize, live: &live, block, replace_after_ms });
    ServicePlan { service: next, create, terminate }
}

/// The replicas that end, with the reason of each.
type Ending = Vec<(InstanceId, &'static str)>;

/// Tells the live replicas from those that are lost, and from those that end whatever the load is.
///
/// A lost replica has not answered for long. It ends when others answer in its place: if all are lost at once, the way to
/// them is, not they.
fn sort_out<'a>(
    next: &mut Service,
    replicas: &[&'a Replica],
    now: Timestamp,
    rules: &ServiceRules,
) -> (Vec<&'a Replica>, Vec<&'a Replica>, Ending) {
    let mut live: Vec<&Replica> = replicas.iter().copied().filter(|r| is_live(r)).collect();
    live::remember_unavailable(&mut next.state, &live, now);
    let failed = replicas.iter().filter(|r| r.status == Status::StartupFailed && !r.ends && !r.is_kept);
    let mut ending: Ending = failed.map(|r| (r.id.clone(), "its model failed to start")).collect();
    let useless = live.iter().filter(|r| scale::is_useless(r, next.revision));
    ending.extend(useless.map(|r| (r.id.clone(), "the settings changed before it was ready")));
    live.retain(|r| !scale::is_useless(r, next.revision));
    let silent_ms = |r: &Replica| {
        let since = next.state.unavailable.get(&r.id);
        since.map_or(0, |since| now.ms_since((*since).max(rules.watching_since)))
    };
    let (lost, live) = live.into_iter().partition(|r| silent_ms(r) >= rules.replace_after_ms);
    (live, lost, ending)
}

/// Ends a service: every replica ends, and then the service has ended.
fn end(service: &Service, replicas: &[&Replica], now: Timestamp) -> ServicePlan {
    let mut next = service.clone();
    let left = replicas.iter().filter(|r| !r.status.is_final());
    let terminate = left.clone().filter(|r| !r.ends).map(|r| (r.id.clone(), "the service ends")).collect();
    if service.status != ServiceStatus::Deleted {
        (next.status, next.reason) = match left.count() {
            0 => (ServiceStatus::Deleted, None),
            1 => (ServiceStatus::Deleting, Some("1 replica has not ended yet".to_owned())),
            left => (ServiceStatus::Deleting, Some(format!("{left} replicas have not ended yet"))),
        };
        next.deleted_at = (next.status == ServiceStatus::Deleted).then_some(now);
    }
    ServicePlan { service: next, create: Vec::new(), terminate }
}

#[cfg(test)]
mod tests;
