//! `/instances/{id}/stop`, `/start`, `/reboot` and `/extend`

use super::instances::detail;
use crate::App;
use crate::etag::{self, IfMatch, Tagged, tagged};
use crate::expiry;
use crate::extract::{Json, Path, Query};
use crate::idempotency::NewId;
use crate::problem::ApiError;
use crate::requests;
use crate::resolve;
use axum::extract::State;
use axum::http::StatusCode;
use inventiv_core::recorded::Aggregate;
use inventiv_core::request::Request;
use inventiv_types::{Extend, InstanceDetail, OfAccount};

/// Stop an instance
///
/// Powers the server off and keeps its volumes, which still cost money. Local volumes marked as scratch may lose their
/// data. The request is idempotent. The status is `stopping`, then `stopped`.
#[utoipa::path(post, operation_id = "stopInstance", path = "/instances/{id}/stop", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the instance has changed since, the request fails with 412")),
    responses((status = 202, description = "The request was recorded", body = InstanceDetail)))]
pub(crate) async fn stop(
    app: State<App>,
    id: Path<String>,
    of: Query<OfAccount>,
    read: IfMatch,
    attempt: NewId,
) -> Result<(StatusCode, Tagged<InstanceDetail>), ApiError> {
    let parsed = resolve::instance(&app, &id.0, of.0.account.as_deref()).await?;
    answer(&app, requests::record(&app, &parsed, Request::Stop, &read, attempt.since).await?).await
}

/// Start a stopped instance
///
/// The request is idempotent. The status is `booting`, then `ready`. If the zone is out of stock, the start is tried
/// again until it succeeds, or until the instance is stopped or terminated: its volumes are kept.
#[utoipa::path(post, operation_id = "startInstance", path = "/instances/{id}/start", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the instance has changed since, the request fails with 412")),
    responses((status = 202, description = "The request was recorded", body = InstanceDetail)))]
pub(crate) async fn start(
    app: State<App>,
    id: Path<String>,
    of: Query<OfAccount>,
    read: IfMatch,
    attempt: NewId,
) -> Result<(StatusCode, Tagged<InstanceDetail>), ApiError> {
    let parsed = resolve::instance(&app, &id.0, of.0.account.as_deref()).await?;
    answer(&app, requests::record(&app, &parsed, Request::Start, &read, attempt.since).await?).await
}

/// Reboot an instance
///
/// Refused unless the instance is `ready`. The status does not change.
#[utoipa::path(post, operation_id = "rebootInstance", path = "/instances/{id}/reboot", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the instance has changed since, the request fails with 412")),
    responses((status = 202, description = "The request was recorded", body = InstanceDetail)))]
pub(crate) async fn reboot(
    app: State<App>,
    id: Path<String>,
    of: Query<OfAccount>,
    read: IfMatch,
    attempt: NewId,
) -> Result<(StatusCode, Tagged<InstanceDetail>), ApiError> {
    let parsed = resolve::instance(&app, &id.0, of.0.account.as_deref()).await?;
    answer(&app, requests::record(&app, &parsed, Request::Reboot, &read, attempt.since).await?).await
}

/// Set when an instance ends by itself
///
/// Ten minutes before, the action log says so, and at that time the instance is terminated. Retained volumes stay. Refused for
/// an instance of a service: extend the service.
#[utoipa::path(post, operation_id = "extendInstance", path = "/instances/{id}/extend", tag = "instances",
    params(OfAccount, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the instance has changed since, the request fails with 412")),
    request_body = Extend,
    responses((status = 200, description = "The changed instance", body = InstanceDetail)))]
pub(crate) async fn extend(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(of): Query<OfAccount>,
    read: IfMatch,
    Json(body): Json<Extend>,
) -> Result<Tagged<InstanceDetail>, ApiError> {
    let id = resolve::instance(&app, &id, of.account.as_deref()).await?;
    let agg = expiry::extend_instance(&app, &id, body.ttl_seconds, &read).await?;
    Ok(tagged(etag::of_version(agg.instance.version), detail(&app, &agg).await?))
}

async fn answer(app: &App, agg: Aggregate) -> Result<(StatusCode, Tagged<InstanceDetail>), ApiError> {
    Ok((StatusCode::ACCEPTED, tagged(etag::of_version(agg.instance.version), detail(app, &agg).await?)))
}
