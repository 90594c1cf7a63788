//! Failures, candidates without stock, and replicas that do not answer any more.

use super::*;

/// Where the test service's state is expected: failures, whether there is a pause, the last failure.
fn row(stage: &Stage) -> (u32, bool, Option<&str>) {
    let state = &stage.service.state;
    (state.failures, state.not_before.is_some_and(|at| at > stage.now), state.last_failure.as_deref())
}

#[test]
fn the_next_candidate_is_used_at_once_when_one_is_out_of_stock() {
    let mut stage = Stage::with(2, 2);
    assert_eq!(stage.acts(), "create a/big a/big");
    stage.at(1).status = Status::Terminating;
    stage.at(1).failure = failure("out_of_stock");
    assert_eq!(stage.acts(), "create b/big");
    assert_eq!(row(&stage), (0, false, None), "that is no failure of the model");
    assert_eq!(stage.status(), "starting: 0 of 2 replicas are ready");
    stage.pass(MIN);
    stage.at(3).status = Status::ProvisioningFailed;
    stage.at(3).failure = failure("out_of_stock");
    assert_eq!(stage.acts(), "");
    let wanted = "degraded: no candidate has stock: a/big, b/big; the next try is at 2026-07-30T00:10:00.000Z; add a zone \
                  or a server type";
    assert_eq!(stage.status(), wanted);
    stage.pass(9 * MIN - 1);
    assert_eq!(stage.acts(), "");
    stage.pass(1);
    assert_eq!(stage.acts(), "create a/big");
    stage.fails(4, "out_of_stock");
    assert_eq!(stage.acts(), "end 4", "counted again, with a new time");
    stage.pass(MIN);
    assert_eq!(stage.acts(), "create b/big");
}

#[test]
fn the_pause_doubles_with_each_failure_and_the_next_candidate_is_tried() {
    let mut stage = Stage::with(1, 1);
    stage.service.spec.candidates.push(candidate("c"));
    stage.rules.max_failures = 5;
    assert_eq!(stage.acts(), "create a/big");
    let steps = [("b/big", 15), ("c/big", 30), ("a/big", 60), ("b/big", 120)];
    for (n, (next, pause)) in steps.into_iter().enumerate() {
        stage.pass(5 * MIN);
        stage.fails(n + 1, "no_gpu_memory");
        assert_eq!(stage.acts(), format!("end {}", n + 1));
        assert_eq!(row(&stage), (n as u32 + 1, true, Some("no_gpu_memory happened; do something")));
        assert!(stage.status().starts_with("degraded: a replica failed: no_gpu_memory"), "{}", stage.status());
        stage.pass(pause * SEC - 1);
        assert_eq!(stage.acts(), "");
        stage.pass(1);
        assert_eq!(stage.acts(), format!("create {next}"));
        assert_eq!(stage.status(), "starting: the replica is not ready yet");
    }
    stage.fails(5, "no_gpu_memory");
    assert_eq!(stage.acts(), "end 5");
    let wanted = "degraded: no more replicas are created, because 5 in a row failed: no_gpu_memory happened; do something. \
                  Mend that, then change or warm the service";
    assert_eq!(stage.status(), wanted);
    stage.pass(100 * HOUR);
    assert_eq!(stage.acts(), "");
    // What the API does when somebody warms it.
    let state = &mut stage.service.state;
    (state.failures, state.not_before) = (0, None);
    state.avoid.clear();
    assert_eq!(stage.acts(), "create a/big");
}

#[test]
fn a_pause_is_bounded() {
    let mut stage = Stage::with(1, 1);
    stage.rules.max_failures = u32::MAX;
    for failures in [8, 40, u32::MAX - 1] {
        stage.service.state.failures = failures;
        let n = stage.add(Status::StartupFailed);
        assert_eq!(stage.acts(), format!("end {n}"));
        assert_eq!(stage.service.state.not_before, Some(stage.now.plus_ms(30 * MIN)));
        assert_eq!(row(&stage).2, Some("the replica failed and does not say why; look at its log"));
    }
}

#[test]
fn a_failed_candidate_is_used_again_rather_than_none() {
    let mut stage = Stage::with(1, 1);
    assert_eq!(stage.acts(), "create a/big");
    stage.fails(1, "worker_lost");
    assert_eq!(stage.acts(), "end 1");
    stage.pass(15 * SEC);
    assert_eq!(stage.acts(), "create b/big");
    stage.fails(2, "out_of_stock");
    assert_eq!(stage.acts(), "create a/big; end 2");
}

#[test]
fn a_reason_tells_candidates_without_stock_from_those_that_failed() {
    let mut stage = Stage::with(1, 1);
    let until = stage.now.plus_ms(MIN);
    let avoided = |why: &str| Avoided { until, why: why.into() };
    stage.service.state.avoid =
        [("a/big".into(), avoided("out of stock")), ("b/big".into(), avoided("the model is too large"))].into();
    assert_eq!(stage.acts(), "");
    let wanted = "degraded: no candidate can be used: a/big (out of stock), b/big (the model is too large); the next try is \
                  at 2026-07-30T00:01:00.000Z";
    assert_eq!(stage.status(), wanted);
}

#[test]
fn a_replica_that_becomes_ready_ends_the_row_of_failures() {
    let mut stage = Stage::with(2, 2);
    stage.ready(1);
    assert_eq!(stage.acts(), "create a/big");
    for n in 2..4 {
        stage.pass(5 * MIN);
        stage.fails(n, "engine_exits");
        assert_eq!(stage.acts(), format!("end {n}"));
        assert_eq!(row(&stage).0, n as u32 - 1, "the replica that was ready before ends no row");
        stage.pass(MIN);
        assert!(stage.acts().starts_with("create"));
    }
    stage.pass(MIN);
    stage.becomes_ready(4);
    assert_eq!(stage.acts(), "");
    assert_eq!(row(&stage), (0, false, None));
    assert!(stage.service.state.avoid.is_empty());
    assert_eq!(stage.status(), "ready");
    stage.pass(MIN);
    stage.at(4).failure = failure("server_disappeared");
    assert_eq!(stage.acts(), "create a/big", "the preferred one again, and without a pause: it was ready");
    assert_eq!(row(&stage), (0, false, None));
}

#[test]
fn failures_with_older_settings_are_not_counted() {
    let mut stage = Stage::with(1, 1);
    stage.fails_later(&["server_disappeared", "out_of_stock"]);
    stage.service.revision = 2;
    assert_eq!(stage.acts(), "create b/big");
    assert_eq!(row(&stage), (0, false, None));
}

impl Stage {
    /// Adds replicas that have failed and end by themselves.
    fn fails_later(&mut self, codes: &[&str]) {
        for code in codes {
            let n = self.add(Status::Terminating);
            self.at(n).failure = failure(code);
        }
    }
}

#[test]
fn a_failure_is_counted_once_and_forgotten_with_its_replica() {
    let mut stage = Stage::with(1, 1);
    stage.fails_later(&["refused", "quota"]);
    let ends = stage.add(Status::Terminating);
    stage.at(ends).failure = failure("refused");
    stage.at(ends).ends = true;
    assert_eq!(stage.acts(), "");
    assert_eq!(row(&stage), (2, true, Some("quota happened; do something")), "not the one that was ended on request");
    stage.pass(20 * SEC);
    stage.at(1).status = Status::ProvisioningFailed;
    assert_eq!(stage.acts(), "");
    assert_eq!((stage.service.state.failures, stage.service.state.counted.len()), (2, 2));
    stage.replicas.remove(0);
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.service.state.counted, [id(2)]);
}

#[test]
fn a_replica_that_failed_to_start_ends_at_once_unless_it_is_kept() {
    let mut stage = Stage::with(1, 1);
    let (first, kept) = (stage.add(Status::StartupFailed), stage.add(Status::StartupFailed));
    stage.at(kept).is_kept = true;
    stage.fails(first, "model_gated");
    stage.fails(kept, "model_gated");
    assert_eq!(stage.acts(), "end 1");
    stage.pass(HOUR);
    assert_eq!(stage.acts(), "create b/big", "a kept one is left alone and counts as none");
    // Somebody mended it.
    stage.becomes_ready(kept);
    stage.at(kept).failure = None;
    assert_eq!(stage.acts(), "end 3");
    assert_eq!(stage.status(), "ready");
}

#[test]
fn a_replica_that_does_not_answer_is_replaced_after_a_while() {
    let mut stage = Stage::with(3, 3);
    stage.rules.stable_after_ms = 0;
    stage.ready(3);
    assert_eq!(stage.acts(), "");
    for n in [1, 2] {
        stage.at(n).status = Status::Unavailable;
    }
    assert_eq!(stage.acts(), "");
    stage.pass(3 * MIN - 1);
    assert_eq!(stage.acts(), "");
    stage.becomes_ready(1);
    assert_eq!(stage.acts(), "", "it recovered");
    stage.at(1).status = Status::Unavailable;
    assert_eq!(stage.acts(), "", "its time begins again");
    stage.pass(1);
    assert_eq!(stage.acts(), "create a/big", "it ends when another one answers in its place");
    stage.becomes_ready(4);
    assert_eq!(stage.acts(), "end 2");
    stage.pass(3 * MIN - 2);
    assert_eq!(stage.acts(), "");
    stage.pass(1);
    assert_eq!(stage.acts(), "create a/big");
    stage.becomes_ready(1);
    assert_eq!(stage.acts(), "end 5", "it recovered, and its successor is not needed");
    assert!(stage.service.state.unavailable.is_empty());
    assert_eq!(row(&stage), (0, false, None));
}

#[test]
fn replicas_that_stop_answering_together_are_replaced_one_by_one() {
    let mut stage = Stage::with(2, 2);
    stage.rules.stable_after_ms = 0;
    stage.ready(2);
    for n in [1, 2] {
        stage.at(n).status = Status::Unavailable;
    }
    assert_eq!(stage.acts(), "");
    stage.pass(3 * MIN);
    assert_eq!(stage.acts(), "create a/big", "the way to them may be cut off");
    stage.becomes_ready(3);
    assert_eq!(stage.acts(), "create a/big; end 1");
    stage.becomes_ready(4);
    assert_eq!(stage.acts(), "end 2");
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.status(), "ready");
}

#[test]
fn time_in_which_nobody_watched_is_no_silence() {
    let mut stage = Stage::with(1, 1);
    stage.ready(1);
    stage.at(1).status = Status::Unavailable;
    assert_eq!(stage.acts(), "");
    stage.pass(HOUR);
    stage.rules.watching_since = stage.now;
    assert_eq!(stage.acts(), "");
    stage.pass(3 * MIN - 1);
    assert_eq!(stage.acts(), "");
    stage.pass(1);
    assert_eq!(stage.acts(), "create a/big");
}

/// The replica stops answering, and another one answers in its place.
fn is_lost(stage: &mut Stage, n: usize) {
    stage.at(n).status = Status::Unavailable;
    assert_eq!(stage.acts(), "");
    stage.pass(3 * MIN);
}

#[test]
fn a_model_that_answers_for_a_short_time_only_is_tried_a_bounded_number_of_times() {
    let mut stage = Stage::with(1, 1);
    stage.ready(1);
    for (n, successor, count) in [(1, "create a/big", 1), (2, "create b/big", 2), (3, "create b/big", 3)] {
        stage.pass(MIN);
        is_lost(&mut stage, n);
        if n > 1 {
            // The pause after the failure before is over.
            stage.pass(MIN);
        }
        assert_eq!(stage.acts(), successor);
        stage.pass(MIN);
        stage.becomes_ready(n + 1);
        assert_eq!(stage.acts(), format!("end {n}"));
        assert_eq!(row(&stage).0, count);
    }
    stage.pass(MIN);
    is_lost(&mut stage, 4);
    stage.pass(HOUR);
    assert_eq!(stage.acts(), "", "{}", stage.status());
    assert!(
        stage
            .status()
            .starts_with("degraded: no more replicas are created, because 3 in a row failed: a replica stopped")
    );
}

#[test]
fn only_a_replica_that_answers_for_long_ends_a_row_of_short_lives() {
    let mut stage = Stage::with(1, 1);
    stage.ready(1);
    stage.pass(MIN);
    is_lost(&mut stage, 1);
    assert_eq!(stage.acts(), "create a/big");
    stage.becomes_ready(2);
    assert_eq!(stage.acts(), "end 1");
    assert_eq!(row(&stage).0, 1);
    stage.pass(10 * MIN - 1);
    assert_eq!((stage.acts().as_str(), row(&stage).0), ("", 1));
    stage.pass(1);
    assert_eq!((stage.acts().as_str(), row(&stage)), ("", (0, false, None)));
    // One that answered for long is replaced without being counted.
    is_lost(&mut stage, 2);
    assert_eq!(stage.acts(), "create a/big");
    stage.becomes_ready(3);
    assert_eq!((stage.acts().as_str(), row(&stage).0), ("end 2", 0));
}

#[test]
fn servers_that_vanish_are_replaced_without_being_counted() {
    let mut stage = Stage::with(1, 1);
    stage.ready(1);
    for n in 1..9 {
        stage.at(n).has_worker = false;
        is_lost(&mut stage, n);
        assert_eq!(stage.acts(), "create a/big");
        stage.becomes_ready(n + 1);
        assert_eq!((stage.acts(), row(&stage).0), (format!("end {n}"), 0));
    }
}

#[test]
fn a_limit_of_the_control_plane_blocks_new_replicas_and_ends_none() {
    let mut stage = Stage::with(2, 3);
    stage.ready(1);
    stage.service.state.limit_reached = Some("4 of at most 4 GPUs are in use".into());
    assert_eq!(stage.acts(), "");
    assert_eq!(stage.status(), "degraded: no replica is created: 4 of at most 4 GPUs are in use");
    assert_eq!(row(&stage).0, 0);
    stage.service.state.limit_reached = None;
    assert_eq!(stage.acts(), "create a/big");
}
