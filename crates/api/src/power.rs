//! Requests to stop, start and reboot an instance: changes of its desired state.

use crate::App;
use crate::etag::{self, IfMatch};
use crate::mutations::log;
use crate::problem::ApiError;
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::{Aggregate, Instance};
use inventiv_core::status::{Desired, Status};

/// What is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Stop,
    Start,
    Reboot,
}

impl Power {
    fn kind(self) -> EventKind {
        match self {
            Self::Stop => EventKind::RequestStop,
            Self::Start => EventKind::RequestStart,
            Self::Reboot => EventKind::RequestReboot,
        }
    }
}

/// Records the request. Stopping what is stopped, and starting what runs, changes nothing.
pub(crate) async fn request(app: &App, id: &InstanceId, power: Power, read: &IfMatch) -> Result<Aggregate, ApiError> {
    let now = app.now();
    let changed = app
        .store()
        .change(id, now, |agg| {
            read.check(&etag::of_version(agg.instance.version))?;
            let i = &mut agg.instance;
            refuse(i, power)?;
            let desired = if power == Power::Stop { Desired::Stopped } else { Desired::Present };
            if i.desired == desired && power != Power::Reboot {
                return Ok::<_, ApiError>(Vec::new());
            }
            if power == Power::Reboot {
                i.reboot_requested_at = Some(now);
            }
            i.desired = desired;
            i.settled = false;
            i.wake_at = now;
            Ok(vec![log(app, &agg.instance, power.kind(), None, now)])
        })
        .await?;
    app.store().tell_change();
    changed.ok_or_else(|| ApiError::not_found("instance", id.as_str()))
}

fn refuse(i: &Instance, power: Power) -> Result<(), ApiError> {
    let status = i.status;
    if i.desired == Desired::Absent || i.failure.is_some() || status.is_final() {
        return Err(ApiError::conflict("too_late", format!("the instance is {status}: its end was requested")));
    }
    if i.ready_at.is_none() {
        let text = format!("the instance is {status} and was never ready: wait until it is, or terminate it");
        return Err(ApiError::conflict("not_ready", text));
    }
    if power == Power::Reboot && (status != Status::Ready || i.desired != Desired::Present) {
        let text = format!("only a ready instance can be rebooted, and this one is {status}");
        return Err(ApiError::conflict("not_ready", text));
    }
    Ok(())
}
