//! Engines, and whether a model fits the GPUs of a server type.

use crate::Offer;
use inventiv_core::engine::EngineKind;
use inventiv_core::fit::FitVerdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The engine that is to serve the model, and the settings that its memory depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineRequest {
    /// `vllm`; `llamacpp` for GGUF files; `command` for any other program; `none`: the server is rented, and nothing is
    /// installed. If omitted, `llamacpp` for a model whose id names a GGUF file, otherwise `vllm`.
    pub kind: Option<EngineKind>,
    /// The context that one request may use, in tokens. If omitted, 8192.
    #[schema(minimum = 1, maximum = 10_000_000, example = 8_192)]
    pub context_tokens: Option<i64>,
    /// The container image of the engine. If omitted, the default of the kind.
    #[schema(max_length = 300, example = "vllm/vllm-openai:v0.11.0")]
    pub image: Option<String>,
    /// More arguments for the engine.
    #[schema(max_items = 100, example = json!(["--enable-prefix-caching"]))]
    pub args: Option<Vec<String>>,
    /// The program and its arguments, for `command`. `{port}` is replaced by the port to listen on, `{host}` by the
    /// address, `{model}` by the id of the model, `{context}` by the context. With `{model_dir}` or `{model_file}`, the
    /// model is downloaded, and they are replaced by its folder or its GGUF file.
    #[schema(max_items = 100, example = json!(["llama-server", "--port", "{port}", "--model", "{model_file}"]))]
    pub command: Option<Vec<String>>,
    /// Environment variables of the engine. They are stored unencrypted: use `secrets` for what is secret.
    #[schema(example = json!({"VLLM_LOGGING_LEVEL": "DEBUG"}))]
    pub env: Option<BTreeMap<String, String>>,
    /// Environment variables of the engine, with the names of the secrets that they are set to. If there is a secret
    /// `hf-token`, `HF_TOKEN` is set to it unless it is given here.
    #[schema(example = json!({"HF_TOKEN": "hf-token"}))]
    pub secrets: Option<BTreeMap<String, String>>,
    /// Whether the instance is kept if its model will not answer. If omitted, it ends after 15 minutes.
    pub keep_failed: Option<bool>,
}

/// The engine that a model is meant for, and the settings that its memory depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Engine {
    /// `vllm`, `llamacpp`, `command` or `none`.
    pub kind: EngineKind,
    /// The context that one request may use, in tokens.
    pub context_tokens: i64,
    /// The container image; `null`: the default of the kind.
    pub image: Option<String>,
    /// More arguments for the engine.
    pub args: Vec<String>,
    /// The program and its arguments, for `command`.
    pub command: Vec<String>,
    /// Environment variables of the engine.
    pub env: BTreeMap<String, String>,
    /// Environment variables of the engine, with the names of the secrets that they are set to.
    pub secrets: BTreeMap<String, String>,
    /// Whether the instance is kept if its model will not answer.
    pub keep_failed: bool,
}

/// The engine that an answer about a model is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FitEngine {
    /// `vllm`, `llamacpp`, `command` or `none`.
    pub kind: EngineKind,
    /// The context that one request may use, in tokens.
    pub context_tokens: i64,
}

/// What the question is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FitQuery {
    /// The account, by name or id. Required only if the control plane works in several accounts.
    pub account: Option<String>,
    /// Only types in this zone.
    #[param(example = "fr-par-2")]
    pub zone: Option<String>,
    /// Only this server type.
    #[param(example = "L40S-1-48G")]
    pub instance_type: Option<String>,
    /// The engine. If omitted, `llamacpp` for a model whose id names a GGUF file, otherwise `vllm`.
    #[param(inline)]
    pub engine: Option<EngineKind>,
    /// The context that one request may use, in tokens. If omitted, 8192.
    #[param(minimum = 1, maximum = 10_000_000)]
    pub context_tokens: Option<i64>,
}

/// Whether a model fits the server types that can be rented.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelFit {
    /// The id of the model.
    pub model_id: String,
    /// The engine that the answers are about.
    pub engine: FitEngine,
    /// The answer for each type with a GPU, the cheapest first.
    pub types: Vec<TypeFit>,
}

/// Whether a model fits a server type.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TypeFit {
    /// The server type with its price and availability.
    pub offer: Offer,
    /// `fits`; `does_not_fit`; `unknown`: the id does not contain the size of the model, or nothing is known about the
    /// engine.
    pub verdict: FitVerdict,
    /// Why, with the terms of the estimate, as a sentence. The wording may change at any time.
    pub reason: String,
    /// What works, but not as one might expect.
    pub warnings: Vec<String>,
    /// The terms of the estimate; `null` if something that they are computed from is not known.
    pub terms: Option<MemoryTerms>,
}

/// The terms of an estimate, in bytes for all GPUs together.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MemoryTerms {
    /// The weights.
    pub weights_bytes: i64,
    /// The cache for one request of the whole context.
    pub cache_bytes: i64,
    /// What the engine needs besides, on each GPU that it uses.
    pub overhead_bytes: i64,
    /// The sum.
    pub needed_bytes: i64,
    /// How many GPUs the engine uses; 0 if it runs on the CPU.
    pub gpus_used: i64,
    /// The memory of each of them as the driver shows it; the main memory if it runs on the CPU.
    pub memory_bytes: i64,
    /// The part of all of it that the engine may use.
    pub usable_bytes: i64,
    /// The largest context of one request that would fit, in tokens; 0 if none.
    pub max_context_tokens: i64,
}
