//! What an operator should know or do something about. Pure.
//!
//! Alerts are level-triggered: they follow from what is recorded now, so that none is missed after a crash and none is
//! invented by a repeated event. What happened at one moment stays an alert for a day.

mod limits;

use crate::audit::{FindingKind, Report};
use crate::expiry::TOLD_BEFORE_MS;
use crate::id::InstanceId;
use crate::limits::{InUse, LimitScope, Limits};
use crate::recorded::Instance;
use crate::service::{Service, ServiceStatus};
use crate::status::{Desired, Status};
use crate::time::Timestamp;
use crate::words::words;

/// How long what happened at one moment stays an alert, in milliseconds.
pub const PAST_MS: i64 = 24 * 3_600_000;

words!(
    /// What an alert is about.
    AlertKind {
        /// An instance could not be created, or its model will not answer.
        InstanceFailed = "instance.failed",
        /// The model of an instance answered, and does not answer now.
        InstanceUnavailable = "instance.unavailable",
        /// The time of an instance is over in ten minutes, or nobody has asked its model for almost as long as it may be
        /// idle.
        InstanceEndsSoon = "instance.ends_soon",
        /// The end of an instance was requested because its time was over, or because nobody asked its model.
        InstanceEnded = "instance.ended",
        /// A service has fewer replicas than it needs, and something prevents more.
        ServiceDegraded = "service.degraded",
        /// The time of a service is over in ten minutes.
        ServiceEndsSoon = "service.ends_soon",
        /// The end of a service was requested because its time was over.
        ServiceEnded = "service.ended",
        /// A deletion was requested more than 15 minutes ago, and is not proven.
        DeletionStuck = "deletion.stuck",
        /// An audit found a resource with our name that no record wants.
        OrphanFound = "orphan.found",
        /// An audit found something else on which cloud and records disagree.
        AuditFinding = "audit.finding",
        /// The last audit of a zone allows no conclusion.
        AuditInconclusive = "audit.inconclusive",
        /// 50, 80 or 100 percent of a limit are used.
        LimitUsed = "limit.used",
        /// Not an alert: a message that tests a webhook.
        Test = "test",
    }
);

words!(
    /// How urgent an alert is.
    Severity {
        /// It may be of interest.
        Info = "info",
        /// Somebody should look.
        Warning = "warning",
        /// Something does not work, or money may be lost.
        Critical = "critical",
    }
);

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Identifies the condition: alerts with the same key are the same alert.
    pub key: String,
    /// What it is about.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// The id of the instance, service or cloud resource, or the name of the zone or limit.
    pub about: String,
    /// One sentence, and what to do.
    pub text: String,
    /// Whether a more urgent alert says the same: it is neither shown nor sent.
    pub is_implied: bool,
}

impl Alert {
    fn new(kind: AlertKind, severity: Severity, about: &str, text: String) -> Self {
        Self { key: format!("{kind} {about}"), kind, severity, about: about.to_owned(), text, is_implied: false }
    }

    /// Adds a detail to the key, so that another detail makes another alert.
    fn with_detail(self, detail: &impl std::fmt::Display) -> Self {
        Self { key: format!("{} {detail}", self.key), ..self }
    }
}

/// The last audit of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFacts {
    /// The account.
    pub account: String,
    /// The zone.
    pub zone: String,
    /// What it found.
    pub report: Report,
}

/// What alerts follow from. It may contain more than is relevant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Instances that failed, do not answer, or end by themselves.
    pub instances: Vec<Instance>,
    /// Services, also those that were deleted during the last day.
    pub services: Vec<Service>,
    /// Instances with stuck deletions.
    pub stuck: Vec<InstanceId>,
    /// The last audits.
    pub audits: Vec<AuditFacts>,
    /// The limits, and what is used of them.
    pub limits: Vec<(LimitScope, Limits, InUse)>,
}

/// All alerts.
#[must_use]
pub fn alerts(facts: &Facts, now: Timestamp) -> Vec<Alert> {
    let instances = facts.instances.iter().flat_map(|i| of_instance(i, now));
    let services = facts.services.iter().flat_map(|s| of_service(s, now));
    let stuck = facts.stuck.iter().map(|id| {
        let text = format!(
            "a deletion of instance {id} was requested more than 15 minutes ago and is not proven: inventiv explain {id}"
        );
        Alert::new(AlertKind::DeletionStuck, Severity::Critical, id.as_str(), text)
    });
    let audits = facts.audits.iter().flat_map(of_audit);
    instances
        .chain(services)
        .chain(stuck)
        .chain(audits)
        .chain(facts.limits.iter().flat_map(|(scope, limits, used)| limits::of_limits(scope, limits, used, now)))
        .collect()
}

/// A failed replica is not an alert: its service tells.
fn of_instance(i: &Instance, now: Timestamp) -> Vec<Alert> {
    let (id, name) = (i.id.as_str(), &i.name);
    let is_recent = |at: Option<Timestamp>| at.is_none_or(|at| now.ms_since(at) < PAST_MS);
    let mut found = Vec::new();
    if i.spec.replica_of.is_none() {
        if let Some(why) = why_failed(i).filter(|_| is_recent(i.terminated_at)) {
            let text = format!("instance {name} failed: {why}: inventiv explain {id}");
            found.push(Alert::new(AlertKind::InstanceFailed, Severity::Critical, id, text));
        } else if i.status == Status::Unavailable {
            let text = format!("the model of instance {name} does not answer any more: inventiv explain {id}");
            found.push(Alert::new(AlertKind::InstanceUnavailable, Severity::Critical, id, text));
        }
    }
    let end = End { expires_at: i.expires_at, desired: i.desired, requested_at: i.terminate_requested_at };
    // One that failed ends for that reason.
    let is_ending = i.failure.is_some() || i.status.is_final();
    let state = end.state(now).filter(|state| !(is_ending && matches!(state, EndState::Soon(_))));
    let kinds = (AlertKind::InstanceEndsSoon, AlertKind::InstanceEnded);
    found.extend(state.map(|state| state.alert(kinds, "instance", id, name)));
    found.extend(of_idle(i, now));
    found
}

/// An instance that nobody asks, and that ends or ended for it.
fn of_idle(i: &Instance, now: Timestamp) -> Option<Alert> {
    let at = i.idle_ends_at?;
    let (id, name) = (i.id.as_str(), &i.name);
    let end = End { expires_at: Some(at), desired: i.desired, requested_at: i.terminate_requested_at };
    // Who asks now and then lets it come near its end again and again: that is one alert, and not always sent.
    let (kind, detail, text) = match end.state(now)? {
        EndState::Soon(at) if i.status == Status::Ready => {
            let text =
                format!("nobody asks the model of instance {name}: it ends by itself at {at}; any request keeps it");
            (AlertKind::InstanceEndsSoon, "idle".to_owned(), text)
        }
        EndState::Soon(_) => return None,
        EndState::Over(at) => {
            let text = format!("instance {name} was ended at {at}: nobody asked its model");
            (AlertKind::InstanceEnded, format!("idle {at}"), text)
        }
    };
    Some(Alert::new(kind, Severity::Info, id, text).with_detail(&detail))
}

fn why_failed(i: &Instance) -> Option<&str> {
    let serving = || i.worker.as_ref()?.failure.as_ref().filter(|_| i.status == Status::StartupFailed);
    i.failure.as_ref().map(|f| &f.message).or_else(|| serving().map(|f| &f.why.message)).map(String::as_str)
}

fn of_service(s: &Service, now: Timestamp) -> Vec<Alert> {
    let (id, name) = (s.id.as_str(), &s.name);
    let mut found = Vec::new();
    if s.status == ServiceStatus::Degraded {
        let why = s.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        let text = format!("service {name} is degraded{why}; see inventiv service show {name}");
        found.push(Alert::new(AlertKind::ServiceDegraded, Severity::Critical, id, text));
    }
    // The request for its end is its last change.
    let requested_at = Some(s.updated_at).filter(|_| s.desired == Desired::Absent);
    let end = End { expires_at: s.expires_at, desired: s.desired, requested_at };
    let kinds = (AlertKind::ServiceEndsSoon, AlertKind::ServiceEnded);
    found.extend(end.state(now).map(|state| state.alert(kinds, "service", id, name)));
    found
}

/// Something that may end by itself.
struct End {
    expires_at: Option<Timestamp>,
    desired: Desired,
    requested_at: Option<Timestamp>,
}

enum EndState {
    Soon(Timestamp),
    /// Its end was requested at that time or later.
    Over(Timestamp),
}

impl End {
    fn state(&self, now: Timestamp) -> Option<EndState> {
        let at = self.expires_at?;
        if self.desired != Desired::Absent {
            return (at.ms_since(now) <= TOLD_BEFORE_MS).then_some(EndState::Soon(at));
        }
        // Whoever ends it before its time needs no message.
        let was_over = self.requested_at.is_some_and(|requested| requested >= at);
        (was_over && now.ms_since(at) < PAST_MS).then_some(EndState::Over(at))
    }
}

impl EndState {
    /// `noun` is `instance` or `service`, as on the command line.
    fn alert(self, (soon, over): (AlertKind, AlertKind), noun: &str, id: &str, name: &str) -> Alert {
        let (kind, at, text) = match self {
            Self::Soon(at) => {
                let text = format!("{noun} {name} ends by itself at {at}: inventiv {noun} extend {id} --ttl 2h");
                (soon, at, text)
            }
            Self::Over(at) => (over, at, format!("{noun} {name} was ended: its time was over at {at}")),
        };
        Alert::new(kind, Severity::Info, id, text).with_detail(&at)
    }
}

fn of_audit(a: &AuditFacts) -> Vec<Alert> {
    let place = place(a);
    let mut found: Vec<Alert> = a
        .report
        .findings
        .iter()
        .map(|f| {
            let (kind, severity) = match f.kind {
                FindingKind::Orphan => (AlertKind::OrphanFound, Severity::Critical),
                FindingKind::Suspect | FindingKind::Missing | FindingKind::Conflict => {
                    (AlertKind::AuditFinding, Severity::Warning)
                }
            };
            let text = format!(
                "the audit of {} in account {} found {} {} {} ({}): {}; {}",
                a.zone,
                a.account,
                article(f.kind),
                f.resource,
                f.provider_id,
                crate::text::legible(&f.name),
                f.why,
                f.remedy
            );
            let alert = Alert::new(kind, severity, &f.provider_id, text);
            // Ids of a cloud are unique in a zone.
            Alert { key: format!("{kind} {place} {} {}", f.kind, f.provider_id), ..alert }
        })
        .collect();
    if let Some(why) = &a.report.inconclusive {
        let text =
            format!("the last audit of {} in account {} is inconclusive: {why}; see inventiv audit", a.zone, a.account);
        let alert = Alert::new(AlertKind::AuditInconclusive, Severity::Warning, &a.zone, text);
        found.push(Alert { key: format!("{} {place}", AlertKind::AuditInconclusive), ..alert });
    }
    found
}

fn place(a: &AuditFacts) -> String {
    format!("{} {}", a.account, a.zone)
}

/// Whether an open alert must not be resolved now: the last audit, which could confirm it, is inconclusive.
#[must_use]
pub fn is_unknown(key: &str, facts: &Facts) -> bool {
    let blind = facts.audits.iter().filter(|a| a.report.inconclusive.is_some());
    let is_of = |a: &AuditFacts, kind: AlertKind| key.starts_with(&format!("{kind} {} ", place(a)));
    blind.into_iter().any(|a| is_of(a, AlertKind::OrphanFound) || is_of(a, AlertKind::AuditFinding))
}

const fn article(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Orphan => "an orphan,",
        FindingKind::Suspect => "a suspect,",
        FindingKind::Missing => "a missing",
        FindingKind::Conflict => "a conflict about",
    }
}

#[cfg(test)]
mod tests;
