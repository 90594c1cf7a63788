//! Tests of `stuck.rs`.

use super::*;
use crate::error::{CallError, Effect};
use crate::plan::tests::{instance, owned_volume, profile, volume_type};
use crate::recorded::Volume;
use crate::size::GB;
use crate::status::{Origin, Status, VolumeStatus};

#[test]
fn a_deletion_that_takes_longer_than_15_minutes_is_stuck_with_its_cost_and_a_remedy() {
    let mut agg = instance();
    agg.volumes.push(Volume {
        size_bytes: Some(1_000 * GB),
        volume_type: volume_type("sbs_volume"),
        status: VolumeStatus::Deleting,
        ..owned_volume()
    });
    let asked = Timestamp(1_000_000_000);
    let late = asked.plus_ms(STUCK_MS + 1);
    assert!(stuck(&agg, &profile().storage_prices, late).is_empty(), "no deletion was requested");
    agg.instance.terminate_requested_at = Some(asked);
    agg.instance.desired = Desired::Absent;
    agg.instance.status = Status::Terminating;
    assert!(stuck(&agg, &profile().storage_prices, asked.plus_ms(STUCK_MS)).is_empty(), "it may take 15 minutes");
    let found = stuck(&agg, &profile().storage_prices, late);
    assert_eq!((found.len(), found[0].hourly_micros), (1, 130_000));
    agg.volumes[0].retry = Some(Retry {
        call: None,
        count: 3,
        not_before: late,
        error: CallError { kind: ErrorKind::Unauthorized, effect: Effect::None, message: "denied".into() },
    });
    let found = stuck(&agg, &profile().storage_prices, late);
    assert!(found[0].reason.contains("denied") && found[0].remedy.contains("credentials"), "{found:?}");
    agg.volumes[0].origin = Origin::Foreign;
    assert!(stuck(&agg, &profile().storage_prices, late).is_empty(), "a third party's volume may stay for ever");
}

const ASKED: Timestamp = Timestamp(1_000_000_000);

/// A server whose deletion was requested, with its boot volume.
fn going() -> Aggregate {
    let mut agg = instance();
    (agg.instance.terminate_requested_at, agg.instance.desired) = (Some(ASKED), Desired::Absent);
    (agg.instance.status, agg.instance.spec.hourly_micros) = (Status::Terminating, 1_000_000);
    let mut server = crate::plan::tests::gone_server(crate::plan::tests::proof_of("s-1"));
    (server.gone_at, server.proof, server.state) = (None, None, Some("running".into()));
    agg.servers.push(server);
    let kind = volume_type("sbs_volume");
    agg.volumes.push(Volume { size_bytes: Some(100 * GB), volume_type: kind, ..owned_volume() });
    agg
}

fn costs(agg: &Aggregate) -> Vec<(String, i64)> {
    stuck(agg, &profile().storage_prices, ASKED.plus_ms(STUCK_MS + 1))
        .into_iter()
        .map(|s| (s.resource, s.hourly_micros))
        .collect()
}

#[test]
fn the_cost_is_what_the_provider_bills_while_it_exists() {
    let s = |micros| ("s-1".to_owned(), micros);
    let v = |micros| ("v-1".to_owned(), micros);
    assert_eq!(costs(&going()), [s(1_000_000), v(13_000)]);
    let mut off = going();
    off.servers[0].state = Some("stopped".into());
    assert_eq!(costs(&off), [s(0), v(13_000)], "a stopped server costs nothing but its volumes");
    let mut unknown = going();
    (unknown.servers[0].provider_id, unknown.volumes[0].provider_id) = (None, None);
    (unknown.servers[0].create_state, unknown.volumes[0].create_state) =
        (crate::status::CreateState::Unconfirmed, crate::status::CreateState::Unconfirmed);
    assert_eq!(costs(&unknown).iter().map(|c| c.1).collect::<Vec<_>>(), [0, 0], "it may not exist");
    let mut local = going();
    local.volumes[0].volume_type = volume_type("l_ssd");
    assert_eq!(costs(&local), [s(1_000_000), v(0)]);
    let mut kept = going();
    kept.volumes[0].delete_on_terminate = false;
    assert_eq!(costs(&kept), [s(1_000_000)]);
}

#[test]
fn only_a_requested_deletion_or_one_after_a_failure_can_be_stuck() {
    let mut failed = going();
    failed.instance.desired = Desired::Present;
    assert!(costs(&failed).is_empty(), "no deletion was requested");
    failed.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
    assert_eq!(costs(&failed).len(), 2);
}

#[test]
fn a_volume_that_is_released_later_is_stuck_later() {
    let mut agg = going();
    agg.volumes[0].delete_intended_at = Some(ASKED.plus_ms(10));
    let found = |agg: &Aggregate, ms| stuck(agg, &profile().storage_prices, ASKED.plus_ms(STUCK_MS + ms)).len();
    assert_eq!((found(&agg, 10), found(&agg, 11)), (1, 2));
    // Released long after the end of its instance, its deletion not sent yet.
    agg.instance.status = Status::Terminated;
    agg.volumes[0].delete_intended_at = None;
    assert_eq!(found(&agg, 1_000_000), 1, "only the server: the instance has ended");
}

#[test]
fn the_remedy_follows_the_refusal() {
    for (kind, note, word) in [
        (Some(ErrorKind::Unauthorized), None, "credentials"),
        (Some(ErrorKind::RateLimited), None, "--calls-per-second"),
        (Some(ErrorKind::Unavailable), None, "status page"),
        (Some(ErrorKind::Conflict), None, "what holds it"),
        (Some(ErrorKind::Refused), None, "read the refusal"),
        (Some(ErrorKind::Unsupported), None, "read the refusal"),
        (Some(ErrorKind::Quota), None, "read the refusal"),
        (Some(ErrorKind::OutOfStock), None, "read the refusal"),
        (Some(ErrorKind::NotFound), None, "provider's support"),
        (None, None, "provider's support"),
        (None, Some(NoteCode::Credentials), "credentials"),
        (Some(ErrorKind::NotFound), Some(NoteCode::Credentials), "credentials"),
    ] {
        assert!(remedy(kind, note).contains(word), "{kind:?} {note:?}: {}", remedy(kind, note));
    }
}
