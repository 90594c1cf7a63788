//! A volume that was retained from an earlier instance and given to this one.

use super::*;
use crate::id::InstanceId;
use crate::name::CloudName;
use crate::recorded::{CloudPolicy, NotGiven, Volume};

fn earlier() -> InstanceId {
    InstanceId::new(3)
}

/// The volume as the records of its earlier instance show it.
fn retained() -> Volume {
    let name = format!("iva-test-{}-data-1-keep-v1", "0".repeat(4));
    Volume {
        name,
        origin: Origin::Ours,
        volume_type: volume_type("sbs_volume"),
        size_bytes: Some(200 * GB),
        delete_on_terminate: false,
        policy_version: 1,
        status: VolumeStatus::Retained,
        tagged_at: Some(T0),
        attached_at: Some(T0),
        ..Volume::found(VolumeId::new(9), "data".into(), T0)
    }
}

/// A new instance that was given the volume; the cloud shows it, free.
fn given() -> Stage {
    let mut stage = Stage::new();
    let to = stage.agg.instance.id.clone();
    let row = retained().give(&earlier(), &to, VolumeId::new(50), stage.now).unwrap();
    let mut seen = observed_volume("data", &row.name, "sbs_volume", None);
    (seen.state, seen.size_bytes) = (VolumeState::Available, Some(200 * GB));
    stage.volumes.push(seen);
    stage.agg.volumes.push(row);
    stage
}

/// The volume is renamed, and the server is created.
fn rent(stage: &mut Stage) {
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["set our name and tags on data volume data", "create the L40S-1-48G server"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    stage.create(&planned.actions[1]);
}

#[test]
fn the_row_of_the_earlier_instance_is_closed_and_the_new_one_keeps_policy_and_content() {
    let (mut old, to, now) = (retained(), InstanceId::new(7), T0.plus_ms(5));
    let new = old.give(&earlier(), &to, VolumeId::new(50), now).unwrap();
    assert_eq!(
        (old.status, &old.reused_by, old.is_live(), old.is_kept()),
        (VolumeStatus::Reused, &Some(to), false, false)
    );
    assert_eq!((new.provider_id.as_deref(), new.size_bytes, new.policy_version), (Some("data"), Some(200 * GB), 1));
    assert_eq!((new.delete_on_terminate, new.is_live(), &new.reused_from), (false, true, &Some(earlier())));
    assert_eq!((new.tagged_at, new.attached_at, new.created_at), (None, None, now), "what the new instance has to do");
    assert_eq!(crate::proof::volume(&old), crate::proof::CleanupState::Given(&InstanceId::new(7)));
}

#[test]
fn only_a_retained_volume_on_block_storage_can_be_given() {
    type Change = fn(&mut Volume);
    let cases: [(&str, Change, NotGiven); 9] = [
        ("its instance lives", |v| v.status = VolumeStatus::Attached, NotGiven::NotRetained),
        ("it is gone", |v| v.status = VolumeStatus::Deleted, NotGiven::NotRetained),
        ("it was given already", |v| v.status = VolumeStatus::Reused, NotGiven::NotRetained),
        ("it is to be deleted", |v| v.delete_on_terminate = true, NotGiven::NotRetained),
        ("it is a third party's", |v| v.origin = Origin::Foreign, NotGiven::NotData),
        ("the cloud created it", |v| v.origin = Origin::Cloud, NotGiven::NotData),
        ("a server booted from it", |v| v.is_boot = true, NotGiven::NotData),
        ("it is local", |v| v.volume_type = volume_type("l_ssd"), NotGiven::Local),
        (
            "the records are older than the cloud",
            |v| v.cloud_policy = Some(CloudPolicy { delete: true, version: 9 }),
            NotGiven::Frozen,
        ),
    ];
    for (what, change, why) in cases {
        let mut row = retained();
        change(&mut row);
        let before = row.clone();
        assert_eq!(row.give(&earlier(), &InstanceId::new(7), VolumeId::new(50), T0), Err(why), "{what}");
        assert_eq!(row, before, "{what}");
    }
}

#[test]
fn it_is_renamed_and_attached_and_no_other_volume_is_created() {
    let mut stage = given();
    rent(&mut stage);
    let (acts, planned) = stage.step();
    assert!(acts.contains(&"attach data volume data to server s1".to_owned()), "{acts:?}");
    assert!(!acts.iter().any(|a| a.starts_with("create")), "{acts:?}");
    let row = planned.recorded.data_volume().unwrap();
    let name = planned.recorded.volume_name(row, "test");
    assert_eq!((name.instance, name.delete, name.policy_version), (InstanceId::new(7), false, 1));
    assert!(planned.recorded.storages().iter().any(|v| v.id == row.id), "it is counted");
}

#[test]
fn nothing_is_rented_before_the_volume_is_there_and_free() {
    const NAME: &str = "set our name and tags on data volume data";
    type Change = fn(&mut Stage);
    let cases: [(&str, Change, &[&str], &str); 6] = [
        ("free", |_| {}, &[NAME, "create the L40S-1-48G server"], ""),
        (
            "on another server",
            |s| (s.volumes[0].state, s.volumes[0].server_id) = (VolumeState::InUse, Some("s9".into())),
            &[NAME],
            "the volume to be reused is attached to server s9; detach it there",
        ),
        ("in use", |s| s.volumes[0].state = VolumeState::InUse, &[NAME], "waits for the volume to be reused to become"),
        ("melting", |s| s.volumes[0].state = VolumeState::Other("melting".into()), &[NAME], "to be reused is melting"),
        ("not shown", |s| s.volumes.clear(), &[NAME, "prove data volume data gone: not found by its id"], ""),
        (
            "not shown, and its row is new",
            |s| {
                s.volumes.clear();
                s.agg.volumes[0].answered_at = Some(s.now.plus_ms(5_000));
            },
            &[NAME],
            "waits for the cloud to show the data volume",
        ),
    ];
    for (what, change, wanted, note) in cases {
        let mut stage = given();
        change(&mut stage);
        let (acts, planned) = stage.step();
        assert_eq!(acts, wanted, "{what}: {planned}");
        assert!(notes(&planned).contains(note), "{what}: {planned}");
    }
}

#[test]
fn a_volume_that_is_gone_fails_the_instance_and_is_not_replaced() {
    for has_server in [false, true] {
        let mut stage = given();
        if has_server {
            rent(&mut stage);
        }
        stage.volumes.clear();
        let row = stage.agg.volumes.iter_mut().find(|v| v.reused_from.is_some()).unwrap();
        (row.status, row.proof, row.deleted_at) = (VolumeStatus::Deleted, Some(proof_of("data")), Some(T0));
        let (acts, planned) = stage.step();
        assert!(!acts.iter().any(|a| a.starts_with("create")), "{acts:?}");
        let failure = planned.recorded.instance.failure.unwrap();
        assert_eq!(failure.code, "data_volume_disappeared", "{has_server}");
    }
}

#[test]
fn it_is_never_deleted_with_an_instance_that_failed_before_it_ran() {
    for has_server in [false, true] {
        let mut stage = given();
        if has_server {
            rent(&mut stage);
        }
        stage.context(|agg, cx| {
            agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
            agg.instance.terminate_requested_at = Some(cx.now);
        });
        for _ in 0..40 {
            let (acts, planned) = stage.step();
            assert!(!acts.contains(&"delete data volume data".to_owned()), "{acts:?}");
            assert_eq!(planned.recorded.data_volume().map(|v| v.delete_on_terminate), Some(false));
            let now = stage.now;
            for action in &planned.actions {
                let reply = match action {
                    Action::Server(_, ServerCall::ProveGone) => proof("s1", now),
                    Action::Volume(id, VolumeCall::ProveGone) => {
                        proof(stage.agg.volume(id).and_then(|v| v.provider_id.clone()).unwrap().as_str(), now)
                    }
                    Action::Create(_) | Action::Server(..) | Action::Volume(..) => CallResult::Accepted,
                };
                stage.answer(action, Ok(reply));
            }
            stage.servers.clear();
            stage.volumes.retain(|v| v.id == "data");
        }
        assert_eq!(stage.agg.instance.status, Status::ProvisioningFailed);
        assert_eq!(stage.agg.data_volume().map(|v| v.status), Some(VolumeStatus::Retained));
    }
}

#[test]
fn another_volume_with_a_name_of_the_instance_neither_replaces_it_nor_makes_it_unneeded() {
    let mut stage = given();
    rent(&mut stage);
    let row = stage.agg.data_volume().unwrap().clone();
    let name = CloudName { attempt: 4, ..stage.agg.volume_name(&row, "test") };
    stage.agg.volumes.push(Volume {
        name: name.text(),
        origin: Origin::Ours,
        attempt: 4,
        delete_on_terminate: false,
        policy_version: 1,
        volume_type: volume_type("sbs_volume"),
        ..Volume::found(VolumeId::new(60), "copy".into(), T0)
    });
    let mut copy = observed_volume("copy", &name.text(), "sbs_volume", None);
    copy.state = VolumeState::Available;
    stage.volumes.push(copy);
    let (acts, planned) = stage.step();
    assert_eq!(planned.recorded.data_volume().and_then(|v| v.provider_id.as_deref()), Some("data"));
    assert!(acts.contains(&"attach data volume data to server s1".to_owned()), "{acts:?}");
    assert!(!acts.contains(&"delete data volume data".to_owned()), "{acts:?}");
    // The server mounts it, not the other one.
    let user_data = crate::cloud_config::for_instance(&planned.recorded, &stage.profile, None);
    assert!(user_data.contains(&stage.profile.device_of("data")), "{user_data}");
    assert!(!user_data.contains(&stage.profile.device_of("copy")), "{user_data}");
}

#[test]
fn a_late_outcome_of_a_call_of_the_earlier_instance_changes_nothing() {
    let mut stage = Stage::ready();
    let row = data(&mut stage);
    (row.status, row.delete_on_terminate) = (VolumeStatus::Retained, false);
    let (id, from) = (row.id.clone(), InstanceId::new(7));
    row.give(&from, &InstanceId::new(8), VolumeId::new(50), T0).unwrap();
    let before = stage.agg.volume(&id).cloned();
    let now = stage.now;
    for (call, reply) in [
        (VolumeCall::Attach(ServerId::new(1)), CallResult::Accepted),
        (VolumeCall::Delete, CallResult::Accepted),
        (VolumeCall::Tag, CallResult::Accepted),
        (VolumeCall::ProveGone, proof("data", now)),
    ] {
        stage.answer(&Action::Volume(id.clone(), call.clone()), Ok(reply));
        assert_eq!(stage.agg.volume(&id).cloned(), before, "{call:?}");
    }
}

#[test]
fn of_a_rebuilt_instance_and_one_that_still_has_its_volume_the_rebuilt_one_owns_it() {
    let mut keeper = instance();
    keeper.volumes = vec![retained(), Volume { provider_id: Some("other".into()), ..retained() }];
    let mut rebuilt = given().agg;
    rebuilt.volumes[0].reused_from = None;
    assert!(crate::recover::hand_over(&mut rebuilt, &mut keeper));
    let states: Vec<VolumeStatus> = keeper.volumes.iter().map(|v| v.status).collect();
    assert_eq!(states, [VolumeStatus::Reused, VolumeStatus::Retained], "the other one stays");
    assert_eq!(keeper.volumes[0].reused_by.as_ref(), Some(&rebuilt.instance.id));
    assert_eq!(rebuilt.volumes[0].reused_from.as_ref(), Some(&keeper.instance.id));
    assert!(!crate::recover::hand_over(&mut rebuilt, &mut keeper), "once");
}
