//! New services.

use super::spec::{mistakes, spec};
use crate::App;
use crate::create_request;
use crate::expiry;
use crate::extract;
use crate::idempotency::NewId;
use crate::problem::{ApiError, wrong_field};
use inventiv_core::id::ServiceId;
use inventiv_core::service::{Service, ServiceState, ServiceStatus};
use inventiv_core::status::Desired;
use inventiv_store::Error;
use inventiv_types::{CreateService, FieldError, ServiceSettings};
use serde_json::Value;

/// The maximum length of a name, in characters.
pub(super) const NAME_MAX: usize = 63;

/// The request in a body. The settings are read apart, because their unknown fields are refused.
pub(crate) fn read(mut body: Value) -> Result<CreateService, ApiError> {
    #[derive(serde::Deserialize)]
    struct Head {
        name: Option<String>,
        account: Option<String>,
        model_id: String,
        ttl_seconds: Option<i64>,
        plan_id: Option<String>,
    }
    let Some(fields) = body.as_object_mut() else { return Err(ApiError::invalid("the body must be a JSON object")) };
    let head: serde_json::Map<String, Value> = ["name", "account", "model_id", "ttl_seconds", "plan_id"]
        .into_iter()
        .filter_map(|name| fields.remove(name).map(|value| (name.to_owned(), value)))
        .collect();
    let (head, settings) = (extract::object::<Head>(head.into()), extract::object::<ServiceSettings>(body));
    match (head, settings) {
        (Ok(head), Ok(settings)) => {
            let Head { name, account, model_id, ttl_seconds, plan_id } = head;
            Ok(CreateService { name, account, model_id, ttl_seconds, plan_id, settings })
        }
        (head, settings) => Err(ApiError::all(
            [head.err(), settings.err()].into_iter().flatten().flat_map(ApiError::into_errors).collect(),
        )),
    }
}

/// A new service as it would be. Nothing is recorded. One that this request created before is returned as it is.
pub(crate) async fn draft(app: &App, request: CreateService, new: NewId) -> Result<Service, ApiError> {
    let account = app.account(request.account.as_deref()).map_err(|text| ApiError::field("account", text))?;
    let name = request.name.clone().unwrap_or_else(|| default_name(&request.model_id));
    let mut wrong: Vec<FieldError> = wrong_name(&name).into_iter().collect();
    if !create_request::is_model_id(&request.model_id) {
        wrong.push(wrong_field("model_id", inventiv_core::model_id::LOOKS_LIKE));
    }
    wrong.extend(expiry::wrong_ttl(request.ttl_seconds));
    wrong.extend(mistakes(&request.settings));
    if !wrong.is_empty() {
        return Err(ApiError::all(wrong));
    }
    if new.is_repeated()
        && let Some(made) = app.store().service(ServiceId::new(new.bits).as_str()).await?
    {
        return Ok(made);
    }
    let spec = spec(app, &account.id, &request.model_id, request.settings).await?;
    let now = app.now();
    let service = Service {
        id: ServiceId::new(new.bits),
        name,
        account_id: account.id.clone(),
        provider: account.profile.provider.clone(),
        desired: Desired::Present,
        warm_until: Some(now.plus_ms(spec.idle_ms)),
        expires_at: expiry::at(request.ttl_seconds, now),
        spec,
        revision: 1,
        status: ServiceStatus::Starting,
        reason: None,
        state: ServiceState::default(),
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 0,
    };
    if let Some(taken) = app.store().service(&service.name).await?.filter(|s| s.deleted_at.is_none()) {
        return Err(name_taken(&taken));
    }
    Ok(service)
}

/// Records a new service. One that this request created before stays as it is.
pub(crate) async fn insert(app: &App, service: &Service) -> Result<(), ApiError> {
    match app.store().insert_service(service).await {
        Ok(()) => app.store().tell_change(),
        Err(Error::Duplicate(_)) => {
            let made = app.store().service(service.id.as_str()).await?;
            if made.is_none() {
                return Err(name_taken(service));
            }
        }
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

fn name_taken(service: &Service) -> ApiError {
    let text = if service.desired == Desired::Absent {
        format!("name: service `{}` is being deleted; wait until it is gone, or choose another name", service.name)
    } else {
        format!("name: there is a service `{}`; choose another name, or change that service", service.name)
    };
    ApiError::conflict("name_taken", text)
}

/// A name that is made from a model id: `Qwen/Qwen2.5-7B-Instruct` becomes `qwen2-5-7b-instruct`.
fn default_name(model_id: &str) -> String {
    let last = model_id.rsplit('/').next().unwrap_or(model_id);
    let mut name = String::new();
    for c in last.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    name.truncate(NAME_MAX);
    name.trim_end_matches('-').to_owned()
}

fn wrong_name(name: &str) -> Option<FieldError> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_good = (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(good)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && ServiceId::parse(name).is_none();
    let text =
        format!("must be 1 to {NAME_MAX} characters of a-z, 0-9 and `-`, and begin and end with a letter or digit");
    (!is_good).then(|| wrong_field("name", text))
}

#[cfg(test)]
mod tests;
