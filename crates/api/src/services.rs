//! Services: checks of requests, and changes of their desired state.

use crate::App;
use crate::create_request;
use crate::expiry;
use crate::extract;
use crate::find_offer;
use crate::images;
use crate::mutations;
use crate::problem::{ApiError, wrong_field};
use inventiv_core::engine::{Engine, EngineKind};
use inventiv_core::fit;
use inventiv_core::id::ServiceId;
use inventiv_core::offer::Offer;
use inventiv_core::service::{Candidate, Service, ServiceSpec, ServiceState, ServiceStatus};
use inventiv_core::status::Desired;
use inventiv_store::{Error, Saved};
use inventiv_types::{CreateInstance, CreateService, FieldError, ServiceSettings};
use serde_json::Value;

/// How many candidates are chosen if the request names no server types.
const CHOSEN: usize = 6;
/// The maximum length of a name, in characters.
const NAME_MAX: usize = 63;
/// The maximum number of replicas.
const REPLICAS_MAX: u32 = 1_000;
/// The maximum number of zones, and of server types.
const LIST_MAX: usize = 20;
/// The default of `target_concurrency`.
const TARGET_CONCURRENCY: u32 = 16;
/// The default of `idle_seconds`.
const IDLE_S: i64 = 1_800;
/// The default of `scale_down_seconds`.
const SCALE_DOWN_S: i64 = 300;

/// The request in a body. The settings are read apart, because their unknown fields are refused.
pub(crate) fn read(mut body: Value) -> Result<CreateService, ApiError> {
    #[derive(serde::Deserialize)]
    struct Head {
        name: Option<String>,
        account: Option<String>,
        model_id: String,
        ttl_seconds: Option<i64>,
    }
    let Some(fields) = body.as_object_mut() else { return Err(ApiError::invalid("the body must be a JSON object")) };
    let head: serde_json::Map<String, Value> = ["name", "account", "model_id", "ttl_seconds"]
        .into_iter()
        .filter_map(|name| fields.remove(name).map(|value| (name.to_owned(), value)))
        .collect();
    let (head, settings) = (extract::object::<Head>(head.into()), extract::object::<ServiceSettings>(body));
    match (head, settings) {
        (Ok(head), Ok(settings)) => {
            let Head { name, account, model_id, ttl_seconds } = head;
            Ok(CreateService { name, account, model_id, ttl_seconds, settings })
        }
        (head, settings) => Err(ApiError::all(
            [head.err(), settings.err()].into_iter().flatten().flat_map(ApiError::into_errors).collect(),
        )),
    }
}

/// Creates a service, unless it is only to be shown what it would be. One replica is started at once.
pub(crate) async fn create(app: &App, request: CreateService, dry_run: bool) -> Result<Service, ApiError> {
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
    let spec = spec(app, &account.id, &request.model_id, request.settings).await?;
    let now = app.now();
    let service = Service {
        id: ServiceId::new(app.draw()),
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
    if !dry_run {
        match app.store().insert_service(&service).await {
            Ok(()) => app.store().tell_change(),
            Err(Error::Duplicate(_)) => return Err(name_taken(&service)),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(service)
}

fn name_taken(service: &Service) -> ApiError {
    let text = if service.desired == Desired::Absent {
        format!("name: service `{}` is being deleted; wait until it is gone, or choose another name", service.name)
    } else {
        format!("name: there is a service `{}`; choose another name, or change that service", service.name)
    };
    ApiError::conflict("name_taken", text)
}

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

/// The mistakes of settings that can be found without the database.
fn mistakes(s: &ServiceSettings) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, bad: bool, text: String| {
        if bad {
            wrong.push(wrong_field(field, text));
        }
    };
    let (min, max) = (s.min_replicas.unwrap_or(0), s.max_replicas);
    refuse("min_replicas", min > REPLICAS_MAX, format!("must be a whole number from 0 to {REPLICAS_MAX}"));
    let range = format!("must be a whole number from 1 to {REPLICAS_MAX}");
    refuse("max_replicas", max.is_some_and(|n| !(1..=REPLICAS_MAX).contains(&n)), range);
    let text = format!("must be at least min_replicas ({min})");
    refuse("max_replicas", max.is_some_and(|n| n < min), text);
    let target = s.target_concurrency;
    refuse("target_concurrency", target.is_some_and(|n| !(1..=10_000).contains(&n)), "must be from 1 to 10000".into());
    let idle = s.idle_seconds;
    refuse("idle_seconds", idle.is_some_and(|n| !(1..=604_800).contains(&n)), "must be from 1 to 604800".into());
    let quiet = s.scale_down_seconds;
    refuse("scale_down_seconds", quiet.is_some_and(|n| !(1..=86_400).contains(&n)), "must be from 1 to 86400".into());
    for (field, list) in [("zones", &s.zones), ("instance_types", &s.instance_types)] {
        let bad = |l: &Vec<String>| l.is_empty() || l.len() > LIST_MAX;
        refuse(
            field,
            list.as_ref().is_some_and(bad),
            format!("must be 1 to {LIST_MAX} names; omit it for the default"),
        );
    }
    let none = s.engine.as_ref().is_some_and(|e| e.kind == Some(EngineKind::None));
    refuse("engine.kind", none, "must serve the model: `none` is only for instances".into());
    wrong
}

/// What is desired of a service with these settings.
async fn spec(app: &App, account_id: &str, model_id: &str, settings: ServiceSettings) -> Result<ServiceSpec, ApiError> {
    let template = serde_json::to_value(&settings).unwrap_or_default();
    let min_replicas = settings.min_replicas.unwrap_or(0);
    Ok(ServiceSpec {
        model_id: model_id.to_owned(),
        min_replicas,
        max_replicas: settings.max_replicas.unwrap_or(min_replicas.max(1)),
        target_concurrency: settings.target_concurrency.unwrap_or(TARGET_CONCURRENCY),
        idle_ms: settings.idle_seconds.unwrap_or(IDLE_S) * 1_000,
        scale_down_ms: settings.scale_down_seconds.unwrap_or(SCALE_DOWN_S) * 1_000,
        candidates: candidates(app, account_id, model_id, &settings).await?,
        template,
    })
}

/// Where replicas may be created, each with what is requested of the instance.
async fn candidates(
    app: &App,
    account_id: &str,
    model_id: &str,
    settings: &ServiceSettings,
) -> Result<Vec<Candidate>, ApiError> {
    let account = app.account(Some(account_id)).map_err(|text| ApiError::field("account", text))?;
    let places = offers(app, account_id, model_id, settings).await?;
    let provider = app.store().settings(&account.profile.provider).await?;
    let mut found = Vec::with_capacity(places.len());
    let mut refused: Option<ApiError> = None;
    for offer in &places {
        let request = request(settings, model_id, account_id, offer);
        let wrong = create_request::mistakes(&request, &account.profile);
        if !wrong.is_empty() {
            return Err(ApiError::all(wrong));
        }
        let mut spec = match mutations::spec(app, &request, offer, &provider, None).await {
            Ok(spec) => spec,
            // Other types may be right, unless it is no mistake in a field: the database does not answer, for instance.
            Err(e) => {
                let wrong = e.clone().into_errors();
                if wrong.iter().any(|w| w.pointer.is_none()) {
                    return Err(e);
                }
                let named = |p: String| p.replace("#/instance_type", "#/instance_types");
                let wrong = wrong.into_iter().map(|w| FieldError { pointer: w.pointer.map(named), ..w }).collect();
                refused.get_or_insert_with(|| ApiError::all(wrong));
                continue;
            }
        };
        images::check(account, &spec.image, offer).await?;
        if let Some(volume) = &mut spec.data_volume {
            // Replicas come and go: what they leave behind would cost more and more.
            volume.delete_on_terminate = true;
        }
        found.push(Candidate { zone: offer.zone.clone(), instance_type: offer.instance_type.clone(), spec });
    }
    if found.is_empty() {
        return Err(refused.unwrap_or_else(|| ApiError::invalid("no server type is offered for this service")));
    }
    Ok(found)
}

fn request(settings: &ServiceSettings, model_id: &str, account_id: &str, offer: &Offer) -> CreateInstance {
    let s = settings.clone();
    CreateInstance {
        account: Some(account_id.to_owned()),
        model_id: Some(model_id.to_owned()),
        engine: s.engine,
        force: s.force,
        image: s.image,
        data_volume_gb: s.data_volume_gb,
        boot_volume_gb: s.boot_volume_gb,
        perf_iops: s.perf_iops,
        tags: s.tags,
        ssh_keys: s.ssh_keys,
        user_data: s.user_data,
        ..CreateInstance::of_type(&offer.zone, &offer.instance_type)
    }
}

/// The offers that are named, in the order of the request; otherwise the cheapest ones that the model fits.
async fn offers(
    app: &App,
    account_id: &str,
    model_id: &str,
    settings: &ServiceSettings,
) -> Result<Vec<Offer>, ApiError> {
    let all = app.store().offers(account_id, None).await?;
    if all.is_empty() {
        return Err(ApiError::unavailable(
            "the provider's catalogue is being read for the first time; try again in a moment",
        ));
    }
    if let Some(unknown) = settings.zones.iter().flatten().find(|z| all.iter().all(|o| o.zone != **z)) {
        let mut zones: Vec<&str> = all.iter().map(|o| o.zone.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        let text = format!("`{unknown}` has no offers; there are offers in {}", zones.join(", "));
        return Err(ApiError::field("zones", text));
    }
    let in_zone = |o: &&Offer| settings.zones.as_ref().is_none_or(|zones| zones.contains(&o.zone));
    if let Some(types) = &settings.instance_types {
        let mut found = Vec::new();
        for kind in types {
            let mut of_type: Vec<&Offer> = all.iter().filter(|o| o.instance_type == *kind).filter(in_zone).collect();
            if of_type.is_empty() {
                let zone = settings.zones.iter().flatten().next().or(all.first().map(|o| &o.zone));
                let request = CreateInstance::of_type(zone.map_or("", String::as_str), kind);
                let text = find_offer::unknown_type(app, account_id, &request).await?;
                return Err(ApiError::field("instance_types", format!("`{kind}`: {text}")));
            }
            let order = |o: &&Offer| settings.zones.iter().flatten().position(|z| *z == o.zone);
            of_type.sort_by_key(order);
            found.extend(of_type.into_iter().cloned());
        }
        return Ok(found);
    }
    let wanted = settings.engine.clone().unwrap_or_default();
    let engine = Engine::choose(model_id, wanted.kind, wanted.context_tokens);
    let ranked = fit::ranked(model_id, engine, all.iter().filter(in_zone));
    if ranked.is_empty() {
        let text = "nothing that is offered is known to fit this model; name the server types to use (`inventiv model fit` \
                    shows what is known)";
        return Err(ApiError::field("instance_types", text));
    }
    Ok(ranked.into_iter().take(CHOSEN).cloned().collect())
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
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_from_the_model() {
        for (model, name) in [
            ("Qwen/Qwen2.5-7B-Instruct", "qwen2-5-7b-instruct"),
            ("openai/gpt-oss-20b", "gpt-oss-20b"),
            ("a/B__c..d", "b-c-d"),
            ("bartowski/Llama-3.2-3B-Instruct-GGUF:Q8_0", "llama-3-2-3b-instruct-gguf-q8-0"),
        ] {
            let made = default_name(model);
            assert_eq!((made.as_str(), wrong_name(&made).is_none()), (name, true));
        }
    }

    #[test]
    fn names_are_words_of_hosts() {
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64), "svc-00000000000000000000000000"] {
            assert!(wrong_name(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn settings_are_checked() {
        let bad = ServiceSettings {
            min_replicas: Some(3),
            max_replicas: Some(2),
            target_concurrency: Some(0),
            idle_seconds: Some(0),
            scale_down_seconds: Some(0),
            zones: Some(Vec::new()),
            ..ServiceSettings::default()
        };
        let fields: Vec<String> = mistakes(&bad).into_iter().filter_map(|e| e.pointer).collect();
        let expected = ["max_replicas", "target_concurrency", "idle_seconds", "scale_down_seconds", "zones"]
            .map(|f| format!("#/{f}"));
        assert_eq!(fields, expected);
        assert!(mistakes(&ServiceSettings::default()).is_empty());
    }
}
