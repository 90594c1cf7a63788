//! Volumes that a third party deleted, although nothing waits for them.

use super::drift::{ended_and_kept, long_since};
use super::stale::WINDOW_MS;
use super::*;
use crate::ledger::charges;
use crate::recorded::{PendingFact, PendingObservation};

const RESYNC_MS: i64 = 60_001;

/// Without the volume in the listing and on the server.
fn without(stage: &mut Stage, id: &str) {
    stage.volumes.retain(|v| v.id != id);
    for server in &mut stage.servers {
        server.attachments.retain(|a| a.volume_id != id);
    }
}

/// A stage in a cloud whose reads may be stale, and the volume that is concerned.
fn stages() -> [(Stage, &'static str); 3] {
    let mut all = [(long_since(), "boot"), (long_since(), "scr"), (ended_and_kept(), "data")];
    for (stage, _) in &mut all {
        stage.stale_ms = WINDOW_MS;
        stage.now = stage.now.plus_ms(WINDOW_MS + 1);
        assert_eq!(stage.step().0, Vec::<String>::new());
    }
    all
}

fn row<'s>(stage: &'s mut Stage, id: &str) -> &'s mut crate::recorded::Volume {
    stage.agg.volumes.iter_mut().find(|v| v.provider_id.as_deref() == Some(id)).unwrap()
}

#[test]
fn a_volume_that_a_third_party_deleted_is_proven_gone_and_no_longer_charged() {
    for (mut stage, id) in stages() {
        let (volumes, servers) = (stage.volumes.clone(), stage.servers.clone());
        let (status, charged) = (stage.agg.instance.status, charges(&stage.agg).len());
        without(&mut stage, id);
        let mut asked_at = Vec::new();
        for resync in 0..5 {
            stage.now = stage.now.plus_ms(RESYNC_MS - 1_000);
            let (_, planned) = stage.step();
            for action in &planned.actions {
                assert!(matches!(action, Action::Volume(_, VolumeCall::ProveGone)), "{id}: {planned}");
                asked_at.push(resync);
                stage.answer(action, Ok(proof(id, stage.now)));
            }
            assert_eq!(notes(&planned), "", "{id}: nothing waits for it");
        }
        // Two not-founds, the window apart, the first of them the window after it was last shown.
        assert_eq!(asked_at, [1, 2], "{id}");
        let gone = row(&mut stage, id).clone();
        assert_eq!((gone.status, gone.proof.unwrap().is_provisional()), (VolumeStatus::Deleted, false), "{id}");
        let block = gone.volume_type.is_block();
        assert_eq!(
            charges(&stage.agg).len(),
            charged - usize::from(block),
            "{id}: a local one has no price of its own"
        );
        assert_eq!((stage.agg.instance.status, stage.agg.instance.failure.clone()), (status, None), "{id}");
        // The cloud had lied: it is shown again, and goes on.
        (stage.volumes, stage.servers) = (volumes, servers);
        stage.now = stage.now.plus_ms(RESYNC_MS);
        for _ in 0..3 {
            let (acts, _) = stage.step();
            assert_eq!(acts, Vec::<String>::new(), "{id}");
        }
        assert_eq!(charges(&stage.agg).len(), charged, "{id}");
        assert_eq!((stage.agg.instance.status, row(&mut stage, id).is_kept()), (status, id == "data"), "{id}");
    }
}

#[test]
fn nothing_is_asked_while_the_absence_may_be_explained_otherwise() {
    type Change = fn(&mut Stage, &mut Observed);
    let cases: [(&str, Change, [bool; 3]); 6] = [
        ("an old absence", |_, _| {}, [true, true, true]),
        ("not a complete listing", |_, o| o.listed = false, [false, false, false]),
        ("no block volume is shown", |_, o| o.blocks_hidden = true, [false, true, false]),
        ("a retry is pending", |s, _| retry_later(s), [false, false, false]),
        ("it was shown since", |s, _| pend(s, 0), [false, false, false]),
        ("recorded after the listing began", |s, o| created(s, o.began_at), [false, false, false]),
    ];
    for (what, change, wanted) in cases {
        let asked = stages().map(|(mut stage, id)| {
            without(&mut stage, id);
            pend(&mut stage, WINDOW_MS + 1);
            let mut observed = stage.observe();
            change(&mut stage, &mut observed);
            let planned = stage.context(|agg, cx| plan(agg, &observed, cx));
            planned.actions.iter().any(|a| matches!(a, Action::Volume(_, VolumeCall::ProveGone)))
        });
        assert_eq!(asked, wanted, "{what}");
    }
    // The listing of volumes does not show it, and its server does.
    let (mut stage, id) = stages().into_iter().next().unwrap();
    stage.volumes.retain(|v| v.id != id);
    pend(&mut stage, WINDOW_MS + 1);
    assert_eq!(stage.step().0, Vec::<String>::new());
}

fn pend(stage: &mut Stage, ago_ms: i64) {
    let since = stage.now.plus_ms(-ago_ms);
    for v in &mut stage.agg.volumes {
        v.pending_observation = Some(PendingObservation { what: PendingFact::Absent, since, first: None });
    }
}

fn retry_later(stage: &mut Stage) {
    let until = stage.now.plus_ms(1);
    for v in &mut stage.agg.volumes {
        v.retry = Some(super::before_start::refused(ErrorKind::Unavailable, 1, until));
    }
}

fn created(stage: &mut Stage, at: crate::time::Timestamp) {
    for v in &mut stage.agg.volumes {
        v.answered_at = Some(at);
    }
}
