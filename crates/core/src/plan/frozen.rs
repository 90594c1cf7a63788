//! Records that are older than the cloud: nothing is done for an instance until an operator decides.
//!
//! The policy of a volume is part of its name and tags, with a version that goes up with each change. A name with a
//! higher version than the row, or one that says *keep* where the row of the same version says *delete*, is newer than
//! the records, as after the restore of a backup. Then nothing is deleted and no name is set. `inventiv recover`
//! records the policy of the cloud; `inventiv volume retain` or `release` replaces both.

use super::Draft;
use crate::event_kind::EventKind;
use crate::name::CloudName;
use crate::observed::ObservedVolume;
use crate::recorded::{CloudPolicy, Volume};
use crate::status::Origin;

/// The policy that a volume's name shows, if it is newer than the recorded one.
#[must_use]
pub fn newer_policy(row: &Volume, shown: &ObservedVolume, control_plane: &str) -> Option<CloudPolicy> {
    let ours = row.origin != Origin::Foreign && (row.is_live() || row.is_kept());
    let name = CloudName::parse(&shown.name).filter(|n| ours && n.control_plane == control_plane)?;
    let lost_keep = name.policy_version == row.policy_version && !name.delete && row.delete_on_terminate;
    let newer = name.policy_version > row.policy_version || lost_keep;
    newer.then_some(CloudPolicy { delete: name.delete, version: name.policy_version })
}

/// Records volumes whose policy in the cloud is newer than the recorded one. While there is one, the plan is empty.
pub(super) fn check(draft: &mut Draft<'_, '_>) {
    let control_plane = draft.cx.control_plane.to_owned();
    for n in 0..draft.agg.volumes.len() {
        let row = &mut draft.agg.volumes[n];
        // If the volume is not shown, the last finding stays.
        if let Some(shown) = row.provider_id.as_deref().and_then(|id| draft.seen.volume(id)) {
            row.cloud_policy = newer_policy(row, shown, &control_plane);
        }
        let Some(cloud) = row.cloud_policy else { continue };
        let word = |delete: bool| if delete { "delete" } else { "keep" };
        let text = format!(
            "frozen: the records look older than the cloud: volume {} is marked `{}` (version {}) in the cloud, and `{}` \
             (version {}) in the records. Nothing is changed or deleted until you run `inventiv recover --from-provider \
             {control_plane} --apply` to record the cloud's policy, or `inventiv volume retain {}` or `release` to set it",
            row.provider_id.as_deref().unwrap_or(&row.name),
            word(cloud.delete),
            cloud.version,
            word(row.delete_on_terminate),
            row.policy_version,
            row.id,
        );
        if draft.frozen.is_none() {
            draft.emit(EventKind::RecordsOlderThanCloud, None, text.clone());
        }
        draft.frozen = Some(text);
    }
}
