//! Recorded: what we wrote down about an instance, its servers and its volumes.
//!
//! A server row is one *attempt* at a server; it is written before the call that creates it. A volume row is a volume
//! we were shown, or an attempt at one that we make. Rows are never deleted: they end with times and a proof.

mod evidence;

pub use evidence::{PendingFact, PendingObservation, Proof};

use crate::cloud::VolumeType;
use crate::error::CallError;
use crate::id::{InstanceId, ServerId, VolumeId};
use crate::money::StoragePrices;
use crate::name::CloudName;
use crate::observed::ObservedServer;
use crate::offer::BootStorage;
use crate::size::gb_ceil;
use crate::snapshots::Snapshot;
use crate::status::{CreateState, Desired, NoteCode, Origin, Status, VolumeStatus};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A data volume as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataVolumeSpec {
    /// Size in bytes, whole GB.
    pub size_bytes: i64,
    /// Provisioned operations per second; `None`: the cloud's default.
    pub perf_iops: Option<i64>,
    /// Whether it goes with the instance.
    pub delete_on_terminate: bool,
    /// Which rule gave the size, in words.
    pub size_reason: String,
}

/// Everything that a request fixed, with the habits of the cloud that it will meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// `None`: no data volume.
    pub data_volume: Option<DataVolumeSpec>,
    /// Least size of the boot volume in bytes; `None`: what the cloud gives.
    pub boot_volume_bytes: Option<i64>,
    /// The cloud's label of the image.
    pub image: String,
    /// Where this type boots.
    pub boot_storage: BootStorage,
    /// What the requester should know, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many GPUs this type has.
    #[serde(default)]
    pub gpu_count: i64,
    /// The requester's own tags.
    pub tags: Vec<String>,
    /// Public keys that may log in, besides those of the project.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// The requester's own part of the cloud-init configuration.
    #[serde(default)]
    pub user_data: Option<String>,
    /// What an hour of the server costs, in millionths.
    pub hourly_micros: i64,
    /// The currency of `hourly_micros`.
    pub currency: String,
    /// When it was rebuilt from what the cloud shows; `None`: it was asked for here. What it had before and has no more
    /// is not known then.
    #[serde(default)]
    pub recovered_at: Option<Timestamp>,
}

/// Why an instance cannot be.
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
    /// What kind of reason it is.
    pub code: NoteCode,
    /// One sentence.
    pub text: String,
    /// When that changes by itself at the latest, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
}

/// The instance itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The requester's name for it. Not unique, and not the name in the cloud.
    pub name: String,
    /// Whose cloud account (provider and project).
    pub account_id: String,
    /// Which cloud.
    pub provider: String,
    /// Where.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// The model it is for.
    pub model_id: Option<String>,
    /// What was asked for.
    pub spec: Spec,
    /// What people want.
    pub desired: Desired,
    /// Where it is in its life.
    pub status: Status,
    /// Why it cannot be; set once, then it is taken away.
    pub failure: Option<Failure>,
    /// The server's public address; IPv4 where it has one.
    pub ip_address: Option<String>,
    /// All of its public addresses, IPv4 before IPv6.
    pub addresses: Vec<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it became ready.
    pub ready_at: Option<Timestamp>,
    /// When its end was asked for (or decided, after a failure).
    pub terminate_requested_at: Option<Timestamp>,
    /// When everything was proven gone.
    pub terminated_at: Option<Timestamp>,
    /// Why nothing more is done now.
    pub notes: Vec<Note>,
    /// Nothing is left to do until somebody wants something else or the cloud changes.
    pub settled: bool,
    /// Not to be looked at before, unless somebody asks.
    pub wake_at: Timestamp,
    /// When a look may confirm its proofs at the earliest; `None`: nothing is left to confirm.
    pub confirm_after: Option<Timestamp>,
    /// Goes up with every write: the guard of compare-and-swap.
    pub version: i64,
}

/// When the next try of a refused call may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How many times in a row it failed.
    pub count: u32,
    /// Not before.
    pub not_before: Timestamp,
    /// The last refusal.
    pub error: CallError,
}

/// One attempt at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id here.
    pub id: ServerId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Its unique name in the cloud.
    pub name: String,
    /// `false`: a duplicate or a late arrival, to be removed.
    pub is_primary: bool,
    /// What is known of its creation.
    pub create_state: CreateState,
    /// How the creation was refused or lost.
    pub create_error: Option<CallError>,
    /// The cloud's id.
    pub provider_id: Option<String>,
    /// The state last seen, in the cloud's word.
    pub state: Option<String>,
    /// When the intent was written.
    pub intended_at: Timestamp,
    /// When the creation was answered, or its answer given up.
    pub answered_at: Option<Timestamp>,
    /// When it got its name and tags from us; `None`: it must get them (again).
    pub tagged_at: Option<Timestamp>,
    /// Our tags were seen on it: if they are missing, somebody took them away.
    pub tags_shown: bool,
    /// When user data was set.
    pub user_data_at: Option<Timestamp>,
    /// How many starts were accepted.
    pub starts: u32,
    /// When a start was first committed to be sent, or the server was first seen other than stopped: from then on it may
    /// have run, and its volumes may hold data.
    pub start_intended_at: Option<Timestamp>,
    /// When the last start was accepted.
    pub start_sent_at: Option<Timestamp>,
    /// When the last stop was accepted.
    pub stop_sent_at: Option<Timestamp>,
    /// When its removal (terminate or delete) was first committed to be sent.
    pub delete_intended_at: Option<Timestamp>,
    /// When its removal was last accepted.
    pub delete_sent_at: Option<Timestamp>,
    /// When it was proven gone.
    pub gone_at: Option<Timestamp>,
    /// How.
    pub proof: Option<Proof>,
    /// Set while calls about it are being refused.
    pub retry: Option<Retry>,
    /// What was observed and is not believed yet, because a read may be stale.
    pub pending_observation: Option<PendingObservation>,
}

impl Server {
    /// A row for a server that exists and was not recorded. Whatever it was told at its first boot: it is not told again,
    /// and it may have run.
    #[must_use]
    pub fn found(id: ServerId, attempt: u32, seen: &ObservedServer, now: Timestamp) -> Self {
        let made = seen.created_at.unwrap_or(now);
        Self {
            id,
            attempt,
            name: seen.name.clone(),
            is_primary: true,
            create_state: CreateState::Created,
            create_error: None,
            provider_id: Some(seen.id.clone()),
            state: Some(seen.state.text().to_owned()),
            intended_at: made,
            answered_at: Some(now),
            tagged_at: Some(now),
            tags_shown: false,
            user_data_at: Some(now),
            starts: 1,
            start_intended_at: Some(made),
            start_sent_at: Some(made),
            stop_sent_at: None,
            delete_intended_at: None,
            delete_sent_at: None,
            gone_at: None,
            proof: None,
            retry: None,
            pending_observation: None,
        }
    }

    /// Exists, as far as we know, under an id we know.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.create_state == CreateState::Created && self.gone_at.is_none()
    }

    /// Whether anything may ever have been written to its volumes.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        self.start_intended_at.is_some() || self.start_sent_at.is_some()
    }
}

/// A volume of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its id here.
    pub id: VolumeId,
    /// The server that it came with, or was found on.
    pub server_id: Option<ServerId>,
    /// Which attempt (ours), or 1.
    pub attempt: u32,
    /// Its name in the cloud, as last known.
    pub name: String,
    /// Who made it.
    pub origin: Origin,
    /// The server boots on it.
    pub is_boot: bool,
    /// Its kind, with the cloud's word for it.
    pub volume_type: VolumeType,
    /// In bytes; `None` until the cloud says.
    pub size_bytes: Option<i64>,
    /// Operations per second, where the kind has them.
    pub perf_iops: Option<i64>,
    /// Whether it goes with the instance.
    pub delete_on_terminate: bool,
    /// How often that was changed since the volume was made: part of its name in the cloud.
    pub policy_version: u32,
    /// The cloud shows a newer policy than this row: the records are older than the cloud.
    pub cloud_policy: Option<CloudPolicy>,
    /// Where it is in its life.
    pub status: VolumeStatus,
    /// What is known of its creation.
    pub create_state: CreateState,
    /// How the creation was refused or lost.
    pub create_error: Option<CallError>,
    /// The cloud's id.
    pub provider_id: Option<String>,
    /// When we first wrote it down.
    pub created_at: Timestamp,
    /// When the creation was answered, or its answer given up.
    pub answered_at: Option<Timestamp>,
    /// When it got its name and tags from us.
    pub tagged_at: Option<Timestamp>,
    /// Our tags were seen on it: if they are missing, somebody took them away. A cloud that takes no tags never shows any.
    pub tags_shown: bool,
    /// When a change of size or speed was last accepted.
    pub changed_at: Option<Timestamp>,
    /// When its attachment was last accepted.
    pub attach_sent_at: Option<Timestamp>,
    /// When it was first seen attached.
    pub attached_at: Option<Timestamp>,
    /// When its detachment was last accepted.
    pub detach_sent_at: Option<Timestamp>,
    /// When its deletion was first committed to be sent.
    pub delete_intended_at: Option<Timestamp>,
    /// When its deletion was last accepted.
    pub delete_sent_at: Option<Timestamp>,
    /// When the cloud accepted its deletion (`delete_sent_at` is set by a not-found, too). It was seen then by credentials
    /// that may delete it: its absence needs no other witness.
    pub delete_accepted_at: Option<Timestamp>,
    /// When it was proven gone.
    pub deleted_at: Option<Timestamp>,
    /// How.
    pub proof: Option<Proof>,
    /// Set while calls about it are being refused.
    pub retry: Option<Retry>,
    /// What was observed and is not believed yet, because a read may be stale.
    pub pending_observation: Option<PendingObservation>,
    /// Snapshots of it that the cloud showed and that may be there still, by id.
    pub snapshots: Vec<Snapshot>,
}

/// A volume's policy as its name in the cloud says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudPolicy {
    /// Whether it goes with the instance.
    pub delete: bool,
    /// How often that was changed since the volume was made.
    pub version: u32,
}

impl Volume {
    /// Exists, as far as we know, under an id we know, and nothing ended our interest in it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.create_state == CreateState::Created && !self.is_ended()
    }

    /// Kept on purpose after its instance's end: ours, and priced, until it is released.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.create_state == CreateState::Created && self.status == VolumeStatus::Retained
    }

    /// Nothing more will be done about it, but that one that is kept gets its name back.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(
            self.status,
            VolumeStatus::Deleted | VolumeStatus::Retained | VolumeStatus::Released | VolumeStatus::Failed
        )
    }

    /// Sets whether it goes with the instance, as a change that is newer than what the records and the cloud say.
    pub fn set_policy(&mut self, delete: bool) {
        let newest = self.cloud_policy.take().map_or(0, |c| c.version).max(self.policy_version);
        self.delete_on_terminate = delete;
        self.policy_version = newest.saturating_add(1);
        // Its name in the cloud must say so before anything is done upon it.
        self.tagged_at = None;
    }

    /// Lives on block storage, so that it survives every operation on the server.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.volume_type.is_block()
    }

    /// Goes with the instance, and is not somebody else's.
    #[must_use]
    pub fn is_to_delete(&self) -> bool {
        self.delete_on_terminate && self.origin != Origin::Foreign
    }
}

/// An instance with everything it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// The instance.
    pub instance: Instance,
    /// Every attempt at a server, oldest first.
    pub servers: Vec<Server>,
    /// Every volume it ever had, oldest first.
    pub volumes: Vec<Volume>,
}

impl Aggregate {
    /// Somebody asked for the instance's end, or it failed.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.instance.desired == Desired::Absent || self.instance.failure.is_some()
    }

    /// Whether a server's end was asked for here: then its absence is what we wait for.
    #[must_use]
    pub fn is_server_going(&self, s: &Server) -> bool {
        self.is_ending() || !s.is_primary || s.delete_intended_at.is_some()
    }

    /// Whether a volume's end was asked for here, by itself or with the server that it is on.
    #[must_use]
    pub fn is_volume_going(&self, v: &Volume) -> bool {
        let goes = |s: &Server| s.delete_intended_at.is_some() || s.gone_at.is_some();
        let server = v.server_id.as_ref().and_then(|id| self.server_by_id(id));
        let with_server = server.map_or_else(|| self.servers.iter().any(goes), goes);
        v.delete_intended_at.is_some() || (v.is_to_delete() && self.is_ending()) || (with_server && !v.is_block())
    }

    /// Proofs of everything that is recorded as gone.
    pub fn proofs_mut(&mut self) -> impl Iterator<Item = (Option<&str>, &mut Proof)> {
        let servers = self.servers.iter_mut().filter(|s| s.gone_at.is_some());
        let servers = servers.filter_map(|s| Some((s.provider_id.as_deref(), s.proof.as_mut()?)));
        let volumes = self.volumes.iter_mut().filter(|v| v.status == VolumeStatus::Deleted);
        servers.chain(volumes.filter_map(|v| Some((v.provider_id.as_deref(), v.proof.as_mut()?))))
    }

    /// Proofs of everything that is recorded as gone.
    pub fn proofs(&self) -> impl Iterator<Item = &Proof> {
        let servers = self.servers.iter().filter(|s| s.gone_at.is_some()).filter_map(|s| s.proof.as_ref());
        servers
            .chain(self.volumes.iter().filter(|v| v.status == VolumeStatus::Deleted).filter_map(|v| v.proof.as_ref()))
    }

    /// The server that the instance runs on.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        self.servers.iter().find(|s| s.is_primary && s.is_live())
    }

    /// The newest attempt at the data volume, whatever became of it.
    #[must_use]
    pub fn data_volume(&self) -> Option<&Volume> {
        self.volumes.iter().filter(|v| v.origin == Origin::Ours && !v.is_boot).max_by_key(|v| v.attempt)
    }

    /// Which attempt a server is that was not recorded: the one that its name says, if no row has that.
    #[must_use]
    pub fn attempt_of(&self, name: &str) -> u32 {
        let newest = self.servers.iter().map(|s| s.attempt).max().unwrap_or(0);
        let named = CloudName::parse(name).map(|n| n.attempt);
        named.filter(|n| self.servers.iter().all(|s| s.attempt != *n)).unwrap_or(newest + 1)
    }

    /// Finds a server row.
    #[must_use]
    pub fn server_by_id(&self, id: &ServerId) -> Option<&Server> {
        self.servers.iter().find(|s| &s.id == id)
    }

    /// Finds a server row, to change it.
    pub fn server_mut(&mut self, id: &ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|s| &s.id == id)
    }

    /// Finds a volume row.
    #[must_use]
    pub fn volume(&self, id: &VolumeId) -> Option<&Volume> {
        self.volumes.iter().find(|v| &v.id == id)
    }

    /// Finds a volume row, to change it.
    pub fn volume_mut(&mut self, id: &VolumeId) -> Option<&mut Volume> {
        self.volumes.iter_mut().find(|v| &v.id == id)
    }

    /// The volumes that exist and belong to the instance, boot first: what `storage_sizes_gb` lists.
    #[must_use]
    pub fn storages(&self) -> Vec<&Volume> {
        let mut list: Vec<&Volume> = self.volumes.iter().filter(|v| is_counted(v)).collect();
        list.sort_by_key(|v| !v.is_boot);
        list
    }
}

impl Aggregate {
    /// What its volumes on block storage cost an hour, in micro-euros; a size that is not known counts nothing.
    #[must_use]
    pub fn storage_hourly_micros(&self, prices: &StoragePrices) -> i64 {
        let blocks = self.storages().into_iter().filter(|v| v.is_block());
        blocks
            .map(|v| v.size_bytes.map_or(0, |b| prices.block_hourly_micros(gb_ceil(b), v.perf_iops)))
            .fold(0, i64::saturating_add)
    }
}

/// Whether a volume exists and belongs to its instance: attempts that may never have made anything do not count.
#[must_use]
pub fn is_counted(volume: &Volume) -> bool {
    volume.create_state == CreateState::Created && volume.origin != Origin::Foreign && volume.status.counts()
}

#[cfg(test)]
mod tests;
