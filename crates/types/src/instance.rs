//! Instances: the request, the state, the list.

use crate::{Engine, EngineRequest, Storage, Time, Worker};
use inventiv_core::status::{NoteCode, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The desired instance. Only `zone` and `instance_type` are required.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInstance {
    /// A name, unique among the instances of the account that have not ended. It must not begin with `ins-`. If it is
    /// omitted, it is made from the type and the id.
    #[schema(min_length = 1, max_length = 100, example = "qwen")]
    pub name: Option<String>,
    /// The account, by name or id. Required only if the control plane works in several accounts.
    #[schema(max_length = 200, example = "prod")]
    pub account: Option<String>,
    /// The zone, for instance `fr-par-2`.
    #[schema(max_length = 40, pattern = "^[A-Za-z0-9_./:-]+$", example = "fr-par-2")]
    pub zone: String,
    /// The provider's server type, for instance `L40S-1-48G`. `GET /offers` lists the types with their prices.
    #[schema(max_length = 60, pattern = "^[A-Za-z0-9_./:-]+$", example = "L40S-1-48G")]
    pub instance_type: String,
    /// The model that the instance is for, for instance `Qwen/Qwen2.5-7B-Instruct`. It determines the size of the data
    /// volume if `data_volume_gb` is omitted.
    #[schema(min_length = 1, max_length = 300, example = "Qwen/Qwen2.5-7B-Instruct")]
    pub model_id: Option<String>,
    /// The engine that is to serve the model. It determines whether the model fits the GPUs.
    pub engine: Option<EngineRequest>,
    /// Create the instance although the model does not fit its GPUs. If omitted, such a request is refused.
    pub force: Option<bool>,
    /// The image, by label or id. `GET /images` lists the labels. If omitted, the `default_image` of
    /// the provider settings.
    #[schema(max_length = 100, pattern = "^[A-Za-z0-9_./:-]+$", example = "ubuntu_jammy_gpu_os_12")]
    pub image: Option<String>,
    /// The size of the data volume in GB; 0 for none. If omitted, it is chosen for `model_id`; without a model, there
    /// is none.
    #[schema(minimum = 0, maximum = 10_000, example = 200)]
    pub data_volume_gb: Option<i64>,
    /// A retained volume, by its id, to be the data volume: in the same account and zone. It is attached with its content,
    /// and retained again when the instance ends, whether the instance became ready or not. `data_volume_gb`, `perf_iops`
    /// and `delete_on_terminate` must be omitted.
    #[schema(max_length = 100, example = "vol-01jd5x8mzr0bq5n6g7h8")]
    pub volume_id: Option<String>,
    /// The minimum size of the boot volume in GB, for types that boot from block storage. If omitted, the size of the
    /// image.
    #[schema(minimum = 1, maximum = 10_000)]
    pub boot_volume_gb: Option<i64>,
    /// The I/O operations per second of the data volume: 5000 or 15000. If omitted, the provider's default.
    #[schema(minimum = 5_000, maximum = 15_000, example = 5_000)]
    pub perf_iops: Option<i64>,
    /// Whether the data volume is deleted when the instance ends. If omitted, the provider setting
    /// `delete_on_terminate_default` applies.
    pub delete_on_terminate: Option<bool>,
    /// Tags for the server and its volumes, each of 1 to 100 characters, without commas, not beginning with `inventiv`.
    #[schema(max_items = 20)]
    pub tags: Option<Vec<String>>,
    /// Public SSH keys that may log in, in addition to those of the provider's project.
    #[schema(max_items = 20, example = json!(["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop"]))]
    pub ssh_keys: Option<Vec<String>>,
    /// How long the instance may live, in seconds; then it ends by itself, as if it had been terminated. If omitted, it does
    /// not. `POST /instances/{id}/extend` changes that.
    #[schema(minimum = 60, maximum = 31_536_000, example = 28_800)]
    pub ttl_seconds: Option<i64>,
    /// End the instance as if it had been terminated when nobody has asked its model for so many seconds, through the gateway
    /// or `/instances/{id}/v1`. The time begins when it is ready. If omitted, it does not end so. Needs an engine.
    #[schema(minimum = 60, maximum = 31_536_000, example = 1_800)]
    pub idle_seconds: Option<i64>,
    /// An additional cloud-init part (`#cloud-config`, or a script that begins with `#!`), at most 65536 bytes. It is
    /// stored unencrypted in the database and can be read on the server, so it must not contain secrets.
    #[schema(max_length = 65_536, example = "#!/bin/sh\necho hello")]
    pub user_data: Option<String>,
    /// A plan of this request (`POST /plans`), at most 24 hours old. The request is refused with 409 if the price per hour
    /// rose by more than 1 % since, or if what would be made is not what was planned.
    #[schema(max_length = 100, example = "plan-01jd5x8mzr0bq5n6g7h8")]
    pub plan_id: Option<String>,
}

impl CreateInstance {
    /// A request with only the required fields.
    #[must_use]
    pub fn of_type(zone: &str, instance_type: &str) -> Self {
        Self {
            name: None,
            account: None,
            zone: zone.to_owned(),
            instance_type: instance_type.to_owned(),
            model_id: None,
            engine: None,
            force: None,
            image: None,
            data_volume_gb: None,
            volume_id: None,
            boot_volume_gb: None,
            perf_iops: None,
            delete_on_terminate: None,
            tags: None,
            ssh_keys: None,
            ttl_seconds: None,
            user_data: None,
            idle_seconds: None,
            plan_id: None,
        }
    }
}

/// A change of an instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeInstance {
    /// The new name, unique among the instances of the account that have not ended.
    #[schema(min_length = 1, max_length = 100, example = "qwen-2")]
    pub name: String,
}

/// The filters and the page of a list of instances.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListInstances {
    /// Only instances with this status, or with one of several, separated by commas: `ready,booting`.
    pub status: Option<String>,
    /// Only instances in this account, by its name or id.
    pub account: Option<String>,
    /// Only instances in this zone.
    pub zone: Option<String>,
    /// Only instances for this model. `model` is an alias.
    #[serde(alias = "model")]
    pub model_id: Option<String>,
    /// The newest first.
    pub newest_first: Option<bool>,
    /// The `next` value of the previous page.
    pub after: Option<String>,
    /// The maximum number of items, from 1 to 500. The default is 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// How many instances there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceCounts {
    /// Those that have not ended, by status.
    pub living: BTreeMap<String, i64>,
}

/// An instance: a server with its volumes, for a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// The unique id; it begins with `ins-`.
    pub id: String,
    /// The name.
    pub name: String,
    /// `provisioning`: the server and the volumes are being created. `booting`: the start of the server was requested.
    /// `installing`: its worker prepares the data volume and the engine. `starting`: the model is downloaded, and the
    /// engine loads it. `ready`: the model answered a request; without a model, the server runs and every requested
    /// volume is attached. `unavailable`: it was ready, and the model does not answer now. `startup_failed`: the model
    /// will not answer (see `worker.failure`); the instance costs money, and ends soon unless it is kept. `draining`: its
    /// end was requested, and the requests that its model is answering are finished first, within two minutes. `stopping`, `stopped`: the server is powered off
    /// on request; the volumes stay. `terminating`: the instance is being removed,
    /// on request or because it failed (see `error`). `terminated`: everything that should be deleted is proven gone.
    /// `provisioning_failed`: the instance could not be created, and everything that was created is proven gone.
    pub status: Status,
    /// The provider, for instance `scaleway`.
    pub provider: String,
    /// The id of the account: provider and project.
    pub account_id: String,
    /// The zone, for instance `fr-par-2`.
    pub zone: String,
    /// The provider's server type, for instance `L40S-1-48G`.
    pub instance_type: String,
    /// The model that the instance is for; `null` if none was requested.
    pub model_id: Option<String>,
    /// The engine that is to serve the model; `null` without a model.
    pub engine: Option<Engine>,
    /// The service that the instance is a replica of; `null` if it belongs to none.
    pub service_id: Option<String>,
    /// The label or id of the image.
    pub image: String,
    /// The provider's id of the server; `null` until it is known.
    pub provider_instance_id: Option<String>,
    /// The public address: IPv4 if there is one, otherwise IPv6.
    pub ip_address: Option<String>,
    /// All public addresses, IPv4 before IPv6.
    pub addresses: Vec<String>,
    /// When the instance ends by itself; `null` if it does not.
    pub expires_at: Option<Time>,
    /// After how many seconds without a request for its model it ends; `null`: never.
    pub idle_seconds: Option<i64>,
    /// When the instance was requested.
    pub created_at: Time,
    /// When the instance first became `ready`.
    pub ready_at: Option<Time>,
    /// When everything that should be deleted was proven gone.
    pub terminated_at: Option<Time>,
    /// Why the instance failed, and what to do; `null` if it did not fail.
    pub error: Option<String>,
    /// The reason of the failure as a stable code for programs.
    pub error_code: Option<String>,
    /// The number of volumes that exist, or may exist, and belong to the instance.
    pub storage_count: usize,
    /// The sizes of these volumes in GB, the boot volume first; `null` for a size that is not known yet.
    pub storage_sizes_gb: Vec<Option<i64>>,
    /// The price of the server per hour, in millionths of `currency`.
    pub hourly_micros: i64,
    /// The list price of these volumes on block storage per hour, in millionths of `currency`.
    pub storage_hourly_micros: i64,
    /// The currency of all prices, as an ISO 4217 code.
    pub currency: String,
    /// The tags of the request.
    pub tags: Vec<String>,
}

/// An instance with its volumes, its history and what it waits for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InstanceDetail {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// Every volume that the instance has or had, the boot volume first.
    pub storages: Vec<Storage>,
    /// The worker that serves the model; `null` without a model, and while the server does not run.
    pub worker: Option<Worker>,
    /// The path of the model's OpenAI-compatible API on this control plane, for the operator's token; `null` before
    /// there is a worker.
    pub endpoint: Option<String>,
    /// Why the instance waits, and until when. Empty if it waits for nothing.
    pub notes: Vec<Note>,
    /// What the control plane will do after that, in order.
    pub next: Vec<String>,
    /// Deletions that were requested more than 15 minutes ago and are not proven. A person should check them.
    pub stuck: Vec<StuckDeletion>,
    /// Problems that did not prevent the request: the type is at its end of service, or the model may not fit the GPUs.
    pub warnings: Vec<String>,
    /// The rule that determined the size of the data volume.
    pub data_volume_reason: String,
    /// How the size of the boot volume is determined.
    pub boot_volume_note: String,
    /// The changes of the status.
    pub history: Vec<HistoryEntry>,
}

/// Why an instance waits, and until when.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// The reason as a stable code for programs.
    pub code: NoteCode,
    /// The reason as a sentence. The wording may change at any time.
    pub text: String,
    /// The latest time until which the instance waits; `null` if there is no limit.
    pub until: Option<Time>,
}

/// A change of an instance's status.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// The previous status; `null` for the first entry.
    pub from_status: Option<Status>,
    /// The new status.
    pub to_status: Status,
    /// Why the instance failed, if it did.
    pub reason: Option<String>,
    /// When the status changed.
    pub at: Time,
}

/// A deletion that was requested more than 15 minutes ago and is not proven.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StuckDeletion {
    /// The provider's id of the resource, or its name if the id is not known.
    pub resource: String,
    /// When the deletion was requested.
    pub since: Time,
    /// The known reason why the resource still exists.
    pub reason: String,
    /// The price of the resource per hour, in millionths of `currency`.
    pub hourly_micros: i64,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// What to do.
    pub remedy: String,
}
