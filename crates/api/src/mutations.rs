//! Changes of the desired state by requests. A refusal says what to do and changes nothing.

use crate::App;
use crate::accounts::Account;
use crate::agreed_plan;
use crate::create_request::{mistakes, wrong_name};
use crate::etag::{self, IfMatch};
use crate::expiry;
use crate::find_offer;
use crate::idempotency;
use crate::images;
use crate::limits;
use crate::model_fit;
use crate::problem::ApiError;
use crate::request_log::log;
use crate::reuse;
use crate::serving;
use inventiv_core::agreed::Agreed;
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::InstanceId;
use inventiv_core::model_id::ModelId;
use inventiv_core::offer::{BootStorage, Offer};
use inventiv_core::quote;
use inventiv_core::recorded::{Aggregate, DataVolumeSpec, Instance, NewInstance, Spec};
use inventiv_core::size::{GB, gb_ceil};
use inventiv_core::volume_size::{self, SizeInputs};
use inventiv_store::{Giver, IdempotencyKey, Model, Named, ProviderSettings, VolumeWithOwner};
use inventiv_types::CreateInstance;

/// The instance of a create request.
pub(crate) struct Made {
    pub(crate) agg: Aggregate,
    /// An earlier request with the same key created it.
    pub(crate) replayed: bool,
}

/// A request that was checked, with what it asks for.
pub(crate) struct Checked {
    pub(crate) offer: Offer,
    /// The retained volume that it reuses.
    pub(crate) reused: Option<VolumeWithOwner>,
    pub(crate) spec: Spec,
}

/// Checks a request as far as that is possible without recording it.
pub(crate) async fn check(app: &App, request: &CreateInstance, account: &Account) -> Result<Checked, ApiError> {
    let wrong = mistakes(request, &account.profile);
    if !wrong.is_empty() {
        return Err(ApiError::all(wrong));
    }
    let offer = find_offer::find(app, &account.id, request).await?;
    let settings = app.store().settings(&account.profile.provider).await?;
    let reused = reuse::find(app, request, account).await?;
    let spec = spec(app, request, &offer, &settings, reused.as_ref()).await?;
    images::check(account, &spec.image, &offer).await?;
    Ok(Checked { offer, reused, spec })
}

/// Records a new instance. If the same request was sent with this key before, returns the instance of that request.
pub(crate) async fn create(app: &App, mut request: CreateInstance, key: Option<&str>) -> Result<Made, ApiError> {
    // The same request may name another plan when it is sent again.
    let plan = request.plan_id.take();
    let fingerprint = idempotency::fingerprint(&request);
    let account = app.account(request.account.as_deref()).map_err(|text| ApiError::field("account", text))?;
    if let Some(key) = key
        && let Some(agg) = idempotency::made_before(app, key, &fingerprint).await?
    {
        return Ok(Made { agg, replayed: true });
    }
    let Checked { offer, reused, spec } = check(app, &request, account).await?;
    if let Some(plan) = &plan {
        let prices = app.storage_prices(&account.id, &offer.zone);
        let parts = quote::parts(&spec, &offer, &prices, reused.is_some());
        let asked = agreed_plan::planned_part(&request);
        agreed_plan::check(app, plan, &asked, &Agreed::of_instance(&parts, &spec)).await?;
    }
    limits::check(app, &spec).await?;
    let (now, id) = (app.now(), InstanceId::new(app.draw()));
    let new = NewInstance {
        name: request.name.unwrap_or_else(|| default_name(&request.instance_type, &id)),
        id,
        account_id: account.id.clone(),
        provider: account.profile.provider.clone(),
        zone: request.zone,
        instance_type: request.instance_type,
        model_id: request.model_id,
        spec,
    };
    let instance = Instance { expires_at: expiry::at(request.ttl_seconds, now), ..Instance::requested(new, now) };
    let agg = Aggregate { instance, servers: Vec::new(), volumes: Vec::new() };
    let used = key.map(|key| idempotency::used(key, &fingerprint, &agg));
    let written = match insert(app, &agg, reused.as_ref(), used.as_ref()).await {
        Ok(written) => written,
        Err(refusal) => {
            // The same request was sent twice concurrently, and the other one got the volume.
            if let Some(key) = key
                && let Some(agg) = idempotency::made_before(app, key, &fingerprint).await?
            {
                return Ok(Made { agg, replayed: true });
            }
            return Err(refusal);
        }
    };
    let agg = match written {
        Ok(agg) => agg,
        Err(inventiv_store::Error::Doubt(why)) => written_after_all(app, &agg.instance.id, &why).await?,
        Err(inventiv_store::Error::Duplicate(_)) => {
            // The same request was sent twice concurrently, and the other one was recorded first.
            if let Some(key) = key
                && let Some(agg) = idempotency::made_before(app, key, &fingerprint).await?
            {
                return Ok(Made { agg, replayed: true });
            }
            return Err(name_taken(app, &agg.instance.account_id, &agg.instance.name).await?);
        }
        Err(e) => return Err(e.into()),
    };
    Ok(Made { agg, replayed: false })
}

/// Writes a new instance, and gives it the volume that it reuses. The inner error is the database's.
async fn insert(
    app: &App,
    new: &Aggregate,
    reused: Option<&VolumeWithOwner>,
    used: Option<&IdempotencyKey>,
) -> Result<Result<Aggregate, inventiv_store::Error>, ApiError> {
    let line = log(app, &new.instance, EventKind::RequestCreate, None, new.instance.created_at);
    let Some(volume) = reused else {
        return Ok(app.store().insert_new(new, &[line], used).await.map(|()| new.clone()));
    };
    loop {
        let mut agg = new.clone();
        let given = reuse::give(app, volume, &mut agg).await?;
        let giver = Giver { before: &given.before, after: &given.after };
        match app.store().insert_reusing(&agg, &[line.clone(), given.line], used, giver).await {
            Ok(()) => return Ok(Ok(agg)),
            Err(inventiv_store::Error::Duplicate(what)) => {
                // If the giver did not change, the name was taken, or the key was used.
                let now = app.store().instance(&volume.instance_id).await?;
                if now.is_none_or(|g| g.instance.version == given.before.instance.version) {
                    return Ok(Err(inventiv_store::Error::Duplicate(what)));
                }
            }
            Err(e) => return Ok(Err(e)),
        }
    }
}

/// The type and the last characters of the id, which differ between instances.
fn default_name(instance_type: &str, id: &InstanceId) -> String {
    let id = id.as_str();
    format!("{}-{}", instance_type.to_lowercase(), id.get(id.len().saturating_sub(6)..).unwrap_or(id))
}

async fn name_taken(app: &App, account_id: &str, name: &str) -> Result<ApiError, ApiError> {
    let holder = match app.store().instances_named(account_id, name, 1).await? {
        Named::Living(ids) => ids.into_iter().next(),
        Named::Ended(id) => id,
    };
    let holder = holder.map_or_else(|| "another instance".to_owned(), |id| format!("instance {id}"));
    Ok(ApiError::conflict(
        "name_taken",
        format!("name: {holder} has the name `{name}` until it has ended; choose another name"),
    ))
}

/// Checks whether an instance was recorded although the connection broke: repeating the request could create it twice.
async fn written_after_all(app: &App, id: &InstanceId, why: &str) -> Result<Aggregate, ApiError> {
    tracing::error!(instance = %id, why, "the outcome of a database write is unknown; reads the instance");
    if let Ok(Some(agg)) = app.store().instance(id).await {
        return Ok(agg);
    }
    Err(ApiError::unavailable(format!(
        "the connection to the database broke while instance {id} was being recorded, so the outcome is unknown; call \
         GET /instances/{id} in a moment, and create the instance again only if it is not found"
    )))
}

/// Renames an instance.
pub(crate) async fn rename(app: &App, id: &InstanceId, name: &str, read: &IfMatch) -> Result<Aggregate, ApiError> {
    if let Some(wrong) = wrong_name(name) {
        return Err(ApiError::all(vec![wrong]));
    }
    let now = app.now();
    let changed = app
        .store()
        .change(id, now, |agg| {
            read.check(&etag::of_version(agg.instance.version))?;
            if agg.instance.status.is_final() {
                return Err(Renamed::Refused(ApiError::conflict(
                    "too_late",
                    "the instance has ended and cannot be renamed",
                )));
            }
            if agg.instance.name == name {
                return Ok(Vec::new());
            }
            name.clone_into(&mut agg.instance.name);
            Ok(vec![log(app, &agg.instance, EventKind::RequestRename, None, now)])
        })
        .await;
    app.store().tell_change();
    match changed {
        Ok(changed) => changed.ok_or_else(|| ApiError::not_found("instance", id.as_str())),
        Err(Renamed::Refused(e)) => Err(e),
        Err(Renamed::Store(inventiv_store::Error::Duplicate(_))) => {
            let agg = app.store().instance(id).await?.ok_or_else(|| ApiError::not_found("instance", id.as_str()))?;
            Err(name_taken(app, &agg.instance.account_id, name).await?)
        }
        Err(Renamed::Store(e)) => Err(e.into()),
    }
}

/// Why a name was not changed.
enum Renamed {
    Refused(ApiError),
    Store(inventiv_store::Error),
}

impl From<inventiv_store::Error> for Renamed {
    fn from(e: inventiv_store::Error) -> Self {
        Self::Store(e)
    }
}

impl From<ApiError> for Renamed {
    fn from(e: ApiError) -> Self {
        Self::Refused(e)
    }
}

pub(crate) async fn spec(
    app: &App,
    request: &CreateInstance,
    offer: &Offer,
    settings: &ProviderSettings,
    reused: Option<&VolumeWithOwner>,
) -> Result<Spec, ApiError> {
    if request.boot_volume_gb.is_some() && offer.boot_storage == BootStorage::Local {
        let text = format!(
            "{} has a local disk of {} GB, and the provider fixes its size; omit this field",
            offer.instance_type,
            gb_ceil(offer.local_max_bytes)
        );
        return Err(ApiError::field("boot_volume_gb", text));
    }
    let fits = model_fit::check(app, request, offer).await?;
    let data_volume = match reused {
        Some(volume) => Some(reuse::spec(volume)),
        None => data_volume(app, request, settings).await?,
    };
    let serving = serving::serving(app, request, fits.engine).await?;
    Ok(Spec {
        warnings: warnings(offer).chain(fits.warnings).collect(),
        engine: fits.engine,
        idle_ms: expiry::idle_ms(request, serving.is_some())?,
        serving,
        data_volume,
        boot_volume_bytes: request.boot_volume_gb.map(|gb| gb * GB),
        image: request.image.clone().unwrap_or_else(|| settings.default_image.clone()),
        boot_storage: offer.boot_storage,
        gpu_count: offer.gpu_count,
        tags: request.tags.clone().unwrap_or_default(),
        hourly_micros: offer.price.micros,
        currency: offer.price.currency.clone(),
        ssh_keys: request.ssh_keys.clone().unwrap_or_default(),
        user_data: request.user_data.clone(),
        recovered_at: None,
        replica_of: None,
    })
}

/// The data volume that is created for an instance; `None`: no data volume.
async fn data_volume(
    app: &App,
    request: &CreateInstance,
    settings: &ProviderSettings,
) -> Result<Option<DataVolumeSpec>, ApiError> {
    let model = match request.model_id.as_deref() {
        Some(id) => model(app, id).await?,
        None => None,
    };
    let chosen = volume_size::choose(&SizeInputs {
        forced_gb: app.inner.forced_data_volume_gb,
        requested_gb: request.data_volume_gb,
        model_id: request.model_id.as_deref(),
        model_gb: model.and_then(|m| m.data_volume_gb),
        default_gb: settings.worker_data_volume_gb_default,
    });
    let Some(chosen) = chosen else {
        let text = format!(
            "the size of {} is unknown, so a data volume could be too small for it; set data_volume_gb (recommended: \
             150 GB plus twice the weights; 0: none), or add the model with a `data_volume_gb` (`POST /models`)",
            request.model_id.as_deref().unwrap_or("the model")
        );
        return Err(ApiError::field("data_volume_gb", text));
    };
    if chosen.bytes == 0 && (request.perf_iops.is_some() || request.delete_on_terminate.is_some()) {
        let text =
            format!("perf_iops and delete_on_terminate need a data volume, and there is none ({})", chosen.reason);
        return Err(ApiError::invalid(text));
    }
    Ok((chosen.bytes > 0).then(|| DataVolumeSpec {
        size_bytes: chosen.bytes,
        perf_iops: request.perf_iops,
        delete_on_terminate: request.delete_on_terminate.unwrap_or(settings.delete_on_terminate_default),
        size_reason: chosen.reason,
    }))
}

/// Reasons why a type should not be used although it can be rented.
fn warnings(offer: &Offer) -> impl Iterator<Item = String> {
    let text = format!("{} is at its end of service: the provider withdraws it from its offer", offer.instance_type);
    offer.end_of_service.then_some(text).into_iter()
}

/// The settings of a model: for this revision and quantisation, otherwise for its repository.
async fn model(app: &App, id: &str) -> Result<Option<Model>, ApiError> {
    if let Some(exact) = app.store().model(id).await? {
        return Ok(Some(exact));
    }
    match ModelId::parse(id).filter(|m| m.repo != id) {
        Some(m) => Ok(app.store().model(m.repo).await?),
        None => Ok(None),
    }
}
