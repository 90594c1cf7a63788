//! What is known of the absence of a resource, and how sure it is.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Evidence that a resource is gone: a typed not-found for its id, asked for after the deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The cloud's id of the resource.
    pub resource_id: String,
    /// What was asked, as method and path.
    pub asked: String,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// What was answered: status and type.
    pub answer: String,
    /// The cloud's own id of that exchange.
    pub request_id: Option<String>,
    /// When the complete listing began in which it was absent too.
    pub absent_from_listing_begun_at: Option<Timestamp>,
    /// Until a look that began after this confirms it, the proof is provisional: both reads may have been stale. `None`:
    /// written before proofs were confirmed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirm_after: Option<Timestamp>,
    /// When the look began that confirmed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmed_at: Option<Timestamp>,
}

impl Proof {
    /// Made upon reads that may have been stale, and not confirmed yet.
    #[must_use]
    pub const fn is_provisional(&self) -> bool {
        self.confirm_after.is_some() && self.confirmed_at.is_none()
    }
}

/// What an observation that is not believed yet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingFact {
    /// It is not shown any more, although nobody here asked for its end.
    Absent,
    /// The cloud reports it as broken.
    Broken,
}

/// An observation that one stale read could have made: it counts once it was made again, at least the consistency window
/// later, and nothing contradicted it in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingObservation {
    /// What it says.
    pub what: PendingFact,
    /// When the look began that showed it first.
    pub since: Timestamp,
    /// For an absence: the first not-found that was answered later than the window after `since`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<Proof>,
}
