//! Which names there are, and which replicas answer for each.

use crate::metered::Metered;
use crate::pool::Pool;
use inventiv_core::id::{InstanceId, ServiceId};
use inventiv_core::service::{Service, ServiceStatus};
use inventiv_core::status::Desired;
use inventiv_core::worker::WORKER_PORT;
use inventiv_store::Target;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// How long a replica that could not be reached gets no requests, in microseconds.
const AVOID_US: i64 = 3_000_000;

/// An instance whose model answers, and what this process knows of it.
pub(crate) struct Replica {
    pub(crate) id: InstanceId,
    /// Identifies it for rendezvous hashing: the same in every process.
    pub(crate) number: u64,
    pub(crate) pool: Pool,
    pub(crate) outstanding: AtomicU32,
    /// Until when it gets no requests, in microseconds.
    avoid_until: AtomicI64,
}

impl Replica {
    pub(crate) fn avoid(&self, now_us: i64) {
        self.avoid_until.store(now_us + AVOID_US, Ordering::Relaxed);
    }

    pub(crate) fn is_avoided(&self, now_us: i64) -> bool {
        self.avoid_until.load(Ordering::Relaxed) > now_us
    }
}

/// What this process sees of the load of a service.
#[derive(Default)]
pub(crate) struct ServiceLoad {
    pub(crate) outstanding: AtomicU32,
    pub(crate) queued: AtomicU32,
    /// In microseconds since 1970; 0: none yet.
    pub(crate) last_request_us: AtomicI64,
    /// What was last told, and when (in microseconds).
    pub(crate) told: Mutex<((u32, u32, i64), i64)>,
}

/// A service, for the gateway.
pub(crate) struct Served {
    pub(crate) id: ServiceId,
    pub(crate) name: String,
    /// Whether something prevents that it has enough replicas.
    pub(crate) is_degraded: bool,
    pub(crate) load: Arc<ServiceLoad>,
}

/// What a name leads to.
pub(crate) struct Destination {
    /// `None`: instances that belong to no service.
    pub(crate) service: Option<Served>,
    /// The name that the engines know their model by.
    pub(crate) model: String,
    pub(crate) replicas: Vec<Arc<Replica>>,
    /// When it was created, in seconds since 1970.
    pub(crate) created_s: i64,
    /// Its metrics, from the first request on.
    metered: OnceLock<Metered>,
}

impl Destination {
    /// The metrics of its service, or of its model if it belongs to none.
    pub(crate) fn metered(&self) -> &Metered {
        self.metered.get_or_init(|| Metered::new(self.service.as_ref().map_or(&self.model, |s| &s.name)))
    }

    /// Whether a key with these scopes may use it.
    pub(crate) fn is_allowed(&self, scopes: &[String]) -> bool {
        let named = |s: &String| *s == self.model || self.service.as_ref().is_some_and(|v| v.name == *s);
        scopes.is_empty() || scopes.iter().any(named)
    }
}

/// Every name with its destination.
#[derive(Default)]
pub(crate) struct Table {
    names: HashMap<String, Arc<Destination>>,
}

/// What is kept from one table to the next.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) replicas: HashMap<InstanceId, Arc<Replica>>,
    pub(crate) loads: HashMap<ServiceId, Arc<ServiceLoad>>,
}

impl Table {
    /// The names of services, of their models, and of the models of other instances, in this order.
    pub(crate) fn new(services: &[Service], targets: &[Target], known: &mut Known, tls: &Arc<ClientConfig>) -> Self {
        known.replicas.retain(|id, _| targets.iter().any(|t| t.id == *id));
        known.loads.retain(|id, _| services.iter().any(|s| s.id == *id));
        let mut names: HashMap<String, Arc<Destination>> = HashMap::new();
        for service in services.iter().filter(|s| s.desired == Desired::Present) {
            let of = targets.iter().filter(|t| t.service_id.as_ref() == Some(&service.id));
            let destination = Arc::new(Destination {
                service: Some(Served {
                    id: service.id.clone(),
                    name: service.name.clone(),
                    is_degraded: service.status == ServiceStatus::Degraded,
                    load: known.loads.entry(service.id.clone()).or_default().clone(),
                }),
                model: service.spec.model_id.clone(),
                replicas: of.filter_map(|t| replica(t, known, tls)).collect(),
                created_s: service.created_at.0.div_euclid(1_000_000),
                metered: OnceLock::new(),
            });
            names.insert(service.name.clone(), destination.clone());
            names.entry(service.spec.model_id.clone()).or_insert(destination);
        }
        let mut others: HashMap<&str, Vec<&Target>> = HashMap::new();
        for target in targets.iter().filter(|t| t.service_id.is_none() && !names.contains_key(&t.model_id)) {
            others.entry(&target.model_id).or_default().push(target);
        }
        for (model, of) in others {
            let first_ms = of.iter().map(|t| t.id.drawn_ms()).min().unwrap_or_default();
            let destination = Destination {
                service: None,
                model: model.to_owned(),
                replicas: of.into_iter().filter_map(|t| replica(t, known, tls)).collect(),
                created_s: i64::try_from(first_ms / 1_000).unwrap_or_default(),
                metered: OnceLock::new(),
            };
            names.insert(model.to_owned(), Arc::new(destination));
        }
        Self { names }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Destination>> {
        self.names.get(name)
    }

    /// How many replicas of a service answer; `None`: there is no such service.
    pub(crate) fn replicas_of(&self, id: &ServiceId) -> Option<usize> {
        let of = |d: &&Arc<Destination>| d.service.as_ref().is_some_and(|s| s.id == *id);
        self.names.values().find(of).map(|d| d.replicas.len())
    }

    /// Every name that a key with these scopes may use, in order.
    pub(crate) fn allowed(&self, scopes: &[String]) -> Vec<(&str, &Destination)> {
        let allowed = self.names.iter().filter(|(_, d)| d.is_allowed(scopes));
        let mut names: Vec<(&str, &Destination)> = allowed.map(|(n, d)| (n.as_str(), d.as_ref())).collect();
        names.sort_by_key(|(n, _)| *n);
        names
    }
}

fn replica(target: &Target, known: &mut Known, tls: &Arc<ClientConfig>) -> Option<Arc<Replica>> {
    let address: IpAddr = target.address.as_deref()?.parse().ok()?;
    let address = SocketAddr::new(address, WORKER_PORT);
    if let Some(replica) = known.replicas.get(&target.id).filter(|r| r.pool.address() == address) {
        return Some(replica.clone());
    }
    let replica = Arc::new(Replica {
        id: target.id.clone(),
        number: crate::request::number(target.id.as_str().as_bytes()),
        pool: Pool::new(address, target.id.as_str(), Arc::clone(tls)),
        outstanding: AtomicU32::new(0),
        avoid_until: AtomicI64::new(0),
    });
    known.replicas.insert(target.id.clone(), replica.clone());
    Some(replica)
}
