//! `/volumes`

use super::limit;
use crate::App;
use crate::etag::{IfMatch, Tagged, tagged};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::view;
use crate::volume_policy;
use axum::extract::State;
use inventiv_core::id::VolumeId;
use inventiv_core::status::VolumeStatus;
use inventiv_store::{VolumeFilter, VolumeWithOwner};
use inventiv_types::{ChangeVolume, ListVolumes, OwnedVolume, Page};

/// List volumes
#[utoipa::path(get, operation_id = "listVolumes", path = "/volumes", params(ListVolumes), tag = "volumes",
    responses((status = 200, description = "One page of volumes, oldest first", body = Page<OwnedVolume>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListVolumes>,
) -> Result<axum::Json<Page<OwnedVolume>>, ApiError> {
    let limit = limit(query.limit)?;
    super::check_words(&[query.zone.as_deref()])?;
    super::check_after(query.after.as_deref(), |id| VolumeId::parse(id).is_some())?;
    if let Some(zone) = &query.zone {
        super::check_zone(zone, &super::zones(&app).await?)?;
    }
    let status = query.status.as_deref().map(|s| VolumeStatus::parse(s).ok_or_else(unknown_status)).transpose()?;
    let instance_id = match query.instance_id.as_deref() {
        Some(id) => Some(crate::resolve::instance(&app, id, query.account.as_deref()).await?),
        None => None,
    };
    let account = query.account.as_deref().map(|named| app.account_of_query(Some(named))).transpose()?;
    let filter = VolumeFilter {
        account_id: account.map(|a| a.id.clone()),
        status,
        instance_id,
        zone: query.zone,
        after: query.after,
        limit: limit + 1,
    };
    let rows = app.store().volumes(&filter).await?;
    Ok(axum::Json(view::page(rows, limit, |v| v.volume.id.to_string(), |v| app.view_volume(v))))
}

fn unknown_status() -> ApiError {
    let words: Vec<&str> = VolumeStatus::ALL.iter().map(|s| s.text()).collect();
    ApiError::parameter("status", format!("must be one of {}", words.join(", ")))
}

/// Show a volume
#[utoipa::path(get, operation_id = "getVolume", path = "/volumes/{id}", tag = "volumes",
    params(("id" = String, Path, description = "The id of the volume")),
    responses((status = 200, description = "The volume", body = OwnedVolume,
        headers(("ETag" = String, description = "Identifies this state of the volume, for `If-Match`")))))]
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Tagged<OwnedVolume>, ApiError> {
    Ok(shown(&app, &find(&app, &id).await?))
}

fn shown(app: &App, owned: &VolumeWithOwner) -> Tagged<OwnedVolume> {
    let view = app.view_volume(owned);
    tagged(volume_policy::tag(&view), view)
}

/// Waits until the volume's name in the cloud contains its policy, for `policy_wait` at most, and returns the volume.
async fn written(app: &App, id: &str) -> Result<VolumeWithOwner, ApiError> {
    const EVERY: std::time::Duration = std::time::Duration::from_millis(100);
    let ends = tokio::time::Instant::now() + app.inner.policy_wait;
    loop {
        let owned = find(app, id).await?;
        if owned.volume.tagged_at.is_some() || tokio::time::Instant::now() >= ends {
            return Ok(owned);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Keep or release a volume
///
/// The policy is also written to the volume's name in the cloud, where it survives a database that is restored from a
/// backup. The response waits for this for at most 5 seconds; `policy_written` says whether it has happened.
#[utoipa::path(patch, operation_id = "updateVolume", path = "/volumes/{id}",
    params(("id" = String, Path, description = "The id of the volume"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the volume has changed since, the request fails with 412")),
    request_body = ChangeVolume, tag = "volumes",
    responses((status = 200, description = "The changed volume", body = OwnedVolume)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    read: IfMatch,
    Json(change): Json<ChangeVolume>,
) -> Result<Tagged<OwnedVolume>, ApiError> {
    let owned = find(&app, &id).await?;
    volume_policy::set(&app, &owned, change.delete_on_terminate, &read).await?;
    Ok(shown(&app, &written(&app, &id).await?))
}

impl App {
    /// A volume with its price.
    pub(crate) fn view_volume(&self, v: &VolumeWithOwner) -> OwnedVolume {
        view::owned_volume(v, &self.storage_prices(&v.account_id, &v.zone))
    }
}

async fn find(app: &App, id: &str) -> Result<VolumeWithOwner, ApiError> {
    let missing = || ApiError::not_found("volume", id);
    let parsed = VolumeId::parse(id).ok_or_else(missing)?;
    app.store().volume(&parsed).await?.ok_or_else(missing)
}
