//! An instance with its servers and volumes.

use super::evidence::Proof;
use super::instance::Instance;
use super::server::Server;
use super::volume::Volume;
use crate::id::{ServerId, VolumeId};
use crate::name::{CloudName, Role};
use crate::size::gb_ceil;
use crate::status::{CreateState, Desired, Origin, VolumeStatus};
use crate::storage_prices::StoragePrices;

/// An instance with its servers and volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// The instance.
    pub instance: Instance,
    /// Every attempt to create a server, oldest first.
    pub servers: Vec<Server>,
    /// Every volume it ever had, oldest first.
    pub volumes: Vec<Volume>,
}

impl Aggregate {
    /// Whether the instance's end was requested, or it failed.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.instance.desired == Desired::Absent || self.instance.failure.is_some()
    }

    /// Whether a server's removal was requested here, so that its absence is expected.
    #[must_use]
    pub fn is_server_going(&self, s: &Server) -> bool {
        self.is_ending() || !s.is_primary || s.delete_intended_at.is_some()
    }

    /// Whether a volume's deletion was requested here, by itself or with its server.
    #[must_use]
    pub fn is_volume_going(&self, v: &Volume) -> bool {
        let goes = |s: &Server| s.delete_intended_at.is_some() || s.gone_at.is_some();
        let server = v.server_id.as_ref().and_then(|id| self.server_by_id(id));
        let with_server = server.map_or_else(|| self.servers.iter().any(goes), goes);
        let with_server = with_server && !v.is_block() && !v.is_kept();
        v.delete_intended_at.is_some() || (v.is_to_delete() && self.is_ending()) || with_server
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

    /// The data volume that was given to the instance, or the newest attempt to create one, whatever its outcome.
    #[must_use]
    pub fn data_volume(&self) -> Option<&Volume> {
        let ours = self.volumes.iter().filter(|v| v.origin == Origin::Ours && !v.is_boot);
        ours.max_by_key(|v| (v.reused_from.is_some(), v.attempt))
    }

    /// The attempt number for a server that was not recorded: the one in its name, unless a row has it already.
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

    /// The name that a volume of the instance should have.
    #[must_use]
    pub fn volume_name(&self, row: &Volume, control_plane: &str) -> CloudName {
        let role = match (row.is_boot, row.origin) {
            (true, _) => Role::Boot,
            (false, Origin::Ours | Origin::Witness) => Role::Data,
            (false, Origin::Cloud | Origin::Foreign) => Role::Extra,
        };
        let before = self.volumes.iter().take_while(|v| v.id != row.id).filter(|v| v.is_boot == row.is_boot).count();
        CloudName {
            control_plane: control_plane.to_owned(),
            instance: self.instance.id.clone(),
            role,
            attempt: if role == Role::Data { row.attempt } else { u32::try_from(before + 1).unwrap_or(u32::MAX) },
            delete: row.delete_on_terminate,
            policy_version: row.policy_version,
        }
    }

    /// The volumes that exist and belong to the instance, boot volume first: what `storage_sizes_gb` lists.
    #[must_use]
    pub fn storages(&self) -> Vec<&Volume> {
        let mut list: Vec<&Volume> = self.volumes.iter().filter(|v| is_counted(v)).collect();
        list.sort_by_key(|v| !v.is_boot);
        list
    }
}

impl Aggregate {
    /// The price per hour of its volumes on block storage, in micro-euros; an unknown size counts as 0.
    #[must_use]
    pub fn storage_hourly_micros(&self, prices: &StoragePrices) -> i64 {
        let blocks = self.storages().into_iter().filter(|v| v.is_block());
        blocks
            .map(|v| v.size_bytes.map_or(0, |b| prices.block_hourly_micros(gb_ceil(b), v.perf_iops)))
            .fold(0, i64::saturating_add)
    }
}

/// Whether a volume exists and belongs to its instance: unconfirmed attempts do not count.
#[must_use]
pub fn is_counted(volume: &Volume) -> bool {
    volume.create_state == CreateState::Created && volume.origin != Origin::Foreign && volume.status.counts()
}
