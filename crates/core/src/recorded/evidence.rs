//! The evidence that a resource is absent, and how certain it is.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Evidence that a resource is gone: a typed not-found for its id, read after the deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The cloud's id of the resource.
    pub resource_id: String,
    /// The request, as method and path.
    pub asked: String,
    /// When the request was sent.
    pub asked_at: Timestamp,
    /// The response: status and type.
    pub answer: String,
    /// The cloud's id of that request.
    pub request_id: Option<String>,
    /// When the complete listing began in which it was absent, too.
    pub absent_from_listing_begun_at: Option<Timestamp>,
    /// The proof is provisional until an observation that began after this confirms it: both reads may have been stale.
    /// `None`: recorded by a version that did not confirm proofs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirm_after: Option<Timestamp>,
    /// When the observation began that confirmed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmed_at: Option<Timestamp>,
}

impl Proof {
    /// Whether the proof is based on reads that may have been stale, and not confirmed yet.
    #[must_use]
    pub const fn is_provisional(&self) -> bool {
        self.confirm_after.is_some() && self.confirmed_at.is_none()
    }
}

/// What a pending observation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingFact {
    /// It is no longer shown, although no deletion was requested here.
    Absent,
    /// The cloud reports it as broken.
    Broken,
}

/// An observation that one stale read could explain. It counts once it is repeated at least the consistency window
/// later, if nothing contradicted it in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingObservation {
    /// What it shows.
    pub what: PendingFact,
    /// When the observation began that showed it first.
    pub since: Timestamp,
    /// For an absence: the first not-found that is more than the window later than `since`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<Proof>,
}
