//! Events of `GET /events`.

use crate::InstanceDetail;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The filter of a stream, and the position to resume after.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FollowEvents {
    /// Only changes of instances in this account, by its name or id.
    pub account: Option<String>,
    /// Only changes of this instance: its id, a unique prefix of its id, or its name.
    pub instance_id: Option<String>,
    /// Only changes of instances in this zone.
    pub zone: Option<String>,
    /// The `id` of the last event that you received. The header `Last-Event-ID` has precedence.
    pub after: Option<String>,
    /// `false`: a new stream begins with `live` instead of a snapshot, and tells what changes from now on.
    pub snapshot: Option<bool>,
}

/// One server-sent event, for the OpenAPI document, which has no schema for them. Each property is a line: `event:`,
/// `id:` and `data:`.
#[derive(Debug, Clone, ToSchema)]
pub struct StreamEvent {
    /// `snapshot`: a full list follows; discard what you know. `instance`: the state of an instance. `live`: all
    /// changes up to `id` were sent.
    #[schema(inline)]
    pub event: EventName,
    /// The position of the event. Resume after it with the header `Last-Event-ID` or the parameter `after`.
    pub id: Option<String>,
    /// JSON. `instance`: the instance. `snapshot`: an object with the `reason`. `live`: an empty object.
    pub data: Option<InstanceDetail>,
}

/// The names of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    /// Discard what you know: every instance that has not ended follows.
    Snapshot,
    /// The state of an instance.
    Instance,
    /// All changes up to the event's id were sent.
    Live,
}

/// The data of a `snapshot` event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SnapshotBegins {
    /// Why the stream begins with a snapshot.
    pub reason: SnapshotReason,
}

/// Why a stream begins with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotReason {
    /// It is a new stream.
    Start,
    /// The database does not know the position that the stream should resume after.
    UnknownId,
}
