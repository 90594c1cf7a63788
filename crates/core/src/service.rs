//! Services: a model that is kept answering by as many instances as its load needs.
//!
//! A service is desired state, like an instance. [`plan()`] decides from it, from its instances (its *replicas*) and from
//! the load which instances are created and which end. Each replica is an instance with all of its invariants.

mod failures;
mod live;
mod plan;
mod scale;
mod summary;

pub use failures::OUT_OF_STOCK;
pub use plan::{ServicePlan, ServiceRules, plan};

use crate::id::{InstanceId, ServiceId};
use crate::recorded::{Failure, Instance, Spec};
use crate::status::{Desired, Status};
use crate::time::Timestamp;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words!(
    /// The status of a service.
    ServiceStatus {
        /// Fewer replicas are ready than are needed; more are on their way.
        Starting = "starting",
        /// As many replicas are ready as are needed.
        Ready = "ready",
        /// No replica is needed: nobody asks. The next request wakes it.
        Idle = "idle",
        /// Replicas are being replaced, because the settings changed.
        Updating = "updating",
        /// Fewer replicas are ready than are needed, and something prevents more. The reason says what.
        Degraded = "degraded",
        /// Its end was requested, and its replicas are ending.
        Deleting = "deleting",
        /// All of its replicas have ended.
        Deleted = "deleted",
    }
);

/// Where a replica may be created, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The zone.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// What is requested of the instance.
    pub spec: Spec,
}

impl Candidate {
    /// Its key in [`ServiceState::avoid`].
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.zone, self.instance_type)
    }
}

/// What is desired of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The model.
    pub model_id: String,
    /// The least number of replicas; 0: none while nobody asks.
    pub min_replicas: u32,
    /// The largest number of replicas.
    pub max_replicas: u32,
    /// How many requests a replica answers at once before another one is needed.
    pub target_concurrency: u32,
    /// How long after the last request the last replica ends, in milliseconds. Only with `min_replicas` 0.
    pub idle_ms: i64,
    /// How long fewer replicas must suffice before one ends, in milliseconds.
    pub scale_down_ms: i64,
    /// Where replicas may be created, the preferred one first.
    pub candidates: Vec<Candidate>,
    /// The request that it was made from, as the API took it: changes are applied to it.
    #[serde(default)]
    pub template: serde_json::Value,
}

/// What the planner remembers between two plans.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// How many replicas there should be, without the additional one of an update. Fewer may be needed now: see
    /// `fewer_since`.
    #[serde(default)]
    pub size: u32,
    /// Since when fewer replicas would suffice, and the most that were needed since then.
    #[serde(default)]
    pub fewer_since: Option<(Timestamp, u32)>,
    /// Since when more replicas are needed than there are, and the least that were needed since then.
    #[serde(default)]
    pub more_since: Option<(Timestamp, u32)>,
    /// Why no replica may be created now: a limit of the control plane is reached.
    #[serde(default)]
    pub limit_reached: Option<String>,
    /// Candidates that are not used for a while, by [`Candidate::key`] (`zone/type`). During a row of failures, those
    /// that failed stay here after their time: the others are preferred.
    #[serde(default)]
    pub avoid: BTreeMap<String, Avoided>,
    /// How many replicas in a row failed before they were ever ready.
    #[serde(default)]
    pub failures: u32,
    /// The last failure, in one sentence.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// When the last failure was counted. A replica that becomes ready after it ends the row of failures.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
    /// Whether one of the row answered for a short time only: then the row ends with a replica that answers for long.
    #[serde(default)]
    pub proves_late: bool,
    /// No replica is created before.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Replicas whose failure was counted.
    #[serde(default)]
    pub counted: Vec<InstanceId>,
    /// Since when a replica that was ready does not answer.
    #[serde(default)]
    pub unavailable: BTreeMap<InstanceId, Timestamp>,
}

/// Why a candidate is not used, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Avoided {
    /// Until when.
    pub until: Timestamp,
    /// Why, in one sentence.
    pub why: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name, unique among the services that are not deleted.
    pub name: String,
    /// The cloud account (provider and project).
    pub account_id: String,
    /// The provider.
    pub provider: String,
    /// `Present` or `Absent`.
    pub desired: Desired,
    /// What is desired of it.
    pub spec: ServiceSpec,
    /// Goes up when a change of the settings makes new replicas necessary.
    pub revision: i64,
    /// Its status.
    pub status: ServiceStatus,
    /// Why it is in this status, if there is something to say.
    pub reason: Option<String>,
    /// What the planner remembers.
    pub state: ServiceState,
    /// At least one replica runs until then, whether anybody asks or not.
    pub warm_until: Option<Timestamp>,
    /// When it ends by itself; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
    /// When the last of its replicas had ended, after its end was requested.
    pub deleted_at: Option<Timestamp>,
    /// Goes up with every write, for compare-and-swap.
    pub version: i64,
}

/// Which service an instance belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaOf {
    /// The service.
    pub service_id: ServiceId,
    /// The revision of its settings that the instance was created with.
    pub revision: i64,
}

/// What the planner needs to know of an instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its id.
    pub id: InstanceId,
    /// Its zone.
    pub zone: String,
    /// Its server type.
    pub instance_type: String,
    /// The revision that it was created with.
    pub revision: i64,
    /// Its status.
    pub status: Status,
    /// Whether its end was requested.
    pub ends: bool,
    /// Why it failed, or why its model will not answer.
    pub failure: Option<Failure>,
    /// Whether it stays for inspection after a failure.
    pub is_kept: bool,
    /// Whether its worker responds. If it does, and the model does not answer, it is the engine that fails.
    pub has_worker: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was first ready.
    pub ready_at: Option<Timestamp>,
}

impl Replica {
    /// The key of its candidate.
    #[must_use]
    pub fn candidate_key(&self) -> String {
        format!("{}/{}", self.zone, self.instance_type)
    }

    /// The replica that an instance is; `None`: it belongs to no service.
    #[must_use]
    pub fn of(i: &Instance) -> Option<Self> {
        let of = i.spec.replica_of.as_ref()?;
        let startup = i.worker.as_ref().and_then(|w| w.failure.as_ref()).filter(|_| i.status == Status::StartupFailed);
        let startup = startup.map(|f| Failure { code: f.why.code.clone(), message: f.why.message.clone() });
        Some(Self {
            id: i.id.clone(),
            zone: i.zone.clone(),
            instance_type: i.instance_type.clone(),
            revision: of.revision,
            status: i.status,
            ends: i.desired == Desired::Absent,
            failure: i.failure.clone().or(startup),
            has_worker: i.worker.as_ref().is_some_and(|w| w.lost.is_none()),
            is_kept: i.spec.serving.as_ref().is_some_and(|s| s.keep_failed),
            created_at: i.created_at,
            ready_at: i.ready_at,
        })
    }
}

/// How long the planner may not know of a request, in milliseconds: a gateway tells within two seconds when the last one
/// came, and its transaction takes some time.
pub const LOAD_DELAY_MS: i64 = 3_000;

/// The load of a service, over all replicas of the control plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that replicas are answering.
    pub outstanding: u32,
    /// Requests that wait for a replica.
    pub queued: u32,
    /// When the last request came.
    pub last_request_at: Option<Timestamp>,
}
