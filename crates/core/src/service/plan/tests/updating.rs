//! Updates: replicas are replaced one by one after a change of the settings.

use super::*;

#[test]
fn replicas_are_replaced_one_by_one() {
    let mut stage = Stage::with(3, 3);
    stage.ready(3);
    assert_eq!(stage.acts(), "");
    stage.service.revision = 2;
    for round in 0..3 {
        assert_eq!(stage.acts(), if round == 0 { "create a/big" } else { "" });
        let old = 3 - round;
        let wanted = if old == 1 { "1 replica still has".into() } else { format!("{old} replicas still have") };
        assert_eq!(stage.status(), format!("updating: {wanted} the settings from before the change"));
        stage.pass(10 * MIN);
        assert_eq!(stage.acts(), "", "nothing ends before the new one is ready");
        stage.becomes_ready(4 + round);
        let next = if round == 2 { "" } else { "create a/big; " };
        assert_eq!(stage.acts(), format!("{next}end {}", 3 - round));
    }
    assert_eq!(stage.status(), "ready");
    assert_eq!(stage.live().len(), 3);
}

#[test]
fn an_old_replica_that_was_never_ready_ends_at_once() {
    let mut stage = Stage::with(3, 3);
    stage.ready(1);
    stage.add(Status::Installing);
    stage.add(Status::Unavailable);
    assert_eq!(stage.acts(), "");
    stage.service.revision = 2;
    assert_eq!(stage.acts(), "create a/big a/big; end 2");
    stage.becomes_ready(4);
    assert_eq!(stage.acts(), "", "two answer, and three are needed: the one that does not answer may recover");
    stage.becomes_ready(5);
    assert_eq!(stage.acts(), "create a/big; end 3");
}

#[test]
fn an_update_stops_when_the_new_settings_fail() {
    let mut stage = Stage::with(2, 2);
    stage.ready(2);
    stage.service.revision = 2;
    assert_eq!(stage.acts(), "create a/big");
    for n in 3..6 {
        stage.pass(MIN);
        stage.fails(n, "engine_exits");
        assert_eq!(stage.acts(), format!("end {n}"));
        if n < 5 {
            assert!(
                stage.status().starts_with("updating: 2 replicas still have the settings from before the change; a ")
            );
            stage.pass(MIN);
            assert!(stage.acts().starts_with("create"));
        }
    }
    assert!(stage.status().starts_with("degraded: no more replicas are created, because 3 in a row failed"));
    stage.pass(HOUR);
    assert_eq!(stage.acts(), "", "the old ones stay");
    assert_eq!(stage.live().len(), 2);
}

#[test]
fn the_load_changes_during_an_update() {
    let mut stage = Stage::with(1, 4);
    stage.load(15);
    stage.ready(2);
    stage.service.revision = 2;
    assert_eq!(stage.acts(), "create a/big");
    stage.load(40);
    assert_eq!(stage.acts(), "create a/big a/big", "five are live: two old, three new, one more than are needed");
    for n in 3..6 {
        stage.becomes_ready(n);
    }
    assert_eq!(stage.acts(), "create a/big; end 2");
    stage.becomes_ready(6);
    assert_eq!(stage.acts(), "end 1");
    assert_eq!(stage.status(), "ready");
}

#[test]
fn a_service_is_not_made_smaller_by_an_update_before_its_time() {
    let mut stage = Stage::with(1, 5);
    stage.ready(5);
    stage.load(50);
    assert_eq!(stage.acts(), "");
    stage.load(1);
    stage.pass(MIN);
    assert_eq!(stage.acts(), "");
    stage.service.revision = 2;
    assert_eq!(stage.acts(), "create a/big");
    stage.pass(2 * MIN);
    stage.becomes_ready(6);
    assert_eq!(stage.acts(), "end 5", "one new replica is needed, and four old ones wait for their time");
    stage.load(20);
    assert_eq!(stage.acts(), "create a/big");
    stage.load(1);
    stage.pass(3 * MIN);
    assert_eq!(stage.acts(), "end 2 3 4", "two were needed, and one may be there in addition");
    assert_eq!(stage.live().len(), 3);
    stage.becomes_ready(7);
    assert_eq!(stage.acts(), "end 1");
    stage.pass(5 * MIN);
    assert_eq!(stage.acts(), "end 7");
    assert_eq!(stage.status(), "ready");
}

#[test]
fn old_replicas_of_a_service_that_nobody_uses_end_without_successors() {
    let mut stage = Stage::with(0, 3);
    stage.load(1);
    stage.ready(2);
    assert_eq!(stage.acts(), "");
    stage.service.revision = 2;
    stage.load(0);
    stage.pass(10 * MIN + LOAD_DELAY_MS);
    assert_eq!(stage.acts(), "end 1 2");
    assert_eq!(stage.status(), "idle");
}
