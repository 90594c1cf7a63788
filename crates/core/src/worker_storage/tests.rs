//! Real ids with the terms that they should give. Parameters were checked against model cards: each is within 20 %.

use super::{known, recommended_data_volume_gb, tokens};
use proptest::prelude::*;

/// Id, parameters in millions, format, GB.
#[rustfmt::skip]
const SIZED: &[(&str, i64, &str, i64)] = &[
    ("meta-llama/Llama-4-Maverick-17B-128E-Instruct", 400_000, "bf16", 1750),
    ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", 400_000, "fp8", 950),
    ("unsloth/Llama-4-Scout-17B-16E-Instruct-unsloth-bnb-4bit", 109_000, "int4", 300),
    ("mlx-community/Llama-4-17B-16E-4bit", 109_000, "int4", 300),
    ("mlx-community/gpt-oss-20b-MXFP4-Q8", 21_000, "mxfp4", 200),
    ("mlx-community/Qwen3-32B-5bit", 32_000, "int5", 200),
    ("mlx-community/GLM-4.7-6bit", 358_000, "int6", 750),
    ("casperhansen/llama-3-70b-instruct-awq-4bits", 70_000, "int4", 250),
    ("mlx-community/Qwen3-235B-A22B-2Bit", 235_000, "int2", 300),
    ("RedHatAI/Llama-3.3-70B-Instruct-NVFP4A16", 70_000, "nvfp4", 250),
    ("turboderp/Llama-3.1-70B-Instruct-exl2-4.65bpw", 70_000, "mixed", 250),
    ("google/gemma-3-27b-it-qat-q4_0-unquantized", 27_000, "bf16", 300),
    ("google/gemma-3-27b-it-qat-q4_0-gguf", 27_000, "gguf q4", 200),
    ("mistralai/Mistral-Large-3-675B-Base-2512", 675_000, "bf16", 2850),
    ("TinyLlama/TinyLlama-1.1B-step-50K-105b", 1_100, "bf16", 200),
    ("TinyLlama/TinyLlama-1.1B-intermediate-step-955k-token-2T", 1_100, "bf16", 200),
    ("NousResearch/Yarn-Llama-2-64k-7b", 7_000, "bf16", 200),
    ("allenai/Molmo-72B-0924", 72_000, "fp32", 750),
    ("facebook/nllb-moe-54b", 54_000, "fp32", 600),
    ("facebook/nllb-200-distilled-1.3B", 1_300, "fp32", 200),
    ("Alibaba-NLP/gte-Qwen2-7B-instruct", 7_000, "fp32", 250),
    ("google/flan-t5-xxl", 11_300, "fp32", 250),
    ("openai/whisper-large-v3", 1_550, "fp32", 200),
    ("BAAI/bge-m3", 568, "fp32", 200),
    ("mistralai/Devstral-2-123B-Instruct-2512", 123_000, "fp8", 400),
    ("mistralai/Devstral-Small-2-24B-Instruct-2512", 24_000, "fp8", 200),
    ("unsloth/Devstral-Small-2-24B-Instruct-2512-GGUF:Q8_0", 24_000, "gguf q8", 250),
    ("mistralai/Ministral-3-14B-Instruct-2512", 14_000, "fp8", 200),
    ("mistralai/Ministral-3-14B-Reasoning-2512", 14_000, "bf16", 250),
    ("mistralai/Magistral-Small-2509", 23_600, "bf16", 250),
    ("zai-org/GLM-4.7", 358_000, "bf16", 1600),
    ("zai-org/GLM-5.2", 750_000, "bf16", 3150),
    ("zai-org/GLM-5.2-FP8", 750_000, "fp8", 1650),
    ("MiniMaxAI/MiniMax-M2.5", 230_000, "fp8", 650),
    ("moonshotai/Kimi-K2.6", 1_060_000, "int4", 1350),
    ("stepfun-ai/step3", 321_000, "bf16", 1450),
    ("meituan-longcat/LongCat-Flash-Chat", 562_000, "bf16", 2400),
    ("internlm/Intern-S1", 241_000, "bf16", 1150),
    ("internlm/Intern-S1-FP8", 241_000, "fp8", 650),
    ("rednote-hilab/dots.llm1.inst", 143_000, "bf16", 750),
    ("ibm-granite/granite-4.0-h-small", 32_200, "bf16", 300),
    ("Qwen/Qwen3-8B@1T-of-data", 8_000, "bf16", 200),
    ("unsloth/Qwen3-8B-GGUF@main:Q8_0", 8_000, "gguf q8", 200),
    ("openai/gpt-oss-120b", 117_000, "mxfp4", 300),
    ("openai/gpt-oss-20b", 21_000, "mxfp4", 200),
    ("deepseek-ai/DeepSeek-V3", 671_000, "fp8", 1500),
    ("deepseek-ai/DeepSeek-V3-0324", 671_000, "fp8", 1500),
    ("deepseek-ai/DeepSeek-V3.1", 671_000, "fp8", 1500),
    ("deepseek-ai/DeepSeek-V3.2-Exp", 671_000, "fp8", 1500),
    ("deepseek-ai/DeepSeek-R1", 671_000, "fp8", 1500),
    ("deepseek-ai/DeepSeek-R1-0528", 671_000, "fp8", 1500),
    ("nvidia/DeepSeek-R1-NVFP4", 671_000, "nvfp4", 950),
    ("unsloth/DeepSeek-R1-GGUF", 671_000, "gguf", 1000),
    ("deepseek-ai/DeepSeek-V2", 236_000, "bf16", 1100),
    ("deepseek-ai/DeepSeek-V2-Lite", 15_700, "bf16", 250),
    ("deepseek-ai/DeepSeek-Coder-V2-Instruct", 236_000, "bf16", 1100),
    ("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", 15_700, "bf16", 250),
    ("deepseek-ai/DeepSeek-V4-Flash", 291_000, "mxfp4", 500),
    ("deepseek-ai/DeepSeek-V4-Pro", 1_600_000, "mxfp4", 1850),
    ("moonshotai/Kimi-K2-Instruct", 1_000_000, "fp8", 2150),
    ("moonshotai/Kimi-K2-Thinking", 1_000_000, "int4", 1300),
    ("moonshotai/Kimi-K2.5", 1_060_000, "int4", 1350),
    ("moonshotai/Kimi-K3", 2_800_000, "mxfp4", 3150),
    ("moonshotai/Kimi-VL-A3B-Instruct", 16_400, "bf16", 250),
    ("Qwen/Qwen1.5-MoE-A2.7B", 14_300, "bf16", 250),
    ("tencent/Hunyuan-A13B-Instruct", 80_000, "bf16", 500),
    ("tencent/Hunyuan-A13B-Instruct-GPTQ-Int4", 80_000, "int4", 250),
    ("Qwen/Qwen3-Coder-Next", 80_000, "bf16", 500),
    ("allenai/OLMoE-1B-7B-0924", 7_000, "bf16", 200),
    ("mistralai/Mistral-Large-Instruct-2407", 123_000, "bf16", 650),
    ("mistralai/Mistral-Small-Instruct-2409", 22_200, "bf16", 250),
    ("mistralai/Mistral-Nemo-Instruct-2407", 12_200, "bf16", 200),
    ("mistralai/Mistral-Nemo-Instruct-FP8-2407", 12_200, "fp8", 200),
    ("mistralai/Pixtral-Large-Instruct-2411", 124_000, "bf16", 650),
    ("mistralai/Devstral-Small-2505", 23_600, "bf16", 250),
    ("mistralai/Mistral-Large-3-675B-Instruct-2512", 675_000, "fp8", 1500),
    ("mistralai/Voxtral-Mini-3B-2507", 4_700, "bf16", 200),
    ("mistralai/Mixtral-8x22B-Instruct-v0.1", 141_000, "bf16", 750),
    ("RedHatAI/Mixtral-8x22B-v0.1-quantized.w4a16", 141_000, "int4", 350),
    ("CohereLabs/c4ai-command-r-plus", 104_000, "bf16", 600),
    ("CohereLabs/c4ai-command-r-v01", 35_000, "bf16", 300),
    ("CohereLabs/c4ai-command-r-v01-4bit", 35_000, "int4", 200),
    ("CohereLabs/c4ai-command-a-03-2025", 111_000, "bf16", 600),
    ("CohereLabs/c4ai-command-r7b-12-2024", 8_000, "bf16", 200),
    ("microsoft/phi-4", 14_700, "bf16", 250),
    ("RedHatAI/phi-4-FP8-dynamic", 14_700, "fp8", 200),
    ("microsoft/Phi-3-mini-4k-instruct", 3_800, "bf16", 200),
    ("microsoft/Phi-3.5-MoE-instruct", 41_900, "bf16", 350),
    ("zai-org/GLM-4.5", 355_000, "bf16", 1600),
    ("zai-org/GLM-4.5-Air", 106_000, "bf16", 600),
    ("zai-org/GLM-4.6", 357_000, "bf16", 1600),
    ("zai-org/GLM-4.6-FP8", 357_000, "fp8", 900),
    ("zai-org/GLM-4.7-Flash", 31_200, "bf16", 300),
    ("zai-org/GLM-5", 754_000, "bf16", 3200),
    ("zai-org/glm-4v-9b", 13_900, "bf16", 250),
    ("MiniMaxAI/MiniMax-M2", 230_000, "fp8", 650),
    ("MiniMaxAI/MiniMax-Text-01", 456_000, "bf16", 2000),
    ("MiniMaxAI/MiniMax-M1-80k", 456_000, "bf16", 2000),
    ("ai21labs/AI21-Jamba-Large-1.5", 398_000, "bf16", 1750),
    ("ai21labs/AI21-Jamba-Mini-1.5", 52_000, "bf16", 400),
    ("databricks/dbrx-instruct", 132_000, "bf16", 700),
    ("xai-org/grok-1", 314_000, "int8", 800),
    ("xai-org/grok-2", 270_000, "bf16", 1250),
    ("Snowflake/snowflake-arctic-instruct", 480_000, "bf16", 2100),
    ("stepfun-ai/Step-3.5-Flash", 199_000, "bf16", 950),
    ("inclusionAI/Ling-flash-2.0", 103_000, "bf16", 600),
    ("inclusionAI/Ling-mini-base-2.0-20T", 16_300, "bf16", 250),
    ("google/gemma-3n-E4B-it", 7_850, "bf16", 200),
    ("google/gemma-3n-E2B-it", 5_440, "bf16", 200),
    ("google/gemma-4-E4B-it", 8_000, "bf16", 200),
    ("google/gemma-2-2b-it", 2_610, "bf16", 200),
    ("Qwen/Qwen2.5-Omni-7B", 10_700, "bf16", 200),
    ("meta-llama/Prompt-Guard-86M", 279, "fp32", 200),
    ("bigcode/starcoder2-15b", 16_000, "fp32", 300),
    ("bigscience/bloom", 176_000, "bf16", 900),
    ("bigscience/bloom-7b1", 7_100, "bf16", 200),
    ("stabilityai/stablelm-2-1_6b", 1_640, "bf16", 200),
    ("Qwen/Qwen2.5-7B-Instruct", 7_000, "bf16", 200),
    ("Qwen/Qwen2.5-0.5B-Instruct", 500, "bf16", 200),
    ("Qwen/Qwen2.5-1.5B-Instruct", 1_500, "bf16", 200),
    ("Qwen/Qwen2.5-72B-Instruct-AWQ", 72_000, "awq int4", 250),
    ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", 7_000, "int8", 200),
    ("Qwen/Qwen2.5-Coder-32B-Instruct-GPTQ-Int4", 32_000, "int4", 200),
    ("Qwen/Qwen2.5-7B-Instruct-1M", 7_000, "bf16", 200),
    ("zai-org/glm-4-9b-chat-1m", 9_000, "bf16", 200),
    ("gradientai/Llama-3-8B-Instruct-Gradient-1048k", 8_000, "bf16", 200),
    ("Qwen/Qwen2-57B-A14B-Instruct", 57_000, "bf16", 400),
    ("Qwen/Qwen3-30B-A3B", 30_000, "bf16", 300),
    ("Qwen/Qwen3-235B-A22B", 235_000, "bf16", 1100),
    ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", 235_000, "fp8", 650),
    ("Qwen/Qwen3-Next-80B-A3B-Instruct", 80_000, "bf16", 500),
    ("Qwen/Qwen3-Next-80B-A3B-Instruct-FP8", 80_000, "fp8", 350),
    ("Qwen/Qwen3-Coder-480B-A35B-Instruct", 480_000, "bf16", 2100),
    ("Qwen/Qwen3.6-35B-A3B-FP8", 35_000, "fp8", 250),
    ("Qwen/QwQ-32B", 32_000, "bf16", 300),
    ("Qwen/Qwen3-Embedding-8B", 8_000, "bf16", 200),
    ("moonshotai/Kimi-Linear-48B-A3B-Instruct", 48_000, "bf16", 350),
    ("moonshotai/Moonlight-16B-A3B-Instruct", 16_000, "bf16", 250),
    ("meta-llama/Llama-3.1-8B-Instruct", 8_000, "bf16", 200),
    ("meta-llama/Llama-3.2-1B-Instruct", 1_000, "bf16", 200),
    ("meta-llama/Llama-3.3-70B-Instruct", 70_000, "bf16", 450),
    ("meta-llama/Llama-3.2-90B-Vision-Instruct", 90_000, "bf16", 550),
    ("meta-llama/Llama-2-13b-chat-hf", 13_000, "bf16", 250),
    ("neuralmagic/Meta-Llama-3.1-405B-Instruct-FP8-dynamic", 405_000, "fp8", 1000),
    ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", 70_000, "int4", 250),
    ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", 70_000, "int8", 300),
    ("hugging-quants/Meta-Llama-3.1-405B-Instruct-AWQ-INT4", 405_000, "int4", 650),
    ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", 8_000, "int4", 200),
    ("hugging-quants/Meta-Llama-3.1-8B-Instruct-GPTQ-INT4", 8_000, "int4", 200),
    ("nvidia/Llama-3.3-70B-Instruct-NVFP4", 70_000, "nvfp4", 250),
    ("nvidia/Llama-3.1-405B-Instruct-FP4", 405_000, "nvfp4", 650),
    ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5-NVFP4", 49_000, "nvfp4", 250),
    ("nvidia/Qwen3.6-35B-A3B-NVFP4", 35_000, "nvfp4", 200),
    ("nvidia/Qwen3.8-2.4T-A95B-NVFP4", 2_400_000, "nvfp4", 2850),
    ("NVFP4/Qwen3-30B-A3B-Instruct-2507-FP4", 30_000, "nvfp4", 200),
    ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 30_000, "bf16", 300),
    ("unsloth/Meta-Llama-3.1-70B-Instruct-bnb-4bit", 70_000, "int4", 250),
    ("unsloth/Qwen2.5-7B-Instruct-bnb-4bit", 7_000, "int4", 200),
    ("unsloth/Qwen2.5-7B-Instruct-1M-unsloth-bnb-4bit", 7_000, "int4", 200),
    ("unsloth/gpt-oss-20b-BF16", 21_000, "bf16", 250),
    ("mlx-community/Qwen3-Next-80B-A3B-Instruct-4bit", 80_000, "int4", 250),
    ("mlx-community/Qwen3-Next-80B-A3B-Instruct-8bit", 80_000, "int8", 350),
    ("Intel/Qwen3-Next-80B-A3B-Instruct-int4-mixed-AutoRound", 80_000, "int4", 250),
    ("ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF", 30_000, "gguf q8", 250),
    ("TheBloke/Mixtral-8x7B-Instruct-v0.1-GGUF", 56_000, "gguf", 250),
    ("bartowski/Qwen2.5-14B-Instruct-GGUF", 14_000, "gguf", 200),
    ("TheBloke/Llama-2-70B-Chat-AWQ", 70_000, "awq int4", 250),
    ("mistralai/Mixtral-8x7B-Instruct-v0.1", 56_000, "bf16", 400),
    ("mistralai/Mistral-7B-Instruct-v0.3", 7_000, "bf16", 200),
    ("mistralai/Mistral-Small-24B-Instruct-2501", 24_000, "bf16", 250),
    ("mistralai/Codestral-22B-v0.1", 22_000, "bf16", 250),
    ("neuralmagic/Mistral-7B-Instruct-v0.3-FP8", 7_000, "fp8", 200),
    ("google/gemma-2-9b-it", 9_000, "bf16", 200),
    ("google/gemma-3-27b-it", 27_000, "bf16", 300),
    ("google/gemma-7b-it", 7_000, "bf16", 200),
    ("google/gemma-3-270m-it", 270, "bf16", 200),
    ("google/gemma-4-26B-A4B-it", 26_000, "bf16", 300),
    ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", 70_000, "bf16", 450),
    ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1_500, "bf16", 200),
    ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", 8_000, "bf16", 200),
    ("deepseek-ai/deepseek-coder-6.7b-instruct", 6_700, "bf16", 200),
    ("inclusionAI/Ling-1T", 1_000_000, "bf16", 4150),
    ("microsoft/bitnet-b1.58-2B-4T-bf16", 2_000, "bf16", 200),
    ("HuggingFaceTB/SmolLM2-360M-Instruct", 360, "bf16", 200),
    ("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_700, "bf16", 200),
    ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100, "bf16", 200),
    ("tiiuae/falcon-180B", 180_000, "bf16", 900),
    ("01-ai/Yi-1.5-34B-Chat", 34_000, "bf16", 300),
    ("internlm/internlm2_5-7b-chat", 7_000, "bf16", 200),
    ("EleutherAI/pythia-1.4b", 1_400, "bf16", 200),
    ("stabilityai/stablelm-2-12b-chat", 12_000, "bf16", 200),
    ("upstage/SOLAR-10.7B-Instruct-v1.0", 10_700, "bf16", 200),
    ("intfloat/e5-mistral-7b-instruct", 7_000, "bf16", 200),
    ("NousResearch/Hermes-3-Llama-3.1-8B", 8_000, "bf16", 200),
];

/// Ids without a size.
#[rustfmt::skip]
const SILENT: &[&str] = &[
    "openai-community/gpt2",
    "sentence-transformers/all-MiniLM-L6-v2",
    "google-bert/bert-base-uncased",
    "nomic-ai/nomic-embed-text-v1.5",
    "openai/clip-vit-large-patch14",
    "facebook/bart-large-cnn",
    "mixedbread-ai/mxbai-embed-large-v1",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "", "/", "B", "x", "8x", "xB", "A22B", "my-company/our-model-v2", "99999999999999999999b",
];

#[test]
fn well_known_ids_give_their_terms() {
    assert!(SIZED.len() >= 60);
    for (id, millions, format, gb) in SIZED {
        let Some(r) = recommended_data_volume_gb(id) else { panic!("{id} gives nothing") };
        let name = r.format.name.split(" (").next().unwrap_or_default();
        assert_eq!((r.parameters_millions, name, r.data_volume_gb), (*millions, *format, *gb), "{id}: {r:?}");
    }
}

#[test]
fn an_id_without_a_size_gives_no_recommendation() {
    for id in SILENT {
        assert_eq!(recommended_data_volume_gb(id), None, "{id}");
    }
}

#[test]
fn the_rule_gives_200_for_a_7b_and_450_for_a_70b() {
    let gb = |id| recommended_data_volume_gb(id).map(|r| r.data_volume_gb);
    assert_eq!(gb("x/a-7B"), Some(200));
    assert_eq!(gb("x/a-70B"), Some(450));
    assert_eq!(gb("x/a-70B-AWQ"), Some(250));
}

#[test]
fn every_word_for_a_storage_format_is_known() {
    for (word, name, bits_x100) in [
        ("INT4", "int4", 450),
        ("W4A16", "int4", 450),
        ("NF4", "int4", 450),
        ("MXFP4", "mxfp4", 425),
        ("NVFP4", "nvfp4", 450),
        ("FP8", "fp8", 800),
        ("INT8", "int8", 800),
        ("BF16", "bf16", 1600),
        ("FP32", "fp32", 3200),
        ("GPTQ", "gptq int4", 450),
        ("AutoRound", "autoround int4", 450),
        ("GPTQ-Int8", "int8", 800),
        ("Q1", "gguf q1", 200),
        ("IQ2", "gguf q2", 300),
        ("Q3", "gguf q3", 390),
        ("Q4", "gguf q4", 485),
        ("Q5", "gguf q5", 570),
        ("Q6", "gguf q6", 660),
        ("Q8", "gguf q8", 850),
        ("Q7", "bf16", 1600),
    ] {
        let format = recommended_data_volume_gb(&format!("x/a-7B-{word}")).map(|r| r.format);
        let got = format.as_ref().map(|f| (f.name.as_str(), f.bits_per_weight_x100));
        assert_eq!(got, Some((name, bits_x100)), "{word}");
    }
}

#[test]
fn a_mixture_shows_its_experts() {
    let r =
        recommended_data_volume_gb("mistralai/Mixtral-8x7B-Instruct-v0.1").map(|r| (r.mixture, r.parameters_millions));
    assert_eq!(r, Some((Some("8 experts of 7B".to_owned()), 56_000)));
}

#[test]
fn every_table_entry_can_be_reached() {
    for entry in known::TABLE {
        let words = tokens::words(&entry.words.join("-"));
        let found = known::find(&words, entry.misleads).map(|e| e.source);
        assert_eq!(found, Some(entry.source), "{:?} is hidden by another entry", entry.words);
    }
}

proptest! {
    #[test]
    fn no_id_panics_or_gives_a_senseless_size(id in "\\PC{0,60}") {
        if let Some(r) = recommended_data_volume_gb(&id) {
            prop_assert!(r.data_volume_gb >= 150 && r.data_volume_gb % 50 == 0);
        }
    }

    #[test]
    fn no_combination_of_tokens_panics(words in proptest::collection::vec("[0-9]{0,9}[.x]?[0-9]{0,9}[bmtaBMTe]?", 0..6)) {
        let _ = recommended_data_volume_gb(&words.join("-"));
    }
}
