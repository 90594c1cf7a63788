//! What a plan waits for, so that nothing else is read.

use super::*;
use crate::plan::{Await, Change, Shows};
use crate::recorded::Retry;

fn awaited(stage: &mut Stage) -> Vec<(Change, String)> {
    let id = |a: Await| match a.shows {
        Shows::Server(id) | Shows::Volume(id, _) => (a.change, id),
        Shows::BlockListing => (a.change, "listing".to_owned()),
    };
    upon(stage).awaits.into_iter().map(id).collect()
}

/// Everything is created, the data volume is attached, and the start was requested.
fn starting() -> Stage {
    let mut stage = Stage::ready();
    stage.agg.instance.status = Status::Booting;
    stage.agg.servers[0].start_sent_at = Some(stage.now);
    stage.servers[0].state = ServerState::Starting;
    stage
}

fn ending() -> Stage {
    let mut stage = Stage::ready();
    stage.cancel();
    stage
}

#[test]
fn each_awaited_change_is_named_with_the_resource_that_shows_it() {
    let s1 = |change| vec![(change, "s1".to_owned())];
    let data = |change| vec![(change, "data".to_owned())];

    let mut stage = starting();
    assert_eq!(awaited(&mut stage), s1(Change::ServerRuns));
    // While the server starts, a volume that is still being attached is not polled.
    let volume = stage.volumes.iter_mut().find(|v| v.id == "data").unwrap();
    volume.attachment_settled = false;
    assert_eq!(awaited(&mut stage), s1(Change::ServerRuns));
    stage.servers[0].state = ServerState::Running;
    assert_eq!(awaited(&mut stage), data(Change::VolumeAttached));
    assert_eq!(upon(&mut stage).recorded.instance.status, Status::Booting, "not ready without it");
    stage.servers[0].addresses = Vec::new();
    assert_eq!(awaited(&mut stage), s1(Change::AddressShown));
    (stage.servers[0].state, stage.servers[0].allowed) = (ServerState::Stopped, Vec::new());
    stage.agg.servers[0].start_sent_at = None;
    assert_eq!(awaited(&mut stage), s1(Change::ActionsAllowed));

    let volume = stage.volumes.iter_mut().find(|v| v.id == "data").unwrap();
    (volume.state, volume.server_id) = (VolumeState::Creating, None);
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    assert_eq!(awaited(&mut stage), data(Change::VolumeMade));
}

#[test]
fn while_terminating_the_server_is_polled_and_then_its_block_volumes() {
    let mut stage = ending();
    stage.agg.servers[0].delete_sent_at = Some(stage.now);
    stage.servers[0].state = ServerState::Stopping;
    assert_eq!(awaited(&mut stage), vec![(Change::ServerGone, "s1".to_owned())]);

    let mut stage = ending();
    stage.agg.servers[0] = gone_server(proof_of("s1"));
    stage.servers.clear();
    stage.agg.volumes.retain(|v| v.is_block());
    stage.volumes.retain(|v| v.is_block());
    let block = ["boot", "data"].map(|id| (Change::VolumeFree, id.to_owned()));
    assert_eq!(awaited(&mut stage), block);

    // Deleted, they are gone once a listing of block volumes does not show them.
    let sent = stage.now;
    for v in &mut stage.agg.volumes {
        v.delete_sent_at = Some(sent);
    }
    let listing = || (Change::VolumeGone, "listing".to_owned());
    assert_eq!(awaited(&mut stage), [listing(), listing()]);
    stage.volumes.clear();
    let by_id = Observed { listed: false, ..stage.observe() };
    let planned = |stage: &mut Stage, observed: &Observed| stage.context(|agg, cx| plan(agg, observed, cx));
    assert_eq!(planned(&mut stage, &by_id).awaits.len(), 2, "not found by id is not enough");
    let too_old = Observed { blocks_listed_at: Some(sent), ..by_id.clone() };
    assert_eq!(planned(&mut stage, &too_old).actions.len(), 0);
    let listed = Observed { blocks_listed_at: Some(sent.plus_ms(1)), ..by_id };
    assert_eq!(planned(&mut stage, &listed).actions.len(), 2, "both proofs are requested");
    // Other volumes need a complete listing of everything.
    for v in &mut stage.agg.volumes {
        v.volume_type = volume_type("scratch");
    }
    assert_eq!(planned(&mut stage, &listed).actions.len(), 0);
}

#[test]
fn any_other_wait_needs_a_complete_observation() {
    // A call that was refused.
    let mut stage = starting();
    stage.agg.servers[0].tagged_at = None;
    stage.agg.servers[0].retry =
        Some(Retry { count: 1, not_before: stage.now.plus_ms(9_000), error: lost(), call: None });
    assert_eq!(awaited(&mut stage), vec![]);
    // A call that is made now: its response shows what comes next.
    let mut stage = starting();
    stage.agg.servers[0].tagged_at = None;
    assert_eq!((upon(&mut stage).actions.len(), awaited(&mut stage)), (1, vec![]));
    // Nothing.
    assert_eq!(awaited(&mut Stage::ready()), vec![]);
}
