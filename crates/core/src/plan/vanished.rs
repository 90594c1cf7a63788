//! Volumes that a third party deleted, although nothing waits for them: a boot volume, a volume that came with the server,
//! a retained one. They are charged until their absence is proven.
//!
//! The data volume of a living instance is checked where it is attached (`data_volume`).

use super::{Draft, evidence};
use crate::action::{Action, VolumeCall};
use crate::observed::ObservedServer;
use crate::recorded::Volume;
use crate::status::Origin;

/// Checks the volumes of a living instance that complete listings no longer show, and neither does its server.
pub(super) fn check_live(draft: &mut Draft<'_, '_>, server: &ObservedServer) {
    let data = draft.agg.data_volume().map(|v| v.id.clone());
    let on_server = |v: &Volume| v.provider_id.as_deref().is_some_and(|id| server.has(id));
    check(draft, |v| v.is_live() && v.origin != Origin::Foreign && Some(&v.id) != data.as_ref() && !on_server(v));
}

/// Checks retained volumes that complete listings no longer show.
pub(super) fn check_kept(draft: &mut Draft<'_, '_>) {
    check(draft, Volume::is_kept);
}

/// Asks for each of them by its id, once the first listing without it is too old for a stale read. Nothing is noted: a volume
/// that is shown again was never missed.
fn check(draft: &mut Draft<'_, '_>, concerned: impl Fn(&Volume) -> bool) {
    let (seen, now) = (draft.seen, draft.cx.now);
    if !seen.listed {
        return;
    }
    let unseen = |v: &&Volume| {
        let shown = v.provider_id.as_deref().is_none_or(|id| seen.volume(id).is_some());
        let known_since = v.answered_at.unwrap_or(v.created_at);
        // Without another block volume, the response to such a read would prove nothing.
        !shown && seen.began_at > known_since && !(v.is_block() && seen.blocks_hidden)
    };
    let due = |v: &&Volume| {
        let may_retry = v.retry.as_ref().is_none_or(|r| r.not_before <= now);
        may_retry && evidence::may_ask(draft, v.pending_observation.as_ref())
    };
    let asked = draft.agg.volumes.iter().filter(|v| concerned(v)).filter(unseen).filter(due);
    let asked: Vec<Action> = asked.map(|v| Action::Volume(v.id.clone(), VolumeCall::ProveGone)).collect();
    let new = |a: &Action, all: &[Action]| !all.contains(a);
    let asked: Vec<Action> = asked.into_iter().filter(|a| new(a, &draft.actions)).collect();
    draft.actions.extend(asked);
}
