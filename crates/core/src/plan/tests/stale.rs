//! Reads may be stale, and records older than the cloud: what is believed, when, and what is never done.

use super::*;
use crate::name::CloudName;
use crate::observed::SeenServer;
use crate::recorded::{CloudPolicy, Doubtful};

const WINDOW_MS: i64 = 60_000;

/// An instance that is ready, looked at over a cloud whose reads may be stale.
fn ready() -> Stage {
    let mut stage = Stage::ready();
    stage.stale_ms = WINDOW_MS;
    // Nothing that the window is counted from is younger than it.
    stage.now = stage.now.plus_ms(10 * WINDOW_MS);
    stage
}

fn seconds_later(stage: &mut Stage, seconds: i64) -> Vec<String> {
    stage.now = stage.now.plus_ms((seconds - 1) * 1_000);
    let (words, planned) = stage.step();
    for action in &planned.actions {
        if action.reads() {
            let id = if action.volume_id().is_some() { "volume" } else { "server" };
            stage.answer(action, Ok(proof(id, stage.now)));
        }
    }
    words
}

#[test]
fn one_pair_of_stale_reads_does_not_make_a_server_disappear() {
    let mut stage = ready();
    let (servers, volumes) = (stage.servers.clone(), stage.volumes.clone());
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let words = seconds_later(&mut stage, 1);
    assert!(!words.iter().any(|w| w.contains("PROVE")), "{words:?}");
    assert_eq!(stage.agg.servers[0].unconfirmed.as_ref().map(|u| u.what), Some(Doubtful::Absent));
    // The first not-found after the window is written down, and not believed.
    let words = seconds_later(&mut stage, 62);
    assert!(words.iter().any(|w| w == "PROVE_SERVER_GONE"), "{words:?}");
    assert_eq!(stage.agg.servers[0].gone_at, None);
    assert_eq!(stage.agg.instance.status, Status::Ready);
    // Shown again: everything begins anew.
    (stage.servers, stage.volumes) = (servers, volumes);
    seconds_later(&mut stage, 1);
    assert_eq!(stage.agg.servers[0].unconfirmed, None);
    assert_eq!((stage.agg.instance.status, stage.agg.instance.failure.clone()), (Status::Ready, None));
}

#[test]
fn a_server_that_stays_away_has_disappeared_after_two_not_founds_a_window_apart() {
    let mut stage = ready();
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let mut asked = 0;
    for second in 1..=200 {
        let words = seconds_later(&mut stage, 1);
        asked += words.iter().filter(|w| *w == "PROVE_SERVER_GONE").count();
        if stage.agg.servers[0].gone_at.is_some() {
            assert!((120..=130).contains(&second), "{second}");
            break;
        }
    }
    assert_eq!(asked, 2);
    let evidence = stage.agg.servers[0].proof.clone().unwrap();
    let apart = evidence.confirmed_at.unwrap().ms_since(evidence.asked_at);
    assert!(apart >= WINDOW_MS && !evidence.is_provisional(), "{apart}");
    seconds_later(&mut stage, 1);
    assert_eq!(stage.agg.instance.failure.as_ref().map(|f| f.code.as_str()), Some("server_disappeared"));
}

/// Everything was deleted, and is proven gone.
fn ended() -> (Stage, Vec<SeenServer>, Vec<SeenVolume>) {
    let mut stage = ready();
    stage.cancel();
    let (servers, volumes) = (stage.servers.clone(), stage.volumes.clone());
    for s in &mut stage.agg.servers {
        (s.delete_intended_at, s.delete_sent_at) = (Some(stage.now), Some(stage.now));
    }
    for v in stage.agg.volumes.iter_mut() {
        (v.delete_intended_at, v.delete_sent_at) = (Some(stage.now), Some(stage.now));
    }
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        seconds_later(&mut stage, 1);
    }
    assert_eq!(stage.agg.instance.status, Status::Terminated);
    (stage, servers, volumes)
}

#[test]
fn an_end_is_provisional_until_a_later_listing_confirms_it() {
    let (mut stage, ..) = ended();
    assert!(crate::proof::is_provisional(&stage.agg) && stage.agg.instance.confirm_after.is_some());
    seconds_later(&mut stage, 30);
    assert!(crate::proof::is_provisional(&stage.agg), "too early");
    seconds_later(&mut stage, 40);
    assert!(!crate::proof::is_provisional(&stage.agg));
    assert_eq!(stage.agg.instance.confirm_after, None);
    assert_eq!(stage.agg.instance.status, Status::Terminated);
}

#[test]
fn what_is_shown_again_after_the_window_is_deleted_again() {
    let (mut stage, servers, volumes) = ended();
    // Within the window it may be an old state that is shown.
    (stage.servers, stage.volumes) = (servers, volumes);
    seconds_later(&mut stage, 20);
    assert_eq!(stage.agg.instance.status, Status::Terminated);
    let words = seconds_later(&mut stage, 62);
    assert_eq!(stage.agg.instance.status, Status::Terminating, "{words:?}");
    assert!(stage.agg.servers[0].is_live() && stage.agg.instance.terminated_at.is_none());
    assert!(words.iter().any(|w| w == "DELETE"), "{words:?}");
}

#[test]
fn what_is_confirmed_and_shown_again_is_deleted_again() {
    let (mut stage, servers, _) = ended();
    seconds_later(&mut stage, 70);
    assert!(!crate::proof::is_provisional(&stage.agg));
    stage.servers = servers;
    seconds_later(&mut stage, 3_600);
    assert_eq!(stage.agg.instance.status, Status::Terminating);
}

#[test]
fn a_policy_that_is_newer_in_the_cloud_freezes_the_instance_until_somebody_decides() {
    // The name in the cloud (policy, version), the record, whether it is frozen.
    let cases = [
        ((false, 1), (true, 0), true),
        ((true, 2), (false, 1), true),
        ((false, 0), (true, 0), true),
        ((true, 0), (false, 0), false),
        ((false, 1), (true, 2), false),
        ((true, 1), (false, 2), false),
        ((true, 1), (true, 1), false),
    ];
    for ((delete, version), (recorded, known), frozen) in cases {
        let mut stage = ready();
        stage.cancel();
        let n = stage.agg.volumes.iter().position(|v| v.origin == Origin::Ours).unwrap();
        let name = CloudName::of_volume(&stage.agg, &stage.agg.volumes[n], "test");
        let shown = CloudName { delete, policy_version: version, ..name }.text();
        let id = stage.agg.volumes[n].provider_id.clone().unwrap();
        stage.volumes.iter_mut().filter(|v| v.id == id).for_each(|v| v.name.clone_from(&shown));
        (stage.agg.volumes[n].delete_on_terminate, stage.agg.volumes[n].policy_version) = (recorded, known);
        let (words, planned) = stage.step();
        let case = format!("{delete} {version} {recorded} {known}: {words:?}");
        assert_eq!(planned.actions.is_empty(), frozen, "{case}");
        assert_eq!(notes(&planned).contains("frozen"), frozen, "{case}");
        let cloud = frozen.then_some(CloudPolicy { delete, version });
        assert_eq!(stage.agg.volumes[n].cloud_policy, cloud, "{case}");
        // A person decides, and that is newer than both.
        stage.agg.volumes[n].set_policy(true);
        assert!(stage.agg.volumes[n].policy_version > version.max(known), "{case}");
        let (words, planned) = stage.step();
        assert!(!planned.actions.is_empty() && !notes(&planned).contains("frozen"), "{case}, then {words:?}");
    }
}
