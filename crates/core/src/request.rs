//! What users may request of an instance that exists, and what each request changes in its record.

use crate::event_kind::EventKind;
use crate::recorded::Instance;
use crate::status::{Desired, Status};
use crate::time::Timestamp;

/// A request to change the desired state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// End it: its server and the volumes that are not retained are deleted.
    Terminate,
    /// Power its server off and keep its volumes.
    Stop,
    /// Power its server on again.
    Start,
    /// Reboot its server.
    Reboot,
}

/// Why a request was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its end was requested, or it failed.
    Ending,
    /// It was never ready, so that stopping it could lose track of its creation.
    NeverReady,
    /// Only a ready instance can be rebooted.
    NotReady,
    /// It belongs to a service, which would replace it, while its volumes went on costing money.
    OfService,
}

impl Request {
    /// The kind of its line in the action log.
    #[must_use]
    pub fn kind(self) -> EventKind {
        match self {
            Self::Terminate => EventKind::RequestTerminate,
            Self::Stop => EventKind::RequestStop,
            Self::Start => EventKind::RequestStart,
            Self::Reboot => EventKind::RequestReboot,
        }
    }

    /// Records the request. Returns whether it changed anything: asking twice is no mistake.
    ///
    /// An instance whose end was requested counts as `terminating` from then on, before anything is done about it.
    /// Every other status is the result of an observation.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub fn apply(self, i: &mut Instance, now: Timestamp) -> Result<bool, Refusal> {
        let desired = match self {
            Self::Terminate => Desired::Absent,
            Self::Stop => Desired::Stopped,
            Self::Start | Self::Reboot => Desired::Present,
        };
        if self == Self::Terminate {
            if i.desired == desired || i.status.is_final() {
                return Ok(false);
            }
            // What a model is answering is finished first.
            let drains = i.status == Status::Ready && i.worker.is_some();
            i.status = if drains { Status::Draining } else { Status::Terminating };
            i.terminate_requested_at.get_or_insert(now);
        } else {
            self.allowed(i)?;
            if i.desired == desired && self != Self::Reboot {
                return Ok(false);
            }
        }
        if self == Self::Reboot {
            i.reboot_requested_at = Some(now);
        }
        i.desired = desired;
        i.idle_ends_at = None;
        i.settled = false;
        i.wake_at = now;
        Ok(true)
    }

    fn allowed(self, i: &Instance) -> Result<(), Refusal> {
        if i.desired == Desired::Absent || i.failure.is_some() || i.status.is_final() {
            return Err(Refusal::Ending);
        }
        if self == Self::Stop && i.spec.replica_of.is_some() {
            return Err(Refusal::OfService);
        }
        if i.up_at.is_none() {
            return Err(Refusal::NeverReady);
        }
        if self == Self::Reboot && (!i.is_up() || i.desired != Desired::Present) {
            return Err(Refusal::NotReady);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
