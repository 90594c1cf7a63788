//! Well-known ids with a misleading name or without a size: total parameters, published format and source.
//!
//! An entry matches if its words follow each other in the id. A size in the id takes precedence over entries without a
//! misleading name: `DeepSeek-R1-Distill-Llama-70B` is a 70B model.

/// One family.
pub(super) struct Entry {
    pub(super) words: &'static [&'static str],
    /// The entry applies even if the id contains a size: that size means something else (active parameters, one
    /// expert).
    pub(super) misleads: bool,
    /// The format also applies to a size in the id.
    pub(super) published: bool,
    pub(super) millions: i64,
    /// Name and hundredths of a bit per parameter; `None`: 16 bits unless the id contains another format.
    pub(super) format: Option<(&'static str, i64)>,
    pub(super) source: &'static str,
}

const fn silent(
    words: &'static [&'static str],
    millions: i64,
    format: Option<(&'static str, i64)>,
    source: &'static str,
) -> Entry {
    Entry { words, misleads: false, published: false, millions, format, source }
}

const fn misleading(
    words: &'static [&'static str],
    millions: i64,
    format: Option<(&'static str, i64)>,
    source: &'static str,
) -> Entry {
    Entry { words, misleads: true, published: false, millions, format, source }
}

/// The id may contain the size, but never the format in which the weights are published.
const fn published(
    words: &'static [&'static str],
    millions: i64,
    format: Option<(&'static str, i64)>,
    source: &'static str,
) -> Entry {
    Entry { words, misleads: false, published: true, millions, format, source }
}

const FP8: Option<(&str, i64)> = Some(("fp8", 800));
const INT4: Option<(&str, i64)> = Some(("int4", 450));
const INT8: Option<(&str, i64)> = Some(("int8", 800));
const MXFP4: Option<(&str, i64)> = Some(("mxfp4", 425));
const FP32: Option<(&str, i64)> = Some(("fp32", 3200));

/// More specific entries come before their families.
pub(super) const TABLE: &[Entry] = &[
    misleading(&["17b", "16e"], 109_000, None, "model card of Llama-4-Scout: 109B total, 17B active"),
    misleading(&["17b", "128e"], 400_000, None, "model card of Llama-4-Maverick: 400B total"),
    misleading(&["gpt", "oss", "120b"], 117_000, MXFP4, "model card of openai/gpt-oss-120b: 117B, MXFP4"),
    misleading(&["gpt", "oss", "20b"], 21_000, MXFP4, "model card of openai/gpt-oss-20b: 21B, MXFP4"),
    silent(&["deepseek", "v4", "flash"], 291_000, MXFP4, "huggingface.co/collections/deepseek-ai/deepseek-v4"),
    silent(&["deepseek", "v4", "pro"], 1_600_000, MXFP4, "huggingface.co/collections/deepseek-ai/deepseek-v4"),
    silent(&["deepseek", "v3"], 671_000, FP8, "model card of deepseek-ai/DeepSeek-V3: 671B, FP8"),
    silent(&["deepseek", "v3.1"], 671_000, FP8, "model card of deepseek-ai/DeepSeek-V3.1"),
    silent(&["deepseek", "v3.2"], 671_000, FP8, "model card of deepseek-ai/DeepSeek-V3.2-Exp"),
    silent(&["deepseek", "r1"], 671_000, FP8, "model card of deepseek-ai/DeepSeek-R1: 671B, FP8"),
    silent(&["deepseek", "v2", "lite"], 15_700, None, "github.com/deepseek-ai/DeepSeek-V2"),
    silent(&["deepseek", "coder", "v2", "lite"], 15_700, None, "github.com/deepseek-ai/DeepSeek-Coder-V2"),
    silent(&["deepseek", "coder", "v2"], 236_000, None, "github.com/deepseek-ai/DeepSeek-Coder-V2"),
    silent(&["deepseek", "v2"], 236_000, None, "github.com/deepseek-ai/DeepSeek-V2"),
    silent(&["deepseek", "v2.5"], 236_000, None, "model card of deepseek-ai/DeepSeek-V2.5"),
    silent(&["kimi", "k2", "thinking"], 1_000_000, INT4, "model card of moonshotai/Kimi-K2-Thinking: 1T, INT4"),
    silent(&["kimi", "k2"], 1_000_000, FP8, "model card of moonshotai/Kimi-K2-Instruct: 1T, FP8"),
    silent(&["kimi", "k2.6"], 1_060_000, INT4, "model card of moonshotai/Kimi-K2.6: 595 GB"),
    silent(&["kimi", "k2.5"], 1_060_000, INT4, "github.com/huggingface/huggingface.js/pull/2003"),
    silent(&["kimi", "k3"], 2_800_000, MXFP4, "huggingface.co/moonshotai/collections"),
    silent(&["kimi", "vl", "a3b"], 16_400, None, "huggingface.co/collections/moonshotai/kimi-vl-a3b"),
    silent(&["qwen1.5", "moe", "a2.7b"], 14_300, None, "model card of Qwen/Qwen1.5-MoE-A2.7B"),
    silent(&["qwen3", "coder", "next"], 80_000, None, "model card of Qwen/Qwen3-Coder-Next"),
    misleading(
        &["qwen2.5", "omni", "7b"],
        10_700,
        None,
        "model card of Qwen/Qwen2.5-Omni-7B: 10.7B with its audio parts",
    ),
    silent(&["hunyuan", "a13b"], 80_000, None, "model card of tencent/Hunyuan-A13B-Instruct"),
    silent(&["mistral", "large", "instruct", "2407"], 123_000, None, "model card of Mistral-Large-Instruct-2407"),
    silent(&["mistral", "large", "instruct", "2411"], 123_000, None, "model card of Mistral-Large-Instruct-2411"),
    silent(&["pixtral", "large"], 124_000, None, "model card of Pixtral-Large-Instruct-2411"),
    silent(&["mistral", "small", "instruct", "2409"], 22_200, None, "model card of Mistral-Small-Instruct-2409"),
    silent(&["mistral", "nemo"], 12_200, None, "model card of Mistral-Nemo-Instruct-2407"),
    published(&["devstral", "2", "123b"], 125_000, FP8, "model card of mistralai/Devstral-2-123B: FP8, 125 GB"),
    published(&["devstral", "small", "2"], 24_000, FP8, "model card of mistralai/Devstral-Small-2-24B: FP8"),
    published(&["mistral", "medium", "3.5"], 128_000, FP8, "model card of mistralai/Mistral-Medium-3.5: FP8"),
    published(&["ministral", "3", "3b", "instruct"], 3_800, FP8, "model card of Ministral-3-3B-Instruct-2512: FP8"),
    published(&["ministral", "3", "8b", "instruct"], 8_900, FP8, "model card of Ministral-3-8B-Instruct-2512: FP8"),
    published(&["ministral", "3", "14b", "instruct"], 13_900, FP8, "model card of Ministral-3-14B-Instruct-2512: FP8"),
    silent(&["magistral", "small"], 23_600, None, "model card of mistralai/Magistral-Small-2509: 48 GB"),
    silent(&["devstral", "small"], 23_600, None, "model card of mistralai/Devstral-Small-2505"),
    misleading(&["voxtral", "mini", "3b"], 4_700, None, "huggingface.co/collections/mistralai/voxtral"),
    misleading(
        &["mixtral", "8x22b"],
        141_000,
        None,
        "model card of Mixtral-8x22B: 141B, experts share their attention",
    ),
    misleading(
        &["mistral", "large", "3", "675b", "base"],
        675_000,
        None,
        "model card of mistralai/Mistral-Large-3-675B-Base-2512: BF16",
    ),
    misleading(
        &["mistral", "large", "3", "675b"],
        675_000,
        FP8,
        "model card of mistralai/Mistral-Large-3-675B-Instruct-2512",
    ),
    silent(&["command", "r", "plus"], 104_000, None, "model card of CohereLabs/c4ai-command-r-plus"),
    silent(&["command", "r", "v01"], 35_000, None, "model card of CohereLabs/c4ai-command-r-v01"),
    silent(&["command", "r", "08", "2024"], 32_300, None, "model card of CohereLabs/c4ai-command-r-08-2024"),
    silent(&["command", "a"], 111_000, None, "model card of CohereLabs/c4ai-command-a-03-2025"),
    silent(&["command", "r7b"], 8_000, None, "model card of CohereLabs/c4ai-command-r7b-12-2024"),
    silent(&["phi", "4", "mini"], 3_800, None, "model card of microsoft/Phi-4-mini-instruct"),
    silent(&["phi", "4", "multimodal"], 5_600, None, "model card of microsoft/Phi-4-multimodal-instruct"),
    silent(&["phi", "4"], 14_700, None, "model card of microsoft/phi-4"),
    silent(&["phi", "3", "mini"], 3_800, None, "model card of microsoft/Phi-3-mini-4k-instruct"),
    silent(&["phi", "3", "small"], 7_400, None, "model card of microsoft/Phi-3-small-8k-instruct"),
    silent(&["phi", "3", "medium"], 14_000, None, "model card of microsoft/Phi-3-medium-4k-instruct"),
    silent(&["phi", "3.5", "mini"], 3_800, None, "model card of microsoft/Phi-3.5-mini-instruct"),
    silent(&["phi", "3.5", "moe"], 41_900, None, "model card of microsoft/Phi-3.5-MoE-instruct"),
    silent(&["glm", "4.5", "air"], 106_000, None, "model card of zai-org/GLM-4.5-Air"),
    silent(&["glm", "4.5"], 355_000, None, "model card of zai-org/GLM-4.5"),
    silent(&["glm", "4.6"], 357_000, None, "huggingface.co/collections/zai-org/glm-46"),
    silent(&["glm", "4.7", "flash"], 31_200, None, "huggingface.co/collections/zai-org/glm-47"),
    silent(&["glm", "4.7"], 358_000, None, "model card of zai-org/GLM-4.7: 717 GB"),
    silent(&["glm", "4.6v", "flash"], 10_300, None, "model card of zai-org/GLM-4.6V-Flash"),
    silent(&["glm", "4.6v"], 108_000, None, "model card of zai-org/GLM-4.6V"),
    silent(&["glm", "4.5v"], 108_000, None, "model card of zai-org/GLM-4.5V"),
    silent(&["glm", "5.2"], 750_000, None, "model card of zai-org/GLM-5.2: 1,500 GB"),
    silent(&["glm", "5.1"], 754_000, None, "huggingface.co/collections/zai-org/glm-51"),
    silent(&["glm", "5"], 754_000, None, "huggingface.co/collections/zai-org/glm-5"),
    misleading(
        &["glm", "4v", "9b"],
        13_900,
        None,
        "huggingface.co/collections/zai-org/glm-4: 9b leaves out the vision part",
    ),
    silent(&["minimax", "m2"], 230_000, FP8, "model card of MiniMaxAI/MiniMax-M2: 230B, FP8"),
    silent(&["minimax", "m2.1"], 230_000, FP8, "model card of MiniMaxAI/MiniMax-M2.1: FP8"),
    silent(&["minimax", "m2.5"], 230_000, FP8, "model card of MiniMaxAI/MiniMax-M2.5: 230 GB"),
    silent(&["minimax", "m2.7"], 230_000, FP8, "model card of MiniMaxAI/MiniMax-M2.7: FP8"),
    silent(&["minimax", "vl", "01"], 456_000, None, "model card of MiniMaxAI/MiniMax-VL-01"),
    silent(&["minimax", "text", "01"], 456_000, None, "model card of MiniMaxAI/MiniMax-Text-01"),
    silent(&["minimax", "m1"], 456_000, None, "model card of MiniMaxAI/MiniMax-M1-80k"),
    silent(&["jamba", "large"], 398_000, None, "arxiv.org/abs/2408.12570"),
    silent(&["jamba", "1.5", "large"], 398_000, None, "arxiv.org/abs/2408.12570"),
    silent(&["jamba", "mini"], 52_000, None, "arxiv.org/abs/2408.12570"),
    silent(&["jamba", "1.5", "mini"], 52_000, None, "arxiv.org/abs/2408.12570"),
    silent(&["dbrx"], 132_000, None, "model card of databricks/dbrx-instruct"),
    silent(&["grok", "1"], 314_000, INT8, "glennklockwood.com/garden/Grok-1: 318 GB as published"),
    silent(&["grok", "2"], 270_000, None, "model card of xai-org/grok-2: about 500 GB"),
    silent(&["snowflake", "arctic", "instruct"], 480_000, None, "model card of Snowflake/snowflake-arctic-instruct"),
    silent(&["step3"], 321_000, None, "model card of stepfun-ai/step3: 642 GB"),
    silent(&["longcat", "flash", "lite"], 68_500, None, "model card of meituan-longcat/LongCat-Flash-Lite"),
    silent(&["longcat", "flash"], 562_000, None, "model card of meituan-longcat/LongCat-Flash-Chat: 1,124 GB"),
    silent(&["intern", "s1", "mini"], 8_500, None, "model card of internlm/Intern-S1-mini"),
    silent(&["intern", "s1", "pro"], 1_000_000, FP8, "model card of internlm/Intern-S1-Pro"),
    silent(&["intern", "s1"], 241_000, None, "model card of internlm/Intern-S1: 482 GB"),
    silent(&["dots.llm1.inst"], 143_000, None, "model card of rednote-hilab/dots.llm1.inst: 286 GB"),
    silent(&["dots.llm1.base"], 143_000, None, "model card of rednote-hilab/dots.llm1.base: 286 GB"),
    silent(&["dots.llm1"], 143_000, None, "model card of rednote-hilab/dots.llm1.inst: 286 GB"),
    silent(&["granite", "4.0", "h", "small"], 32_200, None, "model card of ibm-granite/granite-4.0-h-small: 64 GB"),
    silent(&["granite", "4.0", "h", "tiny"], 6_940, None, "model card of ibm-granite/granite-4.0-h-tiny"),
    silent(&["granite", "4.0", "h", "micro"], 3_190, None, "model card of ibm-granite/granite-4.0-h-micro"),
    silent(&["granite", "4.0", "micro"], 3_400, None, "model card of ibm-granite/granite-4.0-micro"),
    silent(&["mimo", "v2", "flash"], 310_000, FP8, "model card of XiaomiMiMo/MiMo-V2-Flash: FP8"),
    silent(&["intellect", "3"], 106_000, None, "model card of PrimeIntellect/INTELLECT-3"),
    silent(&["intellect", "2"], 32_000, None, "model card of PrimeIntellect/INTELLECT-2"),
    silent(&["hunyuan", "large"], 389_000, None, "model card of tencent/Tencent-Hunyuan-Large"),
    silent(&["k2", "think"], 32_800, None, "model card of LLM360/K2-Think"),
    silent(&["jamba", "v0.1"], 52_000, None, "arxiv.org/abs/2403.19887"),
    silent(&["step", "3.5", "flash"], 199_000, None, "model card of stepfun-ai/Step-3.5-Flash"),
    silent(&["ling", "flash"], 103_000, None, "huggingface.co/collections/inclusionAI/ling-v2"),
    silent(&["ring", "flash"], 103_000, None, "huggingface.co/collections/inclusionAI/ring-v2"),
    silent(&["ring", "mini"], 16_300, None, "huggingface.co/collections/inclusionAI/ring-v2"),
    silent(&["ling", "lite"], 16_800, None, "model card of inclusionAI/Ling-lite"),
    silent(&["ling", "plus"], 290_000, None, "model card of inclusionAI/Ling-plus"),
    silent(&["ling", "mini"], 16_300, None, "huggingface.co/collections/inclusionAI/ling-v2"),
    silent(&["gemma", "3n", "e4b"], 7_850, None, "model card of google/gemma-3n-E4B-it: E4B is effective"),
    silent(&["gemma", "3n", "e2b"], 5_440, None, "model card of google/gemma-3n-E2B-it: E2B is effective"),
    silent(&["gemma", "4", "e4b"], 8_000, None, "model card of google/gemma-4-E4B-it: E4B is effective"),
    misleading(&["gemma", "2", "2b"], 2_610, None, "model card of google/gemma-2-2b-it"),
    misleading(
        &["prompt", "guard", "86m"],
        279,
        FP32,
        "model card of meta-llama/Prompt-Guard-86M: embeddings not counted",
    ),
    published(&["molmo", "72b"], 73_300, FP32, "huggingface.co/allenai/Molmo-72B-0924: 293 GB"),
    published(&["molmo", "7b"], 8_000, FP32, "huggingface.co/allenai/Molmo-7B-D-0924: 32 GB"),
    misleading(&["molmoe", "1b"], 7_200, FP32, "huggingface.co/allenai/MolmoE-1B-0924: 7.2B total, 29 GB"),
    published(&["nllb", "moe", "54b"], 54_500, FP32, "huggingface.co/facebook/nllb-moe-54b: 218 GB"),
    published(&["nllb", "200"], 3_300, FP32, "huggingface.co/facebook/nllb-200-3.3B: 17.6 GB"),
    published(&["gte", "qwen2", "7b"], 7_600, FP32, "huggingface.co/Alibaba-NLP/gte-Qwen2-7B-instruct: 30 GB"),
    published(&["gte", "qwen2", "1.5b"], 1_780, FP32, "huggingface.co/Alibaba-NLP/gte-Qwen2-1.5B-instruct: 7 GB"),
    published(&["gte", "qwen1.5", "7b"], 7_700, FP32, "huggingface.co/Alibaba-NLP/gte-Qwen1.5-7B-instruct: 31 GB"),
    silent(&["flan", "t5", "xxl"], 11_300, FP32, "huggingface.co/google/flan-t5-xxl: 45 GB"),
    silent(&["flan", "t5", "xl"], 2_850, FP32, "huggingface.co/google/flan-t5-xl: 11.4 GB"),
    silent(&["t0pp"], 11_100, FP32, "huggingface.co/bigscience/T0pp: 44.5 GB"),
    silent(&["whisper", "large"], 1_550, FP32, "huggingface.co/openai/whisper-large-v2: 6.2 GB"),
    silent(&["bge", "m3"], 568, FP32, "huggingface.co/BAAI/bge-m3: 2.3 GB"),
    silent(&["nv", "embed", "v2"], 7_850, None, "huggingface.co/nvidia/NV-Embed-v2: 15.7 GB"),
    misleading(&["starcoder2", "15b"], 16_000, FP32, "huggingface.co/bigcode/starcoder2-15b/tree/main: 63.8 GB"),
    misleading(&["stablelm", "2", "1", "6b"], 1_640, None, "model card of stabilityai/stablelm-2-1_6b"),
    silent(&["bloom"], 176_000, None, "model card of bigscience/bloom"),
];

/// The entry for an id's words; `states_size`: the id contains a size.
pub(super) fn find(words: &[String], states_size: bool) -> Option<&'static Entry> {
    TABLE
        .iter()
        .filter(|e| e.misleads || e.published || !states_size)
        .find(|e| words.windows(e.words.len()).any(|w| w == e.words))
}
