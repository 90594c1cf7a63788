//! What others do behind our back: noticed in the next look, told, and put right where it is ours to put right.
//!
//! Names and tags are put back (`tagged_at` is taken away, so that the next pass writes them again). What somebody else
//! stopped, detached or resized is told and left as it is: they may have had a reason. A volume that is kept after its
//! instance's end is looked after like one of a living instance: its name is what it is found by. It runs before what is
//! shown is written down: what is recorded still says how it was.

use super::Draft;
use crate::action::Event;
use crate::event_kind::EventKind;
use crate::name::CloudName;
use crate::observed::{Observed, ObservedServer, ObservedVolume, ServerState};
use crate::recorded::{Aggregate, Server, Volume};
use crate::status::{Desired, Origin, VolumeStatus};
use crate::time::Timestamp;

pub(super) fn notice(draft: &mut Draft<'_, '_>) {
    let (seen, control_plane) = (draft.seen, draft.cx.control_plane.to_owned());
    // A list may show for a while what was before our own change.
    let stale_ms = draft.cx.rules.stale_ms;
    let settled_ms = draft.cx.rules.resync_ms.max(stale_ms);
    // Ready since before the oldest state that this look can show.
    let was_ready = draft.agg.instance.ready_at.is_some_and(|t| seen.began_at > t.plus_ms(stale_ms));
    let present = draft.agg.instance.desired == Desired::Present && draft.agg.instance.failure.is_none();
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
        if present && (was_ready || stale_ms == 0) && row.stop_sent_at.is_none() && row.delete_intended_at.is_none() {
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
        let name = CloudName::of_volume(agg, row, &control_plane);
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
            let text = "somebody else detached the volume from our server; attach it there, or terminate the instance";
            events.push(event(EventKind::VolumeDetached, row, text.to_owned()));
            // Told once.
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
        events.push(Event { kind, volume_id: None, resource_id: row.provider_id.clone(), text });
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

/// Whether name or tags are not ours any more. Then they must be written again.
fn drift(
    tagged_at: &mut Option<Timestamp>,
    tags_shown: &mut bool,
    settled: bool,
    (shown, wanted): (&str, &str),
    (tags, ours): (&[String], &[String]),
) -> Option<(Drift, String)> {
    let tagged = !ours.is_empty() && ours.iter().all(|t| tags.contains(t));
    // Another control plane's name for the same thing: this one runs under the wrong id, and must not rename it all.
    let other = CloudName::parse(wanted).zip(CloudName::parse(shown));
    if other.is_some_and(|(w, s)| w.instance == s.instance && w.control_plane != s.control_plane) {
        return None;
    }
    let found = if settled && shown != wanted {
        Some((Drift::Renamed, format!("somebody else renamed it to {shown:?}; it gets its name back, {wanted}")))
    } else if settled && *tags_shown && !tagged {
        Some((Drift::Untagged, "somebody else took our tags away; it gets them back".to_owned()))
    } else {
        None
    };
    // Tags that vanish before it is settled are told once it is.
    *tags_shown = tagged || (*tags_shown && found.is_none());
    if found.is_some() {
        *tagged_at = None;
    }
    found
}

fn stopped(row: &Server, shown: &ObservedServer, events: &mut Vec<Event>) {
    let ran = row.state.as_deref() == Some(ServerState::Running.text());
    let stops = matches!(shown.state, ServerState::Stopped | ServerState::StoppedInPlace | ServerState::Stopping);
    if ran && stops {
        let text = format!("somebody else stopped the server: it is {}; it still costs money", shown.state.text());
        events.push(Event {
            kind: EventKind::ServerStopped,
            volume_id: None,
            resource_id: row.provider_id.clone(),
            text,
        });
    }
}

/// It was on our server, our server is still there without it, and we did not ask for that. What was on a duplicate that
/// went is no such thing.
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

/// Told once: then the new size is the recorded one.
fn resized(row: &Volume, shown: &ObservedVolume, wanted: Option<i64>, events: &mut Vec<Event>) {
    let (Some(was), Some(is)) = (row.size_bytes, shown.size_bytes) else { return };
    if was != is && wanted != Some(is) {
        let text = format!("somebody else resized the volume from {was} to {is} bytes; it costs by its new size");
        events.push(event(EventKind::VolumeResized, row, text));
    }
}

fn event(kind: EventKind, row: &Volume, text: String) -> Event {
    Event { kind, volume_id: Some(row.id.clone()), resource_id: row.provider_id.clone(), text }
}
