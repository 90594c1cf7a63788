//! Services: changes of their desired state.

mod create;
mod spec;

pub(crate) use create::{draft, insert, read};

use crate::App;
use crate::extract;
use crate::problem::ApiError;
use create::NAME_MAX;
use inventiv_core::service::{Candidate, Service, ServiceSpec, ServiceState, ServiceStatus};
use inventiv_core::status::Desired;
use inventiv_store::Saved;
use inventiv_types::ServiceSettings;
use serde_json::Value;
use spec::{mistakes, spec};

/// Changes settings: fields of the body replace those of the service; `null` brings the default back.
pub(crate) async fn change(app: &App, id: &str, patch: Value, dry_run: bool) -> Result<Service, ApiError> {
    let Value::Object(patch) = patch else { return Err(ApiError::invalid("the body must be a JSON object")) };
    // Also an unknown field that is `null` is a mistake.
    extract::object::<ServiceSettings>(patch.clone().into())?;
    loop {
        let mut service = find(app, id).await?;
        if service.desired == Desired::Absent {
            return Err(ApiError::conflict("too_late", format!("service {} is being deleted", service.name)));
        }
        let mut settings = service.spec.template.as_object().cloned().unwrap_or_default();
        for (name, value) in &patch {
            if value.is_null() {
                settings.remove(name);
            } else {
                settings.insert(name.clone(), value.clone());
            }
        }
        let settings: ServiceSettings = extract::object(settings.into())?;
        let wrong = mistakes(&settings);
        if !wrong.is_empty() {
            return Err(ApiError::all(wrong));
        }
        let spec = spec(app, &service.account_id, &service.spec.model_id, settings).await?;
        if needs_new_replicas(&service.spec, &spec) {
            service.revision += 1;
        }
        // Somebody did something about it.
        forget_failures(&mut service.state);
        (service.spec, service.updated_at) = (spec, app.now());
        if dry_run || save(app, &mut service).await? {
            return Ok(service);
        }
    }
}

/// Requests the end of a service and of all its replicas. Asking twice is no mistake.
pub(crate) async fn remove(app: &App, id: &str) -> Result<Service, ApiError> {
    loop {
        let mut service = find(app, id).await?;
        if service.desired == Desired::Absent {
            return Ok(service);
        }
        (service.desired, service.status, service.reason) = (Desired::Absent, ServiceStatus::Deleting, None);
        service.updated_at = app.now();
        if save(app, &mut service).await? {
            return Ok(service);
        }
    }
}

/// The service with an id or a name.
pub(crate) async fn find(app: &App, id: &str) -> Result<Service, ApiError> {
    let is_name = (1..=NAME_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let found = if is_name { app.store().service(id).await? } else { None };
    found.ok_or_else(|| ApiError::not_found("service", id))
}

/// `false`: it was written in between.
pub(crate) async fn save(app: &App, service: &mut Service) -> Result<bool, ApiError> {
    match app.store().save_service(service).await? {
        Saved::Version(version) => {
            service.version = version;
            app.store().tell_change();
            Ok(true)
        }
        Saved::Stale => Ok(false),
    }
}

pub(crate) fn forget_failures(state: &mut ServiceState) {
    (state.failures, state.last_failure, state.failed_at, state.not_before) = (0, None, None, None);
    state.proves_late = false;
    state.avoid.clear();
}

/// Whether instances of the old settings differ from those of the new ones, besides prices.
fn needs_new_replicas(old: &ServiceSpec, new: &ServiceSpec) -> bool {
    let find =
        |c: &Candidate| new.candidates.iter().find(|n| (&n.zone, &n.instance_type) == (&c.zone, &c.instance_type));
    let without_price = |c: &Candidate| {
        let mut spec = c.spec.clone();
        (spec.hourly_micros, spec.warnings, spec.currency) = (0, Vec::new(), String::new());
        if let Some(volume) = &mut spec.data_volume {
            volume.size_reason.clear();
        }
        spec
    };
    let mut pairs = old.candidates.iter().filter_map(|o| find(o).map(|n| (o, n))).peekable();
    // If no candidate stayed, every replica is in the wrong place.
    pairs.peek().is_none() || pairs.any(|(o, n)| without_price(o) != without_price(n))
}
