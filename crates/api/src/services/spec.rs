//! What the settings of a service ask for: checks, and the candidates of its replicas.

use crate::App;
use crate::create_request;
use crate::find_offer;
use crate::images;
use crate::mutations;
use crate::problem::{ApiError, wrong_field};
use inventiv_core::engine::{Engine, EngineKind};
use inventiv_core::fit;
use inventiv_core::offer::Offer;
use inventiv_core::service::{Candidate, ServiceSpec};
use inventiv_types::{CreateInstance, FieldError, ServiceSettings};

/// How many candidates are chosen if the request names no server types.
const CHOSEN: usize = 6;
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

/// The mistakes of settings that can be found without the database.
pub(super) fn mistakes(s: &ServiceSettings) -> Vec<FieldError> {
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
pub(super) async fn spec(
    app: &App,
    account_id: &str,
    model_id: &str,
    settings: ServiceSettings,
) -> Result<ServiceSpec, ApiError> {
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

#[cfg(test)]
mod tests;
