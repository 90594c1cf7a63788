//! Rows of `instance_servers`.

use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use inventiv_core::id::ServerId;
use inventiv_core::recorded::{Instance, Server};
use inventiv_core::status::CreateState;

const INSERT: &str = "INSERT INTO instance_servers (id, instance_id, account_id, zone, attempt, name, is_primary, \
    create_state, create_error_json, provider_server_id, state, intended_at, answered_at, user_data_at, starts, \
    start_sent_at, stop_sent_at, delete_intended_at, delete_sent_at, gone_at, proof_json, retry_json, \
    start_intended_at, tagged_at, tags_shown, pending_observation_json) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
    $24, $25, $26)";

const UPDATE: &str = "UPDATE instance_servers SET is_primary = $1, create_state = $2, create_error_json = $3, \
    provider_server_id = $4, state = $5, answered_at = $6, user_data_at = $7, starts = $8, start_sent_at = $9, \
    stop_sent_at = $10, delete_intended_at = $11, delete_sent_at = $12, gone_at = $13, proof_json = $14, \
    retry_json = $15, start_intended_at = $16, tagged_at = $17, tags_shown = $18, pending_observation_json = $19 \
    WHERE id = $20";

pub(crate) fn insert(owner: &Instance, s: &Server) -> Statement {
    let mut a = Args::new();
    a.text(s.id.as_str()).text(owner.id.as_str()).text(&owner.account_id).text(&owner.zone).int(s.attempt.into());
    a.text(&s.name).flag(s.is_primary).text(s.create_state.text()).opt_json(s.create_error.as_ref());
    a.opt_text(s.provider_id.as_deref()).opt_text(s.state.as_deref()).time(s.intended_at).opt_time(s.answered_at);
    a.opt_time(s.user_data_at).int(s.starts.into()).opt_time(s.start_sent_at).opt_time(s.stop_sent_at);
    a.opt_time(s.delete_intended_at).opt_time(s.delete_sent_at).opt_time(s.gone_at).opt_json(s.proof.as_ref());
    a.opt_json(s.retry.as_ref()).opt_time(s.start_intended_at).opt_time(s.tagged_at).flag(s.tags_shown);
    a.opt_json(s.pending_observation.as_ref());
    a.statement(INSERT)
}

pub(crate) fn update(s: &Server) -> Statement {
    let mut a = Args::new();
    a.flag(s.is_primary)
        .text(s.create_state.text())
        .opt_json(s.create_error.as_ref())
        .opt_text(s.provider_id.as_deref());
    a.opt_text(s.state.as_deref()).opt_time(s.answered_at).opt_time(s.user_data_at).int(s.starts.into());
    a.opt_time(s.start_sent_at).opt_time(s.stop_sent_at).opt_time(s.delete_intended_at).opt_time(s.delete_sent_at);
    a.opt_time(s.gone_at)
        .opt_json(s.proof.as_ref())
        .opt_json(s.retry.as_ref())
        .opt_time(s.start_intended_at)
        .opt_time(s.tagged_at)
        .flag(s.tags_shown)
        .opt_json(s.pending_observation.as_ref())
        .text(s.id.as_str());
    a.guarded(UPDATE)
}

pub(crate) fn read(c: &Columns<'_>) -> Result<Server, Error> {
    Ok(Server {
        id: c.word("id", ServerId::parse)?,
        attempt: c.small("attempt")?,
        name: c.text("name")?,
        is_primary: c.flag("is_primary")?,
        create_state: c.word("create_state", CreateState::parse)?,
        create_error: c.opt_json("create_error_json")?,
        provider_id: c.opt_text("provider_server_id")?,
        state: c.opt_text("state")?,
        intended_at: c.time("intended_at")?,
        answered_at: c.opt_time("answered_at")?,
        tagged_at: c.opt_time("tagged_at")?,
        tags_shown: c.flag("tags_shown")?,
        user_data_at: c.opt_time("user_data_at")?,
        starts: c.small("starts")?,
        start_intended_at: c.opt_time("start_intended_at")?,
        start_sent_at: c.opt_time("start_sent_at")?,
        stop_sent_at: c.opt_time("stop_sent_at")?,
        delete_intended_at: c.opt_time("delete_intended_at")?,
        delete_sent_at: c.opt_time("delete_sent_at")?,
        gone_at: c.opt_time("gone_at")?,
        proof: c.opt_json("proof_json")?,
        retry: c.opt_json("retry_json")?,
        pending_observation: c.opt_json("pending_observation_json")?,
    })
}
