//! Whether an engine supports a GPU and the storage format of the weights.

use crate::engine::EngineKind;
use crate::gpu::{self, GpuModel};
use crate::offer::Offer;
use crate::worker_storage::{Recommendation, id_words};

/// The least compute capability of an engine, times 10. vLLM: docs.vllm.ai, requirements of GPUs.
const VLLM_LEAST: i64 = 70;

/// What a storage format needs of a GPU, in compute capability times 10. From vLLM's table of supported hardware, and
/// its pages on FP8 and FP4.
struct Needs {
    /// The engine does not run below it.
    least: i64,
    /// The GPU calculates in this format from here on; below, weights are converted as they are read.
    native: i64,
}

fn needs(format: &str) -> Needs {
    match format {
        "fp8" => Needs { least: 75, native: 89 },
        "nvfp4" | "mxfp4" | "mxfp8" => Needs { least: 80, native: 100 },
        "awq int4" => Needs { least: 75, native: 75 },
        "bf16" => Needs { least: 70, native: 80 },
        _ => Needs { least: 70, native: 70 },
    }
}

fn gpu_of(offer: &Offer) -> Option<&'static GpuModel> {
    offer.gpu_name.as_deref().and_then(gpu::by_name)
}

/// Whether an id names GGUF files: by a level (`Q4_K_M`), or by the word (`…-GGUF:F16`).
fn is_gguf(model_id: &str, size: Option<&Recommendation>) -> bool {
    size.is_some_and(|r| r.format.name.starts_with("gguf")) || id_words(model_id).iter().any(|w| w == "gguf")
}

/// Refuses what cannot run at all, with what to do.
pub(super) fn check(
    model_id: &str,
    engine: EngineKind,
    size: Option<&Recommendation>,
    offer: &Offer,
) -> Result<(), String> {
    let kind = &offer.instance_type;
    match engine {
        EngineKind::Command | EngineKind::None => Ok(()),
        EngineKind::Llamacpp if size.is_some() && !is_gguf(model_id, size) => {
            Err("llamacpp serves GGUF files, and the id names none: add their quantisation, as in `…-GGUF:Q4_K_M`"
                .into())
        }
        EngineKind::Llamacpp => Ok(()),
        EngineKind::Vllm if offer.gpu_count == 0 => {
            Err(format!("vllm needs a GPU, and {kind} has none; choose a type with a GPU, or the engine llamacpp"))
        }
        EngineKind::Vllm => {
            let Some(gpu) = gpu_of(offer) else { return Ok(()) };
            let has = gpu.compute_capability_x10;
            if has < VLLM_LEAST {
                return Err(format!(
                    "vllm needs compute capability {}, and the {} of {kind} has {}; use the engine llamacpp with a GGUF \
                     model, or a newer GPU",
                    gpu::capability(VLLM_LEAST),
                    gpu.name,
                    gpu::capability(has)
                ));
            }
            let format = size.map_or("", |r| r.format.name.as_str());
            let least = needs(format).least;
            if has < least {
                return Err(format!(
                    "{format} weights need compute capability {}, and the {} of {kind} has {}",
                    gpu::capability(least),
                    gpu.name,
                    gpu::capability(has)
                ));
            }
            Ok(())
        }
    }
}

/// What runs, but slower or less well than one might expect.
pub(super) fn warnings(model_id: &str, engine: EngineKind, size: &Recommendation, offer: &Offer) -> Vec<String> {
    let mut warnings = Vec::new();
    if engine == EngineKind::Llamacpp && offer.gpu_count == 0 {
        warnings.push(format!("{} has no GPU: llamacpp runs on the CPU, which is slow", offer.instance_type));
    }
    if engine != EngineKind::Vllm {
        return warnings;
    }
    let format = size.format.name.as_str();
    if is_gguf(model_id, Some(size)) {
        warnings.push("vllm's support of GGUF files is experimental; the engine llamacpp is made for them".to_owned());
    }
    if let Some(gpu) = gpu_of(offer)
        && gpu.compute_capability_x10 < needs(format).native
    {
        warnings.push(format!(
            "the {} does not calculate in {format} (from compute capability {} on): it saves memory, but no time",
            gpu.name,
            gpu::capability(needs(format).native)
        ));
    }
    warnings
}
