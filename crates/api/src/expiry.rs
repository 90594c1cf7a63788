//! Instances and services that end by themselves.

use crate::App;
use crate::etag::{self, IfMatch};
use crate::problem::{ApiError, wrong_field};
use crate::request_log::log_with;
use inventiv_core::event_kind::EventKind;
use inventiv_core::expiry::{TTL_RANGE_S, extend};
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::Desired;
use inventiv_core::time::Timestamp;
use inventiv_types::{CreateInstance, FieldError};

/// The mistake of a `ttl_seconds`, if there is one.
pub(crate) fn wrong_ttl(ttl_seconds: Option<i64>) -> Option<FieldError> {
    let (least, most) = (TTL_RANGE_S.start(), TTL_RANGE_S.end());
    let text = format!("must be a whole number of seconds from {least} to {most}");
    ttl_seconds.filter(|s| !TTL_RANGE_S.contains(s)).map(|_| wrong_field("ttl_seconds", text))
}

/// How long nobody may ask the model of an instance, in milliseconds; `None`: for ever. `serves`: a worker sees who asks.
pub(crate) fn idle_ms(request: &CreateInstance, serves: bool) -> Result<Option<i64>, ApiError> {
    let Some(seconds) = request.idle_seconds else { return Ok(None) };
    let (least, most) = (TTL_RANGE_S.start(), TTL_RANGE_S.end());
    if !TTL_RANGE_S.contains(&seconds) {
        let text = format!("must be a whole number of seconds from {least} to {most}");
        return Err(ApiError::field("idle_seconds", text));
    }
    if !serves {
        let text = "needs a model and an engine: the worker that serves the model knows who asks";
        return Err(ApiError::field("idle_seconds", text));
    }
    Ok(Some(seconds.saturating_mul(1_000)))
}

/// When something ends that may live so long from now on; `None`: never.
pub(crate) fn at(ttl_seconds: Option<i64>, now: Timestamp) -> Option<Timestamp> {
    ttl_seconds.map(|s| now.plus_ms(s.saturating_mul(1_000)))
}

/// Sets when an instance ends by itself.
pub(crate) async fn extend_instance(
    app: &App,
    id: &InstanceId,
    ttl_seconds: Option<i64>,
    read: &IfMatch,
) -> Result<Aggregate, ApiError> {
    wrong_ttl(ttl_seconds).map_or(Ok(()), |wrong| Err(ApiError::all(vec![wrong])))?;
    let now = app.now();
    let changed = app
        .store()
        .change(id, now, |agg| {
            read.check(&etag::of_version(agg.instance.version))?;
            refuse(agg)?;
            let expires_at = at(ttl_seconds, now);
            if !extend(&mut agg.instance, expires_at) {
                return Ok::<_, ApiError>(Vec::new());
            }
            let text = expires_at.map_or_else(|| "it does not end by itself".to_owned(), |at| format!("ends at {at}"));
            Ok(vec![log_with(app, &agg.instance, EventKind::RequestExtend, text, now)])
        })
        .await?;
    app.store().tell_change();
    changed.ok_or_else(|| ApiError::not_found("instance", id.as_str()))
}

fn refuse(agg: &Aggregate) -> Result<(), ApiError> {
    let i = &agg.instance;
    if i.desired == Desired::Absent || i.failure.is_some() || i.status.is_final() {
        let text = format!("the instance is {}: its end was requested", i.status);
        return Err(ApiError::conflict("too_late", text));
    }
    if i.spec.replica_of.is_some() {
        let text = "the instance belongs to a service, which would replace it; extend the service";
        return Err(ApiError::conflict("of_service", text));
    }
    Ok(())
}
