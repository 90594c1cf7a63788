//! Lets a model finish what it is answering before its server is removed, for a limited time.

use super::Draft;
use crate::status::{NoteCode, Status};

/// Whether the removal waits for requests that the model is answering. The worker tells when none is left; nothing that
/// it tells, or does not tell, delays the removal beyond the limit.
pub(super) fn waits(draft: &mut Draft<'_, '_>) -> bool {
    let (now, limit_ms) = (draft.cx.now, draft.cx.rules.worker.drain_ms);
    let i = &draft.agg.instance;
    let until = i.terminate_requested_at.unwrap_or(now).plus_ms(limit_ms);
    if i.status != Status::Draining || i.worker.is_none() || now >= until {
        return false;
    }
    draft.wake = Some(until);
    draft.wait_until(NoteCode::Waiting, "waits for the requests that the model is answering", until);
    true
}
