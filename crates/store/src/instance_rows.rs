//! Rows of `instances`.

use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::{Aggregate, Instance};
use inventiv_core::status::{Desired, Status};

const INSERT: &str = "INSERT INTO instances (id, name, account_id, provider, zone, instance_type, model_id, spec_json, \
    desired, status, failure_json, provider_instance_id, ip_address, created_at, ready_at, terminate_requested_at, \
    terminated_at, notes_json, settled, wake_at, version, confirm_after, addresses_json, \
    up_at, worker_json, service_id, expires_at, expiry_told_at, gpu_count, idle_ends_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
    $24, $25, $26, $27, $28, $29, $30)";

const UPDATE: &str = "UPDATE instances SET desired = $1, status = $2, failure_json = $3, provider_instance_id = $4, \
    ip_address = $5, ready_at = $6, terminate_requested_at = $7, terminated_at = $8, notes_json = $9, settled = $10, \
    wake_at = $11, version = $12, confirm_after = $13, addresses_json = $14, name = $15, \
    reboot_requested_at = $16, up_at = $17, worker_json = $18, expires_at = $19, expiry_told_at = $20, \
    idle_ends_at = $21 WHERE id = $22 AND version = $23";

/// The server that the instance runs or ran on.
fn provider_instance_id(agg: &Aggregate) -> Option<&str> {
    let last = || agg.servers.iter().rev().find(|s| s.is_primary && s.provider_id.is_some());
    agg.server().or_else(last).and_then(|s| s.provider_id.as_deref())
}

pub(crate) fn insert(agg: &Aggregate) -> Statement {
    let i = &agg.instance;
    let mut a = Args::new();
    a.text(i.id.as_str()).text(&i.name).text(&i.account_id).text(&i.provider).text(&i.zone).text(&i.instance_type);
    a.opt_text(i.model_id.as_deref()).json(&i.spec).text(i.desired.text()).text(i.status.text());
    a.opt_json(i.failure.as_ref()).opt_text(provider_instance_id(agg)).opt_text(i.ip_address.as_deref());
    a.time(i.created_at).opt_time(i.ready_at).opt_time(i.terminate_requested_at).opt_time(i.terminated_at);
    a.json(&i.notes).flag(i.settled).time(i.wake_at).int(i.version).opt_time(i.confirm_after);
    a.json(&i.addresses).opt_time(i.up_at).opt_json(i.worker.as_ref());
    a.opt_text(i.spec.replica_of.as_ref().map(|r| r.service_id.as_str()));
    a.opt_time(i.expires_at).opt_time(i.expiry_told_at).int(i.spec.gpu_count).opt_time(i.idle_ends_at);
    a.statement(INSERT)
}

/// Guarded by the version as read.
pub(crate) fn update(agg: &Aggregate, read_version: i64) -> Statement {
    let i = &agg.instance;
    let mut a = Args::new();
    a.text(i.desired.text()).text(i.status.text()).opt_json(i.failure.as_ref()).opt_text(provider_instance_id(agg));
    a.opt_text(i.ip_address.as_deref()).opt_time(i.ready_at).opt_time(i.terminate_requested_at);
    a.opt_time(i.terminated_at).json(&i.notes).flag(i.settled).time(i.wake_at).int(read_version + 1);
    a.opt_time(i.confirm_after).json(&i.addresses).text(&i.name).opt_time(i.reboot_requested_at);
    a.opt_time(i.up_at).opt_json(i.worker.as_ref()).opt_time(i.expires_at).opt_time(i.expiry_told_at);
    a.opt_time(i.idle_ends_at).text(i.id.as_str()).int(read_version);
    a.guarded(UPDATE)
}

/// Rows of older versions have at most one address.
fn addresses(c: &Columns<'_>) -> Result<Vec<String>, Error> {
    let all: Vec<String> = c.json("addresses_json")?;
    Ok(if all.is_empty() { c.opt_text("ip_address")?.into_iter().collect() } else { all })
}

pub(crate) fn read(c: &Columns<'_>) -> Result<Instance, Error> {
    Ok(Instance {
        id: c.word("id", InstanceId::parse)?,
        name: c.text("name")?,
        account_id: c.text("account_id")?,
        provider: c.text("provider")?,
        zone: c.text("zone")?,
        instance_type: c.text("instance_type")?,
        model_id: c.opt_text("model_id")?,
        spec: c.json("spec_json")?,
        desired: c.word("desired", Desired::parse)?,
        status: c.word("status", Status::parse)?,
        failure: c.opt_json("failure_json")?,
        ip_address: c.opt_text("ip_address")?,
        addresses: addresses(c)?,
        created_at: c.time("created_at")?,
        up_at: c.opt_time("up_at")?,
        ready_at: c.opt_time("ready_at")?,
        worker: c.opt_json("worker_json")?,
        terminate_requested_at: c.opt_time("terminate_requested_at")?,
        terminated_at: c.opt_time("terminated_at")?,
        notes: c.json("notes_json")?,
        settled: c.flag("settled")?,
        wake_at: c.time("wake_at")?,
        reboot_requested_at: c.opt_time("reboot_requested_at")?,
        expires_at: c.opt_time("expires_at")?,
        expiry_told_at: c.opt_time("expiry_told_at")?,
        idle_ends_at: c.opt_time("idle_ends_at")?,
        version: c.int("version")?,
        confirm_after: c.opt_time("confirm_after")?,
    })
}
