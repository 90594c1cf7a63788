//! The planner as tables: recorded and observed state on the left, actions and notes on the right.

mod awaited;
mod before_start;
mod drift;
mod evidence;
mod failure;
mod power;
mod record_observation;
mod recorded_state;
mod remove_server;
mod remove_volume;
mod reuse;
mod stage;
mod stale;
mod start;
mod transcript;
mod transcripts;
mod turns;
mod vanished;

use super::plan;
use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::error::{CallError, Effect, ErrorKind};
use crate::id::{ServerId, VolumeId};
use crate::observed::{Allowed, Observed, ObservedVolume, ServerState, VolumeState};
use crate::progress::CallResult;
use crate::size::GB;
use crate::status::{CreateState, Desired, Origin, Status, VolumeStatus};
use stage::*;
pub(crate) use stage::{
    T0, attachment, gone_server, instance, life, observed_server, observed_volume, owned_volume, profile, proof_of,
    volume_type,
};

#[test]
fn a_new_servers_volumes_are_rows_in_the_same_step_whatever_their_kind() {
    let mut stage = Stage::new();
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["create the L40S-1-48G server"]);
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
    let (acts, planned) = stage.step();
    assert!(acts.is_empty() && planned.recorded.instance.settled, "{:?}", planned.recorded.instance.notes);
    let again = stage.step().1;
    assert_eq!(again.recorded, stage.agg);
    stage.cancel();
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["remove server s1 while it runs"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    assert!(stage.step().0.is_empty(), "it waits for the server to be gone");
    stage.servers.clear();
    stage.volumes.retain(|v| v.id != "scr");
    let (acts, planned) = stage.step();
    assert_eq!(
        acts,
        ["prove server s1 gone: not found by its id", "prove volume scr gone: not found by its id"],
        "scratch was deleted with the server"
    );
    let now = stage.now;
    stage.answer(&planned.actions[0], Ok(proof("s1", now)));
    stage.answer(&planned.actions[1], Ok(proof("scr", now)));
    let (acts, planned) = stage.step();
    assert_eq!(acts, NOTHING, "the others are still in use");
    assert!(notes(&planned).contains("to be detached from server s1"), "{}", notes(&planned));
    for v in &mut stage.volumes {
        (v.state, v.server_id) = (VolumeState::InUse, None);
    }
    assert!(stage.step().0.is_empty(), "in use without references is a wait, too");
    for v in &mut stage.volumes {
        v.state = VolumeState::Available;
    }
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["delete boot volume boot", "delete data volume data"]);
    for action in &planned.actions {
        stage.answer(action, Ok(CallResult::Accepted));
    }
    assert!(stage.step().0.is_empty());
    stage.volumes.clear();
    let (acts, planned) = stage.step();
    assert_eq!(
        acts,
        ["prove boot volume boot gone: not found by its id", "prove data volume data gone: not found by its id"]
    );
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
    assert_eq!(stage.step().0, ["create the L40S-1-48G server"]);
    assert_eq!(stage.agg.servers[0].create_state, CreateState::Abandoned);
    assert_ne!(stage.agg.servers[0].name, stage.agg.servers[1].name);
}

#[test]
fn an_intent_without_outcome_after_a_crash_is_unconfirmed_and_not_sent_again() {
    let mut stage = Stage::new();
    stage.step();
    let (acts, planned) = stage.step();
    assert!(acts.is_empty());
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
    let (acts, planned) = stage.step();
    assert!(acts.contains(&"remove server younger while it is stopped".to_owned()), "{acts:?}");
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
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["detach third-party volume unknown from server s1"]);
    let row = planned.recorded.volumes.iter().find(|v| v.provider_id.as_deref() == Some("unknown"));
    assert!(row.is_some_and(|v| v.origin == Origin::Foreign && !v.delete_on_terminate));
}

#[test]
fn a_proof_is_requested_only_after_a_complete_listing_begun_after_the_deletion_does_not_show_it() {
    let mut stage = Stage::ready();
    stage.cancel();
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["remove server s1 while it runs"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    let asked = stage.now;
    (stage.servers, stage.volumes) = (Vec::new(), Vec::new());
    let upon = |stage: &mut Stage, observed: Observed| actions_of(&stage.context(|agg, cx| plan(agg, &observed, cx)));
    stage.now = asked.plus_ms(2_000);
    let observations = [
        ("some probes by id", Observed { listed: false, complete: true, ..stage.observe() }),
        ("a listing of a project that may be hidden", hidden(stage.observe())),
        ("begun before the deletion", Observed { began_at: asked.plus_ms(-1), ..stage.observe() }),
        ("begun in the same moment", Observed { began_at: asked, ..stage.observe() }),
    ];
    for (what, observed) in observations {
        assert_eq!(upon(&mut stage, observed), NOTHING, "{what}");
    }
    let observed = stage.observe();
    assert_eq!(
        upon(&mut stage, observed),
        ["prove server s1 gone: not found by its id", "prove volume scr gone: not found by its id"]
    );
    // The server is gone; its volumes are another matter.
    for row in &mut stage.agg.servers {
        row.gone_at = Some(stage.now);
    }
    let by_id = Observed { listed: false, complete: true, ..stage.observe() };
    assert_eq!(upon(&mut stage, by_id), NOTHING, "volumes by id alone");
    let observed = hidden(stage.observe());
    assert_eq!(upon(&mut stage, observed), NOTHING, "volumes of a project that may be hidden");
    let observed = stage.observe();
    assert_eq!(
        upon(&mut stage, observed),
        [
            "prove boot volume boot gone: not found by its id",
            "prove volume scr gone: not found by its id",
            "prove data volume data gone: not found by its id"
        ]
    );
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
