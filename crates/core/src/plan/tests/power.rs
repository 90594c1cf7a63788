//! Stop, start again and reboot: what is believed of reads that may be stale, and of calls whose outcome is unknown.

use super::*;
use crate::status::Desired;

/// An instance that has long been ready, in a cloud whose reads may be a minute old.
fn ready() -> Stage {
    let mut stage = drift::long_since();
    stage.stale_ms = 60_000;
    stage
}

fn shows(stage: &mut Stage, state: ServerState) {
    let server = &mut stage.servers[0];
    (server.allowed, server.addresses) = if state == ServerState::Stopped {
        (vec![Allowed::Start], Vec::new())
    } else {
        (vec![Allowed::Stop, Allowed::Terminate, Allowed::Reboot], vec!["1.2.3.4".into()])
    };
    server.state = state;
}

#[test]
fn a_start_that_takes_effect_after_the_stop_was_recorded_is_stopped() {
    let mut stage = Stage::ready();
    stage.agg.instance.desired = Desired::Stopped;
    stage.agg.instance.status = Status::Stopped;
    assert_eq!(stage.step().0, ["stop server s1"], "no stop was sent: the start was ours");
    stage.agg.instance.status = Status::Stopped;
    stage.agg.servers[0].stop_sent_at = Some(T0);
    let (acts, planned) = stage.step();
    assert!(acts.is_empty() && notes(&planned).contains("a third party started the server"), "{}", notes(&planned));
}

#[test]
fn stopped_is_not_believed_from_a_read_that_may_be_older_than_the_start() {
    let mut stage = ready();
    stage.agg.instance.desired = Desired::Stopped;
    stage.agg.servers[0].start_sent_at = Some(stage.now);
    shows(&mut stage, ServerState::Stopped);
    stage.step();
    assert_eq!(stage.agg.instance.status, Status::Stopping);
    stage.now = stage.now.plus_ms(60_000);
    stage.step();
    assert_eq!((stage.agg.instance.status, &stage.agg.instance.ip_address), (Status::Stopped, &None));
}

#[test]
fn a_stopped_instance_stays_stopped_whatever_a_stale_read_shows() {
    for state in [ServerState::Running, ServerState::Stopping] {
        let mut stage = ready();
        stage.agg.instance.desired = Desired::Stopped;
        stage.agg.instance.status = Status::Stopped;
        stage.agg.servers[0].stop_sent_at = Some(stage.now);
        shows(&mut stage, state.clone());
        let (acts, planned) = stage.step();
        assert!(acts.is_empty() && planned.events.is_empty(), "{state:?}: {planned}");
        assert_eq!(stage.agg.instance.status, Status::Stopped, "{state:?}");
        assert!(!notes(&planned).contains("third party"), "{state:?}: {planned}");
    }
}

#[test]
fn after_a_stop_ready_is_not_believed_from_a_read_that_may_show_the_time_before_it() {
    // The response to the stop was lost, and the user starts the instance at once.
    let mut stage = ready();
    stage.agg.instance.desired = Desired::Stopped;
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["stop server s1"]);
    stage.answer(&planned.actions[0], Err(lost()));
    stage.agg.instance.desired = Desired::Present;
    stage.step();
    assert_ne!(stage.agg.instance.status, Status::Ready, "it is stopping");
    // It stopped; it is started again; and a read shows it as it ran before.
    shows(&mut stage, ServerState::Stopped);
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["start server s1"]);
    stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
    shows(&mut stage, ServerState::Running);
    stage.step();
    assert_eq!(stage.agg.instance.status, Status::Booting);
    stage.now = stage.now.plus_ms(60_000);
    stage.step();
    assert_eq!((stage.agg.instance.status, stage.agg.servers[0].stop_sent_at), (Status::Ready, None));
}

#[test]
fn a_server_is_not_started_again_without_its_data_volume() {
    let mut stage = ready();
    stage.stale_ms = 0;
    stage.agg.instance.status = Status::Stopped;
    shows(&mut stage, ServerState::Stopped);
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    (stage.volumes[2].server_id, stage.volumes[2].state) = (None, VolumeState::Available);
    assert_eq!(
        stage.step().0,
        ["attach data volume data to server s1"],
        "a third party detached it while the server was off"
    );
    let mut stage = ready();
    stage.stale_ms = 0;
    stage.agg.instance.status = Status::Stopped;
    shows(&mut stage, ServerState::Stopped);
    stage.servers[0].attachments.retain(|a| a.volume_id != "data");
    stage.volumes[2].server_id = Some("another".into());
    let (acts, planned) = stage.step();
    assert!(acts.is_empty() && notes(&planned).contains("detach it there"), "{planned}");
}

#[test]
fn a_reboot_is_sent_once_and_not_long_after_it_was_requested() {
    let mut stage = ready();
    stage.agg.instance.reboot_requested_at = Some(stage.now);
    let (acts, planned) = stage.step();
    assert_eq!(acts, ["reboot server s1"]);
    stage.answer(&planned.actions[0], Err(lost()));
    stage.now = stage.now.plus_ms(120_000);
    assert!(stage.step().0.is_empty(), "its response was lost");
    let mut stage = ready();
    stage.agg.instance.reboot_requested_at = Some(stage.now);
    stage.now = stage.now.plus_ms(600_000);
    assert!(stage.step().0.is_empty(), "ten minutes later");
}

#[test]
fn a_refused_start_delays_neither_a_termination_nor_the_back_off_of_a_stop() {
    let mut stage = ready();
    stage.agg.instance.status = Status::Stopped;
    shows(&mut stage, ServerState::Stopped);
    let refused = CallError { kind: ErrorKind::OutOfStock, effect: Effect::None, message: "no stock".into() };
    for _ in 0..3 {
        let (acts, planned) = stage.step();
        assert_eq!(acts, ["start server s1"]);
        stage.answer(&planned.actions[0], Err(refused.clone()));
        stage.now = stage.now.plus_ms(600_000);
    }
    let (_, planned) = stage.step();
    stage.answer(&planned.actions[0], Err(refused));
    assert!(notes(&upon(&mut stage)).contains("starting the server was refused 4 time(s)"));
    stage.cancel();
    assert_eq!(stage.step().0, ["remove server s1 while it is stopped"], "at once");
}
