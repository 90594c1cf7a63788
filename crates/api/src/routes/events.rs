//! `/events`

use crate::App;
use crate::extract::Query;
use crate::feed::{Filter, Stream};
use crate::problem::ApiError;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use inventiv_core::id::InstanceId;
use inventiv_store::Cursor;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use utoipa::IntoParams;

/// How long a stream is silent at the most: shorter than the patience of what stands between.
const SILENCE: Duration = Duration::from_secs(15);

/// What a stream is about, and where it goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowEvents {
    /// Only of this instance: its id, a unique beginning of it, or its name.
    instance_id: Option<String>,
    /// Only in this zone.
    zone: Option<String>,
    /// The `id` of the last event that you have; the header `Last-Event-ID` says the same, and comes before it.
    after: Option<String>,
}

/// Follow every change as it happens
///
/// Server-sent events. `instance`: one that changed, as `GET /instances/{id}` shows it. A stream without an `id` to go on from begins
/// with `snapshot` (forget what you hold), then every instance whose life is not over. `live`: everything up to its `id` was told;
/// from here on, changes come as they happen, within a second. With the `id` of the last event that you have, it goes on after it, on any server of the same
/// database: nothing is missed, what ended meanwhile included. An instance that changed several times comes once, as it is.
/// An id that this database does not know (it was restored, or moved) begins with `snapshot`.
#[utoipa::path(get, operation_id = "followEvents", path = "/events", params(FollowEvents,
    ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that you have")), tag = "events",
    responses((status = 200, description = "Events, without end: each as `StreamEvent` describes", body = String, content_type = "text/event-stream", example = "event: instance\nid: 42\ndata: {\"id\":\"ins-…\",\"status\":\"ready\"}\n\n")))]
pub(crate) async fn follow(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<FollowEvents>,
) -> Result<impl IntoResponse, ApiError> {
    super::check_words(&[query.zone.as_deref()])?;
    // Refused before the database is asked anything.
    let room = Stream::room(&app)?;
    if let Some(zone) = &query.zone {
        super::check_zone(zone, &super::zones(&app).await?)?;
    }
    let instance = match query.instance_id.as_deref() {
        None => None,
        Some(id) => Some(known(&app, id).await?),
    };
    let last = headers.get("last-event-id").map(|v| v.to_str().unwrap_or("?")).filter(|id| !id.is_empty());
    let last = last
        .or(query.after.as_deref().filter(|id| !id.is_empty()))
        .map(|id| Cursor::parse(id).ok_or_else(no_place))
        .transpose()?;
    let events = Stream::open(&app, Filter { instance, zone: query.zone }, last, room).await?.begin();
    let events = futures::stream::unfold(events, |mut events| async {
        let event: Event = events.recv().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // What stands between is not to collect it.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE).text("still here"))))
}

async fn known(app: &App, id: &str) -> Result<InstanceId, ApiError> {
    let missing = || ApiError::not_found("instance", id);
    let parsed = crate::resolve::instance(app, id).await?;
    app.store().instance(&parsed).await?.map(|_| parsed).ok_or_else(missing)
}

fn no_place() -> ApiError {
    ApiError::invalid(
        "after, Last-Event-ID: not the id of an event of this stream; leave it out to begin with what is there",
    )
}
