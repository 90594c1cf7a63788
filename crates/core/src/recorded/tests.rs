//! Rows and how they are found.

use super::*;
use crate::plan::tests::{T0, gone_server, instance, owned_volume, proof_of};

#[test]
fn an_unrecorded_server_is_the_attempt_that_its_name_says_if_that_is_free() {
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
fn what_lives_is_owned_and_has_not_ended() {
    let lives = |create_state, status| Volume { create_state, status, ..owned_volume() }.is_live();
    for status in VolumeStatus::ALL {
        let ended = matches!(status.text(), "deleted" | "retained" | "released" | "failed");
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
