//! Tests of `proof.rs`.

use super::*;
use crate::plan::tests::{gone_server, instance, owned_volume};
use crate::status::Status;
use crate::time::Timestamp;

fn proof(listed: bool) -> Proof {
    Proof {
        resource_id: "v-1".into(),
        asked: "GET /volumes/v-1".into(),
        asked_at: Timestamp(5),
        answer: "HTTP 404 not_found".into(),
        request_id: None,
        absent_from_listing_begun_at: listed.then_some(Timestamp(4)),
        confirm_after: None,
        confirmed_at: None,
    }
}

#[test]
fn an_instance_is_clean_only_when_nothing_is_open() {
    let mut agg = instance();
    assert_eq!(open_points(&agg).len(), 1, "the instance has not ended");
    agg.instance.status = Status::Terminated;
    assert!(open_points(&agg).is_empty(), "nothing was ever created");
    agg.servers.push(gone_server(proof(true)));
    agg.volumes.push(Volume { status: VolumeStatus::Deleted, proof: Some(proof(true)), ..owned_volume() });
    assert!(open_points(&agg).is_empty(), "{:?}", open_points(&agg));
    type Spoil = fn(&mut Aggregate);
    let spoils: [(&str, Spoil); 10] = [
        ("no proof", |a| a.volumes[0].proof = None),
        ("no listing", |a| a.volumes[0].proof = Some(proof(false))),
        ("still deleting", |a| a.volumes[0].status = VolumeStatus::Deleting),
        ("unconfirmed", |a| a.volumes[0].create_state = CreateState::Unconfirmed),
        ("retained, though it should be deleted", |a| a.volumes[0].status = VolumeStatus::Retained),
        ("released, though it is ours", |a| a.volumes[0].status = VolumeStatus::Released),
        ("a server without a listing", |a| a.servers[0].proof = Some(proof(false))),
        ("a server without proof", |a| a.servers[0].proof = None),
        ("a server that is not gone", |a| a.servers[0].gone_at = None),
        ("an unconfirmed server", |a| a.servers[0].create_state = CreateState::Intended),
    ];
    for (what, spoil) in spoils {
        let mut spoiled = agg.clone();
        spoil(&mut spoiled);
        assert_eq!(open_points(&spoiled).len(), 1, "{what}: {:?}", open_points(&spoiled));
    }
}

#[test]
fn retained_foreign_abandoned_and_refused_resources_are_not_open() {
    let kept = Volume { status: VolumeStatus::Retained, delete_on_terminate: false, ..owned_volume() };
    assert_eq!(volume(&kept), CleanupState::Kept);
    let foreign = Volume { status: VolumeStatus::Released, origin: Origin::Foreign, ..owned_volume() };
    assert_eq!(volume(&foreign), CleanupState::Foreign);
    let abandoned = Volume { create_state: CreateState::Abandoned, status: VolumeStatus::Failed, ..owned_volume() };
    assert_eq!(volume(&abandoned), CleanupState::Watched);
    let refused = Volume { create_state: CreateState::Refused, status: VolumeStatus::Failed, ..owned_volume() };
    assert_eq!(volume(&refused), CleanupState::NeverMade);
}
