//! The events of `GET /events`, for the OpenAPI document, which has no schema for server-sent events.

use crate::view::InstanceDetail;
use utoipa::ToSchema;

/// One server-sent event. Each property is a line: `event:`, `id:` and `data:`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a description")]
pub(crate) struct StreamEvent {
    /// `snapshot`: a full list follows; discard what you know. `instance`: the state of an instance. `live`: all
    /// changes up to `id` were sent.
    #[schema(inline)]
    event: EventKind,
    /// The position of the event. Resume after it with the header `Last-Event-ID` or the parameter `after`.
    id: Option<String>,
    /// JSON. `instance`: the instance. `snapshot`: an object with the `reason`. `live`: an empty object.
    data: Option<InstanceDetail>,
}

/// The kinds of events.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "a description")]
enum EventKind {
    Snapshot,
    Instance,
    Live,
}
