//! The evidence that resources are gone.

use crate::{ActionLog, Snapshot, Time};
use inventiv_core::status::{ResourceKind, Status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Evidence that a resource is gone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// The provider's id of the resource.
    pub resource_id: String,
    /// The request to the provider: method and path.
    pub asked: String,
    /// When it was sent.
    pub asked_at: Time,
    /// The provider's response: status and error type.
    pub answer: String,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// When the complete listing began that did not contain the resource either.
    pub absent_from_listing_begun_at: Option<Time>,
    /// Reads may be stale: the proof is provisional until a complete listing that began after this time confirms it.
    pub confirm_after: Option<Time>,
    /// When the read began that confirmed the proof; `null` if the proof is provisional, or older than this check.
    pub confirmed_at: Option<Time>,
}

/// The evidence for the end of an instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InstanceProof {
    /// The id of the instance.
    pub instance_id: String,
    /// The status of the instance.
    pub status: Status,
    /// Whether nothing is open: every resource is proven gone, was kept on purpose, belongs to a third party, was
    /// certainly never created, or is `watched`.
    pub clean: bool,
    /// `confirmed`: reads that cannot be stale have confirmed every proof. `provisional`: a proof is not confirmed yet.
    /// If the resource is shown again, it is deleted again. `null`: nothing is proven gone.
    pub certainty: Option<Certainty>,
    /// The result as a sentence.
    pub verdict: String,
    /// What is not known or not done yet; empty if `clean` is true.
    pub open: Vec<String>,
    /// The price of the kept volumes per hour, in millionths of `currency`; block storage at list price.
    pub kept_hourly_micros: i64,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// When the instance was requested.
    pub created_at: Time,
    /// When the record was rebuilt from the cloud, otherwise `null`. Resources that were gone by then are not known.
    pub recovered_at: Option<Time>,
    /// When the end of the instance was requested.
    pub terminate_requested_at: Option<Time>,
    /// When everything that should be deleted was proven gone.
    pub terminated_at: Option<Time>,
    /// When this evidence was read from the database. It does not contain later events.
    pub read_at: Time,
    /// Every server and volume that the instance ever had.
    pub resources: Vec<ResourceProof>,
    /// Snapshots of the instance's volumes that third parties took and that may still exist, as of the last audit or
    /// the deletion of the volume. They are billed until a third party deletes them.
    pub snapshots: Vec<Snapshot>,
}

/// The evidence for one resource.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResourceProof {
    /// `server` or `volume`.
    pub kind: ResourceKind,
    /// The id in the records.
    pub id: String,
    /// The last known name in the cloud.
    pub name: String,
    /// The provider's id; `null` if it was never known.
    pub provider_id: Option<String>,
    /// `gone`: proven gone. `kept`: kept on purpose. `given`: kept, and then given
    /// to the instance `given_to`, whose proof covers it. `foreign`: it belongs to a third party and was left alone.
    /// `never_made`: certainly never created. `watched`: its creation was never confirmed, and no complete listing
    /// after the grace shows it; its name stays watched. `open`: not known or not done yet.
    pub cleanup_state: CleanupState,
    /// The instance that a volume was given to.
    pub given_to: Option<String>,
    /// What is open; `null` if nothing is.
    pub open: Option<String>,
    /// The provider's id of the server that a volume belonged to.
    pub came_with: Option<String>,
    /// The proof that it is gone.
    pub proof: Option<Proof>,
    /// The calls that created and removed the resource, and events about it, in chronological order.
    pub calls: Vec<ActionLog>,
}

/// How certain the proofs of an instance's end are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// A proof is not confirmed yet: the read that it rests on may have been stale.
    Provisional,
    /// Reads that cannot be stale have confirmed every proof.
    Confirmed,
}

/// What is left of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CleanupState {
    /// Proven gone.
    Gone,
    /// Kept on purpose.
    Kept,
    /// It was kept, and then given to another instance, whose proof covers it.
    Given,
    /// It belongs to a third party and was left alone.
    Foreign,
    /// Certainly never created.
    NeverMade,
    /// Its creation was never confirmed; its name stays watched.
    Watched,
    /// Not known or not done yet.
    Open,
}
