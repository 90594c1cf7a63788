//! How rows are found.

use super::*;
use crate::id::{InstanceId, ServerId, VolumeId};
use crate::name::CloudName;
use crate::plan::tests::{T0, gone_server, instance, owned_volume, proof_of};
use crate::status::{CreateState, Origin, VolumeStatus};

#[test]
fn an_unrecorded_server_gets_the_attempt_of_its_name_if_that_is_free() {
    let named = |attempt| {
        let instance = InstanceId::new(7);
        let role = crate::name::Role::Server;
        CloudName { control_plane: "test".into(), instance, role, attempt, delete: true, policy_version: 0 }.text()
    };
    let mut agg = instance();
    assert_eq!((agg.attempt_of("x"), agg.attempt_of(&named(4))), (1, 4));
    for attempt in [2, 5] {
        agg.servers.push(Server { attempt, ..gone_server(proof_of("s")) });
    }
    let got = [agg.attempt_of("x"), agg.attempt_of(&named(3)), agg.attempt_of(&named(2)), agg.attempt_of(&named(5))];
    assert_eq!(got, [6, 3, 6, 6]);
}

#[test]
fn the_volumes_that_exist_and_belong_to_the_instance_are_listed_boot_first() {
    let mut agg = instance();
    let of = |id: u128, is_boot| Volume { id: VolumeId::new(id), is_boot, ..owned_volume() };
    agg.volumes = vec![
        of(1, false),
        Volume { create_state: CreateState::Unconfirmed, ..of(2, false) },
        Volume { origin: Origin::Foreign, ..of(3, false) },
        Volume { status: VolumeStatus::Retained, ..of(4, false) },
        of(5, true),
    ];
    let ids: Vec<VolumeId> = agg.storages().iter().map(|v| v.id.clone()).collect();
    assert_eq!(ids, [VolumeId::new(5), VolumeId::new(1)]);
}

#[test]
fn a_live_resource_was_created_and_has_not_ended() {
    let lives = |create_state, status| Volume { create_state, status, ..owned_volume() }.is_live();
    for status in VolumeStatus::ALL {
        let ended = matches!(status.text(), "deleted" | "retained" | "reused" | "released" | "failed");
        assert_eq!(lives(CreateState::Created, *status), !ended, "{status}");
        assert!(!lives(CreateState::Unconfirmed, *status));
    }
    let server = |create_state, gone_at| Server { create_state, gone_at, ..gone_server(proof_of("s")) }.is_live();
    assert!(server(CreateState::Created, None) && !server(CreateState::Created, Some(T0)));
    assert!(!server(CreateState::Abandoned, None));
}

#[test]
fn a_row_is_found_by_its_id_alone() {
    let mut agg = instance();
    agg.servers = vec![gone_server(proof_of("a")), Server { id: ServerId::new(2), ..gone_server(proof_of("b")) }];
    agg.volumes = vec![owned_volume(), Volume { id: VolumeId::new(2), ..owned_volume() }];
    let (server, volume) = (ServerId::new(2), VolumeId::new(2));
    assert_eq!(agg.server_by_id(&server).map(|s| &s.id), Some(&server));
    assert_eq!(agg.volume(&volume).map(|v| &v.id), Some(&volume));
    agg.server_mut(&server).unwrap().starts = 9;
    agg.volume_mut(&volume).unwrap().attempt = 9;
    assert_eq!((agg.servers[0].starts, agg.servers[1].starts), (0, 9));
    assert_eq!((agg.volumes[0].attempt, agg.volumes[1].attempt), (1, 9));
    assert!(agg.server_by_id(&ServerId::new(3)).is_none() && agg.volume(&VolumeId::new(3)).is_none());
}

#[test]
fn a_volume_is_named_after_its_role() {
    let mut agg = crate::plan::tests::instance();
    let row = |n: u128, is_boot: bool, origin: Origin, attempt: u32| Volume {
        id: crate::id::VolumeId::new(n),
        is_boot,
        origin,
        attempt,
        delete_on_terminate: n.is_multiple_of(2),
        ..crate::plan::tests::owned_volume()
    };
    agg.volumes = vec![
        row(2, true, Origin::Cloud, 7),
        row(3, false, Origin::Cloud, 7),
        row(4, false, Origin::Ours, 7),
        row(6, false, Origin::Cloud, 7),
        row(8, true, Origin::Cloud, 7),
    ];
    let names: Vec<String> = agg
        .volumes
        .iter()
        .map(|v| agg.volume_name(v, "prod1").text().replace("iva-prod1-00000000000000000000000007-", ""))
        .collect();
    // The data volume has its attempt; the others are numbered, boot volumes separately.
    assert_eq!(names, ["boot-1-d", "extra-1-k", "data-7-d", "extra-3-d", "boot-2-d"]);
}
