//! The planner as tables: recorded and observed state on the left, actions and notes on the right.

mod awaited;
mod behind_our_back;
mod on_the_way_in;
mod on_the_way_out;
mod stage;
mod stale;
mod start;
mod transcripts;
mod turns;
mod what_turns_up;

use super::plan;
use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::error::{CallError, Effect, ErrorKind};
use crate::id::{ServerId, VolumeId};
use crate::observed::{Allowed, Observed, ObservedVolume, ServerState, VolumeState};
use crate::progress::CallResult;
use crate::size::GB;
use crate::status::{CreateState, Origin, Status, VolumeStatus};
use stage::*;
pub(crate) use stage::{
    T0, attachment, gone_server, instance, life, observed_server, observed_volume, owned_volume, profile, proof_of,
    volume_type,
};

#[test]
fn a_new_servers_volumes_are_rows_in_the_same_step_whatever_their_kind() {
    let mut stage = Stage::new();
    let (words, planned) = stage.step();
    assert_eq!(words, ["CREATE"]);
    assert_eq!(stage.agg.servers[0].create_state, CreateState::Intended, "the intent is written before the call");
    let Action::Create(Creation::Server(row)) = &planned.actions[0] else { panic!() };
    let mut server = observed_server("s1", &row.name, ServerState::Stopped);
    server.attachments.push(attachment(2, "odd", "holographic"));
    stage.answer(&planned.actions[0], Ok(CallResult::Server(Box::new(server))));
    let kinds: Vec<(&str, bool, bool)> =
        stage.agg.volumes.iter().map(|v| (v.volume_type.name.as_str(), v.is_boot, v.delete_on_terminate)).collect();
    assert_eq!(kinds, [("sbs_volume", true, true), ("scratch", false, true), ("holographic", false, true)]);
}

#[test]
fn index_0_boots_unless_another_volume_has_the_flag() {
    let mut server = observed_server("s1", "n", ServerState::Stopped);
    assert_eq!(server.boot_volume_id(), Some("boot"));
    server.attachments[1].boot = true;
    assert_eq!(server.boot_volume_id(), Some("scr"));
}

#[test]
fn an_instance_life_cycle_does_each_step_once_and_then_plans_nothing() {
    let mut stage = Stage::ready();
    let (words, planned) = stage.step();
    assert!(words.is_empty() && planned.recorded.instance.settled, "{:?}", planned.recorded.instance.notes);
    let again = stage.step().1;
    assert_eq!(again.recorded, stage.agg);
    stage.cancel();
    let (words, planned) = stage.step();
    assert_eq!(words, ["DELETE"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    assert!(stage.step().0.is_empty(), "it waits for the server to be gone");
    stage.servers.clear();
    stage.volumes.retain(|v| v.id != "scr");
    let (words, planned) = stage.step();
    assert_eq!(words, ["PROVE_SERVER_GONE", "PROVE_VOLUME_GONE"], "scratch was deleted with the server");
    let now = stage.now;
    stage.answer(&planned.actions[0], Ok(proof("s1", now)));
    stage.answer(&planned.actions[1], Ok(proof("scr", now)));
    let (words, planned) = stage.step();
    assert_eq!(words, Vec::<&str>::new(), "the others are still in use");
    assert!(notes(&planned).contains("to be detached from server s1"), "{}", notes(&planned));
    for v in &mut stage.volumes {
        (v.state, v.server_id) = (VolumeState::InUse, None);
    }
    assert!(stage.step().0.is_empty(), "in use without references is a wait, too");
    for v in &mut stage.volumes {
        v.state = VolumeState::Available;
    }
    let (words, planned) = stage.step();
    assert_eq!(words, ["DELETE_VOLUME", "DELETE_VOLUME"]);
    for action in &planned.actions {
        stage.answer(action, Ok(CallResult::Accepted));
    }
    assert!(stage.step().0.is_empty());
    stage.volumes.clear();
    let (words, planned) = stage.step();
    assert_eq!(words, ["PROVE_VOLUME_GONE", "PROVE_VOLUME_GONE"]);
    assert_eq!(planned.recorded.instance.status, Status::Terminating, "absence from a listing alone is no proof");
    let now = stage.now;
    for (action, id) in planned.actions.iter().zip(["boot", "data"]) {
        stage.answer(action, Ok(proof(id, now)));
    }
    let planned = stage.step().1;
    assert_eq!(planned.recorded.instance.status, Status::Terminated);
    assert!(planned.recorded.instance.settled);
    assert!(stage.agg.volumes.iter().all(|v| v.status == VolumeStatus::Deleted && v.proof.is_some()));
}

#[test]
fn an_unconfirmed_creation_is_adopted_or_abandoned_and_never_repeated() {
    // The server appears: adopted, with its volumes.
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    assert!(stage.step().0.is_empty());
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("late", &name, ServerState::Stopped));
    stage.step();
    assert_eq!(stage.agg.servers[0].provider_id.as_deref(), Some("late"));
    assert_eq!(stage.agg.volumes.len(), 2 + 1, "its own two, and the data volume's intent");
    // It does not appear: abandoned, but only by a listing begun after the grace.
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    for _ in 0..590 {
        assert!(stage.step().0.is_empty(), "{:?}", stage.now);
    }
    stage.now = stage.now.plus_ms(20_000);
    assert_eq!(stage.step().0, ["CREATE"]);
    assert_eq!(stage.agg.servers[0].create_state, CreateState::Abandoned);
    assert_ne!(stage.agg.servers[0].name, stage.agg.servers[1].name);
}

#[test]
fn an_intent_without_outcome_after_a_crash_is_unconfirmed_and_not_sent_again() {
    let mut stage = Stage::new();
    stage.step();
    let (words, planned) = stage.step();
    assert!(words.is_empty());
    assert!(notes(&planned).contains("whose response was lost"), "{}", notes(&planned));
}

#[test]
fn of_two_servers_with_one_name_the_oldest_is_kept_and_the_volumes_of_the_other_are_recorded_before_its_removal() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    let name = stage.agg.servers[0].name.clone();
    let mut duplicate = observed_server("younger", &name, ServerState::Stopped);
    duplicate.created_at = Some(T0.plus_ms(5));
    duplicate.attachments = vec![attachment(0, "boot2", "sbs_volume")];
    stage.servers.push(duplicate);
    stage.servers.push(observed_server("older", &name, ServerState::Stopped));
    stage.volumes.push(observed_volume("boot2", "img_sbs_volume_0", "sbs_volume", Some("younger")));
    let (words, planned) = stage.step();
    assert!(words.contains(&"DELETE".to_owned()), "{words:?}");
    let kept: Vec<_> =
        planned.recorded.servers.iter().filter(|s| s.is_primary).filter_map(|s| s.provider_id.clone()).collect();
    assert_eq!(kept, ["older"]);
    let duplicates_volume = planned.recorded.volumes.iter().find(|v| v.provider_id.as_deref() == Some("boot2"));
    assert!(duplicates_volume.is_some_and(|v| v.delete_on_terminate && v.origin == Origin::Cloud));
}

#[test]
fn a_server_whose_volumes_are_not_all_recorded_is_not_removed() {
    let mut stage = Stage::ready();
    stage.cancel();
    stage.servers[0].attachments.push(attachment(3, "unknown", "sbs_volume"));
    // A probe does not show the unknown volume's name.
    stage.now = stage.now.plus_ms(1_000);
    let observed = Observed { listed: false, complete: false, ..stage.observe() };
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    assert!(planned.actions.is_empty(), "{:?}", planned.actions);
    assert!(notes(&planned).contains("who owns"), "{}", notes(&planned));
    // A complete listing does not show its name either: it is foreign, and is detached.
    let (words, planned) = stage.step();
    assert_eq!(words, ["DETACH_VOLUME"]);
    let row = planned.recorded.volumes.iter().find(|v| v.provider_id.as_deref() == Some("unknown"));
    assert!(row.is_some_and(|v| v.origin == Origin::Foreign && !v.delete_on_terminate));
}

#[test]
fn a_proof_is_requested_only_after_a_complete_listing_begun_after_the_deletion_does_not_show_it() {
    let mut stage = Stage::ready();
    stage.cancel();
    let (words, planned) = stage.step();
    assert_eq!(words, ["DELETE"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    let asked = stage.now;
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let upon = |stage: &mut Stage, observed: Observed| -> Vec<&'static str> {
        let mut planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        planned.actions.dedup_by_key(|a| a.kind().text());
        planned.actions.iter().map(|a| a.kind().text()).collect()
    };
    stage.now = asked.plus_ms(2_000);
    let observations = [
        ("some answers by id", Observed { listed: false, complete: true, ..stage.observe() }),
        ("a listing of a project that may be hidden", hidden(stage.observe())),
        ("begun before the deletion", Observed { began_at: asked.plus_ms(-1), ..stage.observe() }),
        ("begun in the same moment", Observed { began_at: asked, ..stage.observe() }),
    ];
    for (what, observed) in observations {
        assert_eq!(upon(&mut stage, observed), Vec::<&str>::new(), "{what}");
    }
    let observed = stage.observe();
    assert_eq!(upon(&mut stage, observed), ["PROVIDER_PROVE_SERVER_GONE", "PROVIDER_PROVE_VOLUME_GONE"]);
    // The server is gone; its volumes are another matter.
    for row in &mut stage.agg.servers {
        row.gone_at = Some(stage.now);
    }
    let by_id = Observed { listed: false, complete: true, ..stage.observe() };
    assert_eq!(upon(&mut stage, by_id), Vec::<&str>::new(), "volumes by id alone");
    let observed = hidden(stage.observe());
    assert_eq!(upon(&mut stage, observed), Vec::<&str>::new(), "volumes of a project that may be hidden");
    let observed = stage.observe();
    assert_eq!(upon(&mut stage, observed), ["PROVIDER_PROVE_VOLUME_GONE"]);
}

fn hidden(observed: Observed) -> Observed {
    Observed { listed: false, hidden: Some("blocked: credentials: nothing is shown".to_owned()), ..observed }
}

#[test]
fn a_project_that_may_be_hidden_is_reported_and_nothing_counts_as_gone() {
    let mut stage = Stage::ready();
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    stage.now = stage.now.plus_ms(120_000);
    for ends in [false, true] {
        if ends {
            stage.cancel();
        }
        let observed = hidden(stage.observe());
        let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
        assert!(planned.actions.is_empty() && planned.events.is_empty(), "{planned:?}");
        assert!(notes(&planned).contains("blocked: credentials"), "ends: {ends}: {}", notes(&planned));
    }
}

#[test]
fn the_removal_method_follows_from_state_and_policy() {
    type Case = (&'static str, ServerState, Vec<Allowed>, fn(&mut Stage), &'static [&'static str]);
    let nothing: fn(&mut Stage) = |_| {};
    let keep_scratch: fn(&mut Stage) = |s| {
        let row = s.agg.volumes.iter_mut().find(|v| v.volume_type.name == "scratch");
        row.unwrap().delete_on_terminate = false;
    };
    let keep_data: fn(&mut Stage) = |s| {
        let row = s.agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours);
        row.unwrap().delete_on_terminate = false;
    };
    let all = vec![Allowed::Stop, Allowed::Terminate];
    let cases: Vec<Case> = vec![
        ("running", ServerState::Running, all.clone(), nothing, &["DELETE"]),
        ("running, nothing allowed for the moment", ServerState::Running, vec![], nothing, &[]),
        ("running, local volume kept", ServerState::Running, all.clone(), keep_scratch, &["STOP"]),
        ("running, block volume kept", ServerState::Running, all.clone(), keep_data, &["DELETE"]),
        ("stopped in place", ServerState::StoppedInPlace, all.clone(), nothing, &["DELETE"]),
        ("stopped", ServerState::Stopped, vec![Allowed::Start], nothing, &["DELETE"]),
        ("stopped, local volume kept", ServerState::Stopped, vec![Allowed::Start], keep_scratch, &["DETACH_VOLUME"]),
        ("starting", ServerState::Starting, vec![], nothing, &[]),
        ("stopping", ServerState::Stopping, vec![], nothing, &[]),
        ("locked", ServerState::Locked, vec![], nothing, &[]),
        ("an unknown state", ServerState::Other("melting".into()), all, nothing, &[]),
    ];
    for (what, state, allowed, change, wanted) in cases {
        let mut stage = Stage::ready();
        stage.servers[0].state = state;
        stage.servers[0].allowed = allowed;
        change(&mut stage);
        stage.cancel();
        let (words, planned) = stage.step();
        assert_eq!(words, wanted, "{what}: {}", notes(&planned));
        assert_eq!(wanted.is_empty(), !planned.recorded.instance.notes.is_empty(), "{what}: a wait says why");
    }
}

#[test]
fn a_termination_first_resolves_an_unconfirmed_creation() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    stage.cancel();
    let (words, planned) = stage.step();
    assert!(words.is_empty());
    assert_eq!(planned.recorded.instance.status, Status::Terminating, "not terminated: the server may still appear");
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("late", &name, ServerState::Stopped));
    assert_eq!(stage.step().0, ["DELETE"], "found, recorded, removed");
}

#[test]
fn an_instance_without_any_creation_ends_at_once() {
    let mut stage = Stage::new();
    stage.cancel();
    let planned = stage.step().1;
    assert_eq!(planned.recorded.instance.status, Status::Terminated);
}

#[test]
fn a_failure_leaves_nothing_behind_and_says_what_to_do() {
    let error = |kind, effect| CallError { kind, effect, message: "words of the cloud".into() };
    for (kind, effect, code) in [
        (ErrorKind::Quota, Effect::None, "quota"),
        (ErrorKind::Refused, Effect::None, "refused"),
        (ErrorKind::OutOfStock, Effect::Unknown, "out_of_stock"),
    ] {
        let mut stage = Stage::new();
        let planned = stage.step().1;
        stage.answer(&planned.actions[0], Err(error(kind, effect)));
        stage.step();
        let planned = stage.step().1;
        let instance = &planned.recorded.instance;
        assert_eq!(instance.status, Status::ProvisioningFailed, "{kind:?}: {}", notes(&planned));
        let failure = instance.failure.as_ref().unwrap();
        assert_eq!(failure.code, code);
        assert!(failure.message.contains("words of the cloud") && failure.message.contains(';'), "{}", failure.message);
    }
}

#[test]
fn a_data_volume_to_be_retained_is_deleted_if_its_instance_fails_before_it_ever_ran() {
    let mut stage = Stage::new();
    stage.agg.instance.spec.data_volume.as_mut().unwrap().delete_on_terminate = false;
    let planned = stage.step().1;
    stage.create(&planned.actions[0]);
    let planned = stage.step().1;
    for action in &planned.actions {
        if let Action::Create(Creation::Volume(row)) = action {
            let volume = observed_volume("data", &row.name, "sbs_volume", None);
            stage.volumes.push(volume.clone());
            stage.answer(action, Ok(CallResult::Volume(Box::new(volume))));
        }
    }
    stage.context(|agg, cx| {
        agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
        agg.instance.terminate_requested_at = Some(cx.now);
    });
    // Its name says *delete* before it is deleted.
    let (words, planned) = stage.step();
    assert!(words.contains(&"TAG_VOLUME".to_owned()) && !words.contains(&"DELETE_VOLUME".to_owned()), "{words:?}");
    for action in planned.actions.iter().filter(|a| matches!(a, Action::Volume(_, VolumeCall::Tag))) {
        stage.answer(action, Ok(CallResult::Accepted));
    }
    let (words, _) = stage.step();
    assert!(words.contains(&"DELETE_VOLUME".to_owned()), "{words:?}: empty, and nothing that was created stays behind");
}

#[test]
fn a_refusal_is_retried_and_noted() {
    let mut stage = Stage::ready();
    stage.cancel();
    let planned = stage.step().1;
    let refusal = CallError { kind: ErrorKind::Unauthorized, effect: Effect::None, message: "no".into() };
    stage.answer(&planned.actions[0], Err(refusal));
    let (words, planned) = stage.step();
    assert!(words.is_empty());
    assert!(notes(&planned).starts_with("blocked: credentials"), "{}", notes(&planned));
    assert!(planned.recorded.instance.notes[0].until.is_some());
    assert!(planned.recorded.instance.wake_at > stage.now.plus_ms(5_000), "the retry backs off");
}

#[test]
fn every_row_has_an_id_of_its_own() {
    let stage = Stage::ready();
    let mut ids: Vec<&VolumeId> = stage.agg.volumes.iter().map(|v| &v.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), stage.agg.volumes.len());
    assert_ne!(stage.agg.servers[0].id, ServerId::new(0));
}

#[test]
fn a_creation_that_is_refused_again_and_again_backs_off_and_fails() {
    let refusal = CallError { kind: ErrorKind::Conflict, effect: Effect::None, message: "not now".into() };
    let mut stage = Stage::new();
    let (mut sent, mut seconds) = (0, 0);
    while stage.agg.instance.status != Status::ProvisioningFailed {
        let (words, planned) = stage.step();
        for action in &planned.actions {
            stage.answer(action, Err(refusal.clone()));
            sent += 1;
        }
        seconds += 1;
        assert!(seconds < 3_600, "{words:?}");
    }
    assert_eq!(sent, 41);
    assert!(seconds > 500, "the back-off doubles: {seconds} s");
}

#[test]
fn volumes_of_a_removed_duplicate_are_deleted_while_the_instance_lives() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Err(lost()));
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("older", &name, ServerState::Stopped));
    let mut duplicate = observed_server("younger", &name, ServerState::Stopped);
    duplicate.created_at = Some(T0.plus_ms(5));
    duplicate.attachments = vec![attachment(0, "boot2", "sbs_volume")];
    stage.servers.push(duplicate);
    stage.volumes.push(observed_volume("boot2", "img_sbs_volume_0", "sbs_volume", Some("younger")));
    let planned = stage.step().1;
    let delete = planned.actions.iter().find(|a| matches!(a, Action::Server(_, ServerCall::Delete))).unwrap().clone();
    stage.answer(&delete, Ok(CallResult::Accepted));
    stage.servers.pop();
    stage.volumes[0].state = VolumeState::Available;
    stage.volumes[0].server_id = None;
    let planned = stage.step().1;
    let prove = planned.actions.iter().find(|a| matches!(a, Action::Server(_, ServerCall::ProveGone))).unwrap().clone();
    let now = stage.now;
    stage.answer(&prove, Ok(proof("younger", now)));
    let (words, planned) = stage.step();
    assert!(words.contains(&"DELETE_VOLUME".to_owned()), "{words:?} {}", notes(&planned));
}

#[test]
fn a_foreign_volume_whose_detachment_is_refused_does_not_keep_the_server_running() {
    let mut stage = Stage::ready();
    stage.servers[0].attachments.push(attachment(3, "theirs", "sbs_volume"));
    stage.volumes.push(observed_volume("theirs", "theirs", "sbs_volume", Some("s1")));
    stage.cancel();
    let refusal = CallError { kind: ErrorKind::Refused, effect: Effect::None, message: "no".into() };
    for seconds in 0.. {
        let (words, planned) = stage.step();
        if words == ["DELETE"] {
            assert!((100..400).contains(&seconds), "{seconds}");
            break;
        }
        assert!(seconds < 400, "{words:?} {}", notes(&planned));
        for action in &planned.actions {
            stage.answer(action, Err(refusal.clone()));
        }
    }
}

#[test]
fn of_two_data_volumes_with_one_name_one_is_attached_and_the_other_removed() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    stage.create(&planned.actions[0]);
    let planned = stage.step().1;
    let create = planned.actions.iter().find(|a| matches!(a, Action::Create(Creation::Volume(_)))).unwrap().clone();
    stage.answer(&create, Err(lost()));
    let Action::Create(Creation::Volume(row)) = &create else { panic!() };
    stage.volumes.push(observed_volume("data", &row.name, "sbs_volume", None));
    stage.volumes.push(observed_volume("data2", &row.name, "sbs_volume", None));
    let (words, planned) = stage.step();
    let count = |w: &str| words.iter().filter(|x| *x == w).count();
    assert_eq!((count("ATTACH_VOLUME"), count("DELETE_VOLUME")), (1, 1), "{words:?}");
    let delete = planned.actions.iter().find(|a| matches!(a, Action::Volume(_, VolumeCall::Delete))).unwrap();
    let deleted = delete.volume_id().and_then(|id| planned.recorded.volume(id)?.provider_id.clone());
    assert_eq!(deleted.as_deref(), Some("data2"));
}

#[test]
fn a_server_that_appears_after_out_of_stock_is_kept() {
    let mut stage = Stage::new();
    let planned = stage.step().1;
    let stock = CallError { kind: ErrorKind::OutOfStock, effect: Effect::Unknown, message: "none".into() };
    stage.answer(&planned.actions[0], Err(stock));
    let name = stage.agg.servers[0].name.clone();
    stage.servers.push(observed_server("s1", &name, ServerState::Stopped));
    let (words, planned) = stage.step();
    assert!(words.contains(&"TAG_VOLUME".to_owned()), "{words:?}");
    assert!(planned.recorded.instance.failure.is_none(), "{:?}", planned.recorded.instance.failure);
}

#[test]
fn a_volume_to_be_retained_is_proven_gone_if_a_third_party_deleted_it() {
    let mut stage = Stage::ready();
    for v in stage.agg.volumes.iter_mut().filter(|v| v.origin == Origin::Ours) {
        v.delete_on_terminate = false;
    }
    stage.cancel();
    let planned = stage.step().1;
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    stage.servers.clear();
    stage.volumes.clear();
    for _ in 0..4 {
        let planned = stage.step().1;
        let now = stage.now;
        for action in &planned.actions {
            stage.answer(action, Ok(proof("x", now)));
        }
    }
    let data = stage.agg.volumes.iter().find(|v| v.origin == Origin::Ours).unwrap();
    assert_eq!(data.status, VolumeStatus::Deleted, "not retained: it no longer exists");
}

#[test]
fn a_server_is_removed_only_after_an_observation_that_began_after_the_request() {
    let mut stage = Stage::ready();
    let observed = stage.observe();
    stage.now = stage.now.plus_ms(500);
    stage.cancel();
    let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
    assert!(planned.actions.is_empty(), "{:?}", planned.actions);
    assert!(notes(&planned).contains("new observation"), "{}", notes(&planned));
}
