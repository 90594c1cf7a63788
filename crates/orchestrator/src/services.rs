//! Carries out the plans of services: records new replicas, and requests the end of those that are not needed.
//!
//! Every replica of the control plane may do it at any time. The write of a service is guarded by the version that was
//! read, and comes before, or together with, what follows from it: of two processes that plan from the same facts, one
//! acts. Nothing here calls the cloud: the instances do, with all of their invariants.

use crate::{Inner, Orchestrator};
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::{InstanceId, LogId};
use inventiv_core::offer::{Availability, Offer};
use inventiv_core::recorded::{Aggregate, Instance, NewInstance};
use inventiv_core::request::Request;
use inventiv_core::service::{Avoided, Candidate, OUT_OF_STOCK, Replica, ReplicaOf, Service, ServiceRules, plan};
use inventiv_core::status::{Desired, LogStatus};
use inventiv_core::time::Timestamp;
use inventiv_store::{ActionLog, Error, LogWrite, Saved};

/// How old the load that another process reported may be, in milliseconds.
const LOAD_MAX_AGE_MS: i64 = 8_000;
/// How long ended replicas matter: their failures are counted.
const ENDED_MS: i64 = 3_600_000;
/// How old a plan may be when it is carried out, in milliseconds.
const PLAN_MAX_AGE_MS: i64 = 5_000;
/// How long a candidate is not used after the catalogue showed that it is out of stock, in milliseconds.
const NOT_OFFERED_MS: i64 = 60_000;

impl Orchestrator {
    /// Plans every service of the account once, and carries it out. Returns how many of them changed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn reconcile_services(&self) -> Result<usize, Error> {
        let inner = &self.inner;
        let services = inner.store.services(Some(&inner.account)).await?;
        if services.is_empty() {
            return Ok(0);
        }
        let offers = inner.store.offers(&inner.account, None).await?;
        let mut changed = 0;
        for service in services {
            let name = service.name.clone();
            match inner.reconcile_service(service, &offers).await {
                Ok(did) => changed += usize::from(did),
                // One service must not stop the others.
                Err(e) => tracing::error!(service = name, error = %e, "a service cannot be planned; retries"),
            }
        }
        if changed > 0 {
            inner.store.tell_change();
        }
        Ok(changed)
    }
}

impl Inner {
    async fn reconcile_service(&self, mut service: Service, offers: &[Offer]) -> Result<bool, Error> {
        let now = self.clock.now();
        let since_ms = u64::try_from((now.0 / 1_000 - ENDED_MS).max(0)).unwrap_or(0);
        let ids = self.store.replicas(&service.id, since_ms).await?;
        let replicas: Vec<Replica> =
            self.store.instances_by_id(&ids).await?.iter().filter_map(|a| Replica::of(&a.instance)).collect();
        let load = self.store.service_load(&service.id, now.plus_ms(-LOAD_MAX_AGE_MS)).await?;
        let before = service.clone();
        avoid_what_is_not_offered(&mut service, offers, now);
        self.apply_limits(&mut service, now).await?;
        let rules =
            ServiceRules { watching_since: *self.watching_since.get_or_init(|| now), ..ServiceRules::default() };
        let plan = plan(&service, &replicas, &load, now, &rules);
        if plan.create.is_empty() && plan.terminate.is_empty() && plan.service == before {
            return Ok(false);
        }
        if plan.service.status != before.status {
            let reason = plan.service.reason.as_deref().unwrap_or_default();
            tracing::info!(service = before.name, from = %before.status, to = %plan.service.status, reason, "service");
        }
        let mut written = plan.service;
        if plan.create.is_empty() || !plan.terminate.is_empty() {
            let Saved::Version(version) = self.store.save_service(&written).await? else { return Ok(false) };
            written.version = version;
        }
        // Before any is created: also a process that stops in between leaves no more replicas than it may.
        for (id, reason) in plan.terminate {
            // A process that was frozen does not act on an old plan.
            if self.clock.now().ms_since(now) > PLAN_MAX_AGE_MS {
                return Ok(true);
            }
            self.end_replica(&id, &written.name, reason).await?;
        }
        for candidate in plan.create.into_iter().filter_map(|at| written.spec.candidates.get(at).cloned()) {
            if self.limit_reached(&written, &candidate).await?.is_some() {
                // What was just created, here or elsewhere, has reached it. The next plan says so.
                return Ok(written.version != before.version);
            }
            if !self.create_replica(&written, &candidate, offers, now).await? {
                // Another process was faster. The next plan sees what it did.
                return Ok(true);
            }
            written.version += 1;
        }
        Ok(true)
    }

    /// Keeps the service from candidates beyond a limit. If all are, no replica may be created.
    async fn apply_limits(&self, service: &mut Service, now: Timestamp) -> Result<(), Error> {
        let mut refused = Vec::new();
        let mut allowed = 0;
        for candidate in &service.spec.candidates {
            match self.limit_reached(service, candidate).await? {
                Some(why) => refused.push((candidate.key(), why)),
                None => allowed += 1,
            }
        }
        if allowed == 0 {
            service.state.limit_reached = refused.into_iter().next().map(|(_, why)| why);
            return Ok(());
        }
        service.state.limit_reached = None;
        for (key, why) in refused {
            if service.state.avoid.get(&key).is_none_or(|a| a.until <= now) {
                service.state.avoid.insert(key, Avoided { until: now.plus_ms(NOT_OFFERED_MS), why });
            }
        }
        Ok(())
    }

    /// Why no replica like this may be created now.
    async fn limit_reached(&self, service: &Service, candidate: &Candidate) -> Result<Option<String>, Error> {
        let (id, spec) = (Some(service.id.as_str()), &candidate.spec);
        self.store.refused_by_limit(id, &spec.tags, spec.gpu_count, self.clock.now()).await
    }

    /// Records a new replica together with its service. `false`: the service was written in between.
    async fn create_replica(
        &self,
        service: &Service,
        candidate: &Candidate,
        offers: &[Offer],
        now: Timestamp,
    ) -> Result<bool, Error> {
        let id = InstanceId::new(self.ids.draw());
        let mut spec = candidate.spec.clone();
        spec.replica_of = Some(ReplicaOf { service_id: service.id.clone(), revision: service.revision });
        if let Some(offer) = offers.iter().find(|o| is_offer_of(o, candidate)) {
            (spec.hourly_micros, spec.currency) = (offer.price.micros, offer.price.currency.clone());
        }
        let suffix = id.as_str().get(id.as_str().len().saturating_sub(6)..).unwrap_or_default();
        let instance = Instance::requested(
            NewInstance {
                name: format!("{}-{suffix}", service.name),
                account_id: service.account_id.clone(),
                provider: service.provider.clone(),
                zone: candidate.zone.clone(),
                instance_type: candidate.instance_type.clone(),
                model_id: Some(service.spec.model_id.clone()),
                spec,
                id,
            },
            now,
        );
        let agg = Aggregate { instance, servers: Vec::new(), volumes: Vec::new() };
        let line = self.replica_log(&agg, EventKind::RequestCreate, &format!("for service {}", service.name), now);
        match self.store.insert_replica(&agg, &[line], service).await {
            Ok(()) => Ok(true),
            Err(Error::Duplicate(_) | Error::Doubt(_)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Requests the end of a replica.
    async fn end_replica(&self, id: &InstanceId, service: &str, reason: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let change = |agg: &mut Aggregate| {
            // A termination is never refused.
            let changes = agg.instance.desired != Desired::Absent
                && Request::Terminate.apply(&mut agg.instance, now).unwrap_or_default();
            let text = format!("by service {service}: {reason}");
            let line = changes.then(|| self.replica_log(agg, EventKind::RequestTerminate, &text, now));
            Ok::<_, Error>(line.into_iter().collect())
        };
        self.store.change(id, now, change).await.map(|_| ())
    }

    fn replica_log(&self, agg: &Aggregate, kind: EventKind, text: &str, now: Timestamp) -> LogWrite {
        LogWrite::Open(Box::new(ActionLog {
            details: Some(text.to_owned()),
            status: LogStatus::Completed,
            ended_at: Some(now),
            ..ActionLog::begun(LogId::new(self.ids.draw()), &agg.instance, kind, now)
        }))
    }
}

fn is_offer_of(offer: &Offer, candidate: &Candidate) -> bool {
    offer.zone == candidate.zone && offer.instance_type == candidate.instance_type
}

/// A candidate that the catalogue shows out of stock is not tried for a while.
fn avoid_what_is_not_offered(service: &mut Service, offers: &[Offer], now: Timestamp) {
    for candidate in &service.spec.candidates {
        let key = candidate.key();
        let offer = offers.iter().find(|o| is_offer_of(o, candidate));
        let is_short = offer.is_some_and(|o| o.availability == Availability::Shortage);
        if is_short && service.state.avoid.get(&key).is_none_or(|a| a.until <= now) {
            let why = OUT_OF_STOCK.to_owned();
            service.state.avoid.insert(key, Avoided { until: now.plus_ms(NOT_OFFERED_MS), why });
        }
    }
}
