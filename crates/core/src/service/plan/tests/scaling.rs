//! How many replicas there are.

use super::*;

#[test]
fn as_many_replicas_are_created_as_the_load_needs() {
    // Least, most, requests; live before; how many are created.
    let cases = [
        ((0, 4, 0), 0, 0),
        ((0, 4, 1), 0, 1),
        ((0, 4, 10), 0, 1),
        ((0, 4, 11), 0, 2),
        ((0, 4, 1_000), 0, 4),
        ((0, 4, 35), 3, 1),
        ((2, 4, 0), 0, 2),
        ((2, 4, 1), 1, 1),
        ((2, 4, 31), 2, 2),
        ((2, 4, 31), 4, 0),
        ((3, 2, 0), 0, 2),
        ((0, 0, 50), 0, 0),
        ((1, 4, u32::MAX), 0, 4),
    ];
    for ((min, max, requests), live, created) in cases {
        for status in [Status::Provisioning, Status::Starting, Status::Ready] {
            let mut stage = Stage::with(min, max);
            stage.load(requests);
            for _ in 0..live {
                stage.add(status);
            }
            let planned = checked(&stage);
            let what = format!("{min}..{max}, {requests} requests, {live} {status}");
            assert_eq!((planned.create, planned.terminate.len()), (vec![0; created], 0), "{what}");
        }
    }
    let mut stage = Stage::with(0, 4);
    stage.service.spec.target_concurrency = 0;
    stage.load(3);
    assert_eq!(checked(&stage).create.len(), 3, "it is total");
    stage.load = Load { outstanding: u32::MAX, queued: u32::MAX, last_request_at: None };
    assert_eq!(checked(&stage).create.len(), 4, "it is total");
}

#[test]
fn the_last_replica_stays_while_somebody_asks_or_the_service_is_warm() {
    // Least; last request and end of the warmth, relative to now; the actions for one ready replica.
    let cases = [
        (0, None, None, "end 1"),
        (0, Some(0), None, ""),
        (0, Some(-10 * MIN - LOAD_DELAY_MS + 1), None, ""),
        (0, Some(-10 * MIN - LOAD_DELAY_MS), None, "end 1"),
        (0, Some(-HOUR), Some(1), ""),
        (0, Some(-HOUR), Some(0), "end 1"),
        (0, None, Some(HOUR), ""),
        (1, None, None, ""),
        (1, Some(-HOUR), None, ""),
    ];
    for (min, asked, warm, wanted) in cases {
        let mut stage = Stage::with(min, 2);
        stage.ready(1);
        stage.replicas[0].ready_at = Some(stage.now.plus_ms(-HOUR));
        stage.load.last_request_at = asked.map(|ms| stage.now.plus_ms(ms));
        stage.service.warm_until = warm.map(|ms| stage.now.plus_ms(ms));
        assert_eq!(stage.acts(), wanted, "{min} {asked:?} {warm:?}");
        assert_eq!(stage.status(), if wanted.is_empty() { "ready" } else { "idle" });
        stage.replicas.clear();
        let wanted = if wanted.is_empty() { "create a/big" } else { "" };
        assert_eq!(stage.acts(), wanted, "without a replica: {min} {asked:?} {warm:?}");
    }
    let mut stage = Stage::with(0, 2);
    stage.ready(1);
    stage.load.outstanding = 1;
    stage.load.last_request_at = Some(stage.now.plus_ms(-HOUR));
    assert_eq!(stage.acts(), "", "a long answer is not cut off");
}

#[test]
fn what_was_woken_is_not_given_up_before_it_could_answer() {
    let kept = 10 * MIN + LOAD_DELAY_MS;
    for (ready, since_ready, wanted) in [(false, 0, ""), (true, kept - 1, ""), (true, kept, "end 1")] {
        let mut stage = Stage::with(0, 2);
        if ready {
            stage.ready(1);
            stage.replicas[0].ready_at = Some(stage.now.plus_ms(-since_ready));
        } else {
            stage.ready(1);
            (stage.replicas[0].ready_at, stage.replicas[0].status) = (None, crate::status::Status::Booting);
        }
        // The client went away long ago.
        stage.load.last_request_at = Some(stage.now.plus_ms(-HOUR));
        assert_eq!(stage.acts(), wanted, "{ready} {since_ready}");
    }
}

#[test]
fn fewer_replicas_must_suffice_for_the_whole_time() {
    let mut stage = Stage::with(1, 5);
    stage.ready(4);
    // How long after the step before; requests; the actions.
    let steps = [
        (0, 35, ""),
        (MIN, 5, ""),
        (4 * MIN, 5, ""),
        // Just in time, all four are needed.
        (MIN - 1, 35, ""),
        (MIN, 5, ""),
        (MIN, 25, ""),
        (4 * MIN - 1, 5, ""),
        // Three were needed meanwhile.
        (1, 5, "end 4"),
        (4 * MIN, 5, ""),
        (MIN, 5, "end 2 3"),
        (HOUR, 0, ""),
    ];
    for (at, (ms, requests, wanted)) in steps.into_iter().enumerate() {
        stage.pass(ms);
        stage.load(requests);
        assert_eq!(stage.acts(), wanted, "step {at}");
        assert_eq!(stage.status(), "ready", "step {at}");
    }
}

#[test]
fn the_newest_that_are_not_ready_end_first_and_then_the_newest() {
    let mut stage = Stage::with(1, 6);
    let statuses = [Status::Ready, Status::Booting, Status::Ready, Status::Starting, Status::Unavailable];
    for status in statuses {
        stage.add(status);
    }
    stage.service.spec.scale_down_ms = 0;
    for (max, ended) in [(4, "end 5"), (3, "end 4"), (2, "end 2"), (1, "end 3")] {
        stage.service.spec.min_replicas = max;
        assert_eq!(stage.acts(), ended);
    }
    assert_eq!(stage.status(), "ready");
}

#[test]
fn more_than_the_most_end_at_once() {
    let mut stage = Stage::with(1, 5);
    stage.load(50);
    stage.ready(5);
    assert_eq!(stage.acts(), "");
    stage.service.spec.max_replicas = 3;
    assert_eq!(stage.acts(), "end 4 5");
}

#[test]
fn a_replica_that_is_lost_while_fewer_suffice_is_not_replaced() {
    let mut stage = Stage::with(1, 5);
    stage.ready(3);
    assert_eq!(stage.acts(), "");
    stage.at(2).failure = failure("server_disappeared");
    assert_eq!(stage.acts(), "");
    stage.pass(5 * MIN);
    assert_eq!(stage.acts(), "end 3");
}

#[test]
fn all_replicas_end_once_nobody_asks_even_if_fewer_have_sufficed_for_a_short_time_only() {
    let mut stage = Stage::with(0, 5);
    stage.service.spec.idle_ms = MIN;
    stage.load(30);
    stage.ready(3);
    assert_eq!(stage.acts(), "");
    stage.load(0);
    stage.pass(MIN + LOAD_DELAY_MS - 1);
    assert_eq!(stage.acts(), "");
    stage.pass(1);
    assert_eq!(stage.acts(), "end 1 2 3");
    assert_eq!(stage.status(), "idle");
    stage.load(1);
    assert_eq!(stage.acts(), "create a/big");
}

#[test]
fn a_burst_makes_no_replica_and_a_load_that_lasts_makes_the_least_that_it_needed() {
    let mut stage = Stage::with(0, 5);
    stage.rules.grow_after_ms = 10 * SEC;
    // How long after the step before; requests; the actions.
    let steps = [
        // A service without replicas is woken at once, by all that it needs.
        (0, 15, "create a/big a/big"),
        (0, 50, ""),
        (9 * SEC, 50, ""),
        // A pause in the burst: the time begins again.
        (SEC - 1, 20, ""),
        (1, 50, ""),
        (5 * SEC, 31, ""),
        (5 * SEC - 1, 50, ""),
        (1, 50, "create a/big a/big"),
        (10 * SEC - 1, 50, ""),
        (1, 50, "create a/big"),
        (HOUR, 1_000, ""),
    ];
    for (at, (ms, requests, wanted)) in steps.into_iter().enumerate() {
        stage.pass(ms);
        stage.load(requests);
        assert_eq!(stage.acts(), wanted, "step {at}");
    }
}

#[test]
fn what_is_no_burst_is_not_held() {
    let mut stage = Stage::with(1, 5);
    stage.rules.grow_after_ms = HOUR;
    assert_eq!(stage.acts(), "create a/big");
    stage.service.spec.min_replicas = 3;
    assert_eq!(stage.acts(), "create a/big a/big", "somebody asked for it");
    for n in 1..4 {
        stage.becomes_ready(n);
    }
    stage.load(50);
    stage.at(2).failure = failure("server_disappeared");
    assert_eq!(stage.acts(), "create a/big", "a replica that failed is replaced at once");
    assert_eq!(stage.status(), "starting: 2 of 3 replicas are ready");
    stage.pass(5 * MIN - 1);
    assert_eq!(stage.acts(), "");
    stage.pass(1);
    assert_eq!(stage.acts(), "create a/big a/big", "no longer than it takes to become smaller");
}
