//! Requests about an instance that exists. What each changes is decided by [`inventiv_core::request`].

use crate::App;
use crate::etag::{self, IfMatch};
use crate::problem::ApiError;
use crate::request_log::log;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::request::{Refusal, Request};
use inventiv_core::status::Status;
use inventiv_core::time::Timestamp;

/// Records a request. It is idempotent: one that changes nothing writes nothing. `since`: when an earlier attempt began, whose
/// response was lost.
pub(crate) async fn record(
    app: &App,
    id: &InstanceId,
    what: Request,
    read: &IfMatch,
    since: Option<Timestamp>,
) -> Result<Aggregate, ApiError> {
    let now = app.now();
    let changed = app
        .store()
        .change(id, now, |agg| {
            // An earlier attempt recorded it, and its response was lost: a second reboot would be one too many.
            let recorded = agg.instance.reboot_requested_at.filter(|_| what == Request::Reboot);
            if since.is_some_and(|since| recorded.is_some_and(|at| at >= since)) {
                return Ok(Vec::new());
            }
            read.check(&etag::of_version(agg.instance.version))?;
            let status = agg.instance.status;
            let changes = what.apply(&mut agg.instance, now).map_err(|refusal| explain(refusal, status))?;
            Ok::<_, ApiError>(if changes { vec![log(app, &agg.instance, what.kind(), None, now)] } else { Vec::new() })
        })
        .await?;
    app.store().tell_change();
    changed.ok_or_else(|| ApiError::not_found("instance", id.as_str()))
}

fn explain(refusal: Refusal, status: Status) -> ApiError {
    match refusal {
        Refusal::Ending => ApiError::conflict("too_late", format!("the instance is {status}: its end was requested")),
        Refusal::NeverReady => {
            let text = format!("the instance is {status} and was never ready: wait until it is, or terminate it");
            ApiError::conflict("not_ready", text)
        }
        Refusal::OfService => {
            let text = "the instance belongs to a service, which would replace it; terminate it, or change the service: \
                        `max_replicas`, `idle_seconds`";
            ApiError::conflict("of_service", text)
        }
        Refusal::NotReady => {
            let text = format!("only a ready instance can be rebooted, and this one is {status}");
            ApiError::conflict("not_ready", text)
        }
    }
}
