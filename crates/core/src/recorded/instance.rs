//! The instance itself, and the notes about what it waits for.

use super::spec::Spec;
use crate::error::CallError;
use crate::event_kind::EventKind;
use crate::id::InstanceId;
use crate::status::{Desired, NoteCode, Status};
use crate::time::Timestamp;
use crate::worker::record::WorkerRecord;
use serde::{Deserialize, Serialize};

/// Why an instance failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word: an [`crate::error::ErrorKind`]'s, or `server_disappeared`, `boot_failed`, `create_unconfirmed`.
    pub code: String,
    /// One sentence that says what to do.
    pub message: String,
}

/// Why nothing more is done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The kind of reason.
    pub code: NoteCode,
    /// One sentence.
    pub text: String,
    /// When the wait ends at the latest, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
}

/// The instance itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The user's name for it. Not unique, and not the name in the cloud.
    pub name: String,
    /// The cloud account (provider and project).
    pub account_id: String,
    /// The provider.
    pub provider: String,
    /// The zone.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// The model it is for.
    pub model_id: Option<String>,
    /// What was requested.
    pub spec: Spec,
    /// The desired state.
    pub desired: Desired,
    /// Its status.
    pub status: Status,
    /// Why it failed. Set once; then the instance is removed.
    pub failure: Option<Failure>,
    /// The server's public address; IPv4 where it has one.
    pub ip_address: Option<String>,
    /// All of its public addresses, IPv4 before IPv6.
    pub addresses: Vec<String>,
    /// When it was requested.
    pub created_at: Timestamp,
    /// When its server first ran with everything attached.
    pub up_at: Option<Timestamp>,
    /// When it became ready.
    pub ready_at: Option<Timestamp>,
    /// What is known of its worker; `None`: none is expected now.
    pub worker: Option<Box<WorkerRecord>>,
    /// When its end was requested, or when it failed.
    pub terminate_requested_at: Option<Timestamp>,
    /// When everything was proven gone.
    pub terminated_at: Option<Timestamp>,
    /// When a reboot was last requested.
    pub reboot_requested_at: Option<Timestamp>,
    /// When it ends by itself; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was told that this is near. A new `expires_at` takes it back.
    pub expiry_told_at: Option<Timestamp>,
    /// When it ends because nobody asks its model, while that is near. Once it has ended for that: when its end was requested.
    pub idle_ends_at: Option<Timestamp>,
    /// Why nothing more is done now.
    pub notes: Vec<Note>,
    /// Nothing is left to do until a request or a change in the cloud.
    pub settled: bool,
    /// The time of the next observation, unless a request comes first.
    pub wake_at: Timestamp,
    /// The earliest time at which an observation may confirm its proofs; `None`: nothing is left to confirm.
    pub confirm_after: Option<Timestamp>,
    /// Goes up with every write, for compare-and-swap.
    pub version: i64,
}

/// What is known of an instance when it is first recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// Its id.
    pub id: InstanceId,
    /// The user's name for it.
    pub name: String,
    /// The cloud account (provider and project).
    pub account_id: String,
    /// The provider.
    pub provider: String,
    /// The zone.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// The model it is for.
    pub model_id: Option<String>,
    /// What was requested.
    pub spec: Spec,
}

impl Instance {
    /// Whether its server runs with everything attached, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.status == Status::Ready || self.worker.is_some()
    }

    /// An instance that was requested, and for which nothing was done yet.
    #[must_use]
    pub fn requested(new: NewInstance, now: Timestamp) -> Self {
        let NewInstance { id, name, account_id, provider, zone, instance_type, model_id, spec } = new;
        Self {
            id,
            name,
            account_id,
            provider,
            zone,
            instance_type,
            model_id,
            spec,
            desired: Desired::Present,
            status: Status::Provisioning,
            failure: None,
            ip_address: None,
            addresses: Vec::new(),
            created_at: now,
            up_at: None,
            ready_at: None,
            worker: None,
            terminate_requested_at: None,
            terminated_at: None,
            reboot_requested_at: None,
            expires_at: None,
            expiry_told_at: None,
            idle_ends_at: None,
            notes: Vec::new(),
            settled: false,
            wake_at: now,
            confirm_after: None,
            version: 0,
        }
    }
}

/// When the next try of a refused call may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The number of refusals in a row.
    pub count: u32,
    /// Not before.
    pub not_before: Timestamp,
    /// The last refusal.
    pub error: CallError,
    /// The call that was refused; `None` in rows of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<EventKind>,
}
