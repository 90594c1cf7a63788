//! What an outcome changes, and what it leaves alone.

use super::*;
use crate::id::ServerId;
use crate::observed::ServerState;
use crate::plan::Rules;
use crate::plan::tests::{
    T0, attachment, gone_server, instance, observed_server, observed_volume, owned_volume, profile, proof_of,
    volume_type,
};
use crate::recorded::{Proof, Server, Volume};
use crate::status::Origin;

const NOW: Timestamp = Timestamp(T0.0 + 5_000_000);

/// An instance with two living servers and two living volumes.
fn before() -> Aggregate {
    let mut agg = instance();
    let living = Server {
        gone_at: None,
        proof: None,
        delete_intended_at: None,
        delete_sent_at: None,
        ..gone_server(proof_of("s-1"))
    };
    let second = Server { id: ServerId::new(80), attempt: 2, provider_id: Some("s-2".into()), ..living.clone() };
    agg.servers = vec![living, second];
    let block = Volume { volume_type: volume_type("sbs_volume"), ..owned_volume() };
    let second = Volume { id: VolumeId::new(90), attempt: 2, provider_id: Some("v-2".into()), ..block.clone() };
    agg.volumes = vec![block, second];
    agg
}

fn concluded(agg: &mut Aggregate, action: &Action, outcome: &Outcome) -> Vec<Event> {
    let (rules, mut drawn) = (Rules { stale_ms: 0, ..Rules::default() }, 0);
    let mut ids = || {
        drawn += 1_000;
        drawn
    };
    record_outcome(
        agg,
        action,
        outcome,
        &mut Context { now: NOW, rules: &rules, profile: &profile(), control_plane: "test", ids: &mut ids },
    )
}

fn error(kind: ErrorKind, effect: Effect) -> CallError {
    CallError { kind, effect, message: "no".into() }
}

fn waiting() -> Retry {
    Retry { count: 3, not_before: NOW.plus_ms(9_000), error: error(ErrorKind::Conflict, Effect::None), call: None }
}

#[test]
fn the_back_off_doubles_up_to_its_maximum() {
    let waits: Vec<i64> = (1..8).map(|n| backoff_ms(n, ErrorKind::Conflict)).collect();
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    assert_eq!(backoff_ms(u32::MAX, ErrorKind::Refused), 600_000);
    let firsts = [ErrorKind::RateLimited, ErrorKind::Unavailable, ErrorKind::Unauthorized, ErrorKind::Quota];
    assert_eq!(
        firsts.map(|k| (backoff_ms(1, k), backoff_ms(99, k))),
        [(1_000, 60_000), (1_000, 60_000), (10_000, 60_000), (30_000, 600_000)]
    );
}

#[test]
fn calls_that_were_refused_together_are_not_retried_together() {
    for (drawn, ms) in [(0, 8_000), (500, 7_000), (999, 6_002), (1_000, 8_000), (u128::MAX, 7_090)] {
        assert_eq!(jittered(8_000, drawn), ms, "{drawn}");
    }
}

#[test]
fn an_intent_records_what_a_crash_must_not_hide_and_nothing_else() {
    let (v, s) = (owned_volume().id, ServerId::new(8));
    let marked = |action: &Action| {
        let (old, mut new) = (before(), before());
        record_intent(&mut new, action, NOW);
        // Twice is the same as once: the first moment counts.
        let mut twice = new.clone();
        record_intent(&mut twice, action, NOW.plus_ms(1));
        if !action.creates() {
            assert_eq!(twice, new, "{action:?}");
        }
        (new != old, new)
    };
    let going = marked(&Action::Server(s.clone(), ServerCall::Terminate)).1;
    assert_eq!((going.servers[0].delete_intended_at, going.servers[1].delete_intended_at), (Some(NOW), None));
    assert_eq!(marked(&Action::Server(s.clone(), ServerCall::Delete)).1, going);
    let started = marked(&Action::Server(s.clone(), ServerCall::Start)).1;
    assert_eq!((started.servers[0].start_intended_at, started.servers[1].start_intended_at), (Some(NOW), None));
    let deleting = marked(&Action::Volume(v.clone(), VolumeCall::Delete)).1;
    assert_eq!(deleting.volumes[0].delete_intended_at, Some(NOW));
    assert_eq!(
        (deleting.volumes[0].status, deleting.volumes[1].status),
        (VolumeStatus::Deleting, before().volumes[1].status)
    );
    let made =
        marked(&Action::Create(Creation::Volume(Box::new(Volume { id: VolumeId::new(91), ..owned_volume() })))).1;
    assert_eq!(made.volumes.len(), 3);
    for quiet in [
        Action::Volume(v.clone(), VolumeCall::Tag),
        Action::Volume(v.clone(), VolumeCall::Resize(1)),
        Action::Volume(v.clone(), VolumeCall::Attach(s.clone())),
        Action::Volume(v.clone(), VolumeCall::Detach(s.clone())),
        Action::Server(s.clone(), ServerCall::Tag),
        Action::Server(s.clone(), ServerCall::SetUserData),
        Action::Server(s, ServerCall::ProveGone),
        Action::Volume(v, VolumeCall::ProveGone),
    ] {
        assert!(!marked(&quiet).0, "{quiet:?}");
    }
}

#[test]
fn an_accepted_call_about_a_volume_is_written_on_that_volume() {
    let (v, s) = (owned_volume().id, ServerId::new(8));
    let after = |action: Action, reply: CallResult| {
        let mut agg = before();
        agg.volumes[0].retry = Some(waiting());
        agg.volumes[1].retry = Some(waiting());
        concluded(&mut agg, &action, &Ok(reply));
        assert_eq!(agg.volumes[0].retry, None, "{action:?}");
        let other = Volume { retry: Some(waiting()), ..before().volumes[1].clone() };
        assert_eq!((&agg.volumes[1], &agg.servers), (&other, &before().servers), "{action:?}: others stay as they are");
        agg.volumes.remove(0)
    };
    let old = before().volumes.remove(0);
    let grown = ObservedVolume { size_bytes: Some(77), ..observed_volume("v-1", "named", "sbs_volume", None) };
    let tagged = after(Action::Volume(v.clone(), VolumeCall::Tag), CallResult::Volume(Box::new(grown)));
    assert_eq!((tagged.tagged_at, tagged.size_bytes, tagged.name.as_str()), (Some(NOW), Some(77), "named"));
    let tagged = after(Action::Volume(v.clone(), VolumeCall::Tag), CallResult::Accepted);
    assert_eq!(tagged, Volume { tagged_at: Some(NOW), ..old.clone() });
    let resized = after(Action::Volume(v.clone(), VolumeCall::Resize(1)), CallResult::Accepted);
    assert_eq!(resized, Volume { changed_at: Some(NOW), ..old.clone() });
    let attached = after(Action::Volume(v.clone(), VolumeCall::Attach(s.clone())), CallResult::Accepted);
    let expected = Volume { attach_sent_at: Some(NOW), status: VolumeStatus::Attaching, ..old.clone() };
    assert_eq!(attached, expected);
    let detached = after(Action::Volume(v.clone(), VolumeCall::Detach(s)), CallResult::Accepted);
    let expected = Volume { detach_sent_at: Some(NOW), status: VolumeStatus::Detaching, ..old.clone() };
    assert_eq!(detached, expected);
    let deleted = after(Action::Volume(v.clone(), VolumeCall::Delete), CallResult::Accepted);
    assert_eq!(deleted, Volume { delete_sent_at: Some(NOW), delete_accepted_at: Some(NOW), ..old.clone() });
    assert_eq!(after(Action::Volume(v, VolumeCall::ProveGone), CallResult::StillThere), old);
}

#[test]
fn an_accepted_call_about_a_server_is_written_on_that_server() {
    let s = ServerId::new(8);
    let after = |action: Action, reply: CallResult| {
        let mut agg = before();
        agg.servers[0].retry = Some(waiting());
        agg.servers[1].retry = Some(waiting());
        let events = concluded(&mut agg, &action, &Ok(reply));
        let other = Server { retry: Some(waiting()), ..before().servers[1].clone() };
        assert_eq!((&agg.servers[1], &agg.volumes), (&other, &before().volumes), "{action:?}: others stay as they are");
        (agg.servers.remove(0), agg.instance.status, events)
    };
    let old = before().servers.remove(0);
    let (provisioning, accepted) = (Status::Provisioning, CallResult::Accepted);
    let reported = after(Action::Server(s.clone(), ServerCall::SetUserData), accepted.clone());
    assert_eq!(reported, (Server { user_data_at: Some(NOW), ..old.clone() }, provisioning, vec![]));
    let tagged = after(Action::Server(s.clone(), ServerCall::Tag), accepted.clone());
    assert_eq!(tagged, (Server { tagged_at: Some(NOW), ..old.clone() }, provisioning, vec![]));
    let started = after(Action::Server(s.clone(), ServerCall::Start), accepted.clone());
    let starts = old.starts + 1;
    assert_eq!(started, (Server { starts, start_sent_at: Some(NOW), ..old.clone() }, Status::Booting, vec![]));
    let stopped = after(Action::Server(s.clone(), ServerCall::Stop), accepted.clone());
    assert_eq!(stopped, (Server { stop_sent_at: Some(NOW), ..old.clone() }, provisioning, vec![]));
    for removal in [Action::Server(s.clone(), ServerCall::Terminate), Action::Server(s.clone(), ServerCall::Delete)] {
        let removed = after(removal, accepted.clone());
        assert_eq!(removed, (Server { delete_sent_at: Some(NOW), ..old.clone() }, provisioning, vec![]));
    }
    assert_eq!(
        after(Action::Server(s.clone(), ServerCall::ProveGone), CallResult::StillThere),
        (old.clone(), provisioning, vec![])
    );
    // Gone, and no removal was requested here.
    let (gone, _, events) =
        after(Action::Server(s, ServerCall::ProveGone), CallResult::Gone(Box::new(proof_of("s-1"))));
    // Where reads are never stale, it is confirmed at once.
    let proof = Some(Proof { confirm_after: Some(T0), confirmed_at: Some(T0), ..proof_of("s-1") });
    assert_eq!(gone, Server { gone_at: Some(T0), proof, state: Some("gone".into()), ..old });
    assert_eq!(events.iter().map(|e| e.kind.text()).collect::<Vec<_>>(), ["SERVER_DISAPPEARED"]);
}

#[test]
fn a_start_sets_booting_only_on_a_provisioning_instance() {
    let mut agg = before();
    agg.servers[0].starts = 4;
    agg.instance.status = Status::Ready;
    concluded(&mut agg, &Action::Server(ServerId::new(8), ServerCall::Start), &Ok(CallResult::Accepted));
    assert_eq!((agg.instance.status, agg.servers[0].starts), (Status::Ready, 5));
    agg.instance.status = Status::Provisioning;
    concluded(&mut agg, &Action::Server(ServerId::new(8), ServerCall::Stop), &Ok(CallResult::Accepted));
    assert_eq!(agg.instance.status, Status::Provisioning);
}

#[test]
fn a_requested_deletion_is_not_reported_as_a_disappearance() {
    type Change = fn(&mut Aggregate);
    let (volume, server): (&[&str], &[&str]) = (&["VOLUME_DISAPPEARED"], &["SERVER_DISAPPEARED"]);
    let nothing: Change = |_| {};
    let asked: Change = |a| a.volumes[0].delete_intended_at = Some(T0);
    let server_going: Change = |a| a.servers[1].delete_intended_at = Some(T0);
    let server_gone: Change = |a| a.servers[1].gone_at = Some(T0);
    let local: Change = |a| a.volumes[0].volume_type = volume_type("scratch");
    let cases: [(&str, &[Change], &[&str]); 7] = [
        ("a block volume", &[nothing], volume),
        ("we requested it", &[asked], &[]),
        ("its server goes: it should have stayed", &[server_going], volume),
        ("its server is gone: it should have stayed", &[server_gone], volume),
        ("a local volume", &[local], volume),
        ("it is deleted with its server", &[local, server_going], &[]),
        ("it was deleted with its server", &[local, server_gone], &[]),
    ];
    for (what, changes, expected) in cases {
        let mut agg = before();
        changes.iter().for_each(|change| change(&mut agg));
        let gone = Ok(CallResult::Gone(Box::new(proof_of("v-1"))));
        let events = concluded(&mut agg, &Action::Volume(owned_volume().id, VolumeCall::ProveGone), &gone);
        assert_eq!(events.iter().map(|e| e.kind.text()).collect::<Vec<_>>(), expected, "{what}");
        let v = &agg.volumes[0];
        assert_eq!((v.status, v.deleted_at, v.proof.is_some()), (VolumeStatus::Deleted, Some(T0), true), "{what}");
        assert_eq!(agg.volumes[1], before().volumes[1], "{what}");
    }
    for (asked, expected) in [(None, server), (Some(T0), &[])] {
        let mut agg = before();
        agg.servers[0].delete_intended_at = asked;
        let gone = Ok(CallResult::Gone(Box::new(proof_of("s-1"))));
        let events = concluded(&mut agg, &Action::Server(ServerId::new(8), ServerCall::ProveGone), &gone);
        assert_eq!(events.iter().map(|e| e.kind.text()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_new_server_is_kept_unless_another_took_its_place() {
    let created = |rivals: fn(&mut Server)| {
        let mut agg = before();
        let open = Server {
            id: ServerId::new(70),
            create_state: CreateState::Intended,
            provider_id: None,
            ..agg.servers[1].clone()
        };
        agg.servers[1] = open.clone();
        rivals(&mut agg.servers[0]);
        let mut seen = observed_server("s-7", "n", ServerState::Stopped);
        seen.attachments.push(attachment(3, "v-1", "sbs_volume"));
        let reply = Ok(CallResult::Server(Box::new(seen)));
        let events = concluded(&mut agg, &Action::Create(Creation::Server(Box::new(open))), &reply);
        assert_eq!(events.iter().map(|e| e.kind.text()).collect::<Vec<_>>(), ["VOLUME_FOUND"; 2], "v-1 was known");
        assert_eq!(agg.volumes.iter().skip(2).map(|v| v.is_boot).collect::<Vec<_>>(), [true, false]);
        let s = &agg.servers[1];
        assert_eq!(
            (s.provider_id.as_deref(), s.create_state, s.answered_at),
            (Some("s-7"), CreateState::Created, Some(NOW))
        );
        assert_eq!((s.tagged_at, s.state.as_deref()), (Some(NOW), Some("stopped")));
        s.is_primary
    };
    assert!(!created(|_| {}), "the other one lives");
    assert!(created(|s| s.is_primary = false), "the other one is a duplicate");
    assert!(created(|s| s.gone_at = Some(T0)), "the other one is gone");
}

#[test]
fn a_new_data_volume_is_recorded_as_the_response_shows_it() {
    let mut agg = before();
    let open = Volume { create_state: CreateState::Intended, provider_id: None, ..agg.volumes[0].clone() };
    agg.volumes[0] = open.clone();
    let seen = ObservedVolume { size_bytes: Some(77), ..observed_volume("v-7", "n", "sbs_volume", None) };
    concluded(&mut agg, &Action::Create(Creation::Volume(Box::new(open))), &Ok(CallResult::Volume(Box::new(seen))));
    let v = &agg.volumes[0];
    assert_eq!((v.provider_id.as_deref(), v.create_state, v.size_bytes), (Some("v-7"), CreateState::Created, Some(77)));
    assert_eq!((v.answered_at, v.tagged_at), (Some(NOW), Some(NOW)));
}

#[test]
fn a_refusal_waits_and_a_removal_of_what_is_not_found_counts_as_sent() {
    let (v, s) = (owned_volume().id, ServerId::new(8));
    let conflict = error(ErrorKind::Conflict, Effect::None);
    let again = |count, call| {
        let not_before = NOW.plus_ms(1_000_i64 << (count - 1));
        Some(Retry { count, not_before, error: conflict.clone(), call: Some(call) })
    };
    let mut agg = before();
    for count in 1..4 {
        concluded(&mut agg, &Action::Volume(v.clone(), VolumeCall::Delete), &Err(conflict.clone()));
        concluded(&mut agg, &Action::Server(s.clone(), ServerCall::Terminate), &Err(conflict.clone()));
        assert_eq!(agg.volumes[0].retry, again(count, EventKind::ProviderDeleteVolume));
        assert_eq!(agg.servers[0].retry, again(count, EventKind::ProviderDelete));
    }
    let rest = (before().volumes.remove(1), before().servers.remove(1));
    assert_eq!((&agg.volumes[1], &agg.servers[1]), (&rest.0, &rest.1));
    let not_found = error(ErrorKind::NotFound, Effect::None);
    concluded(&mut agg, &Action::Volume(v.clone(), VolumeCall::Delete), &Err(not_found.clone()));
    concluded(&mut agg, &Action::Server(s.clone(), ServerCall::Delete), &Err(not_found.clone()));
    assert_eq!((agg.volumes[0].delete_sent_at, &agg.volumes[0].retry), (Some(NOW), &None));
    assert_eq!((agg.servers[0].delete_sent_at, &agg.servers[0].retry), (Some(NOW), &None));
    // Not found by anything else proves nothing.
    let mut agg = before();
    concluded(&mut agg, &Action::Volume(v, VolumeCall::Tag), &Err(not_found.clone()));
    concluded(&mut agg, &Action::Server(s, ServerCall::Start), &Err(not_found));
    assert_eq!((agg.volumes[0].delete_sent_at, agg.servers[0].delete_sent_at), (None, None));
    assert!(agg.volumes[0].retry.is_some() && agg.servers[0].retry.is_some());
}

#[test]
fn an_attachment_whose_response_was_lost_may_have_been_accepted() {
    let attach = Action::Volume(owned_volume().id, VolumeCall::Attach(ServerId::new(8)));
    for (effect, sent) in [(Effect::Unknown, Some(NOW)), (Effect::None, None)] {
        let mut agg = before();
        concluded(&mut agg, &attach, &Err(error(ErrorKind::Unavailable, effect)));
        assert_eq!(agg.volumes[0].attach_sent_at, sent, "{effect:?}");
    }
    let mut agg = before();
    concluded(
        &mut agg,
        &Action::Volume(owned_volume().id, VolumeCall::Delete),
        &Err(error(ErrorKind::Unavailable, Effect::Unknown)),
    );
    assert_eq!(agg.volumes[0].attach_sent_at, None);
}

#[test]
fn a_name_that_is_refused_is_set_when_the_drift_is_observed_again() {
    let mut agg = before();
    agg.servers[0].tagged_at = None;
    concluded(
        &mut agg,
        &Action::Server(ServerId::new(8), ServerCall::Tag),
        &Err(error(ErrorKind::Conflict, Effect::None)),
    );
    assert_eq!((agg.servers[0].tagged_at, &agg.servers[0].retry), (Some(NOW), &None));
}

#[test]
fn a_creation_is_refused_or_unconfirmed_and_the_next_attempt_continues_its_count() {
    for (effect, state, failed) in
        [(Effect::None, CreateState::Refused, true), (Effect::Unknown, CreateState::Unconfirmed, false)]
    {
        let refusal = error(ErrorKind::Quota, effect);
        let mut agg = before();
        let open = |row: &Volume| Volume { create_state: CreateState::Intended, origin: Origin::Ours, ..row.clone() };
        agg.volumes[0] = open(&agg.volumes[0]);
        let first = Action::Create(Creation::Volume(Box::new(agg.volumes[0].clone())));
        concluded(&mut agg, &first, &Err(refusal.clone()));
        let v = &agg.volumes[0];
        assert_eq!((v.create_state, &v.create_error, v.answered_at), (state, &Some(refusal.clone()), Some(NOW)));
        assert_eq!(v.status == VolumeStatus::Failed, failed);
        agg.servers[0].create_state = CreateState::Intended;
        let first = Action::Create(Creation::Server(Box::new(agg.servers[0].clone())));
        concluded(&mut agg, &first, &Err(refusal.clone()));
        let s = &agg.servers[0];
        assert_eq!((s.create_state, &s.create_error, s.answered_at), (state, &Some(refusal.clone()), Some(NOW)));
        // The second attempt of each, refused too.
        agg.volumes[1] = open(&agg.volumes[1]);
        agg.servers[1].create_state = CreateState::Intended;
        let next = [
            Action::Create(Creation::Volume(Box::new(agg.volumes[1].clone()))),
            Action::Create(Creation::Server(Box::new(agg.servers[1].clone()))),
        ];
        for action in next {
            concluded(&mut agg, &action, &Err(refusal.clone()));
        }
        let counts = [agg.volumes[1].retry.as_ref(), agg.servers[1].retry.as_ref()].map(|r| r.map(|r| r.count));
        let expected = if failed { Some(2) } else { Some(1) };
        assert_eq!(counts, [expected; 2], "{effect:?}");
    }
    // A late refusal does not change a created resource; counts of other attempts are not continued.
    let mut agg = before();
    agg.volumes[0] =
        Volume { attempt: 5, create_state: CreateState::Refused, retry: Some(waiting()), ..agg.volumes[0].clone() };
    agg.servers[0] =
        Server { attempt: 5, create_state: CreateState::Refused, retry: Some(waiting()), ..agg.servers[0].clone() };
    let (volume, server) = (agg.volumes[1].clone(), agg.servers[1].clone());
    for action in
        [Action::Create(Creation::Volume(Box::new(volume))), Action::Create(Creation::Server(Box::new(server)))]
    {
        concluded(&mut agg, &action, &Err(error(ErrorKind::Quota, Effect::Unknown)));
    }
    assert_eq!(
        (agg.volumes[1].create_state, agg.servers[1].create_state),
        (CreateState::Created, CreateState::Created)
    );
    let counts = [agg.volumes[1].retry.as_ref(), agg.servers[1].retry.as_ref()].map(|r| r.map(|r| r.count));
    assert_eq!(counts, [Some(1); 2]);
    // A refused volume of another origin is not an attempt at this one.
    let mut agg = before();
    agg.volumes[0] = Volume {
        origin: Origin::Cloud,
        create_state: CreateState::Refused,
        retry: Some(waiting()),
        ..agg.volumes[0].clone()
    };
    agg.volumes[1].origin = Origin::Ours;
    let second = Action::Create(Creation::Volume(Box::new(agg.volumes[1].clone())));
    concluded(&mut agg, &second, &Err(error(ErrorKind::Quota, Effect::None)));
    assert_eq!(agg.volumes[1].retry.as_ref().map(|r| r.count), Some(1));
}

#[test]
fn a_stop_and_a_reboot_are_marked_with_their_intent_and_unmarked_if_they_certainly_had_no_effect() {
    let asked = NOW.plus_ms(5);
    for (effect, none) in [(Effect::Unknown, false), (Effect::None, true)] {
        for call in [ServerCall::Stop, ServerCall::Reboot] {
            let mut agg = before();
            agg.instance.reboot_requested_at = Some(asked);
            let id = agg.servers[0].id.clone();
            let action = Action::Server(id, call);
            record_intent(&mut agg, &action, NOW);
            // A reboot is due until a start or reboot after its request.
            let rebooted = |s: &Server| s.start_sent_at.is_some_and(|t| t >= asked);
            let marked = |agg: &Aggregate| {
                let s = &agg.servers[0];
                if call == ServerCall::Stop { s.stop_sent_at.is_some() } else { rebooted(s) }
            };
            assert!(marked(&agg), "{call:?}: a crash may follow");
            concluded(&mut agg, &action, &Err(error(ErrorKind::Unavailable, effect)));
            assert_eq!(marked(&agg), !none, "{call:?} {effect:?}");
        }
    }
}
