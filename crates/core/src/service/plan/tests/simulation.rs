//! Services under load curves, in virtual time: replicas take 90 seconds until they are ready.

use super::*;
use proptest::prelude::*;

/// How often the planner runs.
const STEP: i64 = 5 * SEC;
const STARTS_IN: i64 = 90 * SEC;

/// Requests at a time in seconds.
type Curve<'a> = &'a dyn Fn(i64) -> u32;

struct World {
    stage: Stage,
    begin: Timestamp,
    /// Zones without stock.
    empty: Vec<&'static str>,
    /// Zones in which no model starts.
    broken: Vec<&'static str>,
    /// Replicas (by number) whose model does not start.
    failing: Vec<usize>,
    /// When replicas were created and ended, in seconds.
    created: Vec<i64>,
    ended: Vec<i64>,
    most_live: usize,
    shortest_life: i64,
}

impl World {
    fn new(min: u32, max: u32) -> Self {
        let mut stage = Stage::with(min, max);
        stage.rules = ServiceRules::default();
        let begin = stage.now;
        let (created, ended) = (Vec::new(), Vec::new());
        let (empty, broken, failing) = (Vec::new(), Vec::new(), Vec::new());
        Self { stage, begin, empty, broken, failing, created, ended, most_live: 0, shortest_life: i64::MAX }
    }

    fn seconds(&self) -> i64 {
        self.stage.now.ms_since(self.begin) / SEC
    }

    /// What happens to the replicas by themselves.
    fn turn(&mut self) {
        let now = self.stage.now;
        for (at, r) in self.stage.replicas.iter_mut().enumerate() {
            let age = now.ms_since(r.created_at);
            let fails = self.failing.contains(&(at + 1)) || self.broken.contains(&r.zone.as_str());
            if r.status.is_final() {
                continue;
            }
            if r.ends {
                r.status = Status::Terminated;
            } else if r.status == Status::Terminating {
                r.status = Status::ProvisioningFailed;
            } else if r.status == Status::Provisioning && self.empty.contains(&r.zone.as_str()) {
                r.status = Status::Terminating;
                r.failure = failure("out_of_stock");
            } else if r.status == Status::Provisioning {
                r.status = Status::Starting;
            } else if r.status == Status::Starting && fails && age > STARTS_IN / 2 {
                r.status = Status::StartupFailed;
                r.failure = failure("engine_exits");
            } else if r.status == Status::Starting && age >= STARTS_IN {
                r.status = Status::Ready;
                r.ready_at = Some(now);
            }
        }
    }

    /// Lets so many seconds pass under a load.
    fn run(&mut self, seconds: i64, curve: Curve<'_>) {
        let end = self.stage.now.plus_ms(seconds * SEC);
        while self.stage.now < end {
            self.stage.pass(STEP);
            self.turn();
            let requests = curve(self.seconds());
            let ready = self.stage.live().iter().filter(|r| r.status == Status::Ready).count();
            self.stage.load(requests);
            self.stage.load.outstanding = requests.min(ready as u32 * TARGET);
            self.stage.load.queued = requests - self.stage.load.outstanding;
            let planned = checked(&self.stage);
            for (id, _) in &planned.terminate {
                let life =
                    self.stage.replicas.iter().find(|r| r.id == *id).map(|r| self.stage.now.ms_since(r.created_at));
                self.shortest_life = self.shortest_life.min(life.unwrap_or_default());
            }
            let seconds = self.seconds();
            self.created.extend(planned.create.iter().map(|_| seconds));
            self.ended.extend(planned.terminate.iter().map(|_| seconds));
            self.stage.carry_out(&planned);
            self.most_live = self.most_live.max(self.stage.live().len());
        }
    }

    /// Created and ended replicas, the most that were live at once, and the status.
    fn told(&self) -> (usize, usize, usize, ServiceStatus) {
        (self.created.len(), self.ended.len(), self.most_live, self.stage.service.status)
    }
}

#[test]
fn a_step_is_followed_once() {
    let mut world = World::new(1, 5);
    world.run(600, &|t| if t < 200 { 5 } else { 38 });
    assert_eq!(world.told(), (4, 0, 4, ServiceStatus::Ready));
    assert_eq!(world.created, [5, 210, 210, 210]);
    world.run(3_600, &|_| 12);
    assert_eq!(world.told(), (4, 2, 4, ServiceStatus::Ready));
    assert_eq!(world.ended, [905, 905], "five minutes after the first plan in which fewer sufficed");
}

#[test]
fn a_ramp_is_followed_without_ever_ending_a_replica_on_the_way_up() {
    let mut world = World::new(1, 8);
    world.run(3_000, &|t| (t / 30) as u32);
    assert_eq!(world.told(), (8, 0, 8, ServiceStatus::Ready));
    world.run(6_000, &|t| 100_u32.saturating_sub((t - 3_000) as u32 / 30));
    assert_eq!(world.told(), (8, 7, 8, ServiceStatus::Ready));
}

#[test]
fn a_spike_makes_no_more_than_the_most_and_a_short_one_none() {
    let mut world = World::new(0, 3);
    world.run(120, &|_| 1);
    world.run(10, &|_| 10_000);
    assert_eq!(world.told(), (1, 0, 1, ServiceStatus::Ready));
    world.run(50, &|_| 1);
    world.run(15, &|_| 10_000);
    world.run(100, &|_| 1);
    assert_eq!(world.told(), (3, 0, 3, ServiceStatus::Ready));
    world.run(300, &|_| 1);
    assert_eq!(world.told(), (3, 2, 3, ServiceStatus::Ready));
}

#[test]
fn a_load_that_oscillates_faster_than_the_time_to_scale_down_does_not_flap() {
    // What is needed for less than ten seconds at a time buys no replica.
    for (period, most) in [(20, 3), (60, 5), (120, 5), (240, 5)] {
        let mut world = World::new(1, 6);
        let wave = |t: i64| (25.0 + 20.0 * (t as f64 * std::f64::consts::TAU / f64::from(period)).sin()).round() as u32;
        world.run(4 * 3_600, &wave);
        assert_eq!(world.told(), (most, 0, most, ServiceStatus::Ready), "period {period}");
        let late = world.created.iter().filter(|t| **t > 2 * i64::from(period)).count();
        assert_eq!(late, 0, "one scale up, on the first slope: {:?}", world.created);
    }
}

#[test]
fn a_service_scales_to_zero_and_wakes_up() {
    let mut world = World::new(0, 3);
    world.run(300, &|_| 0);
    assert_eq!(world.told(), (0, 0, 0, ServiceStatus::Idle));
    world.run(300, &|_| 25);
    assert_eq!(world.told(), (3, 0, 3, ServiceStatus::Ready));
    world.run(3_600, &|_| 0);
    assert_eq!(world.told(), (3, 3, 3, ServiceStatus::Idle));
    assert_eq!(
        world.ended,
        [905, 905, 1_205],
        "two after five minutes, the last one ten minutes after the last request"
    );
    world.run(5, &|_| 1);
    assert_eq!(world.told(), (4, 3, 3, ServiceStatus::Starting));
    world.run(95, &|_| 1);
    assert_eq!(world.told(), (4, 3, 3, ServiceStatus::Ready));
}

#[test]
fn a_zone_without_stock_is_left_for_the_next_one_and_tried_again_later() {
    let mut world = World::new(2, 2);
    world.empty = vec!["a"];
    world.run(300, &|_| 1);
    assert_eq!(world.told(), (4, 0, 2, ServiceStatus::Ready), "two in vain, and two");
    assert!(world.stage.live().iter().all(|r| r.zone == "b"));
    world.empty = vec!["a", "b"];
    world.stage.at(3).failure = failure("server_disappeared");
    world.run(1_200, &|_| 1);
    assert_eq!(world.stage.service.status, ServiceStatus::Degraded);
    assert!(world.created.len() <= 9, "one try in ten minutes and candidate: {:?}", world.created);
    world.empty = vec![];
    world.run(700, &|_| 1);
    assert_eq!(world.stage.service.status, ServiceStatus::Ready);
    assert_eq!(world.stage.live().len(), 2);
}

#[test]
fn one_replica_that_fails_is_replaced_once() {
    let mut world = World::new(3, 3);
    world.failing = vec![2];
    world.run(600, &|_| 1);
    assert_eq!(world.told(), (4, 1, 3, ServiceStatus::Ready));
    assert_eq!(world.stage.service.state.failures, 0);
    assert_eq!(world.stage.at(4).zone, "b");
}

#[test]
fn a_model_that_never_starts_is_tried_a_bounded_number_of_times() {
    let mut world = World::new(1, 4);
    world.broken = vec!["a", "b"];
    world.run(6 * 3_600, &|_| 1);
    assert_eq!(world.told(), (3, 3, 1, ServiceStatus::Degraded));
    let zones: Vec<&str> = world.stage.replicas.iter().map(|r| r.zone.as_str()).collect();
    assert_eq!(zones, ["a", "b", "a"]);
}

#[test]
fn an_update_under_load_never_has_fewer_ready_replicas_than_are_needed() {
    let mut world = World::new(1, 3);
    world.run(300, &|_| 30);
    world.stage.service.revision = 2;
    for _ in 0..200 {
        world.run(5, &|_| 30);
        let ready = world.stage.live().iter().filter(|r| r.status == Status::Ready).count();
        assert!(ready >= 3, "{ready} at {}", world.seconds());
    }
    assert_eq!(world.told(), (6, 3, 4, ServiceStatus::Ready));
    assert!(world.stage.live().iter().all(|r| r.revision == 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_load_makes_a_healthy_service_flap(
        min in 0..2_u32,
        loads in proptest::collection::vec((1..80_i64, 0..60_u32), 1..25),
        last in 1..40_u32,
    ) {
        let mut world = World::new(min, 4);
        for (steps, requests) in loads {
            world.run(steps * STEP / SEC, &|_| requests);
        }
        prop_assert!(world.most_live <= 4);
        world.run(1_800, &|_| last);
        prop_assert!(world.shortest_life >= 5 * MIN, "a replica ended after {} ms", world.shortest_life);
        prop_assert_eq!(world.stage.service.status, ServiceStatus::Ready);
        prop_assert_eq!(world.stage.live().len(), last.div_ceil(TARGET) as usize);
    }

    #[test]
    fn whatever_fails_replicas_are_bounded_and_the_service_recovers(
        loads in proptest::collection::vec((1..60_i64, 0..60_u32, 0..4_usize, 0..4_usize, any::<bool>()), 1..15),
    ) {
        let mut world = World::new(1, 3);
        let zones: [&[&'static str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
        for (steps, requests, empty, broken, changes) in loads {
            (world.empty, world.broken) = (zones[empty].to_vec(), zones[broken].to_vec());
            if changes {
                world.stage.service.revision += 1;
                let state = &mut world.stage.service.state;
                (state.failures, state.not_before) = (0, None);
                state.avoid.clear();
            }
            world.run(steps * STEP / SEC, &|_| requests);
        }
        (world.empty, world.broken) = (vec![], vec![]);
        let state = &mut world.stage.service.state;
        (state.failures, state.not_before) = (0, None);
        state.avoid.clear();
        world.run(3_600, &|_| 15);
        prop_assert_eq!(world.stage.service.status, ServiceStatus::Ready);
        prop_assert_eq!(world.stage.live().len(), 2);
        prop_assert!(world.stage.live().iter().all(|r| r.revision == world.stage.service.revision));
    }
}
