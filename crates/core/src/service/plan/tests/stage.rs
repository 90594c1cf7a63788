//! A service with its replicas, and the check that every plan of every test goes through.

use super::*;

pub(super) const SEC: i64 = 1_000;
pub(super) const MIN: i64 = 60 * SEC;
pub(super) const HOUR: i64 = 60 * MIN;
/// How many requests a replica of the tests answers at once.
pub(super) const TARGET: u32 = 10;

/// A service, and the facts about it.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) service: Service,
    pub(super) replicas: Vec<Replica>,
    pub(super) load: Load,
    pub(super) now: Timestamp,
    pub(super) rules: ServiceRules,
}

/// The failure of a replica.
pub(super) fn failure(code: &str) -> Option<Failure> {
    Some(Failure { code: code.into(), message: format!("{code} happened; do something") })
}

pub(super) fn candidate(zone: &str) -> Candidate {
    let spec = crate::plan::tests::instance().instance.spec;
    Candidate { zone: zone.into(), instance_type: "big".into(), spec }
}

impl Stage {
    /// A service with two candidates, 10 minutes until it is idle and 5 minutes until it is made smaller.
    pub(super) fn with(min: u32, max: u32) -> Self {
        #[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
        let now = Timestamp::parse("2026-07-30T00:00:00Z").unwrap();
        let spec = ServiceSpec {
            model_id: "Qwen/Qwen2.5-7B-Instruct".into(),
            min_replicas: min,
            max_replicas: max,
            target_concurrency: TARGET,
            idle_ms: 10 * MIN,
            scale_down_ms: 5 * MIN,
            candidates: vec![candidate("a"), candidate("b")],
            template: serde_json::Value::Null,
        };
        let service = Service {
            id: ServiceId::new(1),
            name: "qwen".into(),
            account_id: "emulated".into(),
            provider: "emulated".into(),
            desired: Desired::Present,
            spec,
            revision: 1,
            status: ServiceStatus::Starting,
            reason: None,
            state: ServiceState::default(),
            warm_until: None,
            expires_at: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 1,
        };
        // Tables about growth name their own time.
        let rules = ServiceRules { grow_after_ms: 0, ..ServiceRules::default() };
        Self { service, replicas: Vec::new(), load: Load::default(), now, rules }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms);
    }

    /// So many requests are there now.
    pub(super) fn load(&mut self, requests: u32) {
        self.load.outstanding = requests / 2;
        self.load.queued = requests - requests / 2;
        if requests > 0 {
            self.load.last_request_at = Some(self.now);
        }
    }

    /// Adds a replica of the newest revision in the first candidate; returns its number.
    pub(super) fn add(&mut self, status: Status) -> usize {
        self.add_in("a", status)
    }

    pub(super) fn add_in(&mut self, zone: &str, status: Status) -> usize {
        let n = self.replicas.len() + 1;
        let was_ready = matches!(status, Status::Ready | Status::Unavailable);
        self.replicas.push(Replica {
            id: id(n),
            zone: zone.into(),
            instance_type: "big".into(),
            revision: self.service.revision,
            status,
            ends: false,
            failure: None,
            is_kept: false,
            has_worker: true,
            created_at: self.now.plus_ms(n as i64),
            ready_at: was_ready.then_some(self.now),
        });
        n
    }

    /// Adds so many ready replicas.
    pub(super) fn ready(&mut self, count: usize) {
        for _ in 0..count {
            self.add(Status::Ready);
        }
    }

    /// The replica with this number.
    pub(super) fn at(&mut self, n: usize) -> &mut Replica {
        &mut self.replicas[n - 1]
    }

    /// The replica fails before it was ready.
    pub(super) fn fails(&mut self, n: usize, code: &str) {
        self.at(n).status = Status::StartupFailed;
        self.at(n).failure = failure(code);
    }

    /// The replica becomes ready.
    pub(super) fn becomes_ready(&mut self, n: usize) {
        let now = self.now;
        self.at(n).status = Status::Ready;
        self.at(n).ready_at.get_or_insert(now);
    }

    /// Plans, and carries the plan out. Returns its actions as text.
    pub(super) fn acts(&mut self) -> String {
        let planned = checked(self);
        let created: Vec<String> = planned.create.iter().map(|c| self.service.spec.candidates[*c].key()).collect();
        let mut ended: Vec<usize> = planned.terminate.iter().map(|(id, _)| self.number(id)).collect();
        ended.sort_unstable();
        self.carry_out(&planned);
        let mut text = String::new();
        if !created.is_empty() {
            text = format!("create {}", created.join(" "));
        }
        for (at, n) in ended.iter().enumerate() {
            let verb = if at > 0 {
                ""
            } else if text.is_empty() {
                "end"
            } else {
                "; end"
            };
            text = format!("{text}{verb} {n}");
        }
        text
    }

    /// The status and the reason, as text.
    pub(super) fn status(&self) -> String {
        let reason = self.service.reason.as_ref().map_or_else(String::new, |r| format!(": {r}"));
        format!("{}{reason}", self.service.status)
    }

    pub(super) fn carry_out(&mut self, planned: &ServicePlan) {
        for (id, _) in &planned.terminate {
            let n = self.number(id);
            self.at(n).ends = true;
        }
        self.service = planned.service.clone();
        for at in &planned.create {
            let zone = self.service.spec.candidates[*at].zone.clone();
            self.add_in(&zone, Status::Provisioning);
        }
    }

    fn number(&self, id: &InstanceId) -> usize {
        self.replicas.iter().position(|r| r.id == *id).map_or(0, |at| at + 1)
    }

    /// The replicas that answer or may answer: another wording of the planner's own rule.
    pub(super) fn live(&self) -> Vec<&Replica> {
        let dead = ["startup_failed", "stopping", "stopped", "draining", "terminating"];
        let is_dead = |r: &Replica| r.ends || r.failure.is_some() || dead.contains(&r.status.text());
        self.replicas.iter().filter(|r| !r.status.is_final() && !is_dead(r)).collect()
    }
}

pub(super) fn id(n: usize) -> InstanceId {
    InstanceId::new(n as u128)
}

fn planned(stage: &Stage, replicas: &[Replica]) -> ServicePlan {
    plan(&stage.service, replicas, &stage.load, stage.now, &stage.rules)
}

/// Plans, and checks what holds for every plan.
pub(super) fn checked(stage: &Stage) -> ServicePlan {
    let first = planned(stage, &stage.replicas);
    let mut reordered = stage.replicas.clone();
    reordered.reverse();
    assert_eq!(planned(stage, &reordered), first, "the order of the replicas matters");
    reordered.rotate_left(stage.replicas.len() / 2);
    assert_eq!(planned(stage, &reordered), first, "the order of the replicas matters");

    let mut after = stage.clone();
    after.carry_out(&first);
    let second = planned(&after, &after.replicas);
    assert_eq!((&second.create, &second.terminate), (&vec![], &vec![]), "the same facts give more actions: {after:?}");
    let told = |p: &ServicePlan| (p.service.status, p.service.reason.clone());
    assert_eq!(told(&second), told(&first), "the same facts give another status");
    let mut settled = after.clone();
    settled.service = second.service.clone();
    assert_eq!(planned(&settled, &settled.replicas), second, "the record never settles");

    for (id, why) in &first.terminate {
        let ended: Vec<&Replica> = stage.replicas.iter().filter(|r| r.id == *id).collect();
        assert!(ended.len() == 1 && !ended[0].ends && !ended[0].status.is_final(), "{id} cannot end: {why}");
        assert_eq!(first.terminate.iter().filter(|(other, _)| other == id).count(), 1, "{id} ends twice");
    }
    let live = after.live();
    // A replica with older settings, or one that is lost, may have its successor beside it.
    let unavailable = &first.service.state.unavailable;
    let is_lost = |r: &&Replica| {
        unavailable.get(&r.id).is_some_and(|since| stage.now.ms_since(*since) >= stage.rules.replace_after_ms)
    };
    let surge = live.iter().any(|r| r.revision < stage.service.revision || is_lost(r));
    let most = stage.service.spec.max_replicas as usize + usize::from(surge);
    if stage.service.desired == Desired::Present {
        assert!(live.len() <= most, "{} live replicas, at most {most} allowed: {after:?}", live.len());
    }
    for at in &first.create {
        let avoided = first.service.state.avoid.get(&stage.service.spec.candidates[*at].key());
        assert!(avoided.is_none_or(|a| a.until <= stage.now), "a replica in an avoided candidate: {avoided:?}");
    }
    first
}
