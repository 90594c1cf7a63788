//! How many replicas a service needs, how many it keeps, and which ones end. Pure.

use super::live::{is_ready, ready_count};
use super::{LOAD_DELAY_MS, Load, Replica, Service, ServiceSpec, ServiceState};
use crate::status::Status;
use crate::time::Timestamp;

/// How many replicas are needed now.
///
/// A service that may have none keeps one for `idle_ms` after the last request, and after its oldest replica became
/// ready: what was woken is not given up before it could answer. [`LOAD_DELAY_MS`] is added: a request that came in time
/// may not be known yet.
pub(super) fn needed(service: &Service, live: &[&Replica], load: &Load, now: Timestamp) -> u32 {
    let spec = &service.spec;
    let requests = load.outstanding.saturating_add(load.queued);
    let by_load = requests.div_ceil(spec.target_concurrency.max(1));
    let kept_ms = spec.idle_ms.saturating_add(LOAD_DELAY_MS);
    let is_asked = load.last_request_at.is_some_and(|at| now.ms_since(at) < kept_ms);
    let is_warm = service.warm_until.is_some_and(|until| until > now);
    let is_new = !live.is_empty() && live.iter().all(|r| r.ready_at.is_none_or(|at| now.ms_since(at) < kept_ms));
    by_load.max(u32::from(is_asked || is_warm || is_new)).max(spec.min_replicas).min(spec.max_replicas)
}

/// How many replicas are needed, without a burst of requests: a service that has some grows once more were needed for
/// `hold_ms`, to the least that was needed meanwhile. A replica takes minutes to start, and costs from its first second.
pub(super) fn hold_growth(
    state: &mut ServiceState,
    spec: &ServiceSpec,
    before: u32,
    (needed, now): (u32, Timestamp),
    hold_ms: i64,
) -> u32 {
    // A replica that failed is replaced at once.
    let has = before.max(state.size).max(spec.min_replicas).min(spec.max_replicas);
    if has == 0 || needed <= has {
        state.more_since = None;
        return needed;
    }
    let (since, least) = state.more_since.map_or((now, needed), |(since, least)| (since, least.min(needed)));
    if now.ms_since(since) < hold_ms.min(spec.scale_down_ms) {
        state.more_since = Some((since, least));
        return has;
    }
    state.more_since = (needed > least).then_some((now, needed));
    least
}

/// How many replicas there should be, and what to remember about it.
///
/// At least as many as are needed, and none if none is needed. Otherwise as many as there were, until fewer have sufficed
/// for `scale_down_ms`; then the most that were needed meanwhile.
pub(super) fn resize(state: &mut ServiceState, spec: &ServiceSpec, before: u32, (needed, now): (u32, Timestamp)) {
    let before = before.min(spec.max_replicas);
    if needed >= before || needed == 0 {
        (state.size, state.fewer_since) = (needed, None);
        return;
    }
    let (since, most) = state.fewer_since.map_or((now, needed), |(since, most)| (since, most.max(needed)));
    if now.ms_since(since) < spec.scale_down_ms {
        (state.size, state.fewer_since) = (before, Some((since, most)));
    } else {
        state.size = most.min(before);
        state.fewer_since = (state.size > needed).then_some((now, needed));
    }
}

/// Removes the replicas that end from the live ones, which are sorted by age. Returns them with the reason.
///
/// Old ones end once enough others answer; during an update there may be one more than the size.
pub(super) fn shrink<'a>(live: &mut Vec<&'a Replica>, size: usize, revision: i64) -> Vec<(&'a Replica, &'static str)> {
    let mut ended = Vec::new();
    loop {
        let is_old = |r: &&Replica| r.revision < revision;
        let is_update = size > 0 && live.iter().any(is_old);
        let is_above = live.len() > size + usize::from(is_update);
        let ready = ready_count(live);
        let silent = live.iter().rposition(|r| is_old(r) && !is_ready(r)).filter(|_| is_above || ready >= size);
        let old = silent.or_else(|| live.iter().rposition(is_old).filter(|_| ready > size));
        let newest = || live.iter().rposition(|r| !is_ready(r)).or_else(|| live.len().checked_sub(1));
        let Some(at) = old.or_else(|| newest().filter(|_| is_above)) else { return ended };
        let reason = match (size, is_above) {
            (0, _) => "nobody uses the service",
            (_, true) => "fewer replicas are needed",
            (_, false) => "its settings are from before the change",
        };
        ended.push((live.remove(at), reason));
    }
}

/// How many lost replicas end: as many as others answer in their place, those beyond one more than there may be, and all
/// if none is needed.
pub(super) fn surplus(live: &[&Replica], lost: usize, size: usize, max: usize) -> usize {
    // One that does not answer for a moment has its place.
    let in_place = live.iter().filter(|r| is_ready(r) || r.status == Status::Unavailable).count();
    let replaced = (in_place + lost).saturating_sub(size);
    let above = (live.len() + lost).saturating_sub(max + 1);
    if size == 0 { lost } else { replaced.max(above).min(lost) }
}

/// How many replicas are created.
///
/// During an update, and while some are lost, one more than the size may exist. Of new settings, only as many are created
/// as are needed.
pub(super) fn missing(live: &[&Replica], lost: usize, (size, needed): (u32, u32), revision: i64) -> usize {
    let old = live.iter().filter(|r| r.revision < revision).count();
    let room = (size as usize + 1).saturating_sub(live.len() + lost);
    room.min((needed as usize).saturating_sub(live.len() - old))
}

/// Whether a replica with older settings was never ready: nothing is lost when it ends.
pub(super) fn is_useless(r: &Replica, revision: i64) -> bool {
    r.revision < revision && r.ready_at.is_none() && r.status != Status::Ready
}
