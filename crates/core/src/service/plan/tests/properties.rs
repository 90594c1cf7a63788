//! What holds for every plan, from whatever facts: see [`checked`].

use super::*;
use proptest::prelude::*;

fn replica() -> impl Strategy<Value = (Replica, Option<i64>)> {
    let codes = prop_oneof![3 => Just(None), 1 => Just(Some("out_of_stock")), 1 => Just(Some("engine_exits"))];
    let flags = (proptest::bool::weighted(0.2), any::<bool>(), any::<bool>());
    let times = (0..HOUR, proptest::option::of(0..10 * MIN));
    (0..Status::ALL.len(), flags, codes, 1..3_i64, times, any::<bool>()).prop_map(
        |(status, (ends, is_kept, was_ready), code, revision, (age, silent), in_b)| {
            let mut stage = Stage::with(1, 1);
            let n = stage.add_in(if in_b { "b" } else { "a" }, Status::ALL[status]);
            let now = stage.now;
            let r = stage.at(n);
            (r.ends, r.is_kept, r.revision) = (ends, is_kept, revision);
            r.has_worker = !is_kept;
            r.created_at = now.plus_ms(-age);
            r.ready_at = r.ready_at.or(was_ready.then_some(now)).map(|_| now.plus_ms(-age / 2));
            r.failure = code.and_then(failure);
            (r.clone(), silent)
        },
    )
}

fn state() -> impl Strategy<Value = ServiceState> {
    let times = || proptest::option::of(-HOUR..HOUR);
    let row = (0..4_u32, times(), times());
    (0..6_u32, proptest::option::of((0..10 * MIN, 0..6_u32)), row, times(), times()).prop_map(
        |(size, fewer, (failures, not_before, failed_at), a, b)| {
            let now = Stage::with(1, 1).now;
            let at = |ms: Option<i64>| ms.map(|ms| now.plus_ms(ms));
            let avoided = [("a/big", a, "out of stock"), ("b/big", b, "the model is too large")];
            let avoided = avoided.into_iter().filter_map(|(key, ms, why)| Some((key, at(ms)?, why)));
            ServiceState {
                size,
                fewer_since: fewer.map(|(ms, most)| (now.plus_ms(-ms), most)),
                avoid: avoided.map(|(key, until, why)| (key.into(), Avoided { until, why: why.into() })).collect(),
                failures,
                not_before: at(not_before),
                failed_at: at(failed_at),
                ..ServiceState::default()
            }
        },
    )
}

fn stage() -> impl Strategy<Value = Stage> {
    let sizes = (0..4_u32, 0..5_u32, 1..3_i64);
    let load = (0..60_u32, proptest::option::of(-HOUR..1), proptest::option::of(-HOUR..HOUR));
    let replicas = proptest::collection::vec(replica(), 0..9);
    (sizes, load, state(), replicas, proptest::bool::weighted(0.1)).prop_map(
        |((min, max, revision), (requests, asked, warm), state, replicas, absent)| {
            let mut stage = Stage::with(min, max);
            stage.load(requests);
            stage.load.last_request_at = asked.map(|ms| stage.now.plus_ms(ms));
            stage.service.warm_until = warm.map(|ms| stage.now.plus_ms(ms));
            stage.service.revision = revision;
            stage.service.state = state;
            if absent {
                stage.service.desired = Desired::Absent;
            }
            for (n, (r, silent)) in replicas.into_iter().enumerate() {
                let id = id(n + 1);
                if let Some(ms) = silent {
                    stage.service.state.unavailable.insert(id.clone(), stage.now.plus_ms(-ms));
                    stage.service.state.counted.push(id.clone());
                }
                stage.replicas.push(Replica { id, ..r });
            }
            stage
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_plan_is_bounded_settled_and_independent_of_order(stage in stage()) {
        let planned = checked(&stage);
        let mut after = stage.clone();
        after.carry_out(&planned);
        let live = after.live().len();
        let ready = after.live().iter().filter(|r| r.status == Status::Ready).count();
        let status = planned.service.status;
        if stage.service.desired == Desired::Absent {
            prop_assert_eq!(status, match after.replicas.iter().all(|r| r.status.is_final()) {
                true => ServiceStatus::Deleted,
                false => ServiceStatus::Deleting,
            });
            prop_assert!(after.replicas.iter().all(|r| r.ends || r.status.is_final()));
        } else {
            prop_assert!(status != ServiceStatus::Ready || ready > 0, "ready, and none answers");
            prop_assert!(status != ServiceStatus::Idle || live == 0, "idle, and some answer");
            let says = matches!(status, ServiceStatus::Degraded | ServiceStatus::Starting | ServiceStatus::Updating);
            prop_assert_eq!(says, planned.service.reason.is_some());
            let blocked = planned.service.state.failures >= stage.rules.max_failures;
            prop_assert!(!blocked || planned.create.is_empty(), "created after too many failures");
        }
    }
}
