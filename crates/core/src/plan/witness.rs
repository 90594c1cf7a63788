//! Witness volumes: they show that the credentials can see Block Storage, where an absence cannot be proven otherwise.

use super::Draft;
use super::data_volume::new_data_volume;
use super::evidence::needs_witness;
use crate::action::{Action, Creation};
use crate::event_kind::EventKind;
use crate::recorded::{DataVolumeSpec, Volume};
use crate::status::{CreateState, Origin};

/// Creates a witness volume of the smallest size, where the absence of another volume cannot be proven without it.
///
/// This happens when the response to the deletion of the last block volume in a zone was lost. The volume is not found,
/// and credentials that cannot see Block Storage would get the same response. They could not create a volume.
pub(super) fn witness(draft: &mut Draft<'_, '_>) {
    const BYTES: i64 = 1_000_000_000;
    let Some(waits) = draft.agg.volumes.iter().find(|v| needs_witness(v)).and_then(|v| v.provider_id.clone()) else {
        return;
    };
    let witnesses = || draft.agg.volumes.iter().filter(|v| v.origin == Origin::Witness);
    // A witness that is being deleted does not count: the response to its own deletion may have been lost, too.
    let seen = draft.seen;
    let stale_ms = draft.cx.rules.stale_ms;
    let shown = |v: &Volume| v.provider_id.as_deref().is_some_and(|id| seen.volume(id).is_some());
    // A third party may have deleted it.
    let stands = |v: &Volume| shown(v) || seen.began_at <= v.created_at.plus_ms(stale_ms);
    if witnesses().any(|v| v.create_state.is_open() || (v.is_live() && v.delete_intended_at.is_none() && stands(v))) {
        return;
    }
    let refused = witnesses().filter(|v| v.create_state == CreateState::Refused).max_by_key(|v| v.attempt);
    let retry = refused.and_then(|v| v.retry.clone());
    if !draft.try_or_wait(
        "creating a witness volume, which shows whether the credentials see block storage,",
        retry.as_ref(),
    ) {
        return;
    }
    let attempt = draft.agg.volumes.iter().map(|v| v.attempt).max().unwrap_or(0) + 1;
    let spec =
        DataVolumeSpec { size_bytes: BYTES, perf_iops: None, delete_on_terminate: true, size_reason: String::new() };
    let row = Volume { origin: Origin::Witness, ..new_data_volume(draft, &spec, attempt) };
    let text = "nothing shows that the credentials see block storage: a witness volume is created, and deleted after the proof";
    draft.emit(EventKind::WitnessNeeded, Some(waits), text);
    draft.actions.push(Action::Create(Creation::Volume(Box::new(row))));
}
