//! Stale reads, and records that are older than the cloud: when an observation counts, and what is never done.

use super::*;
use crate::name::CloudName;
use crate::observed::ObservedServer;
use crate::recorded::{CloudPolicy, PendingFact};

pub(super) const WINDOW_MS: i64 = 60_000;

/// A ready instance in a cloud whose reads may be stale.
pub(super) fn ready() -> Stage {
    let mut stage = Stage::ready();
    stage.stale_ms = WINDOW_MS;
    // Every recorded time is older than the window.
    stage.now = stage.now.plus_ms(10 * WINDOW_MS);
    stage
}

fn seconds_later(stage: &mut Stage, seconds: i64) -> Vec<String> {
    stage.now = stage.now.plus_ms((seconds - 1) * 1_000);
    let (acts, planned) = stage.step();
    for action in &planned.actions {
        if action.reads() {
            let id = if action.volume_id().is_some() { "volume" } else { "server" };
            stage.answer(action, Ok(proof(id, stage.now)));
        }
    }
    acts
}

#[test]
fn one_pair_of_stale_reads_does_not_make_a_server_disappear() {
    let mut stage = ready();
    let (servers, volumes) = (stage.servers.clone(), stage.volumes.clone());
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let acts = seconds_later(&mut stage, 1);
    assert!(!acts.iter().any(|w| w.contains("prove")), "{acts:?}");
    assert_eq!(stage.agg.servers[0].pending_observation.as_ref().map(|u| u.what), Some(PendingFact::Absent));
    // The first not-found after the window is recorded, but does not count yet.
    let acts = seconds_later(&mut stage, 62);
    assert!(acts.iter().any(|w| w == "prove server s1 gone: not found by its id"), "{acts:?}");
    assert_eq!(stage.agg.servers[0].gone_at, None);
    assert_eq!(stage.agg.instance.status, Status::Ready);
    // Shown again: the count starts again.
    (stage.servers, stage.volumes) = (servers, volumes);
    seconds_later(&mut stage, 1);
    assert_eq!(stage.agg.servers[0].pending_observation, None);
    assert_eq!((stage.agg.instance.status, stage.agg.instance.failure.clone()), (Status::Ready, None));
}

#[test]
fn a_server_has_disappeared_after_two_not_founds_a_window_apart() {
    let mut stage = ready();
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let mut asked = 0;
    for second in 1..=200 {
        let acts = seconds_later(&mut stage, 1);
        asked += acts.iter().filter(|w| *w == "prove server s1 gone: not found by its id").count();
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
pub(super) fn ended() -> (Stage, Vec<ObservedServer>, Vec<ObservedVolume>) {
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
    // Within the window, the read may show an old state.
    (stage.servers, stage.volumes) = (servers, volumes);
    seconds_later(&mut stage, 20);
    assert_eq!(stage.agg.instance.status, Status::Terminated);
    let acts = seconds_later(&mut stage, 62);
    assert_eq!(stage.agg.instance.status, Status::Terminating, "{acts:?}");
    assert!(stage.agg.servers[0].is_live() && stage.agg.instance.terminated_at.is_none());
    assert!(acts.iter().any(|w| w == "remove server s1 while it runs"), "{acts:?}");
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
fn a_newer_policy_in_the_cloud_freezes_the_instance_until_an_operator_decides() {
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
        let name = stage.agg.volume_name(&stage.agg.volumes[n], "test");
        let shown = CloudName { delete, policy_version: version, ..name }.text();
        let id = stage.agg.volumes[n].provider_id.clone().unwrap();
        stage.volumes.iter_mut().filter(|v| v.id == id).for_each(|v| v.name.clone_from(&shown));
        (stage.agg.volumes[n].delete_on_terminate, stage.agg.volumes[n].policy_version) = (recorded, known);
        let (acts, planned) = stage.step();
        let case = format!("{delete} {version} {recorded} {known}: {acts:?}");
        assert_eq!(planned.actions.is_empty(), frozen, "{case}");
        assert_eq!(notes(&planned).contains("frozen"), frozen, "{case}");
        let cloud = frozen.then_some(CloudPolicy { delete, version });
        assert_eq!(stage.agg.volumes[n].cloud_policy, cloud, "{case}");
        // An operator decides. The new version is higher than both.
        stage.agg.volumes[n].set_policy(true);
        assert!(stage.agg.volumes[n].policy_version > version.max(known), "{case}");
        let (acts, planned) = stage.step();
        assert!(!planned.actions.is_empty() && !notes(&planned).contains("frozen"), "{case}, then {acts:?}");
    }
}

fn unwitnessed() -> CallError {
    let message = "not found, but nothing shows whether the credentials see block storage".to_owned();
    CallError { kind: ErrorKind::Unwitnessed, effect: Effect::None, message }
}

/// An instance whose server is gone, and whose last block volume is not shown and not proven gone.
fn needs_a_witness(stage: &mut Stage) {
    stage.cancel();
    let sent = Some(stage.now);
    for s in &mut stage.agg.servers {
        (s.delete_intended_at, s.delete_sent_at, s.gone_at) = (sent, sent, sent);
        s.proof = Some(proof_of("s1"));
    }
    for v in &mut stage.agg.volumes {
        (v.delete_intended_at, v.delete_sent_at) = (sent, sent);
        if v.provider_id.as_deref() != Some("data") {
            (v.status, v.deleted_at, v.proof) = (VolumeStatus::Deleted, sent, Some(proof_of("boot")));
        }
    }
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
}

#[test]
fn a_witness_is_created_after_checks_without_a_result_and_deleted_after_the_proof() {
    let mut stage = ready();
    needs_a_witness(&mut stage);
    let mut asked = 0;
    let made = loop {
        let (acts, planned) = stage.step();
        if let Some(Action::Create(Creation::Volume(row))) = planned.actions.iter().find(|a| a.creates()) {
            break row.clone();
        }
        for action in &planned.actions {
            assert!(action.reads(), "{acts:?}");
            asked += 1;
            stage.answer(action, Err(unwitnessed()));
        }
        stage.now = stage.now.plus_ms(60_000);
    };
    assert_eq!((asked, made.origin, made.size_bytes, made.delete_on_terminate), (4, Origin::Witness, Some(GB), true));
    assert!(made.attempt > 1 && CloudName::parse(&made.name).is_some(), "{}", made.name);
    let witness = observed_volume("w1", &made.name, "sbs_volume", None);
    stage.volumes.push(witness.clone());
    stage.answer(&Action::Create(Creation::Volume(made)), Ok(CallResult::Volume(Box::new(witness))));
    // It stays while the other volume is checked, and no second one is created.
    let (acts, planned) = stage.step();
    assert!(notes(&planned).contains("witness"), "{}", notes(&planned));
    assert_eq!(acts, ["prove data volume data gone: not found by its id"]);
    let at = stage.now;
    stage.answer(&planned.actions[0], Ok(proof("data", at)));
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["delete witness volume w1"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    stage.volumes.clear();
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["prove witness volume w1 gone: not found by its id"]);
    let at = stage.now;
    stage.answer(&planned.actions[0], Ok(proof("w1", at)));
    stage.step();
    assert_eq!(stage.agg.instance.status, Status::Terminated);
}

#[test]
fn the_response_to_the_deletion_of_a_witness_may_be_lost_too() {
    let mut stage = ready();
    needs_a_witness(&mut stage);
    let mut made = Vec::new();
    for _ in 0..60 {
        let (_, planned) = stage.step();
        for action in &planned.actions {
            let at = stage.now;
            let seen = |id: &str| stage.volumes.iter().any(|v| v.id != id);
            let outcome = match action {
                Action::Create(Creation::Volume(row)) => {
                    let witness = observed_volume(&format!("w{}", made.len()), &row.name, "sbs_volume", None);
                    made.push(witness.clone());
                    stage.volumes.push(witness.clone());
                    Ok(CallResult::Volume(Box::new(witness)))
                }
                // The first response is lost, the second is not.
                Action::Volume(id, VolumeCall::Delete) => {
                    let gone = stage.agg.volume(id).unwrap().provider_id.clone().unwrap();
                    stage.volumes.retain(|v| v.id != gone);
                    if made.len() == 1 { Err(lost()) } else { Ok(CallResult::Accepted) }
                }
                Action::Volume(id, VolumeCall::ProveGone) => {
                    let row = stage.agg.volume(id).unwrap();
                    let id = row.provider_id.clone().unwrap();
                    if row.delete_accepted_at.is_some() || seen(&id) { Ok(proof(&id, at)) } else { Err(unwitnessed()) }
                }
                other @ (Action::Create(Creation::Server(_))
                | Action::Volume(_, VolumeCall::Tag)
                | Action::Server(_, ServerCall::Tag)
                | Action::Volume(_, VolumeCall::Resize(_))
                | Action::Volume(_, VolumeCall::Attach(_))
                | Action::Volume(_, VolumeCall::Detach(_))
                | Action::Server(_, ServerCall::SetUserData)
                | Action::Server(_, ServerCall::Start)
                | Action::Server(_, ServerCall::Stop | ServerCall::Reboot)
                | Action::Server(_, ServerCall::Terminate)
                | Action::Server(_, ServerCall::Delete)
                | Action::Server(_, ServerCall::ProveGone)) => panic!("{other:?}"),
            };
            stage.answer(action, outcome);
        }
        stage.now = stage.now.plus_ms(20_000);
    }
    assert_eq!((made.len(), stage.volumes.len(), stage.agg.instance.status), (2, 0, Status::Terminated));
}

#[test]
fn a_witness_that_a_third_party_deleted_is_replaced() {
    let mut stage = ready();
    needs_a_witness(&mut stage);
    let (mut made, mut times) = (0, Vec::new());
    for _ in 0..60 {
        let (_, planned) = stage.step();
        for action in &planned.actions {
            if let Action::Create(Creation::Volume(row)) = action {
                let witness = observed_volume(&format!("w{made}"), &row.name, "sbs_volume", None);
                made += 1;
                times.push(stage.now);
                // The first is gone before any observation shows it.
                if made > 1 {
                    stage.volumes.push(witness.clone());
                }
                stage.answer(action, Ok(CallResult::Volume(Box::new(witness))));
            } else if action.reads() {
                stage.answer(action, Err(unwitnessed()));
            }
        }
        stage.now = stage.now.plus_ms(20_000);
    }
    assert_eq!((made, stage.volumes.len()), (2, 1));
    let apart = times[1].ms_since(times[0]);
    assert!(apart > WINDOW_MS, "a witness that is not shown counts for the length of the window: {apart}");
}

#[test]
fn a_refused_witness_is_requested_again_and_nothing_is_concluded() {
    let mut stage = ready();
    needs_a_witness(&mut stage);
    let mut refused = 0;
    for _ in 0..40 {
        let (_, planned) = stage.step();
        for action in &planned.actions {
            refused += usize::from(action.creates());
            let forbidden = CallError { kind: ErrorKind::Unauthorized, effect: Effect::None, message: "no".into() };
            stage.answer(action, Err(if action.creates() { forbidden } else { unwitnessed() }));
        }
        stage.now = stage.now.plus_ms(30_000);
    }
    assert!((2..=20).contains(&refused), "{refused}");
    assert_eq!(stage.agg.instance.status, Status::Terminating);
}

#[test]
fn an_accepted_deletion_is_no_evidence_once_the_volume_is_shown_after_the_window() {
    let mut stage = ready();
    let at = stage.now;
    data(&mut stage).delete_accepted_at = Some(at);
    stage.now = at.plus_ms(WINDOW_MS - 2_000);
    stage.step();
    assert_eq!(data(&mut stage).delete_accepted_at, Some(at), "a stale read may show it");
    stage.now = at.plus_ms(WINDOW_MS + 1_000);
    stage.step();
    assert_eq!(data(&mut stage).delete_accepted_at, None);
}
