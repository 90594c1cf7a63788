//! Rows of `instance_volumes`, and lists of them.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use crate::filtered::{Filtered, Wanted};
use inventiv_core::id::{InstanceId, ServerId, VolumeId};
use inventiv_core::recorded::{Instance, Volume};
use inventiv_core::snapshots::Snapshot;
use inventiv_core::status::{CreateState, Origin, VolumeKind, VolumeStatus};
use inventiv_core::volume_type::VolumeType;

const INSERT: &str = "INSERT INTO instance_volumes (id, instance_id, account_id, zone, attempt, name, origin, is_boot, \
    volume_type, size_bytes, perf_iops, delete_on_terminate, status, create_state, create_error_json, \
    provider_volume_id, created_at, answered_at, tagged_at, changed_at, attach_sent_at, attached_at, detach_sent_at, \
    delete_intended_at, delete_sent_at, deleted_at, proof_json, retry_json, instance_server_id, tags_shown, \
    policy_version, cloud_policy_json, pending_observation_json, delete_accepted_at, snapshots_json, volume_kind, reused_from, \
    reused_by) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
    $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)";

const UPDATE: &str = "UPDATE instance_volumes SET name = $1, origin = $2, is_boot = $3, volume_type = $4, \
    size_bytes = $5, perf_iops = $6, delete_on_terminate = $7, status = $8, create_state = $9, \
    create_error_json = $10, provider_volume_id = $11, answered_at = $12, tagged_at = $13, changed_at = $14, \
    attach_sent_at = $15, attached_at = $16, detach_sent_at = $17, delete_intended_at = $18, delete_sent_at = $19, \
    deleted_at = $20, proof_json = $21, retry_json = $22, tags_shown = $23, policy_version = $24, \
    cloud_policy_json = $25, pending_observation_json = $26, delete_accepted_at = $27, snapshots_json = $28, \
    volume_kind = $29, reused_by = $30 WHERE id = $31";

const WITH_SNAPSHOTS: &str = "SELECT DISTINCT instance_id FROM instance_volumes WHERE account_id = $1 AND zone = $2 \
    AND snapshots_json IS NOT NULL ORDER BY instance_id";

static LIST: Filtered = Filtered::new("instance_volumes");

/// Which volumes to list; `None`: no filter.
#[derive(Debug, Clone, Default)]
pub struct VolumeFilter {
    /// Only in this status.
    pub status: Option<VolumeStatus>,
    /// Only in this account.
    pub account_id: Option<String>,
    /// Only of this instance.
    pub instance_id: Option<InstanceId>,
    /// Only in this zone.
    pub zone: Option<String>,
    /// Only after this id.
    pub after: Option<String>,
    /// The maximum number.
    pub limit: u32,
}

/// A volume with its owner, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeWithOwner {
    /// The instance that owns or owned it.
    pub instance_id: InstanceId,
    /// The cloud account.
    pub account_id: String,
    /// The zone.
    pub zone: String,
    /// The volume.
    pub volume: Volume,
}

impl Store {
    /// Volumes in the order of their ids.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn volumes(&self, filter: &VolumeFilter) -> Result<Vec<VolumeWithOwner>, Error> {
        let owner = filter.instance_id.as_ref().map(InstanceId::as_str);
        let account = filter.account_id.as_deref();
        let equal = [("instance_id", owner), ("zone", filter.zone.as_deref()), ("account_id", account)];
        let status =
            filter.status.map(|s| Wanted { text: s.text(), passes: s.counts() || s == VolumeStatus::Retained });
        self.db
            .read(LIST.statement(filter.after.as_deref(), status, &equal, filter.limit))
            .await?
            .iter()
            .map(|row| owned(&Columns(row)))
            .collect()
    }

    /// The instances of a zone whose volumes have or had snapshots that may still exist.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn owners_of_snapshots(&self, account: &str, zone: &str) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone);
        let rows = self.db.read(a.statement(WITH_SNAPSHOTS)).await?;
        rows.iter().map(|r| Columns(r).word("instance_id", InstanceId::parse)).collect()
    }

    /// One volume.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn volume(&self, id: &VolumeId) -> Result<Option<VolumeWithOwner>, Error> {
        let mut a = Args::new();
        a.text(id.as_str());
        let rows = self.db.read(a.statement("SELECT * FROM instance_volumes WHERE id = $1")).await?;
        rows.first().map(|row| owned(&Columns(row))).transpose()
    }
}

fn owned(c: &Columns<'_>) -> Result<VolumeWithOwner, Error> {
    Ok(VolumeWithOwner {
        instance_id: c.word("instance_id", InstanceId::parse)?,
        account_id: c.text("account_id")?,
        zone: c.text("zone")?,
        volume: read(c)?,
    })
}

/// The origin as it is stored. Versions that do not know reused volumes would take one for an empty volume of an instance
/// that failed before it ran, and delete it: they cannot read this word, and leave the whole instance alone.
const REUSED: &str = "reused";

fn origin(v: &Volume) -> &'static str {
    if v.reused_from.is_some() && v.origin == Origin::Ours { REUSED } else { v.origin.text() }
}

/// An empty list is NULL: few rows have snapshots, and a partial index covers those.
fn some(snapshots: &Vec<Snapshot>) -> Option<&Vec<Snapshot>> {
    Some(snapshots).filter(|s| !s.is_empty())
}

pub(crate) fn insert(owner: &Instance, v: &Volume) -> Statement {
    let mut a = Args::new();
    a.text(v.id.as_str()).text(owner.id.as_str()).text(&owner.account_id).text(&owner.zone).int(v.attempt.into());
    a.text(&v.name).text(origin(v)).flag(v.is_boot).text(&v.volume_type.name).opt_int(v.size_bytes);
    a.opt_int(v.perf_iops).flag(v.delete_on_terminate).text(v.status.text()).text(v.create_state.text());
    a.opt_json(v.create_error.as_ref()).opt_text(v.provider_id.as_deref()).time(v.created_at).opt_time(v.answered_at);
    a.opt_time(v.tagged_at).opt_time(v.changed_at).opt_time(v.attach_sent_at).opt_time(v.attached_at);
    a.opt_time(v.detach_sent_at).opt_time(v.delete_intended_at).opt_time(v.delete_sent_at).opt_time(v.deleted_at);
    a.opt_json(v.proof.as_ref()).opt_json(v.retry.as_ref()).opt_text(v.server_id.as_ref().map(ServerId::as_str));
    a.flag(v.tags_shown)
        .int(v.policy_version.into())
        .opt_json(v.cloud_policy.as_ref())
        .opt_json(v.pending_observation.as_ref())
        .opt_time(v.delete_accepted_at)
        .opt_json(some(&v.snapshots))
        .text(v.volume_type.kind.text())
        .opt_text(v.reused_from.as_ref().map(InstanceId::as_str))
        .opt_text(v.reused_by.as_ref().map(InstanceId::as_str));
    a.statement(INSERT)
}

pub(crate) fn update(v: &Volume) -> Statement {
    let mut a = Args::new();
    a.text(&v.name).text(origin(v)).flag(v.is_boot).text(&v.volume_type.name).opt_int(v.size_bytes);
    a.opt_int(v.perf_iops).flag(v.delete_on_terminate).text(v.status.text()).text(v.create_state.text());
    a.opt_json(v.create_error.as_ref()).opt_text(v.provider_id.as_deref()).opt_time(v.answered_at);
    a.opt_time(v.tagged_at).opt_time(v.changed_at).opt_time(v.attach_sent_at).opt_time(v.attached_at);
    a.opt_time(v.detach_sent_at).opt_time(v.delete_intended_at).opt_time(v.delete_sent_at).opt_time(v.deleted_at);
    a.opt_json(v.proof.as_ref()).opt_json(v.retry.as_ref()).flag(v.tags_shown).int(v.policy_version.into());
    a.opt_json(v.cloud_policy.as_ref()).opt_json(v.pending_observation.as_ref()).opt_time(v.delete_accepted_at);
    a.opt_json(some(&v.snapshots)).text(v.volume_type.kind.text());
    a.opt_text(v.reused_by.as_ref().map(InstanceId::as_str));
    a.text(v.id.as_str());
    a.guarded(UPDATE)
}

pub(crate) fn read(c: &Columns<'_>) -> Result<Volume, Error> {
    Ok(Volume {
        id: c.word("id", VolumeId::parse)?,
        server_id: c.opt_text("instance_server_id")?.and_then(|id| ServerId::parse(&id)),
        attempt: c.small("attempt")?,
        name: c.text("name")?,
        origin: c.word("origin", |word| if word == REUSED { Some(Origin::Ours) } else { Origin::parse(word) })?,
        is_boot: c.flag("is_boot")?,
        volume_type: VolumeType::new(c.word("volume_kind", VolumeKind::parse)?, c.text("volume_type")?),
        size_bytes: c.opt_int("size_bytes")?,
        perf_iops: c.opt_int("perf_iops")?,
        delete_on_terminate: c.flag("delete_on_terminate")?,
        status: c.word("status", VolumeStatus::parse)?,
        create_state: c.word("create_state", CreateState::parse)?,
        create_error: c.opt_json("create_error_json")?,
        provider_id: c.opt_text("provider_volume_id")?,
        created_at: c.time("created_at")?,
        answered_at: c.opt_time("answered_at")?,
        tagged_at: c.opt_time("tagged_at")?,
        tags_shown: c.flag("tags_shown")?,
        changed_at: c.opt_time("changed_at")?,
        attach_sent_at: c.opt_time("attach_sent_at")?,
        attached_at: c.opt_time("attached_at")?,
        detach_sent_at: c.opt_time("detach_sent_at")?,
        delete_intended_at: c.opt_time("delete_intended_at")?,
        delete_sent_at: c.opt_time("delete_sent_at")?,
        delete_accepted_at: c.opt_time("delete_accepted_at")?,
        deleted_at: c.opt_time("deleted_at")?,
        proof: c.opt_json("proof_json")?,
        retry: c.opt_json("retry_json")?,
        policy_version: c.small("policy_version")?,
        cloud_policy: c.opt_json("cloud_policy_json")?,
        pending_observation: c.opt_json("pending_observation_json")?,
        snapshots: c.opt_json("snapshots_json")?.unwrap_or_default(),
        reused_from: c.opt_text("reused_from")?.and_then(|id| InstanceId::parse(&id)),
        reused_by: c.opt_text("reused_by")?.and_then(|id| InstanceId::parse(&id)),
    })
}
