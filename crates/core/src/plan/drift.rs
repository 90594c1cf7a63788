//! Drift: changes by third parties are observed, reported, and corrected where that is safe.
//!
//! Names and tags are restored (`tagged_at` is cleared, so that the next plan sets them again). What a third party
//! stopped, detached or resized is reported and left as it is: it may be intended. The name of a retained volume is
//! restored, too, because the volume is found by it. This runs before the observation is recorded, so that the records
//! still show the previous state.

use super::Draft;
use crate::action::Event;
use crate::event_kind::EventKind;
use crate::name::CloudName;
use crate::observed::{Observed, ObservedServer, ObservedVolume, ServerState};
use crate::recorded::{Aggregate, Server, Volume};
use crate::status::{Desired, Origin, VolumeStatus};
use crate::time::Timestamp;

/// How long a server that is rebooted may be shown as stopping, in milliseconds: recorded are up to 47 s.
const REBOOT_MS: i64 = 120_000;

pub(super) fn notice(draft: &mut Draft<'_, '_>) {
    let (seen, control_plane) = (draft.seen, draft.cx.control_plane.to_owned());
    // For a while, a listing may show the state before our own change.
    let stale_ms = draft.cx.rules.stale_ms;
    let settled_ms = draft.cx.rules.resync_ms.max(stale_ms);
    // Ready since before the oldest state that this observation can show.
    let was_ready = draft.agg.instance.up_at.is_some_and(|t| seen.began_at > t.plus_ms(stale_ms));
    let present = draft.agg.instance.desired != Desired::Absent && draft.agg.instance.failure.is_none();
    let runs = draft.agg.instance.desired == Desired::Present && draft.agg.instance.is_up();
    let reboot = draft.agg.instance.reboot_requested_at;
    let mut events = Vec::new();
    for n in 0..draft.agg.servers.len() {
        let row = &mut draft.agg.servers[n];
        let Some(shown) = row.provider_id.as_deref().and_then(|id| seen.server(id)).filter(|_| row.is_primary) else {
            continue;
        };
        if !row.is_live() {
            continue;
        }
        let settled = row.tagged_at.is_some_and(|t| seen.began_at > t.plus_ms(settled_ms));
        if present {
            named_server(row, shown, settled, &mut events);
        }
        let sure = (was_ready || stale_ms == 0) && has_settled(row, reboot, stale_ms, seen);
        if present && runs && sure && row.stop_sent_at.is_none() && row.delete_intended_at.is_none() {
            stopped(row, shown, &mut events);
        }
    }
    for n in 0..draft.agg.volumes.len() {
        let agg = &draft.agg;
        let row = &agg.volumes[n];
        let kept = row.is_kept();
        let Some(shown) = row.provider_id.as_deref().and_then(|id| seen.volume(id)) else { continue };
        if row.origin == Origin::Foreign || !(row.is_live() || kept) {
            continue;
        }
        let name = agg.volume_name(row, &control_plane);
        let settled = row.tagged_at.is_some_and(|t| seen.began_at > t.plus_ms(settled_ms));
        let attached = row.attached_at.is_some_and(|t| seen.began_at > t.plus_ms(stale_ms));
        let detached = present && (attached || stale_ms == 0) && was_detached(agg, row, shown, seen);
        let wanted = if row.is_boot { agg.instance.spec.boot_volume_bytes } else { None };
        let row = &mut draft.agg.volumes[n];
        if present || kept {
            named_volume(row, shown, &name, settled, &mut events);
        }
        resized(row, shown, wanted, &mut events);
        if detached {
            let text = "a third party detached the volume from our server; attach it again, or terminate the instance";
            events.push(event(EventKind::VolumeDetached, row, text.to_owned()));
            // Reported once.
            row.status = VolumeStatus::Available;
        }
    }
    draft.events.extend(events);
}

fn named_server(row: &mut Server, shown: &ObservedServer, settled: bool, events: &mut Vec<Event>) {
    let ours = CloudName::parse(&row.name).map(|n| n.tags()).unwrap_or_default();
    let reported =
        drift(&mut row.tagged_at, &mut row.tags_shown, settled, (&shown.name, &row.name), (&shown.tags, &ours));
    if let Some((what, text)) = reported {
        let kind = if what == Drift::Renamed { EventKind::ServerRenamed } else { EventKind::ServerUntagged };
        events.push(Event { resource_id: row.provider_id.clone(), ..Event::told(kind, text) });
    }
}

fn named_volume(row: &mut Volume, shown: &ObservedVolume, name: &CloudName, settled: bool, events: &mut Vec<Event>) {
    let (text, tags) = (name.text(), name.tags());
    let reported = drift(&mut row.tagged_at, &mut row.tags_shown, settled, (&shown.name, &text), (&shown.tags, &tags));
    if let Some((what, text)) = reported {
        let kind = if what == Drift::Renamed { EventKind::VolumeRenamed } else { EventKind::VolumeUntagged };
        events.push(event(kind, row, text));
    }
}

#[derive(PartialEq, Eq)]
enum Drift {
    Renamed,
    Untagged,
}

/// Whether the name or the tags were changed. Then they are cleared from the record, to be set again.
fn drift(
    tagged_at: &mut Option<Timestamp>,
    tags_shown: &mut bool,
    settled: bool,
    (shown, wanted): (&str, &str),
    (tags, ours): (&[String], &[String]),
) -> Option<(Drift, String)> {
    let tagged = !ours.is_empty() && ours.iter().all(|t| tags.contains(t));
    // The name was given by another control plane: this one runs with the wrong id, and must not rename anything.
    let other = CloudName::parse(wanted).zip(CloudName::parse(shown));
    if other.is_some_and(|(w, s)| w.instance == s.instance && w.control_plane != s.control_plane) {
        return None;
    }
    let found = if settled && shown != wanted {
        Some((Drift::Renamed, format!("a third party renamed it to {shown:?}; the name {wanted} is restored")))
    } else if settled && *tags_shown && !tagged {
        Some((Drift::Untagged, "a third party removed our tags; they are restored".to_owned()))
    } else {
        None
    };
    // Tags that disappear before it is settled are reported once it is.
    *tags_shown = tagged || (*tags_shown && found.is_none());
    if found.is_some() {
        *tagged_at = None;
    }
    found
}

/// Whether an observation can no longer show the state before the last start, or that of a reboot in progress.
fn has_settled(row: &Server, reboot: Option<Timestamp>, stale_ms: i64, seen: &Observed) -> bool {
    let Some(started) = row.start_sent_at else { return true };
    let rebooted = reboot.is_some_and(|asked| started >= asked);
    let calm_ms = if rebooted { stale_ms.max(REBOOT_MS) } else { stale_ms };
    calm_ms == 0 || seen.began_at > started.plus_ms(calm_ms)
}

fn stopped(row: &Server, shown: &ObservedServer, events: &mut Vec<Event>) {
    let ran = row.state.as_deref() == Some(ServerState::Running.text());
    let stops = matches!(shown.state, ServerState::Stopped | ServerState::StoppedInPlace | ServerState::Stopping);
    if ran && stops {
        let text = format!("a third party stopped the server: it is {}; it still costs money", shown.state.text());
        events.push(Event {
            lasted_ms: None,
            failed: false,
            kind: EventKind::ServerStopped,
            volume_id: None,
            resource_id: row.provider_id.clone(),
            text,
        });
    }
}

/// Whether a third party detached the volume: it was on our server, the server is shown without it, and we did not
/// request that. A volume of a removed duplicate server does not count.
fn was_detached(agg: &Aggregate, row: &Volume, shown: &ObservedVolume, seen: &Observed) -> bool {
    let with = row.server_id.as_ref().and_then(|id| agg.server_by_id(id));
    if with.is_some_and(|s| !s.is_primary || !s.is_live()) {
        return false;
    }
    let server = agg.server().and_then(|s| seen.server(s.provider_id.as_deref()?));
    row.status == VolumeStatus::Attached
        && row.detach_sent_at.is_none()
        && shown.server_id.is_none()
        && server.is_some_and(|s| !s.has(&shown.id))
}

/// Reports a resize once: after that, the new size is recorded.
fn resized(row: &Volume, shown: &ObservedVolume, wanted: Option<i64>, events: &mut Vec<Event>) {
    let (Some(was), Some(is)) = (row.size_bytes, shown.size_bytes) else { return };
    if was != is && wanted != Some(is) {
        let text = format!("a third party resized the volume from {was} to {is} bytes; it is billed by its new size");
        events.push(event(EventKind::VolumeResized, row, text));
    }
}

fn event(kind: EventKind, row: &Volume, text: String) -> Event {
    Event { volume_id: Some(row.id.clone()), resource_id: row.provider_id.clone(), ..Event::told(kind, text) }
}
