//! Waits for complete listings: only these show an absence.

use super::{Change, Draft, Shows};
use crate::recorded::Volume;
use crate::status::NoteCode;
use crate::time::Timestamp;

/// An absence counts only in a complete listing of a project that the credentials can see.
pub(super) fn wait_for_listing(draft: &mut Draft<'_, '_>, why: &str) {
    match draft.seen.hidden.clone() {
        Some(hidden) => draft.wait_because(NoteCode::Credentials, format!("{hidden}, {why}")),
        None => draft.wait(format!("waits for a complete listing, {why}")),
    }
}

/// The same for one volume: block volumes are listed separately.
pub(super) fn wait_for_listing_of(draft: &mut Draft<'_, '_>, row: &Volume, since: Timestamp, why: &str) {
    if row.is_block() && draft.seen.hidden.is_none() {
        let text = format!("waits for a complete listing, {why}");
        draft.wait_for(Change::VolumeGone, Shows::BlockListing, since, text);
    } else {
        wait_for_listing(draft, why);
    }
}
