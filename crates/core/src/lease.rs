//! Leases: which of several replicas works on a zone. Pure.
//!
//! A lease only saves calls. If two replicas both take themselves for the holder, versions still guard every write:
//! calls may be wasted, but nothing is leaked or duplicated. Clocks are never compared: the holder increments a
//! counter, its *heartbeat*, and a replica that has read the same heartbeat for the length of the lease, by its own
//! clock, may take the lease. A replica that could not observe the cloud for that long gives its zone back.

use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// A lease as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The zone.
    pub zone: String,
    /// The replica that holds it; empty: none.
    pub holder: String,
    /// Goes up with every change.
    pub heartbeat: i64,
}

/// The durations of the lease protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a lease is valid without a heartbeat, in milliseconds.
    pub lease_ms: i64,
    /// How often the holder increments the heartbeat, in milliseconds: several times per `lease_ms`.
    pub heartbeat_ms: i64,
    /// How much longer a replica waits for a free zone, for each zone that it holds already (yield), in milliseconds.
    pub yield_ms: i64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lease_ms: 10_000, heartbeat_ms: 3_000, yield_ms: 250 }
    }
}

/// What to do about a zone's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Record a new lease, held by this replica.
    Begin,
    /// Increment the heartbeat, or take the lease: only if holder and heartbeat are still these.
    Take(Lease),
    /// Give the lease back: only if holder and heartbeat are still these.
    GiveBack(Lease),
    /// Nothing now.
    Wait,
}

/// What one replica remembers about the leases.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Zone → the last state that was read, and when it was first read.
    seen: HashMap<String, (Lease, Timestamp)>,
    /// Zone → until when this replica holds it, by its own clock.
    held: HashMap<String, Timestamp>,
    /// Zone → since when every observation of it has failed.
    unseen: HashMap<String, Timestamp>,
    /// Zone → until when it is left to others.
    left: HashMap<String, Timestamp>,
}

impl Watch {
    /// What to do about a zone whose lease is recorded as `row`, if at all.
    pub fn decide(&mut self, me: &str, zone: &str, row: Option<&Lease>, now: Timestamp, terms: Terms) -> Move {
        let nobodys = Lease { zone: zone.to_owned(), holder: String::new(), heartbeat: 0 };
        let (begins, row) = (row.is_none(), row.unwrap_or(&nobodys));
        let held = self.held.values().filter(|until| **until > now).count();
        let (seen, since) = self.seen.entry(zone.to_owned()).or_insert_with(|| (row.clone(), now));
        if seen != row {
            (*seen, *since) = (row.clone(), now);
        }
        let unmoved_ms = now.ms_since(*since);
        if row.holder == me && self.unseen.get(zone).is_some_and(|since| now.ms_since(*since) >= terms.lease_ms) {
            return Move::GiveBack(row.clone());
        }
        if row.holder != me && self.left.get(zone).is_some_and(|until| *until > now) {
            return Move::Wait;
        }
        let due_ms = if row.holder == me {
            // An earlier run of this process may have taken it: take it again first.
            if self.held.contains_key(zone) { terms.heartbeat_ms } else { 0 }
        } else if row.holder.is_empty() {
            terms.yield_ms.saturating_mul(i64::try_from(held).unwrap_or(i64::MAX))
        } else {
            terms.lease_ms
        };
        match (unmoved_ms >= due_ms, begins) {
            (false, _) => Move::Wait,
            (true, true) => Move::Begin,
            (true, false) => Move::Take(row.clone()),
        }
    }

    /// It was recorded that this replica holds the lease; the write began at `began`.
    pub fn took(&mut self, zone: &str, began: Timestamp, terms: Terms) {
        self.held.insert(zone.to_owned(), began.plus_ms(terms.lease_ms));
    }

    /// An observation of the zone that began at `began` has ended; `seen`: the cloud responded.
    pub fn observed(&mut self, zone: &str, began: Timestamp, seen: bool) {
        if seen {
            self.unseen.remove(zone);
        } else {
            self.unseen.entry(zone.to_owned()).or_insert(began);
        }
    }

    /// The lease was given back because the cloud did not respond: other replicas come first for the length of a lease.
    pub fn gave_back(&mut self, zone: &str, now: Timestamp, terms: Terms) {
        self.lost(zone);
        self.unseen.remove(zone);
        self.left.insert(zone.to_owned(), now.plus_ms(terms.lease_ms));
    }

    /// Another replica holds it.
    pub fn lost(&mut self, zone: &str) {
        self.held.remove(zone);
    }

    /// Whether this replica holds it, as far as it knows.
    #[must_use]
    pub fn holds(&self, zone: &str, now: Timestamp) -> bool {
        self.held.get(zone).is_some_and(|until| *until > now)
    }

    /// The zones that this replica held according to the last write.
    #[must_use]
    pub fn held(&self) -> Vec<String> {
        self.held.keys().cloned().collect()
    }
}

/// The share of the account's rate budget for `me`: the work in its zones, divided by the work in all held zones. A
/// zone without work counts as one instance, because it is listed from time to time.
#[must_use]
pub fn share_of_budget(me: &str, leases: &[Lease], under_way: &BTreeMap<String, i64>) -> f64 {
    let weight =
        |l: &Lease| 1.0 + f64::from(under_way.get(&l.zone).map_or(0, |n| u32::try_from(*n).unwrap_or(u32::MAX)));
    let sum = |mine: bool| -> f64 {
        let counted = leases.iter().filter(|l| !l.holder.is_empty() && (!mine || l.holder == me));
        counted.map(weight).sum()
    };
    let (ours, all) = (sum(true), sum(false));
    // A replica without a zone makes calls only on request.
    if ours > 0.0 { ours / all } else { 1.0 / (1.0 + all) }
}

#[cfg(test)]
mod tests;
