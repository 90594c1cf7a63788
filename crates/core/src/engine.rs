//! The program that serves a model on an instance.

use crate::words::words;
use crate::worker_storage::{id_words, recommended_data_volume_gb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The context that one request may use unless the engine's settings say otherwise, in tokens.
pub const DEFAULT_CONTEXT_TOKENS: i64 = 8_192;
/// The largest context that a request may ask for, in tokens.
pub const MAX_CONTEXT_TOKENS: i64 = 10_000_000;

words!(
    /// A kind of engine.
    EngineKind {
        /// vLLM: safetensors weights on GPUs of compute capability 7.0 or newer.
        Vllm = "vllm",
        /// The server of llama.cpp: GGUF files, on any GPU or on the CPU.
        Llamacpp = "llamacpp",
        /// Any other program. Nothing is known about the memory that it needs.
        Command = "command",
        /// Nothing of ours: the server is rented, and the user serves the model.
        None = "none",
    }
);

/// An engine with the settings that its memory depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its kind.
    pub kind: EngineKind,
    /// The context that one request may use, in tokens.
    pub context_tokens: i64,
}

/// How an engine is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The container image; `None`: the default of the kind.
    #[serde(default)]
    pub image: Option<String>,
    /// More arguments for the engine.
    #[serde(default)]
    pub args: Vec<String>,
    /// The program and its arguments, for [`EngineKind::Command`].
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment variables of the engine.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Environment variables of the engine, with the names of the secrets that they are set to.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Whether an instance whose model will not answer stays until somebody ends it.
    #[serde(default)]
    pub keep_failed: bool,
}

impl Engine {
    /// The engine for a model, with the settings that were requested.
    #[must_use]
    pub fn choose(model_id: &str, kind: Option<EngineKind>, context_tokens: Option<i64>) -> Self {
        Self {
            kind: kind.unwrap_or_else(|| EngineKind::for_model(model_id)),
            context_tokens: context_tokens.unwrap_or(DEFAULT_CONTEXT_TOKENS),
        }
    }
}

impl EngineKind {
    /// Whether nothing is known about the memory that it needs.
    #[must_use]
    pub fn is_opaque(self) -> bool {
        matches!(self, Self::Command | Self::None)
    }

    /// The default for a model: llama.cpp for GGUF files, vLLM for everything else.
    #[must_use]
    pub fn for_model(model_id: &str) -> Self {
        let level = recommended_data_volume_gb(model_id).is_some_and(|r| r.format.name.starts_with("gguf"));
        let word = id_words(model_id).iter().any(|w| w == "gguf");
        if level || word { Self::Llamacpp } else { Self::Vllm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gguf_files_are_for_llama_cpp_and_everything_else_is_for_vllm() {
        for (model, kind) in [
            ("Qwen/Qwen2.5-7B-Instruct", EngineKind::Vllm),
            ("Qwen/Qwen2.5-7B-Instruct-AWQ", EngineKind::Vllm),
            ("openai/gpt-oss-20b", EngineKind::Vllm),
            ("my-company/our-model", EngineKind::Vllm),
            ("Qwen/Qwen2.5-7B-Instruct-GGUF", EngineKind::Llamacpp),
            ("bartowski/Llama-3.2-3B-Instruct:Q8_0", EngineKind::Llamacpp),
            ("my-company/our-model-gguf", EngineKind::Llamacpp),
            ("gguf-company/our-model", EngineKind::Vllm),
            ("bartowski/Qwen2.5-7B-Instruct-GGUF:F16", EngineKind::Llamacpp),
            ("ggml-org/gpt-oss-20b-GGUF:MXFP4", EngineKind::Llamacpp),
        ] {
            assert_eq!(EngineKind::for_model(model), kind, "{model}");
        }
        let chosen = Engine::choose("a/b-7B", Some(EngineKind::Command), Some(100));
        assert_eq!(chosen, Engine { kind: EngineKind::Command, context_tokens: 100 });
    }
}
