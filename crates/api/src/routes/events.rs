//! `/events`

use crate::App;
use crate::extract::Query;
use crate::feed::{Begin, Filter, Stream};
use crate::problem::ApiError;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use inventiv_core::id::InstanceId;
use inventiv_store::Cursor;
use inventiv_types::FollowEvents;
use std::convert::Infallible;
use std::time::Duration;

/// The interval of keep-alive comments; it is shorter than the idle time-outs of proxies.
const SILENCE: Duration = Duration::from_secs(15);

/// Stream all changes of instances
///
/// The response is an endless stream of server-sent events:
///
/// - `snapshot`: discard what you know. Every instance that has not ended follows.
/// - `instance`: the state of an instance, as `GET /instances/{id}` returns it.
/// - `live`: all changes up to the `id` of this event were sent. Later changes follow within a second.
///
/// A new stream begins with `snapshot`. To resume a stream, send the `id` of the last event that you received. The
/// stream then continues after it, on any replica, without gaps; it includes instances that have ended in the meantime.
/// An instance that changed several times is sent once, in its current state. If the database does not know the `id`,
/// because it was restored or moved, the stream begins with `snapshot`.
///
/// A stream that was opened with the token of a session ends after five minutes, to be resumed: a session may have ended.
#[utoipa::path(get, operation_id = "followEvents", path = "/events", params(FollowEvents,
    ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that you received")),
    tag = "events",
    responses((status = 200, description = "An endless stream of events; each is a `StreamEvent`", body = String,
        content_type = "text/event-stream",
        example = "event: instance\nid: 42\ndata: {\"id\":\"ins-…\",\"status\":\"ready\"}\n\n")))]
pub(crate) async fn follow(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<FollowEvents>,
) -> Result<impl IntoResponse, ApiError> {
    super::check_words(&[query.zone.as_deref()])?;
    // Refused before the first database query.
    let room = Stream::room(&app)?;
    if let Some(zone) = &query.zone {
        super::check_zone(zone, &super::zones(&app).await?)?;
    }
    let account = query.account.as_deref().map(|named| app.account_of_query(Some(named))).transpose()?;
    let instance = match query.instance_id.as_deref() {
        None => None,
        Some(id) => Some(known(&app, id, query.account.as_deref()).await?),
    };
    let last = headers.get("last-event-id").map(|v| v.to_str().unwrap_or("?")).filter(|id| !id.is_empty());
    let last = last
        .or(query.after.as_deref().filter(|id| !id.is_empty()))
        .map(|id| Cursor::parse(id).ok_or_else(no_place))
        .transpose()?;
    let events = Stream::open(
        &app,
        Filter { instance, account_id: account.map(|a| a.id.clone()), zone: query.zone },
        Begin { last, wants_snapshot: query.snapshot != Some(false) },
        room,
    )
    .await?
    .begin();
    let events = futures::stream::unfold(events, |mut events| async {
        let event: Event = events.recv().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Proxies must not buffer the stream.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE).text("keep-alive"))))
}

async fn known(app: &App, id: &str, account: Option<&str>) -> Result<InstanceId, ApiError> {
    let missing = || ApiError::not_found("instance", id);
    let parsed = crate::resolve::instance(app, id, account).await?;
    app.store().instance(&parsed).await?.map(|_| parsed).ok_or_else(missing)
}

fn no_place() -> ApiError {
    ApiError::invalid("after, Last-Event-ID: not the id of an event of this stream; omit it to begin with a snapshot")
}
