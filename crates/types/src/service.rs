//! Services: models that are kept answering, and what was used.

use crate::{Engine, EngineRequest, Time};
use inventiv_core::service::ServiceStatus;
use inventiv_core::status::Status;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The desired service. Only `model_id` is required.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreateService {
    /// A name, unique among services. Clients may use it as `model`. If omitted, it is made from the model id.
    #[schema(
        min_length = 1,
        max_length = 63,
        pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        example = "qwen2-5-7b-instruct"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The account, by name or id. Required only if the control plane works in several accounts.
    #[schema(max_length = 200, example = "prod")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The model, for instance `Qwen/Qwen2.5-7B-Instruct`.
    #[schema(min_length = 1, max_length = 300, example = "Qwen/Qwen2.5-7B-Instruct")]
    pub model_id: String,
    /// How long the service may live, in seconds; then it ends by itself, as if it had been deleted. If omitted, it does not.
    /// `POST /services/{id}/extend` changes that.
    #[schema(minimum = 60, maximum = 31_536_000, example = 28_800)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<i64>,
    /// A plan of this request (`POST /services?dry_run=true`), at most 24 hours old. The request is refused with 409 if the
    /// price of all replicas rose by more than 1 % since, or if its first replica would be created on another type or in
    /// another zone.
    #[schema(max_length = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// What may be changed later.
    #[serde(flatten)]
    pub settings: ServiceSettings,
}

/// The settings of a service. A change replaces the fields that it contains. Changes of `engine`, `image`,
/// `data_volume_gb`, `boot_volume_gb`, `perf_iops`, `tags`, `ssh_keys` and `user_data` replace its replicas one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// The least number of replicas. 0 (the default): none while nobody asks; the next request wakes the service.
    #[schema(minimum = 0, maximum = 1_000, example = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<u32>,
    /// The largest number of replicas. If omitted, 1, or `min_replicas` if that is more.
    #[schema(minimum = 1, maximum = 1_000, example = 2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
    /// How many requests a replica answers at once before another one is created. If omitted, 16.
    #[schema(minimum = 1, maximum = 10_000, example = 16)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_concurrency: Option<u32>,
    /// How long after the last request the last replica ends, if `min_replicas` is 0. If omitted, 1800.
    #[schema(minimum = 1, maximum = 604_800, example = 1_800)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<i64>,
    /// How long fewer replicas must suffice before one ends. If omitted, 300.
    #[schema(minimum = 1, maximum = 86_400, example = 300)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_seconds: Option<i64>,
    /// The zones that replicas may be created in. If omitted, every zone of the account.
    #[schema(max_items = 20, example = json!(["fr-par-2"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<Vec<String>>,
    /// The server types of replicas, the preferred one first. If omitted, the cheapest ones that the model fits.
    #[schema(max_items = 20, example = json!(["L4-1-24G", "L40S-1-48G"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_types: Option<Vec<String>>,
    /// The engine that serves the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineRequest>,
    /// Create replicas although the model does not fit their GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// The image of the servers, as for an instance.
    #[schema(max_length = 100, example = "ubuntu_jammy_gpu_os_12")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The size of each data volume in GB, as for an instance. Data volumes of replicas are deleted with them.
    #[schema(minimum = 0, maximum = 10_000, example = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_volume_gb: Option<i64>,
    /// The minimum size of the boot volumes in GB, as for an instance.
    #[schema(minimum = 1, maximum = 10_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_volume_gb: Option<i64>,
    /// The I/O operations per second of the data volumes, as for an instance.
    #[schema(minimum = 5_000, maximum = 15_000, example = 5_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perf_iops: Option<i64>,
    /// Tags for the servers and their volumes, as for an instance.
    #[schema(max_items = 20)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Public SSH keys that may log in, as for an instance.
    #[schema(max_items = 20)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_keys: Option<Vec<String>>,
    /// An additional cloud-init part, as for an instance.
    #[schema(max_length = 65_536)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
}

/// Whether a request is carried out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRun {
    /// `true`: check the request and return the service as it would be, without creating it.
    pub dry_run: Option<bool>,
}

/// How long a service is kept warm.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmService {
    /// For how long at least one replica runs, whether anybody asks or not. If omitted, `idle_seconds` of the service.
    #[schema(minimum = 1, maximum = 604_800, example = 3_600)]
    pub seconds: Option<i64>,
}

/// A model that is kept answering by as many instances as its load needs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// The unique id; it begins with `svc-`.
    pub id: String,
    /// The name. Clients use it, or the model id, as `model`.
    pub name: String,
    /// `starting`: fewer replicas are ready than are needed. `ready`: as many as are needed. `idle`: none is needed; the
    /// next request wakes it. `updating`: replicas are being replaced because the settings changed. `degraded`: something
    /// keeps enough replicas from becoming ready (see `reason`). `deleting`: its replicas are ending. `deleted`: they have
    /// ended.
    pub status: ServiceStatus,
    /// Why it is in this status, and what to do if anything can be done; `null` if there is nothing to say.
    pub reason: Option<String>,
    /// The model.
    pub model_id: String,
    /// The engine that serves the model.
    pub engine: Option<Engine>,
    /// The id of the account: provider and project.
    pub account_id: String,
    /// The least number of replicas.
    pub min_replicas: u32,
    /// The largest number of replicas.
    pub max_replicas: u32,
    /// How many requests a replica answers at once before another one is created.
    pub target_concurrency: u32,
    /// How long after the last request the last replica ends, if `min_replicas` is 0.
    pub idle_seconds: i64,
    /// How long fewer replicas must suffice before one ends.
    pub scale_down_seconds: i64,
    /// Where replicas may be created, the preferred one first.
    pub candidates: Vec<ServiceCandidate>,
    /// The replicas that have not ended.
    pub replicas: Vec<ServiceReplica>,
    /// How many of them are ready.
    pub ready_replicas: usize,
    /// The load, as the gateways reported it within the last ten seconds.
    pub load: ServiceLoad,
    /// The price of the servers of all replicas per hour, in millionths of `currency`.
    pub hourly_micros: i64,
    /// The price per hour of `max_replicas` replicas on the most expensive candidate, with their data volumes, in millionths
    /// of `currency`. While replicas are replaced, one more may exist.
    pub max_hourly_micros: i64,
    /// The currency of all prices, as an ISO 4217 code.
    pub currency: String,
    /// The path of the models' API on this control plane, for keys.
    pub endpoint: String,
    /// At least one replica runs until then.
    pub warm_until: Option<Time>,
    /// Goes up when a change of the settings makes new replicas necessary.
    pub revision: i64,
    /// When it ends by itself; `null` if it does not.
    pub expires_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When its settings last changed.
    pub updated_at: Time,
    /// When the last of its replicas had ended, after its end was requested.
    pub deleted_at: Option<Time>,
    /// Problems that did not prevent the request.
    pub warnings: Vec<String>,
    /// With `dry_run=true`: the plan, which `POST /services` may name as `plan_id` within 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
}

/// Where a replica may be created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServiceCandidate {
    /// The zone.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// How many GPUs the type has.
    pub gpu_count: i64,
    /// The size of the data volume in GB; 0: none.
    pub data_volume_gb: i64,
    /// The price of the server per hour, in millionths of the currency.
    pub hourly_micros: i64,
    /// The list price of the data volume per hour, in millionths of the currency.
    pub storage_hourly_micros: i64,
    /// Until when it is not used; `null`: it is used.
    pub avoided_until: Option<Time>,
    /// Why it is not used.
    pub avoided_because: Option<String>,
}

/// An instance of a service.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServiceReplica {
    /// The id of the instance.
    pub instance_id: String,
    /// The name of the instance.
    pub name: String,
    /// The status of the instance.
    pub status: Status,
    /// The zone.
    pub zone: String,
    /// The server type.
    pub instance_type: String,
    /// The price of the server per hour, in millionths of the currency.
    pub hourly_micros: i64,
    /// Whether it was created with the current settings.
    pub is_current: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was requested.
    pub created_at: Time,
    /// When it first became `ready`.
    pub ready_at: Option<Time>,
}

/// What is being asked of a service.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServiceLoad {
    /// Requests that replicas are answering.
    pub outstanding: u32,
    /// Requests that wait for a replica.
    pub queued: u32,
    /// When the last request came.
    pub last_request_at: Option<Time>,
}

/// The period and the filters of usage.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListUsage {
    /// From the hour of this time on. If omitted, the last 24 hours.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Time>,
    /// Until before this time. If omitted, until now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    /// Only of this service, by name or id.
    pub service: Option<String>,
    /// Only of this key, by id.
    pub key: Option<String>,
}

/// What was used in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// The start of the hour.
    pub hour: Time,
    /// The key.
    pub key_id: String,
    /// The service; `null`: an instance that belongs to no service.
    pub service_id: Option<String>,
    /// The instance that answered.
    pub instance_id: String,
    /// The model.
    pub model_id: String,
    /// Requests that an instance accepted.
    pub requests: i64,
    /// Those of them that ended with an error.
    pub errors: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// The sum of the times until the first token, in milliseconds.
    pub first_token_ms: i64,
    /// The sum of the durations, in milliseconds.
    pub duration_ms: i64,
}
