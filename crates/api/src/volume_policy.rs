//! What happens to a volume when its instance ends: requests to keep it, or to delete it.

use crate::App;
use crate::etag::{self, IfMatch};
use crate::problem::ApiError;
use crate::request_log::log;
use inventiv_core::event_kind::EventKind;
use inventiv_core::recorded::{Server, Volume};
use inventiv_core::status::{Origin, VolumeKind, VolumeStatus};
use inventiv_store::VolumeWithOwner;
use inventiv_types::{OwnedVolume, Storage};

/// Identifies the state of a volume. A price that changed makes no other state of it.
pub(crate) fn tag(v: &OwnedVolume) -> String {
    let storage = Storage { hourly_micros: None, ..v.storage.clone() };
    etag::of(&OwnedVolume { currency: String::new(), storage, ..v.clone() })
}

/// Sets whether a volume is deleted when its instance ends. If it is already retained, `delete` releases it now.
pub(crate) async fn set(app: &App, owned: &VolumeWithOwner, delete: bool, read: &IfMatch) -> Result<(), ApiError> {
    let now = app.now();
    let id = owned.volume.id.clone();
    app.store()
        .change(&owned.instance_id, now, |agg| {
            let going: Vec<bool> = agg
                .servers
                .iter()
                .filter(|s| s.is_primary && s.delete_intended_at.is_some())
                .map(Server::is_live)
                .collect();
            let Some(volume) = agg.volume_mut(&id) else { return Ok::<_, ApiError>(Vec::new()) };
            read.check(&tag(&app.view_volume(&VolumeWithOwner { volume: volume.clone(), ..owned.clone() })))?;
            if let Some(owner) = &volume.reused_by {
                let text = format!("the volume was given to instance {owner}: change it there; `inventiv volume list --instance {owner}` shows its id");
                return Err(ApiError::conflict("too_late", text));
            }
            // A block volume survives the removal of its server; a local one does not.
            let going = going.into_iter().any(|live| live || !volume.is_block());
            if volume.delete_on_terminate == delete && volume.cloud_policy.is_none() {
                return Ok(Vec::new());
            }
            may_change_policy(volume, delete, going)?;
            volume.set_policy(delete);
            if volume.status == VolumeStatus::Retained {
                volume.status = VolumeStatus::Available;
            }
            agg.instance.settled = false;
            agg.instance.wake_at = now;
            let kind = if delete { EventKind::RequestReleaseVolume } else { EventKind::RequestRetainVolume };
            Ok(vec![log(app, &agg.instance, kind, Some(id.as_str()), now)])
        })
        .await?;
    app.store().tell_change();
    Ok(())
}

fn may_change_policy(volume: &Volume, delete: bool, server_is_going: bool) -> Result<(), ApiError> {
    let refuse = |text: &str| Err(ApiError::conflict("too_late", text));
    if volume.origin == Origin::Foreign {
        return refuse("this volume belongs to a third party: it is never deleted, and its policy cannot be changed");
    }
    match volume.status {
        VolumeStatus::Deleted | VolumeStatus::Failed => return refuse("the volume no longer exists"),
        VolumeStatus::Reused => {
            return refuse("the volume was given to another instance: change it there (`reused_by`)");
        }
        VolumeStatus::Released => return refuse("this volume belongs to a third party: its policy cannot be changed"),
        VolumeStatus::Creating
        | VolumeStatus::Available
        | VolumeStatus::Attaching
        | VolumeStatus::Attached
        | VolumeStatus::Detaching
        | VolumeStatus::Deleting
        | VolumeStatus::Retained => {}
    }
    if delete {
        return Ok(());
    }
    if volume.volume_type.kind == VolumeKind::LocalWithServer {
        return refuse("a scratch volume is always deleted with its server; copy its contents to a data volume");
    }
    if volume.delete_intended_at.is_some() {
        return refuse("the deletion of the volume is already in progress");
    }
    if server_is_going {
        return refuse("the removal of the server is already in progress: it is too late to keep the volume");
    }
    Ok(())
}
