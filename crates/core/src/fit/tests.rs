//! Models on the types of a catalogue.

use super::*;
use crate::engine::DEFAULT_CONTEXT_TOKENS;
use crate::money::HourlyPrice;
use crate::offer::{Availability, BootStorage};

const GIB: i64 = 1 << 30;

fn offer(instance_type: &str, gpus: i64, gpu: &str, gib: i64, micros: i64) -> Offer {
    Offer {
        instance_type: instance_type.into(),
        zone: "fr-par-2".into(),
        gpu_count: gpus,
        gpu_name: (!gpu.is_empty()).then(|| gpu.to_owned()),
        gpu_memory_bytes: (gib > 0).then_some(gib * GIB),
        vcpus: 8,
        ram_bytes: 96 * GIB,
        price: HourlyPrice { micros, currency: "EUR".into() },
        availability: Availability::Available,
        boot_storage: BootStorage::Block,
        local_min_bytes: 0,
        local_max_bytes: 0,
        scratch_bytes: 0,
        arch: "x86_64".into(),
        end_of_service: false,
    }
}

fn l4() -> Offer {
    offer("L4-1-24G", 1, "L4", 24, 787_500)
}

fn l40s(gpus: i64) -> Offer {
    offer(&format!("L40S-{gpus}-48G"), gpus, "L40S", 48, 1_469_916 * gpus)
}

fn h100(gpus: i64) -> Offer {
    offer(&format!("H100-{gpus}-80G"), gpus, "H100-PCIe", 80, 2_866_500 * gpus)
}

fn b300(gpus: i64) -> Offer {
    offer(&format!("B300-SXM-{gpus}-288G"), gpus, "B300-SXM", 288, 9_480_000 * gpus)
}

fn render() -> Offer {
    offer("RENDER-S", 1, "P100", 16, 1_221_000)
}

fn cpu() -> Offer {
    offer("PRO2-M", 0, "", 0, 438_000)
}

fn usual(model: &str) -> Engine {
    Engine::choose(model, None, None)
}

#[test]
fn well_known_models_on_each_type() {
    use FitVerdict::{DoesNotFit, Fits, Unknown};
    for (model, on, verdict) in [
        ("Qwen/Qwen2.5-7B-Instruct", l4(), Fits),
        ("Qwen/Qwen2.5-7B-Instruct", l40s(1), Fits),
        ("Qwen/Qwen2.5-14B-Instruct", l4(), DoesNotFit),
        ("Qwen/Qwen2.5-14B-Instruct", l40s(1), Fits),
        ("Qwen/Qwen2.5-14B-Instruct-AWQ", l4(), Fits),
        ("Qwen/Qwen2.5-32B-Instruct", l40s(1), DoesNotFit),
        ("Qwen/Qwen2.5-32B-Instruct", l40s(2), Fits),
        ("Qwen/Qwen2.5-32B-Instruct", h100(1), Fits),
        ("meta-llama/Llama-3.3-70B-Instruct", h100(1), DoesNotFit),
        ("meta-llama/Llama-3.3-70B-Instruct", h100(2), Fits),
        ("meta-llama/Llama-3.3-70B-Instruct", l40s(4), Fits),
        ("meta-llama/Llama-3.1-405B-Instruct", l4(), DoesNotFit),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", h100(8), Fits),
        ("deepseek-ai/DeepSeek-V3", h100(8), DoesNotFit),
        ("deepseek-ai/DeepSeek-V3", b300(4), Fits),
        ("openai/gpt-oss-20b", l4(), Fits),
        ("openai/gpt-oss-120b", h100(1), Fits),
        ("Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M", render(), Fits),
        ("bartowski/Llama-3.3-70B-Instruct-GGUF:Q4_K_M", render(), DoesNotFit),
        ("bartowski/Qwen2.5-7B-Instruct-GGUF:F16", l4(), Fits),
        ("ggml-org/gpt-oss-20b-GGUF:MXFP4", render(), Fits),
        ("microsoft/phi-4", l40s(1), Fits),
        ("my-company/our-model", h100(8), Unknown),
    ] {
        let found = fit(model, usual(model), &on);
        assert_eq!(found.verdict, verdict, "{model} on {}: {}", on.instance_type, found.reason);
    }
}

#[test]
fn the_terms_add_up_and_are_told() {
    let model = "Qwen/Qwen2.5-32B-Instruct";
    let found = fit(model, usual(model), &l40s(2));
    let terms = found.terms.unwrap();
    assert_eq!(
        terms,
        MemoryTerms {
            weights_bytes: 64 * GB,
            cache_bytes: 262_144 * DEFAULT_CONTEXT_TOKENS,
            overhead_bytes: 4 * GB,
            needed_bytes: 64 * GB + 262_144 * 8_192 + 4 * GB,
            gpus_used: 2,
            memory_bytes: 46_068 << 20,
            usable_bytes: (46_068 << 20) * 2 / 100 * 90,
            max_context_tokens: ((46_068_i64 << 20) * 2 / 100 * 90 - 68 * GB) / 262_144,
        }
    );
    assert_eq!(
        found.reason,
        "weights 64.0 GB (the name says 32B, bf16) + cache 2.1 GB (8192 tokens) + overhead 4.0 GB = 70.1 GB; vllm may \
         use 87.0 GB (90 % of 2 × 48.3 GB of GPU memory)"
    );
    // One token more than the largest context may not fit; what even the least cache makes too large is refused.
    let least = terms.max_context_tokens * 8;
    for (tokens, verdict, warned) in [
        (terms.max_context_tokens, FitVerdict::Fits, "it is close"),
        (terms.max_context_tokens + 1, FitVerdict::Fits, "tokens may be too large"),
        (least, FitVerdict::Fits, "may be too large"),
        (least + 16, FitVerdict::DoesNotFit, ""),
    ] {
        let engine = Engine { context_tokens: tokens, ..usual(model) };
        let found = fit(model, engine, &l40s(2));
        assert_eq!(found.verdict, verdict, "{tokens}");
        assert!(found.warnings.join("; ").contains(warned), "{tokens}: {:?}", found.warnings);
    }
    let long = Engine { context_tokens: terms.max_context_tokens + 1, ..usual(model) };
    assert!(cheapest(model, long, &[l40s(2)], 3).is_empty(), "what may not fit is not recommended");
}

#[test]
fn the_memory_is_what_the_driver_shows_or_what_the_catalogue_says_if_that_is_less() {
    let memory = |on: &Offer| gpu_memory(on);
    assert_eq!(memory(&l4()), Some(23_034 << 20));
    assert_eq!(memory(&offer("X", 1, "L4", 16, 1)), Some(16 * GIB));
    assert_eq!(memory(&offer("X", 1, "GB9000", 500, 1)), Some(500 * GIB));
    assert_eq!(memory(&offer("X", 1, "L4", 0, 1)), Some(23_034 << 20));
    let strange = offer("X", 1, "GB9000", 0, 1);
    let found = fit("a/b-7B", usual("a/b-7B"), &strange);
    assert_eq!((found.verdict, found.reason.as_str()), (FitVerdict::Unknown, "the memory of a GPU of X is unknown"));
}

#[test]
fn what_an_engine_does_not_support_is_refused_with_what_to_do() {
    let refused = |model: &str, kind: EngineKind, on: &Offer| {
        let found = fit(model, Engine::choose(model, Some(kind), None), on);
        assert_eq!((found.verdict, found.terms), (FitVerdict::DoesNotFit, None), "{model}");
        found.reason
    };
    for (model, kind, on, says) in [
        (
            "a/b-7B",
            EngineKind::Vllm,
            render(),
            "needs compute capability 7.0, and the P100 of RENDER-S has 6.0; use the engine llamacpp",
        ),
        ("our/model", EngineKind::Vllm, render(), "needs compute capability 7.0"),
        ("a/b-7B", EngineKind::Vllm, cpu(), "vllm needs a GPU, and PRO2-M has none"),
        ("a/b-7B", EngineKind::Llamacpp, l4(), "llamacpp serves GGUF files"),
    ] {
        let reason = refused(model, kind, &on);
        assert!(reason.contains(says), "{reason}");
    }
    // Nothing is known about a command, unless the weights alone are too large.
    let command = |model: &str, on: &Offer| fit(model, Engine::choose(model, Some(EngineKind::Command), None), on);
    assert_eq!(command("a/b-7B", &render()).verdict, FitVerdict::Unknown);
    assert_eq!(command("a/b-70B", &render()).verdict, FitVerdict::DoesNotFit);
    assert_eq!(command("a/b-7B", &cpu()).verdict, FitVerdict::Unknown);
}

#[test]
fn what_runs_otherwise_than_expected_is_warned_about() {
    let warnings = |model: &str, on: &Offer| fit(model, usual(model), on).warnings.join("; ");
    for (model, on, says) in [
        ("a/b-7B-FP8", l4(), ""),
        ("a/b-7B-NVFP4", l40s(1), "the L40S does not calculate in nvfp4 (from compute capability 10.0 on)"),
        ("a/b-7B-NVFP4", b300(2), ""),
        ("Qwen/Qwen2.5-7B-Instruct", l40s(8), "the engine uses 4 of 8 GPUs"),
        ("Qwen/Qwen2.5-7B-Instruct", l40s(4), ""),
        ("Qwen/Qwen2.5-Coder-1.5B", l40s(8), "the engine uses 4 of 8 GPUs"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", l40s(8), "the engine uses 4 of 8 GPUs"),
        ("meta-llama/Llama-3.1-8B", l40s(8), ""),
        ("microsoft/phi-4", l40s(4), "the engine uses 2 of 4 GPUs"),
        ("microsoft/Phi-4-mini-instruct", l40s(4), ""),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", l40s(2), "the engine uses 1 of 2 GPUs"),
        ("a/b-7B-GGUF:Q4_K_M", cpu(), "PRO2-M has no GPU: llamacpp runs on the CPU"),
        ("meta-llama/Llama-3.1-8B", l4(), ""),
        ("a/b-9B", l4(), "it is close: 21.1 of 21.7 GB"),
    ] {
        let found = warnings(model, &on);
        assert!(
            found.contains(says) && found.is_empty() == says.is_empty(),
            "{model} on {}: {found}",
            on.instance_type
        );
    }
    let gguf = fit("a/b-7B-GGUF:Q4_K_M", Engine::choose("", Some(EngineKind::Vllm), None), &l4());
    assert!(gguf.warnings[0].contains("experimental"), "{:?}", gguf.warnings);
}

#[test]
fn the_cheapest_types_are_those_that_can_be_rented() {
    let model = "Qwen/Qwen2.5-32B-Instruct";
    let elsewhere =
        Offer { zone: "pl-waw-2".into(), price: HourlyPrice { micros: 2_000_000, currency: "EUR".into() }, ..h100(1) };
    let out_of_stock = Offer { availability: Availability::Shortage, ..b300(1) };
    let ending = Offer { end_of_service: true, ..b300(2) };
    let offers = [h100(2), h100(1), elsewhere, l40s(2), l40s(1), l4(), render(), cpu(), out_of_stock, ending];
    let found = |most| {
        let chosen = cheapest(model, usual(model), &offers, most);
        chosen.iter().map(|o| (o.instance_type.as_str(), o.zone.as_str())).collect::<Vec<_>>()
    };
    let all = [("H100-1-80G", "pl-waw-2"), ("L40S-2-48G", "fr-par-2"), ("H100-2-80G", "fr-par-2")];
    assert_eq!(found(9), all);
    assert_eq!(found(2), all[..2]);
    // Of a command, only the weights are known; without an engine that suits the files, nothing is recommended.
    let of = |kind| cheapest(model, Engine::choose(model, Some(kind), None), &offers, 1).len();
    assert_eq!((of(EngineKind::Command), of(EngineKind::Llamacpp)), (1, 0));
}
