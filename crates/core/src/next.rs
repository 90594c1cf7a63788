//! The remaining steps of an instance, in order: the planner's own plans, against a cloud that carries everything out.
//!
//! The steps are computed from the records alone, so that they are available during an outage. They are a forecast:
//! the real cloud may answer otherwise, and the planner then decides from what it shows.

mod imagined;

use crate::action::Event;
use crate::cloud::CloudProfile;
use crate::event_kind::EventKind;
use crate::name::CloudName;
use crate::plan::{Context, Plan, Rules, phrase, plan, volume_phrase};
use crate::progress::{record_intent, record_outcome};
use crate::recorded::{Aggregate, Instance};
use crate::status::{Desired, NoteCode, Status};
use crate::time::Timestamp;
use imagined::Imagined;

/// The maximum number of plans in a forecast: more than any life cycle needs.
const PLANS_MAX: usize = 60;
/// The time between two plans in milliseconds.
const TURN_MS: i64 = 1_000;
/// The first id of a forecast, far from those of real records.
const FIRST_ID: u128 = 1 << 120;

/// The remaining steps, one phrase each; empty if nothing is to be done, or if a person has to act first.
#[must_use]
pub fn next(agg: &Aggregate, profile: &CloudProfile, now: Timestamp) -> Vec<String> {
    let mut forecast = Forecast {
        cloud: Imagined::of(agg, profile, now),
        control_plane: control_plane(agg),
        // What an imagined cloud shows is never stale.
        rules: Rules { stale_ms: 0, ..Rules::default() },
        agg: agg.clone(),
        now,
        last_id: FIRST_ID,
    };
    let mut steps: Vec<String> = Vec::new();
    let mut was_idle = false;
    for _ in 0..PLANS_MAX {
        let planned = forecast.turn(profile);
        steps.extend(planned.events.iter().filter_map(|e| event_phrase(e, &planned.recorded)));
        steps.extend(planned.actions.iter().map(|a| phrase(a, &planned.recorded)));
        if planned.recorded.instance.notes.iter().any(|n| n.code == NoteCode::Frozen) {
            break;
        }
        let is_idle = planned.actions.is_empty() && planned.events.is_empty();
        if is_idle && (was_idle || planned.recorded.instance.settled) {
            break;
        }
        was_idle = is_idle;
        if is_idle {
            forecast.skip_wait(&planned);
        }
    }
    steps.extend(on_the_server(&forecast.agg.instance).iter().map(|s| (*s).to_owned()));
    steps
}

/// What the worker still has to do.
fn on_the_server(i: &Instance) -> &'static [&'static str] {
    let serves = i.worker.is_some() && i.desired == Desired::Present && i.failure.is_none();
    match i.status {
        Status::Booting if serves => &[
            "install the worker",
            "mount the data volume and fetch the engine",
            "download and load the model",
            "ask the model, and report ready",
        ],
        Status::Installing if serves => &[
            "mount the data volume and fetch the engine",
            "download and load the model",
            "ask the model, and report ready",
        ],
        Status::Starting if serves => &["download and load the model", "ask the model, and report ready"],
        Status::Unavailable if serves => &["ask the model, and report ready"],
        Status::StartupFailed if i.spec.serving.as_ref().is_some_and(|s| !s.keep_failed) => {
            &["end the instance, because its model will not answer"]
        }
        Status::Provisioning
        | Status::Booting
        | Status::Installing
        | Status::Starting
        | Status::Ready
        | Status::Unavailable
        | Status::StartupFailed
        | Status::Draining
        | Status::Stopping
        | Status::Stopped
        | Status::Terminating
        | Status::Terminated
        | Status::ProvisioningFailed => &[],
    }
}

struct Forecast {
    agg: Aggregate,
    cloud: Imagined,
    control_plane: String,
    rules: Rules,
    now: Timestamp,
    last_id: u128,
}

impl Forecast {
    /// Plans once, and carries the plan out.
    fn turn(&mut self, profile: &CloudProfile) -> Plan {
        self.now = self.now.plus_ms(TURN_MS);
        let observed = self.cloud.observe(self.now);
        let last_id = &mut self.last_id;
        let mut ids = || {
            *last_id += 1;
            *last_id
        };
        let mut cx =
            Context { now: self.now, rules: &self.rules, profile, control_plane: &self.control_plane, ids: &mut ids };
        let planned = plan(&self.agg, &observed, &mut cx);
        self.agg = planned.recorded.clone();
        for action in &planned.actions {
            record_intent(&mut self.agg, action, self.now);
        }
        for action in &planned.actions {
            let result = self.cloud.carry_out(action, &self.agg, self.now);
            record_outcome(&mut self.agg, action, &Ok(result), &mut cx);
        }
        planned
    }

    /// Lets the time pass that the plan waits for.
    fn skip_wait(&mut self, planned: &Plan) {
        let until = planned.recorded.instance.notes.iter().filter_map(|n| n.until).max();
        self.now = self.now.max(until.unwrap_or(self.now));
    }
}

/// The control plane that the instance belongs to, according to the names of its resources.
fn control_plane(agg: &Aggregate) -> String {
    let names = agg.servers.iter().map(|s| &s.name).chain(agg.volumes.iter().map(|v| &v.name));
    names.filter_map(|n| CloudName::parse(n)).map(|n| n.control_plane).next().unwrap_or_else(|| "forecast".to_owned())
}

/// An event as a step; `None` for events that only report.
fn event_phrase(event: &Event, agg: &Aggregate) -> Option<String> {
    let volume = || event.volume_id.as_ref().map(|id| volume_phrase(agg, id));
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events report what has happened")]
    match event.kind {
        EventKind::AttemptAbandoned => Some("abandon an unconfirmed creation, unless a listing shows it".to_owned()),
        EventKind::VolumeRetained => Some(format!("retain {}", volume()?)),
        EventKind::ForeignVolumeReleased => Some(format!("release {}", volume()?)),
        EventKind::InstanceReady => Some("report ready".to_owned()),
        EventKind::InstanceStopped => Some("report stopped".to_owned()),
        EventKind::InstanceFailed => Some(format!("fail: {}", event.text)),
        EventKind::InstanceTerminated if agg.instance.failure.is_some() => Some("report the failure".to_owned()),
        EventKind::InstanceTerminated => Some("report terminated".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
