//! The facts of an instance on the left, what is charged on the right.

use super::*;
use crate::plan::tests::T0;
use crate::recorded::Failure;
use crate::status::Desired;

/// An instance that is ready, with a data volume of 200 GB.
fn life() -> Aggregate {
    let mut agg = crate::plan::tests::life();
    for v in agg.volumes.iter_mut().filter(|v| v.origin == Origin::Ours) {
        v.size_bytes = Some(200 * crate::size::GB);
    }
    agg
}

/// What is charged, as text.
fn told(agg: &Aggregate) -> Vec<String> {
    charges(agg).iter().map(|c| format!("{} {} {} x{}", c.kind, c.class, c.sku, c.quantity)).collect()
}

fn change(what: impl FnOnce(&mut Aggregate)) -> Vec<String> {
    let mut agg = life();
    what(&mut agg);
    told(&agg)
}

const SERVER: &str = "server used server/L40S-1-48G x1";
const ADDRESS: &str = "address used address/ipv4 x1";
const DATA: &str = "volume used block/0 x200";

/// The volumes of a life, without their server: boot volume and data volume. Scratch is part of the server's price.
fn volumes(agg: &[String]) -> Vec<&str> {
    agg.iter().map(String::as_str).filter(|c| c.starts_with("volume")).collect()
}

#[test]
fn a_ready_instance_is_charged_for_its_server_its_address_and_its_block_volumes() {
    let mut agg = life();
    agg.instance.addresses = vec!["51.15.0.1".into(), "2001:db8::1".into()];
    let all = told(&agg);
    assert_eq!(all[..2], [SERVER, ADDRESS]);
    assert_eq!(volumes(&all).len(), 2, "{all:?}");
    assert!(all.contains(&DATA.to_owned()), "{all:?}");
    agg.instance.addresses = vec!["2001:db8::1".into()];
    assert!(!told(&agg).iter().any(|c| c.starts_with("address")), "IPv6 costs nothing");
}

#[test]
fn a_server_is_charged_from_its_start_until_it_is_stopped_or_gone() {
    // State, status, and whether it was ever started; whether it is charged.
    let cases = [
        (Some("running"), Status::Ready, true, true),
        (Some("starting"), Status::Booting, true, true),
        (Some("stopping"), Status::Stopping, true, true),
        (Some("stopped in place"), Status::Ready, true, true),
        (Some("stopped"), Status::Ready, true, false),
        (Some("stopped"), Status::Stopped, true, false),
        (Some("stopped"), Status::Booting, true, true),
        (Some("stopped"), Status::Provisioning, false, false),
        (None, Status::Provisioning, false, false),
    ];
    for (state, status, was_started, is_charged) in cases {
        let all = change(|agg| {
            agg.instance.status = status;
            let s = &mut agg.servers[0];
            s.state = state.map(str::to_owned);
            if !was_started {
                (s.start_intended_at, s.start_sent_at) = (None, None);
            }
        });
        assert_eq!(all.contains(&SERVER.to_owned()), is_charged, "{state:?} {status} {was_started}");
    }
    let gone = change(|agg| agg.servers[0].gone_at = Some(T0));
    assert!(!gone.iter().any(|c| c.starts_with("server")), "{gone:?}");
}

#[test]
fn a_stopped_server_that_is_started_is_charged_from_the_start_on() {
    let mut agg = life();
    let since = |agg: &Aggregate| charges(agg)[0].since;
    agg.servers[0].start_sent_at = Some(T0.plus_ms(10));
    assert_eq!(since(&agg), Some(T0.plus_ms(10)));
    agg.servers[0].stop_sent_at = Some(T0.plus_ms(20));
    assert_eq!(since(&agg), None, "a third party started it: since it was seen");
    agg.servers[0].start_sent_at = Some(T0.plus_ms(30));
    assert_eq!(since(&agg), Some(T0.plus_ms(30)));
}

#[test]
fn an_address_is_charged_from_the_start_of_its_server_on() {
    let mut agg = life();
    agg.instance.addresses = vec!["51.15.0.1".into()];
    agg.servers[0].start_sent_at = Some(T0.plus_ms(5));
    let since = |kind| charges(&agg).iter().find(|c| c.kind == kind).and_then(|c| c.since);
    assert_eq!((since(ChargeKind::Address), since(ChargeKind::Server)), (Some(T0.plus_ms(5)), Some(T0.plus_ms(5))));
}

#[test]
fn a_boot_volume_is_charged_in_the_requested_size_once_that_was_accepted() {
    let gb = crate::size::GB;
    // Shown, requested, accepted, charged.
    for (shown, requested, accepted, charged) in [
        (20, None, false, 20),
        (20, Some(40), false, 20),
        (20, Some(40), true, 40),
        (40, Some(40), true, 40),
        (50, Some(40), true, 50),
    ] {
        let all = change(|agg| {
            agg.instance.spec.boot_volume_bytes = requested.map(|n| n * gb);
            for v in &mut agg.volumes {
                if v.is_boot {
                    (v.size_bytes, v.changed_at) = (Some(shown * gb), accepted.then_some(T0));
                }
            }
        });
        assert_eq!(
            volumes(&all),
            [format!("volume used block/0 x{charged}").as_str(), DATA],
            "{shown} {requested:?} {accepted}"
        );
    }
}

#[test]
fn a_volume_is_charged_in_the_class_that_its_facts_give() {
    let data = |what: fn(&mut Volume)| {
        let all = change(|agg| {
            let at = agg.volumes.iter().position(|v| v.origin == Origin::Ours).unwrap();
            what(&mut agg.volumes[at]);
        });
        let word = |c: &&str| c.split(' ').nth(1).unwrap().to_owned();
        let of_data: Vec<String> = volumes(&all).iter().filter(|c| c.ends_with("x200")).map(word).collect();
        of_data.join(" ")
    };
    assert_eq!(data(|_| ()), "used");
    assert_eq!(data(|v| v.status = VolumeStatus::Retained), "retained");
    assert_eq!(data(|v| v.status = VolumeStatus::Deleted), "");
    assert_eq!(data(|v| v.status = VolumeStatus::Reused), "");
    assert_eq!(data(|v| v.delete_intended_at = Some(T0)), "ending");
    assert_eq!(data(|v| v.origin = Origin::Foreign), "third_party");
    assert_eq!(data(|v| v.create_state = CreateState::Unconfirmed), "unconfirmed");
    assert_eq!(data(|v| v.create_state = CreateState::Abandoned), "");
    assert_eq!(data(|v| v.size_bytes = None), "", "of an unknown size, the price is unknown");
}

#[test]
fn what_ends_or_failed_is_charged_as_ending_until_it_is_proven_gone() {
    for fails in [false, true] {
        let all = change(|agg| {
            if fails {
                agg.instance.failure = Some(Failure { code: "out_of_stock".into(), message: "out of stock".into() });
            } else {
                agg.instance.desired = Desired::Absent;
            }
        });
        assert!(!all.is_empty() && all.iter().all(|c| c.contains(" ending ")), "{all:?}");
    }
    let duplicate = change(|agg| agg.servers[0].is_primary = false);
    assert!(duplicate.contains(&"server ending server/L40S-1-48G x1".to_owned()), "{duplicate:?}");
}

#[test]
fn a_volume_that_came_with_a_server_is_as_old_as_the_server_and_one_from_elsewhere_is_new() {
    let mut agg = life();
    let server = agg.servers[0].clone();
    let at = agg.volumes.iter().position(|v| v.origin == Origin::Cloud && v.is_block()).unwrap();
    agg.volumes[at].server_id = Some(server.id.clone());
    agg.volumes[at].created_at = T0.plus_ms(60_000);
    let of = |agg: &Aggregate, at: usize| {
        let id = agg.volumes[at].id.to_string();
        charges(agg).into_iter().find(|c| c.resource_id == id).unwrap().since
    };
    agg.servers[0].answered_at = Some(T0.plus_ms(30_000));
    assert_eq!(of(&agg, at), Some(server.intended_at), "however late the response was");
    agg.volumes[at].reused_from = Some(crate::id::InstanceId::new(1));
    assert_eq!(of(&agg, at), None);
}

#[test]
fn the_name_of_a_price_of_block_storage_gives_the_speed_back() {
    for iops in [None, Some(5_000), Some(15_000)] {
        assert_eq!(block_iops(&block_sku(iops)), Some(iops));
    }
    for other in ["server/L4-1-24G", ADDRESS_SKU, "block/", "block/fast"] {
        assert_eq!(block_iops(other), None, "{other}");
    }
}
