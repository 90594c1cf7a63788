//! Counts the failures of replicas, and decides where the next one may be created. Pure.

use super::live::{has_failed, is_ready};
use super::{Avoided, Candidate, Replica, Service, ServiceRules, ServiceState};
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// The longest pause after a failure, in milliseconds.
const PAUSE_MAX_MS: i64 = 1_800_000;
/// Why a candidate without stock is not used.
pub const OUT_OF_STOCK: &str = "out of stock";
/// The failure of a replica that answered for a short time only.
const SHORT_LIFE: &str = "a replica stopped answering soon after it was ready; look at the log of its engine";
/// The failure of a replica that does not say why.
const UNKNOWN: &str = "the replica failed and does not say why; look at its log";

/// Counts each failed replica once, and ends the row of failures when a replica has become ready.
pub(super) fn count(service: &mut Service, replicas: &[&Replica], now: Timestamp, rules: &ServiceRules) {
    let revision = service.revision;
    let state = &mut service.state;
    state.counted.retain(|id| replicas.iter().any(|r| r.id == *id));
    // After a replica that answered for a short time only, being ready once proves little. A service that scales to zero
    // ends a replica after `idle_ms`, so that no longer time can be demanded.
    let stable_ms = rules.stable_after_ms.min(service.spec.idle_ms);
    let proven_ms = if state.proves_late { stable_ms } else { 0 };
    let is_proven = |r: &Replica| proven_ms == 0 || (is_ready(r) && !r.ends);
    let is_ready_since = |at| {
        let after = |t: Timestamp| t > at && now.ms_since(t) >= proven_ms;
        replicas.iter().any(|r| r.revision >= revision && r.ready_at.is_some_and(after) && is_proven(r))
    };
    if state.failed_at.is_some_and(is_ready_since) {
        end_row(state);
    }
    for r in replicas.iter().filter(|r| has_failed(r)) {
        if !state.counted.contains(&r.id) {
            state.counted.push(r.id.clone());
            record(state, r, r.revision >= revision, (now, rules));
        }
    }
    let in_a_row = state.failures > 0;
    state.avoid.retain(|_, a| a.until > now || (in_a_row && a.why != OUT_OF_STOCK));
}

/// Counts a replica that does not answer any more, if it did so for a short time only and its worker still responds: a
/// model that each real request kills would be started again without end. A server that vanished says nothing about it.
pub(super) fn count_lost(service: &mut Service, r: &Replica, now: Timestamp, rules: &ServiceRules) {
    let state = &mut service.state;
    let since = state.unavailable.get(&r.id).copied().unwrap_or(now);
    let is_early = r.ready_at.is_some_and(|at| since.ms_since(at) < rules.stable_after_ms);
    if is_early && r.has_worker && r.revision >= service.revision && !state.counted.contains(&r.id) {
        state.counted.push(r.id.clone());
        state.proves_late = true;
        let failed_before = state.failed_at;
        add(state, r, SHORT_LIFE, (now, rules));
        // The one that answers in its place became ready after this, and may prove itself.
        state.failed_at = failed_before.max(Some(since));
    }
}

fn end_row(state: &mut ServiceState) {
    state.failures = 0;
    state.proves_late = false;
    state.last_failure = None;
    state.failed_at = None;
    state.not_before = None;
    state.avoid.retain(|_, a| a.why == OUT_OF_STOCK);
}

/// Records one failure. That of a replica with older settings says nothing about the newest ones, but about stock.
fn record(state: &mut ServiceState, r: &Replica, is_current: bool, (now, rules): (Timestamp, &ServiceRules)) {
    if r.failure.as_ref().is_some_and(|f| f.code == ErrorKind::OutOfStock.text()) {
        let until = now.plus_ms(rules.out_of_stock_ms);
        state.avoid.insert(r.candidate_key(), Avoided { until, why: OUT_OF_STOCK.to_owned() });
    } else if r.ready_at.is_none() && is_current {
        let message = r.failure.as_ref().map_or(UNKNOWN, |f| f.message.as_str());
        add(state, r, message, (now, rules));
    }
}

/// Adds a failure to the row. The next replica is created after a pause, and rather in another candidate.
fn add(state: &mut ServiceState, r: &Replica, message: &str, (now, rules): (Timestamp, &ServiceRules)) {
    state.failures = state.failures.saturating_add(1);
    let pause_ms = rules.backoff_ms.saturating_mul(1 << (state.failures - 1).min(20)).min(PAUSE_MAX_MS);
    let until = now.plus_ms(pause_ms);
    state.not_before = Some(until);
    state.failed_at = Some(now);
    state.last_failure = Some(message.to_owned());
    if state.avoid.get(&r.candidate_key()).is_none_or(|a| a.until < until) {
        state.avoid.insert(r.candidate_key(), Avoided { until, why: message.to_owned() });
    }
}

/// Why no replica is created now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// The service has no candidates.
    NoCandidates,
    /// Too many failures in a row.
    Failures,
    /// A limit of the control plane is reached.
    Limit,
    /// A pause after a failure, until then.
    Pause(Timestamp),
    /// No candidate may be used, until then.
    AllAvoided(Timestamp),
}

/// The candidate in which the next replica is created.
///
/// The first one that is not avoided. During a row of failures, one that has not failed; if all have, the one that
/// failed first.
pub(super) fn next_candidate(service: &Service, now: Timestamp, rules: &ServiceRules) -> Result<usize, Block> {
    let state = &service.state;
    if state.failures > 0 && state.failures >= rules.max_failures {
        return Err(Block::Failures);
    }
    if state.limit_reached.is_some() {
        return Err(Block::Limit);
    }
    if let Some(at) = state.not_before.filter(|at| *at > now) {
        return Err(Block::Pause(at));
    }
    let until = |c: &Candidate| state.avoid.get(&c.key()).map(|a| a.until);
    let untils: Vec<Option<Timestamp>> = service.spec.candidates.iter().map(until).collect();
    let usable = untils.iter().enumerate().filter(|(_, u)| u.is_none_or(|u| u <= now));
    let first = usable.min_by_key(|(at, u)| (**u, *at)).map(|(at, _)| at);
    first.ok_or_else(|| untils.iter().flatten().min().map_or(Block::NoCandidates, |u| Block::AllAvoided(*u)))
}

impl Block {
    /// The reason as a sentence that says what to do.
    pub(super) fn sentence(self, service: &Service) -> String {
        let state = &service.state;
        let last = state.last_failure.as_deref().unwrap_or(UNKNOWN);
        match self {
            Self::NoCandidates => "there is no zone and server type to create a replica in; add one".to_owned(),
            Self::Failures => format!(
                "no more replicas are created, because {} in a row failed: {last}. Mend that, then change or warm the service",
                state.failures
            ),
            Self::Limit => {
                let why = state.limit_reached.as_deref().unwrap_or("a limit is reached");
                format!("no replica is created: {why}")
            }
            Self::Pause(at) => format!("a replica failed: {last}; the next one is created at {at}"),
            Self::AllAvoided(at) => {
                let whys: Vec<(String, &str)> = service.spec.candidates.iter().map(|c| why(state, c)).collect();
                if whys.iter().all(|(_, why)| *why == OUT_OF_STOCK) {
                    let keys: Vec<String> = whys.into_iter().map(|(key, _)| key).collect();
                    let keys = keys.join(", ");
                    format!("no candidate has stock: {keys}; the next try is at {at}; add a zone or a server type")
                } else {
                    let each: Vec<String> = whys.iter().map(|(key, why)| format!("{key} ({why})")).collect();
                    format!("no candidate can be used: {}; the next try is at {at}", each.join(", "))
                }
            }
        }
    }
}

fn why<'a>(state: &'a ServiceState, candidate: &Candidate) -> (String, &'a str) {
    let key = candidate.key();
    let why = state.avoid.get(&key).map_or("", |a| a.why.as_str());
    (key, why)
}
