//! A volume of an instance.

use super::evidence::{PendingObservation, Proof};
use super::instance::Retry;
use super::spec::DataVolumeSpec;
use crate::error::CallError;
use crate::id::{InstanceId, ServerId, VolumeId};
use crate::name::CloudName;
use crate::snapshots::Snapshot;
use crate::status::{CreateState, Origin, VolumeStatus};
use crate::time::Timestamp;
use crate::volume_type::VolumeType;
use serde::{Deserialize, Serialize};

/// A volume of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its id in the records.
    pub id: VolumeId,
    /// The server that it came with or was found on.
    pub server_id: Option<ServerId>,
    /// The number of the attempt, if we created it; otherwise 1.
    pub attempt: u32,
    /// Its name in the cloud, as last known.
    pub name: String,
    /// Who created it.
    pub origin: Origin,
    /// The server boots from it.
    pub is_boot: bool,
    /// Its kind, with the cloud's name for it.
    pub volume_type: VolumeType,
    /// In bytes; `None` until the cloud shows it.
    pub size_bytes: Option<i64>,
    /// Operations per second, where the kind has them.
    pub perf_iops: Option<i64>,
    /// Whether it is deleted with the instance.
    pub delete_on_terminate: bool,
    /// How often that was changed since the volume was created: part of its name in the cloud.
    pub policy_version: u32,
    /// The cloud shows a newer policy than this row: the records are older than the cloud.
    pub cloud_policy: Option<CloudPolicy>,
    /// Its status.
    pub status: VolumeStatus,
    /// The state of its creation.
    pub create_state: CreateState,
    /// The error of the creation: a refusal or a lost response.
    pub create_error: Option<CallError>,
    /// The cloud's id.
    pub provider_id: Option<String>,
    /// When it was first recorded.
    pub created_at: Timestamp,
    /// When the response to the creation came, or was given up.
    pub answered_at: Option<Timestamp>,
    /// When we set its name and tags.
    pub tagged_at: Option<Timestamp>,
    /// Our tags were observed on it: if they are missing, a third party removed them. A cloud without tags shows none.
    pub tags_shown: bool,
    /// When a change of size or speed was last accepted.
    pub changed_at: Option<Timestamp>,
    /// When its attachment was last accepted.
    pub attach_sent_at: Option<Timestamp>,
    /// When it was first observed as attached.
    pub attached_at: Option<Timestamp>,
    /// When its detachment was last accepted.
    pub detach_sent_at: Option<Timestamp>,
    /// When the intent of its deletion was first committed.
    pub delete_intended_at: Option<Timestamp>,
    /// When its deletion was last accepted.
    pub delete_sent_at: Option<Timestamp>,
    /// When the cloud accepted its deletion (a not-found sets only `delete_sent_at`). The credentials could see it
    /// then, so that its absence needs no witness.
    pub delete_accepted_at: Option<Timestamp>,
    /// When it was proven gone.
    pub deleted_at: Option<Timestamp>,
    /// The proof of that.
    pub proof: Option<Proof>,
    /// Set while calls about it are refused.
    pub retry: Option<Retry>,
    /// An observation that one stale read could explain, so that it does not count yet.
    pub pending_observation: Option<PendingObservation>,
    /// Snapshots of it that the cloud showed and that may still exist, by id.
    pub snapshots: Vec<Snapshot>,
    /// The instance that it was retained from, if it was given to this one: it holds data from before.
    pub reused_from: Option<InstanceId>,
    /// The instance that it was given to.
    pub reused_by: Option<InstanceId>,
}

/// Why a volume cannot be given to another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGiven {
    /// It is not retained: its instance lives, or it is to be deleted, or it is a third party's.
    NotRetained,
    /// It is no data volume: a server booted from it, or the cloud or a third party created it.
    NotData,
    /// It is on the disk of a host.
    Local,
    /// The records look older than the cloud.
    Frozen,
}

/// A volume's policy according to its name in the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudPolicy {
    /// Whether it is deleted with the instance.
    pub delete: bool,
    /// How often that was changed since the volume was created.
    pub version: u32,
}

impl Volume {
    /// A row for a volume that exists and of which only the id is known.
    #[must_use]
    pub fn found(id: VolumeId, provider_id: String, now: Timestamp) -> Self {
        Self {
            id,
            server_id: None,
            attempt: 1,
            name: String::new(),
            origin: Origin::Cloud,
            is_boot: false,
            volume_type: VolumeType::unknown(),
            size_bytes: None,
            perf_iops: None,
            delete_on_terminate: true,
            policy_version: 0,
            cloud_policy: None,
            status: VolumeStatus::Available,
            create_state: CreateState::Created,
            create_error: None,
            provider_id: Some(provider_id),
            created_at: now,
            answered_at: Some(now),
            tagged_at: None,
            tags_shown: false,
            changed_at: None,
            attach_sent_at: None,
            attached_at: None,
            detach_sent_at: None,
            delete_intended_at: None,
            delete_sent_at: None,
            delete_accepted_at: None,
            deleted_at: None,
            proof: None,
            retry: None,
            pending_observation: None,
            snapshots: Vec::new(),
            reused_from: None,
            reused_by: None,
        }
    }

    /// A row for a volume of ours whose creation was not sent yet.
    #[must_use]
    pub fn intended(
        id: VolumeId,
        name: &CloudName,
        volume_type: VolumeType,
        spec: &DataVolumeSpec,
        now: Timestamp,
    ) -> Self {
        Self {
            attempt: name.attempt,
            name: name.text(),
            origin: Origin::Ours,
            volume_type,
            size_bytes: Some(spec.size_bytes),
            perf_iops: spec.perf_iops,
            delete_on_terminate: spec.delete_on_terminate,
            status: VolumeStatus::Creating,
            create_state: CreateState::Intended,
            provider_id: None,
            answered_at: None,
            ..Self::found(id, String::new(), now)
        }
    }

    /// Whether it exists as far as is known, its id is known, and something is still to be done about it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.create_state == CreateState::Created && !self.is_ended()
    }

    /// Retained after its instance's end: it is ours and costs money until it is released.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.create_state == CreateState::Created && self.status == VolumeStatus::Retained
    }

    /// Whether nothing more is done about it, except that the name of a retained volume is restored.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(
            self.status,
            VolumeStatus::Deleted
                | VolumeStatus::Retained
                | VolumeStatus::Reused
                | VolumeStatus::Released
                | VolumeStatus::Failed
        )
    }

    /// Gives a retained volume of instance `from` to instance `to`: returns the row that it has there. This row stays,
    /// and nothing more is done about it.
    ///
    /// # Errors
    /// Why it cannot be given away. Nothing was changed.
    pub fn give(&mut self, from: &InstanceId, to: &InstanceId, id: VolumeId, now: Timestamp) -> Result<Self, NotGiven> {
        if !self.is_kept() || self.is_to_delete() {
            return Err(NotGiven::NotRetained);
        }
        if self.is_boot || self.origin != Origin::Ours {
            return Err(NotGiven::NotData);
        }
        if !self.is_block() {
            return Err(NotGiven::Local);
        }
        if self.cloud_policy.is_some() {
            return Err(NotGiven::Frozen);
        }
        let given = Self {
            name: self.name.clone(),
            origin: Origin::Ours,
            volume_type: self.volume_type.clone(),
            size_bytes: self.size_bytes,
            perf_iops: self.perf_iops,
            delete_on_terminate: false,
            policy_version: self.policy_version,
            snapshots: self.snapshots.clone(),
            reused_from: Some(from.clone()),
            ..Self::found(id, self.provider_id.clone().unwrap_or_default(), now)
        };
        (self.status, self.reused_by) = (VolumeStatus::Reused, Some(to.clone()));
        // Whatever was still to be done about it is done by its new instance.
        (self.retry, self.pending_observation) = (None, None);
        self.tagged_at.get_or_insert(now);
        self.snapshots = Vec::new();
        Ok(given)
    }

    /// Sets whether it is deleted with the instance, with a version newer than those of the records and of the cloud.
    pub fn set_policy(&mut self, delete: bool) {
        let newest = self.cloud_policy.take().map_or(0, |c| c.version).max(self.policy_version);
        self.delete_on_terminate = delete;
        self.policy_version = newest.saturating_add(1);
        // Its name in the cloud must show the policy before anything else is done.
        self.tagged_at = None;
    }

    /// Whether it is on block storage, so that it survives every operation on the server.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.volume_type.is_block()
    }

    /// Whether it is deleted with the instance, and is not a third party's.
    #[must_use]
    pub fn is_to_delete(&self) -> bool {
        self.delete_on_terminate && self.origin != Origin::Foreign
    }
}
