//! The representations of engines, and of whether a model fits.

use super::offer::offer;
use inventiv_core::engine;
use inventiv_core::fit::{self, Fit};
use inventiv_core::offer;
use inventiv_types::{Engine, MemoryTerms, TypeFit};

pub(super) fn engine(e: engine::Engine, serving: Option<&engine::Serving>) -> Engine {
    let serving = serving.cloned().unwrap_or_default();
    Engine {
        kind: e.kind,
        context_tokens: e.context_tokens,
        image: serving.image,
        args: serving.args,
        command: serving.command,
        env: serving.env,
        secrets: serving.secrets,
        keep_failed: serving.keep_failed,
    }
}

pub(crate) fn type_fit(of: &offer::Offer, found: Fit) -> TypeFit {
    TypeFit {
        offer: offer(of),
        verdict: found.verdict,
        reason: found.reason,
        warnings: found.warnings,
        terms: found.terms.map(terms),
    }
}

fn terms(t: fit::MemoryTerms) -> MemoryTerms {
    MemoryTerms {
        weights_bytes: t.weights_bytes,
        cache_bytes: t.cache_bytes,
        overhead_bytes: t.overhead_bytes,
        needed_bytes: t.needed_bytes,
        gpus_used: t.gpus_used,
        memory_bytes: t.memory_bytes,
        usable_bytes: t.usable_bytes,
        max_context_tokens: t.max_context_tokens,
    }
}
