//! Whether a model fits the GPUs of a server type, before anything is rented.
//!
//! The memory that a model needs is its weights, the cache for one request of the chosen context, and an overhead for
//! each GPU. It must fit into the part of the memory that the engine uses. All sizes are estimates from the model's id
//! and the type's GPUs: the answer is *no* only if even the least cache is too large, and an answer that is close to the
//! limit, or depends on the architecture, carries a warning. Compute capability and storage format decide whether the engine runs at all.

mod cheapest;
mod memory;
mod support;

pub use cheapest::{cheapest, ranked};

use crate::engine::{Engine, EngineKind};
use crate::gpu;
use crate::offer::Offer;
use crate::size::GB;
use crate::words::words;
use crate::worker_storage::{Recommendation, recommended_data_volume_gb};
use serde::{Deserialize, Serialize};

words!(
    /// Whether a model fits a server type.
    FitVerdict {
        /// It fits, as far as the estimate goes.
        Fits = "fits",
        /// It does not fit, or the engine does not support the GPU.
        DoesNotFit = "does_not_fit",
        /// The id does not contain the size of the model, or nothing is known about the engine.
        Unknown = "unknown",
    }
);

/// The terms of an estimate, in bytes for all GPUs together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryTerms {
    /// The weights.
    pub weights_bytes: i64,
    /// The cache for one request of the whole context.
    pub cache_bytes: i64,
    /// Context, activations and graphs of each GPU that is used.
    pub overhead_bytes: i64,
    /// The sum.
    pub needed_bytes: i64,
    /// How many GPUs the engine uses; 0: it runs on the CPU.
    pub gpus_used: i64,
    /// The memory of each of them (of the server, if it runs on the CPU), as the driver shows it.
    pub memory_bytes: i64,
    /// The part of all of it that the engine may use.
    pub usable_bytes: i64,
    /// The largest context of one request that would fit, in tokens; 0: none.
    pub max_context_tokens: i64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// The answer in a word.
    pub verdict: FitVerdict,
    /// The engine that it is about.
    pub engine: Engine,
    /// One sentence that says why, with the terms.
    pub reason: String,
    /// What works, but not as one might expect.
    pub warnings: Vec<String>,
    /// The terms; `None`: something that they are computed from is not known.
    pub terms: Option<MemoryTerms>,
}

/// Whether a model fits a server type.
#[must_use]
pub fn fit(model_id: &str, engine: Engine, offer: &Offer) -> Fit {
    let answer = |verdict, reason: String| Fit { verdict, engine, reason, warnings: Vec::new(), terms: None };
    let size = recommended_data_volume_gb(model_id);
    if let Err(reason) = support::check(model_id, engine.kind, size.as_ref(), offer) {
        return answer(FitVerdict::DoesNotFit, reason);
    }
    let Some(size) = size else {
        let text = format!("the size of {model_id} is unknown, so nobody can say whether it fits");
        return answer(FitVerdict::Unknown, text);
    };
    let Some(terms) = memory::terms(model_id, &size, engine, offer) else {
        return answer(FitVerdict::Unknown, format!("the memory of a GPU of {} is unknown", offer.instance_type));
    };
    // The cache is an upper estimate: some architectures need an eighth of it. Nothing is refused because of the rest.
    let least = terms.needed_bytes - terms.cache_bytes + terms.cache_bytes / memory::CACHE_SPREAD;
    let fits = least <= terms.usable_bytes;
    let verdict = match engine.kind {
        _ if !fits => FitVerdict::DoesNotFit,
        EngineKind::Command | EngineKind::None => FitVerdict::Unknown,
        EngineKind::Vllm | EngineKind::Llamacpp => FitVerdict::Fits,
    };
    let mut warnings = support::warnings(model_id, engine.kind, &size, offer);
    warnings.extend(idle_gpus(&terms, offer));
    if verdict == FitVerdict::Fits && terms.needed_bytes > terms.usable_bytes {
        warnings.push(format!(
            "the cache for {} tokens may be too large: {} of {} GB, unless the model's architecture needs less",
            engine.context_tokens,
            tenths(terms.needed_bytes),
            tenths(terms.usable_bytes)
        ));
    // The name says 7B, and the weights have 7.6.
    } else if verdict == FitVerdict::Fits && terms.needed_bytes + terms.weights_bytes / 10 > terms.usable_bytes {
        warnings.push(format!(
            "it is close: {} of {} GB, estimated from the name; a shorter context leaves more room",
            tenths(terms.needed_bytes),
            tenths(terms.usable_bytes)
        ));
    }
    Fit { verdict, engine, reason: reason(&size, engine, &terms), warnings, terms: Some(terms) }
}

/// The terms as a sentence.
fn reason(size: &Recommendation, engine: Engine, t: &MemoryTerms) -> String {
    let weights = format!("weights {} GB ({}, {})", tenths(t.weights_bytes), size.parameters_from, size.format.name);
    let place = match t.gpus_used {
        0 => format!("the {} GB of main memory", tenths(t.memory_bytes)),
        n => format!("{n} × {} GB of GPU memory", tenths(t.memory_bytes)),
    };
    let share = memory::usable_percent(engine.kind);
    let has = format!("{} may use {} GB ({share} % of {place})", engine.kind, tenths(t.usable_bytes));
    if engine.kind.is_opaque() {
        return format!("{weights}, and what else the program needs is unknown; {has}");
    }
    format!(
        "{weights} + cache {} GB ({} tokens) + overhead {} GB = {} GB; {has}",
        tenths(t.cache_bytes),
        engine.context_tokens,
        tenths(t.overhead_bytes),
        tenths(t.needed_bytes)
    )
}

fn idle_gpus(terms: &MemoryTerms, offer: &Offer) -> Option<String> {
    let idle = offer.gpu_count - terms.gpus_used;
    (terms.gpus_used > 0 && idle > 0).then(|| {
        format!(
            "the engine uses {} of {} GPUs: the number of attention heads of this model cannot be divided by {}",
            terms.gpus_used, offer.gpu_count, offer.gpu_count
        )
    })
}

/// GB with one digit after the point, rounded.
fn tenths(bytes: i64) -> String {
    let tenth = GB / 10;
    let n = (bytes + tenth / 2) / tenth;
    format!("{}.{}", n / 10, n % 10)
}

/// The memory of one GPU as the driver shows it; `None`: it is not known.
fn gpu_memory(offer: &Offer) -> Option<i64> {
    let listed = offer.gpu_memory_bytes.filter(|b| *b > 0);
    let known = offer.gpu_name.as_deref().and_then(gpu::by_name).map(|g| g.memory_bytes);
    match (listed, known) {
        (Some(listed), Some(known)) => Some(listed.min(known)),
        (listed, known) => listed.or(known),
    }
}

#[cfg(test)]
mod tests;
