//! What is counted: requests under way, usage, metrics.

use crate::keys::KeyState;
use crate::metered::Outcome;
use crate::table::{Destination, Known, Replica, ServiceLoad};
use crate::usage::Tokens;
use inventiv_core::id::ServiceId;
use inventiv_core::service::{Load, Service};
use inventiv_core::time::Timestamp;
use inventiv_store::{Usage, UsageKey};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// How often the load of a service is told again while there is any, in microseconds.
const TELL_AGAIN_US: i64 = 3_000_000;
/// How often, at most, it is told when the last request came, in microseconds. It is told within two seconds, and so within
/// [`LOAD_DELAY_MS`](inventiv_core::service::LOAD_DELAY_MS).
const TELL_LAST_US: i64 = 900_000;

/// About how many bytes of a request make a token.
const BYTES_PER_TOKEN: usize = 4;

/// Adds one to a number for as long as it lives.
pub(crate) struct Held<T: AsRef<AtomicU32>>(T);

impl<T: AsRef<AtomicU32>> Held<T> {
    pub(crate) fn new(number: T) -> Self {
        number.as_ref().fetch_add(1, Ordering::SeqCst);
        Self(number)
    }
}

impl<T: AsRef<AtomicU32>> Drop for Held<T> {
    fn drop(&mut self) {
        self.0.as_ref().fetch_sub(1, Ordering::SeqCst);
    }
}

/// The outstanding requests of a replica.
pub(crate) struct OfReplica(pub(crate) Arc<Replica>);

impl AsRef<AtomicU32> for OfReplica {
    fn as_ref(&self) -> &AtomicU32 {
        &self.0.outstanding
    }
}

/// The outstanding requests of a service.
pub(crate) struct OfService(pub(crate) Arc<ServiceLoad>);

impl AsRef<AtomicU32> for OfService {
    fn as_ref(&self) -> &AtomicU32 {
        &self.0.outstanding
    }
}

/// The requests that wait for a replica of a service.
pub(crate) struct Queued(pub(crate) Arc<ServiceLoad>);

impl AsRef<AtomicU32> for Queued {
    fn as_ref(&self) -> &AtomicU32 {
        &self.0.queued
    }
}

/// Usage that was not written yet.
pub(crate) type Unwritten = Arc<Mutex<HashMap<UsageKey, Usage>>>;

/// A request that a replica is answering.
pub(crate) struct Answered {
    destination: Arc<Destination>,
    replica: Held<OfReplica>,
    _service: Option<Held<OfService>>,
    key: Arc<KeyState>,
    unwritten: Unwritten,
    began: Instant,
    began_at: Timestamp,
    first: Option<Instant>,
    /// About how many tokens the prompt has.
    prompt_estimate: i64,
    /// Whether its end was counted.
    is_counted: bool,
}

impl Drop for Answered {
    fn drop(&mut self) {
        if !self.is_counted {
            // The client went away before the answer began.
            self.count(Outcome::Cancelled, Tokens::default(), 0);
        }
    }
}

impl Answered {
    pub(crate) fn begin(
        destination: &Arc<Destination>,
        replica: &Arc<Replica>,
        key: &Arc<KeyState>,
        unwritten: &Unwritten,
        (began, began_at, prompt_bytes): (Instant, Timestamp, usize),
    ) -> Self {
        Self {
            replica: Held::new(OfReplica(replica.clone())),
            _service: destination.service.as_ref().map(|s| Held::new(OfService(s.load.clone()))),
            destination: destination.clone(),
            key: key.clone(),
            unwritten: unwritten.clone(),
            began,
            began_at,
            first: None,
            prompt_estimate: i64::try_from(prompt_bytes / BYTES_PER_TOKEN).unwrap_or(i64::MAX / 4),
            is_counted: false,
        }
    }

    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica.0.0
    }

    /// The first part of the answer came.
    pub(crate) fn first_token(&mut self) {
        self.first.get_or_insert_with(Instant::now);
    }

    /// The replica did not accept it: it counts as nothing.
    pub(crate) fn forget(mut self) {
        self.is_counted = true;
    }

    /// Counts the end.
    pub(crate) fn end(mut self, outcome: Outcome, tokens: Tokens, parts: i64, put_back: impl FnOnce(&Replica)) {
        self.is_counted = true;
        self.count(outcome, tokens, parts);
        put_back(self.replica());
    }

    fn count(&self, outcome: Outcome, tokens: Tokens, parts: i64) {
        let (metered, now) = (self.destination.metered(), Instant::now());
        metered.ended(outcome).increment(1);
        metered.prompt_tokens.increment(u64::try_from(tokens.prompt).unwrap_or(0));
        metered.completion_tokens.increment(u64::try_from(tokens.completion).unwrap_or(0));
        let lasted = now - self.began;
        metered.duration.record(lasted);
        let first = self.first.map(|f| f - self.began);
        if let Some(first) = first {
            metered.first_token.record(first);
        }
        if let Some(first) = self.first
            && let Ok(gaps @ 1..) = u32::try_from(parts - 1)
        {
            metered.between_tokens.record((now - first) / gaps);
        }
        let ended_at = self.began_at.plus_ms(i64::try_from(lasted.as_millis()).unwrap_or(i64::MAX));
        let all = tokens.prompt.saturating_add(tokens.completion);
        // Who leaves before the engine tells the usage has used it nevertheless.
        let used = if tokens.prompt == 0 && outcome == Outcome::Cancelled { all + self.prompt_estimate } else { all };
        self.key.window.lock().add_tokens(used, ended_at.0);
        if let Some(service) = &self.destination.service {
            service.load.last_request_us.fetch_max(ended_at.0, Ordering::SeqCst);
        }
        let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let used = Usage {
            requests: 1,
            errors: i64::from(outcome == Outcome::Failed),
            prompt_tokens: tokens.prompt,
            completion_tokens: tokens.completion,
            first_token_ms: first.map_or(0, ms),
            duration_ms: ms(lasted),
        };
        let key = UsageKey {
            hour: UsageKey::hour_of(self.began_at),
            key_id: self.key.row.id.to_string(),
            service_id: self.destination.service.as_ref().map_or_else(String::new, |s| s.id.to_string()),
            instance_id: self.replica().id.to_string(),
            model: self.destination.model.clone(),
        };
        self.unwritten.lock().entry(key).or_default().add(&used);
    }
}

/// Has the load told again: it could not be told.
pub(crate) fn tell_again(load: &ServiceLoad) {
    *load.told.lock() = Default::default();
}

/// Shows the load of every service in the metrics.
pub(crate) fn show_loads(services: &[Service], known: &Known) {
    for service in services {
        let Some(load) = known.loads.get(&service.id) else { continue };
        let show = |state: &'static str, n: &AtomicU32| {
            let labels = [("service", service.name.clone()), ("state", state.to_owned())];
            metrics::gauge!("inventiv_gateway_requests", &labels).set(n.load(Ordering::SeqCst));
        };
        show("outstanding", &load.outstanding);
        show("queued", &load.queued);
    }
}

/// The load of a service, if there is something new to tell.
pub(crate) fn load_to_tell(id: &ServiceId, load: &ServiceLoad, now: Timestamp) -> Option<(ServiceId, Load)> {
    let outstanding = load.outstanding.load(Ordering::SeqCst);
    let queued = load.queued.load(Ordering::SeqCst);
    let last = load.last_request_us.load(Ordering::SeqCst);
    let mut told = load.told.lock();
    let age = now.0 - told.1;
    // When the last request came is told about once a second, not with each one.
    let changed = (outstanding, queued) != (told.0.0, told.0.1) || (last != told.0.2 && age >= TELL_LAST_US);
    let any = outstanding + queued > 0;
    if !(changed || any && age >= TELL_AGAIN_US) {
        return None;
    }
    *told = ((outstanding, queued, last), now.0);
    let last_request_at = (last > 0).then_some(Timestamp(last));
    Some((id.clone(), Load { outstanding, queued, last_request_at }))
}

#[cfg(test)]
mod tests;
