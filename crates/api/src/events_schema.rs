//! What `GET /events` sends, for the OpenAPI document: server-sent events have no schema of their own there.

use crate::view::InstanceDetail;
use utoipa::ToSchema;

/// One server-sent event: the lines `event:`, `id:` and `data:`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a description")]
pub(crate) struct StreamEvent {
    /// Its kind: forget what you hold, an instance that changed, or: all that was is told.
    #[schema(inline)]
    event: EventKind,
    /// Where to go on from: `Last-Event-ID`, or `after`.
    id: Option<String>,
    /// JSON: the instance for `instance`, an empty object for the others.
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
