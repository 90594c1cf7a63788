//! What a worker is asked to do.

use crate::cloud::CloudProfile;
use crate::engine::EngineKind;
use crate::recorded::{Aggregate, Volume};
use crate::status::VolumeKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A local disk that comes and goes with the server, as the cloud describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// The cloud's id of the volume.
    pub volume_id: String,
    /// Its size, in bytes.
    pub size_bytes: i64,
}

impl Scratch {
    fn of(v: &Volume) -> Option<Self> {
        let is_scratch = v.volume_type.kind == VolumeKind::LocalWithServer && !v.is_boot && v.is_live();
        let (volume_id, size_bytes) = (v.provider_id.clone()?, v.size_bytes?);
        is_scratch.then_some(Self { volume_id, size_bytes })
    }
}

/// The desired state of a worker, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerDesired {
    /// The instance that the worker is for.
    pub instance_id: String,
    /// The model.
    pub model_id: String,
    /// The kind of engine.
    pub engine: EngineKind,
    /// The context that one request may use, in tokens.
    pub context_tokens: i64,
    /// How many GPUs the engine uses.
    pub gpu_count: i64,
    /// The container image; `None`: the default of the kind.
    pub image: Option<String>,
    /// More arguments for the engine.
    pub args: Vec<String>,
    /// The program and its arguments, for [`EngineKind::Command`].
    pub command: Vec<String>,
    /// Environment variables of the engine.
    pub env: BTreeMap<String, String>,
    /// Environment variables of the engine, with the names of the secrets that they are set to.
    pub secrets: BTreeMap<String, String>,
    /// The device of the data volume; `None`: there is no data volume.
    pub data_device: Option<String>,
    /// Takes the role of a data volume where there is none. It is empty again after a power-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
}

impl WorkerDesired {
    /// What the worker of an instance is asked to do; `None`: it has no model, or nothing of ours serves it.
    #[must_use]
    pub fn of(agg: &Aggregate, profile: &CloudProfile) -> Option<Self> {
        let spec = &agg.instance.spec;
        let (engine, serving) = (spec.engine?, spec.serving.clone()?);
        let data = agg.data_volume().filter(|v| v.is_live());
        // The largest one; of equal ones the first, so that the answer never changes.
        let has_none = spec.data_volume.is_none() && agg.data_volume().is_none();
        let scratch = agg.volumes.iter().filter(|_| has_none).filter_map(Scratch::of);
        let scratch =
            scratch.max_by(|a, b| a.size_bytes.cmp(&b.size_bytes).then_with(|| b.volume_id.cmp(&a.volume_id)));
        Some(Self {
            instance_id: agg.instance.id.to_string(),
            model_id: agg.instance.model_id.clone()?,
            engine: engine.kind,
            context_tokens: engine.context_tokens,
            gpu_count: spec.gpu_count,
            image: serving.image,
            args: serving.args,
            command: serving.command,
            env: serving.env,
            secrets: serving.secrets,
            data_device: data.and_then(|v| v.provider_id.as_deref()).map(|id| profile.device_of(id)),
            scratch,
        })
    }
}
