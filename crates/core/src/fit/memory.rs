//! The terms of the memory that a model needs.

use super::{MemoryTerms, gpu_memory};
use crate::engine::{Engine, EngineKind};
use crate::offer::Offer;
use crate::size::GB;
use crate::worker_storage::{Recommendation, id_words};

/// The cache of one token in bytes, by the largest model of each class in millions of parameters: keys and values × layers
/// × key-value heads × size of a head × 2 bytes, of the most demanding widely used model with grouped-query attention.
const CACHE_PER_TOKEN: [(i64, i64); 6] = [
    (1_500, 40_960),    // SmolLM2-360M: 32 layers, 5 heads of 64
    (4_000, 114_688),   // Llama-3.2-3B: 28 layers, 8 heads of 128
    (9_000, 131_072),   // Llama-3.1-8B: 32 layers, 8 heads of 128
    (15_000, 196_608),  // Qwen2.5-14B: 48 layers, 8 heads of 128
    (40_000, 262_144),  // Qwen2.5-32B: 64 layers, 8 heads of 128
    (100_000, 327_680), // Llama-3.3-70B: 80 layers, 8 heads of 128
];
/// The estimate is an upper one: mixtures of experts and latent attention need down to so many times less. gpt-oss-120b
/// needs a seventh of its class, DeepSeek-V3 too.
pub(super) const CACHE_SPREAD: i64 = 8;
/// Larger models: Llama-3.1-405B has 126 layers and 8 heads of 128.
const CACHE_PER_TOKEN_OF_THE_LARGEST: i64 = 516_096;

fn cache_per_token(millions: i64) -> i64 {
    let class = CACHE_PER_TOKEN.iter().find(|(most, _)| millions <= *most);
    class.map_or(CACHE_PER_TOKEN_OF_THE_LARGEST, |(_, bytes)| *bytes)
}

/// The part of the memory that an engine uses, in percent. vLLM: `--gpu-memory-utilization 0.9`.
pub(super) const fn usable_percent(engine: EngineKind) -> i64 {
    match engine {
        EngineKind::Vllm => 90,
        EngineKind::Llamacpp => 95,
        EngineKind::Command | EngineKind::None => 100,
    }
}

/// What an engine needs on each GPU besides weights and cache: the CUDA context, activations, graphs. An estimate.
const fn overhead(engine: EngineKind) -> i64 {
    match engine {
        EngineKind::Vllm => 2 * GB,
        EngineKind::Llamacpp => GB,
        EngineKind::Command | EngineKind::None => 0,
    }
}

/// Models whose number of attention heads is no multiple of 8, or whose number of key-value heads does not suit every
/// number of GPUs, by words of their ids: the number that the GPUs must divide. From `num_attention_heads` and
/// `num_key_value_heads` in their `config.json`.
const ODD_HEADS: [(&[&str], i64); 15] = [
    (&["phi", "4", "mini"], 8),
    (&["phi", "4"], 10),
    (&["phi", "3", "medium"], 10),
    (&["qwen2", "0.5b"], 14),
    (&["qwen2.5", "0.5b"], 14),
    (&["qwen2", "1.5b"], 12),
    (&["qwen2.5", "1.5b"], 12),
    (&["qwen2", "7b"], 28),
    (&["qwen2.5", "7b"], 28),
    (&["distill", "qwen", "1.5b"], 12),
    (&["distill", "qwen", "7b"], 28),
    (&["smollm", "135m"], 9),
    (&["smollm2", "135m"], 9),
    (&["smollm", "360m"], 15),
    (&["smollm2", "360m"], 15),
];

/// How many GPUs an engine uses. vLLM splits each layer, so that the attention heads must be divided evenly; llama.cpp
/// gives whole layers to each GPU.
fn gpus_used(model_id: &str, engine: EngineKind, gpus: i64) -> i64 {
    if engine != EngineKind::Vllm {
        return gpus;
    }
    let words = id_words(model_id);
    let has = |all: &[&str]| all.iter().all(|wanted| words.iter().any(|w| w == wanted));
    let Some((_, heads)) = ODD_HEADS.iter().find(|(all, _)| has(all)) else { return gpus };
    [8, 4, 2].into_iter().find(|n| *n <= gpus && heads % n == 0).unwrap_or(gpus.min(1))
}

/// The terms for a model on a type; `None`: the memory of its GPUs is not known.
pub(super) fn terms(model_id: &str, size: &Recommendation, engine: Engine, offer: &Offer) -> Option<MemoryTerms> {
    let gpus_used = gpus_used(model_id, engine.kind, offer.gpu_count);
    // Without a GPU, the engine runs on the CPU.
    let (places, memory_bytes) =
        if offer.gpu_count == 0 { (1, offer.ram_bytes) } else { (gpus_used, gpu_memory(offer)?) };
    let per_token = cache_per_token(size.parameters_millions);
    let cache_bytes = if engine.kind.is_opaque() { 0 } else { per_token.saturating_mul(engine.context_tokens) };
    let overhead_bytes = overhead(engine.kind) * places;
    let fixed = size.weights_bytes.saturating_add(overhead_bytes);
    let usable_bytes = memory_bytes.saturating_mul(places) / 100 * usable_percent(engine.kind);
    Some(MemoryTerms {
        weights_bytes: size.weights_bytes,
        cache_bytes,
        overhead_bytes,
        needed_bytes: fixed.saturating_add(cache_bytes),
        gpus_used,
        memory_bytes,
        usable_bytes,
        max_context_tokens: (usable_bytes.saturating_sub(fixed) / per_token).max(0),
    })
}
