//! Stuck deletions: requested more than 15 minutes ago and not proven. Since when, why, what they cost, and what to do.
//!
//! The retries continue: this only tells an operator to look.

use crate::error::ErrorKind;
use crate::proof::{self, CleanupState};
use crate::recorded::{Aggregate, Retry};
use crate::size::gb_ceil;
use crate::status::{Desired, NoteCode};
use crate::storage_prices::StoragePrices;
use crate::time::Timestamp;

/// How long a deletion may take before it counts as stuck, in milliseconds.
pub const STUCK_MS: i64 = 900_000;

/// One resource whose deletion is stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The cloud's id of it, or its name while the id is not known.
    pub resource: String,
    /// When its deletion was requested.
    pub since: Timestamp,
    /// Why it is still there, as far as is known.
    pub reason: String,
    /// Its price per hour, in millionths of `currency`; block storage at its list price. Local volumes are part of the
    /// server's price.
    pub hourly_micros: i64,
    /// ISO 4217.
    pub currency: String,
    /// What an operator can do.
    pub remedy: &'static str,
}

/// Everything of an instance whose deletion was requested more than [`STUCK_MS`] ago and is not proven.
#[must_use]
pub fn stuck(agg: &Aggregate, prices: &StoragePrices, now: Timestamp) -> Vec<Stuck> {
    let i = &agg.instance;
    let wanted = i.desired != Desired::Absent && i.failure.is_none();
    let Some(since) = i.terminate_requested_at.filter(|_| !wanted) else {
        return Vec::new();
    };
    let first = i.notes.first();
    let note = first.map_or("waits for the next observation of the cloud", |n| n.text.as_str());
    let one = |resource: &str, since, retry: Option<&Retry>, hourly_micros| Stuck {
        resource: resource.to_owned(),
        since,
        reason: retry.map_or_else(|| note.to_owned(), |r| format!("refused {} time(s): {}", r.count, r.error.message)),
        hourly_micros,
        currency: i.spec.currency.clone(),
        remedy: remedy(retry.map(|r| r.error.kind), first.map(|n| n.code)),
    };
    let servers = agg.servers.iter().filter(|s| matches!(proof::server(s), CleanupState::Open(_))).map(|s| {
        let off = s.state.as_deref() == Some("stopped") || s.provider_id.is_none();
        let hourly = if off { 0 } else { i.spec.hourly_micros };
        one(s.provider_id.as_deref().unwrap_or(&s.name), since, s.retry.as_ref(), hourly)
    });
    let volumes = agg.volumes.iter().filter(|v| v.is_to_delete() && matches!(proof::volume(v), CleanupState::Open(_)));
    let volumes = volumes.map(|v| {
        let gb = v.size_bytes.filter(|_| v.is_block() && v.provider_id.is_some()).map_or(0, gb_ceil);
        let hourly = prices.block_hourly_micros(gb, v.perf_iops);
        // Released after its instance had ended: the deletion was requested some time after that.
        let released = if i.status.is_final() { now } else { since };
        let since = since.max(v.delete_intended_at.unwrap_or(released));
        one(v.provider_id.as_deref().unwrap_or(&v.name), since, v.retry.as_ref(), hourly)
    });
    servers.chain(volumes).filter(|s| now.ms_since(s.since) > STUCK_MS).collect()
}

fn remedy(kind: Option<ErrorKind>, note: Option<NoteCode>) -> &'static str {
    match kind {
        Some(ErrorKind::Unauthorized) => {
            "give the control plane credentials that can see and delete it; it continues without a restart"
        }
        Some(ErrorKind::RateLimited) => {
            "nothing: it continues when the cloud responds; lower --calls-per-second if this lasts"
        }
        Some(ErrorKind::Unavailable) => "check the provider's status page; it continues when the cloud responds",
        Some(ErrorKind::Unwitnessed) => {
            "give the control plane credentials that see block storage, or create any block volume in that zone; it then continues"
        }
        Some(ErrorKind::Conflict) => "find what holds it in the provider's console, and remove that",
        Some(ErrorKind::Refused | ErrorKind::Unsupported | ErrorKind::Quota | ErrorKind::OutOfStock) => {
            "read the refusal; if possible, delete it in the provider's console: its absence is then proven automatically"
        }
        Some(ErrorKind::NotFound) | None if note == Some(NoteCode::Credentials) => {
            "give the control plane credentials that can see and delete it; it continues without a restart"
        }
        Some(ErrorKind::NotFound) | None => {
            "check it in the provider's console; delete it there, or ask the provider's support if that is refused"
        }
    }
}

#[cfg(test)]
mod tests;
