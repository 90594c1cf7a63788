//! Instances that end when nobody asks their model. Pure.

use super::report::Report;
use crate::action::Event;
use crate::event_kind::EventKind;
use crate::expiry::TOLD_BEFORE_MS;
use crate::recorded::Instance;
use crate::request::Request;
use crate::status::Status;
use crate::time::Timestamp;

/// Requests the end of a ready instance whose model nobody has asked for as long as its request says, and tells before.
///
/// The worker measures how long that is: it sees every request. Without its word, nothing ends.
pub(super) fn end_if_idle(i: &mut Instance, report: &Report, now: Timestamp, events: &mut Vec<Event>) {
    let (Some(limit_ms), Some(ready_at), Some(idle_ms)) = (i.spec.idle_ms, i.ready_at, report.idle_ms) else { return };
    if i.status != Status::Ready || i.spec.replica_of.is_some() {
        return;
    }
    // Before it was ready, nobody could ask.
    let idle_ms = if report.in_flight > 0 { 0 } else { idle_ms.min(now.ms_since(ready_at)) };
    if idle_ms >= limit_ms {
        // A termination is never refused.
        let _ = Request::Terminate.apply(i, now);
        i.idle_ends_at = Some(now);
        let text = format!("nobody asked its model for {}", minutes(limit_ms));
        events.push(Event::told(EventKind::RequestTerminate, text));
        return;
    }
    if idle_ms < limit_ms - TOLD_BEFORE_MS.min(limit_ms / 2) {
        i.idle_ends_at = None;
    } else if i.idle_ends_at.is_none() {
        i.idle_ends_at = Some(now.plus_ms(limit_ms - idle_ms));
        let text = format!(
            "nobody asked its model for {}; it ends after {} without a request: any request keeps it",
            minutes(idle_ms),
            minutes(limit_ms)
        );
        events.push(Event::told(EventKind::InstanceExpiresSoon, text));
    }
}

fn minutes(ms: i64) -> String {
    let (minutes, seconds) = (ms / 60_000, ms % 60_000 / 1_000);
    if seconds == 0 { format!("{minutes} min") } else { format!("{minutes} min {seconds} s") }
}

#[cfg(test)]
mod tests;
