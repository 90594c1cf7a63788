//! A retained volume for a new instance.

use crate::App;
use crate::accounts::Account;
use crate::problem::ApiError;
use crate::request_log::log;
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::VolumeId;
use inventiv_core::recorded::{Aggregate, DataVolumeSpec, NotGiven};
use inventiv_core::size::gb_ceil;
use inventiv_core::status::VolumeStatus;
use inventiv_store::{LogWrite, VolumeWithOwner};
use inventiv_types::CreateInstance;

/// The volume that a request names, if it can be given to an instance in the account and zone of the request.
pub(crate) async fn find(
    app: &App,
    request: &CreateInstance,
    account: &Account,
) -> Result<Option<VolumeWithOwner>, ApiError> {
    let Some(id) = request.volume_id.as_deref() else { return Ok(None) };
    let refuse = |text: String| Err(ApiError::field("volume_id", text));
    let parsed = VolumeId::parse(id);
    let found = match &parsed {
        Some(parsed) => app.store().volume(parsed).await?,
        None => None,
    };
    let Some(found) = found.filter(|v| v.account_id == account.id) else {
        return refuse(
            "no such volume; `GET /volumes?status=retained` lists the volumes that can be reused".to_owned(),
        );
    };
    if found.zone != request.zone {
        return refuse(format!("the volume is in {}; only an instance in the same zone can use it", found.zone));
    }
    Ok(Some(found))
}

/// The data volume that an instance gets with it.
pub(crate) fn spec(of: &VolumeWithOwner) -> DataVolumeSpec {
    let (v, bytes) = (&of.volume, of.volume.size_bytes.unwrap_or(0));
    DataVolumeSpec {
        size_bytes: bytes,
        perf_iops: v.perf_iops,
        delete_on_terminate: false,
        size_reason: format!("volume {} with {} GB, retained from instance {}", v.id, gb_ceil(bytes), of.instance_id),
    }
}

/// What is written when a volume is given away: its instance before and after that, and the line of the action log.
pub(crate) struct Given {
    pub(crate) before: Aggregate,
    pub(crate) after: Aggregate,
    pub(crate) line: LogWrite,
}

/// Gives the volume to `to`, in both records.
pub(crate) async fn give(app: &App, of: &VolumeWithOwner, to: &mut Aggregate) -> Result<Given, ApiError> {
    let gone = || ApiError::not_found("volume", of.volume.id.as_str());
    let before = app.store().instance(&of.instance_id).await?.ok_or_else(gone)?;
    let (mut after, now) = (before.clone(), app.now());
    let row = after.volume_mut(&of.volume.id).ok_or_else(gone)?;
    let (status, reused_by) = (row.status, row.reused_by.clone());
    let given = row.give(&of.instance_id, &to.instance.id, VolumeId::new(app.draw()), now).map_err(|why| {
        let text = match (why, reused_by) {
            (NotGiven::NotRetained, Some(by)) => format!(
                "the volume was given to instance {by}; `inventiv volume list --instance {by}` shows what became of it"
            ),
            (NotGiven::NotRetained, None) if status == VolumeStatus::Retained => {
                "the volume is being deleted".to_owned()
            }
            (NotGiven::NotRetained, None) => {
                format!(
                    "the volume is {status}, and only a retained volume of an instance that has ended can be reused"
                )
            }
            (NotGiven::NotData, _) => "only a data volume can be reused, not one that a server booted from".to_owned(),
            (NotGiven::Local, _) => "the volume is on the disk of a host; only block storage can be reused".to_owned(),
            (NotGiven::Frozen, _) => {
                "the records look older than the cloud; see the notes of the volume's instance".to_owned()
            }
        };
        ApiError::conflict("volume_not_available", text)
    })?;
    to.volumes.push(given);
    let line = log(app, &after.instance, EventKind::RequestReuseVolume, Some(of.volume.id.as_str()), now);
    Ok(Given { before, after, line })
}
